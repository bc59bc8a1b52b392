//! By chance.

use super::Member;
use super::running::weight_of;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

/// Any, all alike.
pub(super) fn pick(members: &[Member], running: Candidates, rng: &mut Rng) -> Option<ProcessorId> {
    let skipped = usize::try_from(rng.below(u64::from(running.count()))).unwrap_or(0);
    members.iter().map(|m| m.id).filter(|id| running.contains(*id)).nth(skipped)
}

/// Any, in proportion to the weights.
pub(super) fn pick_weighted(members: &[Member], running: Candidates, rng: &mut Rng) -> Option<ProcessorId> {
    let mut drawn = rng.below(weight_of(members, running));
    for member in members.iter().filter(|m| running.contains(m.id)) {
        let weight = u64::from(member.weight);
        if drawn < weight {
            return Some(member.id);
        }
        drawn = drawn.saturating_sub(weight);
    }
    None
}
