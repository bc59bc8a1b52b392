//! The world: an event queue over virtual time, and what stands outside of `decision`.

use std::collections::BTreeMap;

use decision::breaker::Transition;
use decision::exchange::{Body, Ending, Ends, Exchange, Headers, ResponseHead, Step};
use decision::fact::Fact;
use decision::lookup::{Answer, Claim, Key, Question};
use decision::payment::Spoke;
use decision::processor::ProcessorId;
use decision::rng::Rng;
use decision::router::Router;
use decision::time::{Mono, Now, Wall};

use crate::fixture::{CHARGE, REFUSED, TIMED_OUT, config, lines, set};

const WORKERS: usize = 4;
const CHARGES: u64 = 300;
const NAMES: [&str; 3] = ["a", "b", "c"];
/// c charges again on a key it has seen: see the fixture's profile.
const REPLAYS: [bool; 3] = [true, true, false];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Approve,
    Decline,
    /// Answers 503 and executes nothing.
    Down,
    /// Executes, and its answer is lost.
    Lossy,
    /// Does not listen.
    Refuse,
}

struct Processor {
    mode: Mode,
    /// Approved executions: id and key.
    ledger: Vec<(String, Option<u64>)>,
    answers: BTreeMap<u64, String>,
}

enum Event {
    Charge { key: Option<u64>, tries: u32 },
    CacheAnswer { x: usize, answer: Answer },
    Response { x: usize, status: u16, spoke: Spoke, body: Option<String> },
    HangUp { x: usize },
    Fault { processor: usize, mode: Mode },
}

struct Live {
    worker: usize,
    exchange: Exchange,
    key: Option<u64>,
    tries: u32,
    body: Option<String>,
    over: bool,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    open: bool,
    /// The exchange that probes while half-open.
    half_open: Option<Option<usize>>,
}

