//! The shared store: one connection, a deadline around every call, and a way back after every outage.
//!
//! What may go wrong: Redis is gone, is slow, is frozen while its sockets stay open, or answers nonsense. The client
//! reconnects by itself after a broken connection only, so three things stand around it:
//! - every call has its own deadline, since the client's own do not cover a reconnect;
//! - after some failures in a row Redis is not asked at all, so that no backlog grows and no caller waits: look-ups and
//!   records each by their own failures, as a Redis too slow for a look-up's deadline is quick enough for a claim's;
//! - the watchdog asks it all the same, lets callers back in when it answers, and replaces a connection that stays silent.

mod breaker;
mod envelope;
mod lookups;
mod records;

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

use crate::config::RedisUrl;
use crate::metrics::{Failure, Metrics, Operation};
use breaker::Breaker;

pub use envelope::Stored;
pub use lookups::{Address, FENCE_AGE_MAX, Reading, Storing};

/// What every key begins with: the product and the version of what is stored. A later version reads none of it.
const PREFIX: &str = "sw:1:";
/// Unanswered pings after which the connection is replaced.
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
    scripts: Scripts,
    metrics: Arc<Metrics>,
}

/// The scripts, hashed once.
struct Scripts {
    store: redis::Script,
    invalidate: redis::Script,
    pin: redis::Script,
    claim: redis::Script,
}

impl Redis {
    /// Prepares a connection, and a watchdog that ends with it; does not wait for Redis.
    pub fn open(
        url: &RedisUrl,
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
            },
            metrics,
        });
        tokio::spawn(watch(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// Whether it answers now.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        let answer = self.ask(Operation::Ping, self.record_deadline, async |mut connection: ConnectionManager| {
            redis::cmd("PING").query_async::<()>(&mut connection).await
        });
        answer.await
    }

    /// One call, unless its kind is taken to fail.
    async fn call<T>(
        &self,
        operation: Operation,
        run: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, Unavailable> {
        let (breaker, deadline) = match operation {
            Operation::Find | Operation::Store => (&self.lookups, self.lookup_deadline),
            // An invalidation stands before the answer of a follow-up, not of a look-up: the longer deadline.
            Operation::Invalidate | Operation::Record | Operation::Ping => (&self.records, self.record_deadline),
        };
        if breaker.is_open() {
            self.metrics.redis_failure(operation, Failure::Skipped);
            return Err(Unavailable);
        }
        let answer = self.ask(operation, deadline, run).await;
        match &answer {
            Ok(_) => breaker.succeeded(),
            Err(Unavailable) => breaker.failed(),
        }
        answer
    }

    /// One call within its deadline, its failure counted.
    async fn ask<T>(
        &self,
        operation: Operation,
        deadline: Duration,
        run: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, Unavailable> {
        let connection = self.manager.read().unwrap_or_else(PoisonError::into_inner).clone();
        let failure = match tokio::time::timeout(deadline, run(connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if error.is_timeout() => Failure::Timeout,
            Ok(Err(error)) => {
                // The kind only: a message from the server may quote what was sent.
                tracing::debug!(?operation, kind = ?error.kind(), "redis failed");
                Failure::Error
            }
            Err(_) => Failure::Timeout,
        };
        self.metrics.redis_failure(operation, failure);
        Err(Unavailable)
    }

    /// Puts a fresh connection in place of one that stays silent.
    fn replace_connection(&self) {
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.settings.clone()) {
            Ok(fresh) => *self.manager.write().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "no connection to redis can be made")
            }
        }
    }
}

/// Asks Redis whether it is there, as long as someone uses it.
async fn watch(redis: Weak<Redis>) {
    let mut unanswered = 0;
    while let Some(redis) = redis.upgrade() {
        let asked = Instant::now();
        let answer = redis.ping().await;
        match answer {
            Ok(()) => {
                unanswered = 0;
                redis.metrics.redis_up(1);
                redis.records.close();
                // Who is let back in must be answered in time.
                if asked.elapsed() < redis.lookup_deadline {
                    redis.lookups.close();
                }
            }
            Err(Unavailable) => {
                redis.metrics.redis_up(0);
                unanswered += 1;
                if unanswered >= PINGS_MAX {
                    unanswered = 0;
                    redis.lookups.open();
                    redis.records.open();
                    redis.replace_connection();
                }
            }
        }
        let well = answer.is_ok() && !redis.lookups.is_open();
        drop(redis);
        tokio::time::sleep(if well { PING_WHILE_UP } else { PING_WHILE_DOWN }).await;
    }
}
