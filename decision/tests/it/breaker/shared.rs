//! What the workers of one proxy agree on, whatever is lost between them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use decision::breaker::{LocalMemory, Memory, Seen, Settings, Standing, Transition, Verdict};
use decision::breakers::{Breakers, Dimension, Leave, Scope, Sender, Traits};
use decision::config::{Config, Processor};
use decision::payment::Scheme;
use decision::processor::ProcessorId;
use decision::rng::Rng;
use decision::time::Mono;
use proptest::prelude::*;

use super::{SECOND, at, of_issuer};
use crate::fixture::config;

/// A shared memory in which a write may lose against one that nobody sees.
#[derive(Clone)]
struct Contended {
    inner: LocalMemory,
    rng: Rc<RefCell<Rng>>,
    /// Of a hundred writes so many lose.
    lost_percent: Rc<Cell<u64>>,
    lost: Rc<Cell<u32>>,
}

impl Memory for Contended {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.inner.read(name)
    }

    fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool {
        if version != 0 && self.rng.borrow_mut().below(100) < self.lost_percent.get() {
            self.lost.set(self.lost.get() + 1);
            return false;
        }
        self.inner.swap(name, value, version)
    }
}

/// The workers of one proxy before one processor.
struct Proxy {
    config: Config,
    memory: Contended,
    workers: Vec<(Breakers, Rng)>,
    rng: Rng,
    now: Mono,
}

const A: &str = "a";

impl Proxy {
    fn new(seed: u64, lost_percent: u64, change: impl Fn(&mut Processor)) -> Self {
        let mut config = config();
        config.processors.iter_mut().for_each(change);
        let mut rng = Rng::new(seed);
        let memory = Contended {
            inner: LocalMemory::default(),
            rng: Rc::new(RefCell::new(Rng::new(rng.draw()))),
            lost_percent: Rc::new(Cell::new(lost_percent)),
            lost: Rc::default(),
        };
        let mut proxy = Self { config, memory, workers: Vec::new(), rng, now: at(1) };
        (0..4).for_each(|_| proxy.start_worker());
        proxy
    }

    fn start_worker(&mut self) {
        let mut rng = Rng::new(self.rng.draw());
        let breakers = Breakers::new(&self.config.processors, Box::new(self.memory.clone()), &mut rng);
        self.workers.push((breakers, rng));
    }

    fn id(&self) -> ProcessorId {
        self.config.processor_named(A).unwrap()
    }

    fn acquire(&mut self, worker: usize, traits: &Traits) -> Option<Leave> {
        let (id, now) = (self.id(), self.now);
        let of = &self.config.processors[id.index()];
        let (breakers, rng) = &mut self.workers[worker];
        breakers.refresh();
        breakers.acquire(id, of, traits, Sender::Charge, now, rng)
    }

    fn settle(&mut self, worker: usize, leave: Leave, seen: Seen) -> Vec<(Scope, Transition)> {
        let (id, now) = (self.id(), self.now);
        let of = &self.config.processors[id.index()];
        let (breakers, rng) = &mut self.workers[worker];
        breakers.refresh();
        breakers.settle(id, of, leave, seen, now, rng);
        breakers.take_told().into_iter().map(|(_, scope, transition)| (scope, transition)).collect()
    }

    fn tick(&mut self, worker: usize) -> Vec<(Scope, Transition)> {
        let now = self.now;
        let (breakers, rng) = &mut self.workers[worker];
        breakers.refresh();
        breakers.tick(&self.config.processors, now, rng);
        breakers.take_told().into_iter().map(|(_, scope, transition)| (scope, transition)).collect()
    }

    fn standing(&mut self, worker: usize, traits: &Traits) -> (Standing, Scope) {
        let (id, now) = (self.id(), self.now);
        let breakers = &mut self.workers[worker].0;
        breakers.refresh();
        breakers.standing(id, &self.config.processors[id.index()], traits, Sender::Charge, now)
    }

