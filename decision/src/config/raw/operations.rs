//! Operations as written.

use serde::Deserialize;

use super::Presence;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Operation {
    pub(in crate::config) name: String,
    pub(in crate::config) kind: Kind,
    pub(in crate::config) method: String,
    pub(in crate::config) path: String,
    #[serde(default)]
    pub(in crate::config) mode: Mode,
    pub(in crate::config) key: Option<Key>,
    pub(in crate::config) when_open: Option<WhenOpen>,
    pub(in crate::config) invalidates: Option<String>,
    pub(in crate::config) lookup: Option<Lookup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Kind {
    Charge,
    FollowUp,
    Lookup,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Mode {
    #[default]
    Enforce,
    Shadow,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Key {
    pub(in crate::config) header: String,
    #[serde(default)]
    pub(in crate::config) spelling: Spelling,
    #[serde(default)]
    pub(in crate::config) presence: Presence,
    #[serde(default)]
    pub(in crate::config) claims: Claims,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Spelling {
    #[default]
    Bare,
    Quoted,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Claims {
    #[default]
    Required,
    Off,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum WhenOpen {
    Send,
    Refuse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Lookup {
    pub(in crate::config) namespace: String,
    pub(in crate::config) shared: Shared,
    pub(in crate::config) ttl_ms: u64,
    pub(in crate::config) local_ttl_ms: Option<u64>,
    #[serde(default)]
    pub(in crate::config) vary: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Shared {
    Public,
    Tenant,
}
