//! The one that is expected to answer first: peak EWMA of its latency times (in flight + 1), over all members. Failures
//! count as long latencies, so who fails fast does not look fast: see [`crate::stats`].
//!
//! Who last failed or refused is taken to have as much in flight as the busiest: with a hundred in flight at those who
//! work, a processor that is idle because it does nothing would win in spite of the penalty.
//!
//! Nobody is believed to be faster than the fastest that answered lately. So one that was never timed, or not for long,
//! is tried beside the best one, and not given everything because nothing is known against it.

use super::least::PerMember;
use super::{Member, running};
use crate::processor::Candidates;
use crate::stats::Stats;
use crate::time::Mono;

/// Seconds that are expected while nobody answered lately: Linkerd's 30 ms.
const DEFAULT_LATENCY: f64 = 0.03;

pub(super) fn costs(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    let of = |member: &Member| running::of(stats, member.id);
    let latencies = PerMember::of(members, running, |member| of(member).map_or(0.0, |stats| stats.latency(now)));
    let answered = |member: &Member| of(member).is_some_and(|stats| stats.answered_lately(now));
    let lately = latencies.each(members, running).filter(|(member, _)| answered(member));
    let fastest = lately.map(|(_, latency)| latency).min_by(f64::total_cmp).unwrap_or(DEFAULT_LATENCY);
    let in_flight = |member: &Member| of(member).map_or(0, Stats::in_flight);
    let each = members.iter().filter(|m| running.contains(m.id));
    let busiest = each.map(in_flight).max().unwrap_or(0);
    latencies.map(members, running, |member, latency| {
        let idle = of(member).is_some_and(Stats::does_no_work);
        let in_flight = if idle { busiest } else { in_flight(member) };
        latency.max(fastest) * (f64::from(in_flight) + 1.0)
    })
}
