//! The configuration file as written, and every default, in one place.
//!
//! Names carry their unit. A field left out takes its default; an unknown one is an error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    /// Where the proxy's requests arrive.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are; it asks for no token, so keep it on loopback.
    pub admin_listen: SocketAddr,
    /// Holds `records.redb` and `key-secret`, where there is no Redis.
    pub data_dir: PathBuf,
    /// One bearer token a line; beside `CACHE_TOKEN`.
    pub token_file: Option<PathBuf>,
    /// The secret that keys are hashed under; `CACHE_KEY_SECRET` goes before it.
    pub key_secret_file: Option<PathBuf>,
    /// With Redis: how long this node may serve a value of an entity without asking again, in milliseconds. Other nodes'
    /// invalidations become known by then.
    pub memory_ttl_max_ms: u64,
    /// The same for a plain value, in milliseconds.
    pub memory_ttl_max_plain_ms: u64,
    /// Bounds on what callers may ask for at once.
    pub limits: RawLimits,
    /// How long to wait for Redis.
    pub redis: RawRedis,
    /// How long records last.
    pub records: RawRecords,
    /// The classes of look-ups. Where the file names any, it names all.
    pub namespaces: BTreeMap<String, RawNamespace>,
}

/// Bounds on what callers may ask for at once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Requests in flight; the next is answered 503.
    pub in_flight: usize,
    /// Connections; the next waits to be accepted.
    pub connections: usize,
    /// From accepting a connection to its first authorised request, in milliseconds.
    pub head_timeout_ms: u64,
    /// From a request's head to the end of its body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a client may take nothing of an answer, in milliseconds; then its connection is cut.
    pub write_timeout_ms: u64,
    /// How long a connection may stay unused, in milliseconds. Longer than the proxy keeps it, lest a request meets a
    /// closing connection.
    pub idle_timeout_ms: u64,
    /// How long requests in flight may take to end after SIGTERM, in milliseconds.
    pub drain_ms: u64,
}

/// How long to wait for Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRedis {
    /// For a look-up, in milliseconds. Past it the caller asks the processor.
    pub lookup_deadline_ms: u64,
    /// For a pin or a claim, in milliseconds. Past it the caller is told 503.
    pub record_deadline_ms: u64,
}

/// How long records last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRecords {
    /// A pin, in days.
    pub pin_ttl_days: u64,
    /// A claim, in days.
    pub claim_ttl_days: u64,
}

/// One class of look-ups.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNamespace {
    /// Who leaves the memory first.
    pub policy: Policy,
    /// The memory's bound, in bytes.
    pub bytes: u64,
    /// The longest time to live, in milliseconds; a longer one is cut to it.
    pub ttl_max_ms: u64,
    /// The largest value, in bytes.
    #[serde(default = "value_bytes_max")]
    pub value_bytes_max: usize,
}

/// Who leaves the memory first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The longest unused.
    Lru,
    /// The least often asked for.
    Lfu,
}

const MIB: u64 = 1 << 20;
const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// 64 KiB: a payment's status or a BIN's data is 1 to 4 KiB at every processor we read the documents of.
fn value_bytes_max() -> usize {
    64 << 10
}

impl Default for Raw {
    fn default() -> Self {
        // Issuer data changes on the scale of weeks; a payment's status on that of minutes.
        let bin = RawNamespace {
            policy: Policy::Lfu,
            bytes: 64 * MIB,
            ttl_max_ms: 7 * DAY_MS,
            value_bytes_max: value_bytes_max(),
        };
        let payment_status = RawNamespace { policy: Policy::Lru, ttl_max_ms: 10 * MINUTE_MS, ..bin.clone() };
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8082)),
            data_dir: PathBuf::from("./data"),
            token_file: None,
            key_secret_file: None,
            // What the filter's own memory may keep of a payment's status.
            memory_ttl_max_ms: 1_000,
            // Issuer data does not change within a minute.
            memory_ttl_max_plain_ms: MINUTE_MS,
            limits: RawLimits::default(),
            redis: RawRedis::default(),
            records: RawRecords::default(),
            namespaces: [("bin".to_owned(), bin), ("payment_status".to_owned(), payment_status)].into(),
        }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            connections: 4_096,
            head_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            write_timeout_ms: 10_000,
            // Envoy keeps an unused upstream connection for an hour.
            idle_timeout_ms: 65 * MINUTE_MS,
            // Below the 30 s that Kubernetes waits before SIGKILL.
            drain_ms: 10_000,
        }
    }
}

impl Default for RawRedis {
    fn default() -> Self {
        // A look-up must beat the processor, which takes hundreds of milliseconds; a record guards money and may wait.
        Self { lookup_deadline_ms: 25, record_deadline_ms: 250 }
    }
}

impl Default for RawRecords {
    fn default() -> Self {
        // Card networks take disputes for up to 540 days; processors keep idempotency keys for 1 to 30 days.
        Self { pin_ttl_days: 540, claim_ttl_days: 30 }
    }
}
