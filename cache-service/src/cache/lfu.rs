//! The least often asked for leaves first (TinyLFU, by `moka`). For namespaces with a few hot keys and a long tail, such
//! as BINs: a scan through the tail does not push the hot ones out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use decision::lookup::Key;
use moka::notification::RemovalCause;
use moka::sync::Cache as Moka;

use super::{Cache, Entry, Size};

/// TinyLFU bounded in bytes.
pub struct Lfu {
    entries: Moka<Key, Arc<Entry>>,
    bytes_max: u64,
    evictions: Arc<AtomicU64>,
}

/// Each entry leaves at its own time.
struct Leaves;

impl moka::Expiry<Key, Arc<Entry>> for Leaves {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, now: Instant) -> Option<Duration> {
        Some(entry.leaves.saturating_duration_since(now))
    }

    // The default would leave a replaced entry the time of the one before it.
    fn expire_after_update(&self, _: &Key, entry: &Arc<Entry>, now: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.leaves.saturating_duration_since(now))
    }
}

impl Lfu {
    /// Room for `bytes` in all.
    pub fn new(bytes: u64) -> Self {
        let evictions = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&evictions);
        let entries = Moka::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(entry.cost()).unwrap_or(u32::MAX))
            .expire_after(Leaves)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { entries, bytes_max: bytes, evictions }
    }
}

impl Cache for Lfu {
    fn find(&self, key: &Key, now: Instant) -> Option<Arc<Entry>> {
        // Checked here too: moka asks its own clock, and we answer for ours.
        self.entries.get(key).filter(|entry| entry.leaves > now)
    }

    fn keep(&self, key: Key, entry: Arc<Entry>, now: Instant) {
        if entry.cost() > self.bytes_max || entry.leaves <= now {
            self.entries.invalidate(&key);
        } else {
            self.entries.insert(key, entry);
        }
    }

    fn forget(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    fn tend(&self) {
        self.entries.run_pending_tasks();
    }

    fn size(&self) -> Size {
        self.tend();
        let evictions = self.evictions.load(Ordering::Relaxed);
        Size { bytes: self.entries.weighted_size(), entries: self.entries.entry_count(), evictions }
    }
}
