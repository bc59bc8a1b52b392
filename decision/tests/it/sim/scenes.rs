//! Worlds that are drawn for one law: those that would seldom be put to the test by chance.

use decision::rng::Rng;
use serde_json::{Value, json};

use super::choices::Mistaken;
use super::hold;
use super::laws::{Kind, Law};
use super::plan::{Breaks, Phase, Plan, SECOND};
use super::world::{Fault, World};

/// One worker, payments without keys, four processors of different speed and luck.
fn spread(policy: Value, mistaken: Mistaken) -> World {
    let mut rng = Rng::new(4);
    let mut plan = Plan::calm(4, &mut rng, policy);
    (plan.proxies, plan.workers, plan.charges, plan.horizon) = (1, 1, 800, 400 * SECOND);
    let fault = if mistaken == Mistaken::Not { Fault::None } else { Fault::Judge(mistaken) };
    let mut world = World::of(4, fault, plan, rng);
    world.run();
    world
}

#[test]
fn every_candidate_of_a_policy_that_spreads_gets_something() {
    for policy in [
        json!("round_robin"),
        json!("smooth_weighted_round_robin"),
        json!({"name": "smooth_weighted_round_robin", "weights": "reported_load"}),
        json!("random"),
        json!("weighted_random"),
        json!("least_connections"),
        json!("least_response_time"),
        json!("load_based"),
        json!("failure_based"),
        json!({"name": "approval_rate", "explore_percent": 10}),
        json!({"name": "least_cost", "explore_percent": 10, "min_volume": 10}),
    ] {
        let world = spread(policy.clone(), Mistaken::Not);
        hold(&world);
        let could = |(law, what): &(Law, Kind)| *law == Law::Starvation && what.ends_with("could have starved");
        let times: u64 = world.laws.exercised.iter().filter(|(of, _)| could(of)).map(|(_, n)| n).sum();
        assert!(times >= 3, "{policy}: {times} of four processors, {}", world.summary());
    }
}

#[test]
fn who_explores_nothing_starves_somebody_and_is_caught() {
    let world = spread(json!({"name": "least_cost", "explore_percent": 0}), Mistaken::Feeds);
    assert!(world.laws.broken.iter().any(|(law, _)| *law == Law::Starvation), "{}", world.summary());
}

/// A processor that is never up, behind two proxies of four workers: charges that met it.
fn met_one_that_stays_down(seed: u64, fault: Fault) -> (u64, World) {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::calm(seed, &mut rng, json!("round_robin"));
    (plan.proxies, plan.workers, plan.charges) = (2, 4, 1_000);
    let down = &mut plan.made[0];
    (down.breaks, down.phases, down.latency) = (Breaks::plain(3, 1_000, 8_000), vec![(0, Phase::Down)], 1_000);
    let mut world = World::of(seed, fault, plan, rng);
    world.run();
    (world.banks[0].arrived, world)
}

#[test]
fn one_that_stays_down_is_met_once_per_opening_and_proxy_not_worker() {
    // Half of a wait of 1, 2, 4 and then 8 s is the least between two probes of a proxy. Before them, three failures in a
    // row and who came in the same moment.
    let waits = [1, 2, 4, 8].into_iter().chain(std::iter::repeat(8)).map(|whole| whole * SECOND / 2);
    let ends = waits.scan(0, |end, wait| {
        *end += wait;
        Some(*end)
    });
    let probes = ends.take_while(|end| *end < 120 * SECOND).count() as u64;
    let bound = 2 * (probes + 3 + 6);
    let (met, world) = met_one_that_stays_down(1, Fault::None);
    hold(&world);
    assert!(met > 30 && met <= bound, "{met} met it, at most {bound}: {}", world.summary());
    let (met, _) = met_one_that_stays_down(1, Fault::Apart);
    assert!(met > bound, "{met} met it though each worker asks for itself");
}
