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

/// The memory of one worker.
pub struct Local {
    values: Digests<(Value, Mono)>,
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
            pins: LruCache::with_hasher(entries, BuildHasherDefault::default()),
            bytes: 0,
            bytes_max,
        }
    }

    /// A value that may still be served.
    pub fn value(&mut self, key: &Key, now: Mono) -> Option<&Value> {
        let fresh = self.values.peek(key).is_some_and(|(_, until)| now < *until);
        if !fresh {
            self.forget(key);
            return None;
        }
        self.values.get(key).map(|(value, _)| value)
    }

    /// Keeps a value for `ttl`; one that is larger than the whole memory is not kept.
    pub fn keep(&mut self, key: Key, value: Value, ttl: Duration, now: Mono) {
        self.forget(&key);
        let weight = value.weight();
        if ttl.is_zero() || weight > self.bytes_max {
            return;
        }
        while self.bytes.saturating_add(weight) > self.bytes_max {
            let Some((_, (old, _))) = self.values.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(old.weight());
        }
        self.bytes = self.bytes.saturating_add(weight);
        if let Some((_, (old, _))) = self.values.push(key, (value, now.after(ttl))) {
            self.bytes = self.bytes.saturating_sub(old.weight());
        }
    }

    /// Forgets a value.
    pub fn forget(&mut self, key: &Key) {
        if let Some((old, _)) = self.values.pop(key) {
            self.bytes = self.bytes.saturating_sub(old.weight());
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

    /// Forgets the processor of a payment.
    pub fn forget_pin(&mut self, key: &Key) {
        self.pins.pop(key);
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

    #[test]
    fn a_value_ends_with_its_time() {
        let mut local = Local::new(10, 10_000);
        local.keep(key(1), value(5), Duration::from_micros(10), Mono(100));
        assert!(local.value(&key(1), Mono(109)).is_some());
        assert!(local.value(&key(1), Mono(110)).is_none());
        assert_eq!(local.bytes, 0);
    }

    #[test]
    fn bytes_and_entries_are_bounded_and_the_least_recent_goes_first() {
        let mut local = Local::new(1_000, 1_000);
        for n in 0..100 {
            local.keep(key(n), value(100), Duration::from_secs(9), Mono(0));
            assert!(local.bytes <= 1_000);
        }
        assert_eq!(local.values.len(), 4, "228 bytes each");
        assert!(local.value(&key(96), Mono(0)).is_some());
        local.keep(key(200), value(100), Duration::from_secs(9), Mono(0));
        assert!(local.value(&key(96), Mono(0)).is_some(), "it was used last");
        assert!(local.value(&key(97), Mono(0)).is_none());
        local.keep(key(300), value(2_000), Duration::from_secs(9), Mono(0));
        assert!(local.value(&key(300), Mono(0)).is_none(), "larger than the whole");

        let mut narrow = Local::new(2, 100_000);
        for n in 0..10 {
            narrow.keep(key(n), value(10), Duration::from_secs(9), Mono(0));
        }
        assert_eq!((narrow.values.len(), narrow.bytes), (2, 2 * value(10).weight()));
    }
}
