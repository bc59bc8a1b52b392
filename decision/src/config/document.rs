//! The filter's whole configuration: where the cache-service is, and the routing.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Config, ConfigError, defaults};

/// What Envoy hands over.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where claims, pins and shared look-ups are kept; none: there are none.
    pub cache_service: Option<CacheService>,
    /// What is decided by.
    pub routing: Config,
}

/// Where the cache-service is and how long it may take.
#[derive(Clone, Debug)]
pub struct CacheService {
    /// What the proxy calls it.
    pub cluster: String,
    /// The `host` it is called by.
    pub authority: String,
    /// The variable of the VM that holds the caller's token.
    pub token_env: String,
    /// How long a look-up or its fill waits.
    pub lookup_timeout: Duration,
    /// How long a pin, claim or invalidation waits.
    pub record_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
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

impl Document {
    /// Reads the JSON document. Whether the proxy has the cluster and the token, the shell sees.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let raw: Raw<'_> = serde_path_to_error::deserialize(&mut reader).map_err(ConfigError::of_reader)?;
        reader.end().map_err(|e| wrong(".", e.to_string()))?;
        let routing = Config::parse(raw.routing.get().as_bytes())
            .map_err(|e| wrong(format!("routing.{}", e.path).trim_end_matches('.'), e.message))?;
        let cache_service = raw.cache_service.map(read).transpose()?;
        match routing.needs_records() {
            Some(path) if cache_service.is_none() => {
                Err(wrong(&format!("routing.{path}"), "needs cache_service: it claims or pins".to_owned()))
            }
            _ => Ok(Self { cache_service, routing }),
        }
    }
}

fn wrong(path: &str, message: String) -> ConfigError {
    ConfigError { path: path.to_owned(), message }
}

fn read(raw: RawCacheService) -> Result<CacheService, ConfigError> {
    let range = defaults::CACHE_TIMEOUT_MS_RANGE;
    let timeout = |field: &str, given: Option<u64>, default: u64| {
        let ms = given.unwrap_or(default);
        if range.contains(&ms) {
            return Ok(Duration::from_millis(ms));
        }
        let message = format!("{ms} is not within {} to {}", range.start(), range.end());
        Err(wrong(&format!("cache_service.{field}"), message))
    };
    if raw.cluster.is_empty() {
        return Err(wrong("cache_service.cluster", "the name of a cluster".to_owned()));
    }
    Ok(CacheService {
        authority: raw.authority.unwrap_or_else(|| raw.cluster.clone()),
        cluster: raw.cluster,
        token_env: raw.token_env,
        lookup_timeout: timeout("lookup_timeout_ms", raw.lookup_timeout_ms, defaults::LOOKUP_TIMEOUT_MS)?,
        record_timeout: timeout("record_timeout_ms", raw.record_timeout_ms, defaults::RECORD_TIMEOUT_MS)?,
    })
}
