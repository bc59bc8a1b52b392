//! NGINX's smooth weighted round robin (`ngx_http_upstream_round_robin.c`): on each pick every live member gains its
//! weight, the richest is picked and pays the sum of the weights. Picks of one member are spread, not bunched.
//!
//! The weights may differ from pick to pick: that is how reported load and failures shift shares without bunching, and
//! how equals of any policy take turns in proportion to their weights.

use super::Member;
use super::least::PerMember;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

/// The cursor is moved by so many picks at most before the first payment; more would cost start-up time for nothing.
const START_STEPS_MAX: u64 = 1_000;

#[derive(Debug)]
pub(super) struct SmoothWrr {
    /// By the member's place in the pool. Whole weights stay whole: a f64 holds them exactly.
    current: Vec<f64>,
}

impl SmoothWrr {
    pub(super) fn new(members: &[Member], rng: &mut Rng) -> Self {
        let mut cursor = Self { current: vec![0.0; members.len()] };
        let all = members.iter().map(|m| m.id).collect();
        let cycle: u64 = members.iter().map(|m| u64::from(m.weight)).sum();
        for _ in 0..rng.below(cycle.min(START_STEPS_MAX)) {
            cursor.pick(members, all);
        }
        cursor
    }

    /// The next by the configured weights.
    pub(super) fn pick(&mut self, members: &[Member], running: Candidates) -> Option<ProcessorId> {
        let weights = members.iter().map(|m| f64::from(m.weight));
        pick(&mut self.current, members, running, weights)
    }

    /// The next by these weights.
    pub(super) fn pick_by(
        &mut self,
        members: &[Member],
        running: Candidates,
        weights: &PerMember,
    ) -> Option<ProcessorId> {
        pick(&mut self.current, members, running, weights.all())
    }

    /// What a member has gained and not paid.
    pub(super) fn credit(&self, members: &[Member], id: ProcessorId) -> f64 {
        self.current.iter().zip(members).find(|(_, m)| m.id == id).map_or(0.0, |(current, _)| *current)
    }

    /// Takes over what each member had; `was` is its place in the old pool.
    pub(super) fn inherit(&mut self, old: &Self, was: impl Iterator<Item = Option<usize>>) {
        for (current, was) in self.current.iter_mut().zip(was) {
            *current = was.and_then(|place| old.current.get(place)).copied().unwrap_or(0.0);
        }
    }
}

fn pick(
    current: &mut [f64],
    members: &[Member],
    running: Candidates,
    weights: impl Iterator<Item = f64>,
) -> Option<ProcessorId> {
    let mut total = 0.0;
    let mut best: Option<(&mut f64, ProcessorId)> = None;
    for ((current, member), weight) in current.iter_mut().zip(members).zip(weights) {
        if !running.contains(member.id) {
            continue;
        }
        total += weight;
        *current += weight;
        // The first of equals wins, as in NGINX.
        if best.as_ref().is_none_or(|(richest, _)| *current > **richest) {
            best = Some((current, member.id));
        }
    }
    let (current, id) = best?;
    *current -= total;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn picks_in_the_order_nginx_documents() {
        // The example of NGINX's commit 52327e0627f4: weights {5, 1, 1} give a a b a c a a.
        let pool = members(&[5, 1, 1]);
        let mut cursor = SmoothWrr { current: vec![0.0; 3] };
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
