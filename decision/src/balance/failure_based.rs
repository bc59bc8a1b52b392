//! In proportion to weight times the share of requests that did not fail lately. A floor keeps it from losing everything:
//! who gets no payments cannot show that it is back, and keeping a dead processor out is the breaker's work.

use super::least::PerMember;
use super::{Member, running};
use crate::processor::Candidates;
use crate::stats::Stats;
use crate::time::Mono;

/// The least part of its weight that a member keeps.
const SUCCESS_MIN: f64 = 0.05;

pub(super) fn weights(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    PerMember::of(members, running, |member| {
        let success = running::of(stats, member.id).map_or(1.0, |stats| stats.success(now));
        f64::from(member.weight) * success.max(SUCCESS_MIN)
    })
}
