//! The state machine by itself.

use std::time::Duration;

use decision::breaker::{Grant, Mode, Record, Seen, Settings, Span, Transition, Verdict};
use decision::rng::Rng;
use decision::time::Mono;
use proptest::prelude::*;

use super::{SECOND, at, of_issuer, settings};

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
