//! Who is in the running, before any policy chooses: levels of priority, slow start, requests to wait.
//!
//! None of them ever leaves a pool that has a candidate without one. Policies that spread draw by chance; for those
//! that go by a key the key draws, so that the same key meets the same processor.

use std::time::Duration;

use xxhash_rust::xxh64::xxh64;

use super::Member;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::{self, Rng};
use crate::stats::Stats;
use crate::time::Mono;

/// Envoy's overprovisioning factor: a level takes all payments until less than 1 / 1.4 of its weight is left.
const OVERPROVISIONING_PERCENT: u64 = 140;
/// All of the payments, in the unit that shares are drawn in.
const ALL: u64 = 10_000;
/// Sets the draw of a slow start apart from the one that places the key.
const SLOW_START_SALT: u64 = 0x510_57a7;

/// The members of a pool by priority, the first level first.
#[derive(Debug)]
pub(super) struct Levels(Vec<Level>);

#[derive(Debug)]
struct Level {
    priority: u8,
    members: Candidates,
    weight: u64,
}

impl Levels {
    pub(super) fn new(members: &[Member]) -> Self {
        let mut levels: Vec<Level> = Vec::new();
        for member in members {
            let weight = if member.in_use { u64::from(member.weight) } else { 0 };
            match levels.iter_mut().find(|level| level.priority == member.priority) {
                Some(level) => {
                    level.members.insert(member.id);
                    level.weight = level.weight.saturating_add(weight);
                }
                None => {
                    levels.push(Level { priority: member.priority, members: [member.id].into_iter().collect(), weight })
                }
            }
        }
        levels.sort_by_key(|level| level.priority);
        Self(levels)
    }

    /// The members of each level.
    pub(super) fn sets(&self) -> impl Iterator<Item = Candidates> {
        self.0.iter().map(|level| level.members)
    }

    /// The first level that has a candidate: its place, and its candidates.
    pub(super) fn first(&self, candidates: Candidates) -> (usize, Candidates) {
        let of_each = self.sets().map(|members| members.and(candidates)).enumerate();
        of_each.into_iter().find(|(_, left)| !left.is_empty()).unwrap_or_default()
    }

    /// The candidates of a level, drawn by the shares of the levels.
    pub(super) fn drawn(&self, members: &[Member], candidates: Candidates, rng: &mut Rng) -> Candidates {
        if self.0.len() < 2 {
            return candidates;
        }
        let total = self.shares(members, candidates).fold(0_u64, |sum, (_, share)| sum.saturating_add(share));
        let mut drawn = rng.below(total);
        for (left, share) in self.shares(members, candidates) {
            if drawn < share {
                return left;
            }
            drawn = drawn.saturating_sub(share);
        }
        self.first(candidates).1
    }

    /// The candidates of each level and its share of the payments, in ten-thousandths (Envoy's priority levels): what
    /// its candidates can take, of what the levels before it leave. Where all levels together cannot take everything,
    /// the shares add up to less, and are drawn in proportion.
    pub(super) fn shares(&self, members: &[Member], candidates: Candidates) -> impl Iterator<Item = (Candidates, u64)> {
        let mut rest = ALL;
        self.0.iter().map(move |level| {
            let left = level.members.and(candidates);
            let weight = weight_of(members, left);
            let able = (ALL / 100).saturating_mul(OVERPROVISIONING_PERCENT).saturating_mul(weight);
            let able = able.checked_div(level.weight).unwrap_or(0).max(u64::from(weight > 0));
            let share = able.min(rest);
            rest = rest.saturating_sub(share);
            (left, share)
        })
    }
}

/// The weights of these members together.
pub(super) fn weight_of(members: &[Member], set: Candidates) -> u64 {
    let chosen = members.iter().filter(|m| set.contains(m.id));
    chosen.fold(0, |sum, m| sum.saturating_add(u64::from(m.weight)))
}

/// Have the candidates so little weight among the members, below `percent`, that they could not bear all payments?
/// What to do then is not for a balancer to say. `percent` 0: never.
pub fn panics(members: &[Member], candidates: Candidates, percent: u32) -> bool {
    let all = members.iter().filter(|m| m.in_use).fold(0_u64, |sum, m| sum.saturating_add(u64::from(m.weight)));
    weight_of(members, candidates).saturating_mul(100) < all.saturating_mul(u64::from(percent))
}

