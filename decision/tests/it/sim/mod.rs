//! A seeded world of proxies, workers, processors with ledgers, clients, a cache-service, and faults of all of them.
//! `just sim SEED` replays one run exactly.
//!
//! Everything goes through the public face: a [`decision::router::Router`] per worker over the memory of its proxy,
//! exchanges fed with events, ticks, heartbeats. [`plan`] is what a seed draws, [`world`] what happens to workers,
//! [`exchanges`] what happens to charges, [`bank`] a processor. [`laws`] lists what must hold; [`breakers`], [`choices`] and
//! [`report`] judge it, by what they see from outside. Each law counts how often it could have been broken: over the fixed
//! seeds that must not be never.

mod bank;
mod breakers;
mod canaries;
mod choices;
mod exchanges;
mod laws;
mod memory;
mod plan;
mod report;
mod scenes;
mod world;

use std::collections::BTreeMap;

use laws::{Kind, Law};
use world::{Fault, World};

fn run(seed: u64) -> World {
    let mut world = World::new(seed, Fault::None);
    world.run();
    hold(&world);
    world
}

fn hold(world: &World) {
    let seed = world.seed;
    let broken = &world.laws.broken;
    assert!(
        broken.is_empty(),
        "seed {seed} breaks {} laws (`just sim {seed}` replays it):\n{broken:#?}\n{}",
        broken.len(),
        world.summary()
    );
}

/// What must have happened over the fixed seeds, else a law was held by nothing.
const MUST: [(Law, &str); 40] = [
    (Law::InFlight, "counted in and out"),
    (Law::InFlight, "hung up while counted in"),
    (Law::InFlight, "lost with its worker"),
    (Law::InFlight, "a router was replaced while busy"),
    (Law::InFlight, "nothing at the end"),
    (Law::Probes, "a charge probes"),
    (Law::Probes, "a heartbeat probes"),
    (Law::Probes, "a worker was lost with its probe"),
    (Law::Probes, "another worker came between"),
    (Law::Probes, "a write came too late"),
    (Law::Probes, "as many probes as there may be"),
    (Law::Probes, "closed once all probes passed"),
    (Law::Probes, "a probe ends"),
    (Law::Open, "opened by what it let go"),
    (Law::Open, "a straggler failed"),
    (Law::Open, "seen as closed"),
    (Law::Open, "seen as open"),
    (Law::Open, "seen as half_open"),
    (Law::Open, "seen as awaiting_probe"),
    (Law::Open, "sent while closed"),
    (Law::Open, "tried again after its wait"),
    (Law::Open, "sent in a panic"),
    (Law::Open, "picked past one that is out"),
    (Law::Split, "the same part"),
    (Law::Split, "moved only into what grew"),
    (Law::Split, "without an id the first part"),
    (Law::Split, "shares are kept"),
    (Law::Exploration, "picked a candidate"),
    (Law::Exploration, "picked of its pool, and not drained"),
    (Law::Exploration, "within its share"),
    (Law::Exploration, "somebody was explored"),
    (Law::Starvation, "candidates wait"),
    (Law::Money, "proven: not_sent"),
    (Law::Money, "proven: unknown"),
    (Law::Money, "a key came again"),
    (Law::Money, "a repeated key was replayed"),
    (Law::Money, "executed, and the answer lost"),
    (Law::Money, "stored, and not acknowledged"),
    (Law::Money, "a refusal sent nothing"),
    (Law::Money, "a pin names who has the payment"),
];

/// Each policy in several pools, each shape of proxies and workers several times.
const SEEDS: u64 = 20;

#[test]
fn the_laws_hold_over_many_seeds_and_each_was_put_to_the_test() {
    let mut times: BTreeMap<(Law, Kind), u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        for (what, n) in run(seed).laws.exercised {
            *times.entry(what).or_default() += n;
        }
    }
    let never = |(law, what): &&(Law, &'static str)| !times.contains_key(&(*law, Kind::from(*what)));
    let idle: Vec<_> = MUST.iter().filter(never).collect();
    let has = |law, words: &str| times.keys().any(|(of, what)| *of == law && what.starts_with(words));
    let placing = ["rendezvous of the key", "ip_hash", "maglev", "ring_hash", "envoy_ring_hash", "rendezvous"];
    let kept = placing.iter().filter(|p| !has(Law::Ejection, &format!("{p}: other candidates, same home")));
    let moved = placing.iter().filter(|p| !has(Law::Ejection, &format!("{p}: moved")));
    let idle = (idle, kept.collect::<Vec<_>>(), moved.collect::<Vec<_>>());
    assert!(idle.0.is_empty() && idle.1.is_empty() && idle.2.is_empty(), "{idle:#?}\n{times:#?}");
}

#[test]
fn a_seed_gives_one_run() {
    let told = |seed| {
        let world = run(seed);
        (world.digest, world.summary())
    };
    assert_eq!(told(42), told(42));
    assert_ne!(told(42).0, told(46).0);
}

/// A run of a seed from the environment: one that nobody chose, or the one a failure printed.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test's only way to be told a seed")]
fn replay() {
    let fresh = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
    let seed = match std::env::var("SIM_SEED") {
        Ok(text) => text.parse().expect("SIM_SEED is a whole number"),
        Err(_) => fresh,
    };
    println!("{}", run(seed).summary());
}
