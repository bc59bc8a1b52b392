//! Pools as written.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    pub(in crate::config) processors: Vec<String>,
    #[serde(default)]
    pub(in crate::config) policy: Policy,
    #[serde(default)]
    pub(in crate::config) keyed: Keyed,
    pub(in crate::config) slow_start_ms: Option<u64>,
    pub(in crate::config) panic_percent: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Keyed {
    #[default]
    Rendezvous,
    Policy,
}

/// A name, or an object of a name and its options.
#[derive(Debug, Default)]
pub(in crate::config) struct Policy {
    pub(in crate::config) name: PolicyName,
    pub(in crate::config) options: PolicyOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum PolicyName {
    RoundRobin,
    #[default]
    SmoothWeightedRoundRobin,
    Random,
    WeightedRandom,
    LeastConnections,
    LeastResponseTime,
    IpHash,
    Maglev,
    RingHash,
    EnvoyRingHash,
    LoadBased,
    FailureBased,
    Rendezvous,
    ApprovalRate,
    LeastCost,
}

#[derive(Debug, Default)]
pub(in crate::config) struct PolicyOptions {
    pub(in crate::config) weights: Option<Weights>,
    pub(in crate::config) hash_by: Option<HashBy>,
    pub(in crate::config) table_size: Option<u64>,
    pub(in crate::config) bounded_load_percent: Option<u64>,
    pub(in crate::config) explore_percent: Option<u64>,
    pub(in crate::config) margin_bp: Option<u64>,
    pub(in crate::config) min_volume: Option<u64>,
}

/// The object. Not flattened into [`PolicyOptions`]: serde would no longer refuse unknown fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyObject {
    name: PolicyName,
    weights: Option<Weights>,
    hash_by: Option<HashBy>,
    table_size: Option<u64>,
    bounded_load_percent: Option<u64>,
    explore_percent: Option<u64>,
    margin_bp: Option<u64>,
    min_volume: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Weights {
    Configured,
    ReportedLoad,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HashBy {
    Tenant,
    Merchant,
    Bin,
    SourceIp,
    Key,
    Header(String),
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a policy, or an object with its name and options")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Policy, E> {
        let name = PolicyName::deserialize(StrDeserializer::new(name))?;
        Ok(Policy { name, options: PolicyOptions::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Policy, A::Error> {
        let PolicyObject {
            name,
            weights,
            hash_by,
            table_size,
            bounded_load_percent,
            explore_percent,
            margin_bp,
            min_volume,
        } = PolicyObject::deserialize(MapAccessDeserializer::new(map))?;
        let options = PolicyOptions {
            weights,
            hash_by,
            table_size,
            bounded_load_percent,
            explore_percent,
            margin_bp,
            min_volume,
        };
        Ok(Policy { name, options })
    }
}
