//! The tiers in one place: memory, then Redis where there is one. The source is asked by the caller, on a miss.
//!
//! What holds, whatever fails:
//! - a value of an entity is never served when its load began before the last invalidation that was acknowledged here, and
//!   with Redis not longer than `memory_ttl_max` after one acknowledged at another node; a plain value not longer than
//!   `memory_ttl_max_plain`;
//! - Redis slow or gone: a look-up is answered from memory or is a miss, within its deadline;
//! - an invalidation that Redis did not take is done on this node and reported as not done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use decision::lookup::{Key, Namespace};

use crate::cache::{Cache, Entry, Lfu, Lru};
use crate::config::{Config, Policy, Space};
use crate::fence::{Fence, Local, Marks, Shared};
use crate::generation::{Generation, Generations};
use crate::memory::{Memory, Outdated};
use crate::metrics::{Lookup, Metrics, SpaceMetrics, Store};
use crate::redis::{Address, FENCE_AGE_MAX, Redis, Stored, Storing, Unavailable};
use crate::secret::KeySecret;
use crate::value::Value;

/// The look-ups of all namespaces.
pub struct Service {
    spaces: BTreeMap<Namespace, SpaceState>,
    redis: Option<Arc<Redis>>,
    secret: KeySecret,
    memory_ttl_max: Duration,
    memory_ttl_max_plain: Duration,
    /// This process, in its fences.
    boot: u32,
}

/// One namespace at work.
pub struct SpaceState {
    /// Its bounds.
    pub bounds: Space,
    /// The realm its keys are hashed in.
    realm: String,
    memory: Memory,
    metrics: SpaceMetrics,
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found {
    /// A value that is still true.
    Hit(Hit),
    /// Nothing; the fence goes with the value that the caller loads now.
    Miss(Fence),
}

/// A value and its times.
#[derive(Debug)]
pub struct Hit {
    /// The answer.
    pub entry: Arc<Entry>,
    /// How long it may still be served.
    pub left: Duration,
    /// How long ago it was stored.
    pub age: Duration,
}

/// A value offered to the cache.
#[derive(Debug)]
pub struct Offer {
    /// The answer.
    pub value: Value,
    /// How long it may be served; cut to the namespace's bound.
    pub ttl: Duration,
    /// What it describes, with the fence of the miss before it; `None` for a plain value.
    pub entity: Option<(Key, Option<Fence>)>,
}

/// Why a value was not stored.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Invalidated since its load began, or its fence proves nothing.
    Outdated,
    /// It holds what looks like a card number.
    CardNumber,
    /// Larger than the namespace allows.
    TooLarge,
}

impl Service {
    /// Empty memories for the configured namespaces.
    pub fn new(config: &Config, secret: KeySecret, redis: Option<Arc<Redis>>, boot: u32, metrics: &Metrics) -> Self {
        let space = |(name, bounds): (&Namespace, &Space)| {
            let cache: Box<dyn Cache> = match bounds.policy {
                Policy::Lru => Box::new(Lru::new(bounds.bytes, bounds.value_bytes_max)),
                Policy::Lfu => Box::new(Lfu::new(bounds.bytes)),
            };
            let state = SpaceState {
                bounds: bounds.clone(),
                realm: format!("lookup/{name}"),
                memory: Memory::new(cache, Generations::new(Generations::REMEMBERED)),
                metrics: metrics.space(name.as_str()),
            };
            (name.clone(), state)
        };
        let spaces = config.namespaces.iter().map(space).collect();
        let (memory_ttl_max, memory_ttl_max_plain) = (config.memory_ttl_max, config.memory_ttl_max_plain);
        Self { spaces, redis, secret, memory_ttl_max, memory_ttl_max_plain, boot }
    }

    /// The namespace, if the configuration names it.
    pub fn space(&self, name: &Namespace) -> Option<&SpaceState> {
        self.spaces.get(name)
    }

    /// Looks a value up.
    pub async fn find(&self, space: &SpaceState, key: &Key, entity: Option<&Key>) -> Found {
        let now = Instant::now();
        if let Some(entry) = space.memory.find(key, entity, now) {
            space.metrics.lookup(Lookup::HitMemory);
            return Found::Hit(hit(entry, now));
        }
        // Noted before Redis is asked: what is invalidated from here on is not kept below.
        let begun = space.memory.begin();
        if let Some(redis) = &self.redis
            && let Ok(reading) = redis.find(&self.address(space, key, entity)).await
        {
            if let Some((stored, left)) = reading.found {
                let entry = self.promote(space, key, entity, begun, stored, left);
                space.metrics.lookup(Lookup::HitRedis);
                return Found::Hit(hit(entry, Instant::now()));
            }
            space.metrics.lookup(Lookup::Miss);
            let shared = Shared { local: self.local(begun), marks: reading.marks, at_ms: wall_ms() };
            return Found::Miss(Fence::Redis(shared));
        }
        space.metrics.lookup(Lookup::Miss);
        Found::Miss(Fence::Memory(self.local(begun)))
    }

    /// Stores a value that the caller loaded.
    pub async fn store(&self, space: &SpaceState, key: &Key, offer: Offer) -> Result<(), Refusal> {
        if offer.value.body.len() > space.bounds.value_bytes_max {
            return Err(Refusal::TooLarge);
        }
        if offer.value.holds_card_number() {
            space.metrics.store(Store::CardNumber);
            return Err(Refusal::CardNumber);
        }
        let done = self.store_true(space, key, offer).await;
        space.metrics.store(*done.as_ref().unwrap_or(&Store::Outdated));
        done.map(|_| ()).map_err(|Outdated| Refusal::Outdated)
    }

