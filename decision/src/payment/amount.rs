//! Amounts as requests write them: minor units, or a decimal number of the currency's unit.
//!
//! Exact: no arithmetic is done in floats. A JSON number with decimals reaches us as the nearest `f64`; the shortest
//! decimal that names it is the number as written if that had at most 15 significant digits (IEEE 754 binary64), and an
//! amount has no more. Digits beyond those are lost before we see them: of `12.3000000000000001` routing reads 12.3, and
//! the body goes on as written. `serde_json` could keep the text, but only for every user of it in the build.

use super::document::Scalar;
use super::{Amount, Currency};
use crate::reason::Reason;

/// How amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmountFormat {
    /// A whole number of cents, pence, yen: `1200`.
    #[default]
    Minor,
    /// A decimal number of euros, pounds, yen: `12.00`.
    Decimal,
}

/// Significant digits that an `f64` keeps of any decimal number.
const DIGITS_MAX: usize = 15;

pub(super) fn read(format: AmountFormat, scalar: Scalar<'_>, currency: Currency) -> Result<Amount, Reason> {
    let minor = match format {
        AmountFormat::Minor => match scalar {
            Scalar::Number(number) => number.as_u64(),
            Scalar::Text(text) if is_digits(text) && text.len() <= DIGITS_MAX => text.parse().ok(),
            Scalar::Text(_) | Scalar::Bool(_) => None,
        },
        AmountFormat::Decimal => {
            let exponent = exponent(currency).ok_or(Reason::CurrencyUnknown)?;
            match scalar {
                Scalar::Text(text) => decimal(text, exponent),
                Scalar::Number(number) => match (number.as_u64(), number.as_f64()) {
                    (Some(whole), _) => decimal(&whole.to_string(), exponent),
                    (None, Some(float)) => decimal(&float.to_string(), exponent),
                    (None, None) => None,
                },
                Scalar::Bool(_) => None,
            }
        }
    };
    let minor = minor.filter(|minor| *minor <= Amount::MINOR_MAX).ok_or(Reason::AmountMalformed)?;
    Ok(Amount { minor, currency })
}

/// `12.5` of a currency with two decimals is 1250; none for what is not a plain decimal number, or finer than the
/// currency. Zeros beyond its decimals are no finer.
fn decimal(text: &str, exponent: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(fraction) || text.len() > 2 * DIGITS_MAX {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > exponent || whole.trim_start_matches('0').len().saturating_add(exponent) > DIGITS_MAX {
        return None;
    }
    format!("{whole}{fraction:0<exponent$}").parse().ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Currencies by the number of their decimals: ISO 4217, active codes as of January 2026, without metals
/// and testing codes, which have no decimals.
const EXPONENTS: [(usize, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW \
         CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
         ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV \
         MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD \
         SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

fn exponent(currency: Currency) -> Option<usize> {
    let known = |codes: &str| codes.split_ascii_whitespace().any(|code| code.as_bytes() == currency.0);
    EXPONENTS.iter().find(|(_, codes)| known(codes)).map(|(exponent, _)| *exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(format: AmountFormat, json: &str, currency: &str) -> Result<u64, Reason> {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let scalar = match &value {
            serde_json::Value::String(text) => Scalar::Text(text),
            serde_json::Value::Number(number) => Scalar::Number(number),
            other => Scalar::Bool(other.as_bool().unwrap()),
        };
        read(format, scalar, currency.parse().unwrap()).map(|amount| amount.minor)
    }

    #[test]
    fn decimals_by_the_currencys_exponent() {
        let bad = Err(Reason::AmountMalformed);
        for (json, currency, want) in [
            (r#""12.00""#, "EUR", Ok(1_200)),
            (r#""12.5""#, "EUR", Ok(1_250)),
            (r#""12""#, "EUR", Ok(1_200)),
            (r#""0.1""#, "usd", Ok(10)),
            (r#""0""#, "USD", Ok(0)),
            (r#""007.10""#, "USD", Ok(710)),
            (r#""12.500000""#, "EUR", Ok(1_250)),
            (r#""12.005""#, "EUR", bad),
            (r#""100""#, "JPY", Ok(100)),
            (r#""100.00""#, "JPY", Ok(100)),
            (r#""100.5""#, "JPY", bad),
            (r#""1.234""#, "TND", Ok(1_234)),
            (r#""1.2""#, "KWD", Ok(1_200)),
            (r#""1.2345""#, "BHD", bad),
            (r#""1.2345""#, "CLF", Ok(12_345)),
            (r#""1.23456""#, "UYW", bad),
            // Numbers whose nearest float is not what was written, were it multiplied.
            ("1.15", "EUR", Ok(115)),
            ("4.35", "USD", Ok(435)),
            ("1.005", "TND", Ok(1_005)),
            ("0.07", "EUR", Ok(7)),
            ("70368744177.99", "EUR", Ok(7_036_874_417_799)),
            ("1e2", "EUR", Ok(10_000)),
            ("12", "EUR", Ok(1_200)),
            ("9999999999999.99", "EUR", Ok(999_999_999_999_999)),
            ("99999999999999.99", "EUR", bad),
            ("1e300", "EUR", bad),
            ("1e-7", "EUR", bad),
            ("-1.5", "EUR", bad),
            ("-1", "EUR", bad),
            (r#""""#, "EUR", bad),
            (r#"".5""#, "EUR", bad),
            (r#""5.""#, "EUR", bad),
            (r#""1,00""#, "EUR", bad),
            (r#""+1.00""#, "EUR", bad),
            (r#""1e2""#, "EUR", bad),
            (r#""1.0.0""#, "EUR", bad),
            ("true", "EUR", bad),
            (r#""1.00""#, "XXX", Err(Reason::CurrencyUnknown)),
            (r#""1""#, "XAU", Err(Reason::CurrencyUnknown)),
        ] {
            assert_eq!(read_json(AmountFormat::Decimal, json, currency), want, "{json} {currency}");
        }
    }

    #[test]
    fn minor_units_are_whole() {
        let bad = Err(Reason::AmountMalformed);
        for (json, want) in [
            ("1200", Ok(1_200)),
            (r#""1200""#, Ok(1_200)),
            ("12.0", bad),
            (r#""12.00""#, bad),
            (r#""+5""#, bad),
            ("999999999999999", Ok(999_999_999_999_999)),
            ("1000000000000000", bad),
            ("-1", bad),
        ] {
            assert_eq!(read_json(AmountFormat::Minor, json, "EUR"), want, "{json}");
        }
        // Minor units need no exponent.
        assert_eq!(read_json(AmountFormat::Minor, "5", "XXX"), Ok(5));
    }

    #[test]
    fn every_currency_stands_once() {
        let all: Vec<&str> = EXPONENTS.iter().flat_map(|(_, codes)| codes.split_ascii_whitespace()).collect();
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(once.len(), all.len());
        assert!(all.iter().all(|code| code.parse::<Currency>().is_ok()));
    }

    proptest::proptest! {
        /// Whatever is written with two decimals is read as that many cents, as a text and as a number.
        #[test]
        fn cents_are_exact(cents in 0_u64..=9_999_999_999_999) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            proptest::prop_assert_eq!(read_json(AmountFormat::Decimal, &text, "EUR"), Ok(cents));
            proptest::prop_assert_eq!(read_json(AmountFormat::Decimal, &format!("\"{text}\""), "EUR"), Ok(cents));
        }
    }
}