    fn call(&mut self, worker: usize, traits: &Traits, seen: Seen) -> Vec<(Scope, Transition)> {
        let leave = self.acquire(worker, traits).expect("it is closed");
        self.settle(worker, leave, seen)
    }
}

const NO_TRAITS: Traits = Traits { scheme: None, issuer_country: None, issuer: None };

#[test]
fn failures_of_all_workers_add_up_and_a_success_of_any_ends_the_row() {
    let mut proxy = Proxy::new(1, 0, |p| p.breaker = Settings::consecutive(3, SECOND, SECOND));
    for worker in [0, 1] {
        assert_eq!(proxy.call(worker, &NO_TRAITS, Verdict::Bad.into()), []);
    }
    assert_eq!(proxy.call(2, &NO_TRAITS, Verdict::Good.into()), []);
    for worker in [3, 0] {
        assert_eq!(proxy.call(worker, &NO_TRAITS, Verdict::Bad.into()), []);
    }
    assert_eq!(proxy.call(1, &NO_TRAITS, Verdict::Bad.into()), [(Scope::Processor, Transition::Opened)]);
    for worker in 0..4 {
        assert!(!proxy.standing(worker, &NO_TRAITS).0.admits(), "worker {worker} knows at once");
    }
    proxy.start_worker();
    assert!(!proxy.standing(4, &NO_TRAITS).0.admits(), "and so does one that is made anew");
}

#[test]
fn what_went_well_before_the_first_failure_does_not_end_the_row() {
    let row = Settings { failure_percent: Some(90), calls_min: 1_000, ..Settings::consecutive(3, SECOND, SECOND) };
    let mut proxy = Proxy::new(1, 0, |p| p.breaker = row.clone());
    for worker in 0..4 {
        assert_eq!(proxy.call(worker, &NO_TRAITS, Verdict::Good.into()), [], "noted, and written later");
    }
    for worker in 0..2 {
        assert_eq!(proxy.call(worker, &NO_TRAITS, Verdict::Bad.into()), []);
    }
    assert_eq!(proxy.call(2, &NO_TRAITS, Verdict::Bad.into()), [(Scope::Processor, Transition::Opened)]);
}

#[test]
fn shares_are_those_of_all_workers() {
    let share = Settings { failure_percent: Some(50), calls_min: 20, ..Settings::consecutive(1_000, SECOND, SECOND) };
    let mut proxy = Proxy::new(1, 0, |p| p.breaker = share.clone());
    let mut opened = Vec::new();
    for n in 0..20 {
        opened.extend(proxy.call(n % 4, &NO_TRAITS, if n < 10 { Verdict::Good } else { Verdict::Bad }.into()));
        if n == 9 {
            (0..4).for_each(|worker| drop(proxy.tick(worker)));
        }
    }
    assert_eq!(opened, [(Scope::Processor, Transition::Opened)], "10 of 20, though no worker saw more than 5");
}

#[test]
fn a_probe_that_never_comes_back_has_failed() {
    let one = Settings { probe_timeout: SECOND * 5, ..Settings::consecutive(1, SECOND, SECOND * 8) };
    let mut proxy = Proxy::new(1, 0, |p| p.breaker = one.clone());
    proxy.call(0, &NO_TRAITS, Verdict::Bad.into());
    proxy.now = proxy.now.after(SECOND);
    let lost = proxy.acquire(1, &NO_TRAITS).expect("the wait is over");
    assert!(lost.is_probe());
    assert_eq!(proxy.tick(1), [(Scope::Processor, Transition::HalfOpened)]);
    // Its worker traps here: the leave is gone, and nobody counts it out.
    for worker in [0, 2, 3] {
        assert!(proxy.acquire(worker, &NO_TRAITS).is_none(), "one probe for all workers");
        assert_eq!(proxy.tick(worker), []);
    }
    proxy.now = proxy.now.after(SECOND * 5);
    assert_eq!(proxy.tick(2), [(Scope::Processor, Transition::Opened)]);
    assert_eq!(proxy.settle(1, lost, Verdict::Good.into()), [], "too late to say anything");
    assert!(!proxy.standing(0, &NO_TRAITS).0.admits());
}

