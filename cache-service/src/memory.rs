//! The first tier: what this node keeps of one namespace, and which of it is still true.
//!
//! The law: no order of {load begins, value kept, entity invalidated, value asked for} serves a value whose load began
//! before the entity's last invalidation. The tests go through every order up to a length.

use std::sync::Arc;
use std::time::Instant;

use decision::lookup::Key;

use crate::cache::{Cache, Entry, Size};
use crate::generation::{Generation, Generations};

/// The memory of one namespace.
pub struct Memory {
    cache: Box<dyn Cache>,
    generations: Generations,
}

/// The entity was invalidated after the load began.
#[derive(Debug, PartialEq, Eq)]
pub struct Outdated;

impl Memory {
    /// An empty memory.
    pub fn new(cache: Box<dyn Cache>, generations: Generations) -> Self {
        Self { cache, generations }
    }

    /// The generation of a load that begins now.
    pub fn begin(&self) -> Generation {
        self.generations.now()
    }

    /// The value under the key, if it was stored under the same entity, has not expired and is still true.
    pub fn find(&self, key: &Key, entity: Option<&Key>, now: Instant) -> Option<Arc<Entry>> {
        let entry = self.cache.find(key, now)?;
        (entry.entity.as_ref() == entity && self.is_true(key, entity, entry.begun)).then_some(entry)
    }

    /// Whether what was loaded at `begun` is still true.
    pub fn is_true(&self, key: &Key, entity: Option<&Key>, begun: Generation) -> bool {
        match entity {
            Some(entity) => begun >= self.generations.latest(entity).max(self.generations.latest(key)),
            // A plain value is forgotten when its key is invalidated; only one kept by a request that was under way can
            // come after. So what is remembered is enough, and the floor does not empty a namespace of plain values.
            None => self.generations.remembered(key).is_none_or(|at| begun >= at),
        }
    }

    /// Keeps the value if it is still true.
    pub fn keep(&self, key: Key, entry: Arc<Entry>, now: Instant) -> Result<(), Outdated> {
        if !self.is_true(&key, entry.entity.as_ref(), entry.begun) {
            return Err(Outdated);
        }
        let (entity, begun) = (entry.entity, entry.begun);
        self.cache.keep(key, entry, now);
        // Invalidated in between, it was forgotten before it was there.
        if !self.is_true(&key, entity.as_ref(), begun) {
            self.cache.forget(&key);
            return Err(Outdated);
        }
        Ok(())
    }

    /// Forgets the value under the key, and everything whose entity the key is.
    pub fn invalidate(&self, key: &Key) {
        self.generations.bump(key);
        self.cache.forget(key);
    }

    /// Does the work that is due.
    pub fn tend(&self) {
        self.cache.tend();
    }

    /// What is held now.
    pub fn size(&self) -> Size {
        self.cache.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Lru;
    use crate::value::Value;
    use bytes::Bytes;
    use decision::lookup::KeyBuilder;
    use std::sync::Barrier;
    use std::time::Duration;

    fn key(name: &str) -> Key {
        KeyBuilder::new("t").part(name.as_bytes()).finish()
    }

    /// What can happen, to two loads of one value of one entity.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Event {
        Begin(usize),
        Put(usize),
        InvalidateEntity,
        InvalidateKey,
        /// Another entity is invalidated, often enough that ours may be forgotten.
        Crowd,
    }

    const EVENTS: [Event; 7] = [
        Event::Begin(0),
        Event::Begin(1),
        Event::Put(0),
        Event::Put(1),
        Event::InvalidateEntity,
        Event::InvalidateKey,
        Event::Crowd,
    ];

