//! What is known of a card beside its first digits: scheme, issuer's country, funding.

use std::fmt;
use std::str::FromStr;

use super::Bin;

/// The card scheme that carries a payment. Response codes mean different things in different schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Visa and Visa Electron.
    Visa,
    /// Mastercard.
    Mastercard,
    /// Maestro.
    Maestro,
    /// American Express.
    Amex,
    /// Discover.
    Discover,
    /// Diners Club.
    Diners,
    /// JCB.
    Jcb,
    /// UnionPay.
    UnionPay,
    /// The French domestic scheme.
    CartesBancaires,
    /// The Brazilian domestic scheme.
    Elo,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 10] = [
        Self::Visa,
        Self::Mastercard,
        Self::Maestro,
        Self::Amex,
        Self::Discover,
        Self::Diners,
        Self::Jcb,
        Self::UnionPay,
        Self::CartesBancaires,
        Self::Elo,
    ];

    /// As written in configuration, metrics and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Maestro => "maestro",
            Self::Amex => "amex",
            Self::Discover => "discover",
            Self::Diners => "diners",
            Self::Jcb => "jcb",
            Self::UnionPay => "unionpay",
            Self::CartesBancaires => "cartes_bancaires",
            Self::Elo => "elo",
        }
    }

    /// The scheme a request or an answer names, in the spellings that processors use: `mc`, `Master Card`, `visa_electron`.
    /// None for a word that is not known.
    pub fn of_word(word: &str) -> Option<Self> {
        match plain(word).as_str() {
            "visa" | "visaelectron" | "visadebit" | "visacredit" | "electron" => Some(Self::Visa),
            "mastercard" | "mc" | "mastercarddebit" | "mastercardcredit" => Some(Self::Mastercard),
            "maestro" => Some(Self::Maestro),
            "amex" | "americanexpress" => Some(Self::Amex),
            "discover" => Some(Self::Discover),
            "diners" | "dinersclub" | "dinersclubinternational" | "discoverdiners" => Some(Self::Diners),
            "jcb" => Some(Self::Jcb),
            "unionpay" | "chinaunionpay" | "cup" => Some(Self::UnionPay),
            "cartesbancaires" | "cartebancaire" | "cb" => Some(Self::CartesBancaires),
            "elo" => Some(Self::Elo),
            _ => None,
        }
    }

    /// The scheme that owns a card range, by ISO/IEC 7812 major ranges. Co-badged and domestic schemes share ranges with
    /// international ones: for those a request has to say which it is.
    pub fn of_bin(bin: &Bin) -> Option<Self> {
        let digits = bin.digits().get(..6)?;
        let value = digits.iter().fold(0_u32, |n, d| n.wrapping_mul(10).wrapping_add(u32::from(d.wrapping_sub(b'0'))));
        match value {
            400_000..=499_999 => Some(Self::Visa),
            510_000..=559_999 | 222_100..=272_099 => Some(Self::Mastercard),
            340_000..=349_999 | 370_000..=379_999 => Some(Self::Amex),
            352_800..=358_999 => Some(Self::Jcb),
            300_000..=305_999 | 309_500..=309_599 | 360_000..=369_999 | 380_000..=399_999 => Some(Self::Diners),
            601_100..=601_199 | 644_000..=659_999 => Some(Self::Discover),
            620_000..=629_999 | 810_000..=817_199 => Some(Self::UnionPay),
            500_000..=509_999 | 560_000..=589_999 | 639_000..=639_999 | 670_000..=679_999 => Some(Self::Maestro),
            _ => None,
        }
    }
}

/// A country: two letters (ISO 3166-1), held in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// A country is two letters.
#[derive(Debug, thiserror::Error)]
#[error("a country is two letters")]
pub struct MalformedCountry;

impl FromStr for Country {
    type Err = MalformedCountry;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: [u8; 2] = text.as_bytes().try_into().map_err(|_| MalformedCountry)?;
        if code.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(code.map(|b| b.to_ascii_uppercase())))
        } else {
            Err(MalformedCountry)
        }
    }
}

impl Country {
    /// Its two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a card is funded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Funding {
    /// A credit or charge card.
    Credit,
    /// A debit card.
    Debit,
    /// A prepaid card.
    Prepaid,
}

impl Funding {
    /// Every kind of funding.
    pub const ALL: [Self; 3] = [Self::Credit, Self::Debit, Self::Prepaid];

    /// As written in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "credit",
            Self::Debit => "debit",
            Self::Prepaid => "prepaid",
        }
    }

    /// The funding a request names; none for a word that is not known.
    pub fn of_word(word: &str) -> Option<Self> {
        match plain(word).as_str() {
            "credit" | "charge" => Some(Self::Credit),
            "debit" | "deferreddebit" => Some(Self::Debit),
            "prepaid" => Some(Self::Prepaid),
            _ => None,
        }
    }
}

/// A word in lower case, without what separates its parts. Bounded: no word of ours is longer than 64 letters.
fn plain(word: &str) -> String {
    word.chars().take(64).filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_by_range() {
        for (number, want) in [
            ("4242424242424242", Some(Scheme::Visa)),
            ("5555555555554444", Some(Scheme::Mastercard)),
            ("2223003122003222", Some(Scheme::Mastercard)),
            ("378282246310005", Some(Scheme::Amex)),
            ("6011111111111117", Some(Scheme::Discover)),
            ("3530111333300000", Some(Scheme::Jcb)),
            ("30569309025904", Some(Scheme::Diners)),
            ("6200000000000005", Some(Scheme::UnionPay)),
            ("9999999999999999", None),
        ] {
            assert_eq!(Bin::of_card_number(number).as_ref().and_then(Scheme::of_bin), want);
        }
    }

    #[test]
    fn words_are_read_as_processors_write_them() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::of_word(scheme.as_str()), Some(scheme));
        }
        for funding in Funding::ALL {
            assert_eq!(Funding::of_word(funding.as_str()), Some(funding));
        }
        for (word, want) in [
            ("mc", Some(Scheme::Mastercard)),
            ("MASTER_CARD", Some(Scheme::Mastercard)),
            ("American Express", Some(Scheme::Amex)),
            ("china_union_pay", Some(Scheme::UnionPay)),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(Scheme::of_word(word), want, "{word}");
        }
        assert_eq!(Funding::of_word("DEFERRED_DEBIT"), Some(Funding::Debit));
        assert_eq!(Funding::of_word("unknown"), None);
    }

    #[test]
    fn countries_are_two_letters() {
        assert_eq!("de".parse::<Country>().unwrap().as_str(), "DE");
        for bad in ["", "d", "deu", "d1", "ßß"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
    }
}
