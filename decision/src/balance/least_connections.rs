//! The one with the fewest requests in flight for its weight (NGINX's `least_conn`): `in flight / weight`, and equals
//! take turns by weight. Not `(in flight + 1) / weight`: with little traffic nothing is in flight when the next payment
//! comes, and that number would send every one to the heaviest.

use super::least::PerMember;
use super::{Member, running};
use crate::processor::Candidates;
use crate::stats::Stats;

pub(super) fn costs(members: &[Member], running: Candidates, stats: &[Stats]) -> PerMember {
    PerMember::of(members, running, |member| {
        let in_flight = running::of(stats, member.id).map_or(0, Stats::in_flight);
        f64::from(in_flight) / f64::from(member.weight.max(1))
    })
}
