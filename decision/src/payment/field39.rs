//! Response codes of the card schemes: ISO 8583, field 39, and Mastercard's advice codes beside them.
//!
//! One code means different things in different schemes (16, 70, 76 to 85, 87 and others), so the table is keyed by
//! both. Edition: Visa's categories as of April 2026 with the changes of 25 October 2026 (57 says again that the card may
//! not do this); Mastercard, ISO and CB codes as acquirers published them by October 2026. A code that no row names is a
//! soft decline: it is a no, and retrying it is nobody's business here.

use super::card::Scheme;
use super::outcome::Outcome;

/// What a response code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Money reserved or taken.
    Approved,
    /// A part of it.
    Partial,
    /// No reason to decline: an approval of a card's verification, and nothing certain of a purchase.
    NoReason,
    /// This credential will never be approved.
    Hard,
    /// It needs other data: a date, a PIN, the customer's authentication.
    Fix,
    /// The issuer says not now, or does not say why.
    Soft,
    /// The merchant's, terminal's or acquirer's set-up.
    Config,
    /// The processor or the network failed; not approved.
    Technical,
    /// The issuer, or the way to it, is down.
    Issuer,
    /// The outcome is not known, or two schemes mean different things by the code.
    Ambiguous,
    /// The advice code beside it says.
    ByAdvice,
}

impl Class {
    /// What it means of a charge.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Approved | Self::Partial => Outcome::Approved,
            Self::Hard => Outcome::DeclinedHard,
            Self::Fix | Self::Soft | Self::ByAdvice => Outcome::DeclinedSoft,
            Self::Config => Outcome::Misconfigured,
            Self::Technical => Outcome::Failed,
            Self::Issuer => Outcome::IssuerFailed,
            Self::NoReason | Self::Ambiguous => Outcome::Unclear,
        }
    }
}

/// What the charge was for, as far as a response code's meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A zero amount verifies a card.
    Verification,
    /// Anything else, or not known.
    Purchase,
}

/// A response code as the schemes write it: two letters or digits, in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code([u8; 2]);

impl Code {
    /// Reads a code: `05`, `5`, `1a`, or with words after it as in `05 : Do not honor`. None for anything longer, such as
    /// the three digits of some schemes' own lists.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim().split([' ', ':']).next().unwrap_or_default();
        let code = match word.as_bytes() {
            [one] if one.is_ascii_digit() => [b'0', *one],
            [first, second] => [first.to_ascii_uppercase(), second.to_ascii_uppercase()],
            _ => return None,
        };
        code.iter().all(u8::is_ascii_alphanumeric).then_some(Self(code))
    }
}

/// Whose code a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Every scheme's.
    All,
    /// Mastercard's, with Maestro.
    M,
    /// Visa's.
    V,
    /// Every scheme's but Mastercard's.
    NotM,
}

impl Of {
    fn is_about(self, scheme: Scheme) -> bool {
        let mastercard = matches!(scheme, Scheme::Mastercard | Scheme::Maestro);
        match self {
            Self::All => true,
            Self::M => mastercard,
            Self::V => scheme == Scheme::Visa,
            Self::NotM => !mastercard,
        }
    }
}

use Class::{Ambiguous, Approved, ByAdvice, Config, Fix, Hard, Issuer, NoReason, Partial, Soft, Technical};
use Of::{All, M, NotM, V};

/// Every code, by what it means. Codes of a row are separated by spaces.
const TABLE: [(Of, &str, Class); 21] = [
    (All, "00 08 11", Approved),
    (All, "10", Partial),
    (M, "87", Partial),
    (All, "85", NoReason),
    // Pick-up, lost, stolen, closed, not permitted, orders to stop, no such card or issuer.
    (All, "04 07 12 14 15 17 33 34 35 36 37 38 41 43 46 56 57 R0 R1 R3", Hard),
    (M, "76 77 78", Hard),
    // Amount, PIN, date, security data, authentication.
    (All, "13 54 55 63 89 1A 6P A0 A1 C0 C1 N7 P2 P5 P6 Q1", Fix),
    (V, "70 82", Fix),
    // Refer, do not honor, re-enter, funds and accounts, limits, fraud suspected, tries, law.
    (All, "01 02 05 19 39 51 52 53 59 61 62 65 75 86 93 5C 9G N3 N4 N5 N8 Z1 Z5", Soft),
    (M, "70 72", Soft),
    (V, "78 83", Soft),
    // Merchant, format, bank, function, terminal, surcharge.
    (All, "03 30 31 40 58 B1 B2 R2", Config),
    (M, "81 84", Config),
    (All, "06 20 21 22 25 28 80 88 90 95 96 N0 Z3", Technical),
    (V, "81", Technical),
    (M, "1Z", Technical),
    (All, "91 92", Issuer),
    // In progress, approved or no funds by whose list, too late, duplicate of one that may be approved.
    (All, "09 16 68 94", Ambiguous),
    (NotM, "76 77", Ambiguous),
    (V, "79", Ambiguous),
    (M, "79 82 83", ByAdvice),
];

