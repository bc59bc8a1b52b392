//! Where a charge's fields stand and how processors answer, as written. Nearly everything is optional here, as a preset
//! may say it; what must be said in the end stands in [`super::super::build`].

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Fields {
    pub(in crate::config) preset: Option<String>,
    pub(in crate::config) amount: Option<Vec<String>>,
    pub(in crate::config) amount_format: Option<AmountFormat>,
    pub(in crate::config) currency: Option<Vec<String>>,
    pub(in crate::config) fixed_currency: Option<String>,
    pub(in crate::config) merchant: Option<Vec<String>>,
    pub(in crate::config) card_number: Option<Vec<String>>,
    pub(in crate::config) bin: Option<Vec<String>>,
    pub(in crate::config) scheme: Option<Vec<String>>,
    pub(in crate::config) issuer_country: Option<Vec<String>>,
    pub(in crate::config) funding: Option<Vec<String>>,
    pub(in crate::config) method: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AmountFormat {
    Minor,
    Decimal,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Profile {
    /// For people.
    #[serde(rename = "about")]
    pub(in crate::config) _about: Option<String>,
    pub(in crate::config) preset: Option<String>,
    pub(in crate::config) request: Option<Fields>,
    pub(in crate::config) answers: Option<Answers>,
    pub(in crate::config) payment_id: Option<Vec<String>>,
    pub(in crate::config) status: Option<Vec<String>>,
    pub(in crate::config) code: Option<Vec<String>>,
    pub(in crate::config) network_code: Option<Vec<String>>,
    pub(in crate::config) iso8583: Option<bool>,
    pub(in crate::config) advice_code: Option<Vec<String>>,
    pub(in crate::config) error_type: Option<Vec<String>>,
    pub(in crate::config) scheme: Option<Vec<String>>,
    pub(in crate::config) rules: Option<Vec<OutcomeRule>>,
    pub(in crate::config) approved: Option<Vec<String>>,
    pub(in crate::config) declined: Option<Vec<String>>,
    pub(in crate::config) pending: Option<Vec<String>>,
    pub(in crate::config) statuses: Option<BTreeMap<Meaning, Vec<String>>>,
    pub(in crate::config) codes: Option<BTreeMap<Meaning, Vec<String>>>,
    pub(in crate::config) technical_codes: Option<Vec<String>>,
    pub(in crate::config) same_key: Option<SameKey>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Answers {
    #[default]
    Json,
    Form,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OutcomeRule {
    #[serde(default)]
    pub(in crate::config) http: Vec<String>,
    #[serde(default)]
    pub(in crate::config) when: BTreeMap<String, Vec<String>>,
    pub(in crate::config) outcome: Meaning,
    pub(in crate::config) evidence: Option<Evidence>,
}

/// What a processor can say: an outcome, or a decline whose code tells how hard it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Meaning {
    Approved,
    Declined,
    DeclinedSoft,
    DeclinedHard,
    Pending,
    ActionRequired,
    InFlight,
    InvalidRequest,
    Misconfigured,
    RateLimited,
    Failed,
    IssuerFailed,
    TimedOut,
    Unclear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Evidence {
    NotProcessed,
    Processed,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum SameKey {
    Replays,
    ChargesAgain,
}

impl Profile {
    /// What is written here, and for the rest what `preset` says.
    pub(in crate::config) fn over(self, preset: Self) -> Self {
        Self {
            _about: self._about.or(preset._about),
            preset: self.preset,
            request: self.request.or(preset.request),
            answers: self.answers.or(preset.answers),
            payment_id: self.payment_id.or(preset.payment_id),
            status: self.status.or(preset.status),
            code: self.code.or(preset.code),
            network_code: self.network_code.or(preset.network_code),
            iso8583: self.iso8583.or(preset.iso8583),
            advice_code: self.advice_code.or(preset.advice_code),
            error_type: self.error_type.or(preset.error_type),
            scheme: self.scheme.or(preset.scheme),
            rules: self.rules.or(preset.rules),
            approved: self.approved.or(preset.approved),
            declined: self.declined.or(preset.declined),
            pending: self.pending.or(preset.pending),
            statuses: self.statuses.or(preset.statuses),
            codes: self.codes.or(preset.codes),
            technical_codes: self.technical_codes.or(preset.technical_codes),
            same_key: self.same_key.or(preset.same_key),
        }
    }
}

impl Fields {
    /// What is written here, and for the rest what `preset` says. A currency said in one way replaces the other.
    pub(in crate::config) fn over(self, preset: Self) -> Self {
        let says_currency = self.currency.is_some() || self.fixed_currency.is_some();
        let (currency, fixed_currency) =
            if says_currency { (self.currency, self.fixed_currency) } else { (preset.currency, preset.fixed_currency) };
        Self {
            preset: self.preset,
            amount: self.amount.or(preset.amount),
            amount_format: self.amount_format.or(preset.amount_format),
            currency,
            fixed_currency,
            merchant: self.merchant.or(preset.merchant),
            card_number: self.card_number.or(preset.card_number),
            bin: self.bin.or(preset.bin),
            scheme: self.scheme.or(preset.scheme),
            issuer_country: self.issuer_country.or(preset.issuer_country),
            funding: self.funding.or(preset.funding),
            method: self.method.or(preset.method),
        }
    }
}
