//! Balancing: laws of every policy, policies under traffic, and what the configuration says of them.

mod config;
mod laws;
mod traffic;

use std::collections::BTreeMap;
use std::sync::Arc;

use decision::balance::{Balancer, BoundedLoad, Fees, HashBy, Keyed, Member, Pick, Policy, Settings, Weights};
use decision::breaker::Verdict;
use decision::payment::Amount;
use decision::processor::{Candidates, ProcessorId};
use decision::rng::Rng;
use decision::stats::{Observation, Stats};
use decision::time::Mono;

/// Policies that send the same input to the same processor.
pub(super) fn placing() -> Vec<Policy> {
    let hash_by = HashBy::Merchant;
    vec![
        Policy::IpHash,
        Policy::Maglev { table_size: 2_003, hash_by: hash_by.clone(), bounded_load: None },
        Policy::RingHash { hash_by: hash_by.clone(), bounded_load: None },
        Policy::EnvoyRingHash { hash_by: hash_by.clone(), bounded_load: None },
        Policy::Rendezvous { hash_by },
    ]
}

/// Policies that spread.
pub(super) fn spreading() -> Vec<Policy> {
    vec![
        Policy::RoundRobin,
        Policy::SmoothWeightedRoundRobin(Weights::Configured),
        Policy::SmoothWeightedRoundRobin(Weights::ReportedLoad),
        Policy::Random,
        Policy::WeightedRandom,
        Policy::LeastConnections,
        Policy::LeastResponseTime,
        Policy::LoadBased,
        Policy::FailureBased,
        Policy::ApprovalRate { explore_percent: 5 },
        Policy::LeastCost { margin_bp: 50, min_volume: 50, explore_percent: 5 },
    ]
}

/// Every policy, the hashes with bounded loads, too.
pub(super) fn every() -> Vec<Policy> {
    let (hash_by, bounded_load) = (HashBy::Merchant, Some(BoundedLoad(125)));
    let mut all = spreading();
    all.extend(placing());
    all.push(Policy::Maglev { table_size: 1_009, hash_by: hash_by.clone(), bounded_load });
    all.push(Policy::RingHash { hash_by, bounded_load });
    all
}

/// A pool with what it remembers, driven from outside.
pub(super) struct Pool {
    pub(super) balancer: Balancer,
    pub(super) stats: Vec<Stats>,
    pub(super) rng: Rng,
    pub(super) amount: Amount,
}

pub(super) fn id(n: usize) -> ProcessorId {
    ProcessorId::new(n).unwrap()
}

pub(super) fn all(n: usize) -> Candidates {
    (0..n).map(id).collect()
}

pub(super) fn members(weights: &[u32]) -> Vec<Member> {
    let fees = |i: usize| Fees { rate_bp: 100 + u32::try_from(i).unwrap(), fixed: BTreeMap::new() };
    let member = |(i, weight): (usize, &u32)| Member {
        fees: Some(Arc::new(fees(i))),
        ..Member::new(id(i), &format!("processor-{i}"), *weight)
    };
    weights.iter().enumerate().map(member).collect()
}

pub(super) fn at(millis: u64) -> Mono {
    Mono(millis * 1_000)
}

impl Pool {
    pub(super) fn new(policy: Policy, weights: &[u32], seed: u64) -> Self {
        Self::of(Settings::of(policy), members(weights), seed)
    }

    pub(super) fn of(settings: Settings, members: Vec<Member>, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let stats = vec![Stats::default(); members.len()];
        let balancer = Balancer::new(settings, members, &mut rng);
        Self { balancer, stats, rng, amount: Amount { minor: 10_000, currency: "EUR".parse().unwrap() } }
    }

    pub(super) fn pick(&mut self, pick: Pick<'_>) -> Option<ProcessorId> {
        let amount = self.amount;
        self.balancer.pick(&Pick { amount: Some(&amount), ..pick }, &self.stats, &mut self.rng)
    }

    /// A request of a caller's own: its number is the input, and its address.
    pub(super) fn pick_for(&mut self, n: u32, candidates: Candidates, now: Mono) -> Option<ProcessorId> {
        let address = std::net::Ipv6Addr::from(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        self.pick(Pick { input: Some(&n.to_le_bytes()), source: Some(address.into()), ..Pick::of(candidates, now) })
    }

    /// How often each is picked for `n` callers, with nothing in flight.
    pub(super) fn shares(&mut self, n: u32, candidates: Candidates, now: Mono) -> Vec<f64> {
        let mut seen = vec![0.0; self.stats.len()];
        for i in 0..n {
            seen[self.pick_for(i, candidates, now).unwrap().index()] += 1.0 / f64::from(n);
        }
        seen
    }
}

pub(super) fn seen(verdict: Verdict, millis: u64) -> Observation {
    Observation {
        latency: Some(std::time::Duration::from_millis(millis)),
        verdict,
        approval: None,
        scheme: None,
        retry_after: None,
        load: None,
    }
}

pub(super) fn by_policy(policy: Policy) -> Settings {
    Settings { keyed: Keyed::Policy, ..Settings::of(policy) }
}
