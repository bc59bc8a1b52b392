//! Orders the processors that may take a payment.
//!
//! A balancer sees candidates and never the breaker that made them: it does not know why someone may not be picked.
//! Policies without a key spread; the keyed policy ([`rendezvous`]) sends the same key to the same processor as long
//! as that one is a candidate, so an ejection moves only the ejected processor's keys.

mod rendezvous;
mod round_robin;
mod smooth_wrr;

use crate::lookup::Key;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

/// How payments without an idempotency key are spread. Those with one go by weighted rendezvous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Each in turn, weights ignored.
    RoundRobin,
    /// In proportion to the weights, and evenly in time (NGINX's smooth weighted round robin).
    SmoothWeightedRoundRobin,
}

/// A processor that a pool may pick.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which processor.
    pub id: ProcessorId,
    /// Its share, 1 to 1,000.
    pub weight: u32,
    /// A hash of its name: its place among the keys does not depend on the order of the configuration.
    pub seed: u64,
}

/// One worker's memory of a pool: only the cursor of its policy.
#[derive(Debug)]
pub struct Balancer {
    members: Vec<Member>,
    cursor: Cursor,
}

#[derive(Debug)]
enum Cursor {
    RoundRobin(round_robin::RoundRobin),
    SmoothWrr(smooth_wrr::SmoothWrr),
}

impl Balancer {
    /// A balancer whose cursor starts at a random place: workers that all start at the first would send it the first
    /// payments of every worker.
    pub fn new(policy: Policy, members: Vec<Member>, rng: &mut Rng) -> Self {
        let cursor = match policy {
            Policy::RoundRobin => Cursor::RoundRobin(round_robin::RoundRobin::new(members.len(), rng)),
            Policy::SmoothWeightedRoundRobin => Cursor::SmoothWrr(smooth_wrr::SmoothWrr::new(&members, rng)),
        };
        Self { members, cursor }
    }

    /// The processor for a payment, among the members that are candidates; none when there is none.
    pub fn pick(&mut self, candidates: Candidates, key: Option<&Key>) -> Option<ProcessorId> {
        if let Some(key) = key {
            return rendezvous::pick(&self.members, candidates, key);
        }
        match &mut self.cursor {
            Cursor::RoundRobin(cursor) => cursor.pick(&self.members, candidates),
            Cursor::SmoothWrr(cursor) => cursor.pick(&self.members, candidates),
        }
    }

    /// All it may ever pick.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn members(weights: &[u32]) -> Vec<Member> {
        weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| Member {
                id: ProcessorId::new(i).unwrap(),
                weight,
                seed: xxhash_rust::xxh64::xxh64(&[u8::try_from(i).unwrap()], 0),
            })
            .collect()
    }

    pub(crate) fn all(n: usize) -> Candidates {
        (0..n).filter_map(ProcessorId::new).collect()
    }

    #[test]
    fn every_policy_picks_only_candidates_and_nothing_from_none() {
        for policy in [Policy::RoundRobin, Policy::SmoothWeightedRoundRobin] {
            let mut balancer = Balancer::new(policy, members(&[3, 2, 1]), &mut Rng::new(3));
            let second: Candidates = ProcessorId::new(1).into_iter().collect();
            for _ in 0..10 {
                assert_eq!(balancer.pick(second, None), ProcessorId::new(1));
            }
            assert_eq!(balancer.pick(Candidates::default(), None), None);
        }
    }
}
