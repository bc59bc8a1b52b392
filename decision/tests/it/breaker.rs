//! Breakers: when they open, what they let through, and what several workers of a proxy agree on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use decision::breaker::{
    Grant, LocalMemory, Memory, Mode, Record, Seen, Settings, Span, Standing, Transition, Verdict,
};
use decision::breakers::{Breakers, Dimension, Leave, Scope, Sender, Traits};
use decision::config::{Config, Processor};
use decision::payment::Scheme;
use decision::processor::ProcessorId;
use decision::rng::Rng;
use decision::time::Mono;
use proptest::prelude::*;

use crate::fixture::config;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings::consecutive(3, SECOND, SECOND * 8)
}

fn at(millis: u64) -> Mono {
    Mono(millis * 1_000)
}

/// Plays verdicts, one each 10 ms, through a fresh record; how many it took to open it.
fn opens_after(settings: &Settings, seen: impl IntoIterator<Item = Seen>) -> Option<usize> {
    let (mut record, mut rng) = (Record::default(), Rng::new(1));
    for (n, seen) in (1_usize..).zip(seen) {
        let now = at(u64::try_from(n).unwrap() * 10);
        let (grant, _) = record.acquire(1, settings, now)?;
        if record.settle(&grant, seen, 1, settings, now, &mut rng) == Some(Transition::Opened) {
            return Some(n);
        }
    }
    None
}

fn slow(verdict: Verdict) -> Seen {
    Seen { took: Some(SECOND * 6), ..verdict.into() }
}

fn of_issuer(issuer: u32) -> Seen {
    Seen { issuer: Some(issuer), ..Verdict::Issuer.into() }
}

#[test]
fn when_it_opens() {
    use Verdict::*;
    let by_share = Settings { consecutive_failures: 1_000, calls_min: 10, failure_percent: Some(50), ..settings() };
    let by_calls = Settings { span: Span::Calls(20), ..by_share.clone() };
    let by_slow = Settings { slow_call: SECOND * 5, slow_percent: Some(40), failure_percent: None, ..by_share.clone() };
    let issuers = Settings { issuers: 3, ..settings() };
    let every_other = |a: Verdict, b: Verdict| (0..200).map(move |n| Seen::from(if n % 2 == 0 { a } else { b }));
    let some = |verdicts: &[Verdict]| verdicts.iter().map(|v| Seen::from(*v)).collect::<Vec<_>>();

    assert_eq!(opens_after(&settings(), some(&[Bad, Bad, Bad])), Some(3));
    assert_eq!(opens_after(&settings(), some(&[Bad, Bad, Good, Bad, Bad, Neutral, Bad])), Some(7));
    assert_eq!(opens_after(&settings(), every_other(Bad, Good)), None, "never in a row");
    // Of ten calls five failed: half of them.
    assert_eq!(opens_after(&by_share, every_other(Good, Bad)), Some(10));
    assert_eq!(opens_after(&by_calls, every_other(Good, Bad)), Some(10));
    assert_eq!(opens_after(&by_share, (0..200).map(|n| Seen::from(if n % 3 == 0 { Bad } else { Good }))), None);
    assert_eq!(opens_after(&by_share, some(&[Bad; 9])), None, "fewer calls say nothing");
    assert_eq!(opens_after(&by_slow, (0..200).map(|_| slow(Good))), Some(10));
    assert_eq!(opens_after(&by_slow, (0..200).map(|_| slow(Neutral))), Some(10), "clients that gave up on a slow call");
    assert_eq!(opens_after(&by_slow, every_other(Good, Neutral)), None);
    assert_eq!(
        opens_after(&settings(), (0..50).map(|_| slow(Good))),
        None,
        "slow calls are looked at only where asked"
    );
    assert_eq!(opens_after(&issuers, (0..100).map(|_| of_issuer(7))), None, "one issuer is not the processor");
    assert_eq!(opens_after(&issuers, (0..100).map(|n| of_issuer(n % 2))), None);
    // The first two issuers' failures do not count; from the third issuer on every one does.
    assert_eq!(opens_after(&issuers, (0..100).map(|n| of_issuer(n % 3))), Some(5));
    assert_eq!(opens_after(&issuers, some(&[Issuer, Issuer, Issuer])), Some(3), "an issuer nobody knows");
    for mode in [Mode::Disabled, Mode::ForcedOpen] {
        assert_eq!(opens_after(&Settings { mode, ..settings() }, some(&[Bad; 50])), None);
    }
    let observed = Settings { mode: Mode::Observe, ..settings() };
    assert_eq!(opens_after(&observed, some(&[Bad; 5])), Some(3));
}

