//! The world: virtual time, workers, streams and upstreams, one event at a time.

mod call;
mod client;
mod flow;
mod guest;
mod router;
mod stream;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::{CalloutId, ContextId, HttpCallResponse, QueueId};

pub use client::{Answer, Ending, Request};
pub use stream::Access;

use crate::clock::Time;
use crate::http::Headers;
use crate::lent::Phase;
use crate::proxy::Proxy;
use crate::shared::Shared;
use crate::upstream::{Piece, Upstream};
use crate::vm::{Bounds, Calls, Filter, LogLine, Reach, StartError, Vm, VmSpec};
use client::Sent;
use stream::Stream;

/// Events at one moment that are no longer believed to end.
const AT_ONCE_MAX: u32 = 1_000_000;

/// What a world is made of.
pub struct Setup {
    /// The filter.
    pub filter: Filter,
    /// The proxy's configuration.
    pub proxy: Proxy,
    /// The only host of each cluster, by the cluster's name; shared, so that a test can read and change it.
    pub upstreams: Upstreams,
    /// Number of workers, at least 1.
    pub workers: usize,
    /// What every drawn number follows from.
    pub seed: u64,
    /// What a VM may use.
    pub bounds: Bounds,
}

/// Upstreams by the name of their cluster.
pub type Upstreams = BTreeMap<String, Rc<RefCell<dyn Upstream>>>;

/// Why a world did not begin, and what its VMs had logged.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotStarted {
    /// Why.
    #[source]
    pub why: StartError,
    /// What was logged.
    pub log: Vec<LogLine>,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

/// What happens at a moment.
enum Event {
    /// A piece of a request arrives.
    Client(StreamId, Sent),
    /// A connection is refused, or nobody answers it.
    Unconnected { stream: StreamId, attempt: u64, silent: bool },
    /// A whole request arrives.
    Arrives { stream: StreamId, attempt: u64 },
    /// A piece of an upstream's answer arrives.
    Upstream { stream: StreamId, attempt: u64, piece: Piece },
    /// A route's time-out, if that attempt still runs.
    RouteTimeout { stream: StreamId, attempt: u64 },
    /// A look at whether the stream has moved since.
    Idle(StreamId),
    /// The request should be whole.
    RequestTimeout(StreamId),
    /// The answer to a call, and the cluster whose place it held.
    Called {
        vm: usize,
        generation: u32,
        context: ContextId,
        callout: CalloutId,
        cluster: String,
        answer: HttpCallResponse<'static>,
    },
    /// A queue has an item, and this root is told.
    Queue { vm: usize, generation: u32, root: ContextId, queue: QueueId },
    /// The root of an earlier configuration has had its time.
    Drained { vm: usize, generation: u32, root: ContextId },
    /// A root's timer, if it was not set again since.
    Tick { vm: usize, generation: u32, root: ContextId, timer: u64 },
}

/// The lines of what happened, as a digest, and as text where it is kept.
#[derive(Default)]
struct Trace {
    digest: DefaultHasher,
    count: u64,
    lines: Option<Vec<String>>,
}

/// A proxy with W workers and a main thread, its filter, its upstreams, and a clock that stands still between events.
pub struct World {
    time: Time,
    spec: VmSpec,
    proxy: Proxy,
    rng: fastrand::Rng,
    /// The workers, and last the main thread.
    vms: Vec<Vm>,
    /// The newest timer of each root that ticks.
    timers: BTreeMap<(usize, ContextId), u64>,
    streams: BTreeMap<StreamId, Stream>,
    events: BTreeMap<(Duration, u64), Event>,
    next: u64,
    upstreams: Upstreams,
    /// Requests at a cluster now.
    in_flight: BTreeMap<String, u32>,
    stats: BTreeMap<&'static str, u64>,
    fatal: Vec<&'static str>,
    trace: Trace,
}

impl World {
    /// Loads the filter into every VM: a throw-away one first, then the main thread's, then each worker's.
    ///
    /// # Errors
    /// What the first VM says that refuses the configuration or fails.
    pub fn new(setup: Setup) -> Result<Self, NotStarted> {
        let mut world = Self::empty(&setup);
        match world.start(setup.workers.max(1)) {
            Ok(()) => Ok(world),
            Err(why) => Err(NotStarted { why, log: world.log() }),
        }
    }

