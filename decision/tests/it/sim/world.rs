//! The world: an event queue over virtual time, and what happens to proxies and their workers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use decision::breaker::Verdict;
use decision::exchange::Exchange;
use decision::fact::Fact;
use decision::heartbeat;
use decision::lookup::{Answer, Key, Question};
use decision::payment::Evidence;
use decision::processor::ProcessorId;
use decision::rng::Rng;
use decision::router::{Heartbeat, Router};
use decision::time::{Mono, Now, Wall};
use xxhash_rust::xxh64::xxh64;

use super::bank::{Bank, Reply};
use super::breakers::{Model, Sent};
use super::choices::{Choices, Mistaken};
use super::laws::{Law, Laws};
use super::memory::{Shared, Writes};
use super::plan::{Plan, SECOND, index};

/// Microseconds between two ticks of a worker.
const TICK: u64 = SECOND / 2;
/// Microseconds after the last charge by when its retries, time-outs and deferred writes are over.
const AFTER: u64 = 60 * SECOND;

/// What is wrong with a world: the laws must see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// Every claim is forgotten at once.
    ClaimsLost,
    /// Writes to shared memory do not look whether another came between.
    Careless,
    /// Every worker has a memory of its own.
    Apart,
    /// Who hangs up is not counted out.
    Forgets,
    /// The split goes by what is no merchant.
    Splits,
    Judge(Mistaken),
}

/// A payment that somebody wants to make, by as many tries as it takes.
#[derive(Clone, Debug)]
pub(super) struct Sale {
    pub(super) key: Option<u64>,
    pub(super) merchant: Option<String>,
    pub(super) currency: &'static str,
    pub(super) card: usize,
    pub(super) source: Ipv4Addr,
    pub(super) shopper: Option<String>,
}

pub(super) enum Event {
    Charge {
        sale: usize,
        tries: u32,
    },
    /// None: the shell waits no longer.
    CacheAnswer {
        x: usize,
        answer: Option<Answer>,
    },
    Response {
        x: usize,
        at: usize,
        reply: Reply,
    },
    HangUp {
        x: usize,
    },
    Tick {
        instance: usize,
    },
    Beat {
        instance: usize,
        n: usize,
        at: usize,
        beat: Heartbeat,
        status: Option<u16>,
    },
    Trap {
        proxy: usize,
        worker: usize,
    },
    Reload {
        proxy: usize,
        version: usize,
    },
}

/// One worker under one configuration.
pub(super) struct Instance {
    pub(super) router: Rc<RefCell<Router>>,
    pub(super) proxy: usize,
    pub(super) worker: usize,
    pub(super) version: usize,
    /// The place in the plan of each of its processors.
    pub(super) places: Vec<usize>,
    pub(super) alive: bool,
    /// What must be in flight, by place in the plan.
    pub(super) counted: BTreeMap<usize, u32>,
}

pub(super) struct Proxy {
    /// One for all workers; or, where they are apart, one for each.
    pub(super) memories: Vec<Shared>,
    /// The instance of each worker that takes what is new.
    pub(super) workers: Vec<usize>,
    pub(super) model: Model,
    version: usize,
}

/// One try of a sale.
pub(super) struct Live {
    pub(super) instance: usize,
    pub(super) exchange: Exchange,
    pub(super) sale: usize,
    pub(super) tries: u32,
    pub(super) body: Option<String>,
    /// Where it is counted in.
    pub(super) at: Option<usize>,
    /// Where it was sent.
    pub(super) sent: Option<usize>,
    pub(super) over: bool,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) fault: Fault,
    pub(super) rng: Rng,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    pub(super) digest: u64,
    pub(super) plan: Plan,
    pub(super) proxies: Vec<Proxy>,
    pub(super) instances: Vec<Instance>,
    pub(super) banks: Vec<Bank>,
    pub(super) sales: Vec<Sale>,
    pub(super) live: Vec<Live>,
    pub(super) claims: BTreeMap<Key, String>,
    pub(super) laws: Laws,
    pub(super) choices: Choices,
    /// Ids that somebody was told have succeeded.
    pub(super) succeeded: Vec<String>,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) outcomes: BTreeMap<(usize, &'static str), u64>,
    beats: usize,
}

