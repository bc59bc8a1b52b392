//! By the load that processors report of themselves. Who reports nothing, or has not for long, is given the share of the
//! mean where shares are given, and counts as the lowest where the lowest takes all: else nobody would ever hear of it.

use super::least::PerMember;
use super::{Member, running};
use crate::processor::Candidates;
use crate::stats::Stats;
use crate::time::Mono;

/// No load is believed to be lower: one processor that reports nearly none must not get everything until it reports
/// again.
const LOAD_MIN: f64 = 0.01;

/// What counts as the load of who reports none.
enum Unknown {
    Mean,
    Lowest,
}

/// The loads, as far as they are believed.
fn loads(members: &[Member], running: Candidates, stats: &[Stats], now: Mono, unknown: &Unknown) -> PerMember {
    let reported = |member: &Member| running::of(stats, member.id).and_then(|stats| stats.load(now));
    let (mut sum, mut count, mut lowest) = (0.0, 0.0, f64::INFINITY);
    for load in members.iter().filter(|m| running.contains(m.id)).filter_map(reported) {
        sum += load;
        count += 1.0;
        lowest = lowest.min(load);
    }
    let fallback = match unknown {
        _ if count == 0.0 => 1.0,
        Unknown::Mean => sum / count,
        Unknown::Lowest => lowest,
    };
    PerMember::of(members, running, |member| reported(member).unwrap_or(fallback).max(LOAD_MIN))
}

/// Load times (in flight + 1): what was sent since the report counts, too.
pub(super) fn costs(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    loads(members, running, stats, now, &Unknown::Lowest).map(members, running, |member, load| {
        let in_flight = running::of(stats, member.id).map_or(0, Stats::in_flight);
        load * (f64::from(in_flight) + 1.0)
    })
}

/// Weight divided by load.
pub(super) fn weights(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> PerMember {
    let loads = loads(members, running, stats, now, &Unknown::Mean);
    loads.map(members, running, |member, load| f64::from(member.weight) / load)
}