#[test]
fn failures_of_several_issuers_open_their_part_while_the_rest_goes_on() {
    let of = |scheme, issuer| Traits { scheme: Some(scheme), issuer: Some(issuer), issuer_country: None };
    let mut proxy = Proxy::new(1, 0, |p| {
        p.breaker = Settings { issuers: 3, ..Settings::consecutive(3, SECOND, SECOND) };
        p.per = vec![Dimension::Scheme];
    });
    let mut told = Vec::new();
    for n in 0..20 {
        told.extend(proxy.call(n % 4, &of(Scheme::Visa, 7), of_issuer(7)));
    }
    assert_eq!(told, [], "one issuer is neither the processor nor the scheme");
    for (n, issuer) in [(0, 7), (1, 8), (2, 9), (3, 7), (0, 8), (1, 9)] {
        if proxy.standing(n, &of(Scheme::Visa, issuer)).0.admits() {
            told.extend(proxy.call(n, &of(Scheme::Visa, issuer), of_issuer(issuer)));
        }
        told.extend(proxy.call(n, &of(Scheme::Mastercard, 5), Verdict::Good.into()));
    }
    assert_eq!(told, [(Scope::Scheme(Scheme::Visa), Transition::Opened)]);
}

#[test]
fn a_part_opens_alone_and_the_rest_goes_on() {
    let of = |scheme| Traits { scheme: Some(scheme), ..NO_TRAITS };
    let mut proxy = Proxy::new(1, 0, |p| {
        p.breaker = Settings::consecutive(3, SECOND, SECOND);
        p.per = vec![Dimension::Scheme];
    });
    let mut told = Vec::new();
    for n in 0..3 {
        told.extend(proxy.call(n, &of(Scheme::Visa), Verdict::Bad.into()));
        told.extend(proxy.call(n, &of(Scheme::Mastercard), Verdict::Good.into()));
    }
    assert_eq!(told, [(Scope::Scheme(Scheme::Visa), Transition::Opened)]);
    for worker in 0..4 {
        let (visa, whose) = proxy.standing(worker, &of(Scheme::Visa));
        assert!(!visa.admits() && whose == Scope::Scheme(Scheme::Visa));
        for other in [of(Scheme::Mastercard), NO_TRAITS] {
            assert!(proxy.standing(worker, &other).0.admits());
        }
    }
}

