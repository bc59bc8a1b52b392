//! Processors and their breakers, as written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Processor {
    pub(in crate::config) name: String,
    pub(in crate::config) cluster: Option<String>,
    #[serde(default)]
    pub(in crate::config) account: Option<String>,
    pub(in crate::config) profile: String,
    pub(in crate::config) weight: Option<u64>,
    pub(in crate::config) authority: Option<String>,
    pub(in crate::config) path_prefix: Option<String>,
    #[serde(default)]
    pub(in crate::config) breaker: Breaker,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Breaker {
    pub(in crate::config) consecutive_failures: Option<u64>,
    pub(in crate::config) open_ms: Option<u64>,
    pub(in crate::config) open_ms_max: Option<u64>,
}
