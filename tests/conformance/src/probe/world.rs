//! Runs the cases of one file in the test world, and records what was seen.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use world::http::{Headers, Message};
use world::upstream::{Door, Piece, Reply, Upstream};
use world::{
    Answer, Bounds, Ending, Filter, LogLevel, LogLine, NotStarted, Request, Setup, StreamId, Upstreams, World,
};

use super::client::End;
use super::load::{Case, Probe};
use super::recording::{Recording, Sections, arrived, ending, message, probe_line, sections, stable};
use super::script::{Sending, Sent};

/// Between the end of a case and the next: what comes right behind it belongs to it.
const BEHIND: Duration = Duration::from_millis(10);

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The filter refused its configuration, or failed.
    #[error(transparent)]
    Start(#[from] NotStarted),
    /// It took a configuration that it must refuse.
    #[error("the configuration was not refused")]
    NotRefused,
}

/// Runs a file's cases in a world of their own.
///
/// # Errors
/// When the world does not start, or starts where it must not.
pub fn record(probe: &Probe, filter: &Filter) -> Result<Recording, RunError> {
    let book = Rc::<RefCell<Book>>::default();
    let mut upstreams = Upstreams::new();
    for (cluster, door) in &probe.doors {
        let host = Host { cluster: cluster.clone(), door: *door, book: Rc::clone(&book) };
        upstreams.insert(cluster.clone(), Rc::new(RefCell::new(host)));
    }
    let setup = Setup {
        filter: filter.clone(),
        proxy: probe.proxy.clone(),
        upstreams,
        workers: usize::from(probe.workers),
        seed: 1,
        bounds: Bounds::default(),
    };
    let mut read = 0;
    let mut world = match World::new(setup) {
        Err(refused) if probe.refused => {
            return Ok(Recording { start: written(&refused.log, &mut read, false), cases: Vec::new() });
        }
        Ok(_) if probe.refused => return Err(RunError::NotRefused),
        started => started?,
    };
    let mut recording = Recording { start: written(&world.log(), &mut read, false), cases: Vec::new() };
    for case in &probe.cases {
        recording.cases.push((case.name.clone(), run(case, &mut world, &book, &mut read)));
    }
    Ok(recording)
}

fn run(case: &Case, world: &mut World, book: &Rc<RefCell<Book>>, read: &mut usize) -> Sections {
    {
        let mut book = book.borrow_mut();
        book.seen.clear();
        let replies = case.upstreams.iter();
        book.replies = replies.map(|(cluster, replies)| (cluster.clone(), replies.iter().cloned().collect())).collect();
    }
    let survived = world.fatal().len();
    let (begun, mut streams) = (world.now(), Vec::new());
    for (worker, stream) in case.streams.iter().enumerate() {
        let worker = worker % world.workers();
        streams.push((stream.label.clone(), world.send(worker, begun, request(&stream.sending))));
    }
    let until = begun + case.wait;
    let over = |world: &World| streams.iter().all(|(_, id)| world.answer(*id).ending != Ending::Open);
    while !over(world) && world.now() < until {
        world.run_for(Duration::from_millis(1));
    }
    // Who waited long enough leaves.
    for (_, id) in &streams {
        world.leave(*id);
    }
    world.run_for(case.linger + BEHIND);
    let mut sections = written(&world.log(), read, case.merge);
    for (label, id) in streams {
        sections.insert(format!("client {label}"), client_lines(world, id, until, case.timed));
    }
    let mut requests = BTreeMap::<String, Vec<Vec<String>>>::new();
    for (cluster, request, whole) in &book.borrow().seen {
        let mut lines = upstream_lines(request);
        if !whole {
            lines.push("  not whole".to_owned());
        }
        requests.entry(format!("upstream {cluster}")).or_default().push(lines);
    }
    sections.extend(requests.into_iter().map(|(section, requests)| (section, arrived(requests))));
    // Envoy does not live to write such a line.
    let fatal: Vec<String> = world.fatal().iter().skip(survived).map(|what| format!("fatal: {what}")).collect();
    if !fatal.is_empty() {
        sections.insert("world".to_owned(), fatal);
    }
    sections
}