    async fn store_true(&self, space: &SpaceState, key: &Key, offer: Offer) -> Result<Store, Outdated> {
        let ttl = offer.ttl.min(space.bounds.ttl_max);
        let entity = offer.entity.map(|(entity, _)| entity);
        // Where the load began, for the memory (`None`: at another node) and for Redis.
        let (begun, marks) = match offer.entity {
            None => (Some(space.memory.begin()), Marks::default()),
            Some((_, fence)) => self.accept(fence).ok_or(Outdated)?,
        };
        if begun.is_some_and(|begun| !space.memory.is_true(key, entity.as_ref(), begun)) {
            return Err(Outdated);
        }
        let mut result = Store::Stored;
        if let Some(redis) = &self.redis {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let stored = Stored { value: offer.value.clone(), marks, ttl_ms };
            match redis.store(&self.address(space, key, entity.as_ref()), &stored).await {
                Ok(Storing::Stored) => {}
                Ok(Storing::Outdated) => return Err(Outdated),
                Err(Unavailable) => result = Store::MemoryOnly,
            }
        }
        if let Some(begun) = begun {
            let now = Instant::now();
            let entry = self.entry(offer.value, entity, begun, now, now + ttl, now);
            let kept = space.memory.keep(*key, Arc::new(entry), now);
            // A plain value that was deleted meanwhile was stored and then deleted.
            if entity.is_some() {
                kept?;
            }
        }
        Ok(result)
    }

    /// Deletes the value under the key, and invalidates every value of which it is the entity.
    pub async fn invalidate(&self, space: &SpaceState, key: &Key) -> Result<(), Unavailable> {
        // Before Redis is asked, lest its silence leave the value here; and after, since a look-up in between may have
        // read the value that Redis held until then.
        space.memory.invalidate(key);
        let Some(redis) = &self.redis else {
            space.metrics.store(Store::Invalidated);
            return Ok(());
        };
        let done = redis.invalidate(&self.secret.digest(&space.realm, key), space.bounds.ttl_max).await;
        space.memory.invalidate(key);
        let here = |_: &Unavailable| space.metrics.store(Store::InvalidatedHere);
        done.inspect(|()| space.metrics.store(Store::Invalidated)).inspect_err(here)
    }

    /// Does the memories' due work. Called a few times a second.
    pub fn tend(&self) {
        self.spaces.values().for_each(|space| space.memory.tend());
    }

    /// Brings the gauges up to date.
    pub fn measure(&self) {
        self.spaces.values().for_each(|space| space.metrics.size(space.memory.size()));
    }

    /// Where the load of a fence began, if the fence proves anything here.
    fn accept(&self, fence: Option<Fence>) -> Option<(Option<Generation>, Marks)> {
        let known = |local: Local| (local.boot == self.boot).then_some(local.begun);
        match (fence?, &self.redis) {
            (Fence::Memory(local), None) => known(local).map(|begun| (Some(begun), Marks::default())),
            (Fence::Redis(shared), Some(_)) => {
                // One from the future proves as little as an old one.
                let age = Duration::from_millis(wall_ms().abs_diff(shared.at_ms));
                // Another node's generations mean nothing here: its value goes to Redis and not into this memory.
                (age <= FENCE_AGE_MAX).then_some((known(shared.local), shared.marks))
            }
            (Fence::Memory(_), Some(_)) | (Fence::Redis(_), None) => None,
        }
    }

    /// Keeps in memory what Redis held.
    fn promote(
        &self,
        space: &SpaceState,
        key: &Key,
        entity: Option<&Key>,
        begun: Generation,
        stored: Stored,
        left: Duration,
    ) -> Arc<Entry> {
        let now = Instant::now();
        let age = Duration::from_millis(stored.ttl_ms).saturating_sub(left);
        let since = now.checked_sub(age).unwrap_or(now);
        let entry = Arc::new(self.entry(stored.value, entity.copied(), begun, since, now + left, now));
        // Not kept if it was invalidated meanwhile; served all the same, as the look-up began before.
        let _ = space.memory.keep(*key, Arc::clone(&entry), now);
        entry
    }

    fn entry(
        &self,
        value: Value,
        entity: Option<Key>,
        begun: Generation,
        stored: Instant,
        expires: Instant,
        now: Instant,
    ) -> Entry {
        let asks_again = if entity.is_some() { self.memory_ttl_max } else { self.memory_ttl_max_plain };
        let leaves = if self.redis.is_some() { expires.min(now + asks_again) } else { expires };
        Entry { value: value.compact(), entity, begun, stored, expires, leaves }
    }

    fn address(&self, space: &SpaceState, key: &Key, entity: Option<&Key>) -> Address {
        let digest = |key| self.secret.digest(&space.realm, key);
        Address { key: digest(key), entity: entity.map(digest) }
    }

    fn local(&self, begun: Generation) -> Local {
        Local { boot: self.boot, begun }
    }
}

fn hit(entry: Arc<Entry>, now: Instant) -> Hit {
    let left = entry.expires.saturating_duration_since(now);
    let age = now.saturating_duration_since(entry.stored);
    Hit { entry, left, age }
}

/// Milliseconds since 1970.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
