//! Where a charge's fields stand, and how processors answer.

use std::collections::{BTreeMap, BTreeSet};

use super::values::{currency, pointers, some};
use super::{Result, wrong};
use crate::config::{ConfigError, Presence, SameKey, defaults, presets, raw};
use crate::payment::{
    AmountFormat, Codes, CurrencyAt, Encoding, Evidence, Field, Fields, HttpRange, Meaning, NetworkCodes, Outcome,
    OutcomeRule, Pattern, Place, Pointer, Profile,
};

pub(super) fn fields(path: &str, raw: raw::Fields) -> Result<Fields> {
    let raw = match &raw.preset {
        Some(name) => {
            let preset = preset(&format!("{path}.preset"), name)?;
            raw.over(preset.request.unwrap_or_default())
        }
        None => raw,
    };
    let list = |field: &str, given: &Option<Vec<String>>, presence| {
        pointers(&format!("{path}.{field}"), given.as_deref().unwrap_or_default(), presence)
    };
    let optional = |field: &str, given: &Option<Vec<String>>| list(field, given, Presence::Optional);
    let currency = match (&raw.currency, &raw.fixed_currency) {
        (Some(_), Some(_)) => return wrong(format!("{path}.fixed_currency"), "either this or currency"),
        (given, None) => CurrencyAt::Request(list("currency", given, Presence::Required)?),
        (None, Some(code)) => CurrencyAt::Fixed(currency(&format!("{path}.fixed_currency"), code)?),
    };
    Ok(Fields {
        amount: list("amount", &raw.amount, Presence::Required)?,
        amount_format: match raw.amount_format {
            Some(raw::AmountFormat::Decimal) => AmountFormat::Decimal,
            Some(raw::AmountFormat::Minor) | None => AmountFormat::Minor,
        },
        currency,
        merchant: optional("merchant", &raw.merchant)?,
        card_number: optional("card_number", &raw.card_number)?,
        bin: optional("bin", &raw.bin)?,
        scheme: optional("scheme", &raw.scheme)?,
        issuer_country: optional("issuer_country", &raw.issuer_country)?,
        funding: optional("funding", &raw.funding)?,
        method: optional("method", &raw.method)?,
    })
}

pub(super) fn read(path: &str, raw: raw::Profile) -> Result<(Profile, SameKey)> {
    let raw = match &raw.preset {
        Some(name) => {
            let preset = preset(&format!("{path}.preset"), name)?;
            raw.over(preset)
        }
        None => raw,
    };
    if let Some(request) = raw.request.clone() {
        // Of use to whoever takes the file as a preset; here it is held to be readable.
        fields(&format!("{path}.request"), request)?;
    }
    let list = |field: &str, given: &Option<Vec<String>>, presence| {
        pointers(&format!("{path}.{field}"), given.as_deref().unwrap_or_default(), presence)
    };
    let network_code = list("network_code", &raw.network_code, Presence::Optional)?;
    let network_codes = match raw.iso8583 {
        Some(true) if network_code.is_empty() => {
            return wrong(format!("{path}.iso8583"), "needs network_code: where the scheme's code stands");
        }
        Some(true) => NetworkCodes::Iso8583,
        Some(false) | None => NetworkCodes::Own,
    };
    let Some(same_key) = raw.same_key else {
        return wrong(format!("{path}.same_key"), "replays or charges_again");
    };
    let rules = raw.rules.unwrap_or_default();
    if rules.len() > defaults::OUTCOME_RULES_MAX {
        return wrong(format!("{path}.rules"), format!("at most {} rules", defaults::OUTCOME_RULES_MAX));
    }
    let rules = rules.into_iter().enumerate().map(|(i, rule)| outcome_rule(&format!("{path}.rules[{i}]"), rule));
    let profile = Profile {
        encoding: match raw.answers {
            Some(raw::Answers::Form) => Encoding::Form,
            Some(raw::Answers::Json) | None => Encoding::Json,
        },
        payment_id: list("payment_id", &raw.payment_id, Presence::Required)?,
        status: list("status", &raw.status, Presence::Required)?,
        code: list("code", &raw.code, Presence::Optional)?,
        network_code,
        network_codes,
        advice_code: list("advice_code", &raw.advice_code, Presence::Optional)?,
        error_type: list("error_type", &raw.error_type, Presence::Optional)?,
        scheme: list("scheme", &raw.scheme, Presence::Optional)?,
        rules: rules.collect::<Result<_>>()?,
        statuses: statuses(path, [raw.approved, raw.declined, raw.pending], raw.statuses)?,
        codes: codes(&format!("{path}.codes"), raw.codes.unwrap_or_default())?,
        technical: raw.technical_codes.unwrap_or_default().into_iter().collect::<BTreeSet<_>>(),
    };
    Ok((
        profile,
        match same_key {
            raw::SameKey::Replays => SameKey::Replays,
            raw::SameKey::ChargesAgain => SameKey::ChargesAgain,
        },
    ))
}

fn preset(path: &str, name: &str) -> Result<raw::Profile> {
    presets::load(name).map_err(|message| ConfigError { path: path.to_owned(), message })
}

