//! Processors and their breakers, as written.

use std::collections::BTreeMap;

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
    #[serde(default)]
    pub(in crate::config) load: Load,
    #[serde(default)]
    pub(in crate::config) state: State,
    pub(in crate::config) locality: Option<Locality>,
    pub(in crate::config) priority: Option<u64>,
    pub(in crate::config) cost: Option<Cost>,
    pub(in crate::config) hash_key: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum State {
    #[default]
    Active,
    Drain,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Locality {
    pub(in crate::config) region: String,
    pub(in crate::config) zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cost {
    pub(in crate::config) rate_bp: Option<u64>,
    #[serde(default)]
    pub(in crate::config) fixed: BTreeMap<String, u64>,
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

/// Where it reports its load.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Load {
    #[default]
    Orca,
    Header(String),
    Pointer(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Heartbeat {
    pub(in crate::config) path: String,
    pub(in crate::config) interval_ms: Option<u64>,
    pub(in crate::config) timeout_ms: Option<u64>,
}
