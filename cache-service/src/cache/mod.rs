//! What one namespace keeps in memory: a map bounded in bytes, with a time to live per entry and a policy that says who
//! leaves first.
//!
//! Both policies meet one contract, which the tests below hold them to. Bytes are counted as key, body, content type,
//! processor and overhead; an entry too large for its place is not kept, and an expired entry is never found.

mod lfu;
mod lru;

use std::sync::Arc;
use std::time::Instant;

use decision::lookup::Key;

use crate::generation::Generation;
use crate::value::Value;

pub use lfu::Lfu;
pub use lru::Lru;

/// What an entry costs beside its texts, in bytes: the entry, its allocations and its place in a map. Measured by the
/// resident memory of 200,000 entries under the exact LRU, headers among them.
pub const OVERHEAD: u64 = 400;
/// What TinyLFU's map and queues cost more, measured likewise.
pub const OVERHEAD_LFU: u64 = 300;

/// A value in memory.
#[derive(Debug)]
pub struct Entry {
    /// The answer.
    pub value: Value,
    /// The key of the thing the value describes, where it was said.
    pub entity: Option<Key>,
    /// When its load began.
    pub begun: Generation,
    /// When it was stored, here or by another node.
    pub stored: Instant,
    /// When it is no longer to be served at all.
    pub expires: Instant,
    /// When this node must ask Redis again; never later than `expires`.
    pub leaves: Instant,
}

impl Entry {
    /// What it counts for, in bytes. Its texts must hold no more memory than they show: see [`Value::compact`].
    pub fn cost(&self) -> u64 {
        let content_type = self.value.content_type.as_ref().map_or(0, |text| text.len());
        let processor = self.value.processor.as_ref().map_or(0, |name| name.as_str().len());
        (self.value.body.len() + size_of::<Key>() + content_type + processor) as u64 + OVERHEAD
    }
}

/// A bounded map of entries.
pub trait Cache: Send + Sync {
    /// The entry under the key, if it has not expired at `now`.
    fn find(&self, key: &Key, now: Instant) -> Option<Arc<Entry>>;
    /// Keeps the entry in place of another under the same key, and lets others leave for it. One too large is not kept,
    /// and then nothing is: the one before it is older than it.
    fn keep(&self, key: Key, entry: Arc<Entry>, now: Instant);
    /// Forgets the entry under the key.
    fn forget(&self, key: &Key);
    /// Does the work that is due. Called a few times a second.
    fn tend(&self) {}
    /// What is held now.
    fn size(&self) -> Size;
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// As counted by [`Entry::cost`].
    pub bytes: u64,
    /// Entries, expired ones that have not left yet among them.
    pub entries: u64,
    /// Entries that have left for others since the start.
    pub evictions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use decision::lookup::KeyBuilder;
    use std::time::Duration;

    const TTL: Duration = Duration::from_secs(60);

    fn key(n: u64) -> Key {
        KeyBuilder::new("t").part(&n.to_le_bytes()).finish()
    }

    fn entry(len: usize, ttl: Duration, now: Instant) -> Arc<Entry> {
        let body = Bytes::from(vec![b'x'; len]);
        let value = Value { body, content_type: None, status: Default::default(), processor: None };
        let begun = Generation::from_number(0);
        Arc::new(Entry { value, entity: None, begun, stored: now, expires: now + ttl, leaves: now + ttl })
    }

    fn what_is_kept_is_found(cache: &dyn Cache, overhead: u64) {
        let now = Instant::now();
        cache.keep(key(1), entry(10, TTL, now), now);
        assert_eq!(cache.find(&key(1), now).map(|e| e.value.body.len()), Some(10));
        assert!(cache.find(&key(2), now).is_none());
        cache.keep(key(1), entry(20, TTL, now), now);
        assert_eq!(cache.find(&key(1), now).map(|e| e.value.body.len()), Some(20));
        assert_eq!(cache.size(), Size { bytes: 20 + 32 + overhead, entries: 1, evictions: 0 });
        cache.forget(&key(1));
        assert!(cache.find(&key(1), now).is_none());
        assert_eq!(cache.size(), Size::default());
    }

