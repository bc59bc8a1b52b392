//! The configuration as written: shapes and nothing else. Unknown fields are refused, so a typing error is never a
//! silent default. What the values must fulfil stands in [`super::build`].

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) route_header: Option<String>,
    #[serde(default)]
    pub(super) answer_headers: Option<AnswerHeaders>,
    #[serde(default)]
    pub(super) tenant: Option<Tenant>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) breaker: Breaker,
    pub(super) fields: Fields,
    pub(super) profiles: BTreeMap<String, Profile>,
    pub(super) processors: Vec<Processor>,
    pub(super) operations: Vec<Operation>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    pub(super) default: Pool,
    #[serde(default)]
    pub(super) cache: Cache,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerHeaders {
    Show,
    Hide,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    pub(super) header: String,
    pub(super) presence: Option<Presence>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) request_body_bytes: Option<u64>,
    pub(super) answer_body_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Breaker {
    pub(super) consecutive_failures: Option<u64>,
    pub(super) open_ms: Option<u64>,
    pub(super) open_ms_max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    pub(super) amount: Vec<String>,
    pub(super) currency: Vec<String>,
    #[serde(default)]
    pub(super) merchant: Vec<String>,
    #[serde(default)]
    pub(super) card_number: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) payment_id: Vec<String>,
    pub(super) status: Vec<String>,
    #[serde(default)]
    pub(super) code: Vec<String>,
    pub(super) approved: Vec<String>,
    #[serde(default)]
    pub(super) declined: Vec<String>,
    #[serde(default)]
    pub(super) pending: Vec<String>,
    #[serde(default)]
    pub(super) technical_codes: Vec<String>,
    pub(super) same_key: SameKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SameKey {
    Replays,
    ChargesAgain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Processor {
    pub(super) name: String,
    pub(super) cluster: Option<String>,
    #[serde(default)]
    pub(super) account: Option<String>,
    pub(super) profile: String,
    pub(super) weight: Option<u64>,
    pub(super) authority: Option<String>,
    pub(super) path_prefix: Option<String>,
    #[serde(default)]
    pub(super) breaker: Breaker,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: Option<Key>,
    pub(super) when_open: Option<WhenOpen>,
    pub(super) invalidates: Option<String>,
    pub(super) lookup: Option<Lookup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Charge,
    FollowUp,
    Lookup,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) header: String,
    #[serde(default)]
    pub(super) spelling: Spelling,
    #[serde(default)]
    pub(super) presence: Presence,
    #[serde(default)]
    pub(super) claims: Claims,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spelling {
    #[default]
    Bare,
    Quoted,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Presence {
    Required,
    #[default]
    Optional,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Claims {
    #[default]
    Required,
    Off,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhenOpen {
    Send,
    Refuse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    pub(super) namespace: String,
    pub(super) shared: Shared,
    pub(super) ttl_ms: u64,
    pub(super) local_ttl_ms: Option<u64>,
    #[serde(default)]
    pub(super) vary: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shared {
    Public,
    Tenant,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    #[serde(default)]
    pub(super) when: When,
    #[serde(rename = "use")]
    pub(super) pool: Pool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    pub(super) amount: Option<AmountRange>,
    pub(super) currency: Option<Vec<String>>,
    pub(super) bin_prefix: Option<Vec<String>>,
    pub(super) merchant: Option<Vec<String>>,
    pub(super) header: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountRange {
    pub(super) currency: String,
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) processors: Vec<String>,
    #[serde(default)]
    pub(super) policy: Policy,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Policy {
    RoundRobin,
    #[default]
    SmoothWeightedRoundRobin,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cache {
    pub(super) local_entries: Option<u64>,
    pub(super) local_bytes: Option<u64>,
    pub(super) pin_ttl_ms: Option<u64>,
}
