//! One worker's memory: who is in flight, which breaker is open, whose turn it is.
//!
//! Only charges feed a breaker and probe with it. A card-range look-up that succeeds says nothing of whether charges
//! do, and would reset the count of their failures.

use std::collections::VecDeque;
use std::time::Duration;

use crate::balance::Balancer;
use crate::breaker::{LocalMemory, Memory, Seen, Standing, Verdict};
use crate::breakers::{Breakers, Leave, Sender, Traits};
use crate::config::Config;
use crate::fact::{Beat, Fact, WriteResult};
use crate::heartbeat;
use crate::lookup::{Answer, Key, Local, Question};
use crate::operation::{Kind, PoolId, WhenOpen};
use crate::outbox::{Fate, Outbox};
use crate::payment::Outcome;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;
use crate::store::{Asked, Stores};
use crate::time::{Mono, Now};

/// Facts that wait to be drained, at most; the oldest are dropped.
const FACTS_MAX: usize = 1_024;

/// A charge, as far as the choice of its processor needs it.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The processors that may take it.
    pub pool: PoolId,
    /// What its processor is drawn from, where it has an idempotency key.
    pub key: Option<&'a Key>,
    /// What its breakers are chosen by.
    pub traits: Traits,
}

/// Proof that a request was counted in. It is consumed when the request is counted out, so that is done once.
#[must_use = "a request that is not counted out is in flight for ever"]
#[derive(Debug)]
pub struct Ticket {
    processor: ProcessorId,
    kind: Kind,
    leave: Leave,
    traits: Traits,
    /// When it was sent; none: it still waits for something.
    sent: Option<Mono>,
}

impl Ticket {
    /// Where the request goes.
    pub fn processor(&self) -> ProcessorId {
        self.processor
    }

    /// Is it one that tells whether a half-open processor is back?
    pub fn is_probe(&self) -> bool {
        self.leave.is_probe()
    }

    /// The request is on its way: from here its time is taken.
    pub fn sent(self, now: Now) -> Self {
        Self { sent: Some(now.mono), ..self }
    }
}

/// A heartbeat to send; consumed by its result.
#[must_use = "a probe that is not settled keeps its breaker half-open until it expires"]
#[derive(Debug)]
pub struct Heartbeat {
    processor: ProcessorId,
    leave: Leave,
    sent: Mono,
}

impl Heartbeat {
    /// Where it goes.
    pub fn processor(&self) -> ProcessorId {
        self.processor
    }
}

#[derive(Debug, Default)]
struct Slot {
    in_flight: u32,
}

/// One worker's memory.
pub struct Router {
    config: Config,
    slots: Vec<Slot>,
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
        let balancers =
            config.pools.iter().map(|pool| Balancer::new(pool.policy, pool.members.clone(), &mut rng)).collect();
        Self {
            slots: config.processors.iter().map(|_| Slot::default()).collect(),
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
        let mut candidates = self.candidates(charge.pool, &charge.traits, now.mono);
        // Every turn takes one candidate away: another worker was faster to send its probe.
        for _ in 0..ProcessorId::COUNT_MAX {
            let picked = self.balancers.get_mut(charge.pool.0).and_then(|b| b.pick(candidates, charge.key));
            let Some(id) = picked else { break };
            if let Some(ticket) = self.try_admit(id, &charge.traits, now) {
                return Ok(ticket);
            }
            candidates.remove(id);
        }
        Err(self.wait_for_any(charge.pool, &charge.traits, now.mono))
    }

    /// This processor for a charge whose key already belongs to it, counted in; none while its breaker is open.
    pub fn try_admit(&mut self, id: ProcessorId, traits: &Traits, now: Now) -> Option<Ticket> {
        self.breakers.refresh();
        let of = self.config.processors.get(id.index())?;
        let leave = self.breakers.acquire(id, of, traits, Sender::Charge, now.mono, &mut self.rng);
        self.tell_breakers();
        self.count_in(id, Kind::Charge, leave?, *traits)
    }