    fn what_has_expired_is_not(cache: &dyn Cache, _: u64) {
        let now = Instant::now();
        cache.keep(key(1), entry(10, TTL, now), now);
        assert!(cache.find(&key(1), now + TTL - Duration::from_millis(1)).is_some());
        assert!(cache.find(&key(1), now + TTL).is_none());
        // A shorter life in place of a longer one.
        cache.keep(key(2), entry(10, TTL, now), now);
        cache.keep(key(2), entry(10, TTL / 2, now), now);
        assert!(cache.find(&key(2), now + TTL / 2).is_none());
    }

    fn the_bound_in_bytes_holds(cache: &dyn Cache, overhead: u64) {
        let now = Instant::now();
        for n in 0..1_000 {
            cache.keep(key(n), entry(1_000, TTL, now), now);
        }
        let size = cache.size();
        assert!(size.bytes <= 65_536, "{size:?}");
        assert!(size.entries > 10, "{size:?}");
        assert!(size.evictions > 0 && size.evictions + size.entries <= 1_000, "{size:?}");
        assert_eq!(size.bytes, size.entries * (1_000 + 32 + overhead));
    }

    fn one_too_large_is_not_kept(cache: &dyn Cache, _: u64) {
        let now = Instant::now();
        cache.keep(key(1), entry(10, TTL, now), now);
        cache.keep(key(1), entry(65_536, TTL, now), now);
        assert!(cache.find(&key(1), now).is_none(), "neither the large one nor the one before it");
        assert_eq!(cache.size().entries, 0);
    }

    /// The contract, once for each policy.
    macro_rules! cache {
        ($policy:ident: $make:expr, $overhead:expr, $($law:ident),+ $(,)?) => {
            mod $policy {
                $(#[test] fn $law() { super::$law(&$make, $overhead); })+
            }
        };
    }

    cache!(lru: crate::cache::Lru::new(65_536, 1_200), super::OVERHEAD, what_is_kept_is_found, what_has_expired_is_not, the_bound_in_bytes_holds, one_too_large_is_not_kept);
    cache!(lfu: crate::cache::Lfu::new(65_536), super::OVERHEAD + super::OVERHEAD_LFU, what_is_kept_is_found, what_has_expired_is_not, the_bound_in_bytes_holds, one_too_large_is_not_kept);

    #[test]
    fn headers_count() {
        let now = Instant::now();
        let mut with = entry(10, TTL, now);
        let bare = with.cost();
        let value = &mut Arc::get_mut(&mut with).expect("ours").value;
        value.content_type = Some(axum::http::HeaderValue::from_static("text/plain"));
        value.processor = "acquirer-a".parse().ok();
        assert_eq!(with.cost(), bare + 20);
    }

    #[test]
    fn lru_lets_the_one_longest_unused_leave() {
        // One shard, room for three.
        let cache = Lru::new(3 * (1_000 + 32 + OVERHEAD), 1_000);
        let now = Instant::now();
        for n in 0..3 {
            cache.keep(key(n), entry(1_000, TTL, now), now);
        }
        assert!(cache.find(&key(0), now).is_some());
        cache.keep(key(3), entry(1_000, TTL, now), now);
        let found: Vec<_> = (0..4).map(|n| cache.find(&key(n), now).is_some()).collect();
        assert_eq!(found, [true, false, true, true]);
    }

    #[test]
    fn lfu_keeps_what_is_asked_for_often_through_a_scan() {
        let cache = Lfu::new(65_536);
        let now = Instant::now();
        cache.keep(key(0), entry(1_000, TTL, now), now);
        for n in 1..500 {
            for _ in 0..3 {
                assert!(cache.find(&key(0), now).is_some(), "gone at {n}");
            }
            cache.keep(key(n), entry(1_000, TTL, now), now);
            cache.tend();
        }
    }
}
