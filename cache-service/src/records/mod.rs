//! What must outlive the cache: which processor holds a payment (pin), and which one an idempotency key belongs to
//! (claim).
//!
//! Records are under no eviction policy and in no memory tier. They stand in Redis where there is one, else in a file of
//! this one process. What cannot be read is never taken for absent: the caller is told that the store did not answer.

mod embedded;
pub mod text;

use std::sync::Arc;
use std::time::Duration;

use decision::lookup::Key;

use crate::metrics::{Kind, Metrics, Record};
use crate::redis::{Redis, Unavailable};
use crate::secret::{Digest, KeySecret};
use crate::value::ProcessorName;

pub use embedded::{Embedded, EmbeddedError, RecordFile};

/// What writing a pin found.
#[derive(Debug, PartialEq, Eq)]
pub enum Pinned {
    /// Nothing; it was written.
    Created,
    /// The same.
    Same,
    /// Another processor: the pin is ambiguous from now on.
    Ambiguous,
}

/// What stands under a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Pin {
    /// Nothing.
    Absent,
    /// One processor.
    At(ProcessorName),
    /// Two processors were named; a person must look.
    Ambiguous,
}

/// What writing a claim found.
#[derive(Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing; it was written.
    New,
    /// An earlier claim, of this or another processor.
    Held(ProcessorName),
}

/// Why records can be neither read nor written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// Redis does not answer in time.
    Silent,
    /// Redis answers a small write with an error.
    NoWrites,
    /// The keys in Redis are hashed under another secret.
    ForeignSecret,
    /// Redis may throw records away.
    Evicts,
    /// The record file cannot be written.
    File,
}

impl Unready {
    /// What to change, in a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Silent => "The record store does not answer.",
            Self::NoWrites => {
                "Redis refuses a small write or INFO: it is a replica, its memory or disk is full, or an ACL forbids it."
            }
            Self::ForeignSecret => {
                "The keys in this Redis are hashed under another secret: set the same CACHE_KEY_SECRET."
            }
            Self::Evicts => "Redis may evict records: set maxmemory-policy to noeviction, or maxmemory to 0.",
            Self::File => "The record file cannot be written; the log says why.",
        }
    }
}

/// The record store.
pub struct Records {
    store: Store,
    secret: KeySecret,
    pin_ttl: Duration,
    claim_ttl: Duration,
    metrics: Arc<Metrics>,
}

/// Where records stand.
pub enum Store {
    /// In Redis.
    Redis(Arc<Redis>),
    /// In a file of this process.
    Embedded(Embedded),
}

impl Records {
    /// Records in the store, their keys hashed under the secret.
    pub fn new(store: Store, secret: KeySecret, pin_ttl: Duration, claim_ttl: Duration, metrics: Arc<Metrics>) -> Self {
        Self { store, secret, pin_ttl, claim_ttl, metrics }
    }

    /// Whether records can be read and written now.
    pub async fn ready(&self) -> Result<(), Unready> {
        match &self.store {
            Store::Redis(redis) => redis.prove().await,
            Store::Embedded(file) => file.ready().await.map_err(|Unavailable| Unready::File),
        }
    }

    /// Writes a pin; durable when it returns.
    pub async fn pin(&self, key: &Key, name: &ProcessorName) -> Result<Pinned, Unavailable> {
        let digest = self.digest(Kind::Pin, key);
        let done = match &self.store {
            Store::Redis(redis) => redis.pin(&digest, name, self.pin_ttl).await,
            Store::Embedded(file) => file.pin(digest, name, self.pin_ttl).await,
        };
        self.count(Kind::Pin, &done, |pinned| match pinned {
            Pinned::Created => Record::Created,
            Pinned::Same => Record::Same,
            Pinned::Ambiguous => Record::Other,
        });
        done
    }

    /// Reads a pin.
    pub async fn pin_of(&self, key: &Key) -> Result<Pin, Unavailable> {
        let digest = self.digest(Kind::Pin, key);
        let found = match &self.store {
            Store::Redis(redis) => redis.pin_of(&digest).await,
            Store::Embedded(file) => file.pin_of(digest).await,
        };
        self.count(Kind::Pin, &found, |pin| match pin {
            Pin::Absent => Record::Absent,
            Pin::At(_) => Record::Found,
            Pin::Ambiguous => Record::Other,
        });
        found
    }

    /// Writes a claim unless there is one; durable when it returns.
    pub async fn claim(&self, key: &Key, name: &ProcessorName) -> Result<Claimed, Unavailable> {
        let digest = self.digest(Kind::Claim, key);
        let done = match &self.store {
            Store::Redis(redis) => redis.claim(&digest, name, self.claim_ttl).await,
            Store::Embedded(file) => file.claim(digest, name, self.claim_ttl).await,
        };
        self.count(Kind::Claim, &done, |claimed| match claimed {
            Claimed::New => Record::Created,
            Claimed::Held(holder) if holder == name => Record::Same,
            Claimed::Held(_) => Record::Other,
        });
        done
    }

    fn digest(&self, kind: Kind, key: &Key) -> Digest {
        match kind {
            Kind::Pin => self.secret.digest("pin", key),
            Kind::Claim => self.secret.digest("claim", key),
        }
    }

    fn count<T>(&self, kind: Kind, done: &Result<T, Unavailable>, of: impl FnOnce(&T) -> Record) {
        self.metrics.record(kind, done.as_ref().map_or(Record::Unavailable, of));
    }
}