    /// Plays the events and asks after each. The value's body is the step its load began at.
    fn play(script: &[Event], crowd: &[Key]) {
        let memory = Memory::new(Box::new(Lru::new(1 << 20, 1_000)), Generations::new(16));
        let (value_key, entity) = (key("value"), key("entity"));
        let now = Instant::now();
        let mut loads = [None; 2];
        let mut invalidated = None;
        for (step, event) in script.iter().enumerate() {
            match *event {
                Event::Begin(load) => loads[load] = Some((step, memory.begin())),
                Event::Put(load) => {
                    let Some((at, begun)) = loads[load] else {
                        continue;
                    };
                    let body = Bytes::from(at.to_string());
                    let value = Value { body, content_type: None, status: Default::default(), processor: None };
                    let expires = now + Duration::from_secs(60);
                    let entry = Entry { value, entity: Some(entity), begun, stored: now, expires, leaves: expires };
                    let kept = memory.keep(value_key, Arc::new(entry), now);
                    let good = invalidated.is_none_or(|last| at > last);
                    assert!(kept.is_err() || good, "stale kept: {script:?}");
                    // Forgetting may refuse a good one, so only a world without a crowd must keep it.
                    let crowded = script.contains(&Event::Crowd);
                    assert!(crowded || kept.is_ok() == good, "good refused: {script:?}");
                }
                Event::InvalidateEntity => {
                    memory.invalidate(&entity);
                    invalidated = Some(step);
                }
                Event::InvalidateKey => {
                    memory.invalidate(&value_key);
                    invalidated = Some(step);
                }
                Event::Crowd => crowd.iter().for_each(|other| memory.invalidate(other)),
            }
            if let Some(found) = memory.find(&value_key, Some(&entity), now) {
                let at: usize = std::str::from_utf8(&found.value.body).expect("text").parse().expect("a step");
                assert!(invalidated.is_none_or(|last| at > last), "stale served: {script:?}");
            }
            assert!(memory.find(&value_key, None, now).is_none(), "found without its entity");
        }
    }

    #[test]
    fn no_order_of_events_serves_what_was_loaded_before_the_last_invalidation() {
        let crowd: Vec<Key> = (0..64).map(|n| key(&n.to_string())).collect();
        const LENGTH: u32 = 6;
        for number in 0..EVENTS.len().pow(LENGTH) {
            let mut rest = number;
            let script: Vec<Event> = (0..LENGTH)
                .map(|_| {
                    let event = EVENTS[rest % EVENTS.len()];
                    rest /= EVENTS.len();
                    event
                })
                .collect();
            // Orders in which nothing is loaded or kept prove nothing.
            let loads = script.iter().any(|e| matches!(e, Event::Put(_)));
            if loads && matches!(script[0], Event::Begin(0)) {
                play(&script, &crowd);
            }
        }
    }

    /// Stops in `keep`, after what was checked before it and before the value is there.
    struct Halting {
        inner: Lru,
        halt: Barrier,
    }

    impl Cache for Arc<Halting> {
        fn find(&self, key: &Key, now: Instant) -> Option<Arc<Entry>> {
            self.inner.find(key, now)
        }
        fn keep(&self, key: Key, entry: Arc<Entry>, now: Instant) {
            self.halt.wait();
            self.halt.wait();
            self.inner.keep(key, entry, now);
        }
        fn forget(&self, key: &Key) {
            self.inner.forget(key);
        }
        fn size(&self) -> Size {
            self.inner.size()
        }
    }

    #[test]
    fn a_plain_value_deleted_while_it_is_kept_does_not_come_back() {
        let cache = Arc::new(Halting { inner: Lru::new(1 << 20, 1_000), halt: Barrier::new(2) });
        let memory = Memory::new(Box::new(Arc::clone(&cache)), Generations::new(16));
        let (now, begun) = (Instant::now(), memory.begin());
        std::thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                let value =
                    Value { body: Bytes::new(), content_type: None, status: Default::default(), processor: None };
                let expires = now + Duration::from_secs(60);
                let entry = Entry { value, entity: None, begun, stored: now, expires, leaves: expires };
                memory.keep(key("value"), Arc::new(entry), now)
            });
            cache.halt.wait();
            memory.invalidate(&key("value"));
            cache.halt.wait();
            assert_eq!(keeper.join().expect("kept or not"), Err(Outdated));
        });
        assert_eq!(cache.size().entries, 0);
    }

    #[test]
    fn a_plain_value_kept_by_a_request_under_way_does_not_outlive_its_deletion() {
        let memory = Memory::new(Box::new(Lru::new(1 << 20, 1_000)), Generations::new(16));
        let now = Instant::now();
        let begun = memory.begin();
        memory.invalidate(&key("value"));
        let value = Value { body: Bytes::new(), content_type: None, status: Default::default(), processor: None };
        let expires = now + Duration::from_secs(60);
        let entry = Entry { value, entity: None, begun, stored: now, expires, leaves: expires };
        assert_eq!(memory.keep(key("value"), Arc::new(entry), now), Err(Outdated));
    }
}