/// Mastercard's advice codes, by what they make of a decline. The informational ones (40, 41, 43) say nothing here.
const ADVICE: [(&str, Class); 4] =
    [("01", Fix), ("02 05 24 25 26 27 28 29 30", Soft), ("03 21 42 99", Hard), ("04 22", Config)];

/// What a code means. `scheme` is the card's, where it is known; `advice` the scheme's own advice code, not one that a
/// processor made of it.
pub fn read(scheme: Option<Scheme>, code: Code, advice: Option<Code>, purpose: Purpose) -> Class {
    match plain(scheme, code) {
        NoReason if purpose == Purpose::Verification => Approved,
        ByAdvice => advised(advice).unwrap_or(Soft),
        // "Do not try again", and "the customer cancelled it", close every decline.
        Soft if scheme.is_some_and(|s| M.is_about(s)) && advised(advice) == Some(Hard) => Hard,
        class => class,
    }
}

/// Has any scheme such a code?
pub fn is_known(code: Code) -> bool {
    TABLE.iter().any(|(_, codes, _)| holds(codes, code))
}

/// The meaning of a code by itself. Where the scheme is not known and the meanings lead to different outcomes, the code
/// is ambiguous.
fn plain(scheme: Option<Scheme>, code: Code) -> Class {
    let mut rows = TABLE.iter().filter(|(_, codes, _)| holds(codes, code));
    let Some(scheme) = scheme else {
        let mut seen = rows.map(|(of, _, class)| (*of, *class));
        let Some((of, first)) = seen.next() else { return Soft };
        if of == All {
            return first;
        }
        let (mut agree, mut others) = (true, true);
        for (of, class) in seen {
            agree &= class.outcome() == first.outcome();
            others &= of != NotM;
        }
        // Schemes without a row of their own decline by it.
        let agree = agree && (!others || Soft.outcome() == first.outcome());
        return if agree { first } else { Ambiguous };
    };
    rows.find(|(of, _, _)| of.is_about(scheme)).map_or(Soft, |(_, _, class)| *class)
}

fn advised(advice: Option<Code>) -> Option<Class> {
    let advice = advice?;
    ADVICE.iter().find(|(codes, _)| holds(codes, advice)).map(|(_, class)| *class)
}

