//! The test world as a place to play a scenario: the real filter under virtual time, models of everything else.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use world::{Ending, Filter, StreamId, World};

use super::host::{Call, Deed, Host, HostError, Outcome, Seen, Sent};
use super::proxy::from_envoy_yaml;
use super::script::Scenario;
use crate::stage::Stage;
use crate::stage::cache::{CacheModel, Condition};
use crate::stage::processor::ProcessorModel;
use e2e::processor::{Control, Counts, Row};
use e2e::stack::{Acquirer, render};

/// How long an answer may take at most, as at Envoy.
const DEADLINE: Duration = Duration::from_secs(30);
/// How finely time is cut while something is waited for.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// What the cache-service asks for.
const TOKEN: &str = "a-token-of-the-world";
/// What the world puts before the names of a filter's counters.
const METRICS_PREFIX: &str = "wasmcustom.";

/// A world of its own for one scenario.
pub struct WorldHost {
    world: World,
    processors: [Rc<RefCell<ProcessorModel>>; 3],
    cache: Rc<RefCell<CacheModel>>,
    workers: usize,
    /// Whom a new connection meets.
    draws: Rng,
    /// Workers of connections, by their names.
    connections: BTreeMap<String, usize>,
    details: BTreeMap<usize, String>,
    calls: usize,
}

impl WorldHost {
    /// Makes what `scenario` is played on: `filter`, under the shipped configuration `yaml` with the scenario's edits.
    pub fn new(scenario: &Scenario, yaml: &str, filter: Filter, seed: u64) -> Result<Self, HostError> {
        let told = |error: &dyn std::fmt::Display| HostError(error.to_string());
        let text = render(yaml, &[], &scenario.edits).map_err(|error| told(&error))?;
        let proxy = from_envoy_yaml(&text, &[("SWITCHYARD_CACHE_TOKEN", TOKEN)]).map_err(|error| told(&error))?;
        let workers = usize::from(scenario.workers).max(1);
        let stage = Stage::start(filter, proxy, TOKEN, workers, seed).map_err(|error| told(&error))?;
        let Stage { world, processors, cache } = stage;
        let draws = Rng::with_seed(seed);
        let (connections, details) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { world, processors, cache, workers, draws, connections, details, calls: 0 })
    }

    fn worker(&mut self, call: &Call) -> usize {
        let drawn = self.draws.usize(..self.workers);
        match &call.connection {
            None => drawn,
            Some(name) => *self.connections.entry(name.clone()).or_insert(drawn),
        }
    }

    fn send(&mut self, worker: usize, at: Duration, call: &Call) -> StreamId {
        self.world.send(worker, at, request(call))
    }

    fn control(&self, all: Vec<(Acquirer, Control)>) -> Result<(), HostError> {
        for (who, control) in all {
            let set = self.processors[who as usize].borrow_mut().set(control);
            set.map_err(|error| HostError(error.to_string()))?;
        }
        Ok(())
    }

    fn is_over(&self, id: StreamId) -> bool {
        self.world.answer(id).ending != Ending::Open
    }

    fn sent(&mut self, id: StreamId) -> Sent {
        let answer = self.world.answer(id);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let outcome = match answer.ending {
            Ending::Whole => {
                let lines = answer.headers.iter().flatten().filter(|(name, _)| !name.starts_with(b":"));
                Outcome::Answer(Seen {
                    status: answer.status(),
                    headers: lines.map(|(name, value)| (text(name), value.clone())).collect(),
                    body: answer.body.clone(),
                    took: answer.took,
                })
            }
            Ending::Left => Outcome::Left,
            Ending::Broken => Outcome::Broken("the connection ended".to_owned()),
            Ending::Open => Outcome::Broken(format!("no whole answer within {DEADLINE:?}")),
        };
        let call = self.calls;
        self.calls += 1;
        if let Outcome::Answer(_) = outcome {
            self.details.insert(call, self.world.access(id).details);
        }
        Sent { id: call, outcome }
    }
}

