//! Lists of operations on one worker: streams that interleave, answers of all kinds, time, the tick.
//!
//! The calls come in the order that the filter's `http.rs` and `root.rs` allow, and in no other: what a host cannot do is
//! nobody's bug. Within it everything is tried, and the transcript holds every step, fact and count.

mod answers;
mod messages;
mod stream;
mod world;

use crate::bytes::Bytes;
use crate::configurations;
use world::World;

/// Operations of one list, at most.
const OPERATIONS_MAX: usize = 400;

/// Runs a list.
pub(crate) fn run(bytes: &[u8]) -> String {
    let mut bytes = Bytes::new(bytes);
    let config = configurations::any(&mut bytes);
    let mut world = World::new(config, bytes.number());
    for _ in 0..OPERATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.below(16) {
            0..=3 => world.open(&mut bytes),
            4..=11 => world.go_on(&mut bytes),
            12 | 13 => world.pass_time(&mut bytes),
            14 => world.disturb(&mut bytes),
            _ => world.tick(&mut bytes),
        }
        world.observe();
    }
    world.end()
}
