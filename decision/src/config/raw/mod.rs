//! The configuration as written: shapes and nothing else. Unknown fields are refused, so a typing error is never a
//! silent default. What the values must fulfil stands in [`super::build`].

mod operations;
mod pool;
mod processor;
mod profile;
mod rules;

pub(super) use operations::{Claims, Kind, Lookup, Mode as OperationMode, Operation, Shared, Spelling, WhenOpen};
pub(super) use pool::{HashBy, Keyed, Policy, PolicyName, PolicyOptions, Pool, Weights};
pub(super) use processor::{Breaker, Cost, Dimension, Heartbeat, Load, Locality, Mode, Processor, State};
pub(super) use profile::{AmountFormat, Answers, Evidence, Fields, Meaning, OutcomeRule, Profile, SameKey};
pub(super) use rules::{AmountRange, Inner, Item, OneOrMore, Rule, Source, Split, TimeWindow, Use, When};

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Config {
    #[serde(default)]
    pub(in crate::config) route_header: Option<String>,
    #[serde(default)]
    pub(in crate::config) answer_headers: Option<AnswerHeaders>,
    #[serde(default)]
    pub(in crate::config) tenant: Option<Tenant>,
    pub(in crate::config) locality: Option<Locality>,
    #[serde(default)]
    pub(in crate::config) limits: Limits,
    #[serde(default)]
    pub(in crate::config) breaker: Breaker,
    pub(in crate::config) fields: Fields,
    pub(in crate::config) profiles: BTreeMap<String, Profile>,
    pub(in crate::config) processors: Vec<Processor>,
    pub(in crate::config) operations: Vec<Operation>,
    #[serde(default)]
    pub(in crate::config) lists: BTreeMap<String, Vec<Item>>,
    #[serde(default)]
    pub(in crate::config) rules: Vec<Rule>,
    pub(in crate::config) default: Pool,
    #[serde(default)]
    pub(in crate::config) cache: Cache,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AnswerHeaders {
    Show,
    Explain,
    Hide,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tenant {
    pub(in crate::config) header: String,
    pub(in crate::config) presence: Option<Presence>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Presence {
    Required,
    #[default]
    Optional,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    pub(in crate::config) request_body_bytes: Option<u64>,
    pub(in crate::config) answer_body_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cache {
    pub(in crate::config) local_entries: Option<u64>,
    pub(in crate::config) local_bytes: Option<u64>,
    pub(in crate::config) pin_ttl_ms: Option<u64>,
}
