//! Weighted rendezvous hashing: every member draws a number from the key, the best draw wins.
//!
//! The draw is `weight / -ln(u)` with `u` uniform in (0, 1) from a hash of member and key (Schindelhauer and Schomaker,
//! "Weighted distributed hash tables", 2005): a member wins in proportion to its weight, and when one leaves only its
//! own keys move. Nothing is remembered, so every worker and every proxy agrees.

use xxhash_rust::xxh64::xxh64;

use super::Member;
use crate::lookup::Key;
use crate::processor::{Candidates, ProcessorId};

pub(super) fn pick(members: &[Member], candidates: Candidates, key: &Key) -> Option<ProcessorId> {
    let mut best: Option<(f64, ProcessorId)> = None;
    for member in members.iter().filter(|m| candidates.contains(m.id)) {
        let score = draw(member, key);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, member.id));
        }
    }
    best.map(|(_, id)| id)
}

fn draw(member: &Member, key: &Key) -> f64 {
    // The half keeps u off both ends, where the logarithm is infinite or 0. 32 bits: ties in one of 4 thousand million.
    let bits = u32::try_from(xxh64(key.as_bytes(), member.seed) >> 32).unwrap_or(0);
    let uniform = (f64::from(bits) + 0.5) / 4_294_967_296.0;
    f64::from(member.weight) / -libm::log(uniform)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;
    use crate::lookup::KeyBuilder;

    fn key(n: u32) -> Key {
        KeyBuilder::new("test").part(&n.to_le_bytes()).finish()
    }

    #[test]
    fn shares_follow_the_weights() {
        let pool = members(&[3, 2, 1]);
        let mut seen = [0_i32; 3];
        for n in 0..60_000 {
            seen[pick(&pool, all(3), &key(n)).unwrap().index()] += 1;
        }
        for (got, want) in seen.into_iter().zip([30_000, 20_000, 10_000]) {
            assert!((got - want).abs() < 600, "{seen:?}");
        }
    }

    #[test]
    fn an_ejection_moves_only_the_ejected_keys() {
        let pool = members(&[3, 2, 1, 7]);
        let without: Candidates = [0, 1, 3].into_iter().filter_map(ProcessorId::new).collect();
        for n in 0..10_000 {
            let before = pick(&pool, all(4), &key(n)).unwrap();
            let after = pick(&pool, without, &key(n)).unwrap();
            assert!(before == after || before.index() == 2, "key {n}: {before:?} to {after:?}");
        }
    }
}