/// Every word of status, once.
fn statuses(
    path: &str,
    [approved, declined, pending]: [Option<Vec<String>>; 3],
    more: Option<BTreeMap<raw::Meaning, Vec<String>>>,
) -> Result<BTreeMap<String, Meaning>> {
    let approved = approved.unwrap_or_default();
    some(&format!("{path}.approved"), &approved)?;
    let three = [
        (raw::Meaning::Approved, approved),
        (raw::Meaning::Declined, declined.unwrap_or_default()),
        (raw::Meaning::Pending, pending.unwrap_or_default()),
    ];
    let mut all = BTreeMap::new();
    for (meaning, words) in three.into_iter().chain(more.unwrap_or_default()) {
        for word in words {
            let meaning = meaning_of(meaning);
            if all.get(&word).is_some_and(|there| *there != meaning) {
                return wrong(
                    path,
                    format!("status {word:?} stands in two of approved, declined, pending and statuses"),
                );
            }
            all.insert(word, meaning);
        }
    }
    Ok(all)
}

fn codes(path: &str, raw: BTreeMap<raw::Meaning, Vec<String>>) -> Result<Codes> {
    let mut all = Codes::default();
    for (meaning, codes) in raw {
        for code in codes {
            let meaning = meaning_of(meaning);
            let before = match Pattern::parse(&code) {
                Pattern::Exact(exact) => all.exact.insert(exact, meaning),
                Pattern::Prefix(prefix) => all.prefixes.insert(prefix, meaning),
            };
            if before.is_some_and(|before| before != meaning) {
                return wrong(path, format!("code {code:?} has two meanings"));
            }
        }
    }
    Ok(all)
}

fn outcome_rule(path: &str, raw: raw::OutcomeRule) -> Result<OutcomeRule> {
    if raw.http.is_empty() && raw.when.is_empty() {
        return wrong(path, "http or when: without either it always holds");
    }
    let http = raw.http.iter().enumerate().map(|(i, text)| match http_range(text) {
        Some(range) => Ok(range),
        None => wrong(format!("{path}.http[{i}]"), "a status such as 422, a class such as 4xx, or 500-504"),
    });
    let mut when = Vec::new();
    for (place, values) in raw.when {
        let path = format!("{path}.when.{place}");
        some(&path, &values)?;
        when.push((place_of(&path, &place)?, values.iter().map(|value| Pattern::parse(value)).collect()));
    }
    let meaning = meaning_of(raw.outcome);
    let evidence = raw.evidence.map(|evidence| match evidence {
        raw::Evidence::NotProcessed => Evidence::NotProcessed,
        raw::Evidence::Processed => Evidence::Processed,
        raw::Evidence::Unknown => Evidence::Unknown,
    });
    let holds_it = matches!(
        meaning,
        Meaning::Is(Outcome::Approved | Outcome::Pending | Outcome::ActionRequired | Outcome::InFlight)
    );
    if holds_it && evidence == Some(Evidence::NotProcessed) {
        return wrong(format!("{path}.evidence"), "the outcome says that the processor has the payment");
    }
    Ok(OutcomeRule { http: http.collect::<Result<_>>()?, when, meaning, evidence })
}

fn http_range(text: &str) -> Option<HttpRange> {
    let status = |text: &str| text.parse::<u16>().ok().filter(|s| text.len() == 3 && (200..=599).contains(s));
    if let Some(class) = text.strip_suffix("xx") {
        let first = status(&format!("{class}00"))?;
        return Some(HttpRange { first, last: first.saturating_add(99) });
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(HttpRange { first, last })
}

fn place_of(path: &str, place: &str) -> Result<Place> {
    let field = match place {
        "status" => Field::Status,
        "code" => Field::Code,
        "network_code" => Field::NetworkCode,
        "advice_code" => Field::AdviceCode,
        "error_type" => Field::ErrorType,
        pointer => {
            return match Pointer::parse(pointer) {
                Ok(pointer) => Ok(Place::At(pointer)),
                Err(_) => wrong(path, "a JSON pointer, or status, code, network_code, advice_code, error_type"),
            };
        }
    };
    Ok(Place::Of(field))
}

fn meaning_of(raw: raw::Meaning) -> Meaning {
    let outcome = match raw {
        raw::Meaning::Declined => return Meaning::Declined,
        raw::Meaning::Approved => Outcome::Approved,
        raw::Meaning::DeclinedSoft => Outcome::DeclinedSoft,
        raw::Meaning::DeclinedHard => Outcome::DeclinedHard,
        raw::Meaning::Pending => Outcome::Pending,
        raw::Meaning::ActionRequired => Outcome::ActionRequired,
        raw::Meaning::InFlight => Outcome::InFlight,
        raw::Meaning::InvalidRequest => Outcome::InvalidRequest,
        raw::Meaning::Misconfigured => Outcome::Misconfigured,
        raw::Meaning::RateLimited => Outcome::RateLimited,
        raw::Meaning::Failed => Outcome::Failed,
        raw::Meaning::IssuerFailed => Outcome::IssuerFailed,
        raw::Meaning::TimedOut => Outcome::TimedOut,
        raw::Meaning::Unclear => Outcome::Unclear,
    };
    Meaning::Is(outcome)
}
