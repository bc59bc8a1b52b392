//! What holds for every policy, or for all of one shape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use decision::balance::{BoundedLoad, Fees, HashBy, Keyed, Pick, Policy, Settings, Standing, Weights};
use decision::breaker::Verdict;
use decision::lookup::KeyBuilder;
use decision::payment::Scheme;
use decision::processor::{Candidates, ProcessorId};
use decision::stats::{Approval, Observation};
use proptest::prelude::*;

use super::{Pool, all, at, by_policy, every, id, members, placing, seen};

fn of_mask(mask: u64, n: usize) -> Candidates {
    (0..n).filter(|i| mask >> i & 1 == 1).map(id).collect()
}

/// What a pool of random traffic learns: any mixture of ends.
fn learn(pool: &mut Pool, events: &[(usize, u8, u64)]) {
    for (time, (who, what, number)) in (0_u64..).zip(events) {
        let (now, n) = (at(time * 100), pool.stats.len());
        let Some(stats) = pool.stats.get_mut(who % n) else { continue };
        let verdict = [Verdict::Good, Verdict::Bad, Verdict::Neutral, Verdict::Issuer][usize::from(what % 4)];
        let some = |bit: u8| what >> bit & 1 == 1;
        let observation = Observation {
            approval: some(2).then_some(if some(3) { Approval::Approved } else { Approval::Declined }),
            scheme: some(4).then_some(Scheme::Visa),
            retry_after: some(5).then_some(Duration::from_millis(*number)),
            load: some(6).then_some(f64::from(u32::try_from(*number).unwrap()) / 1_000.0),
            ..seen(verdict, *number)
        };
        stats.sent();
        if some(7) {
            stats.observe(&observation, now);
        }
        if number % 50 == 0 {
            stats.begin_slow_start(now);
        }
    }
}

fn events() -> impl Strategy<Value = Vec<(usize, u8, u64)>> {
    prop::collection::vec((0_usize..64, any::<u8>(), 0_u64..20_000), 0..60)
}

