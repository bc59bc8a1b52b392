//! What a payment request says, and what its answer means.

mod amount;
mod card;
mod card_number;
mod document;
mod evidence;
pub mod field39;
mod idempotency_key;
mod json;
mod local_reply;
mod outcome;
mod parse;
mod profile;
mod reading;

pub use amount::AmountFormat;
pub use card::{Country, Funding, MalformedCountry, Scheme};
pub use card_number::holds_card_number;
pub use document::{Document, Encoding, Pointer, RepeatedField};
pub use evidence::{Evidence, Spoke};
pub use idempotency_key::{IdempotencyKey, MalformedIdempotencyKey};
pub use local_reply::{ProxyReply, Why};
pub use outcome::Outcome;
pub use parse::{CurrencyAt, Fields, parse, parse_with};
pub use profile::{Codes, Field, HttpRange, Meaning, NetworkCodes, OutcomeRule, Pattern, Place, Profile};
pub use reading::{Answer, Asked, Reading};

use std::fmt;
use std::str::FromStr;

/// A currency code: three letters (ISO 4217), held in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// A currency is three letters.
#[derive(Debug, thiserror::Error)]
#[error("a currency is three letters")]
pub struct MalformedCurrency;

impl FromStr for Currency {
    type Err = MalformedCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| MalformedCurrency)?;
        if code.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(code.map(|b| b.to_ascii_uppercase())))
        } else {
            Err(MalformedCurrency)
        }
    }
}

impl Currency {
    /// Its three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Money, in the minor unit of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Cents, pence, yen: 0 to [`Amount::MINOR_MAX`]. Zero verifies a card.
    pub minor: u64,
    /// Of which currency.
    pub currency: Currency,
}

impl Amount {
    /// 15 digits: exact in every JSON reader, and more than any card payment.
    pub const MINOR_MAX: u64 = 999_999_999_999_999;
}

/// The leading digits of a card number: of one that was read at most 8, which is all of it that survives; of one that
/// the caller names 6 to 11, an account range without a card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// ASCII; zero bytes beyond `len`, so that nothing else of a card number stays.
    digits: [u8; Bin::LEN_MAX],
    len: u8,
}

impl Bin {
    /// The shortest, in digits (ISO/IEC 7812-1 before 2017).
    pub const LEN_MIN: usize = 6;
    /// The longest, in digits: Mastercard's account ranges.
    pub const LEN_MAX: usize = 11;

    /// A BIN as a caller names it: 6 to 11 digits and nothing else.
    pub fn of_digits(text: &str) -> Option<Self> {
        let wanted = (Self::LEN_MIN..=Self::LEN_MAX).contains(&text.len());
        if wanted && text.bytes().all(|b| b.is_ascii_digit()) {
            Self::leading(text.as_bytes(), text.len())
        } else {
            None
        }
    }

    fn leading(digits: &[u8], len: usize) -> Option<Self> {
        let mut kept = [0; Self::LEN_MAX];
        kept.get_mut(..len)?.copy_from_slice(digits.get(..len)?);
        Some(Self { digits: kept, len: u8::try_from(len).ok()? })
    }

    /// The BIN of a card number: 8 digits of one with 16 or more, else 6 (PCI DSS 3.4.1 and its FAQ 1091). None for
    /// anything that is not 12 to 19 digits; spaces and hyphens between them are tolerated.
    pub fn of_card_number(text: &str) -> Option<Self> {
        let mut digits = [0_u8; 8];
        let mut count = 0_usize;
        for byte in text.bytes().filter(|b| !matches!(b, b' ' | b'-')) {
            if !byte.is_ascii_digit() {
                return None;
            }
            if let Some(place) = digits.get_mut(count).filter(|_| count < 8) {
                *place = byte;
            }
            count = count.saturating_add(1);
        }
        match count {
            12..=15 => Self::leading(&digits, 6),
            16..=19 => Self::leading(&digits, 8),
            _ => None,
        }
    }

    /// Its digits, as ASCII.
    pub fn digits(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.digits()))
    }
}

/// A charge, as far as routing needs it. No card number, no CVV, no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// How much.
    pub amount: Amount,
    /// For whom; at most [`Payment::MERCHANT_LEN_MAX`] bytes.
    pub merchant: Option<String>,
    /// By which range of cards; none for tokens and wallets.
    pub bin: Option<Bin>,
    /// By which scheme: as the request says, else by the card's range.
    pub scheme: Option<Scheme>,
    /// From an issuer of which country, where the request says.
    pub issuer_country: Option<Country>,
    /// How the card is funded, where the request says.
    pub funding: Option<Funding>,
    /// By which method, such as `card` or `ideal`, in lower case, where the request says.
    pub method: Option<String>,
}

impl Payment {
    /// The longest merchant name, in bytes.
    pub const MERCHANT_LEN_MAX: usize = 128;
    /// The longest name of a method, in bytes.
    pub const METHOD_LEN_MAX: usize = 32;
}
