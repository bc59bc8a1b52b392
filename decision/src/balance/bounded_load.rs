//! Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): who has more than its share in
//! flight is passed over, so that one large merchant cannot drown the processor its name hashes to.

use super::Member;
use super::policy::BoundedLoad;
use super::running::{self, weight_of};
use crate::processor::Candidates;
use crate::stats::Stats;

/// Those of the running with room: in flight is below `ceil(percent/100 * (total in flight + 1) * weight / weights)`.
/// The rooms add up to more than is in flight, so from 100 percent on somebody always has some.
pub(super) fn roomy(members: &[Member], running: Candidates, stats: &[Stats], bound: BoundedLoad) -> Candidates {
    let each = || members.iter().filter(|m| running.contains(m.id)).map(|m| (m, in_flight(stats, m)));
    let total = each().fold(1_u64, |sum, (_, count)| sum.saturating_add(count));
    let weights = weight_of(members, running).saturating_mul(100).max(1);
    let with_room = each().filter(|(member, count)| {
        let share = u64::from(bound.0).saturating_mul(u64::from(member.weight)).saturating_mul(total);
        *count < share.div_ceil(weights)
    });
    let roomy: Candidates = with_room.map(|(member, _)| member.id).collect();
    if roomy.is_empty() { running } else { roomy }
}

fn in_flight(stats: &[Stats], member: &Member) -> u64 {
    running::of(stats, member.id).map_or(0, |stats| u64::from(stats.in_flight()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn who_is_over_its_share_has_no_room() {
        let stats = |counts: &[u32]| -> Vec<Stats> {
            let one = |n: &u32| {
                let mut stats = Stats::default();
                (0..*n).for_each(|_| stats.sent());
                stats
            };
            counts.iter().map(one).collect()
        };
        for (weights, counts, percent, want) in [
            (&[1, 1][..], &[0, 0][..], 125, all(2)),
            // 125 % of half of 2 is 1.25: room for two each.
            (&[1, 1], &[1, 0], 125, all(2)),
            // 125 % of half of 4 is 2.5: three fill it.
            (&[1, 1], &[3, 0], 125, some(&[1])),
            (&[3, 1], &[3, 0], 100, some(&[1])),
            (&[3, 1], &[3, 1], 100, all(2)),
            (&[3, 1], &[3, 2], 100, some(&[0])),
            (&[1, 1, 1], &[1_000, 1_000, 0], 100, some(&[2])),
            (&[1, 1], &[9, 9], 100, all(2)),
        ] {
            let got = roomy(&members(weights), all(weights.len()), &stats(counts), BoundedLoad(percent));
            assert_eq!(got, want, "{weights:?} {counts:?} {percent}");
        }
    }
}
