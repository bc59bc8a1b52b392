//! The one whose payments of this scheme are most often approved. The others are explored by Thompson sampling
//! (Thompson, 1933; Chapelle and Li, "An Empirical Evaluation of Thompson Sampling", 2011): each draws a rate from what
//! is known of it, and the highest draw is asked, as long as exploration stays within its share.

use super::Member;
use super::explorer::Explorer;
use super::least::PerMember;
use super::rates::Rates;
use super::smooth_wrr::SmoothWrr;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

pub(super) fn pick(
    members: &[Member],
    running: Candidates,
    rates: &Rates,
    (explorer, turns): (&mut Explorer, &mut SmoothWrr),
    rng: &mut Rng,
) -> Option<ProcessorId> {
    let highest = |of: PerMember| of.map(members, running, |_, rate| -rate).lowest(members, running);
    let best = turns.pick(members, highest(rates.means(members, running)))?;
    Some(explorer.choose(members, running, best, || {
        let drawn = highest(rates.draws(members, running, rng));
        members.iter().map(|m| m.id).find(|id| drawn.contains(*id))
    }))
}
