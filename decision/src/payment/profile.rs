//! How one kind of processor answers. What an answer then means is [`super::reading`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Encoding, Pointer};
use super::evidence::Evidence;
use super::outcome::Outcome;

/// What a word or code of a processor means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// This.
    Is(Outcome),
    /// A decline: soft, unless a code says more.
    Declined,
}

/// How one kind of processor answers.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How its answers are written.
    pub encoding: Encoding,
    /// Where the payment's id stands.
    pub payment_id: Vec<Pointer>,
    /// Where the status stands.
    pub status: Vec<Pointer>,
    /// Where the processor's own code stands.
    pub code: Vec<Pointer>,
    /// Where the scheme's response code stands.
    pub network_code: Vec<Pointer>,
    /// Whether that is a code as schemes write it.
    pub network_codes: NetworkCodes,
    /// Where the scheme's advice code stands.
    pub advice_code: Vec<Pointer>,
    /// Where the kind of an error stands.
    pub error_type: Vec<Pointer>,
    /// Where the card's scheme stands.
    pub scheme: Vec<Pointer>,
    /// What decides before anything else; the first that holds.
    pub rules: Vec<OutcomeRule>,
    /// What each word of status means.
    pub statuses: BTreeMap<String, Meaning>,
    /// What each code means.
    pub codes: Codes,
    /// Codes that say the processor or the network failed, whatever the status says.
    pub technical: BTreeSet<String>,
}

/// How the response codes of schemes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkCodes {
    /// In the processor's own way: only its rules read them.
    #[default]
    Own,
    /// As in field 39 of ISO 8583, with Mastercard's advice codes beside them: [`super::field39`] reads them.
    Iso8583,
}

/// A rule over an answer: all that it names must hold.
#[derive(Clone, Debug)]
pub struct OutcomeRule {
    /// The HTTP statuses it is about; none: all.
    pub http: Vec<HttpRange>,
    /// Values that must stand in the body.
    pub when: Vec<(Place, Vec<Pattern>)>,
    /// What the answer then means.
    pub meaning: Meaning,
    /// What it then proves; none: what its outcome does.
    pub evidence: Option<Evidence>,
}

/// HTTP statuses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Where a rule looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a pointer.
    At(Pointer),
    /// Where the profile says this field stands.
    Of(Field),
}

/// A field of an answer that a profile has pointers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The word of status.
    Status,
    /// The processor's own code.
    Code,
    /// The scheme's response code.
    NetworkCode,
    /// The scheme's advice code.
    AdviceCode,
    /// The kind of an error.
    ErrorType,
}

/// A value, or what it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This value.
    Exact(String),
    /// Every value that starts so.
    Prefix(String),
}

impl Pattern {
    /// Reads a pattern: a star at the end stands for any rest.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    pub(super) fn fits(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => value == exact,
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
        }
    }
}

/// A table of codes: an exact one wins over a prefix, a longer prefix over a shorter.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    /// Whole codes.
    pub exact: BTreeMap<String, Meaning>,
    /// What codes start with.
    pub prefixes: BTreeMap<String, Meaning>,
}

impl Codes {
    /// What a code means; none where the table does not say.
    pub(super) fn of(&self, code: &str) -> Option<Meaning> {
        let longest = || {
            let fits = self.prefixes.iter().filter(|(prefix, _)| code.starts_with(prefix.as_str()));
            fits.max_by_key(|(prefix, _)| prefix.len()).map(|(_, meaning)| *meaning)
        };
        self.exact.get(code).copied().or_else(longest)
    }
}