impl World {
    pub(super) fn new(seed: u64, fault: Fault) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(seed, &mut rng);
        Self::of(seed, fault, plan, rng)
    }

    pub(super) fn of(seed: u64, fault: Fault, mut plan: Plan, rng: Rng) -> Self {
        if fault == Fault::Splits {
            plan.split_by = "bin";
        }
        let mut world = Self {
            seed,
            fault,
            rng,
            now: SECOND,
            queue: BTreeMap::new(),
            queued: 0,
            digest: 0,
            proxies: Vec::new(),
            instances: Vec::new(),
            banks: plan.made.iter().map(|_| Bank::default()).collect(),
            sales: Vec::new(),
            live: Vec::new(),
            claims: BTreeMap::new(),
            laws: Laws::default(),
            choices: Choices::default(),
            succeeded: Vec::new(),
            counts: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            beats: 0,
            plan,
        };
        if let Fault::Judge(mistaken) = fault {
            world.choices.mistaken = mistaken;
        }
        world.found();
        world.schedule();
        world
    }

    fn found(&mut self) {
        let writes = if self.fault == Fault::Careless { Writes::Careless } else { Writes::Checked };
        let memories = if self.fault == Fault::Apart { self.plan.workers } else { 1 };
        for proxy in 0..self.plan.proxies {
            let memories = (0..memories).map(|_| Shared::new(writes)).collect();
            self.proxies.push(Proxy { memories, workers: Vec::new(), model: Model::default(), version: 0 });
            for worker in 0..self.plan.workers {
                let instance = self.start(proxy, worker);
                self.proxies[proxy].workers.push(instance);
            }
        }
    }

    fn schedule(&mut self) {
        let mut left = self.plan.charges;
        while left > 0 {
            // Now and then many at one moment: their workers race.
            let burst = if self.rng.below(8) == 0 { (2 + self.rng.below(5)).min(left) } else { 1 };
            left -= burst;
            let at = self.rng.below(self.plan.horizon);
            for _ in 0..burst {
                let sale = self.draw_sale();
                self.sales.push(sale);
                self.later(at, Event::Charge { sale: self.sales.len() - 1, tries: 0 });
            }
        }
        for proxy in 0..self.plan.proxies {
            for _ in 0..self.plan.traps {
                let (at, worker) = (self.rng.below(self.plan.horizon), index(&mut self.rng, self.plan.workers));
                self.later(at, Event::Trap { proxy, worker });
            }
            for version in 1..self.plan.versions.len() {
                // One after the other, each proxy in its own time.
                let at = self.plan.horizon / 6 * version as u64 + self.rng.below(self.plan.horizon / 8);
                self.later(at, Event::Reload { proxy, version });
            }
        }
    }

    fn draw_sale(&mut self) -> Sale {
        let rng = &mut self.rng;
        let source = Ipv4Addr::from(u32::try_from(rng.below(1 << 32)).unwrap());
        // Those who come back: their place must be the one they had.
        let regular = rng.below(16);
        let currency = self.plan.currencies[index(rng, self.plan.currencies.len())];
        let merchants = if currency == "USD" { 200 } else { 15 };
        Sale {
            key: (rng.below(100) < self.plan.keyed).then_some(self.sales.len() as u64),
            merchant: (rng.below(12) != 0).then(|| format!("shop-{}-{}", self.seed, rng.below(merchants))),
            currency,
            card: index(rng, super::plan::CARDS.len()),
            source: if regular < 12 { Ipv4Addr::new(10, 0, u8::try_from(regular).unwrap(), 7) } else { source },
            shopper: (rng.below(10) != 0).then(|| format!("shopper-{}", rng.below(15))),
        }
    }

    /// A worker made anew over the memory of its proxy.
    fn start(&mut self, proxy: usize, worker: usize) -> usize {
        let version = self.proxies[proxy].version;
        let config = self.plan.config(version);
        let place = |name: &str| self.plan.made.iter().position(|made| made.name == name).unwrap();
        let places = config.processors.iter().map(|p| place(&p.name)).collect();
        let memories = &self.proxies[proxy].memories;
        let memory = memories[worker % memories.len()].clone();
        let router = Router::sharing(config, self.rng.draw(), Box::new(memory));
        let router = Rc::new(RefCell::new(router));
        let counted = BTreeMap::new();
        self.instances.push(Instance { router, proxy, worker, version, places, alive: true, counted });
        let instance = self.instances.len() - 1;
        let wait = self.rng.below(TICK);
        self.later(wait, Event::Tick { instance });
        instance
    }

    pub(super) fn run(&mut self) {
        // Bounded: every charge is tried four times at most, every try has a handful of events, and ticks end.
        for _ in 0..2_000_000 {
            let Some(((at, _), event)) = self.queue.pop_first() else { return self.judge_the_end() };
            self.now = at;
            self.happen(event);
        }
        panic!("seed {}: the world does not end", self.seed);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Charge { sale, tries } => self.begin(sale, tries),
            Event::CacheAnswer { x, answer } => self.on_cache_answer(x, answer),
            Event::Response { x, at, reply } => {
                self.banks[at].leave();
                self.on_response(x, reply);
            }
            Event::HangUp { x } => self.on_hang_up(x),
            Event::Tick { instance } => self.on_tick(instance),
            Event::Beat { instance, n, at, beat, status } => self.on_beat(instance, n, at, beat, status),
            Event::Trap { proxy, worker } => self.on_trap(proxy, worker),
            Event::Reload { proxy, version } => self.on_reload(proxy, version),
        }
    }

    /// The charge that comes at this very moment, too.
    pub(super) fn rival(&mut self) -> Option<(usize, u32)> {
        let first = self.queue.first_entry()?;
        match (first.key().0 == self.now, first.get()) {
            (true, Event::Charge { sale, tries }) => {
                let rival = (*sale, *tries);
                first.remove();
                Some(rival)
            }
            _ => None,
        }
    }

    fn on_tick(&mut self, instance: usize) {
        if !self.instances[instance].alive {
            return;
        }
        let now = self.clock();
        let router = self.instances[instance].router.clone();
        router.borrow_mut().tick(now);
        self.facts(instance, None);
        while let Some((id, question)) = { router.borrow_mut().take_due(now) } {
            let answer = if self.is_out() { Answer::Unavailable } else { self.stored(&question) };
            router.borrow_mut().settle_deferred(id, &answer);
        }
        self.facts(instance, None);
        let Instance { proxy, worker, .. } = self.instances[instance];
        let version = self.instances[instance].version;
        self.proxies[proxy].model.expired(&self.plan, &mut self.laws, version, self.now);
        while self.proxies[proxy].workers[worker] == instance {
            let taken = router.borrow_mut().take_heartbeat(now);
            self.facts(instance, None);
            let Some(beat) = taken else { break };
            let at = self.instances[instance].places[beat.processor().index()];
            self.beats += 1;
            let n = self.beats;
            let model = &mut self.proxies[proxy].model;
            if model.send(&self.plan, &mut self.laws, (at, None), Sent::Beat(n), self.now) {
                self.laws.saw(Law::Probes, "a heartbeat probes");
            }
            let (wait, status) = self.banks[at].beat(&self.plan.made[at], self.now, &mut self.rng);
            self.later(wait, Event::Beat { instance, n, at, beat, status });
        }
        if self.now < self.plan.horizon + AFTER {
            self.later(TICK, Event::Tick { instance });
        }
    }

    fn on_beat(&mut self, instance: usize, n: usize, at: usize, beat: Heartbeat, status: Option<u16>) {
        if !self.instances[instance].alive {
            return;
        }
        let now = self.clock();
        self.instances[instance].router.borrow_mut().settle_heartbeat(beat, status, now);
        self.facts(instance, None);
        let verdict = if heartbeat::is_good(status) { Verdict::Good } else { Verdict::Bad };
        let proxy = self.instances[instance].proxy;
        self.proxies[proxy].model.judged(at, Sent::Beat(n), verdict);
    }

    /// The worker is lost with all it was doing, and made anew.
    fn on_trap(&mut self, proxy: usize, worker: usize) {
        let lost = self.proxies[proxy].workers[worker];
        for instance in 0..self.instances.len() {
            // A VM holds what its earlier configurations still do.
            let of = &mut self.instances[instance];
            if of.proxy != proxy || of.worker != worker || !of.alive {
                continue;
            }
            of.alive = false;
            for x in 0..self.live.len() {
                if self.live[x].instance == instance && !self.live[x].over {
                    let at = self.live[x].at;
                    if at.is_some_and(|at| self.proxies[proxy].model.is_out(at, Sent::Charge(x))) {
                        self.laws.saw(Law::Probes, "a worker was lost with its probe");
                    }
                    self.live[x].over = true;
                    self.laws.saw(Law::InFlight, "lost with its worker");
                    self.close(x, "reset");
                }
            }
        }
        self.note("trap", lost);
        let instance = self.start(proxy, worker);
        self.proxies[proxy].workers[worker] = instance;
    }

    /// New routers take what is new, over the same memory; what is under way ends where it began.
    fn on_reload(&mut self, proxy: usize, version: usize) {
        self.proxies[proxy].version = version;
        for worker in 0..self.plan.workers {
            let old = self.proxies[proxy].workers[worker];
            let new = self.start(proxy, worker);
            hand_over(&self.instances[new], &self.instances[old]);
            self.proxies[proxy].workers[worker] = new;
            let busy: u32 = self.instances[old].counted.values().sum();
            if busy > 0 {
                self.laws.saw(Law::InFlight, "a router was replaced while busy");
            }
        }
        self.note("reload", version);
    }

    /// Drains the facts of a worker after what happened to `sent`. Where a charge went in a panic is told.
    pub(super) fn facts(&mut self, instance: usize, sent: Option<Sent>) -> Option<usize> {
        let Instance { router, proxy, places, .. } = &self.instances[instance];
        let model = &mut self.proxies[*proxy].model;
        let mut panicked = None;
        while let Some(fact) = { router.borrow_mut().poll_fact() } {
            match fact {
                Fact::Breaker(id, scope, to) => {
                    let key = (places[id.index()], scope);
                    model.change(&self.plan, &mut self.laws, (key, to), sent, self.now);
                }
                Fact::Settled { processor, outcome, .. } => {
                    let at = places[processor.index()];
                    *self.outcomes.entry((at, outcome.as_str())).or_default() += 1;
                    if let Some(sent) = sent {
                        model.settled(&mut self.laws, at, sent, outcome);
                    }
                }
                Fact::Evidence(id, evidence) => {
                    let Some(Sent::Charge(x)) = sent else { continue };
                    let ledger = &self.banks[places[id.index()]].ledger;
                    let undone = matches!(evidence, Evidence::NotSent | Evidence::NotProcessed);
                    let executed = ledger.iter().any(|(of, _)| *of == x);
                    let what = format!("proven: {}", evidence.as_str());
                    self.laws.judge(Law::Money, what, !(undone && executed), || format!("{x}: {evidence:?}"));
                }
                Fact::Panicked(id) => panicked = Some(places[id.index()]),
                _ => {}
            }
        }
        panicked
    }

    /// Is what a worker has in flight what it must have?
    pub(super) fn judge_in_flight(&mut self, instance: usize) {
        let Instance { router, places, counted, .. } = &self.instances[instance];
        let router = router.borrow();
        let ids = (0..).map_while(ProcessorId::new).zip(places);
        let both = ids.map(|(id, at)| (router.in_flight(id), counted.get(at).copied().unwrap_or(0)));
        let right = both.clone().all(|(got, want)| got == want);
        self.laws.judge(Law::InFlight, "counted in and out", right, || {
            format!("worker {instance} at {}: got and wanted {:?}", self.now, both.collect::<Vec<_>>())
        });
    }

    /// Is the cache-service away?
    pub(super) fn is_out(&mut self) -> bool {
        let away = self.plan.outage.contains(&self.now);
        (away && self.rng.below(10) < 8) || self.rng.below(80) == 0
    }

    pub(super) fn stored(&mut self, question: &Question) -> Answer {
        assert!(matches!(question, Question::StorePin { .. }), "seed {}: {question:?} was put off", self.seed);
        Answer::Stored
    }

    pub(super) fn note(&mut self, what: &str, of: usize) {
        let line = format!("{} {what} {of}", self.now);
        self.digest = xxh64(line.as_bytes(), self.digest);
    }

    pub(super) fn later(&mut self, wait: u64, event: Event) {
        self.queue.insert((self.now + wait, self.queued), event);
        self.queued += 1;
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: Mono(self.now), wall: Wall(self.now) }
    }
}

/// What a new configuration's worker goes on from.
fn hand_over(new: &Instance, old: &Instance) {
    let (mut new, mut old) = (new.router.borrow_mut(), old.router.borrow_mut());
    new.inherit(&old);
    new.inherit_writes(&mut old);
}
