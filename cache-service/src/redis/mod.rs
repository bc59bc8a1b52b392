//! The shared store: one connection, a deadline around every call, and a way back after every outage.
//!
//! What may go wrong: Redis is gone, is slow, is frozen while its sockets stay open, or answers nonsense. The client
//! reconnects by itself after a broken connection only, so three things stand around it:
//! - every call has its own deadline, since the client's own do not cover a reconnect;
//! - after some failures in a row Redis is not asked at all, so that no backlog grows and no caller waits: look-ups and
//!   records each by their own failures, as a Redis too slow for a look-up's deadline is quick enough for a claim's;
//! - the watchdog asks it all the same, lets callers back in when it answers, and replaces a connection that stays silent.
//!
//! What answers is not used before it was proven to be fit for records; see [`probe`].

mod breaker;
mod envelope;
mod lookups;
mod probe;
mod records;

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

use crate::config::RedisUrl;
use crate::metrics::{Failure, Metrics, Operation};
use crate::records::Unready;
use crate::secret::Digest;
use breaker::Breaker;
use probe::Standing;

pub use envelope::Stored;
pub use lookups::{Address, FENCE_AGE_MAX, Reading, Storing};

/// What every key begins with: the product and the version of what is stored. A later version reads none of it.
const PREFIX: &str = "sw:1:";
/// Probes unanswered or refused after which the connection is replaced.
const PINGS_MAX: u32 = 2;
/// How often the watchdog asks while Redis answers.
const PING_WHILE_UP: Duration = Duration::from_secs(1);
/// How often the watchdog asks while it does not: callers are let back in about this long after it heals.
const PING_WHILE_DOWN: Duration = Duration::from_millis(200);
/// Commands queued for the connection; as many as requests in flight, so that none waits for a place.
const QUEUE: usize = 1_024;

/// The store did not answer within its deadline. A write may have happened all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// No answer, or none in time.
    Silent,
    /// Redis answered with an error.
    Said,
}

/// A connection to Redis.
pub struct Redis {
    client: Client,
    settings: ConnectionManagerConfig,
    /// Replaced by the watchdog. The lock is held for a clone.
    manager: RwLock<ConnectionManager>,
    lookup_deadline: Duration,
    record_deadline: Duration,
    /// Of values read and stored.
    lookups: Breaker,
    /// Of pins, claims and invalidations.
    records: Breaker,
    standing: Mutex<Standing>,
    /// Of the secret that keys are hashed under, in hex.
    fingerprint: String,
    scripts: Scripts,
    metrics: Arc<Metrics>,
}

/// The scripts, hashed once.
struct Scripts {
    store: redis::Script,
    invalidate: redis::Script,
    pin: redis::Script,
    claim: redis::Script,
    probe: redis::Script,
}

impl Redis {
    /// Prepares a connection, and a watchdog that ends with it; does not wait for Redis.
    pub fn open(
        url: &RedisUrl,
        fingerprint: &Digest,
        lookup_deadline: Duration,
        record_deadline: Duration,
        metrics: Arc<Metrics>,
    ) -> RedisResult<Arc<Self>> {
        let client = Client::open(url.connection())?;
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200))
            .set_connection_timeout(Some(Duration::from_millis(500)))
            .set_response_timeout(Some(record_deadline))
            .set_pipeline_buffer_size(QUEUE);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?;
        let redis = Arc::new(Self {
            client,
            settings,
            manager: RwLock::new(manager),
            lookup_deadline,
            record_deadline,
            lookups: Breaker::new("redis does not answer look-ups in time: they go on from memory"),
            records: Breaker::new("redis does not answer: records and invalidations are refused"),
            scripts: Scripts {
                store: redis::Script::new(lookups::STORE),
                invalidate: redis::Script::new(lookups::INVALIDATE),
                pin: redis::Script::new(records::PIN),
                claim: redis::Script::new(records::CLAIM),
                probe: redis::Script::new(probe::PROBE),
            },
            standing: Mutex::new(Standing::Unproven),
            fingerprint: fingerprint.to_hex(),
            metrics,
        });
        tokio::spawn(watch(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// One call, unless its kind is taken to fail or Redis is not fit for use.
    async fn call<T>(
        &self,
        operation: Operation,
        run: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, Unavailable> {
        let is_lookup = matches!(operation, Operation::Find | Operation::Store);
        let (breaker, deadline) = match is_lookup {
            true => (&self.lookups, self.lookup_deadline),
            // An invalidation stands before the answer of a follow-up, not of a look-up: the longer deadline.
            false => (&self.records, self.record_deadline),
        };
        let until = Instant::now() + deadline;
        let standing = self.standing();
        if breaker.is_open() || matches!(standing, Standing::Refused(_)) {
            self.metrics.redis_failure(operation, Failure::Skipped);
            return Err(Unavailable);
        }
        if standing == Standing::Unproven && !is_lookup {
            self.prove().await.map_err(|_| Unavailable)?;
        }
        let answer = self.ask(operation, until.saturating_duration_since(Instant::now()), run).await;
        match &answer {
            Ok(_) => breaker.succeeded(),
            Err(_) => breaker.failed(),
        }
        answer.map_err(|_| Unavailable)
    }

    /// One call within its deadline, its failure counted.
    async fn ask<T>(
        &self,
        operation: Operation,
        deadline: Duration,
        run: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, Failing> {
        let connection = self.manager.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (failure, failing) = match tokio::time::timeout(deadline, run(connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if error.is_timeout() => (Failure::Timeout, Failing::Silent),
            Ok(Err(error)) => {
                // The kind only: a message from the server may quote what was sent.
                tracing::debug!(?operation, kind = ?error.kind(), "redis failed");
                let said = error.code().is_some();
                if !said {
                    self.unprove();
                }
                (Failure::Error, if said { Failing::Said } else { Failing::Silent })
            }
            Err(_) => (Failure::Timeout, Failing::Silent),
        };
        self.metrics.redis_failure(operation, failure);
        Err(failing)
    }

    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection broke: who answers next may be another.
    fn unprove(&self) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Standing::Unproven;
    }

    /// Puts a fresh connection in place of one that stays silent.
    fn replace_connection(&self) {
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.settings.clone()) {
            Ok(fresh) => {
                *self.manager.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                self.unprove();
            }
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "no connection to redis can be made")
            }
        }
    }
}

/// Asks Redis whether it may be used, as long as someone uses it.
async fn watch(redis: Weak<Redis>) {
    let mut refused = 0;
    while let Some(redis) = redis.upgrade() {
        let asked = Instant::now();
        let answer = redis.prove().await;
        redis.metrics.redis_up(i64::from(answer.is_ok()));
        match answer {
            // One that is not fit for use answers: what keeps callers out then is its standing.
            Ok(()) | Err(Unready::ForeignSecret | Unready::Evicts) => {
                refused = 0;
                redis.records.close();
                // Who is let back in must be answered in time.
                if asked.elapsed() < redis.lookup_deadline {
                    redis.lookups.close();
                }
            }
            Err(Unready::Silent | Unready::NoWrites | Unready::File) => {
                refused += 1;
                if refused >= PINGS_MAX {
                    refused = 0;
                    redis.records.open();
                    if answer == Err(Unready::Silent) {
                        redis.lookups.open();
                    }
                    // Also of one that takes no writes: its name may belong to another server by now.
                    redis.replace_connection();
                }
            }
        }
        let well = answer.is_ok() && !redis.lookups.is_open();
        drop(redis);
        tokio::time::sleep(if well { PING_WHILE_UP } else { PING_WHILE_DOWN }).await;
    }
}