#[test]
fn what_it_lets_through_by_mode() {
    for (mode, open, want) in [
        (Mode::Enforce, false, true),
        (Mode::Enforce, true, false),
        (Mode::Observe, true, true),
        (Mode::Disabled, true, true),
        (Mode::ForcedOpen, false, false),
    ] {
        let (mut record, mut rng) = (Record::default(), Rng::new(1));
        for _ in 0..if open { 3 } else { 0 } {
            let (grant, _) = record.acquire(1, &settings(), at(1)).unwrap();
            record.settle(&grant, Verdict::Bad.into(), 1, &settings(), at(1), &mut rng);
        }
        let settings = Settings { mode, ..settings() };
        assert_eq!(record.standing(&settings, at(2)).admits(), want, "{mode:?}");
        assert_eq!(record.acquire(1, &settings, at(2)).is_some(), want, "{mode:?}");
    }
}

#[test]
fn an_opening_soon_after_a_closing_is_longer() {
    let (mut record, mut rng) = (Record::default(), Rng::new(5));
    let settings = Settings { consecutive_failures: 1, ..settings() };
    let mut now = at(0);
    let mut trip = |record: &mut Record, now: &mut Mono, pause: Duration| {
        *now = now.after(pause);
        let (grant, _) = record.acquire(1, &settings, *now).unwrap();
        assert_eq!(record.settle(&grant, Verdict::Bad.into(), 1, &settings, *now, &mut rng), Some(Transition::Opened));
        let wait = record.standing(&settings, *now).wait();
        *now = now.after(wait);
        let (grant, _) = record.acquire(2, &settings, *now).unwrap();
        assert_eq!(record.settle(&grant, Verdict::Good.into(), 1, &settings, *now, &mut rng), Some(Transition::Closed));
        wait
    };
    // Waits lie between half of the whole and the whole; the whole doubles from one second.
    for (pause, whole) in [(1, 1), (1, 2), (1, 4), (1, 8), (1, 8), (9, 1)] {
        let wait = trip(&mut record, &mut now, SECOND * pause);
        assert!(wait >= SECOND * whole / 2 && wait <= SECOND * whole, "{wait:?} is not around {whole} s");
    }
}

proptest! {
    /// Nothing is admitted from the moment a breaker opens until half its shortest wait is over, and of probes never
    /// more than there may be in all; judged by a model of its own.
    #[test]
    fn admits_nothing_while_open_and_so_many_probes(
        ops in prop::collection::vec((0_u8..6, 0_u64..120), 1..400), probes in 1_u32..4, seed: u64,
    ) {
        let open = Duration::from_millis(100);
        let settings = Settings { probes, ..Settings::consecutive(3, open, open * 8) };
        let (mut record, mut rng, mut now) = (Record::default(), Rng::new(seed), Mono(0));
        let mut out: Vec<Grant> = Vec::new();
        let mut opened: Option<Mono> = None;
        // Of this half-open time: probes given less those that said nothing.
        let mut given = 0;
        for (permit, (op, millis)) in (1_u64..).zip(ops) {
            now = now.after(Duration::from_millis(millis / 4));
            let admits = record.standing(&settings, now).admits();
            let too_early = opened.is_some_and(|at| now < at.after(open / 2));
            if op < 3 {
                let got = record.acquire(permit, &settings, now);
                prop_assert_eq!(got.is_some(), admits);
                if let Some((grant, transition)) = got {
                    if transition == Some(Transition::HalfOpened) {
                        given = 0;
                    }
                    given += u32::from(grant.is_probe());
                    prop_assert!(!too_early && given <= probes, "admitted at {:?}, {} probes", now, given);
                    prop_assert_eq!(grant.is_probe(), opened.is_some());
                    out.push(grant);
                }
            } else if !out.is_empty() {
                let grant = out.swap_remove(usize::try_from(millis).unwrap() % out.len());
                let verdict = [Verdict::Good, Verdict::Bad, Verdict::Neutral][usize::from(op - 3)];
                match record.settle(&grant, verdict.into(), 1, &settings, now, &mut rng) {
                    Some(Transition::Opened) => (opened, given) = (Some(now), 0),
                    Some(Transition::Closed) => (opened, given) = (None, 0),
                    Some(Transition::HalfOpened) => prop_assert!(false, "a result cannot half-open"),
                    None if grant.is_probe() && verdict == Verdict::Neutral => given = given.saturating_sub(1),
                    None => {}
                }
                out.retain(|grant| !grant.is_probe() || opened.is_some());
            }
            prop_assert!(record.standing(&settings, now).wait() <= settings.open_max);
            prop_assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
        }
    }

    /// Bytes that are no record are none, or one that reads back as it was.
    #[test]
    fn any_bytes_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Some(record) = Record::decode(&bytes) {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }
}

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

