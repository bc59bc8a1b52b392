//! Rules as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Pool;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rule {
    pub(in crate::config) name: String,
    #[serde(default)]
    pub(in crate::config) when: When,
    #[serde(rename = "use")]
    pub(in crate::config) pool: Pool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct When {
    pub(in crate::config) amount: Option<AmountRange>,
    pub(in crate::config) currency: Option<Vec<String>>,
    pub(in crate::config) bin_prefix: Option<Vec<String>>,
    pub(in crate::config) merchant: Option<Vec<String>>,
    pub(in crate::config) header: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AmountRange {
    pub(in crate::config) currency: String,
    pub(in crate::config) min: Option<u64>,
    pub(in crate::config) max: Option<u64>,
}
