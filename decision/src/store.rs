//! Whether the cache-service is worth asking.
//!
//! A service that is gone answers at once that it is; one that hangs would hold every payment for a whole time-out, look-up
//! after look-up, pin after pin. After some failures in a row it is not asked for a moment, and what would have been asked
//! counts as unanswered: public look-ups go to the processor, pins wait in the outbox, claims are refused, and so is what needs
//! a pin. Look-ups and records are judged apart, as Redis can be away while the service's memory answers.

use std::time::Duration;

use crate::breaker::{Grant, Record, Settings, Transition, Verdict};
use crate::lookup::{Answer, Question};
use crate::rng::Rng;
use crate::time::Mono;

/// Fewer than a processor's five: a wrong guess costs a cache miss, or a second of refused claims.
const FAILURES: u32 = 3;
/// Short: a restart of the service takes about a second.
const OPEN: Duration = Duration::from_secs(1);
/// The longest moment; one question then tries again.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// A part of the cache-service that fails on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Look-ups and their fills.
    Lookups,
    /// Pins, claims and invalidations.
    Records,
}

impl Store {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Lookups, Self::Records];

    /// As written in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Records => "records",
        }
    }

    fn of(question: &Question) -> Self {
        match question {
            Question::Lookup { .. } | Question::Fill { .. } => Self::Lookups,
            Question::Invalidate { .. } | Question::Pin { .. } | Question::StorePin { .. } | Question::Claim { .. } => {
                Self::Records
            }
        }
    }
}

/// Leave to ask one question.
#[derive(Debug)]
pub(crate) struct Asked {
    store: Store,
    grant: Grant,
}

/// What one worker knows of the cache-service.
#[derive(Debug)]
pub(crate) struct Stores {
    lookups: Record,
    records: Record,
    settings: Settings,
    /// The id of the next probe.
    next: u64,
}

impl Default for Stores {
    fn default() -> Self {
        let settings = Settings::consecutive(FAILURES, OPEN, OPEN_MAX);
        Self { lookups: Record::default(), records: Record::default(), settings, next: 0 }
    }
}

impl Stores {
    /// Leave to ask now; none while it is not worth it.
    pub(crate) fn acquire(&mut self, question: &Question, now: Mono) -> Option<(Asked, Option<(Store, Transition)>)> {
        let store = Store::of(question);
        self.next = self.next.wrapping_add(1);
        let (settings, permit) = (self.settings.clone(), self.next);
        let (grant, changed) = self.record(store).acquire(permit, &settings, now)?;
        Some((Asked { store, grant }, changed.map(|transition| (store, transition))))
    }

    /// Counts an answer; none: nobody waited for it.
    pub(crate) fn settle(
        &mut self,
        Asked { store, grant }: Asked,
        answer: Option<&Answer>,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<(Store, Transition)> {
        let verdict = match answer {
            None => Verdict::Neutral,
            Some(Answer::Unavailable) => Verdict::Bad,
            Some(_) => Verdict::Good,
        };
        let settings = self.settings.clone();
        let changed = self.record(store).settle(&grant, verdict.into(), 1, &settings, now, rng);
        changed.map(|transition| (store, transition))
    }

    fn record(&mut self, store: Store) -> &mut Record {
        match store {
            Store::Lookups => &mut self.lookups,
            Store::Records => &mut self.records,
        }
    }
}
