//! By the load that processors report of themselves. Who reports nothing, or has not for long, counts as the mean of
//! those who do.

use super::least::PerMember;
use super::{Member, running};
use crate::processor::Candidates;
use crate::stats::Stats;
use crate::time::Mono;

/// No load is believed to be lower: one processor that reports nearly none must not get everything until it reports
/// again.
const LOAD_MIN: f64 = 0.01;

/// The loads, as far as they are believed.
pub(super) fn loads(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    let reported = |member: &Member| running::of(stats, member.id).and_then(|stats| stats.load(now));
    let (mut sum, mut count) = (0.0, 0.0);
    for load in members.iter().filter(|m| running.contains(m.id)).filter_map(reported) {
        sum += load;
        count += 1.0;
    }
    let mean = if count > 0.0 { sum / count } else { 1.0 };
    PerMember::of(members, running, |member| reported(member).unwrap_or(mean).max(LOAD_MIN))
}

/// Load times (in flight + 1): what was sent since the report counts, too.
pub(super) fn costs(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    loads(members, running, stats, now).map(members, running, |member, load| {
        let in_flight = running::of(stats, member.id).map_or(0, Stats::in_flight);
        load * (f64::from(in_flight) + 1.0)
    })
}

/// Weight divided by load.
pub(super) fn weights(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    loads(members, running, stats, now).map(members, running, |member, load| f64::from(member.weight) / load)
}
