//! The laws can fail: each of these worlds has one thing wrong, and is caught by the law that it should be caught by.

use super::choices::Mistaken;
use super::laws::Law;
use super::world::{Fault, World};

/// The seeds that are tried until one shows it.
const SEEDS: u64 = 16;

fn check(fault: Fault, law: Law) {
    let caught = (0..SEEDS).any(|seed| {
        let mut world = World::new(seed, fault);
        world.run();
        world.laws.broken.iter().any(|(broken, _)| *broken == law)
    });
    assert!(caught, "{fault:?} breaks no {law:?}");
}

#[test]
fn what_is_wrong_with_a_world_is_caught() {
    for (fault, law) in [
        (Fault::ClaimsLost, Law::Money),
        (Fault::Careless, Law::Probes),
        (Fault::Apart, Law::Probes),
        (Fault::Apart, Law::Open),
        (Fault::Forgets, Law::InFlight),
        (Fault::Splits, Law::Split),
        (Fault::Judge(Mistaken::Places), Law::Ejection),
        (Fault::Judge(Mistaken::Share), Law::Exploration),
    ] {
        check(fault, law);
    }
}