/// What could have opened it keeps it open.
#[test]
fn a_slow_probe_or_an_unknown_issuers_failure_opens_again() {
    let slow_calls = Settings { slow_call: SECOND * 5, slow_percent: Some(40), ..settings() };
    for (settings, seen, opens) in [
        (slow_calls.clone(), slow(Verdict::Good), true),
        (slow_calls, slow(Verdict::Neutral), true),
        (settings(), slow(Verdict::Good), false),
        (settings(), Verdict::Issuer.into(), true),
        (settings(), of_issuer(3), false),
    ] {
        let (mut record, mut rng) = (Record::default(), Rng::new(1));
        for _ in 0..3 {
            let (grant, _) = record.acquire(1, &settings, at(1)).unwrap();
            record.settle(&grant, Verdict::Bad.into(), 1, &settings, at(1), &mut rng);
        }
        let (grant, _) = record.acquire(2, &settings, at(2_000)).expect("the wait is over");
        let told = record.settle(&grant, seen, 1, &settings, at(2_000), &mut rng);
        assert_eq!(told == Some(Transition::Opened), opens, "{seen:?}");
    }
}

/// A half-open breaker, a window and an opening that were made under another configuration.
#[test]
fn another_configuration_neither_freezes_a_breaker_nor_a_window() {
    let three = Settings { probes: 3, ..settings() };
    for results in [vec![Verdict::Good], vec![Verdict::Good, Verdict::Good], vec![Verdict::Good, Verdict::Neutral]] {
        let (mut record, mut rng) = (Record::default(), Rng::new(1));
        for _ in 0..3 {
            let (grant, _) = record.acquire(1, &three, at(1)).unwrap();
            record.settle(&grant, Verdict::Bad.into(), 1, &three, at(1), &mut rng);
        }
        for (permit, verdict) in (2_u64..).zip(results) {
            let (grant, _) = record.acquire(permit, &three, at(2_000)).unwrap();
            record.settle(&grant, verdict.into(), 1, &three, at(2_000), &mut rng);
        }
        let one = Settings { probes: 1, ..settings() };
        let (grant, _) = record.acquire(9, &one, at(2_001)).expect("one may always go where none is out");
        assert_eq!(record.settle(&grant, Verdict::Good.into(), 1, &one, at(2_001), &mut rng), Some(Transition::Closed));
    }

    let share =
        |span| Settings { consecutive_failures: 1_000, calls_min: 10, failure_percent: Some(50), span, ..settings() };
    let (mut record, mut rng) = (Record::default(), Rng::new(1));
    let hours = 240 * 3_600_000;
    let mut play = |record: &mut Record, settings: &Settings, millis: u64, verdict: Verdict| {
        let (grant, _) = record.acquire(1, settings, at(hours + millis)).unwrap();
        record.settle(&grant, verdict.into(), 1, settings, at(hours + millis), &mut rng)
    };
    let (short, long) = (share(Span::Time(SECOND * 10)), share(Span::Time(SECOND * 60)));
    (0..9).for_each(|n| assert_eq!(play(&mut record, &short, n, Verdict::Bad), None));
    assert_eq!(
        play(&mut record, &long, 100, Verdict::Bad),
        None,
        "what the old window held says nothing in the new one"
    );
    let opened = (0..9).filter(|n| play(&mut record, &long, 200 + n, Verdict::Bad).is_some()).count();
    assert_eq!(opened, 1, "and the new one counts");

    let long = Settings { open: SECOND * 3_600, open_max: SECOND * 3_600, ..settings() };
    let (mut record, mut rng) = (Record::default(), Rng::new(1));
    for _ in 0..3 {
        let (grant, _) = record.acquire(1, &long, at(1)).unwrap();
        record.settle(&grant, Verdict::Bad.into(), 1, &long, at(1), &mut rng);
    }
    record.expire(&settings(), at(2), &mut rng);
    assert!(record.standing(&settings(), at(2)).wait() <= SECOND * 8, "no opening is longer than the new bound");
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
