//! The worker, its streams and its clocks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use decision::config::Config;
use decision::exchange::{Body, Ending, Ends, Headers, ResponseHead, Step};
use decision::lookup::{Answer, Question};
use decision::processor::ProcessorId;
use decision::router::Router;
use decision::time::{Mono, Now, Wall};

use super::answers::Cache;
use super::messages;
use super::stream::{Answered, Hold, Phase, Stream};
use crate::bytes::Bytes;
use crate::text;

/// Streams at once.
const STREAMS_MAX: usize = 8;
/// Deferred writes of one tick, as in the filter.
const DEFERRED_PER_TICK: usize = 32;
/// Steps that one event leads to where no question can be asked: a look-up asks for its pin, then for its value.
const STEPS_MAX: usize = 4;

pub(super) struct World {
    router: Router,
    clusters: Vec<String>,
    now: Now,
    streams: Vec<Stream>,
    opened: usize,
    cache: Cache,
    /// Deferred writes whose answer is awaited.
    deferred: BTreeMap<u64, Question>,
    transcript: String,
}

impl World {
    pub(super) fn new(config: Config, seed: u64) -> Self {
        let clusters = config.processors.iter().map(|p| p.cluster.clone()).collect();
        let needs = config.needs_records();
        Self {
            router: Router::new(config, seed),
            clusters,
            now: Now { mono: Mono(1_000_000), wall: Wall(0) },
            streams: Vec::new(),
            opened: 0,
            cache: Cache::default(),
            deferred: BTreeMap::new(),
            transcript: format!("needs records: {needs:?}\n"),
        }
    }

    /// A new stream begins with its request's head.
    pub(super) fn open(&mut self, bytes: &mut Bytes<'_>) {
        if self.streams.len() == STREAMS_MAX {
            self.streams.remove(0).done(self, Ending::Quiet);
        }
        let mut stream = Stream::new(self.opened);
        self.opened += 1;
        let (head, ends) = messages::request_head(bytes);
        let step = stream.exchange.on_request_headers(&mut self.router, Headers::new(&head), ends, self.now);
        self.act(&mut stream, step, Phase::Request, bytes);
        self.streams.push(stream);
    }

    /// What some stream waits for happens.
    pub(super) fn go_on(&mut self, bytes: &mut Bytes<'_>) {
        let Some(mut stream) = self.take(bytes) else { return self.open(bytes) };
        match std::mem::replace(&mut stream.hold, Hold::Nothing) {
            Hold::RequestBody => {
                let limit = self.router.config().request_body_bytes;
                let body = messages::request_body(bytes);
                let body = if bytes.once_in(16) { Body::TooLarge } else { collected(&body, limit) };
                let step = stream.exchange.on_request_body(&mut self.router, body, self.now);
                self.act(&mut stream, step, Phase::Request, bytes);
            }
            Hold::Answer(question, phase) => {
                let answer = self.cache.answer(&question, bytes);
                let step = stream.exchange.on_answer(&mut self.router, answer, self.now);
                self.act(&mut stream, step, phase, bytes);
            }
            Hold::ResponseBody => {
                let limit = self.router.config().answer_body_bytes;
                let body = messages::response_body(bytes);
                let body = if bytes.once_in(16) { Body::TooLarge } else { collected(&body, limit) };
                let step = stream.exchange.on_response_body(&mut self.router, body, self.now);
                self.act(&mut stream, step, Phase::Response, bytes);
            }
            Hold::Nothing if stream.answered == Answered::Yes || stream.exchange.is_closed() => {
                return stream.done(self, messages::ending(bytes));
            }
            Hold::Nothing => self.response(&mut stream, bytes),
        }
        self.streams.push(stream);
    }

    /// What no stream waits for happens: an answer from the proxy itself, a long answer while a write is awaited, the end.
    pub(super) fn disturb(&mut self, bytes: &mut Bytes<'_>) {
        let Some(mut stream) = self.take(bytes) else { return };
        match bytes.below(3) {
            0 if stream.answered == Answered::Not => self.response(&mut stream, bytes),
            1 if matches!(stream.hold, Hold::Answer(_, Phase::Response)) => {
                let step = stream.exchange.on_gave_up(&mut self.router, self.now);
                self.act(&mut stream, step, Phase::Response, bytes);
            }
            _ => return stream.done(self, messages::ending(bytes)),
        }
        self.streams.push(stream);
    }

    /// Time passes; the wall clock does as it likes.
    pub(super) fn pass_time(&mut self, bytes: &mut Bytes<'_>) {
        // From a microsecond to weeks; now and then the end of time.
        let wait = if bytes.once_in(256) { bytes.number() } else { bytes.number() >> bytes.pick(&[24, 40, 44, 48]) };
        self.now.mono = self.now.mono.after(Duration::from_micros(wait));
        self.now.wall = Wall(bytes.number());
        self.tell(|_| format!("time {wait}"));
    }

