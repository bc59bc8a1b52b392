//! NGINX's smooth weighted round robin (`ngx_http_upstream_round_robin.c`): on each pick every live member gains its
//! weight, the richest is picked and pays the sum of the weights. Picks of one member are spread, not bunched.

use super::Member;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

/// The cursor is moved by so many picks at most before the first payment; more would cost start-up time for nothing.
const START_STEPS_MAX: u64 = 1_000;

#[derive(Debug)]
pub(super) struct SmoothWrr {
    /// By the member's place in the pool.
    current: Vec<i64>,
}

impl SmoothWrr {
    pub(super) fn new(members: &[Member], rng: &mut Rng) -> Self {
        let mut cursor = Self { current: vec![0; members.len()] };
        let all = members.iter().map(|m| m.id).collect();
        let cycle: u64 = members.iter().map(|m| u64::from(m.weight)).sum();
        for _ in 0..rng.below(cycle.min(START_STEPS_MAX)) {
            cursor.pick(members, all);
        }
        cursor
    }

    pub(super) fn pick(&mut self, members: &[Member], candidates: Candidates) -> Option<ProcessorId> {
        let mut total = 0_i64;
        let mut best: Option<(&mut i64, ProcessorId)> = None;
        for (current, member) in self.current.iter_mut().zip(members) {
            if !candidates.contains(member.id) {
                continue;
            }
            let weight = i64::from(member.weight);
            total = total.saturating_add(weight);
            *current = current.saturating_add(weight);
            // The first of equals wins, as in NGINX.
            if best.as_ref().is_none_or(|(richest, _)| *current > **richest) {
                best = Some((current, member.id));
            }
        }
        let (current, id) = best?;
        *current = current.saturating_sub(total);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn picks_in_the_order_nginx_documents() {
        // The example of NGINX's commit 52327e0627f4: weights {5, 1, 1} give a a b a c a a.
        let pool = members(&[5, 1, 1]);
        let mut cursor = SmoothWrr { current: vec![0; 3] };
        let picks: Vec<_> = (0..14).filter_map(|_| cursor.pick(&pool, all(3))).map(ProcessorId::index).collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn wherever_it_starts_a_cycle_holds_each_weight_exactly() {
        let pool = members(&[3, 2, 1]);
        for seed in 0..50 {
            let mut cursor = SmoothWrr::new(&pool, &mut Rng::new(seed));
            let mut seen = [0; 3];
            for _ in 0..600 {
                seen[cursor.pick(&pool, all(3)).unwrap().index()] += 1;
            }
            assert_eq!(seen, [300, 200, 100], "seed {seed}");
        }
    }
}
