//! The worker's own memory of look-ups and pins: exact LRU, bounded in entries and bytes, with a time to live.

use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use super::Key;
use crate::processor::ProcessorId;
use crate::time::Mono;

/// A cached answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The status the processor answered with.
    pub status: u16,
    /// Its content type.
    pub content_type: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
    /// The processor's name, where it is known.
    pub processor: Option<String>,
}

impl Value {
    /// What it weighs against the bound: its bytes and a flat price for table and list.
    fn weight(&self) -> usize {
        const OVERHEAD_BYTES: usize = 128;
        let name = self.processor.as_ref().map_or(0, String::len);
        OVERHEAD_BYTES.saturating_add(self.content_type.len()).saturating_add(self.body.len()).saturating_add(name)
    }
}

/// A key is a SHA-256 digest already: eight of its bytes are a hash, and no seed is needed.
#[derive(Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.0 ^= u64::from_le_bytes(word);
        }
    }
}

type Digests<V> = LruCache<Key, V, BuildHasherDefault<DigestHasher>>;

/// A value and how long it is true.
struct Kept {
    value: Value,
    /// Served until then.
    until: Mono,
    /// When its load began: what was read before its entity changed is not served after.
    since: Mono,
    entity: Option<Key>,
}

/// A value to keep.
pub struct Loaded {
    /// Under which key.
    pub key: Key,
    /// The value.
    pub value: Value,
    /// For how long.
    pub ttl: Duration,
    /// When its load began.
    pub since: Mono,
    /// What it describes, where that can change under it.
    pub entity: Option<Key>,
}

/// The memory of one worker.
pub struct Local {
    values: Digests<Kept>,
    /// When entities last changed, as far as this worker knows.
    changed: Digests<Mono>,
    pins: Digests<(ProcessorId, Mono)>,
    bytes: usize,
    bytes_max: usize,
}

impl Local {
    /// An empty memory for so many entries of each sort, and so many bytes of values.
    pub fn new(entries: usize, bytes_max: usize) -> Self {
        let entries = NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        Self {
            values: LruCache::with_hasher(entries, BuildHasherDefault::default()),
            changed: LruCache::with_hasher(entries, BuildHasherDefault::default()),
            pins: LruCache::with_hasher(entries, BuildHasherDefault::default()),
            bytes: 0,
            bytes_max,
        }
    }

    /// A value that may still be served.
    pub fn value(&mut self, key: &Key, now: Mono) -> Option<&Value> {
        let fresh = match self.values.peek(key) {
            Some(kept) => now < kept.until && !self.outdated(kept.entity, kept.since),
            None => return None,
        };
        if !fresh {
            self.forget(key);
            return None;
        }
        self.values.get(key).map(|kept| &kept.value)
    }

    /// Keeps a value, unless its entity changed since its load began, or it is larger than the whole memory.
    pub fn keep(&mut self, Loaded { key, value, ttl, since, entity }: Loaded, now: Mono) {
        self.forget(&key);
        let weight = value.weight();
        if ttl.is_zero() || weight > self.bytes_max || self.outdated(entity, since) {
            return;
        }
        while self.bytes.saturating_add(weight) > self.bytes_max {
            let Some((_, old)) = self.values.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(old.value.weight());
        }
        self.bytes = self.bytes.saturating_add(weight);
        if let Some((_, old)) = self.values.push(key, Kept { value, until: now.after(ttl), since, entity }) {
            self.bytes = self.bytes.saturating_sub(old.value.weight());
        }
    }

    /// The entity may have changed just now: nothing that was read before is served any more. A note of this is itself
    /// forgotten after as many others as there are entries, by when the values, which live a second, are gone.
    pub fn outdate(&mut self, entity: Key, now: Mono) {
        self.changed.put(entity, now);
    }

    fn outdated(&self, entity: Option<Key>, since: Mono) -> bool {
        entity.and_then(|entity| self.changed.peek(&entity)).is_some_and(|changed| since <= *changed)
    }

    /// Forgets a value.
    fn forget(&mut self, key: &Key) {
        if let Some(old) = self.values.pop(key) {
            self.bytes = self.bytes.saturating_sub(old.value.weight());
        }
    }

    /// The processor of a payment, as far as this worker remembers.
    pub fn pin(&mut self, key: &Key, now: Mono) -> Option<ProcessorId> {
        self.pins.get(key).filter(|(_, until)| now < *until).map(|(processor, _)| *processor)
    }

    /// Remembers the processor of a payment for `ttl`.
    pub fn keep_pin(&mut self, key: Key, processor: ProcessorId, ttl: Duration, now: Mono) {
        if !ttl.is_zero() {
            self.pins.put(key, (processor, now.after(ttl)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::KeyBuilder;

    fn key(n: u32) -> Key {
        KeyBuilder::new("test").part(&n.to_le_bytes()).finish()
    }

    fn value(len: usize) -> Value {
        Value { status: 200, content_type: Vec::new(), body: vec![b'x'; len], processor: None }
    }

    fn keep(local: &mut Local, n: u32, len: usize) {
        let ttl = Duration::from_secs(9);
        local.keep(Loaded { key: key(n), value: value(len), ttl, since: Mono(0), entity: None }, Mono(0));
    }

    #[test]
    fn what_was_read_before_its_entity_changed_is_not_served_after() {
        let mut local = Local::new(10, 10_000);
        let entity = Some(key(99));
        let loaded = |since| Loaded { key: key(1), value: value(5), ttl: Duration::from_secs(1), since, entity };
        local.keep(loaded(Mono(10)), Mono(15));
        assert!(local.value(&key(1), Mono(16)).is_some());
        local.outdate(key(99), Mono(20));
        assert!(local.value(&key(1), Mono(21)).is_none(), "kept before");
        local.keep(loaded(Mono(19)), Mono(22));
        assert!(local.value(&key(1), Mono(23)).is_none(), "read before, answered after");
        local.keep(loaded(Mono(21)), Mono(24));
        assert!(local.value(&key(1), Mono(25)).is_some());
    }

    #[test]
    fn a_value_ends_with_its_time() {
        let mut local = Local::new(10, 10_000);
        let ttl = Duration::from_micros(10);
        local.keep(Loaded { key: key(1), value: value(5), ttl, since: Mono(0), entity: None }, Mono(100));
        assert!(local.value(&key(1), Mono(109)).is_some());
        assert!(local.value(&key(1), Mono(110)).is_none());
        assert_eq!(local.bytes, 0);
    }

    #[test]
    fn bytes_and_entries_are_bounded_and_the_least_recent_goes_first() {
        let mut local = Local::new(1_000, 1_000);
        for n in 0..100 {
            keep(&mut local, n, 100);
            assert!(local.bytes <= 1_000);
        }
        assert_eq!(local.values.len(), 4, "228 bytes each");
        assert!(local.value(&key(96), Mono(0)).is_some());
        keep(&mut local, 200, 100);
        assert!(local.value(&key(96), Mono(0)).is_some(), "it was used last");
        assert!(local.value(&key(97), Mono(0)).is_none());
        keep(&mut local, 300, 2_000);
        assert!(local.value(&key(300), Mono(0)).is_none(), "larger than the whole");

        let mut narrow = Local::new(2, 100_000);
        for n in 0..10 {
            keep(&mut narrow, n, 10);
        }
        assert_eq!((narrow.values.len(), narrow.bytes), (2, 2 * value(10).weight()));
    }
}
