//! The breakers of every processor: one for the whole of it, and where the operator asks, one for each part of its
//! traffic, by scheme or by the issuer's country.
//!
//! A processor that fails for one scheme alone goes on taking the others: the successes of those keep its own breaker
//! closed, and the part's breaker opens. A payment goes only where the breaker of the whole and those of its parts let it.

use std::collections::BTreeMap;
use std::fmt;

use xxhash_rust::xxh64::xxh64;

use crate::breaker::{Breaker, Grant, Memory, Seen, Standing, Transition, Verdict, generation};
use crate::config::Processor;
use crate::payment::{Country, Payment, Scheme};
use crate::processor::ProcessorId;
use crate::rng::Rng;
use crate::time::Mono;

/// Parts that are told apart, over all processors; payments of further ones count for the whole alone.
const PARTS_MAX: usize = 1_024;

/// By what the traffic of a processor is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The card's scheme.
    Scheme,
    /// The country of the card's issuer.
    IssuerCountry,
}

/// What a breaker stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All traffic of a processor.
    Processor,
    /// That of one scheme.
    Scheme(Scheme),
    /// That of issuers of one country.
    IssuerCountry(Country),
}

impl Scope {
    /// The kind of scope, as written in metrics.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Scheme(_) => "scheme",
            Self::IssuerCountry(_) => "issuer_country",
        }
    }

    /// Every kind, as written in metrics.
    pub const KINDS: [&'static str; 3] = ["processor", "scheme", "issuer_country"];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => f.write_str("processor"),
            Self::Scheme(scheme) => write!(f, "scheme {}", scheme.as_str()),
            Self::IssuerCountry(country) => write!(f, "issuer country {}", country.as_str()),
        }
    }
}

/// What of a payment its breakers are chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Its scheme.
    pub scheme: Option<Scheme>,
    /// Its issuer's country.
    pub issuer_country: Option<Country>,
    /// A hash of its issuer.
    pub issuer: Option<u32>,
}

impl Traits {
    /// Those of a payment. An issuer is told by the first six digits of its cards.
    pub fn of(payment: &Payment) -> Self {
        let digits = payment.bin.as_ref().and_then(|bin| bin.digits().get(..6));
        let issuer = digits.and_then(|digits| u32::try_from(xxh64(digits, 0) >> 32).ok());
        Self { scheme: payment.scheme, issuer_country: payment.issuer_country, issuer }
    }

    fn scope(&self, dimension: Dimension) -> Option<Scope> {
        match dimension {
            Dimension::Scheme => self.scheme.map(Scope::Scheme),
            Dimension::IssuerCountry => self.issuer_country.map(Scope::IssuerCountry),
        }
    }
}

/// Leave to send a charge; consumed by settling it.
#[derive(Debug)]
pub struct Leave(Vec<(Scope, Grant)>);

impl Leave {
    /// Does it decide whether a breaker closes?
    pub fn is_probe(&self) -> bool {
        self.0.iter().any(|(_, grant)| grant.is_probe())
    }

    /// Leave that no breaker gave, as in a panic.
    pub fn uncounted() -> Self {
        Self(Vec::new())
    }
}

/// Who asks to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client's charge.
    Charge,
    /// The filter's own heartbeat.
    Heartbeat,
}

/// All breakers of one worker.
pub struct Breakers {
    memory: Box<dyn Memory>,
    processors: Vec<Breaker>,
    parts: BTreeMap<(ProcessorId, Scope), Breaker>,
    /// Names this worker's probes: no other worker of the proxy draws the same.
    worker: u64,
    probes: u64,
    told: Vec<(ProcessorId, Scope, Transition)>,
    /// Of the shared memory, as of the last [`Self::refresh`].
    generation: u64,
}

impl Breakers {
    /// The breakers of the configured processors, over the memory that the proxy's workers share.
    pub fn new(processors: &[Processor], mut memory: Box<dyn Memory>, rng: &mut Rng) -> Self {
        let processors: Vec<_> = processors.iter().map(|p| Breaker::new(&p.name)).collect();
        processors.iter().for_each(|breaker| breaker.prepare(memory.as_mut()));
        Self {
            memory,
            processors,
            parts: BTreeMap::new(),
            worker: rng.draw(),
            probes: 0,
            told: Vec::new(),
            generation: 0,
        }
    }

    /// Looks whether another worker changed anything: once per event, before anything else.
    pub fn refresh(&mut self) {
        self.generation = generation(self.memory.as_ref());
    }

    /// What the breakers of a payment let through at a processor, and whose word that is: the strictest one's.
    pub fn standing(
        &mut self,
        id: ProcessorId,
        of: &Processor,
        traits: &Traits,
        sender: Sender,
        now: Mono,
    ) -> (Standing, Scope) {
        let mut strictest = (Standing::Closed, Scope::Processor);
        for scope in scopes(of, traits, sender) {
            let Some(breaker) = breaker_of(&mut self.processors, &mut self.parts, id, of, scope) else { continue };
            let mut standing = breaker.look(self.memory.as_ref(), self.generation).standing(&of.breaker, now);
            if standing == Standing::Probing
                && scope == Scope::Processor
                && of.heartbeat.is_some()
                && sender == Sender::Charge
            {
                standing = Standing::AwaitingProbe;
            }
            let worse = match (standing, strictest.0) {
                (Standing::Closed, _) => false,
                (Standing::Probing, before) => before == Standing::Closed,
                (now, before) => before.admits() || now.wait() > before.wait(),
            };
            if worse {
                strictest = (standing, scope);
            }
        }
        strictest
    }

