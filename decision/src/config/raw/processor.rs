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
    pub(in crate::config) heartbeat: Option<Heartbeat>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Breaker {
    pub(in crate::config) mode: Option<Mode>,
    pub(in crate::config) consecutive_failures: Option<u64>,
    pub(in crate::config) window_ms: Option<u64>,
    pub(in crate::config) window_calls: Option<u64>,
    pub(in crate::config) calls_min: Option<u64>,
    pub(in crate::config) failure_percent: Option<u64>,
    pub(in crate::config) slow_call_ms: Option<u64>,
    pub(in crate::config) slow_percent: Option<u64>,
    pub(in crate::config) issuers: Option<u64>,
    pub(in crate::config) open_ms: Option<u64>,
    pub(in crate::config) open_ms_max: Option<u64>,
    pub(in crate::config) probes: Option<u64>,
    pub(in crate::config) probe_timeout_ms: Option<u64>,
    pub(in crate::config) per: Option<Vec<Dimension>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Mode {
    Enforce,
    Observe,
    Disabled,
    ForcedOpen,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Dimension {
    Scheme,
    IssuerCountry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Heartbeat {
    pub(in crate::config) path: String,
    pub(in crate::config) interval_ms: Option<u64>,
    pub(in crate::config) timeout_ms: Option<u64>,
}
