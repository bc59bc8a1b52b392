//! What a worker asks of the cache-service and writes to it later.

use super::Router;
use crate::fact::{Fact, WriteResult};
use crate::lookup::{Answer, Key, Question};
use crate::outbox::Fate;
use crate::store::Asked;
use crate::time::Now;

impl Router {
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

    /// Takes a write that matters less than those that were promised: only while there is much room.
    pub fn defer_if_quiet(&mut self, question: Question, now: Now) {
        if self.outbox.is_quiet() {
            self.defer(question, now);
        } else {
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
}
