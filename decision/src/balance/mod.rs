//! Orders the processors that may take a payment.
//!
//! A balancer sees candidates and never the breaker that made them: it does not know why someone may not be picked.
//! First [`running`] says who is in the running, then a policy picks one of them. There are two shapes of policy: some
//! spread payments, by turns, chance or what [`crate::stats`] knows; the others send the same key to the same processor
//! as long as that one is a candidate, so that an ejection moves only the ejected processor's keys.

mod approval_rate;
mod beta;
mod bounded_load;
mod envoy_ring;
mod explain;
mod explorer;
mod failure_based;
mod ip_hash;
mod least;
mod least_connections;
mod least_cost;
mod least_response_time;
mod load_based;
mod maglev;
mod member;
mod policy;
mod random;
mod rates;
mod rendezvous;
mod ring_hash;
mod round_robin;
mod running;
mod smooth_wrr;

pub(crate) use envoy_ring::POINTS_MAX as ENVOY_RING_POINTS_MAX;
pub use explain::{Standing, Weighed};
pub use member::{Fees, Member};
pub use policy::{BoundedLoad, HashBy, Keyed, Policy, Settings, Weights};
pub(crate) use ring_hash::POINTS_PER_WEIGHT;
pub use running::panics;

use core::net::IpAddr;

use crate::lookup::Key;
use crate::payment::{Amount, Scheme};
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::time::Mono;
use envoy_ring::EnvoyRing;
use explorer::Explorer;
use ip_hash::Octets;
use least::PerMember;
use maglev::Maglev;
use rates::Rates;
use ring_hash::Ring;
use round_robin::RoundRobin;
use running::Levels;
use smooth_wrr::SmoothWrr;

/// What a payment is picked for by. What is hashed may be a credential: it is never printed.
#[derive(Clone, Copy)]
pub struct Pick<'a> {
    /// Those that may be picked.
    pub candidates: Candidates,
    /// The idempotency key, where there is one.
    pub key: Option<&'a Key>,
    /// The caller's address, for `ip_hash`.
    pub source: Option<IpAddr>,
    /// What [`Policy::hash_by`] names; none where the request has it not.
    pub input: Option<&'a [u8]>,
    /// How much, for `least_cost`; none for a request that moves no money.
    pub amount: Option<&'a Amount>,
    /// By which card scheme, for approval rates.
    pub scheme: Option<Scheme>,
    /// When.
    pub now: Mono,
}

impl Pick<'_> {
    /// A request of which nothing else is known.
    pub fn of(candidates: Candidates, now: Mono) -> Self {
        Self { candidates, key: None, source: None, input: None, amount: None, scheme: None, now }
    }
}

/// One worker's memory of a pool: whose turn it is, and where keys belong.
#[derive(Debug)]
pub struct Balancer {
    members: Vec<Member>,
    everyone: Candidates,
    levels: Levels,
    settings: Settings,
    /// Whose turn it is by weight: also between equals, and where a hash has nothing to hash.
    turns: SmoothWrr,
    memory: Memory,
}

/// What a policy remembers beside the turns; tables are by level.
#[derive(Debug)]
enum Memory {
    Nothing,
    RoundRobin(RoundRobin),
    Maglev(Vec<Maglev>),
    Ring(Vec<Ring>),
    EnvoyRing(Vec<EnvoyRing>),
    Explorer(Explorer),
}

/// What a payment is placed by.
enum Place<'a> {
    Rendezvous(&'a [u8]),
    Address(Octets),
    Table(&'a [u8]),
}

impl Place<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Rendezvous(bytes) | Self::Table(bytes) => bytes,
            Self::Address(octets) => octets.as_bytes(),
        }
    }
}

