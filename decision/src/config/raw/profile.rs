//! Where a charge's fields stand and how processors answer, as written.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Fields {
    pub(in crate::config) amount: Vec<String>,
    pub(in crate::config) currency: Vec<String>,
    #[serde(default)]
    pub(in crate::config) merchant: Vec<String>,
    #[serde(default)]
    pub(in crate::config) card_number: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Profile {
    pub(in crate::config) payment_id: Vec<String>,
    pub(in crate::config) status: Vec<String>,
    #[serde(default)]
    pub(in crate::config) code: Vec<String>,
    pub(in crate::config) approved: Vec<String>,
    #[serde(default)]
    pub(in crate::config) declined: Vec<String>,
    #[serde(default)]
    pub(in crate::config) pending: Vec<String>,
    #[serde(default)]
    pub(in crate::config) technical_codes: Vec<String>,
    pub(in crate::config) same_key: SameKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum SameKey {
    Replays,
    ChargesAgain,
}