/// A request in the world's pieces, with the lines that a client and Envoy's codec add.
fn request(call: &Call) -> world::Request {
    let mut head = world::http::lines([
        (":authority", "proxy"),
        (":path", call.path.as_str()),
        (":method", call.method.as_str()),
        (":scheme", "http"),
    ]);
    // Blanks around a value are no part of it: the codec takes them away.
    head.extend(call.headers.iter().map(|(name, value)| (name.clone(), value.trim_ascii().to_vec())));
    let chunked = call.pace.chunk_bytes.is_some() || call.pace.unfinished;
    let length = call.body.as_ref().map(|body| body.len().to_string());
    match &length {
        Some(_) if chunked => head.extend(world::http::lines([("transfer-encoding", "chunked")])),
        Some(length) => head.extend(world::http::lines([("content-length", length.as_str())])),
        None => {}
    }
    let body = call.body.as_deref().unwrap_or_default();
    let mut spent = Duration::ZERO;
    let mut request = world::Request::head(head, body.is_empty() && !call.pace.unfinished);
    let size = call.pace.chunk_bytes.filter(|_| chunked).unwrap_or(body.len()).max(1);
    let last = body.chunks(size).count();
    for (n, chunk) in (1..).zip(body.chunks(size)) {
        let gap = if n == 1 { Duration::ZERO } else { call.pace.pause };
        spent += gap;
        request = request.body(gap, chunk, n == last && !call.pace.unfinished);
    }
    match call.leave {
        Some(leave) => request.disconnect(leave.saturating_sub(spent)),
        None => request,
    }
}

impl Host for WorldHost {
    async fn group(&mut self, deeds: Vec<(Duration, Deed)>) -> Result<Vec<Option<Sent>>, HostError> {
        let began = self.world.now();
        let (mut streams, mut others) = (Vec::new(), Vec::new());
        for (at, deed) in deeds {
            streams.push(match deed {
                Deed::Call(call) => {
                    let worker = self.worker(&call);
                    Some(self.send(worker, began + at, &call))
                }
                other => {
                    others.push((at, other));
                    None
                }
            });
        }
        others.sort_by_key(|(at, _)| *at);
        for (at, other) in others {
            if !at.is_zero() {
                self.world.run_until(began + at);
            }
            match other {
                Deed::Control(all) => self.control(all)?,
                Deed::Cache(condition) => self.cache(condition).await?,
                Deed::Call(_) => {}
            }
        }
        let open = |host: &Self| streams.iter().flatten().any(|id| !host.is_over(*id));
        while open(self) && self.world.now() < began + DEADLINE {
            self.world.run_for(LOOK_EVERY);
        }
        let all = streams.into_iter().map(|id| id.map(|id| self.sent(id))).collect();
        self.world.forget_ended();
        Ok(all)
    }

    async fn load(&mut self, calls: Vec<Call>, in_flight: usize) -> Result<Vec<Sent>, HostError> {
        let mut all: Vec<Option<Sent>> = std::iter::repeat_with(|| None).take(calls.len()).collect();
        let mut todo: VecDeque<_> = calls.iter().enumerate().collect();
        let mut lanes: Vec<Option<(usize, StreamId)>> = vec![None; in_flight];
        let until = self.world.now() + DEADLINE * 4;
        while all.iter().any(Option::is_none) {
            for (worker, lane) in lanes.iter_mut().enumerate() {
                if let Some((n, id)) = *lane
                    && (self.is_over(id) || self.world.now() > until)
                {
                    all[n] = Some(self.sent(id));
                    *lane = None;
                }
                if lane.is_none()
                    && let Some((n, call)) = todo.pop_front()
                {
                    *lane = Some((n, self.send(worker % self.workers, self.world.now(), call)));
                }
            }
            // Whatever has ended by now was taken above.
            self.world.forget_ended();
            self.world.run_for(LOOK_EVERY);
        }
        Ok(all.into_iter().flatten().collect())
    }

    async fn wait(&mut self, time: Duration) -> Result<(), HostError> {
        self.world.run_for(time);
        Ok(())
    }

    fn now(&self) -> Duration {
        self.world.now()
    }

    async fn clear_ledger(&mut self, who: Acquirer) -> Result<(), HostError> {
        self.processors[who as usize].borrow_mut().clear_ledger();
        Ok(())
    }

    async fn cache(&mut self, condition: Condition) -> Result<(), HostError> {
        self.cache.borrow_mut().set(condition);
        Ok(())
    }

    async fn ledgers(&mut self) -> Result<[Vec<Row>; 3], HostError> {
        if let Some(fatal) = self.world.fatal().first() {
            return Err(HostError(format!("the real Envoy would have ended: {fatal}")));
        }
        Ok(self.processors.each_ref().map(|model| model.borrow().ledger().unwrap_or_default()))
    }

    async fn arrived(&mut self) -> Result<[Counts; 3], HostError> {
        Ok(self.processors.each_ref().map(|model| model.borrow().status().counts))
    }

    async fn metrics(&mut self) -> Result<BTreeMap<String, u64>, HostError> {
        let own = |(name, value): (String, u64)| Some((name.strip_prefix(METRICS_PREFIX)?.to_owned(), value));
        Ok(self.world.metrics().into_iter().filter_map(own).collect())
    }

    async fn details(&mut self) -> Result<BTreeMap<usize, String>, HostError> {
        Ok(self.details.clone())
    }
}
