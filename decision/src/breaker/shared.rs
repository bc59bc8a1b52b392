//! One worker's copy of a record that all workers share.
//!
//! Reading it costs nothing while nobody changed anything: one number, the generation, tells. A good result in quiet
//! times is only noted and written with the next bad one or the next tick; whatever other workers must know at once
//! (a failure, a state, a probe) is written at once, by compare-and-swap, and tried a bounded number of times. A write
//! that always loses is put off, but leave to probe that could not be written is not given.

use super::record::is_slow;
use super::{Grant, Memory, Record, Role, Seen, Settings, Transition, Verdict};
use crate::rng::Rng;
use crate::time::Mono;

/// What the names in shared memory start with: the version of what they hold.
pub(super) const FORMAT: &str = "switchyard.breaker.v1.";
/// The number that differs once anything that matters at once was written.
const GENERATION: &str = "switchyard.generation.v1";
/// A write is tried so often: with as many workers writing at one moment, each is through.
const TRIES: u32 = 16;
/// Results that wait to be written, at most; alike ones are one.
const NOTED_MAX: usize = 64;

/// A worker's copy.
#[derive(Debug)]
pub struct Breaker {
    name: String,
    record: Record,
    /// The generation the copy is of.
    generation: Option<u64>,
    noted: Vec<Noted>,
    /// What this worker changed, until somebody asks.
    told: Vec<Transition>,
}

/// A result that is not written yet.
#[derive(Debug)]
struct Noted {
    grant: Grant,
    seen: Seen,
    at: Mono,
    times: u32,
}

/// The generation in shared memory now.
pub(crate) fn generation(memory: &dyn Memory) -> u64 {
    let value = memory.read(GENERATION).and_then(|(bytes, _)| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    value.unwrap_or(0)
}

impl Breaker {
    /// The copy of the record called `name`.
    pub fn new(name: &str) -> Self {
        Self {
            name: format!("{FORMAT}{name}"),
            record: Record::default(),
            generation: None,
            noted: Vec::new(),
            told: Vec::new(),
        }
    }

    /// The record as this worker sees it. Reads it again where the generation is not the copy's.
    pub(crate) fn look(&mut self, memory: &dyn Memory, generation: u64) -> &Record {
        if self.generation != Some(generation) {
            self.record = self.read(memory).0;
            self.generation = Some(generation);
        }
        &self.record
    }

    /// Takes leave to send.
    pub(crate) fn acquire(
        &mut self,
        memory: &mut dyn Memory,
        permit: u64,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Grant> {
        let mut copy = self.record.clone();
        let (grant, _) = copy.acquire(permit, settings, now)?;
        if copy == self.record {
            return Some(grant);
        }
        let take = |record: &mut Record, _: &mut Rng| match record.acquire(permit, settings, now) {
            Some((grant, transition)) => (Some(grant), transition),
            None => (None, None),
        };
        self.write(memory, settings, now, rng, take).flatten()
    }

    /// Counts a result.
    pub(crate) fn settle(
        &mut self,
        memory: &mut dyn Memory,
        grant: Grant,
        seen: Seen,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) {
        if grant.role == Role::Uncounted {
            return;
        }
        let plain = seen.verdict == Verdict::Good && grant.role == Role::Regular && !is_slow(seen, settings);
        if plain && self.record.is_quiet() {
            if settings.failure_percent.is_some() || settings.slow_percent.is_some() {
                self.note(grant, seen, settings, now);
            }
            return;
        }
        let settled = self
            .write(memory, settings, now, rng, |record, rng| ((), record.settle(&grant, seen, 1, settings, now, rng)));
        if settled.is_none() {
            self.note(grant, seen, settings, now);
        }
    }

    /// Counts so many bad results at once.
    pub(crate) fn settle_times(
        &mut self,
        memory: &mut dyn Memory,
        grant: Grant,
        times: u32,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) {
        self.write(memory, settings, now, rng, |record, rng| {
            ((), record.settle(&grant, Verdict::Bad.into(), times, settings, now, rng))
        });
    }

    /// Writes what is noted, and ends probes that never came back.
    pub(crate) fn tick(&mut self, memory: &mut dyn Memory, settings: &Settings, now: Mono, rng: &mut Rng) {
        let mut copy = self.record.clone();
        copy.expire(settings, now, rng);
        if !self.noted.is_empty() || copy != self.record {
            self.write(memory, settings, now, rng, |record, rng| ((), record.expire(settings, now, rng)));
        }
    }

    /// Makes sure that there is a record: from then on every write asks for its version.
    pub(crate) fn prepare(&self, memory: &mut dyn Memory) {
        if memory.read(&self.name).is_none() {
            memory.swap(&self.name, &Record::default().encode(), 0);
        }
    }

    /// Is there nothing that others or a later look would miss?
    pub(crate) fn is_idle(&self) -> bool {
        self.record.is_quiet() && self.noted.is_empty() && self.told.is_empty()
    }

    /// The copy, as of the last look.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// What this worker changed since it was last asked.
    pub(crate) fn take_told(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.told)
    }

    /// Changes the shared record, after what is noted. None: others were always faster, and nothing was changed.
    fn write<T>(
        &mut self,
        memory: &mut dyn Memory,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
        mut change: impl FnMut(&mut Record, &mut Rng) -> (T, Option<Transition>),
    ) -> Option<T> {
        for _ in 0..TRIES {
            let (was, version) = self.read(memory);
            if version == 0 {
                // A write that replaces nothing asks for no version: the first one changes nothing either.
                memory.swap(&self.name, &was.encode(), 0);
                continue;
            }
            let (mut next, mut told) = (was.clone(), Vec::new());
            for Noted { grant, seen, at, times } in &self.noted {
                // What went well before others failed does not end their row.
                if seen.verdict == Verdict::Good && grant.role == Role::Regular {
                    next.count_good(grant, *seen, *times, settings, ((*at).min(now), now));
                } else {
                    told.extend(next.settle(grant, *seen, *times, settings, (*at).min(now), rng));
                }
            }
            let (result, transition) = change(&mut next, rng);
            told.extend(transition);
            if next != was && !memory.swap(&self.name, &next.encode(), version) {
                continue;
            }
            self.noted.clear();
            self.told.append(&mut told);
            if next.signature() != was.signature() {
                let generation = rng.draw();
                memory.swap(GENERATION, &generation.to_le_bytes(), 0);
                // What others changed meanwhile in other records is still to be looked at.
                self.generation = None;
            }
            self.record = next;
            return Some(result);
        }
        None
    }

    fn read(&self, memory: &dyn Memory) -> (Record, u32) {
        match memory.read(&self.name) {
            Some((bytes, version)) => (Record::decode(&bytes).unwrap_or_default(), version),
            None => (Record::default(), 0),
        }
    }

    fn note(&mut self, grant: Grant, seen: Seen, settings: &Settings, at: Mono) {
        // Beyond slow or not, how long it took does not tell two results apart.
        let seen = Seen { took: seen.took.filter(|_| is_slow(seen, settings)), ..seen };
        let alike = |last: &&mut Noted| last.grant == grant && last.seen == seen;
        if let Some(last) = self.noted.last_mut().filter(alike) {
            last.times = last.times.saturating_add(1);
            last.at = at;
        } else if self.noted.len() < NOTED_MAX {
            self.noted.push(Noted { grant, seen, at, times: 1 });
        }
    }
}
