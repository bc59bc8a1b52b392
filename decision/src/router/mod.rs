//! One worker's memory: who is in flight, which breaker is open, whose turn it is.
//!
//! Only charges feed a breaker and probe with it. A card-range look-up that succeeds says nothing of whether charges
//! do, and would reset the count of their failures.

mod charge;
mod heartbeats;
mod inherit;
mod stores;

pub use charge::{Charge, Ticket, Told};
pub use heartbeats::Heartbeat;

use std::collections::VecDeque;
use std::time::Duration;

use crate::balance::{Balancer, Pick, panics};
use crate::breaker::{LocalMemory, Memory, Seen, Standing, Verdict};
use crate::breakers::{Breakers, Leave, Sender, Traits};
use crate::config::{Config, State};
use crate::explain::{Considered, Explanation};
use crate::fact::Fact;
use crate::lookup::Local;
use crate::operation::{Kind, PoolId, WhenOpen};
use crate::outbox::Outbox;
use crate::payment::Outcome;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;
use crate::stats::{Observation, Stats};
use crate::store::Stores;
use crate::time::{Mono, Now};

/// Facts that wait to be drained, at most; the oldest are dropped.
const FACTS_MAX: usize = 1_024;

/// One worker's memory.
pub struct Router {
    config: Config,
    /// By processor.
    stats: Vec<Stats>,
    /// Those whose breaker was open when last looked at: once it is not, their share grows slowly.
    kept_out: Candidates,
    breakers: Breakers,
    balancers: Vec<Balancer>,
    /// What this worker remembers of look-ups.
    pub local: Local,
    outbox: Outbox,
    stores: Stores,
    rng: Rng,
    facts: VecDeque<Fact>,
}

impl Router {
    /// A worker that shares nothing with others and has seen nothing yet.
    pub fn new(config: Config, seed: u64) -> Self {
        Self::sharing(config, seed, Box::new(LocalMemory::default()))
    }