    fn empty(setup: &Setup) -> Self {
        let Setup { filter, proxy, upstreams, seed, bounds, .. } = setup;
        let spec = VmSpec {
            filter: filter.clone(),
            bounds: *bounds,
            time: Time::default(),
            log: Arc::default(),
            shared: Arc::<Shared>::default(),
            calls: Arc::<Calls>::default(),
        };
        Self {
            time: spec.time.clone(),
            spec,
            proxy: proxy.clone(),
            rng: fastrand::Rng::with_seed(*seed),
            vms: Vec::new(),
            timers: BTreeMap::new(),
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            next: 0,
            upstreams: upstreams.clone(),
            in_flight: BTreeMap::new(),
            stats: BTreeMap::new(),
            fatal: Vec::new(),
            trace: Trace::default(),
        }
    }

    fn start(&mut self, workers: usize) -> Result<(), StartError> {
        self.tell_clusters();
        drop(self.start_vm("canary", 0)?);
        let main = self.start_vm("main", 0)?;
        for worker in 0..workers {
            let vm = self.start_vm(&format!("worker-{worker}"), 0)?;
            self.vms.push(vm);
        }
        self.vms.push(main);
        for vm in 0..self.vms.len() {
            self.after_call(vm);
        }
        Ok(())
    }

    fn start_vm(&mut self, label: &str, generation: u32) -> Result<Vm, StartError> {
        let seed = self.rng.u64(..);
        Vm::start(&self.spec, label, generation, seed, &self.proxy.plugin)
    }

    /// Gives the filter another configuration, tried in a throw-away VM first: one that is refused changes nothing.
    ///
    /// # Errors
    /// What the filter says to it.
    pub fn reconfigure(&mut self, configuration: &[u8]) -> Result<(), StartError> {
        let old = std::mem::replace(&mut self.proxy.plugin.configuration, configuration.to_vec());
        if let Err(refused) = self.start_vm("canary", 0) {
            self.proxy.plugin.configuration = old;
            return Err(refused);
        }
        for vm in 0..self.vms.len() {
            if self.vms[vm].has_failed() {
                self.revive(vm);
                continue;
            }
            // A VM that fails here falls to the failure policy, as it would at any other callback.
            if let Ok(old) = self.vms[vm].reconfigure(&self.proxy.plugin) {
                let generation = self.vms[vm].generation;
                self.schedule_in(self.proxy.drain_time, Event::Drained { vm, generation, root: old });
            }
            self.after_call(vm);
        }
        Ok(())
    }

