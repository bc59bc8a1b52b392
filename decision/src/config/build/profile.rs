//! Where a charge's fields stand, and how processors answer.

use std::collections::BTreeSet;

use super::values::pointers;
use super::{Result, wrong};
use crate::config::{Presence, SameKey, raw};
use crate::payment::{Fields, Profile};

pub(super) fn fields(raw: &raw::Fields) -> Result<Fields> {
    Ok(Fields {
        amount: pointers("fields.amount", &raw.amount, Presence::Required)?,
        currency: pointers("fields.currency", &raw.currency, Presence::Required)?,
        merchant: pointers("fields.merchant", &raw.merchant, Presence::Optional)?,
        card_number: pointers("fields.card_number", &raw.card_number, Presence::Optional)?,
    })
}

pub(super) fn read(path: &str, raw: raw::Profile) -> Result<(Profile, SameKey)> {
    let words = |field: &str, words: Vec<String>, presence| {
        if presence == Presence::Required && words.is_empty() {
            return wrong(format!("{path}.{field}"), "at least one value");
        }
        Ok(words.into_iter().collect::<BTreeSet<_>>())
    };
    let profile = Profile {
        payment_id: pointers(&format!("{path}.payment_id"), &raw.payment_id, Presence::Required)?,
        status: pointers(&format!("{path}.status"), &raw.status, Presence::Required)?,
        code: pointers(&format!("{path}.code"), &raw.code, Presence::Optional)?,
        approved: words("approved", raw.approved, Presence::Required)?,
        declined: words("declined", raw.declined, Presence::Optional)?,
        pending: words("pending", raw.pending, Presence::Optional)?,
        technical: words("technical_codes", raw.technical_codes, Presence::Optional)?,
    };
    let Profile { approved, declined, pending, .. } = &profile;
    let twice = approved.intersection(declined).chain(approved.intersection(pending));
    if let Some(status) = twice.chain(declined.intersection(pending)).next() {
        return wrong(path, format!("status {status:?} stands in two of approved, declined and pending"));
    }
    let same_key = match raw.same_key {
        raw::SameKey::Replays => SameKey::Replays,
        raw::SameKey::ChargesAgain => SameKey::ChargesAgain,
    };
    Ok((profile, same_key))
}