    /// What the breaker of the whole lets through, as of the last look at it.
    pub fn standing_of_whole(&self, id: ProcessorId, of: &Processor, now: Mono) -> Standing {
        let breaker = self.processors.get(id.index());
        breaker.map_or(Standing::ForcedOpen, |breaker| breaker.record().standing(&of.breaker, now))
    }

    /// May the result of a request that somebody else sent at `sent` count with every breaker of it?
    pub fn heed(&self, id: ProcessorId, of: &Processor, traits: &Traits, sent: Mono) -> bool {
        let heeds = |scope| {
            let breaker = match scope {
                Scope::Processor => self.processors.get(id.index()),
                part => self.parts.get(&(id, part)),
            };
            breaker.is_none_or(|breaker| breaker.record().heeds(sent))
        };
        scopes(of, traits, Sender::Charge).all(heeds)
    }

    /// Leave to send to a processor; none where a breaker keeps it out, or where others were faster to take a probe's
    /// place.
    pub fn acquire(
        &mut self,
        id: ProcessorId,
        of: &Processor,
        traits: &Traits,
        sender: Sender,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Leave> {
        if !self.standing(id, of, traits, sender, now).0.admits() {
            return None;
        }
        self.probes = self.probes.wrapping_add(1);
        let permit = self.worker.wrapping_add(self.probes.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut leave = Leave::uncounted();
        for scope in scopes(of, traits, sender) {
            let Some(breaker) = breaker_of(&mut self.processors, &mut self.parts, id, of, scope) else { continue };
            match breaker.acquire(self.memory.as_mut(), permit, &of.breaker, now, rng) {
                Some(grant) => leave.0.push((scope, grant)),
                None => {
                    self.settle(id, of, leave, Verdict::Neutral.into(), now, rng);
                    return None;
                }
            }
            collect(breaker, id, scope, &mut self.told);
        }
        Some(leave)
    }

    /// Counts a result.
    pub fn settle(&mut self, id: ProcessorId, of: &Processor, leave: Leave, seen: Seen, now: Mono, rng: &mut Rng) {
        for (scope, grant) in leave.0 {
            let Some(breaker) = breaker_of(&mut self.processors, &mut self.parts, id, of, scope) else { continue };
            breaker.look(self.memory.as_ref(), self.generation);
            breaker.settle(self.memory.as_mut(), grant, seen, &of.breaker, now, rng);
            collect(breaker, id, scope, &mut self.told);
        }
    }

    /// Opens a breaker on the word of heartbeats.
    pub fn trip(&mut self, id: ProcessorId, of: &Processor, leave: Leave, now: Mono, rng: &mut Rng) {
        for (scope, grant) in leave.0 {
            let Some(breaker) = breaker_of(&mut self.processors, &mut self.parts, id, of, scope) else { continue };
            breaker.look(self.memory.as_ref(), self.generation);
            breaker.settle_times(self.memory.as_mut(), grant, of.breaker.consecutive_failures, &of.breaker, now, rng);
            collect(breaker, id, scope, &mut self.told);
        }
    }

    /// Writes what waited, and ends probes that never came back.
    pub fn tick(&mut self, processors: &[Processor], now: Mono, rng: &mut Rng) {
        let whole = self.processors.iter_mut().zip(0_usize..);
        let whole = whole.filter_map(|(breaker, at)| Some((ProcessorId::new(at)?, Scope::Processor, breaker)));
        let parts = self.parts.iter_mut().map(|((id, scope), breaker)| (*id, *scope, breaker));
        for (id, scope, breaker) in whole.chain(parts) {
            let Some(of) = processors.get(id.index()) else { continue };
            breaker.look(self.memory.as_ref(), self.generation);
            breaker.tick(self.memory.as_mut(), &of.breaker, now, rng);
            collect(breaker, id, scope, &mut self.told);
        }
    }

    /// What this worker changed since the last time.
    pub fn take_told(&mut self) -> Vec<(ProcessorId, Scope, Transition)> {
        std::mem::take(&mut self.told)
    }

    /// The memory that workers share.
    pub(crate) fn memory(&mut self) -> &mut dyn Memory {
        self.memory.as_mut()
    }
}

/// A heartbeat has no card: it asks the breaker of the whole alone.
fn scopes(of: &Processor, traits: &Traits, sender: Sender) -> impl Iterator<Item = Scope> {
    let parts = if sender == Sender::Charge { of.per.as_slice() } else { &[] };
    let traits = *traits;
    std::iter::once(Scope::Processor).chain(parts.iter().filter_map(move |dimension| traits.scope(*dimension)))
}

fn breaker_of<'a>(
    processors: &'a mut [Breaker],
    parts: &'a mut BTreeMap<(ProcessorId, Scope), Breaker>,
    id: ProcessorId,
    of: &Processor,
    scope: Scope,
) -> Option<&'a mut Breaker> {
    if scope == Scope::Processor {
        return processors.get_mut(id.index());
    }
    if !parts.contains_key(&(id, scope)) {
        if parts.len() >= PARTS_MAX {
            // Whoever makes up countries must not take the place of those that are there.
            parts.retain(|_, breaker| !breaker.is_idle());
            if parts.len() >= PARTS_MAX {
                return None;
            }
        }
        let name = match scope {
            Scope::Processor => of.name.clone(),
            Scope::Scheme(scheme) => format!("{}.scheme.{}", of.name, scheme.as_str()),
            Scope::IssuerCountry(country) => format!("{}.issuer_country.{}", of.name, country.as_str()),
        };
        parts.insert((id, scope), Breaker::new(&name));
    }
    parts.get_mut(&(id, scope))
}

fn collect(breaker: &mut Breaker, id: ProcessorId, scope: Scope, told: &mut Vec<(ProcessorId, Scope, Transition)>) {
    told.extend(breaker.take_told().into_iter().map(|transition| (id, scope, transition)));
}