    /// Sends a request on a connection of `worker`, `at` that moment or now if that has passed.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn send(&mut self, worker: usize, at: Duration, request: Request) -> StreamId {
        assert!(worker < self.workers(), "worker {worker} of {}", self.workers());
        let id = StreamId(self.next);
        self.next += 1;
        let mut at = at.max(self.now());
        self.streams.insert(id, Stream::new(worker, id.0, at));
        for (gap, piece) in request.into_pieces() {
            at += gap;
            self.schedule(at, Event::Client(id, piece));
        }
        id
    }

    /// What the client of a request has got so far.
    ///
    /// # Panics
    /// If it was forgotten.
    pub fn answer(&self, id: StreamId) -> &Answer {
        &self.streams[&id].answer
    }

    /// Has the client of a request leave now, if its answer is not over.
    pub fn leave(&mut self, id: StreamId) {
        self.client_sent(id, Sent::Disconnect);
    }

    /// When a request was sent.
    ///
    /// # Panics
    /// If it was forgotten.
    pub fn sent_at(&self, id: StreamId) -> Duration {
        self.streams[&id].began
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.vms.len() - 1
    }

    /// What the access log would say of a request.
    ///
    /// # Panics
    /// If it was forgotten.
    pub fn access(&self, id: StreamId) -> Access {
        self.streams[&id].access()
    }

    /// Forgets the requests that have ended, so that a long run stays small.
    pub fn forget_ended(&mut self) {
        self.streams.retain(|_, stream| !stream.closed);
    }

    /// Since the world began.
    pub fn now(&self) -> Duration {
        self.time.now()
    }

    /// Lets everything happen that is due until then.
    ///
    /// # Panics
    /// If more than a million things happen at one moment: a filter that answers each call with another, for ever.
    pub fn run_until(&mut self, until: Duration) {
        let mut at_once = 0_u32;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            at_once = if entry.key().0 > self.time.now() { 0 } else { at_once + 1 };
            assert!(at_once < AT_ONCE_MAX, "a million events at {:?}: this does not end", self.time.now());
            let ((at, _), event) = entry.remove_entry();
            self.time.set(at);
            self.happen(event);
        }
        self.time.set(until.max(self.now()));
    }

    /// The same for so long from now.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Counters and gauges under Envoy's names: the filter's own begin with `wasmcustom.`, those of its VMs with
    /// `wasm.` and the plugin's name.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        let plugin = &self.proxy.plugin.name;
        let own = self.stats.iter().map(|(name, value)| (format!("wasm.{plugin}.{name}"), *value));
        let custom = self.spec.shared.metrics().into_iter().map(|(name, value)| (format!("wasmcustom.{name}"), value));
        custom.chain(own).collect()
    }

    /// What guests did that ends the real Envoy, with every stream in it. The world goes on, so that all can be told.
    pub fn fatal(&self) -> &[&'static str] {
        &self.fatal
    }

    /// What the guests logged.
    pub fn log(&self) -> Vec<LogLine> {
        self.spec.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the lines of what happens from now on, beside their digest.
    pub fn keep_trace(&mut self) {
        self.trace.lines.get_or_insert_default();
    }

    /// The lines kept.
    pub fn trace(&self) -> &[String] {
        self.trace.lines.as_deref().unwrap_or_default()
    }

    /// How many lines there were in all, and a digest of them, of every message, of what the guests logged and of what
    /// they counted: two worlds that did the same have the same.
    pub fn digest(&self) -> (u64, u64) {
        let mut digest = self.trace.digest.clone();
        for line in self.log() {
            (line.at, line.vm, line.text).hash(&mut digest);
        }
        self.metrics().hash(&mut digest);
        (self.trace.count, digest.finish())
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:?} {}", self.now(), line());
        line.hash(&mut self.trace.digest);
        self.trace.count += 1;
        if let Some(lines) = &mut self.trace.lines {
            lines.push(line);
        }
    }

    /// A message takes part in the digest.
    fn weigh(&mut self, headers: &Headers, body: &[u8]) {
        (headers, body).hash(&mut self.trace.digest);
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        let at = at.max(self.now());
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    fn schedule_in(&mut self, delay: Duration, event: Event) {
        self.schedule(self.now() + delay, event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Client(id, sent) => self.client_sent(id, sent),
            Event::Unconnected { stream, attempt, silent } => self.unconnected(stream, attempt, silent),
            Event::Arrives { stream, attempt } => self.arrived(stream, attempt),
            Event::Upstream { stream, attempt, piece } => self.upstream_sent(stream, attempt, piece),
            Event::RouteTimeout { stream, attempt } => self.route_timed_out(stream, attempt),
            Event::Idle(id) => self.look_whether_idle(id),
            Event::RequestTimeout(id) => self.request_timed_out(id),
            Event::Called { vm, generation, context, callout, cluster, answer } => {
                self.leave_cluster(&cluster);
                self.call_answered(vm, generation, context, callout, answer);
            }
            Event::Queue { vm, generation, root, queue } => self.tell_queue(vm, generation, root, queue),
            Event::Drained { vm, generation, root } => self.end_root(vm, generation, root),
            Event::Tick { vm, generation, root, timer } => self.tick(vm, generation, root, timer),
        }
    }

    /// Which clusters a call can reach, told to where calls are taken.
    fn tell_clusters(&self) {
        let reach =
            |name: &String| (name.clone(), if self.upstreams.contains_key(name) { Reach::Open } else { Reach::Closed });
        self.spec.calls.set_clusters(self.proxy.clusters.keys().map(reach).collect());
    }

    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id).filter(|stream| !stream.closed)
    }
}

/// Whether a piece of a message is its last.
fn is_last(piece: &Piece) -> bool {
    match piece {
        Piece::Head { end, .. } | Piece::Body { end, .. } => *end,
        Piece::Trailers(_) | Piece::Reset => true,
    }
}

/// The name of a callback's phase in the trace.
fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Request => "request",
        Phase::Response => "response",
    }
}
