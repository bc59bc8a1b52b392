//! The longest unused leaves first. For namespaces where the latest asked for is asked for next, such as the status of
//! payments under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use decision::lookup::Key;
use lru::LruCache;

use super::{Cache, Entry, Size};

/// More shards than cores in use, so that two requests seldom meet.
const SHARDS_MAX: u64 = 16;
/// A shard holds at least this many of the largest values, so that a few large ones do not empty it.
const LARGEST_PER_SHARD: u64 = 4;

/// Exact LRU in shards, each bounded in bytes.
pub struct Lru {
    shards: Vec<Mutex<Shard>>,
    /// The bound of one shard, in bytes.
    bytes_max: u64,
}

struct Shard {
    entries: LruCache<Key, Arc<Entry>>,
    bytes: u64,
    evictions: u64,
}

impl Lru {
    /// Room for `bytes` in all; a value takes up to `value_bytes_max`, which decides into how many shards it is cut.
    pub fn new(bytes: u64, value_bytes_max: usize) -> Self {
        let largest = (value_bytes_max as u64).saturating_mul(LARGEST_PER_SHARD).max(1);
        let count = (bytes / largest).clamp(1, SHARDS_MAX);
        let shard = |_| Mutex::new(Shard { entries: LruCache::unbounded(), bytes: 0, evictions: 0 });
        Self { shards: (0..count).map(shard).collect(), bytes_max: bytes / count }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        // The byte is one of a SHA-256: as good as a hash of the key.
        let shard = self.shards.get(usize::from(key.as_bytes()[1]) % self.shards.len())?;
        Some(lock(shard))
    }
}

/// A panic between two of the statements under this lock leaves a count wrong, not a value: go on.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= entry.cost();
        }
    }
}

impl Cache for Lru {
    fn find(&self, key: &Key, now: Instant) -> Option<Arc<Entry>> {
        let mut shard = self.shard(key)?;
        let entry = shard.entries.get(key)?;
        if entry.leaves > now {
            return Some(Arc::clone(entry));
        }
        shard.forget(key);
        None
    }

    fn keep(&self, key: Key, entry: Arc<Entry>, _now: Instant) {
        let Some(mut shard) = self.shard(&key) else {
            return;
        };
        shard.forget(&key);
        let cost = entry.cost();
        if cost > self.bytes_max {
            return;
        }
        while shard.bytes + cost > self.bytes_max {
            let Some((_, oldest)) = shard.entries.pop_lru() else {
                break;
            };
            shard.bytes -= oldest.cost();
            shard.evictions += 1;
        }
        shard.bytes += cost;
        shard.entries.put(key, entry);
    }

    fn forget(&self, key: &Key) {
        if let Some(mut shard) = self.shard(key) {
            shard.forget(key);
        }
    }

    fn size(&self) -> Size {
        self.shards.iter().map(lock).fold(Size::default(), |sum, shard| Size {
            bytes: sum.bytes + shard.bytes,
            entries: sum.entries + shard.entries.len() as u64,
            evictions: sum.evictions + shard.evictions,
        })
    }
}
