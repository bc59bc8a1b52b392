//! One worker's memory: who is in flight, which breaker is open, whose turn it is.
//!
//! Only charges feed a breaker and probe with it. A card-range look-up that succeeds says nothing of whether charges
//! do, and would reset the count of their failures.

use std::collections::VecDeque;
use std::time::Duration;

use crate::balance::Balancer;
use crate::breaker::{Breaker, Grant, Transition, Verdict};
use crate::config::Config;
use crate::lookup::{Answer, Key, Local, Question};
use crate::operation::{Kind, PoolId, WhenOpen};
use crate::outbox::{Fate, Outbox};
use crate::payment::Outcome;
use crate::processor::{Candidates, ProcessorId};
use crate::reason::Reason;
use crate::rng::Rng;
use crate::store::{Asked, Store, Stores};
use crate::time::{Mono, Now};

/// Facts that wait to be drained, at most; the oldest are dropped.
const FACTS_MAX: usize = 1_024;

/// Proof that a request was counted in. It is consumed when the request is counted out, so that is done once.
#[must_use = "a request that is not counted out is in flight for ever"]
#[derive(Debug)]
pub struct Ticket {
    processor: ProcessorId,
    kind: Kind,
    grant: Option<Grant>,
}

impl Ticket {
    /// Where the request goes.
    pub fn processor(&self) -> ProcessorId {
        self.processor
    }

    /// Is it the one that tells whether a half-open processor is back?
    pub fn is_probe(&self) -> bool {
        self.grant.as_ref().is_some_and(Grant::is_probe)
    }
}

/// What happened, for metrics and logs; the shell drains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A request ended.
    Settled {
        /// Where it went.
        processor: ProcessorId,
        /// What it might have done to money.
        kind: Kind,
        /// What its answer means.
        outcome: Outcome,
    },
    /// The filter answered itself.
    Refused(Reason),
    /// A breaker changed.
    Breaker(ProcessorId, Transition),
    /// The cache-service is asked again, or not for a moment.
    Store(Store, Transition),
    /// A look-up was answered from a cache, or not.
    Lookup(LookupResult),
    /// A write to the cache-service ended.
    Write(WriteResult),
    /// A processor took a payment and its answer named no id that could be pinned.
    Unpinned(ProcessorId),
}

/// Where a look-up's answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookupResult {
    /// The worker's own memory.
    HitLocal,
    /// The cache-service.
    HitService,
    /// The processor, as nobody had it.
    Miss,
    /// The processor, as the cache-service did not answer.
    Unavailable,
    /// The processor, as it may not be cached.
    Uncached,
}

impl LookupResult {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::HitLocal, Self::HitService, Self::Miss, Self::Unavailable, Self::Uncached];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HitLocal => "hit_local",
            Self::HitService => "hit_service",
            Self::Miss => "miss",
            Self::Unavailable => "unavailable",
            Self::Uncached => "uncached",
        }
    }
}

/// How a write to the cache-service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteResult {
    /// Acknowledged.
    Stored,
    /// Refused; trying again would not help.
    Refused,
    /// The pin is stored, and another processor has a payment of this id too.
    Ambiguous,
    /// Not acknowledged in time; it is tried again.
    Deferred,
    /// Not acknowledged, and not tried again.
    Lost,
}

impl WriteResult {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::Stored, Self::Refused, Self::Ambiguous, Self::Deferred, Self::Lost];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Ambiguous => "ambiguous",
            Self::Deferred => "deferred",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, Default)]
struct Slot {
    in_flight: u32,
    breaker: Breaker,
}

/// One worker's memory.
pub struct Router {
    config: Config,
    slots: Vec<Slot>,
    balancers: Vec<Balancer>,
    /// What this worker remembers of look-ups.
    pub local: Local,
    outbox: Outbox,
    stores: Stores,
    rng: Rng,
    facts: VecDeque<Fact>,
}