fn holds(codes: &str, code: Code) -> bool {
    codes.split(' ').any(|one| one.as_bytes() == code.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Verdict;

    fn of(scheme: Option<Scheme>, code: &str) -> Class {
        read(scheme, Code::parse(code).unwrap(), None, Purpose::Purchase)
    }

    const VISA: Option<Scheme> = Some(Scheme::Visa);
    const MASTERCARD: Option<Scheme> = Some(Scheme::Mastercard);
    const AMEX: Option<Scheme> = Some(Scheme::Amex);

    /// Written down a second time, code by code: Visa, Mastercard, another scheme, not known.
    #[test]
    fn every_code_of_every_scheme() {
        let same = "
            00 Approved 01 Soft 02 Soft 03 Config 04 Hard 05 Soft 06 Technical 07 Hard 08 Approved 09 Ambiguous 10 Partial
            11 Approved 12 Hard 13 Fix 14 Hard 15 Hard 16 Ambiguous 17 Hard 19 Soft 20 Technical 21 Technical 22 Technical
            25 Technical 28 Technical 30 Config 31 Config 33 Hard 34 Hard 35 Hard 36 Hard 37 Hard 38 Hard 39 Soft
            40 Config 41 Hard 43 Hard 46 Hard 51 Soft 52 Soft 53 Soft 54 Fix 55 Fix 56 Hard 57 Hard 58 Config 59 Soft
            61 Soft 62 Soft 63 Fix 65 Soft 68 Ambiguous 75 Soft 80 Technical 85 NoReason 86 Soft 88 Technical 89 Fix
            90 Technical 91 Issuer 92 Issuer 93 Soft 94 Ambiguous 95 Technical 96 Technical 1A Fix 5C Soft 6P Fix 9G Soft
            A0 Fix A1 Fix B1 Config B2 Config C0 Fix C1 Fix N0 Technical N3 Soft N4 Soft N5 Soft N7 Fix N8 Soft P2 Fix
            P5 Fix P6 Fix Q1 Fix R0 Hard R1 Hard R2 Config R3 Hard Z1 Soft Z3 Technical Z5 Soft
            18 Soft ZZ Soft X9 Soft";
        let differ = [
            ("70", "Fix Soft Soft Fix"),
            ("72", "Soft Soft Soft Soft"),
            ("76", "Ambiguous Hard Ambiguous Ambiguous"),
            ("77", "Ambiguous Hard Ambiguous Ambiguous"),
            ("78", "Soft Hard Soft Ambiguous"),
            ("79", "Ambiguous Soft Soft Ambiguous"),
            ("81", "Technical Config Soft Ambiguous"),
            ("82", "Fix Soft Soft Fix"),
            ("83", "Soft Soft Soft Soft"),
            ("84", "Soft Config Soft Ambiguous"),
            ("87", "Soft Partial Soft Ambiguous"),
            ("1Z", "Soft Technical Soft Ambiguous"),
        ];
        let mut rows = 0;
        let words: Vec<&str> = same.split_whitespace().collect();
        for pair in words.chunks(2) {
            for scheme in [VISA, MASTERCARD, AMEX, None] {
                assert_eq!(format!("{:?}", of(scheme, pair[0])), pair[1], "{scheme:?} {}", pair[0]);
            }
            rows += 1;
        }
        for (code, want) in differ {
            let got = [VISA, MASTERCARD, AMEX, None].map(|scheme| format!("{:?}", of(scheme, code)));
            assert_eq!(got.join(" "), want, "{code}");
            rows += 1;
        }
        // Every code of the table was met: three of those above stand in no row.
        let codes: std::collections::BTreeSet<_> = TABLE.iter().flat_map(|(_, codes, _)| codes.split(' ')).collect();
        assert_eq!(rows, codes.len() + 3);
    }

    #[test]
    fn whom_each_class_blames() {
        for (class, want) in [
            (Approved, Verdict::Good),
            (Partial, Verdict::Good),
            (Hard, Verdict::Good),
            (Fix, Verdict::Good),
            (Soft, Verdict::Good),
            (ByAdvice, Verdict::Good),
            (Config, Verdict::Neutral),
            (Technical, Verdict::Bad),
            (Issuer, Verdict::Issuer),
            (Ambiguous, Verdict::Bad),
            (NoReason, Verdict::Bad),
        ] {
            assert_eq!(class.outcome().blame(), want, "{class:?}");
        }
    }

    #[test]
    fn no_code_stands_in_two_rows_of_one_scheme() {
        for (i, (of, codes, _)) in TABLE.iter().enumerate() {
            for code in codes.split(' ') {
                assert!(Code::parse(code).is_some_and(|c| c.0 == code.as_bytes()), "{code}");
                let twice = |(other, more, _): &&(Of, &str, Class)| {
                    let meets = Scheme::ALL.iter().any(|s| of.is_about(*s) && other.is_about(*s));
                    meets && more.split(' ').any(|c| c == code)
                };
                assert!(!TABLE.iter().skip(i + 1).any(|row| twice(&row)), "{code}");
            }
        }
    }

    #[test]
    fn what_advice_makes_of_a_decline() {
        let with = |scheme, code: &str, advice: &str| {
            read(scheme, Code::parse(code).unwrap(), Code::parse(advice), Purpose::Purchase)
        };
        for (code, advice, want) in [
            ("79", "01", Fix),
            ("79", "02", Soft),
            ("82", "03", Hard),
            ("82", "04", Config),
            ("83", "05", Soft),
            ("83", "21", Hard),
            ("83", "22", Config),
            ("79", "24", Soft),
            ("79", "30", Soft),
            ("79", "40", Soft),
            ("79", "42", Hard),
            ("79", "99", Hard),
            ("79", "", Soft),
            ("51", "24", Soft),
            ("05", "03", Hard),
            ("51", "21 : payment cancelled", Hard),
            // Advice may accompany approvals, and never turns one around.
            ("00", "03", Approved),
            ("91", "03", Issuer),
        ] {
            assert_eq!(with(MASTERCARD, code, advice), want, "{code} {advice}");
        }
        assert_eq!(with(VISA, "05", "03"), Soft, "another scheme's advice is not Mastercard's");
        assert_eq!(with(None, "05", "03"), Soft);
    }

    #[test]
    fn no_reason_to_decline_approves_a_verification_alone() {
        let code = Code::parse("85").unwrap();
        assert_eq!(read(VISA, code, None, Purpose::Verification).outcome(), Outcome::Approved);
        assert_eq!(read(VISA, code, None, Purpose::Purchase).outcome(), Outcome::Unclear);
    }

    #[test]
    fn codes_as_processors_write_them() {
        for (text, want) in [
            ("05", Some("05")),
            ("5", Some("05")),
            ("1a", Some("1A")),
            (" 51 : Insufficient funds", Some("51")),
            ("51:x", Some("51")),
            ("n7", Some("N7")),
            ("", None),
            ("a", None),
            ("100", None),
            ("é", None),
            ("?!", None),
        ] {
            assert_eq!(Code::parse(text).map(|c| c.0), want.map(|w| w.as_bytes().try_into().unwrap()), "{text}");
        }
    }
}
