//! What the sample processor says about a BIN: made up, but always the same for the same digits.

use serde::Serialize;

/// Shortest and longest BIN that is answered, in digits.
const BIN_LEN: std::ops::RangeInclusive<usize> = 6..=11;
const COUNTRIES: [&str; 8] = ["DE", "FR", "GB", "US", "IN", "BR", "JP", "PL"];
const FUNDING: [&str; 3] = ["credit", "debit", "prepaid"];

/// The answer of `GET /v1/bins/{bin}`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct BinDetails {
    bin: String,
    scheme: &'static str,
    issuer_country: &'static str,
    funding: &'static str,
}

/// Describes `bin`, or nothing if it is not 6 to 11 digits.
pub(super) fn describe(bin: &str) -> Option<BinDetails> {
    if !BIN_LEN.contains(&bin.len()) || !bin.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The first six digits decide: a longer BIN of the same issuer gets the same answer.
    let sum: usize = bin.bytes().take(6).map(usize::from).sum();
    Some(BinDetails {
        bin: bin.to_owned(),
        scheme: scheme(bin),
        issuer_country: COUNTRIES[sum % COUNTRIES.len()],
        funding: FUNDING[sum % FUNDING.len()],
    })
}

/// The card scheme that the leading digits of `digits` belong to, roughly; `unknown` for a token or none.
pub(super) fn scheme(digits: &str) -> &'static str {
    match digits.as_bytes() {
        [b'4', ..] => "visa",
        [b'5', b'1'..=b'5', ..] | [b'2', b'2'..=b'7', ..] => "mastercard",
        [b'3', b'4' | b'7', ..] => "amex",
        [b'6', b'0' | b'5', ..] => "discover",
        [b'3', b'5', ..] => "jcb",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_digits_get_the_same_answer() {
        assert_eq!(describe("424242"), describe("424242"));
        assert_eq!(describe("424242").unwrap().scheme, "visa");
        assert_eq!(scheme("5555550000"), "mastercard");
        assert_eq!(scheme("tok_1"), "unknown");
    }

    #[test]
    fn what_is_no_bin_is_not_answered() {
        for bin in ["", "42424", "424242424242", "42424x", "４２４２４２"] {
            assert_eq!(describe(bin), None, "{bin}");
        }
    }
}
