//! The least often asked for leaves first (TinyLFU, by `moka`). For namespaces with a few hot keys and a long tail, such
//! as BINs: a scan through the tail does not push the hot ones out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use decision::lookup::Key;
use moka::notification::RemovalCause;
use moka::sync::Cache as Moka;

use super::{Cache, Entry, OVERHEAD_LFU, Size};

/// `moka` evicts when it is tended. It is tended after this part of the bound was inserted, and its own bound is lower by
/// as much, so the two together hold at every moment.
const UNTENDED: u64 = 16;

/// TinyLFU bounded in bytes.
pub struct Lfu {
    entries: Moka<Key, Arc<Entry>>,
    /// Moka's own bound.
    bytes_max: u64,
    /// Inserted since it was last tended, in bytes; and how many may be.
    untended: AtomicU64,
    untended_max: u64,
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
        let untended_max = bytes / UNTENDED;
        let bytes_max = bytes - untended_max;
        let entries = Moka::builder()
            .max_capacity(bytes_max)
            .weigher(|_, entry: &Arc<Entry>| u32::try_from(cost(entry)).unwrap_or(u32::MAX))
            .expire_after(Leaves)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { entries, bytes_max, untended: AtomicU64::new(0), untended_max, evictions }
    }
}

fn cost(entry: &Entry) -> u64 {
    entry.cost() + OVERHEAD_LFU
}

impl Cache for Lfu {
    fn find(&self, key: &Key, now: Instant) -> Option<Arc<Entry>> {
        // Checked here too: moka asks its own clock, and we answer for ours.
        self.entries.get(key).filter(|entry| entry.leaves > now)
    }

    fn keep(&self, key: Key, entry: Arc<Entry>, now: Instant) {
        let cost = cost(&entry);
        if cost > self.bytes_max || entry.leaves <= now {
            self.entries.invalidate(&key);
            return;
        }
        self.entries.insert(key, entry);
        if self.untended.fetch_add(cost, Ordering::Relaxed) + cost > self.untended_max {
            self.tend();
        }
    }

    fn forget(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    fn tend(&self) {
        self.untended.store(0, Ordering::Relaxed);
        self.entries.run_pending_tasks();
    }

    fn size(&self) -> Size {
        self.tend();
        let evictions = self.evictions.load(Ordering::Relaxed);
        Size { bytes: self.entries.weighted_size(), entries: self.entries.entry_count(), evictions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generation;
    use crate::value::Value;
    use decision::lookup::KeyBuilder;

    #[test]
    fn the_bound_holds_between_the_times_it_is_tended() {
        const BYTES: u64 = 1 << 16;
        let cache = Lfu::new(BYTES);
        let now = Instant::now();
        let expires = now + Duration::from_secs(60);
        for n in 0_u64..1_000 {
            // Up to a tenth of the bound.
            let body = vec![b'x'; usize::try_from(n * 7 % 6_000).expect("small")].into();
            let value = Value { body, content_type: None, status: Default::default(), processor: None };
            let begun = Generation::from_number(0);
            let entry = Entry { value, entity: None, begun, stored: now, expires, leaves: expires };
            cache.keep(KeyBuilder::new("t").part(&n.to_le_bytes()).finish(), Arc::new(entry), now);
            // Not by `size`, which tends it.
            let held: u64 = cache.entries.iter().map(|(_, entry)| cost(&entry)).sum();
            assert!(held <= BYTES, "{held} after {n}");
        }
    }
}