proptest! {
    // Every case runs every policy.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was seen before: only candidates are picked, nothing from none, something from some; the same seed picks
    /// the same; and an explanation changes nothing and calls no candidate's rival by mistake.
    #[test]
    fn only_candidates_are_picked_and_nothing_from_none(
        weights in prop::collection::vec(1_u32..=1_000, 1..9),
        priorities in prop::collection::vec(0_u8..3, 9),
        masks in prop::collection::vec(any::<u64>(), 1..20),
        events in events(),
        slow_start in 0_u64..3_000,
        keyed: bool,
        seed: u64,
    ) {
        for policy in every() {
            // A ring of such weights is a large one, of the same law.
            let weights = if matches!(policy, Policy::RingHash { .. }) {
                weights.iter().map(|w| w % 3 + 1).collect()
            } else {
                weights.clone()
            };
            let build = || {
                let mut settings = by_policy(policy.clone());
                settings.slow_start = Duration::from_millis(slow_start);
                settings.keyed = if keyed { Keyed::Rendezvous } else { Keyed::Policy };
                let mut members = members(&weights);
                members.iter_mut().zip(&priorities).for_each(|(member, priority)| member.priority = *priority);
                let mut pool = Pool::of(settings, members, seed);
                learn(&mut pool, &events);
                pool
            };
            let (mut one, mut other) = (build(), build());
            for (n, mask) in (0_u32..).zip(&masks) {
                let (candidates, now) = (of_mask(*mask, weights.len()), at(6_000 + u64::from(n)));
                let key = KeyBuilder::new("test").part(&n.to_le_bytes()).finish();
                let pick = Pick {
                    key: Some(&key).filter(|_| n % 2 == 0),
                    input: Some(&key.as_bytes()[..4]).filter(|_| n % 3 > 0),
                    scheme: Some(Scheme::Visa).filter(|_| n % 5 > 0),
                    source: Some(std::net::Ipv4Addr::from(n << 8).into()).filter(|_| n % 3 > 0),
                    ..Pick::of(candidates, now)
                };
                let amount = one.amount;
                let pick = Pick { amount: Some(&amount).filter(|_| n % 7 > 0), ..pick };
                let weighed = one.balancer.weigh(&pick, &one.stats);
                prop_assert_eq!(&weighed, &one.balancer.weigh(&pick, &one.stats));
                let picked = one.balancer.pick(&pick, &one.stats, &mut one.rng);
                let again = other.balancer.pick(&pick, &other.stats, &mut other.rng);
                prop_assert_eq!(picked, again, "{:?} is not decided by its seed", policy);
                prop_assert_eq!(picked.is_none(), candidates.is_empty(), "{:?}", policy);
                prop_assert!(picked.is_none_or(|id| candidates.contains(id)), "{:?} picked {:?}", policy, picked);
                prop_assert_eq!(weighed.len(), weights.len());
                for member in &weighed {
                    prop_assert_eq!(candidates.contains(member.id), member.standing != Standing::NotCandidate);
                    prop_assert!(!member.value.is_nan(), "{:?}: {:?}", policy, member);
                }
                let Some(chosen) = weighed.iter().find(|w| Some(w.id) == picked) else { continue };
                let far = matches!(chosen.standing, Standing::NotCandidate | Standing::AnotherPriority);
                prop_assert!(!far, "{:?} picked {:?}", policy, chosen);
                // What was said to be compared decided, where neither chance nor exploration has a say.
                let running = || weighed.iter().filter(|w| w.standing == Standing::Running);
                let mut levels: Vec<u8> = running().map(|w| priorities[w.id.index()]).collect();
                levels.dedup();
                let sign = match chosen.measure {
                    "draw" | "home" => -1.0,
                    "in_flight_by_weight" | "expected_seconds" | "load" if slow_start == 0 && levels.len() == 1 => 1.0,
                    _ => continue,
                };
                let best = running().all(|w| sign * w.value >= sign * chosen.value);
                prop_assert!(best && chosen.standing == Standing::Running, "{:?}: {:?} of {:?}", policy, chosen, weighed);
            }
        }
    }

    /// Without exploration the cheapest of those within the margin is picked, whatever is known.
    #[test]
    fn least_cost_promotes_nobody_outside_of_its_margin(
        known in prop::collection::vec((0_u32..200, 0_u32..200, 0_u32..400), 1..7),
        margin_bp in 0_u32..2_000,
        min_volume in 1_u32..300,
        seed: u64,
    ) {
        let mut listed = members(&vec![1; known.len()]);
        for (member, (_, _, rate_bp)) in listed.iter_mut().zip(&known) {
            member.fees = Some(Arc::new(Fees { rate_bp: *rate_bp, fixed: BTreeMap::new() }));
        }
        let policy = Policy::LeastCost { margin_bp, min_volume, explore_percent: 0 };
        let mut pool = Pool::of(Settings::of(policy), listed, seed);
        for (stats, (approved, declined, _)) in pool.stats.iter_mut().zip(&known) {
            for (count, approval) in [(approved, Approval::Approved), (declined, Approval::Declined)] {
                let observation = Observation { approval: Some(approval), ..seen(Verdict::Good, 100) };
                (0..*count).for_each(|_| stats.observe(&observation, at(0)));
            }
        }
        let believed = |n: usize| known[n].0 + known[n].1 >= min_volume;
        let rate = |n: usize| f64::from(known[n].0) / f64::from(known[n].0 + known[n].1);
        let everyone = || 0..known.len();
        let best = everyone().filter(|n| believed(*n)).map(rate).fold(0.0, f64::max);
        for _ in 0..8 {
            let picked = pool.pick(Pick::of(all(known.len()), at(0))).unwrap().index();
            if everyone().any(believed) {
                prop_assert!(believed(picked), "{} is not known well enough", picked);
                // What is believed leans towards the rate of all, so a rate may seem nearer than counted.
                let margin = f64::from(margin_bp) / 10_000.0 + 10.0 / f64::from(known[picked].0 + known[picked].1);
                let lean = 10.0 / f64::from(min_volume);
                prop_assert!(rate(picked) >= best - margin - lean, "{} at {} of {}", picked, rate(picked), best);
            } else {
                let cheapest = known.iter().map(|k| k.2).min().unwrap();
                prop_assert_eq!(known[picked].2, cheapest);
            }
        }
    }

    /// Fewer candidates move only the keys of those who are gone, whatever else is out: a key whose processor is still
    /// a candidate stays.
    #[test]
    fn an_ejection_moves_only_the_ejected_keys(
        weights in prop::collection::vec(1_u32..=9, 1..9),
        priorities in prop::collection::vec(0_u8..2, 9),
        more: u64,
        fewer: u64,
        seed: u64,
    ) {
        let n = weights.len();
        let (more, fewer) = (of_mask(more, n), of_mask(more & fewer, n));
        let mut cases: Vec<_> = placing().into_iter().map(by_policy).collect();
        cases.push(Settings::of(Policy::Random));
        for settings in cases {
            let mut members = members(&weights);
            members.iter_mut().zip(&priorities).for_each(|(member, priority)| member.priority = *priority);
            let mut pool = Pool::of(settings.clone(), members, seed);
            for i in 0..60_u32 {
                let key = KeyBuilder::new("test").part(&i.to_le_bytes()).finish();
                let mut place = |candidates| match settings.keyed {
                    Keyed::Rendezvous => pool.pick(Pick { key: Some(&key), ..Pick::of(candidates, at(0)) }),
                    Keyed::Policy => pool.pick_for(i, candidates, at(0)),
                };
                let (before, after) = (place(more), place(fewer));
                let stays = before.is_some_and(|id| fewer.contains(id));
                prop_assert!(!stays || before == after, "{:?} key {}: {:?} to {:?}", settings, i, before, after);
            }
        }
    }

    /// Nobody is given more than its bound.
    #[test]
    fn bounded_load_is_never_exceeded(
        weights in prop::collection::vec(1_u32..=5, 1..6),
        callers in prop::collection::vec(0_u32..4, 1..200),
        percent in 100_u32..300,
        ring: bool,
        seed: u64,
    ) {
        let (hash_by, bounded_load) = (HashBy::Tenant, Some(BoundedLoad(percent)));
        let policy = if ring {
            Policy::RingHash { hash_by, bounded_load }
        } else {
            Policy::Maglev { table_size: 1_009, hash_by, bounded_load }
        };
        let mut pool = Pool::new(policy, &weights, seed);
        let all_weights = f64::from(weights.iter().sum::<u32>());
        for (i, caller) in callers.into_iter().enumerate() {
            let total: u32 = pool.stats.iter().map(|s| s.in_flight()).sum();
            let picked = pool.pick_for(caller, all(weights.len()), at(0)).unwrap().index();
            let share = f64::from(percent) / 100.0 * f64::from(total + 1) * f64::from(weights[picked]) / all_weights;
            pool.stats[picked].sent();
            prop_assert!(f64::from(pool.stats[picked].in_flight()) <= (share - 1e-9).ceil(), "{i}: over {share}");
            if i % 3 == 0 {
                let n = pool.stats.len();
                pool.stats[i % n].left();
            }
        }
    }
}

