//! Runs the cases of one file on a real Envoy, and records what was seen.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Answer, exchange};
use super::envoy::render;
use super::load::{Case, Probe};
use super::recording::{Recording, Sections, arrived, ending, message, probe_line, sections, stable};
use super::server::{Seen, Servers};
use e2e::stack::{EnvoyProcess, EnvoySpec, StackError, Workdir};

/// How long the contexts of a case may take to be deleted once its answers are there. After a trap they never are.
const SETTLES_WITHIN: Duration = Duration::from_millis(400);
/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between the last line that was waited for and the end of the case: what comes right behind it belongs to it.
const BEHIND: Duration = Duration::from_millis(10);

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Envoy did not start, or its configuration was taken though it must not be.
    #[error("{0}")]
    Stack(#[from] StackError),
    /// A socket or file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Envoy is gone: a case has killed it.
    #[error("no connection in case {case}, so one before it killed Envoy: {error}")]
    Gone {
        /// The case that found it so.
        case: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The proxy took a configuration that it must refuse.
    #[error("the configuration was not refused")]
    NotRefused,
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Envoy.
    pub envoy: PathBuf,
    /// The probe filter.
    pub wasm: PathBuf,
}

/// Runs a file's cases on an Envoy of their own.
pub async fn record(probe: &Probe, programs: &Programs) -> Result<Recording, RunError> {
    let dir = Workdir::new()?;
    let servers = Servers::start(&probe.doors).await?;
    let spec = EnvoySpec {
        name: "envoy".to_owned(),
        program: programs.envoy.clone(),
        config: render(&probe.proxy, servers.addresses(), &programs.wasm),
        workers: probe.workers,
        secret_env: Vec::new(),
    };
    let started = EnvoyProcess::start(spec, dir.path()).await;
    let mut log = Log { path: dir.path().join("envoy.log"), read: 0, main: None };
    if probe.refused {
        let start = log.sections(servers.addresses(), false)?;
        return if started.is_err() { Ok(Recording { start, cases: Vec::new() }) } else { Err(RunError::NotRefused) };
    }
    let envoy = started?;
    let to = envoy.listeners().values().next().copied().ok_or(StackError::NotRunning("a listener of Envoy"))?;
    let mut recording = Recording { start: log.sections(servers.addresses(), false)?, cases: Vec::new() };
    for case in probe.cases.iter().filter(|case| !case.only_world) {
        recording.cases.push((case.name.clone(), run(case, to, &servers, &mut log).await?));
    }
    Ok(recording)
}

async fn run(case: &Case, to: SocketAddr, servers: &Servers, log: &mut Log) -> Result<Sections, RunError> {
    servers.play(&case.upstreams);
    let mut talks = JoinSet::new();
    for stream in &case.streams {
        let (label, sending, wait) = (stream.label.clone(), stream.sending.clone(), case.wait);
        talks.spawn(async move { (label, exchange(to, &sending, wait).await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(talk) = talks.join_next().await {
        if let Ok((label, answer)) = talk {
            let gone = |error| RunError::Gone { case: case.name.clone(), error };
            answers.insert(label, answer.map_err(gone)?);
        }
    }
    tokio::time::sleep(case.linger).await;
    let until = Instant::now() + SETTLES_WITHIN;
    while !log.has_deleted(case)? && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tokio::time::sleep(BEHIND).await;
    let mut sections = log.sections(servers.addresses(), case.merge)?;
    for (label, answer) in answers {
        sections.insert(format!("client {label}"), client_lines(&answer, case.timed));
    }
    let mut requests = BTreeMap::<String, Vec<Vec<String>>>::new();
    for seen in servers.seen() {
        requests.entry(format!("upstream {}", seen.cluster)).or_default().push(upstream_lines(&seen));
    }
    sections.extend(requests.into_iter().map(|(section, requests)| (section, arrived(requests))));
    Ok(sections)
}

fn client_lines(answer: &Answer, timed: bool) -> Vec<String> {
    let mut lines = match &answer.read {
        Some(read) => message(&format!("status {}", read.status()), &read.headers, &read.body, &read.trailers),
        None => vec!["no answer".to_owned()],
    };
    lines.push(ending(answer.end, timed.then_some(answer.took)));
    lines
}

fn upstream_lines(seen: &Seen) -> Vec<String> {
    let request = &seen.request;
    let start = request.start.trim_end_matches(" HTTP/1.1");
    let mut lines = message(start, &request.headers, &request.body, &request.trailers);
    if !request.whole {
        lines.push("  not whole".to_owned());
    }
    lines
}

/// Envoy's log, and how far it was read.
struct Log {
    path: PathBuf,
    read: u64,
    /// The thread of the first line: the main thread, whose VM has no streams.
    main: Option<String>,
}

impl Log {
    fn unread(&self) -> Result<String, RunError> {
        let mut file = std::fs::File::open(Path::new(&self.path))?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether every stream of the case is over.
    fn has_deleted(&self, case: &Case) -> Result<bool, RunError> {
        let text = self.unread()?;
        let over = |label: &str| text.lines().filter_map(probe_line).any(|line| line == (label, "delete"));
        Ok(case.streams.iter().all(|stream| over(&stream.label)))
    }

    /// What was written since, by who wrote it.
    fn sections(&mut self, hosts: &BTreeMap<String, SocketAddr>, merge: bool) -> Result<Sections, RunError> {
        let text = self.unread()?;
        let at_start = self.read == 0;
        self.read += u64::try_from(text.len()).unwrap_or_default();
        let mut lines = Vec::new();
        // How many VMs each thread began since: the main thread begins a throw-away one first.
        let mut begun = BTreeMap::<String, u32>::new();
        for line in text.lines() {
            let thread = line.split(['[', ']']).nth(3).unwrap_or_default().to_owned();
            let main = self.main.get_or_insert_with(|| thread.clone());
            let Some((label, text)) = probe_line(line) else { continue };
            let of = begun.entry(thread.clone()).or_default();
            *of += u32::from(text == "initialize");
            let vm = if *main == thread { format!("main {of}") } else { format!("worker {thread} {of}") };
            if at_start && vm == "main 1" {
                // Only there to be cloned: no callback but the start of its code comes to it.
                continue;
            }
            lines.push((vm, label.to_owned(), stable(text, hosts)));
        }
        Ok(sections(lines, merge))
    }
}
