//! What the service runs by: valid by construction.
//!
//! The file ([`raw`]) holds what may be shown; the environment holds what may not ([`Secrets`]), and goes before the file
//! where both speak. Errors name the field and the file, never a secret.

pub mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use decision::lookup::{Key, MalformedNamespace, Namespace, wire};

use crate::cache::{OVERHEAD, OVERHEAD_LFU};
use crate::secret::{KeySecret, SecretError, TokenError, Tokens};
use crate::value::Value;
pub use raw::Policy;
use raw::{Raw, RawNamespace};

/// A body is never longer than this, in bytes, whatever a namespace allows.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The most namespaces: each has its own memory.
pub const NAMESPACES_MAX: usize = 64;

/// What the service runs by.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the proxy's requests arrive.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub admin_listen: SocketAddr,
    /// Holds the records and the key secret, where there is no Redis.
    pub data_dir: PathBuf,
    /// The callers' tokens.
    pub tokens: Tokens,
    /// The secret that keys are hashed under; `None`: the one kept in `data_dir`. Always given with Redis.
    pub key_secret: Option<KeySecret>,
    /// The shared store, if there is one.
    pub redis: Option<RedisUrl>,
    /// With Redis: how long a value of an entity may be served without asking again.
    pub memory_ttl_max: Duration,
    /// With Redis: the same for a plain value.
    pub memory_ttl_max_plain: Duration,
    /// Bounds on what callers may ask for at once.
    pub limits: Limits,
    /// The deadline of a look-up in Redis.
    pub lookup_deadline: Duration,
    /// The deadline of a pin or a claim.
    pub record_deadline: Duration,
    /// How long a pin lasts.
    pub pin_ttl: Duration,
    /// How long a claim lasts.
    pub claim_ttl: Duration,
    /// The classes of look-ups.
    pub namespaces: BTreeMap<Namespace, Space>,
}

/// Bounds on what callers may ask for at once; see [`raw::RawLimits`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests in flight.
    pub in_flight: usize,
    /// Connections.
    pub connections: usize,
    /// To the first authorised request of a connection.
    pub head_timeout: Duration,
    /// To the end of a body.
    pub body_timeout: Duration,
    /// For a client that takes nothing of an answer.
    pub write_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// For requests in flight after SIGTERM.
    pub drain: Duration,
}

/// One class of look-ups.
#[derive(Clone, Debug)]
pub struct Space {
    /// Who leaves the memory first.
    pub policy: Policy,
    /// The memory's bound, in bytes.
    pub bytes: u64,
    /// The longest time to live.
    pub ttl_max: Duration,
    /// The largest value, in bytes.
    pub value_bytes_max: usize,
}

/// Where Redis is. It may hold a password, so it is never shown.
#[derive(Clone)]
pub struct RedisUrl(redis::ConnectionInfo);

impl RedisUrl {
    /// What a client is opened with.
    pub fn connection(&self) -> redis::ConnectionInfo {
        self.0.clone()
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(..)")
    }
}

/// What stands on the command line or in the environment, and goes before the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The data listener's address.
    pub listen: Option<SocketAddr>,
    /// The data listener's port.
    pub port: Option<u16>,
    /// The admin listener's port.
    pub admin_port: Option<u16>,
    /// The data directory.
    pub data_dir: Option<PathBuf>,
}

/// What stands in the environment only.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `CACHE_TOKEN`.
    pub token: Option<String>,
    /// `CACHE_KEY_SECRET`.
    pub key_secret: Option<String>,
    /// `REDIS_URL`.
    pub redis_url: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: line {line}: {message}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Why, without the line itself: a secret may stand there by mistake.
        message: String,
    },
    /// A field has a value it cannot have.
    #[error("{source_name}: {field}: {reason}")]
    Field {
        /// The file, or `defaults`.
        source_name: String,
        /// The field's path.
        field: String,
        /// What it must be.
        reason: &'static str,
    },
    /// Nobody could call.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The key secret is of no use.
    #[error("CACHE_KEY_SECRET or key_secret_file: {0}")]
    Secret(#[from] SecretError),
    /// Nodes would not find each other's values.
    #[error("with REDIS_URL, set CACHE_KEY_SECRET or key_secret_file: every node on one Redis must hash keys alike")]
    SecretRequired,
    /// Not an address of Redis.
    #[error("REDIS_URL: not of the form redis://HOST:PORT or unix:///PATH")]
    RedisUrl,
}