/// What the probe filter wrote since, by who wrote it.
fn written(log: &[LogLine], read: &mut usize, merge: bool) -> Sections {
    // How many VMs each thread began since. The real main thread begins one before these two, which is only initialised.
    let mut begun = BTreeMap::from([("main", u32::from(*read == 0))]);
    // The real one's log begins at info.
    let shown = log.iter().skip(*read).filter(|line| line.level >= LogLevel::Info);
    let lines = shown.filter_map(|LogLine { vm, text, .. }| {
        let (label, text) = probe_line(text)?;
        let thread = if vm == "canary" { "main" } else { vm.as_str() };
        let of = begun.entry(thread).or_default();
        *of += u32::from(text == "initialize");
        let vm = if thread == "main" { format!("main {of}") } else { format!("worker {thread} {of}") };
        Some((vm, label.to_owned(), stable(text, &BTreeMap::new())))
    });
    let sections = sections(lines.collect(), merge);
    *read = log.len();
    sections
}

fn request(sending: &Sending) -> Request {
    let declared = sending.iter().find_map(|(_, sent)| declared(sent));
    let mut left = declared.unwrap_or(usize::MAX);
    let mut request = Request::default();
    for (wait, sent) in sending {
        if let Sent::Piece(Piece::Body { bytes, .. }) = sent {
            left = left.saturating_sub(bytes.len());
        }
        // A body that is shorter than its head said has not ended.
        let ends = |end: bool| end && (declared.is_none() || left == 0);
        request = match sent {
            Sent::Piece(Piece::Head { headers, end }) => {
                let mut headers = headers.clone();
                headers.push((b":scheme".to_vec(), b"http".to_vec()));
                // Pseudo headers in the order in which the codec makes them.
                headers.sort_by_key(|(name, _)| {
                    let order: [&[u8]; 4] = [b":authority", b":path", b":method", b":scheme"];
                    order.iter().position(|pseudo| pseudo == name).unwrap_or(order.len())
                });
                request.then_head(*wait, headers, ends(*end))
            }
            Sent::Piece(Piece::Body { bytes, end }) => request.body(*wait, bytes, ends(*end)),
            Sent::Piece(Piece::Trailers(trailers)) => request.trailers(*wait, trailers.clone()),
            Sent::Piece(Piece::Reset) | Sent::Leave => request.disconnect(*wait),
        };
    }
    request
}

fn declared(sent: &Sent) -> Option<usize> {
    let Sent::Piece(Piece::Head { headers, .. }) = sent else { return None };
    let length = headers.iter().find(|(name, _)| name == b"content-length")?;
    std::str::from_utf8(&length.1).ok()?.parse().ok()
}

fn client_lines(world: &World, id: StreamId, until: Duration, timed: bool) -> Vec<String> {
    let answer: &Answer = world.answer(id);
    let plain = |headers: &Headers| headers.iter().filter(|(name, _)| !name.starts_with(b":")).cloned().collect();
    let mut lines = match &answer.headers {
        Some(headers) => {
            message(&format!("status {}", answer.status()), &plain(headers), &answer.body, &answer.trailers)
        }
        None => vec!["no answer".to_owned()],
    };
    let end = match answer.ending {
        Ending::Whole => End::Whole,
        Ending::Broken => End::Closed,
        Ending::Left if world.sent_at(id) + answer.took < until => End::Left,
        Ending::Left | Ending::Open => End::Waited,
    };
    lines.push(ending(end, timed.then_some(answer.took)));
    lines
}

fn upstream_lines(request: &Message) -> Vec<String> {
    let text = |name: &str| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
    let line = |(name, value): &(Vec<u8>, Vec<u8>)| match name.as_slice() {
        b":authority" => Some((b"host".to_vec(), value.clone())),
        name if name.starts_with(b":") => None,
        name => Some((name.to_vec(), value.clone())),
    };
    let headers = request.headers.iter().filter_map(line).collect();
    message(&format!("{} {}", text(":method"), text(":path")), &headers, &request.body, &request.trailers)
}

#[derive(Default)]
struct Book {
    /// What each cluster's host answers next.
    replies: BTreeMap<String, VecDeque<Reply>>,
    /// What arrived where, and whether it came to its end.
    seen: Vec<(String, Message, bool)>,
}

/// The host of one cluster.
struct Host {
    cluster: String,
    door: Door,
    book: Rc<RefCell<Book>>,
}

impl Upstream for Host {
    fn door(&mut self, _: Duration) -> Door {
        self.door
    }

    fn request(&mut self, _: Duration, request: &Message) -> Reply {
        let mut book = self.book.borrow_mut();
        book.seen.push((self.cluster.clone(), request.clone(), true));
        let next = book.replies.get_mut(&self.cluster).and_then(VecDeque::pop_front);
        next.unwrap_or_else(|| Reply::answer(Duration::ZERO, 200, &[], b"ok"))
    }

    fn abandoned(&mut self, _: Duration, request: &Message) {
        self.book.borrow_mut().seen.push((self.cluster.clone(), request.clone(), false));
    }
}
