//! The plugin's configuration: where the cache-service is, and what `decision` is told.

use std::time::Duration;

use decision::config::{Config, ConfigError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::host;

/// Milliseconds a look-up waits for the cache-service: longer than a loopback answer under load, shorter than any
/// processor.
const LOOKUP_TIMEOUT_MS: u64 = 100;
/// Milliseconds a pin, claim or invalidation waits: the store syncs a disk or asks Redis.
const RECORD_TIMEOUT_MS: u64 = 500;
/// Milliseconds: a longer wait holds a client for nothing.
const TIMEOUT_MS_MAX: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    cache_service: Option<RawCacheService>,
    #[serde(borrow)]
    routing: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCacheService {
    cluster: String,
    authority: Option<String>,
    token_env: String,
    lookup_timeout_ms: Option<u64>,
    record_timeout_ms: Option<u64>,
}

/// Where the cache-service is and how long it may take.
pub(crate) struct CacheService {
    /// What the host calls it: a cluster of Envoy.
    pub(crate) cluster: String,
    /// The `:authority` it is called by.
    pub(crate) authority: String,
    /// The whole `authorization` value. Never logged.
    pub(crate) authorization: String,
    pub(crate) lookup_timeout: Duration,
    pub(crate) record_timeout: Duration,
}

/// Reads the plugin's configuration.
pub(crate) fn parse(json: &[u8]) -> Result<(Option<CacheService>, Config), ConfigError> {
    let wrong = |path: &str, message: String| ConfigError { path: path.to_owned(), message };
    let document: Document<'_> = serde_json::from_slice(json).map_err(|e| wrong(".", e.to_string()))?;
    let routing = Config::parse(document.routing.get().as_bytes())
        .map_err(|e| wrong(format!("routing.{}", e.path).trim_end_matches('.'), e.message))?;
    let Some(raw) = document.cache_service else {
        return match routing.needs_records() {
            Some(path) => Err(wrong(&format!("routing.{path}"), "needs cache_service: it claims or pins".to_owned())),
            None => Ok((None, routing)),
        };
    };
    if raw.cluster.is_empty() {
        return Err(wrong("cache_service.cluster", "the name of a cluster".to_owned()));
    }
    let token = host::environment(&raw.token_env).filter(|t| !t.is_empty()).ok_or_else(|| {
        let message = format!(
            "{} is unset or empty: set it in the proxy's environment, and list it in host_env_keys",
            raw.token_env
        );
        wrong("cache_service.token_env", message)
    })?;
    let timeout = |field: &str, given: Option<u64>, default: u64| match given.unwrap_or(default) {
        ms @ 1..=TIMEOUT_MS_MAX => Ok(Duration::from_millis(ms)),
        ms => Err(wrong(&format!("cache_service.{field}"), format!("{ms} is not within 1 to {TIMEOUT_MS_MAX}"))),
    };
    let service = CacheService {
        authority: raw.authority.unwrap_or_else(|| raw.cluster.clone()),
        cluster: raw.cluster,
        authorization: format!("Bearer {token}"),
        lookup_timeout: timeout("lookup_timeout_ms", raw.lookup_timeout_ms, LOOKUP_TIMEOUT_MS)?,
        record_timeout: timeout("record_timeout_ms", raw.record_timeout_ms, RECORD_TIMEOUT_MS)?,
    };
    Ok((Some(service), routing))
}
