//! The plugin's configuration: what `decision` read of it, and the token that stands in the proxy's environment.

use std::time::Duration;

use decision::config::{Config, ConfigError, Document};

use crate::host;

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
    let Document { cache_service, routing } = Document::parse(json)?;
    let Some(service) = cache_service else { return Ok((None, routing)) };
    let token = host::environment(&service.token_env).filter(|t| !t.is_empty()).ok_or_else(|| {
        let message = format!(
            "{} is unset or empty: set it in the proxy's environment, and list it in host_env_keys",
            service.token_env
        );
        ConfigError { path: "cache_service.token_env".to_owned(), message }
    })?;
    let service = CacheService {
        authority: service.authority,
        cluster: service.cluster,
        authorization: format!("Bearer {token}"),
        lookup_timeout: service.lookup_timeout,
        record_timeout: service.record_timeout,
    };
    Ok((Some(service), routing))
}
