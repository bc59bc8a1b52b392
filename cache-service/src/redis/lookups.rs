//! Values in Redis, and the generations that invalidate them.
//!
//! Keys (all digests, in hex):
//! - `sw:1:{KEY}:v` a plain value;
//! - `sw:1:{ENTITY}:v:KEY` a value of an entity: in braces stands what a cluster places by, so a value stands beside the
//!   generation it is checked against;
//! - `sw:1:{KEY}:g` the generation of a key, as an entity or as a value's own.
//!
//! A generation is Redis' clock in microseconds when it was last invalidated, or one more than before if that is
//! greater. So it grows even after it was forgotten, and it is forgotten only when no load that began before it can still
//! be stored ([`FENCE_AGE_MAX`]) and no value stored until then can still live.

use std::time::Duration;

use bytes::Bytes;
use redis::aio::ConnectionManager;

use super::envelope::{self, Stored};
use super::{PREFIX, Redis, Unavailable};
use crate::fence::Marks;
use crate::metrics::Operation;
use crate::secret::Digest;

/// A load that took longer is not stored: the invalidation that outdated it may be forgotten.
pub const FENCE_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// How much longer than any value a generation is remembered. More than [`FENCE_AGE_MAX`] by what two nodes' clocks may
/// differ.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// Stores a value unless its entity was invalidated since its load began.
/// Keys: value, generation of the entity. Arguments: the fence's generation, envelope, milliseconds to live.
pub(super) const STORE: &str = r"
local current = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[1]) < current then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Deletes the plain value and raises the key's generation.
/// Keys: plain value, generation. Arguments: milliseconds for which the generation is remembered.
pub(super) const INVALIDATE: &str = r"
redis.call('DEL', KEYS[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if now <= last then now = last + 1 end
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[1])
return 1
";

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The value's own key.
    pub key: Digest,
    /// The entity's, where the value describes one.
    pub entity: Option<Digest>,
}

/// What Redis knows of an address.
#[derive(Debug)]
pub struct Reading {
    /// The value and how long it may still live, if it is still true.
    pub found: Option<(Stored, Duration)>,
    /// The generations now, for a fence.
    pub marks: Marks,
}

/// How storing ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Storing {
    /// Stored.
    Stored,
    /// The entity was invalidated since the load began.
    Outdated,
}

impl Address {
    fn value_key(&self) -> String {
        let key = self.key.to_hex();
        match self.entity {
            Some(entity) => format!("{PREFIX}{{{}}}:v:{key}", entity.to_hex()),
            None => format!("{PREFIX}{{{key}}}:v"),
        }
    }
}

fn generation_key(key: &Digest) -> String {
    format!("{PREFIX}{{{}}}:g", key.to_hex())
}

impl Redis {
    /// Reads the value at the address, and the generations it is checked against.
    pub async fn find(&self, address: &Address) -> Result<Reading, Unavailable> {
        let value_key = address.value_key();
        let run = async |connection: ConnectionManager| {
            let Some(entity) = address.entity else {
                let (value, left_ms) = value_and_ttl(connection, &value_key, None).await?;
                return Ok((value.0, left_ms, Marks::default()));
            };
            let of_entity = generation_key(&entity);
            if entity == address.key {
                let (value, left_ms) = value_and_ttl(connection, &value_key, Some(&of_entity)).await?;
                let generation = value.1.unwrap_or(0);
                return Ok((value.0, left_ms, Marks { entity: generation, key: generation }));
            }
            // The key's own generation stands in another place of a cluster: a question of its own, sent along.
            let mut beside = connection.clone();
            let mut of_key = redis::cmd("GET");
            of_key.arg(generation_key(&address.key));
            let ((value, left_ms), key) = tokio::try_join!(
                value_and_ttl(connection, &value_key, Some(&of_entity)),
                of_key.query_async::<Option<u64>>(&mut beside),
            )?;
            Ok((value.0, left_ms, Marks { entity: value.1.unwrap_or(0), key: key.unwrap_or(0) }))
        };
        let (value, left_ms, marks) = self.call(Operation::Find, run).await?;
        let stored = value.and_then(|bytes| envelope::decode(&address.key, bytes));
        // A negative time says that there is none, or no value.
        let left = u64::try_from(left_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        let found = stored.zip(left).filter(|(stored, _)| stored.marks.reach(marks));
        Ok(Reading { found, marks })
    }

    /// Stores a value for `ttl_ms`, unless its marks are outdated. The envelope carries both generations, so a value
    /// whose own key was invalidated meanwhile is stored and never served.
    pub async fn store(&self, address: &Address, stored: &Stored) -> Result<Storing, Unavailable> {
        let Some(bytes) = envelope::encode(&address.key, stored) else {
            return Err(Unavailable);
        };
        let value_key = address.value_key();
        let run = async |mut connection: ConnectionManager| {
            let Some(entity) = address.entity else {
                let mut set = redis::cmd("SET");
                set.arg(&value_key).arg(bytes).arg("PX").arg(stored.ttl_ms);
                set.query_async::<()>(&mut connection).await?;
                return Ok(Storing::Stored);
            };
            let mut script = self.scripts.store.prepare_invoke();
            script.key(&value_key).key(generation_key(&entity));
            script.arg(stored.marks.entity).arg(bytes).arg(stored.ttl_ms);
            let mut beside = connection.clone();
            let mut of_key = redis::cmd("GET");
            of_key.arg(generation_key(&address.key));
            let (kept, key) = tokio::try_join!(
                script.invoke_async::<u8>(&mut connection),
                of_key.query_async::<Option<u64>>(&mut beside),
            )?;
            let fresh = kept == 1 && stored.marks.key >= key.unwrap_or(0);
            Ok(if fresh { Storing::Stored } else { Storing::Outdated })
        };
        self.call(Operation::Store, run).await
    }

    /// Deletes the plain value under the key, and invalidates every value of which it is the key or the entity. Values
    /// of the namespace live up to `ttl_max`.
    pub async fn invalidate(&self, key: &Digest, ttl_max: Duration) -> Result<(), Unavailable> {
        let plain = Address { key: *key, entity: None };
        let remembered = u64::try_from((ttl_max + REMEMBERED).as_millis()).unwrap_or(u64::MAX);
        let run = async |mut connection: ConnectionManager| {
            let mut script = self.scripts.invalidate.prepare_invoke();
            script.key(plain.value_key()).key(generation_key(key)).arg(remembered);
            script.invoke_async::<()>(&mut connection).await
        };
        self.call(Operation::Invalidate, run).await
    }
}

type Found = (Option<Bytes>, Option<u64>);

/// The value, the generation beside it and the value's time to live, as of one moment.
async fn value_and_ttl(
    mut connection: ConnectionManager,
    value_key: &str,
    generation_key: Option<&str>,
) -> redis::RedisResult<(Found, i64)> {
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("GET").arg(value_key).cmd("PTTL").arg(value_key);
    let Some(generation_key) = generation_key else {
        let (value, left): (Option<Bytes>, i64) = pipe.query_async(&mut connection).await?;
        return Ok(((value, None), left));
    };
    pipe.cmd("GET").arg(generation_key);
    let (value, left, generation): (Option<Bytes>, i64, Option<u64>) = pipe.query_async(&mut connection).await?;
    Ok(((value, generation), left))
}