impl Config {
    /// Reads the file, if one is named, and lets the overrides and secrets go before it.
    pub fn load(path: Option<&Path>, overrides: Overrides, secrets: Secrets) -> Result<Self, ConfigError> {
        let raw = match path {
            Some(path) => {
                let text = read(path)?;
                toml::from_str(&text).map_err(|error| syntax(path, &text, &error))?
            }
            None => Raw::default(),
        };
        let source_name = path.map_or("defaults".to_owned(), |p| p.display().to_string());
        Self::new(raw, overrides, secrets, &source_name)
    }

    fn new(raw: Raw, overrides: Overrides, secrets: Secrets, source_name: &str) -> Result<Self, ConfigError> {
        let check = Check { source_name };
        let given = |text: Option<String>| text.filter(|t| !t.trim().is_empty());
        let mut listen = overrides.listen.unwrap_or(raw.listen);
        listen.set_port(overrides.port.unwrap_or(listen.port()));
        let mut admin_listen = raw.admin_listen;
        admin_listen.set_port(overrides.admin_port.unwrap_or(admin_listen.port()));

        let token_file = raw.token_file.as_deref().map(read).transpose()?.unwrap_or_default();
        let token = given(secrets.token).unwrap_or_default();
        let tokens = Tokens::new(token_file.lines().chain([token.as_str()]))?;

        let key_secret = match (given(secrets.key_secret), &raw.key_secret_file) {
            (Some(secret), _) => Some(KeySecret::new(&secret)?),
            (None, Some(path)) => Some(KeySecret::of_file(path)?),
            (None, None) => None,
        };
        let redis = given(secrets.redis_url).map(|url| redis_url(&url)).transpose()?;
        if redis.is_some() && key_secret.is_none() {
            return Err(ConfigError::SecretRequired);
        }

        check.within("namespaces", raw.namespaces.len() as u64, 1..=NAMESPACES_MAX as u64)?;
        let namespaces =
            raw.namespaces.iter().map(|(name, space)| check.space(name, space)).collect::<Result<_, _>>()?;
        Ok(Self {
            listen,
            admin_listen,
            data_dir: overrides.data_dir.unwrap_or(raw.data_dir),
            tokens,
            key_secret,
            redis,
            memory_ttl_max: check.millis("memory_ttl_max_ms", raw.memory_ttl_max_ms)?,
            memory_ttl_max_plain: check.millis("memory_ttl_max_plain_ms", raw.memory_ttl_max_plain_ms)?,
            limits: Limits {
                in_flight: check.count("limits.in_flight", raw.limits.in_flight)?,
                connections: check.count("limits.connections", raw.limits.connections)?,
                head_timeout: check.millis("limits.head_timeout_ms", raw.limits.head_timeout_ms)?,
                body_timeout: check.millis("limits.body_timeout_ms", raw.limits.body_timeout_ms)?,
                write_timeout: check.millis("limits.write_timeout_ms", raw.limits.write_timeout_ms)?,
                idle_timeout: check.millis("limits.idle_timeout_ms", raw.limits.idle_timeout_ms)?,
                drain: check.millis("limits.drain_ms", raw.limits.drain_ms)?,
            },
            lookup_deadline: check.millis("redis.lookup_deadline_ms", raw.redis.lookup_deadline_ms)?,
            record_deadline: check.millis("redis.record_deadline_ms", raw.redis.record_deadline_ms)?,
            pin_ttl: check.days("records.pin_ttl_days", raw.records.pin_ttl_days)?,
            claim_ttl: check.days("records.claim_ttl_days", raw.records.claim_ttl_days)?,
            namespaces,
        })
    }
}

