//! When an entity was last invalidated, as counted by this node.
//!
//! One counter for a namespace. A load notes the counter when it begins; invalidating an entity counts up and notes the
//! new count for the entity. A value is good as long as its load began at or after the entity's note. Clocks play no part.
//!
//! The notes are bounded. A forgotten entity is taken to have been invalidated as lately as the latest note ever forgotten
//! (the floor): forgetting may cost a hit, never a stale answer.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use decision::lookup::Key;
use lru::LruCache;

/// A point in the order of this node's invalidations of one namespace. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    /// The number, for a fence.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The generation of that number.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Shards keep an invalidation from stopping every reader.
const SHARDS: usize = 16;

/// The notes of one namespace.
pub struct Generations {
    counter: AtomicU64,
    shards: Vec<RwLock<Shard>>,
}

struct Shard {
    notes: LruCache<Key, Generation>,
    floor: Generation,
}

impl Generations {
    /// Entities remembered in a namespace: 65,536 of them take about 8 MiB.
    pub const REMEMBERED: usize = 65_536;

    /// Notes for at least `remembered` entities.
    pub fn new(remembered: usize) -> Self {
        let each = NonZeroUsize::new(remembered.div_ceil(SHARDS)).unwrap_or(NonZeroUsize::MIN);
        let shard = || RwLock::new(Shard { notes: LruCache::sparse(each), floor: Generation(0) });
        Self { counter: AtomicU64::new(0), shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    /// The generation of a load that begins now.
    pub fn now(&self) -> Generation {
        Generation(self.counter.load(Ordering::SeqCst))
    }

    /// Invalidates what was loaded about the entity until now.
    pub fn bump(&self, entity: &Key) {
        let Some(shard) = self.shard(entity) else {
            return;
        };
        // A poisoned lock guards whole notes: they are written in one step.
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let now = Generation(self.counter.fetch_add(1, Ordering::SeqCst) + 1);
        if let Some((other, forgotten)) = shard.notes.push(*entity, now)
            && other != *entity
        {
            shard.floor = shard.floor.max(forgotten);
        }
    }

    /// The latest generation at which the entity may have been invalidated.
    pub fn latest(&self, entity: &Key) -> Generation {
        let Some(shard) = self.shard(entity) else {
            return self.now();
        };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        // Peeked, not touched: notes leave in the order of their generations, so the floor stays low.
        shard.notes.peek(entity).copied().unwrap_or(shard.floor)
    }

    /// The generation at which the entity was last invalidated, if that is remembered.
    pub fn remembered(&self, entity: &Key) -> Option<Generation> {
        let shard = self.shard(entity)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.notes.peek(entity).copied()
    }

    fn shard(&self, entity: &Key) -> Option<&RwLock<Shard>> {
        self.shards.get(usize::from(entity.as_bytes()[0]) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::lookup::KeyBuilder;

    fn key(n: u32) -> Key {
        KeyBuilder::new("t").part(&n.to_le_bytes()).finish()
    }

    #[test]
    fn an_invalidation_outdates_loads_before_it_only() {
        let generations = Generations::new(100);
        let before = generations.now();
        generations.bump(&key(1));
        let after = generations.now();
        assert!(before < generations.latest(&key(1)));
        assert!(after >= generations.latest(&key(1)));
        assert!(before >= generations.latest(&key(2)), "another entity is not touched");
    }

    #[test]
    fn forgetting_outdates_more_and_never_less() {
        let generations = Generations::new(1);
        let before = generations.now();
        generations.bump(&key(0));
        for n in 1..1_000 {
            generations.bump(&key(n));
        }
        assert_eq!(generations.remembered(&key(0)), None);
        assert!(before < generations.latest(&key(0)));
        assert!(generations.now() >= generations.latest(&key(0)), "a load from now on is good");
    }
}
