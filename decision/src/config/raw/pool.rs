//! Pools as written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    pub(in crate::config) processors: Vec<String>,
    #[serde(default)]
    pub(in crate::config) policy: Policy,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Policy {
    RoundRobin,
    #[default]
    SmoothWeightedRoundRobin,
}
