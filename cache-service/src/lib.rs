//! Caches payment look-ups beside the proxy and keeps the records that outlive it.
//!
//! What it promises:
//! - a hit is what was stored, under that key and entity, and has neither expired nor been invalidated (see [`service`]);
//! - a record acknowledged is durable, and one that cannot be read is never taken for absent (see [`records`]);
//! - no request waits longer than its deadline for Redis, and none is answered from Redis alone (see [`redis`]);
//! - no key, value, token or secret stands in a log, a metric, an error or a Redis key (see [`secret`]);
//! - every input has a bound (see [`config`] and [`server`]).
//!
//! In reading order: [`service`] and [`memory`], [`generation`] and [`fence`], [`cache`], [`redis`], [`records`],
//! then [`http`] and [`server`] around them.

pub mod cache;
pub mod config;
pub mod fence;
pub mod generation;
pub mod http;
pub mod memory;
pub mod metrics;
pub mod problem;
pub mod records;
pub mod redis;
pub mod secret;
pub mod server;
pub mod service;
pub mod value;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use config::Config;
use http::App;
use metrics::Metrics;
use records::{Embedded, EmbeddedError, RecordFile, Records, Store};
use redis::Redis;
use secret::{KeySecret, SecretError};
use server::{Listeners, Server, Trial};
use service::Service;

/// How often the memories do their due work: TinyLFU decides nothing until it is called.
const TEND: Duration = Duration::from_millis(250);

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("data_dir {0}: {1}")]
    DataDir(std::path::PathBuf, io::Error),
    /// The key secret cannot be read or made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The record file cannot be used.
    #[error(transparent)]
    Records(#[from] EmbeddedError),
    /// No client for Redis can be made.
    #[error("REDIS_URL: {0:?}")]
    Redis(::redis::ErrorKind),
    /// Nodes would not find each other's records.
    #[error("with REDIS_URL, a key secret must be given")]
    SecretRequired,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// A service whose stores are open, ready to serve.
pub struct CacheService {
    app: Arc<App>,
    limits: config::Limits,
}

impl CacheService {
    /// Opens the stores. Does not wait for Redis: it may come later.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let (lookup, record) = (config.lookup_deadline, config.record_deadline);
        let (secret, redis, store) = match &config.redis {
            Some(url) => {
                let secret = config.key_secret.clone().ok_or(StartError::SecretRequired)?;
                let opened = Redis::open(url, &secret.fingerprint(), lookup, record, Arc::clone(&metrics));
                let redis = opened.map_err(|error| StartError::Redis(error.kind()))?;
                (secret, Some(Arc::clone(&redis)), Store::Redis(redis))
            }
            None => {
                let (secret, store) = embedded(&config)?;
                (secret, None, store)
            }
        };
        let boot = getrandom::u32().map_err(|_| StartError::Random)?;
        let records = Records::new(store, secret.clone(), config.pin_ttl, config.claim_ttl, Arc::clone(&metrics));
        let service = Service::new(&config, secret, redis, boot, &metrics);
        let app = Arc::new(App {
            service,
            records,
            metrics,
            tokens: config.tokens,
            in_flight: Arc::new(Semaphore::new(config.limits.in_flight)),
            body_timeout: config.limits.body_timeout,
            draining: AtomicBool::new(false),
        });
        Ok(Self { app, limits: config.limits })
    }

    /// Serves until `shutdown` resolves, then lets the requests in flight end. The admin listener stays until they have.
    pub async fn run(self, listeners: Listeners, shutdown: impl Future<Output = ()>) {
        let data = Server::new(http::data(Arc::clone(&self.app)), self.limits.clone(), Trial::UntilAuthorised);
        let admin = Server::new(http::admin(Arc::clone(&self.app)), self.limits, Trial::UntilRequest);
        let (stop_admin, admin_stopped) = oneshot::channel::<()>();
        let admin = tokio::spawn(admin.serve(listeners.admin, async {
            let _ = admin_stopped.await;
        }));
        let tended = Arc::clone(&self.app);
        let tend = tokio::spawn(async move {
            let mut due = tokio::time::interval(TEND);
            loop {
                due.tick().await;
                tended.service.tend();
            }
        });
        let draining = Arc::clone(&self.app);
        let stop = async move {
            shutdown.await;
            draining.drain();
            tracing::info!("draining");
        };
        data.serve(listeners.data, stop).await;
        drop(stop_admin);
        // A scrape under way may end; nothing else holds the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), admin).await;
        tend.abort();
        let _ = tend.await;
    }
}

/// The record file in `data_dir`, and the secret its keys are hashed under. Whoever holds the file's lock makes the
/// secret, so two processes cannot make two.
fn embedded(config: &Config) -> Result<(KeySecret, Store), StartError> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir).map_err(|error| StartError::DataDir(dir.clone(), error))?;
    let file = RecordFile::open(&dir.join(Embedded::FILE))?;
    let secret = match &config.key_secret {
        Some(secret) => secret.clone(),
        None => KeySecret::kept_in(dir, file.is_new()?)?,
    };
    file.seal(&secret.fingerprint())?;
    let store = Embedded::start(file, config.record_deadline)?;
    Ok((secret, Store::Embedded(store)))
}

/// Opens the stores and serves; for callers that bind the listeners themselves.
pub async fn run(listeners: Listeners, config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    CacheService::open(config)?.run(listeners, shutdown).await;
    Ok(())
}
