//! Bytes to [`Payment`], bounded; a card number does not survive it.

use super::amount::{self, AmountFormat};
use super::document::{Document, Encoding, Pointer, Scalar};
use super::{Bin, Currency, Funding, Payment, Scheme, holds_card_number};
use crate::reason::Reason;

/// Where a request's fields stand; the first pointer that leads to a scalar wins.
#[derive(Clone, Debug)]
pub struct Fields {
    /// How much.
    pub amount: Vec<Pointer>,
    /// How amounts are written.
    pub amount_format: AmountFormat,
    /// Three letters.
    pub currency: CurrencyAt,
    /// Optional.
    pub merchant: Vec<Pointer>,
    /// Optional; only its first digits are kept.
    pub card_number: Vec<Pointer>,
    /// Optional: 6 to 11 digits that the caller says; they win over those of a card number.
    pub bin: Vec<Pointer>,
    /// Optional; without it the card's range says.
    pub scheme: Vec<Pointer>,
    /// Optional: two letters.
    pub issuer_country: Vec<Pointer>,
    /// Optional.
    pub funding: Vec<Pointer>,
    /// Optional: a plain word of at most [`Payment::METHOD_LEN_MAX`] bytes.
    pub method: Vec<Pointer>,
}

/// Where a charge's currency is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurrencyAt {
    /// In the request.
    Request(Vec<Pointer>),
    /// Nowhere: the merchant's account has one.
    Fixed(Currency),
}

/// Reads a charge. A body whose amount or currency cannot be told is refused: what cannot be read cannot be routed
/// safely. What only chooses a route and is not understood is absent: the processor has the last word on it.
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

fn read(document: &Document<'_>, fields: &Fields) -> Result<Payment, Reason> {
    let find = |pointers: &[Pointer]| document.find(pointers).map_err(|_| Reason::FieldRepeated);
    let word = |pointers: &[Pointer]| {
        find(pointers).map(|found| match found {
            Some(Scalar::Text(text)) => Some(text),
            Some(Scalar::Number(_) | Scalar::Bool(_)) | None => None,
        })
    };

    let amount = find(&fields.amount)?.ok_or(Reason::AmountMissing)?;
    let currency: Currency = match &fields.currency {
        CurrencyAt::Fixed(currency) => *currency,
        CurrencyAt::Request(pointers) => match find(pointers)? {
            None => return Err(Reason::CurrencyMissing),
            Some(Scalar::Text(code)) => code.parse().map_err(|_| Reason::CurrencyMalformed)?,
            Some(Scalar::Number(_) | Scalar::Bool(_)) => return Err(Reason::CurrencyMalformed),
        },
    };
    let amount = amount::read(fields.amount_format, amount, currency)?;
    let merchant = match find(&fields.merchant)? {
        None => None,
        Some(Scalar::Text(name)) if name.len() <= Payment::MERCHANT_LEN_MAX => Some(name.to_owned()),
        Some(_) => return Err(Reason::MerchantMalformed),
    };
    // A card number that is not one is the processor's to refuse; here it only matches no BIN.
    let of_card = word(&fields.card_number)?.and_then(Bin::of_card_number);
    let said = match find(&fields.bin)? {
        Some(Scalar::Text(text)) => Bin::of_digits(text),
        Some(Scalar::Number(number)) => Bin::of_digits(&number.to_string()),
        Some(Scalar::Bool(_)) | None => None,
    };
    let bin = said.or(of_card);
    let scheme = word(&fields.scheme)?.and_then(Scheme::of_word);
    Ok(Payment {
        amount,
        merchant,
        bin,
        scheme: scheme.or_else(|| bin.as_ref().and_then(Scheme::of_bin)),
        issuer_country: word(&fields.issuer_country)?.and_then(|text| text.parse().ok()),
        funding: word(&fields.funding)?.and_then(Funding::of_word),
        method: word(&fields.method)?.filter(|text| is_method(text)).map(str::to_ascii_lowercase),
    })
}

fn is_method(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    (1..=Payment::METHOD_LEN_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pointers: &[&str]) -> Vec<Pointer> {
        pointers.iter().map(|p| Pointer::parse(p).unwrap()).collect()
    }

    fn fields() -> Fields {
        Fields {
            amount: at(&["/amount"]),
            amount_format: AmountFormat::Minor,
            currency: CurrencyAt::Request(at(&["/currency"])),
            merchant: at(&["/merchant"]),
            card_number: at(&["/card/number"]),
            bin: at(&["/bin", "/card/bin"]),
            scheme: at(&["/brand", "/card/brand"]),
            issuer_country: at(&["/country"]),
            funding: at(&["/funding"]),
            method: at(&["/method"]),
        }
    }

    #[test]
    fn optional_fields_that_are_not_understood_are_absent() {
        let read = |more: &str| {
            let body = format!(r#"{{"amount":1,"currency":"EUR",{more}}}"#);
            let payment = parse(Encoding::Json, body.as_bytes(), &fields()).unwrap();
            let bin = payment.bin.map(|bin| String::from_utf8_lossy(bin.digits()).into_owned());
            let (country, scheme) = (payment.issuer_country, payment.scheme.map(Scheme::as_str));
            format!("{bin:?} {scheme:?} {country:?} {:?} {:?}", payment.funding, payment.method)
        };
        for (more, want) in [
            (r#""x":1"#, "None None None None None"),
            (r#""card":{"number":"4242424242424242"}"#, r#"Some("42424242") Some("visa") None None None"#),
            (
                r#""bin":"42424242424","card":{"number":"5555555555554444"}"#,
                r#"Some("42424242424") Some("visa") None None None"#,
            ),
            (r#""bin":424242"#, r#"Some("424242") Some("visa") None None None"#),
            (
                r#""bin":"42424","card":{"number":"5555555555554444"}"#,
                r#"Some("55555555") Some("mastercard") None None None"#,
            ),
            (r#""bin":"424242424242""#, "None None None None None"),
            (
                r#""card":{"bin":"424242","brand":"cartes_bancaires"}"#,
                r#"Some("424242") Some("cartes_bancaires") None None None"#,
            ),
            (r#""brand":"nobody","bin":"424242""#, r#"Some("424242") Some("visa") None None None"#),
            (r#""country":"fr","funding":"DEBIT","method":"iDEAL""#, r#"None None Some(FR) Some(Debit) Some("ideal")"#),
            (r#""country":"france","funding":"gold","method":"a b""#, "None None None None None"),
            (r#""country":1,"funding":true,"method":[]"#, "None None None None None"),
        ] {
            assert_eq!(read(more), want, "{more}");
        }
    }

    #[test]
    fn a_currency_may_be_the_accounts() {
        let fixed = "EUR".parse().unwrap();
        let fields = Fields { currency: CurrencyAt::Fixed(fixed), amount_format: AmountFormat::Decimal, ..fields() };
        for (encoding, body) in
            [(Encoding::Json, r#"{"amount":"12.50","currency":"USD"}"#), (Encoding::Form, "amount=12.50")]
        {
            let payment = parse(encoding, body.as_bytes(), &fields).unwrap();
            assert_eq!((payment.amount.minor, payment.amount.currency), (1_250, fixed));
        }
    }
}