    fn count_in(&mut self, processor: ProcessorId, kind: Kind, leave: Leave, traits: Traits) -> Option<Ticket> {
        let slot = self.slots.get_mut(processor.index())?;
        slot.in_flight = slot.in_flight.saturating_add(1);
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
        let mut candidates = self.candidates(pool, &Traits::default(), now.mono);
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

    /// Learns from an answer to a charge that somebody else sent to a processor at `sent`.
    pub fn learn(&mut self, id: ProcessorId, traits: Traits, outcome: Outcome, sent: Mono, now: Now) {
        let ticket = match self.try_admit(id, &traits, now) {
            Some(ticket) => Some(ticket),
            None => self.count_in(id, Kind::Charge, Leave::uncounted(), traits),
        };
        if let Some(ticket) = ticket {
            self.settle(Ticket { sent: Some(sent), ..ticket }, outcome, now);
        }
    }

    /// Counts a request out that was never sent.
    pub fn release(&mut self, ticket: Ticket, now: Now) {
        self.count_out(Ticket { sent: None, ..ticket }, Verdict::Neutral, now);
    }

    fn count_out(&mut self, ticket: Ticket, verdict: Verdict, now: Now) {
        let Ticket { processor, leave, traits, sent, .. } = ticket;
        if let Some(slot) = self.slots.get_mut(processor.index()) {
            slot.in_flight = slot.in_flight.saturating_sub(1);
        }
        let seen = Seen { verdict, took: sent.map(|sent| now.mono.since(sent)), issuer: traits.issuer };
        self.settle_leave(processor, leave, seen, now.mono);
    }

    fn settle_leave(&mut self, id: ProcessorId, leave: Leave, seen: Seen, now: Mono) {
        let Some(of) = self.config.processors.get(id.index()) else { return };
        self.breakers.refresh();
        self.breakers.settle(id, of, leave, seen, now, &mut self.rng);
        self.tell_breakers();
    }

    /// Requests at a processor that have not been counted out.
    pub fn in_flight(&self, id: ProcessorId) -> u32 {
        self.slots.get(id.index()).map_or(0, |slot| slot.in_flight)
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

    /// The next heartbeat that this worker should send now, for the whole proxy.
    pub fn take_heartbeat(&mut self, now: Now) -> Option<Heartbeat> {
        self.breakers.refresh();
        let traits = Traits::default();
        for (at, of) in self.config.processors.iter().enumerate() {
            let (Some(settings), Some(processor)) = (&of.heartbeat, ProcessorId::new(at)) else { continue };
            let (standing, _) = self.breakers.standing(processor, of, &traits, Sender::Heartbeat, now.mono);
            let due = match standing {
                Standing::Probing => true,
                Standing::Closed => heartbeat::take_turn(self.breakers.memory(), &of.name, settings, now.mono),
                Standing::Open(_) | Standing::AwaitingProbe | Standing::ForcedOpen => false,
            };
            if !due {
                continue;
            }
            if let Some(leave) =
                self.breakers.acquire(processor, of, &traits, Sender::Heartbeat, now.mono, &mut self.rng)
            {
                self.tell_breakers();
                return Some(Heartbeat { processor, leave, sent: now.mono });
            }
        }
        None
    }

    /// Counts the answer to a heartbeat; none: there was none.
    pub fn settle_heartbeat(&mut self, beat: Heartbeat, status: Option<u16>, now: Now) {
        let Heartbeat { processor, leave, sent } = beat;
        let (verdict, result) = match (heartbeat::is_good(status), leave.is_probe()) {
            (true, true) => (Verdict::Good, Beat::Good),
            // A health page that answers does not say that charges work.
            (true, false) => (Verdict::Neutral, Beat::Good),
            (false, _) => (Verdict::Bad, Beat::Bad),
        };
        let took = if verdict == Verdict::Neutral { None } else { Some(now.mono.since(sent)) };
        self.settle_leave(processor, leave, Seen { verdict, took, issuer: None }, now.mono);
        self.fact(Fact::Heartbeat(processor, result));
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

    fn tell_breakers(&mut self) {
        for (id, scope, transition) in self.breakers.take_told() {
            self.fact(Fact::Breaker(id, scope, transition));
        }
    }

    fn candidates(&mut self, pool: PoolId, traits: &Traits, now: Mono) -> Candidates {
        let members = self.config.pool(pool).map(|p| p.members.as_slice()).unwrap_or_default();
        let (processors, breakers) = (&self.config.processors, &mut self.breakers);
        let mut admits = |id: ProcessorId| {
            let of = processors.get(id.index());
            of.is_some_and(|of| breakers.standing(id, of, traits, Sender::Charge, now).0.admits())
        };
        members.iter().map(|m| m.id).filter(|id| admits(*id)).collect()
    }

    fn wait_for_any(&mut self, pool: PoolId, traits: &Traits, now: Mono) -> Duration {
        let members = self.config.pool(pool).map(|p| p.members.as_slice()).unwrap_or_default();
        let (processors, breakers) = (&self.config.processors, &mut self.breakers);
        let waits = members.iter().filter_map(|m| {
            let of = processors.get(m.id.index())?;
            Some(breakers.standing(m.id, of, traits, Sender::Charge, now).0.wait())
        });
        waits.min().unwrap_or_default()
    }
}