pub(super) struct World {
    rng: Rng,
    seed: u64,
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    workers: Vec<(Router, [Seen; 3])>,
    processors: Vec<Processor>,
    claims: BTreeMap<Key, String>,
    claims_lost: bool,
    live: Vec<Live>,
    succeeded: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let workers = (0..WORKERS).map(|_| (Router::new(config(), rng.draw()), Default::default())).collect();
        let processor = |_| Processor { mode: Mode::Approve, ledger: Vec::new(), answers: BTreeMap::new() };
        let mut world = Self {
            rng,
            seed,
            now: 1_000_000,
            queue: BTreeMap::new(),
            queued: 0,
            workers,
            processors: (0..3).map(processor).collect(),
            claims: BTreeMap::new(),
            claims_lost: false,
            live: Vec::new(),
            succeeded: Vec::new(),
            counts: BTreeMap::new(),
        };
        for n in 0..CHARGES {
            let at = world.rng.below(20_000_000);
            let key = (world.rng.below(2) == 0).then_some(n);
            world.later(at, Event::Charge { key, tries: 0 });
        }
        for _ in 0..12 {
            let (at, processor) = (world.rng.below(20_000_000), world.pick(3));
            let mode = [Mode::Approve, Mode::Decline, Mode::Down, Mode::Lossy, Mode::Refuse][world.pick(5)];
            world.later(at, Event::Fault { processor, mode });
        }
        world
    }

    /// Every claim is forgotten at once: what the laws must catch.
    pub(super) fn lose_claims(&mut self) {
        self.claims_lost = true;
    }

    pub(super) fn run(&mut self) {
        // Bounded: every charge is tried four times at most, and every try has a handful of events.
        for _ in 0..100_000 {
            let Some(((at, _), event)) = self.queue.pop_first() else { return };
            self.now = at;
            self.happen(event);
        }
        panic!("seed {}: the world does not end", self.seed);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Fault { processor, mode } => self.processors[processor].mode = mode,
            Event::Charge { key, tries } => self.begin(key, tries),
            Event::HangUp { x } => self.end(x, "hung up"),
            Event::CacheAnswer { x, answer } if !self.live[x].over => {
                let admitted_now = matches!(answer, Answer::Claimed(Claim::Existing, _));
                let (now, live) = (self.clock(), &mut self.live[x]);
                let step = live.exchange.on_answer(&mut self.workers[live.worker].0, answer, now);
                self.act(x, step, admitted_now);
            }
            Event::Response { x, status, spoke, body } if !self.live[x].over => {
                let (now, live) = (self.clock(), &mut self.live[x]);
                let router = &mut self.workers[live.worker].0;
                let head = ResponseHead { status, spoke, headers: Headers::new(&[]), cluster: None };
                let ends = if body.is_some() { Ends::Later } else { Ends::Here };
                let mut step = live.exchange.on_response_headers(router, head, ends, now);
                live.body = body;
                if let (Step::HoldResponse, Some(body)) = (&step, &live.body) {
                    step = live.exchange.on_response_body(router, Body::Whole(body.as_bytes()), now);
                }
                self.act(x, step, false);
            }
            // The client is gone: nobody waits for it.
            Event::CacheAnswer { .. } | Event::Response { .. } => {}
        }
    }

    fn begin(&mut self, key: Option<u64>, tries: u32) {
        let (x, worker) = (self.live.len(), self.pick(WORKERS));
        self.live.push(Live { worker, exchange: Exchange::default(), key, tries, body: None, over: false });
        let key = key.map(|key| format!("key-{key}")).unwrap_or_default();
        let mut head: Vec<(&str, &[u8])> =
            vec![(":method", b"POST"), (":path", b"/v1/payments"), ("content-type", b"application/json")];
        if !key.is_empty() {
            head.push(("idempotency-key", key.as_bytes()));
        }
        let (now, head) = (self.clock(), lines(&head));
        let (router, exchange) = (&mut self.workers[worker].0, &mut self.live[x].exchange);
        assert_eq!(exchange.on_request_headers(router, Headers::new(&head), Ends::Later, now), Step::ReadBody);
        let step = exchange.on_request_body(router, Body::Whole(CHARGE.as_bytes()), now);
        self.act(x, step, true);
        if self.rng.below(20) == 0 {
            let at = self.rng.below(60_000);
            self.later(at, Event::HangUp { x });
        }
    }

    fn act(&mut self, x: usize, step: Step, admitted_now: bool) {
        let admitted = match &step {
            Step::Ask(Question::Claim { processor, .. }) => Some(processor.clone()),
            Step::Forward(edits) if admitted_now => set(edits, "x-switchyard-cluster"),
            _ => None,
        };
        self.watch(x, admitted.map(|name| place(&name)));
        let wait = 200 + self.rng.below(2_000);
        match step {
            Step::Forward(edits) => self.arrive(x, place(&set(&edits, "x-switchyard-cluster").unwrap())),
            Step::Ask(Question::Claim { key, processor }) => {
                let answer = if self.claims_lost {
                    Answer::Claimed(Claim::Fresh, processor)
                } else if self.rng.below(50) == 0 {
                    // The claim may have been stored all the same.
                    self.claims.entry(key).or_insert(processor);
                    Answer::Unavailable
                } else {
                    match self.claims.get(&key) {
                        Some(holder) => Answer::Claimed(Claim::Existing, holder.clone()),
                        None => {
                            self.claims.insert(key, processor.clone());
                            Answer::Claimed(Claim::Fresh, processor)
                        }
                    }
                };
                self.later(wait, Event::CacheAnswer { x, answer });
            }
            Step::Ask(_) => self.later(wait, Event::CacheAnswer { x, answer: Answer::Stored }),
            Step::Pass(_) => {
                let body = self.live[x].body.clone().unwrap_or_default();
                let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
                let status = json["status"].as_str().unwrap_or("no answer").to_owned();
                if status == "succeeded" {
                    self.succeeded.push(json["id"].as_str().unwrap().to_owned());
                }
                self.end(x, &status);
            }
            Step::Reply(reply) => self.end(x, reply.details),
            Step::ReadBody | Step::HoldResponse => panic!("seed {}: held for nothing", self.seed),
        }
    }

    /// The charge is at its processor.
    fn arrive(&mut self, x: usize, at: usize) {
        let (wait, key, id) = (5_000 + self.rng.below(40_000), self.live[x].key, format!("pay-{at}-{x}"));
        let processor = &mut self.processors[at];
        let replayed = key.filter(|_| REPLAYS[at]).and_then(|key| processor.answers.get(&key).cloned());
        let mut executed = |status: &str| {
            let body = replayed.clone().unwrap_or_else(|| {
                if status == "succeeded" {
                    processor.ledger.push((id.clone(), key));
                }
                format!(r#"{{"id":"{id}","status":"{status}"}}"#)
            });
            key.map(|key| processor.answers.insert(key, body.clone()));
            Some(body)
        };
        let (status, spoke, body) = match processor.mode {
            Mode::Approve => (201, Spoke::Processor, executed("succeeded")),
            // The fixture's c knows no declines: its answer is unclear, and blames it.
            Mode::Decline => (201, Spoke::Processor, executed("declined")),
            Mode::Down => (503, Spoke::Processor, Some("{}".to_owned())),
            Mode::Refuse => (503, REFUSED, None),
            Mode::Lossy => {
                executed("succeeded");
                (504, TIMED_OUT, None)
            }
        };
        self.later(wait, Event::Response { x, status, spoke, body });
    }

    fn end(&mut self, x: usize, how: &str) {
        let now = self.clock();
        let live = &mut self.live[x];
        if std::mem::replace(&mut live.over, true) {
            return;
        }
        live.exchange.on_done(&mut self.workers[live.worker].0, Ending::Quiet, now);
        let (key, tries) = (live.key, live.tries);
        self.watch(x, None);
        *self.counts.entry(how.to_owned()).or_default() += 1;
        // A client with a key tries again until it knows.
        if key.is_some() && tries < 3 && !matches!(how, "succeeded" | "declined") {
            let wait = 50_000 + self.rng.below(3_000_000);
            self.later(wait, Event::Charge { key, tries: tries + 1 });
        }
    }

    /// Follows the breakers by their facts, and judges an admission by them.
    fn watch(&mut self, x: usize, admitted: Option<usize>) {
        let seed = self.seed;
        let (router, seen) = &mut self.workers[self.live[x].worker];
        while let Some(fact) = router.poll_fact() {
            if let Fact::Breaker(id, _, transition) = fact {
                seen[id.index()] = match transition {
                    Transition::Opened => Seen { open: true, half_open: None },
                    Transition::HalfOpened => Seen { open: false, half_open: Some(None) },
                    Transition::Closed => Seen::default(),
                };
            }
        }
        if admitted.is_some() || self.live[x].over {
            // An exchange is counted in once: with its new admission, or its end, an earlier one is over.
            for one in seen.iter_mut().filter(|one| one.half_open == Some(Some(x))) {
                one.half_open = Some(None);
            }
        }
        let Some(at) = admitted else { return };
        assert!(!seen[at].open, "seed {seed}: admitted at {} while open", NAMES[at]);
        if let Some(probe) = &mut seen[at].half_open {
            let others = probe.is_some_and(|other| other != x && !self.live[other].over);
            assert!(!others, "seed {seed}: two probes at {}", NAMES[at]);
            *probe = Some(x);
        }
    }

    pub(super) fn check(&self) {
        let seed = self.seed;
        assert!(self.live.iter().all(|live| live.over), "seed {seed}: an exchange never ended");
        for (router, _) in &self.workers {
            for id in (0..3).filter_map(ProcessorId::new) {
                assert_eq!(router.in_flight(id), 0, "seed {seed}: in flight at {id:?}");
            }
        }
        let mut keys: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        let mut ids: BTreeMap<&str, u32> = BTreeMap::new();
        for (processor, name) in self.processors.iter().zip(NAMES) {
            for (id, key) in &processor.ledger {
                *ids.entry(id).or_default() += 1;
                if let Some(key) = key {
                    keys.entry(*key).or_default().push(name);
                }
            }
        }
        for (key, at) in keys {
            assert!(at.len() == 1, "seed {seed}: key {key} was executed at {at:?}");
        }
        for id in &self.succeeded {
            assert_eq!(ids.get(id.as_str()), Some(&1), "seed {seed}: {id} succeeded in no ledger, or in two");
        }
    }

    pub(super) fn summary(&self) -> String {
        let executed: Vec<_> = self.processors.iter().map(|p| p.ledger.len()).collect();
        format!(
            "seed {}: {} tries of {CHARGES} charges in {} virtual seconds, executed at a, b, c: {executed:?}, answers: {:?}",
            self.seed,
            self.live.len(),
            self.now / 1_000_000,
            self.counts
        )
    }

    fn later(&mut self, wait: u64, event: Event) {
        self.queue.insert((self.now + wait, self.queued), event);
        self.queued += 1;
    }

    fn clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(0) }
    }

    fn pick(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap()
    }
}

fn place(name: &str) -> usize {
    NAMES.iter().position(|n| name.ends_with(n)).unwrap()
}