    /// The filter's tick: deferred writes that are due are sent, and some of those that were sent are answered.
    pub(super) fn tick(&mut self, bytes: &mut Bytes<'_>) {
        self.router.tick(self.now);
        for _ in 0..DEFERRED_PER_TICK {
            let Some((id, question)) = self.router.take_due(self.now) else { break };
            self.tell(|_| format!("due {id} {}", text::question(&question)));
            self.deferred.insert(id, question);
        }
        for _ in 0..bytes.below(4) {
            let Some((id, question)) = self.deferred.pop_first() else { return };
            let answer = self.cache.answer(&question, bytes);
            self.router.settle_deferred(id, &answer);
            self.tell(|_| format!("deferred {id}"));
        }
    }

    /// What can be seen of the worker from outside.
    pub(super) fn observe(&mut self) {
        let ids: Vec<_> = (0..self.clusters.len()).filter_map(ProcessorId::new).collect();
        let counts: Vec<_> = ids.iter().map(|id| self.router.in_flight(*id)).collect();
        let in_flight: usize = counts.iter().map(|n| usize::try_from(*n).expect("a count of streams")).sum();
        assert!(in_flight <= self.streams.len(), "{in_flight} in flight of {} streams", self.streams.len());
        let out: Vec<_> = ids.iter().filter(|id| !self.router.admits(**id, self.now)).collect();
        if in_flight > 0 || !out.is_empty() {
            self.tell(|_| format!("in flight {counts:?}, out {out:?}"));
        }
    }

    /// Every stream ends; then nothing is in flight.
    pub(super) fn end(mut self) -> String {
        for stream in std::mem::take(&mut self.streams) {
            stream.done(&mut self, Ending::Quiet);
        }
        self.observe();
        self.transcript
    }

    fn take(&mut self, bytes: &mut Bytes<'_>) -> Option<Stream> {
        let at = bytes.below(self.streams.len());
        (at < self.streams.len()).then(|| self.streams.remove(at))
    }

    fn response(&mut self, stream: &mut Stream, bytes: &mut Bytes<'_>) {
        stream.answered = Answered::Yes;
        if stream.exchange.is_closed() {
            return;
        }
        let (status, spoke, headers) = messages::response_head(bytes);
        let ends = messages::ends(bytes);
        let head = ResponseHead { status, spoke, headers: Headers::new(&headers), cluster: None };
        let step = stream.exchange.on_response_headers(&mut self.router, head, ends, self.now);
        if ends == Ends::Here {
            assert_ne!(step, Step::HoldResponse, "stream {} waits for a body that is not there", stream.number);
        }
        self.act(stream, step, Phase::Response, bytes);
    }

    /// Does what the step says, as the filter does; the host may not be able to ask.
    fn act(&mut self, stream: &mut Stream, step: Step, phase: Phase, bytes: &mut Bytes<'_>) {
        let mut step = step;
        let route_header = self.router.config().route_header.clone();
        for _ in 0..STEPS_MAX {
            stream.check(&step, phase, &route_header, &self.clusters);
            self.tell(|_| format!("{} {}", stream.number, text::step(&step)));
            stream.hold = match step {
                Step::Pass(_) | Step::Forward(_) | Step::Reply(_) => Hold::Nothing,
                Step::ReadBody => Hold::RequestBody,
                Step::HoldResponse => Hold::ResponseBody,
                Step::Ask(_) if bytes.once_in(16) => {
                    step = stream.exchange.on_answer(&mut self.router, Answer::Unavailable, self.now);
                    continue;
                }
                Step::Ask(question) => Hold::Answer(Box::new(question), phase),
            };
            return;
        }
        panic!("stream {} does not come to rest", stream.number);
    }

    /// Adds a line, and the facts since the last one.
    fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        let line = line(self);
        let _ = write!(self.transcript, "{} {line}", self.now.mono.0);
        while let Some(fact) = self.router.poll_fact() {
            let _ = write!(self.transcript, " {fact:?}");
        }
        self.transcript.push('\n');
    }
}

impl Stream {
    /// The stream is over.
    fn done(mut self, world: &mut World, ending: Ending) {
        self.exchange.on_done(&mut world.router, ending, world.now);
        assert!(self.exchange.is_closed(), "stream {} is over, and not closed", self.number);
        world.tell(|_| format!("{} done {ending:?}", self.number));
    }
}

fn collected(bytes: &[u8], limit: usize) -> Body<'_> {
    if bytes.len() <= limit { Body::Whole(bytes) } else { Body::TooLarge }
}