/// Those whom slow start leaves in, by chance.
pub(super) fn warm(
    members: &[Member],
    running: Candidates,
    stats: &[Stats],
    (length, now): (Duration, Mono),
    rng: &mut Rng,
) -> Candidates {
    thinned(members, running, stats, (length, now), |_| rng.unit())
}

/// Those whom slow start leaves in for a key. What a key had once it keeps while the share grows.
pub(super) fn warm_for(
    members: &[Member],
    running: Candidates,
    stats: &[Stats],
    (length, now): (Duration, Mono),
    key: &[u8],
) -> Candidates {
    thinned(members, running, stats, (length, now), |member| rng::unit(xxh64(key, member.seed ^ SLOW_START_SALT)))
}

fn thinned(
    members: &[Member],
    running: Candidates,
    stats: &[Stats],
    (length, now): (Duration, Mono),
    mut draw: impl FnMut(&Member) -> f64,
) -> Candidates {
    if length.is_zero() {
        return running;
    }
    let mut left = running;
    for member in members.iter().filter(|m| running.contains(m.id)) {
        let warmth = of(stats, member.id).map_or(1.0, |stats| stats.warmth(length, now));
        if warmth < 1.0 && draw(member) >= warmth {
            left = left.without(member.id);
        }
    }
    if left.is_empty() { running } else { left }
}

/// Those who do not ask to be left alone, if there are any.
pub(super) fn unhurried(members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> Candidates {
    let asks = |id| of(stats, id).is_some_and(|stats| !stats.asks_to_wait(now).is_zero());
    let left: Candidates = members.iter().map(|m| m.id).filter(|id| running.contains(*id) && !asks(*id)).collect();
    if left.is_empty() { running } else { left }
}

/// What is known of a processor.
pub(super) fn of(stats: &[Stats], id: ProcessorId) -> Option<&Stats> {
    stats.get(id.index())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn levels_spill_over_as_in_envoy() {
        // Envoy's documentation of priority levels, "P=0 healthy endpoints" against the share of each level, for a
        // factor of 140: here every level has ten members of weight 1.
        for (up, want) in [
            ([10, 10, 10], [10_000, 0, 0]),
            ([8, 10, 10], [10_000, 0, 0]),
            ([5, 10, 10], [7_000, 3_000, 0]),
            ([0, 10, 10], [0, 10_000, 0]),
            ([2, 2, 10], [2_800, 2_800, 4_400]),
            ([1, 1, 1], [1_400, 1_400, 1_400]),
        ] {
            let mut pool = members(&[1; 30]);
            for (i, member) in pool.iter_mut().enumerate() {
                member.priority = u8::try_from(i / 10).unwrap();
            }
            let levels = Levels::new(&pool);
            let candidates =
                (0..30).filter(|i| i % 10 < up[i / 10]).filter_map(ProcessorId::new).collect::<Candidates>();
            let shares: Vec<u64> = levels.shares(&pool, candidates).map(|(_, share)| share).collect();
            assert_eq!(shares, want, "{up:?}");
        }
    }

    #[test]
    fn the_first_level_with_a_candidate() {
        let mut pool = members(&[1, 1, 1]);
        (pool[0].priority, pool[1].priority, pool[2].priority) = (7, 1, 7);
        let levels = Levels::new(&pool);
        assert_eq!(levels.first(all(3)), (0, some(&[1])));
        assert_eq!(levels.first(some(&[0, 2])), (1, some(&[0, 2])));
        assert_eq!(levels.first(Candidates::default()), (0, Candidates::default()));
    }

    #[test]
    fn panic_is_a_share_of_weight() {
        let pool = members(&[5, 3, 2]);
        for (candidates, percent, want) in [
            (all(3), 100, false),
            (some(&[0]), 50, false),
            (some(&[0]), 51, true),
            (some(&[2]), 50, true),
            (Candidates::default(), 1, true),
            (Candidates::default(), 0, false),
        ] {
            assert_eq!(panics(&pool, candidates, percent), want, "{candidates:?} {percent}");
        }
    }

    #[test]
    fn nobody_is_left_out_when_nobody_else_is_in() {
        let pool = members(&[1, 1]);
        let now = Mono(0);
        let mut cold = Stats::default();
        cold.begin_slow_start(now);
        let stats = vec![cold; 2];
        for seed in 0..200_u64 {
            let length = Duration::from_secs(10);
            assert!(!warm(&pool, all(2), &stats, (length, now), &mut Rng::new(seed)).is_empty());
            assert!(!warm_for(&pool, all(2), &stats, (length, now), &seed.to_le_bytes()).is_empty());
        }
    }
}
