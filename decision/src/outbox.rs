//! Writes that were not acknowledged while their answer was held: they are tried again on the tick.
//!
//! Bounded in number, tries and time. What is given up is a fact for the metrics, never silence.

use std::collections::VecDeque;
use std::time::Duration;

use crate::lookup::{Answer, Key, Question};
use crate::time::Mono;

/// Entries; at 1,024 lost acknowledgements the store has been away for long.
const ENTRIES_MAX: usize = 1_024;
/// Tries; with the waits below about ten minutes.
const TRIES_MAX: u32 = 16;
/// The first wait; it doubles up to [`WAIT_MAX`].
const WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was written.
    Stored,
    /// It will be tried again.
    Waits,
    /// It is lost.
    GivenUp,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    question: Question,
    tries: u32,
    due: Mono,
}

/// Unacknowledged writes, oldest first.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl Outbox {
    /// Takes a write to try again; the oldest makes room when it is full, and is given up.
    pub fn push(&mut self, question: Question, now: Mono) -> Fate {
        let full = self.entries.len() >= ENTRIES_MAX;
        if full {
            self.entries.pop_front();
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.entries.push_back(Entry { id, question, tries: 1, due: now.after(WAIT) });
        if full { Fate::GivenUp } else { Fate::Waits }
    }

    /// Takes everything that waits in another one; what goes beyond the bound is left there.
    pub fn append(&mut self, other: &mut Self) {
        while self.entries.len() < ENTRIES_MAX
            && let Some(entry) = other.entries.pop_front()
        {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            self.entries.push_back(Entry { id, ..entry });
        }
    }

    /// The next write that is due, with the id by which it is settled. It is not due again before its next wait is
    /// over, so a call that never returns is tried again too.
    pub fn take_due(&mut self, now: Mono) -> Option<(u64, Question)> {
        let entry = self.entries.iter_mut().find(|e| now >= e.due)?;
        entry.due = now.after(wait(entry.tries));
        entry.tries = entry.tries.saturating_add(1);
        Some((entry.id, entry.question.clone()))
    }

    /// Counts the answer to a write.
    pub fn settle(&mut self, id: u64, answer: &Answer) -> Fate {
        let Some(at) = self.entries.iter().position(|e| e.id == id) else { return Fate::Stored };
        let tries = self.entries.get(at).map_or(0, |e| e.tries);
        match answer {
            Answer::Unavailable if tries < TRIES_MAX => Fate::Waits,
            Answer::Unavailable | Answer::Refused => {
                self.entries.remove(at);
                Fate::GivenUp
            }
            // An ambiguous pin is stored, as ambiguous.
            _ => {
                self.entries.remove(at);
                Fate::Stored
            }
        }
    }

    /// Is an invalidation of this entity still to be written?
    pub fn invalidates(&self, wanted: &Key) -> bool {
        let of = |question: &Question| matches!(question, Question::Invalidate { entity, .. } if entity == wanted);
        self.entries.iter().any(|entry| of(&entry.question))
    }

    /// Is there room for twice as many?
    pub fn is_quiet(&self) -> bool {
        self.entries.len() < ENTRIES_MAX / 2
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn wait(tries: u32) -> Duration {
    let factor = 1_u32.checked_shl(tries.min(31)).unwrap_or(u32::MAX);
    WAIT.saturating_mul(factor).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::KeyBuilder;

    fn pin(n: usize) -> Question {
        let key = KeyBuilder::new("test").part(&n.to_le_bytes()).finish();
        Question::StorePin { key, processor: "a".to_owned() }
    }

    #[test]
    fn a_write_is_tried_with_growing_waits_and_then_given_up() {
        let mut outbox = Outbox::default();
        let mut now = Mono(0);
        assert_eq!(outbox.push(pin(1), now), Fate::Waits);
        assert_eq!(outbox.take_due(now), None);
        let mut tries = 1;
        loop {
            now = now.after(Duration::from_millis(100));
            let Some((id, _)) = outbox.take_due(now) else { continue };
            assert_eq!(outbox.take_due(now), None, "once per wait");
            tries += 1;
            match outbox.settle(id, &Answer::Unavailable) {
                Fate::Waits => {}
                fate => break assert_eq!(fate, Fate::GivenUp),
            }
        }
        assert_eq!(tries, TRIES_MAX);
        assert!(outbox.is_empty());
        assert!(now > Mono(0).after(Duration::from_secs(300)) && now < Mono(0).after(Duration::from_secs(900)));
    }

    #[test]
    fn it_is_bounded_and_forgets_what_was_stored() {
        let mut outbox = Outbox::default();
        for n in 0..ENTRIES_MAX {
            assert_eq!(outbox.push(pin(n), Mono(0)), Fate::Waits);
        }
        assert_eq!(outbox.push(pin(9_999), Mono(0)), Fate::GivenUp);
        let (id, question) = outbox.take_due(Mono(u64::MAX)).unwrap();
        assert_eq!(question, pin(1), "the oldest made room");
        assert_eq!(outbox.settle(id, &Answer::Stored), Fate::Stored);
        assert_eq!(outbox.len(), ENTRIES_MAX - 1);
    }
}
