//! The ring of Envoy's `RING_HASH` (`ring_hash_lb.cc`): 1,024 points or a few more, shared by weight, each the xxHash64 of
//! the member's key, an underscore and the point's number. A key belongs to the first point at or after its own hash.
//!
//! With the same weights and hash keys in the same order it is the ring of Envoy. Envoy builds it anew when a host is out,
//! which moves keys of others too; here a key whose member is out goes to the next point whose member is not.

use xxhash_rust::xxh64::xxh64;

use super::Member;
use super::ring_hash::next;
use crate::processor::{Candidates, ProcessorId};

/// Envoy's default `minimum_ring_size`.
const POINTS_MIN: f64 = 1_024.0;
/// Points of a ring without regard to weights, at most: twice the minimum, as the lightest member has whole points.
pub(crate) const POINTS_MAX: u64 = 2_048;

#[derive(Debug)]
pub(super) struct EnvoyRing(Vec<(u64, ProcessorId)>);

impl EnvoyRing {
    /// The ring of one level.
    pub(super) fn new(members: &[Member], level: Candidates) -> Self {
        let those = || members.iter().filter(|m| level.contains(m.id));
        let sum: f64 = those().map(|m| f64::from(m.weight)).sum();
        // As Envoy normalises, so that equal doubles round to equal counts.
        let part = |member: &Member| f64::from(member.weight) / sum;
        let lightest = those().map(part).fold(1.0, f64::min);
        let scale = libm::ceil(lightest * POINTS_MIN) / lightest;
        let (mut placed, mut due) = (0.0, 0.0);
        let mut points = Vec::new();
        for member in those() {
            due += scale * part(member);
            let mut number = 0_u32;
            while placed < due {
                let name = format!("{}_{number}", member.hash_key);
                points.push((xxh64(name.as_bytes(), 0), member.id));
                number = number.saturating_add(1);
                placed += 1.0;
            }
        }
        points.sort_by_key(|(hash, _)| *hash);
        Self(points)
    }

    /// The member a key belongs to among those that are left; none when the walk finds none of them.
    pub(super) fn home(&self, left: Candidates, key: &[u8]) -> Option<ProcessorId> {
        next(&self.0, xxh64(key, 0), left)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn points_are_shared_by_weight() {
        for (weights, want) in [
            (&[1, 1, 1][..], &[342, 342, 342][..]),
            (&[3, 2, 1], &[513, 342, 171]),
            (&[1_000, 1], &[2_000, 2]),
            (&[1], &[1_024]),
        ] {
            let ring = EnvoyRing::new(&members(weights), all(weights.len()));
            let of = |place| ring.0.iter().filter(|(_, id)| id.index() == place).count();
            let counts: Vec<usize> = (0..weights.len()).map(of).collect();
            assert_eq!(counts, want, "{weights:?}");
            let without_weight = u64::try_from(ring.0.len()).unwrap() - u64::from(weights.iter().sum::<u32>());
            assert!(without_weight <= POINTS_MAX);
        }
    }

    #[test]
    fn only_the_keys_of_who_is_out_move() {
        let pool = members(&[3, 2, 1]);
        let ring = EnvoyRing::new(&pool, all(3));
        for key in 0..2_000_u32 {
            let before = ring.home(all(3), &key.to_le_bytes()).unwrap();
            let after = ring.home(some(&[0, 2]), &key.to_le_bytes()).unwrap();
            assert!(before == after || before.index() == 1, "{key}: {before:?} to {after:?}");
        }
    }
}
