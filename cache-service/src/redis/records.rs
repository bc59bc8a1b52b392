//! Pins and claims in Redis. Each operation is one script: read, decide and write in one step.
//!
//! A script that runs after its caller gave up does no harm: a claim then belongs to the processor it named, which was
//! sent nothing, and the next caller is told that name; a pin says what is so.

use std::time::Duration;

use redis::aio::ConnectionManager;

use super::{PREFIX, Redis, Unavailable};
use crate::metrics::{Kind, Operation};
use crate::records::{Claimed, Pin, Pinned, text};
use crate::secret::Digest;
use crate::value::ProcessorName;

/// Writes a pin, or makes it ambiguous where another stands. Returns what stood there.
/// Keys: pin. Arguments: the pin's text, the ambiguous text, milliseconds to live.
pub(super) const PIN: &str = r"
local held = redis.call('GET', KEYS[1])
if not held then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
elseif held ~= ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return held
";

/// Writes a claim if there is none. Returns what stood there.
/// Keys: claim. Arguments: the claim's text, milliseconds to live.
pub(super) const CLAIM: &str = r"
local held = redis.call('GET', KEYS[1])
if not held then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return held
";

fn record_key(kind: Kind, digest: &Digest) -> String {
    let word = match kind {
        Kind::Pin => "pin",
        Kind::Claim => "claim",
    };
    format!("{PREFIX}{{{}}}:{word}", digest.to_hex())
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

impl Redis {
    /// Writes a pin.
    pub async fn pin(&self, digest: &Digest, name: &ProcessorName, ttl: Duration) -> Result<Pinned, Unavailable> {
        let run = async |mut connection: ConnectionManager| {
            let mut script = self.scripts.pin.prepare_invoke();
            script.key(record_key(Kind::Pin, digest));
            script.arg(text::one(digest, name)).arg(text::ambiguous(digest)).arg(millis(ttl));
            script.invoke_async::<Option<String>>(&mut connection).await
        };
        let held = self.call(Operation::Record, run).await?;
        match text::read(digest, held.as_deref()).ok_or(Unavailable)? {
            Pin::Absent => Ok(Pinned::Created),
            Pin::At(held) if held == *name => Ok(Pinned::Same),
            Pin::At(_) | Pin::Ambiguous => Ok(Pinned::Ambiguous),
        }
    }

    /// Reads a pin.
    pub async fn pin_of(&self, digest: &Digest) -> Result<Pin, Unavailable> {
        let run = async |mut connection: ConnectionManager| {
            let mut get = redis::cmd("GET");
            get.arg(record_key(Kind::Pin, digest));
            get.query_async::<Option<String>>(&mut connection).await
        };
        let held = self.call(Operation::Record, run).await?;
        text::read(digest, held.as_deref()).ok_or(Unavailable)
    }

    /// Writes a claim if there is none.
    pub async fn claim(&self, digest: &Digest, name: &ProcessorName, ttl: Duration) -> Result<Claimed, Unavailable> {
        let run = async |mut connection: ConnectionManager| {
            let mut script = self.scripts.claim.prepare_invoke();
            script.key(record_key(Kind::Claim, digest)).arg(text::one(digest, name)).arg(millis(ttl));
            script.invoke_async::<Option<String>>(&mut connection).await
        };
        let held = self.call(Operation::Record, run).await?;
        match text::read(digest, held.as_deref()).ok_or(Unavailable)? {
            Pin::Absent => Ok(Claimed::New),
            Pin::At(holder) => Ok(Claimed::Held(holder)),
            // No claim is ever written so.
            Pin::Ambiguous => Err(Unavailable),
        }
    }
}