impl Balancer {
    /// A balancer whose cursors start at a random place: workers that all start at the first would send it the first
    /// payments of every worker.
    pub fn new(settings: Settings, members: Vec<Member>, rng: &mut Rng) -> Self {
        let turns = SmoothWrr::new(&members, rng);
        let levels = Levels::new(&members);
        let memory = match settings.policy {
            Policy::RoundRobin => Memory::RoundRobin(RoundRobin::new(members.len(), rng)),
            Policy::Maglev { table_size, .. } => {
                Memory::Maglev(levels.sets().map(|level| Maglev::new(&members, level, table_size)).collect())
            }
            Policy::RingHash { .. } => Memory::Ring(levels.sets().map(|level| Ring::new(&members, level)).collect()),
            Policy::EnvoyRingHash { .. } => {
                Memory::EnvoyRing(levels.sets().map(|level| EnvoyRing::new(&members, level)).collect())
            }
            Policy::ApprovalRate { explore_percent } | Policy::LeastCost { explore_percent, .. } => {
                Memory::Explorer(Explorer::new(&members, explore_percent))
            }
            _ => Memory::Nothing,
        };
        let everyone = members.iter().map(|m| m.id).collect();
        Self { members, everyone, levels, settings, turns, memory }
    }

    /// The processor for a payment, among the members that are candidates; none when there is none. `stats` are by
    /// [`ProcessorId::index`].
    pub fn pick(&mut self, pick: &Pick<'_>, stats: &[Stats], rng: &mut Rng) -> Option<ProcessorId> {
        let candidates = pick.candidates.and(self.everyone);
        if let Some(place) = self.place(pick) {
            let (level, running) = self.placeable(&place, candidates, stats, pick.now);
            return self.placed(&place, level, running);
        }
        let running = self.levels.drawn(&self.members, candidates, rng);
        let running = running::warm(&self.members, running, stats, (self.settings.slow_start, pick.now), rng);
        self.spread(pick, self.heeded(running, stats, pick.now), stats, rng)
    }

    /// All it may ever pick.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How it was configured.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes over the cursors and counters of an old configuration's pool for the members that stay; `same` names the
    /// old id of a new one.
    pub fn inherit(&mut self, old: &Self, same: impl Fn(ProcessorId) -> Option<ProcessorId>) {
        let place = |id| old.members.iter().position(|m| m.id == id);
        let was = || self.members.iter().map(|m| same(m.id).and_then(place));
        self.turns.inherit(&old.turns, was());
        match (&mut self.memory, &old.memory) {
            (Memory::RoundRobin(new), Memory::RoundRobin(had)) => new.inherit(had, old.members.len(), was()),
            (Memory::Explorer(new), Memory::Explorer(had)) => new.inherit(had, was()),
            _ => {}
        }
    }