impl Router {
    /// A worker that has seen nothing yet. Workers of one proxy take different seeds.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let balancers =
            config.pools.iter().map(|pool| Balancer::new(pool.policy, pool.members.clone(), &mut rng)).collect();
        Self {
            slots: config.processors.iter().map(|_| Slot::default()).collect(),
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

    /// A processor of the pool for a charge, counted in; with a key, the one the key belongs to as long as it may be
    /// used. The error is how long until a processor may be tried again.
    pub fn route(&mut self, pool: PoolId, key: Option<&Key>, now: Now) -> Result<Ticket, Duration> {
        let candidates = self.candidates(pool, now.mono);
        let picked = self.balancers.get_mut(pool.0).and_then(|balancer| balancer.pick(candidates, key));
        if let Some(ticket) = picked.and_then(|id| self.try_admit(id, now)) {
            return Ok(ticket);
        }
        Err(self.wait_for_any(pool, now.mono))
    }

    /// This processor for a charge whose key already belongs to it, counted in; none while its breaker is open.
    pub fn try_admit(&mut self, id: ProcessorId, now: Now) -> Option<Ticket> {
        let slot = self.slots.get_mut(id.index())?;
        let (grant, transition) = slot.breaker.acquire(now.mono)?;
        slot.in_flight = slot.in_flight.saturating_add(1);
        if let Some(transition) = transition {
            self.fact(Fact::Breaker(id, transition));
        }
        Some(Ticket { processor: id, kind: Kind::Charge, grant: Some(grant) })
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
        let Some(slot) = self.slots.get_mut(id.index()) else { return Err(Duration::ZERO) };
        if when_open == WhenOpen::Refuse && !slot.breaker.admits(now.mono) {
            return Err(slot.breaker.opens_again_in(now.mono));
        }
        slot.in_flight = slot.in_flight.saturating_add(1);
        Ok(Ticket { processor: id, kind, grant: None })
    }

    /// A processor for a look-up that any of the pool can answer, counted in: one whose breaker is closed, or any.
    pub fn route_lookup(&mut self, pool: PoolId, now: Now) -> Option<Ticket> {
        let mut candidates = self.candidates(pool, now.mono);
        if candidates.is_empty() {
            candidates = self.config.pool(pool)?.members.iter().map(|m| m.id).collect();
        }
        let id = self.balancers.get_mut(pool.0)?.pick(candidates, None)?;
        self.admit_pinned(id, Kind::Lookup, WhenOpen::Send, now).ok()
    }

    /// Counts a request out.
    pub fn settle(&mut self, ticket: Ticket, outcome: Outcome, now: Now) {
        let Ticket { processor, kind, .. } = ticket;
        let verdict = if ticket.is_probe() { outcome.blame_of_probe() } else { outcome.blame() };
        self.count_out(ticket, verdict, now);
        self.fact(Fact::Settled { processor, kind, outcome });
    }

    /// Counts a request out that was never sent.
    pub fn release(&mut self, ticket: Ticket, now: Now) {
        self.count_out(ticket, Verdict::Neutral, now);
    }

    fn count_out(&mut self, ticket: Ticket, verdict: Verdict, now: Now) {
        let Ticket { processor, grant, .. } = ticket;
        let (Some(slot), Some(configured)) =
            (self.slots.get_mut(processor.index()), self.config.processors.get(processor.index()))
        else {
            return;
        };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        let Some(grant) = grant else { return };
        let changed = slot.breaker.settle(grant, verdict, &configured.breaker, now.mono, &mut self.rng);
        if let Some(transition) = changed {
            self.fact(Fact::Breaker(processor, transition));
        }
    }

    /// Requests at a processor that have not been counted out.
    pub fn in_flight(&self, id: ProcessorId) -> u32 {
        self.slots.get(id.index()).map_or(0, |slot| slot.in_flight)
    }

    /// May a charge go to this processor now?
    pub fn admits(&self, id: ProcessorId, now: Now) -> bool {
        self.slots.get(id.index()).is_some_and(|slot| slot.breaker.admits(now.mono))
    }

    /// Leave to ask the cache-service; none while it is not worth it.
    pub(crate) fn may_ask(&mut self, question: &Question, now: Now) -> Option<Asked> {
        let (asked, changed) = self.stores.acquire(question, now.mono)?;
        if let Some((store, transition)) = changed {
            self.fact(Fact::Store(store, transition));
        }
        Some(asked)
    }

    /// Counts the cache-service's answer; none: nobody waited for it.
    pub(crate) fn answered(&mut self, asked: Asked, answer: Option<&Answer>, now: Now) {
        if let Some((store, transition)) = self.stores.settle(asked, answer, now.mono, &mut self.rng) {
            self.fact(Fact::Store(store, transition));
        }
    }

    /// Takes a write that was not acknowledged, to try it again.
    pub fn defer(&mut self, question: Question, now: Now) {
        let fate = self.outbox.push(question, now.mono);
        self.fact(Fact::Write(WriteResult::Deferred));
        if fate == Fate::GivenUp {
            self.fact(Fact::Write(WriteResult::Lost));
        }
    }

    /// Is an invalidation of this entity still to be written? Then the cache-service may hold what it was.
    pub fn invalidates(&self, entity: &Key) -> bool {
        self.outbox.invalidates(entity)
    }

    /// The next deferred write that is due.
    pub fn take_due(&mut self, now: Now) -> Option<(u64, Question)> {
        self.outbox.take_due(now.mono)
    }

    /// Counts the answer to a deferred write.
    pub fn settle_deferred(&mut self, id: u64, answer: &Answer) {
        match self.outbox.settle(id, answer) {
            Fate::Stored => self.fact(Fact::Write(WriteResult::Stored)),
            Fate::GivenUp => self.fact(Fact::Write(WriteResult::Lost)),
            Fate::Waits => {}
        }
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

    fn candidates(&self, pool: PoolId, now: Mono) -> Candidates {
        let members = self.config.pool(pool).map(|p| p.members.as_slice()).unwrap_or_default();
        let admits = |id: ProcessorId| self.slots.get(id.index()).is_some_and(|s| s.breaker.admits(now));
        members.iter().map(|m| m.id).filter(|id| admits(*id)).collect()
    }

    fn wait_for_any(&self, pool: PoolId, now: Mono) -> Duration {
        let members = self.config.pool(pool).map(|p| p.members.as_slice()).unwrap_or_default();
        let waits = members.iter().filter_map(|m| self.slots.get(m.id.index()));
        waits.map(|slot| slot.breaker.opens_again_in(now)).min().unwrap_or_default()
    }
}