#[test]
fn everybody_gets_some() {
    for policy in every() {
        let mut pool = Pool::new(policy.clone(), &[3, 2, 1], 5);
        let shares = pool.shares(3_000, all(3), at(0));
        assert!(shares.iter().all(|share| *share > 0.001), "{policy:?}: {shares:?}");
    }
}

#[test]
fn weights_are_kept() {
    let exact = [
        (Policy::SmoothWeightedRoundRobin(Weights::Configured), 0.001),
        (Policy::SmoothWeightedRoundRobin(Weights::ReportedLoad), 0.001),
        (Policy::WeightedRandom, 0.015),
        (Policy::LeastConnections, 0.001),
        (Policy::FailureBased, 0.001),
    ];
    // A ring of 160 points per weight, or of 1,024 in all, is that uneven.
    let ring = |p: &Policy| matches!(p, Policy::RingHash { .. } | Policy::EnvoyRingHash { .. });
    let placed = placing().into_iter().map(|p| (p.clone(), if ring(&p) { 0.06 } else { 0.015 }));
    for (policy, tolerance) in exact.into_iter().chain(placed) {
        for weights in [&[3, 2, 1][..], &[1, 1], &[10, 1, 5, 4]] {
            let total = f64::from(weights.iter().sum::<u32>());
            let mut pool = Pool::new(policy.clone(), weights, 9);
            let shares = pool.shares(20_000, all(weights.len()), at(0));
            for (got, weight) in shares.iter().zip(weights) {
                let want = f64::from(*weight) / total;
                assert!((got - want).abs() < tolerance, "{policy:?} {weights:?}: {shares:?}");
            }
        }
    }
}

#[test]
fn without_anything_to_hash_a_pool_takes_turns() {
    for policy in placing() {
        let mut pool = Pool::new(policy, &[3, 2, 1], 1);
        let mut seen = [0; 3];
        for _ in 0..600 {
            seen[pool.pick(Pick::of(all(3), at(0))).unwrap().index()] += 1;
        }
        assert_eq!(seen, [300, 200, 100]);
    }
}

