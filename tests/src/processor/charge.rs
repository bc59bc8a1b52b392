//! The body of a charge, as JSON or as a form.

use serde::Deserialize;

use super::bins;

/// A charge as it was asked for. The card number is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// In minor units, at least 1.
    pub(super) amount: u64,
    /// Three upper-case letters.
    pub(super) currency: String,
    /// Scheme of the card, told from its number; `unknown` for a token.
    pub(super) network: &'static str,
}

/// Why a charge could not be read; the text never quotes the body, which holds a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChargeError {
    #[error("the body is not the JSON of a payment")]
    Json,
    #[error("the form lacks a field of a payment, or an amount is not a number")]
    Form,
    #[error("the content type is neither application/json nor application/x-www-form-urlencoded")]
    ContentType,
    #[error("amount must be a whole number of minor units above 0")]
    Amount,
    #[error("currency must be three upper-case letters")]
    Currency,
    #[error("source must hold exactly one of number (12 to 19 digits) and token")]
    Source,
}

// `merchant` and `reference` are taken and not looked at.
#[derive(Deserialize)]
struct Raw {
    amount: u64,
    currency: String,
    source: RawSource,
}

#[derive(Default, Deserialize)]
struct RawSource {
    number: Option<String>,
    token: Option<String>,
}

/// Reads a charge from `body`; `content_type` decides how (parameters such as `charset` are ignored).
pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Charge, ChargeError> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let raw = match media_type.to_ascii_lowercase().as_str() {
        "application/json" => serde_json::from_slice(body).map_err(|_| ChargeError::Json)?,
        "application/x-www-form-urlencoded" => from_form(body).ok_or(ChargeError::Form)?,
        _ => return Err(ChargeError::ContentType),
    };
    check(raw)
}

fn from_form(body: &[u8]) -> Option<Raw> {
    let (mut amount, mut currency) = (None, None);
    let mut source = RawSource::default();
    for (name, value) in form_urlencoded::parse(body) {
        let slot = match &*name {
            "amount" => &mut amount,
            "currency" => &mut currency,
            "source[number]" => &mut source.number,
            "source[token]" => &mut source.token,
            _ => continue,
        };
        *slot = Some(value.into_owned());
    }
    Some(Raw { amount: amount?.parse().ok()?, currency: currency?, source })
}

fn check(raw: Raw) -> Result<Charge, ChargeError> {
    if raw.amount == 0 {
        return Err(ChargeError::Amount);
    }
    if raw.currency.len() != 3 || !raw.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(ChargeError::Currency);
    }
    let network = match (raw.source.number, raw.source.token) {
        (Some(number), None) if (12..=19).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) => {
            bins::scheme(&number)
        }
        (None, Some(token)) if !token.is_empty() => "unknown",
        _ => return Err(ChargeError::Source),
    };
    Ok(Charge { amount: raw.amount, currency: raw.currency, network })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn both_shapes_say_the_same() {
        let json = br#"{"amount":1200,"currency":"EUR","merchant":"m","reference":"r","source":{"number":"4242424242424242"}}"#;
        let form = b"amount=1200&currency=EUR&merchant=m&reference=r&source%5Bnumber%5D=4242424242424242";
        let charge = parse(JSON, json).unwrap();
        assert_eq!(parse(FORM, form), Ok(charge.clone()));
        assert_eq!((charge.amount, charge.network), (1200, "visa"));
    }

    #[test]
    fn an_unreadable_charge_is_told_apart_by_what_is_wrong() {
        let with = |amount: &str, currency: &str, source: &str| {
            format!(r#"{{"amount":{amount},"currency":"{currency}","merchant":"m","reference":"r","source":{source}}}"#)
        };
        let token = r#"{"token":"tok_1"}"#;
        for (content_type, body, error) in [
            (JSON, "{".to_owned(), ChargeError::Json),
            (JSON, with("1.5", "EUR", token), ChargeError::Json),
            (JSON, with("0", "EUR", token), ChargeError::Amount),
            (JSON, with("1", "eur", token), ChargeError::Currency),
            (JSON, with("1", "EUR", "{}"), ChargeError::Source),
            (JSON, with("1", "EUR", r#"{"number":"4242","token":"t"}"#), ChargeError::Source),
            (FORM, "amount=1".to_owned(), ChargeError::Form),
            ("text/plain", String::new(), ChargeError::ContentType),
        ] {
            assert_eq!(parse(content_type, body.as_bytes()), Err(error), "{body}");
        }
        assert!(parse(JSON, with("1", "EUR", token).as_bytes()).is_ok());
    }
}
