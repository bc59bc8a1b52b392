//! Weighted rendezvous hashing: every member draws a number from the key, the best draw wins.
//!
//! The draw is `weight / -ln(u)` with `u` uniform in (0, 1) from a hash of member and key (Schindelhauer and Schomaker,
//! "Weighted distributed hash tables", 2005): a member wins in proportion to its weight, and when one leaves only its
//! own keys move. Nothing is remembered, so every worker and every proxy agrees.

use xxhash_rust::xxh64::xxh64;

use super::Member;
use crate::processor::{Candidates, ProcessorId};

pub(super) fn pick(members: &[Member], running: Candidates, key: &[u8]) -> Option<ProcessorId> {
    let mut best: Option<(f64, ProcessorId)> = None;
    for member in members.iter().filter(|m| running.contains(m.id)) {
        let score = draw(member, key);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, member.id));
        }
    }
    best.map(|(_, id)| id)
}

pub(super) fn draw(member: &Member, key: &[u8]) -> f64 {
    // The half keeps u off both ends, where the logarithm is infinite or 0. 32 bits: ties in one of 4 thousand million.
    let bits = u32::try_from(xxh64(key, member.seed) >> 32).unwrap_or(0);
    let uniform = (f64::from(bits) + 0.5) / 4_294_967_296.0;
    f64::from(member.weight) / -libm::log(uniform)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let pool = members(&[3, 2, 1]);
        let mut seen = [0_i32; 3];
        for n in 0..60_000_u32 {
            seen[pick(&pool, all(3), &n.to_le_bytes()).unwrap().index()] += 1;
        }
        for (got, want) in seen.into_iter().zip([30_000, 20_000, 10_000]) {
            assert!((got - want).abs() < 600, "{seen:?}");
        }
    }
}
