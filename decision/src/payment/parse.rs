//! Bytes to [`Payment`], bounded; a card number does not survive it.

use super::document::{Document, Encoding, Pointer, Scalar};
use super::{Amount, Bin, Currency, Payment, Scheme, holds_card_number};
use crate::reason::Reason;

/// Where a request's fields stand; the first pointer that leads to a scalar wins.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Minor units: a whole number, or its digits as text.
    pub amount: Vec<Pointer>,
    /// Three letters.
    pub currency: Vec<Pointer>,
    /// Optional.
    pub merchant: Vec<Pointer>,
    /// Optional; only its first digits are kept.
    pub card_number: Vec<Pointer>,
}

/// Reads a charge. A body whose amount or currency cannot be told is refused: what cannot be read cannot be routed
/// safely.
pub fn parse(encoding: Encoding, body: &[u8], fields: &Fields) -> Result<Payment, Reason> {
    parse_with(encoding, body, fields, &[]).map(|(payment, _)| payment)
}

/// As [`parse`], and the scalars under `more`, in that order, as text. One that holds a card number is absent.
pub fn parse_with(
    encoding: Encoding,
    body: &[u8],
    fields: &Fields,
    more: &[Pointer],
) -> Result<(Payment, Vec<Option<String>>), Reason> {
    if body.is_empty() {
        return Err(Reason::BodyMissing);
    }
    let document = Document::parse(encoding, body).ok_or(Reason::BodyMalformed)?;
    let payment = read(&document, fields)?;
    let value = |pointer| {
        let found = document.find(std::slice::from_ref(pointer)).map_err(|_| Reason::FieldRepeated)?;
        let text = found.map(|scalar| match scalar {
            Scalar::Text(text) => text.to_owned(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Bool(flag) => flag.to_string(),
        });
        Ok(text.filter(|text| !holds_card_number(text.as_bytes())))
    };
    Ok((payment, more.iter().map(value).collect::<Result<_, Reason>>()?))
}

fn read(document: &Document, fields: &Fields) -> Result<Payment, Reason> {
    let find = |pointers: &[Pointer]| document.find(pointers).map_err(|_| Reason::FieldRepeated);

    let minor = match find(&fields.amount)? {
        None => return Err(Reason::AmountMissing),
        Some(Scalar::Number(number)) => number.as_u64(),
        Some(Scalar::Text(digits)) => digits_only(digits),
        Some(Scalar::Bool(_)) => None,
    };
    let minor = minor.filter(|m| *m <= Amount::MINOR_MAX).ok_or(Reason::AmountMalformed)?;
    let currency: Currency = match find(&fields.currency)? {
        None => return Err(Reason::CurrencyMissing),
        Some(Scalar::Text(code)) => code.parse().map_err(|_| Reason::CurrencyMalformed)?,
        Some(Scalar::Number(_) | Scalar::Bool(_)) => return Err(Reason::CurrencyMalformed),
    };
    let merchant = match find(&fields.merchant)? {
        None => None,
        Some(Scalar::Text(name)) if name.len() <= Payment::MERCHANT_LEN_MAX => Some(name.to_owned()),
        Some(_) => return Err(Reason::MerchantMalformed),
    };
    // A card number that is not one is the processor's to refuse; here it only matches no BIN.
    let bin = match find(&fields.card_number)? {
        Some(Scalar::Text(number)) => Bin::of_card_number(number),
        Some(Scalar::Number(_) | Scalar::Bool(_)) | None => None,
    };
    Ok(Payment {
        amount: Amount { minor, currency },
        merchant,
        bin,
        scheme: bin.as_ref().and_then(Scheme::of_bin),
        issuer_country: None,
        funding: None,
        method: None,
    })
}

/// 1 to 15 digits and nothing else: `str::parse` alone would take a leading `+`.
fn digits_only(text: &str) -> Option<u64> {
    let plain = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