proptest! {
    /// Four workers, writes that lose, workers that vanish with their probes and are made anew: never more probes than
    /// there may be in all, nobody admits while the record is open, and it always finds its way back.
    #[test]
    fn workers_agree_whatever_is_lost(
        ops in prop::collection::vec((0_u8..10, 0_usize..4, 0_u64..200), 1..300),
        probes in 1_u32..3, lost_percent in 0_u64..60, seed: u64,
    ) {
        let open = Duration::from_millis(200);
        let settings = Settings { probes, probe_timeout: open * 4, ..Settings::consecutive(3, open, open * 4) };
        let mut proxy = Proxy::new(seed, lost_percent, |p| p.breaker = settings.clone());
        let mut out: Vec<(usize, Leave)> = Vec::new();
        let mut state = (Transition::Closed, proxy.now);
        let mut probing = 0;
        let mut follow = |told: Vec<(Scope, Transition)>, probing: &mut u32, now: Mono| {
            for (_, transition) in told {
                if transition == Transition::HalfOpened {
                    *probing = 0;
                }
                state = (transition, now);
            }
            state
        };
        for (op, worker, wait) in ops {
            proxy.now = proxy.now.after(Duration::from_millis(wait / 8));
            let now = proxy.now;
            match op {
                0..=4 => {
                    let got = proxy.acquire(worker, &NO_TRAITS);
                    let told = proxy.workers[worker].0.take_told();
                    let (state, since) = follow(
                        told.into_iter().map(|(_, s, t)| (s, t)).collect(), &mut probing, now);
                    if let Some(leave) = got {
                        probing += u32::from(leave.is_probe());
                        prop_assert!(state != Transition::Opened || now >= since.after(open / 2));
                        prop_assert_eq!(leave.is_probe(), state == Transition::HalfOpened);
                        prop_assert!(!leave.is_probe() || probing <= probes, "{} probes", probing);
                        out.push((worker, leave));
                    }
                }
                5..=7 if !out.is_empty() => {
                    let (worker, leave) = out.swap_remove(usize::try_from(wait).unwrap() % out.len());
                    let verdict = if op == 5 { Verdict::Good } else { Verdict::Bad };
                    let told = proxy.settle(worker, leave, verdict.into());
                    follow(told, &mut probing, now);
                }
                8 => {
                    let told = proxy.tick(worker);
                    follow(told, &mut probing, now);
                }
                9 if wait < 20 => {
                    // The worker's VM is gone, and whatever it had out with it.
                    out.retain(|(owner, _)| *owner != worker);
                    proxy.start_worker();
                    let last = proxy.workers.pop().expect("just made");
                    proxy.workers[worker] = last;
                }
                _ => {}
            }
        }
        // However it stands, good answers bring it back within a few of the longest waits.
        proxy.memory.lost_percent.set(0);
        for _ in 0..40 {
            proxy.now = proxy.now.after(open);
            (0..4).for_each(|worker| drop(proxy.tick(worker)));
            if let Some(leave) = proxy.acquire(0, &NO_TRAITS) {
                proxy.settle(0, leave, Verdict::Good.into());
            }
        }
        for worker in 0..4 {
            prop_assert_eq!(proxy.standing(worker, &NO_TRAITS).0, Standing::Closed);
        }
    }
}

/// What stands in the memory is never more than a few names, each bounded.
#[test]
fn the_memory_is_bounded() {
    #[derive(Clone, Default)]
    struct Sizes(LocalMemory, Rc<RefCell<BTreeMap<String, usize>>>);
    impl Memory for Sizes {
        fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
            self.0.read(name)
        }
        fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool {
            self.1.borrow_mut().insert(name.to_owned(), value.len());
            self.0.swap(name, value, version)
        }
    }
    let (sizes, mut rng) = (Sizes::default(), Rng::new(1));
    let mut config = config();
    config.processors.iter_mut().for_each(|p| {
        p.breaker = Settings { probes: 16, ..Settings::consecutive(1, SECOND, SECOND) };
        p.per = vec![Dimension::Scheme, Dimension::IssuerCountry];
    });
    let mut breakers = Breakers::new(&config.processors, Box::new(sizes.clone()), &mut rng);
    let id = config.processor_named(A).unwrap();
    let of = &config.processors[id.index()];
    let mut now = at(1);
    for n in 0..5_000_u32 {
        let letters = [n / 26 % 26, n % 26].map(|i| char::from(b'A' + u8::try_from(i).unwrap()));
        let country: String = letters.iter().collect();
        let traits = Traits { issuer_country: country.parse().ok(), issuer: Some(n), ..NO_TRAITS };
        now = now.after(SECOND * 2);
        breakers.refresh();
        if let Some(leave) = breakers.acquire(id, of, &traits, Sender::Charge, now, &mut rng) {
            breakers.settle(id, of, leave, Verdict::Bad.into(), now, &mut rng);
        }
    }
    let sizes = sizes.1.borrow();
    assert!(sizes.len() <= 26 * 26 + config.processors.len() + 1, "{} names", sizes.len());
    assert!(sizes.values().all(|bytes| *bytes < 600), "{:?}", sizes.values().max());
}