/// Says where and why, and no value: a secret may stand there by mistake.
fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let said = error.message();
    // These quote what they found.
    let quotes =
        ["invalid type", "invalid value", "invalid length", "unknown variant"].iter().any(|w| said.starts_with(w));
    let message = if quotes {
        let field =
            before.rsplit('\n').next().and_then(|line| line.split_once('=')).map_or("", |(field, _)| field.trim());
        let expected = said.rsplit_once("expected ").map_or("another value", |(_, expected)| expected);
        format!("{field}: expected {expected}")
    } else {
        said.to_owned()
    };
    ConfigError::Syntax { path: path.to_owned(), line, message }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

/// A peer that acknowledges nothing for this long is gone, as far as the kernel is concerned.
const REDIS_TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// RESP3, since then the server's hang-up is noticed at once and not by the next command.
fn redis_url(url: &str) -> Result<RedisUrl, ConfigError> {
    use redis::IntoConnectionInfo;
    use redis::io::tcp::TcpSettings;
    let info = url.trim().into_connection_info().map_err(|_| ConfigError::RedisUrl)?;
    let resp3 = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
    let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(REDIS_TCP_TIMEOUT);
    Ok(RedisUrl(info.set_redis_settings(resp3).set_tcp_settings(tcp)))
}

/// Turns raw fields into bounded ones, or says which is wrong.
struct Check<'a> {
    source_name: &'a str,
}

impl Check<'_> {
    fn wrong(&self, field: &str, reason: &'static str) -> ConfigError {
        ConfigError::Field { source_name: self.source_name.to_owned(), field: field.to_owned(), reason }
    }

    fn within(&self, field: &str, n: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, ConfigError> {
        if range.contains(&n) { Ok(n) } else { Err(self.wrong(field, "out of its range (zero, or far too large)")) }
    }

    /// 1 ms to a year.
    fn millis(&self, field: &str, ms: u64) -> Result<Duration, ConfigError> {
        self.within(field, ms, 1..=366 * 24 * 3_600 * 1_000).map(Duration::from_millis)
    }

    /// A day to ten years.
    fn days(&self, field: &str, days: u64) -> Result<Duration, ConfigError> {
        self.within(field, days, 1..=3_660).map(|days| Duration::from_secs(days * 24 * 3_600))
    }

    fn count(&self, field: &str, n: usize) -> Result<usize, ConfigError> {
        self.within(field, n as u64, 1..=1_000_000).map(|_| n)
    }

    fn space(&self, name: &str, raw: &RawNamespace) -> Result<(Namespace, Space), ConfigError> {
        let field = |part: &str| format!("namespaces.{name}.{part}");
        let namespace: Namespace = name.parse().map_err(|_: MalformedNamespace| {
            self.wrong(&format!("namespaces.{name}"), "a namespace is 1 to 32 of a-z, 0-9 and _")
        })?;
        self.within(&field("value_bytes_max"), raw.value_bytes_max as u64, 1..=BODY_BYTES_MAX as u64)?;
        let texts = raw.value_bytes_max + size_of::<Key>() + Value::CONTENT_TYPE_LEN_MAX + wire::PROCESSOR_LEN_MAX;
        // As much less as `lfu` leaves free.
        if raw.bytes - raw.bytes / 16 < texts as u64 + OVERHEAD + OVERHEAD_LFU {
            return Err(self.wrong(&field("bytes"), "no room for one value of value_bytes_max"));
        }
        let ttl_max = self.millis(&field("ttl_max_ms"), raw.ttl_max_ms)?;
        let space = Space { policy: raw.policy, bytes: raw.bytes, ttl_max, value_bytes_max: raw.value_bytes_max };
        Ok((namespace, space))
    }
}

#[cfg(test)]
mod tests;