    /// What the payment is placed by; none where the policy spreads, or has nothing to place it by.
    fn place<'p>(&self, pick: &Pick<'p>) -> Option<Place<'p>> {
        let key = pick.key.map(|key| key.as_bytes().as_slice());
        if let (Some(key), Keyed::Rendezvous) = (key, self.settings.keyed) {
            return Some(Place::Rendezvous(key));
        }
        let input = |by: &HashBy| pick.input.or_else(|| key.filter(|_| *by == HashBy::Key));
        match &self.settings.policy {
            Policy::IpHash => pick.source.map(|address| Place::Address(Octets::of(address))),
            Policy::Rendezvous { hash_by } => input(hash_by).map(Place::Rendezvous),
            Policy::Maglev { hash_by, .. }
            | Policy::RingHash { hash_by, .. }
            | Policy::EnvoyRingHash { hash_by, .. } => input(hash_by).map(Place::Table),
            _ => None,
        }
    }

    /// The level a placed payment stays in, and who of it is in the running.
    fn placeable(&self, place: &Place<'_>, candidates: Candidates, stats: &[Stats], now: Mono) -> (usize, Candidates) {
        let (level, first) = self.levels.first(candidates);
        let slow_start = (self.settings.slow_start, now);
        let warm = running::warm_for(&self.members, first, stats, slow_start, place.bytes());
        (level, self.roomy(place, warm, stats))
    }

    fn roomy(&self, place: &Place<'_>, running: Candidates, stats: &[Stats]) -> Candidates {
        match (place, &self.settings.policy) {
            (
                Place::Table(_),
                Policy::Maglev { bounded_load: Some(bound), .. }
                | Policy::RingHash { bounded_load: Some(bound), .. }
                | Policy::EnvoyRingHash { bounded_load: Some(bound), .. },
            ) => bounded_load::roomy(&self.members, running, stats, *bound),
            _ => running,
        }
    }

    fn placed(&self, place: &Place<'_>, level: usize, running: Candidates) -> Option<ProcessorId> {
        let home = match (place, &self.memory) {
            (Place::Address(octets), _) => {
                let all = self.levels.sets().nth(level)?;
                ip_hash::home(&self.members, all, octets.as_bytes())
            }
            (Place::Table(key), Memory::Maglev(tables)) => tables.get(level).and_then(|table| table.home(key)),
            (Place::Table(key), Memory::Ring(rings)) => rings.get(level).and_then(|ring| ring.home(running, key)),
            (Place::Table(key), Memory::EnvoyRing(rings)) => rings.get(level).and_then(|ring| ring.home(running, key)),
            _ => None,
        };
        let home = home.filter(|id| running.contains(*id));
        home.or_else(|| rendezvous::pick(&self.members, running, place.bytes()))
    }

    /// Who is left once a `Retry-After` is heeded, for policies that judge by traffic.
    fn heeded(&self, running: Candidates, stats: &[Stats], now: Mono) -> Candidates {
        if self.settings.policy.reads_traffic() {
            running::unhurried(&self.members, running, stats, now)
        } else {
            running
        }
    }

    fn spread(&mut self, pick: &Pick<'_>, running: Candidates, stats: &[Stats], rng: &mut Rng) -> Option<ProcessorId> {
        let Self { members, turns, memory, .. } = self;
        match (&self.settings.policy, memory) {
            (Policy::RoundRobin, Memory::RoundRobin(cursor)) => cursor.pick(members, running),
            (Policy::Random, _) => random::pick(members, running, rng),
            (Policy::WeightedRandom, _) => random::pick_weighted(members, running, rng),
            (Policy::ApprovalRate { .. }, Memory::Explorer(explorer)) => {
                let rates = Rates::read(members, running, stats, pick.scheme, pick.now);
                approval_rate::pick(members, running, &rates, (explorer, turns), rng)
            }
            (Policy::LeastCost { margin_bp, min_volume, .. }, Memory::Explorer(explorer)) => {
                let rates = Rates::read(members, running, stats, pick.scheme, pick.now);
                let field = least_cost::Field::of(members, running, &rates, *margin_bp, *min_volume);
                least_cost::pick(members, running, (&rates, &field), pick.amount, (explorer, turns))
            }
            (policy, _) => match judged(policy, members, running, stats, pick.now) {
                Judged::Costs(costs) => turns.pick(members, costs.lowest(members, running)),
                Judged::Weights(weights) => turns.pick_by(members, running, &weights),
                Judged::Not => turns.pick(members, running),
            },
        }
    }
}

/// What a policy makes of what traffic teaches.
enum Judged {
    /// The lowest is picked; equals take turns by weight.
    Costs(PerMember),
    /// Turns by these weights.
    Weights(PerMember),
    /// Nothing: turns by the configured weights.
    Not,
}

fn judged(policy: &Policy, members: &[Member], running: Candidates, stats: &[Stats], now: Mono) -> Judged {
    match policy {
        Policy::LeastConnections => Judged::Costs(least_connections::costs(members, running, stats)),
        Policy::LeastResponseTime => Judged::Costs(least_response_time::costs(members, running, stats, now)),
        Policy::LoadBased => Judged::Costs(load_based::costs(members, running, stats, now)),
        Policy::FailureBased => Judged::Weights(failure_based::weights(members, running, stats, now)),
        Policy::SmoothWeightedRoundRobin(Weights::ReportedLoad) => {
            Judged::Weights(load_based::weights(members, running, stats, now))
        }
        _ => Judged::Not,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn members(weights: &[u32]) -> Vec<Member> {
        let member = |(i, weight): (usize, &u32)| Member::new(ProcessorId::new(i).unwrap(), &format!("p{i}"), *weight);
        weights.iter().enumerate().map(member).collect()
    }

    pub(crate) fn all(n: usize) -> Candidates {
        (0..n).filter_map(ProcessorId::new).collect()
    }

    pub(crate) fn some(places: &[usize]) -> Candidates {
        places.iter().copied().filter_map(ProcessorId::new).collect()
    }
}