#[test]
fn a_slow_start_grows_and_takes_no_key_back() {
    let slow_start = Duration::from_secs(10);
    let mut cases: Vec<_> = placing().into_iter().map(by_policy).collect();
    cases.extend([Policy::RoundRobin, Policy::WeightedRandom, Policy::LeastResponseTime].map(Settings::of));
    for settings in cases {
        let placing = settings.policy.hash_by().is_some() || settings.policy == Policy::IpHash;
        let mut pool = Pool::of(Settings { slow_start, ..settings.clone() }, members(&[1; 4]), 3);
        pool.stats[2].begin_slow_start(at(0));
        let (mut last, mut had) = (0.0, Vec::new());
        for (seconds, warmth) in [(0, 0.1), (3, 0.3), (6, 0.6), (10, 1.0)] {
            let picks: Vec<_> =
                (0..8_000).map(|i| pool.pick_for(i, all(4), at(seconds * 1_000)) == Some(id(2))).collect();
            let share = f64::from(u32::try_from(picks.iter().filter(|is| **is).count()).unwrap()) / 8_000.0;
            assert!((share - warmth / 4.0).abs() < 0.03 && share > last, "{settings:?} after {seconds} s: {share}");
            let taken_back = had.iter().zip(&picks).any(|(had, has)| *had && !has);
            assert!(!placing || !taken_back, "{settings:?} after {seconds} s");
            (last, had) = (share, picks);
        }
        assert_eq!(pool.pick_for(1, [id(2)].into_iter().collect(), at(0)), Some(id(2)), "there is nobody else");
    }
}

#[test]
fn a_level_spills_over_and_keys_do_not() {
    // Two of five are left near: they take 1.4 * 2/5 of everything.
    let near = Candidates::from_iter([0, 1, 5, 6].map(id));
    let pool = |settings| {
        let mut members = members(&[1; 8]);
        members.iter_mut().skip(5).for_each(|far| far.priority = 1);
        Pool::of(settings, members, 4)
    };
    for policy in super::spreading() {
        let shares = pool(Settings::of(policy.clone())).shares(20_000, near, at(0));
        let far: f64 = shares[5..].iter().sum();
        assert!((far - 0.44).abs() < 0.02, "{policy:?}: {shares:?}");
    }
    for policy in placing() {
        let shares = pool(Settings::of(policy.clone())).shares(2_000, near, at(0));
        assert!(shares[5..].iter().all(|share| *share == 0.0), "{policy:?}: {shares:?}");
    }
}

#[test]
fn a_new_configuration_goes_on_where_the_old_one_was() {
    for policy in [Policy::RoundRobin, Policy::SmoothWeightedRoundRobin(Weights::Configured)] {
        for skipped in 0..6 {
            let weights = if policy == Policy::RoundRobin { [1; 3] } else { [3, 2, 1] };
            let mut kept = Pool::new(policy.clone(), &weights, 8);
            let mut old = Pool::new(policy.clone(), &weights, 8);
            for _ in 0..skipped {
                assert_eq!(kept.pick(Pick::of(all(3), at(0))), old.pick(Pick::of(all(3), at(0))));
            }
            // The processors are listed the other way round.
            let turned = |new: ProcessorId| 2 - new.index();
            let mut listed = members(&weights);
            listed.iter_mut().for_each(|member| member.id = id(turned(member.id)));
            let mut new = Pool::of(Settings::of(policy.clone()), listed, 77);
            new.balancer.inherit(&old.balancer, |new| ProcessorId::new(turned(new)));
            for _ in 0..12 {
                let want = kept.pick(Pick::of(all(3), at(0)));
                let got = new.pick(Pick::of(all(3), at(0))).map(|new| id(turned(new)));
                assert_eq!(got, want, "{policy:?} after {skipped}");
            }
        }
    }
}

#[test]
fn an_explanation_says_why_somebody_is_out() {
    let mut listed = members(&[1; 4]);
    listed[3].priority = 1;
    let settings = Settings { slow_start: Duration::from_secs(10), ..Settings::of(Policy::LeastConnections) };
    let mut pool = Pool::of(settings, listed, 1);
    let asks = Observation { retry_after: Some(Duration::from_secs(9)), ..seen(Verdict::Neutral, 1) };
    pool.stats[1].observe(&asks, at(0));
    pool.stats[2].begin_slow_start(at(0));
    pool.stats[2].sent();
    let weighed = pool.balancer.weigh(&Pick::of(all(4), at(0)), &pool.stats);
    let got: Vec<_> = weighed.iter().map(|w| (w.standing, w.measure, w.value)).collect();
    let measure = "in_flight_by_weight";
    assert_eq!(
        got,
        [
            (Standing::Running, measure, 0.0),
            (Standing::AskedToWait, measure, 0.0),
            (Standing::SlowStart, measure, 1.0),
            (Standing::AnotherPriority, measure, 0.0),
        ]
    );
    assert_eq!(pool.pick(Pick::of(all(4), at(0))), Some(id(0)));
}