    /// A worker of a proxy, over the memory that its workers share. They take different seeds.
    pub fn sharing(config: Config, seed: u64, memory: Box<dyn Memory>) -> Self {
        let mut rng = Rng::new(seed);
        let balancers = config
            .pools
            .iter()
            .map(|pool| Balancer::new(pool.balance.clone(), pool.members.clone(), &mut rng))
            .collect();
        Self {
            stats: config.processors.iter().map(|_| Stats::default()).collect(),
            kept_out: Candidates::default(),
            breakers: Breakers::new(&config.processors, memory, &mut rng),
            balancers,
            local: Local::new(config.local_entries, config.local_bytes),
            outbox: Outbox::default(),
            stores: Stores::default(),
            rng,
            facts: VecDeque::new(),
            config,
        }
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A processor for a charge, counted in; with a key, the one the key belongs to as long as it may be used. The error
    /// is how long until a processor may be tried again.
    pub fn route(&mut self, charge: &Charge<'_>, now: Now) -> Result<Ticket, Duration> {
        self.breakers.refresh();
        let (mut candidates, panic) = self.candidates(charge, now.mono);
        // Every turn takes one candidate away: another worker was faster to send its probe.
        for _ in 0..ProcessorId::COUNT_MAX {
            let pick = pick(charge, candidates, now.mono);
            let balancer = self.balancers.get_mut(charge.pool.0);
            let Some(id) = balancer.and_then(|b| b.pick(&pick, &self.stats, &mut self.rng)) else { break };
            if let Some(ticket) = self.admit(id, &charge.traits, now) {
                return Ok(ticket);
            }
            if panic && let Some(ticket) = self.count_in(id, Kind::Charge, Leave::uncounted(), charge.traits) {
                self.fact(Fact::Panicked(id));
                return Ok(ticket);
            }
            candidates.remove(id);
        }
        Err(self.wait_for_any(charge, now.mono))
    }

    /// Where [`Self::route`] would send a charge now: turns are taken, and nothing is counted in or asked of a breaker.
    pub fn would_route(&mut self, charge: &Charge<'_>, now: Now) -> Option<ProcessorId> {
        self.breakers.refresh();
        let (candidates, _) = self.candidates(charge, now.mono);
        let pick = pick(charge, candidates, now.mono);
        self.balancers.get_mut(charge.pool.0)?.pick(&pick, &self.stats, &mut self.rng)
    }

    /// How [`Self::route`] would choose now, and why; nothing is changed.
    pub fn explain(&mut self, charge: &Charge<'_>, now: Now) -> Option<Explanation> {
        self.breakers.refresh();
        let (candidates, panic) = self.candidates(charge, now.mono);
        let balancer = self.balancers.get(charge.pool.0)?;
        let weighed = balancer.weigh(&pick(charge, candidates, now.mono), &self.stats);
        let settings = balancer.settings().clone();
        let members = weighed.into_iter().filter_map(|weighed| {
            let of = self.config.processors.get(weighed.id.index())?;
            let sender = Sender::Charge;
            let (breaker, scope) = self.breakers.standing(weighed.id, of, &charge.traits, sender, now.mono);
            Some(Considered { breaker, scope, state: of.state, weighed })
        });
        Some(Explanation { settings, keyed: charge.key.is_some(), panic, members: members.collect() })
    }

    /// This processor for a charge whose key already belongs to it, counted in; none while its breaker is open.
    pub fn try_admit(&mut self, id: ProcessorId, traits: &Traits, now: Now) -> Option<Ticket> {
        self.breakers.refresh();
        self.admit(id, traits, now)
    }

    /// The same, once this event has looked whether another worker changed anything.
    fn admit(&mut self, id: ProcessorId, traits: &Traits, now: Now) -> Option<Ticket> {
        let of = self.config.processors.get(id.index())?;
        let leave = self.breakers.acquire(id, of, traits, Sender::Charge, now.mono, &mut self.rng);
        self.tell_breakers();
        self.count_in(id, Kind::Charge, leave?, *traits)
    }

    fn count_in(&mut self, processor: ProcessorId, kind: Kind, leave: Leave, traits: Traits) -> Option<Ticket> {
        self.stats.get_mut(processor.index())?.sent();
        Some(Ticket { processor, kind, leave, traits, sent: None })
    }

    /// This processor for a request that moves no new money and that nobody else can take, counted in; the error is
    /// how long to wait.
    pub fn admit_pinned(
        &mut self,
        id: ProcessorId,
        kind: Kind,
        when_open: WhenOpen,
        now: Now,
    ) -> Result<Ticket, Duration> {
        let standing = self.standing(id, &Traits::default(), now.mono);
        if when_open == WhenOpen::Refuse && !standing.admits() {
            return Err(standing.wait());
        }
        self.count_in(id, kind, Leave::uncounted(), Traits::default()).ok_or(Duration::ZERO)
    }

    /// A processor for a look-up that any of the pool can answer, counted in: one whose breaker is closed, or any.
    pub fn route_lookup(&mut self, pool: PoolId, now: Now) -> Option<Ticket> {
        self.breakers.refresh();
        let charge = Charge::of(pool);
        let (mut candidates, _) = self.candidates(&charge, now.mono);
        if candidates.is_empty() {
            candidates = self.config.pool(pool)?.members.iter().map(|m| m.id).collect();
        }
        let pick = pick(&charge, candidates, now.mono);
        let id = self.balancers.get_mut(pool.0)?.pick(&pick, &self.stats, &mut self.rng)?;
        self.admit_pinned(id, Kind::Lookup, WhenOpen::Send, now).ok()
    }

    /// Counts a request out, and learns from its end.
    pub fn settle(&mut self, ticket: Ticket, told: impl Into<Told>, now: Now) {
        let (Ticket { processor, kind, .. }, told) = (&ticket, told.into());
        let (processor, kind, outcome) = (*processor, *kind, told.outcome);
        let took = ticket.sent.map(|sent| now.mono.since(sent));
        if let Some(stats) = self.stats.get_mut(processor.index()) {
            match kind {
                Kind::Charge => stats.observe(
                    &Observation {
                        // A client that left, or a request that was never sent, timed nothing.
                        latency: took.filter(|_| !matches!(outcome, Outcome::Abandoned | Outcome::Unsent)),
                        verdict: outcome.blame(),
                        approval: outcome.approval(),
                        scheme: told.scheme.or(ticket.traits.scheme),
                        retry_after: told.retry_after,
                        load: told.load,
                    },
                    now.mono,
                ),
                // How fast a card range is read says nothing of charges.
                Kind::FollowUp | Kind::Lookup => stats.left(),
            }
        }
        let (verdict, as_probe) = (outcome.blame(), outcome.blame_of_probe());
        let seen = Seen { verdict, as_probe, took, issuer: ticket.traits.issuer };
        self.settle_leave(processor, ticket.leave, seen, now.mono);
        self.fact(Fact::Settled { processor, kind, outcome });
    }

    /// Learns from an answer to a charge that somebody else sent to a processor at `sent`.
    pub fn learn(&mut self, id: ProcessorId, traits: Traits, told: impl Into<Told>, sent: Mono, now: Now) {
        self.standing(id, &traits, now.mono);
        let of = self.config.processors.get(id.index());
        let heeded = of.is_some_and(|of| self.breakers.heed(id, of, &traits, sent));
        let ticket = if heeded { self.admit(id, &traits, now) } else { None };
        // A straggler, or one that no breaker let through: statistics learn of it, breakers do not.
        let ticket = ticket.or_else(|| self.count_in(id, Kind::Charge, Leave::uncounted(), traits));
        if let Some(ticket) = ticket {
            self.settle(Ticket { sent: Some(sent), ..ticket }, told, now);
        }
    }

    /// Counts a request out that was never sent.
    pub fn release(&mut self, ticket: Ticket, now: Now) {
        if let Some(stats) = self.stats.get_mut(ticket.processor.index()) {
            stats.left();
        }
        self.settle_leave(ticket.processor, ticket.leave, Verdict::Neutral.into(), now.mono);
    }

    fn settle_leave(&mut self, id: ProcessorId, leave: Leave, seen: Seen, now: Mono) {
        let Some(of) = self.config.processors.get(id.index()) else { return };
        self.breakers.refresh();
        self.breakers.settle(id, of, leave, seen, now, &mut self.rng);
        self.tell_breakers();
    }

    /// Requests at a processor that have not been counted out.
    pub fn in_flight(&self, id: ProcessorId) -> u32 {
        self.stats.get(id.index()).map_or(0, Stats::in_flight)
    }

    /// May a charge go to this processor now?
    pub fn admits(&mut self, id: ProcessorId, now: Now) -> bool {
        self.standing(id, &Traits::default(), now.mono).admits()
    }

    fn standing(&mut self, id: ProcessorId, traits: &Traits, now: Mono) -> Standing {
        self.breakers.refresh();
        let Some(of) = self.config.processors.get(id.index()) else { return Standing::ForcedOpen };
        self.breakers.standing(id, of, traits, Sender::Charge, now).0
    }

    /// Work that no request brings: results that wait to be written are, and probes that never came back end.
    pub fn tick(&mut self, now: Now) {
        self.breakers.refresh();
        self.breakers.tick(&self.config.processors, now.mono, &mut self.rng);
        self.tell_breakers();
    }

    /// Adds a fact.
    pub fn fact(&mut self, fact: Fact) {
        if self.facts.len() >= FACTS_MAX {
            self.facts.pop_front();
        }
        self.facts.push_back(fact);
    }

    /// Takes the oldest fact.
    pub fn poll_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    fn tell_breakers(&mut self) {
        for (id, scope, transition) in self.breakers.take_told() {
            self.fact(Fact::Breaker(id, scope, transition));
        }
    }

    /// Those that may be picked, and whether that is for want of others.
    fn candidates(&mut self, charge: &Charge<'_>, now: Mono) -> (Candidates, bool) {
        let Some(pool) = self.config.pool(charge.pool) else { return (Candidates::default(), false) };
        let (mut candidates, mut standby) = (Candidates::default(), Candidates::default());
        for member in &pool.members {
            let Some(of) = self.config.processors.get(member.id.index()) else { continue };
            if of.state == State::Drain {
                continue;
            }
            let (standing, _) = self.breakers.standing(member.id, of, &charge.traits, Sender::Charge, now);
            match self.breakers.standing_of_whole(member.id, of, now) {
                Standing::Closed if self.kept_out.contains(member.id) => {
                    self.kept_out.remove(member.id);
                    if let Some(stats) = self.stats.get_mut(member.id.index()) {
                        stats.begin_slow_start(now);
                    }
                }
                Standing::Open(_) => self.kept_out.insert(member.id),
                _ => {}
            }
            if standing.admits() {
                candidates.insert(member.id);
            }
            if standing != Standing::ForcedOpen {
                standby.insert(member.id);
            }
        }
        if panics(&pool.members, candidates, pool.panic_percent) { (standby, true) } else { (candidates, false) }
    }

    fn wait_for_any(&mut self, charge: &Charge<'_>, now: Mono) -> Duration {
        let members = self.config.pool(charge.pool).map(|p| p.members.as_slice()).unwrap_or_default();
        let (processors, breakers) = (&self.config.processors, &mut self.breakers);
        let waits = members.iter().filter_map(|m| {
            let of = processors.get(m.id.index()).filter(|of| of.state != State::Drain)?;
            let standing = breakers.standing(m.id, of, &charge.traits, Sender::Charge, now).0;
            (standing != Standing::ForcedOpen).then(|| standing.wait())
        });
        waits.min().unwrap_or_default()
    }
}

fn pick<'a>(charge: &Charge<'a>, candidates: Candidates, now: Mono) -> Pick<'a> {
    let Charge { key, amount, source, input, traits, .. } = *charge;
    Pick { candidates, key, source, input, amount, scheme: traits.scheme, now }
}
