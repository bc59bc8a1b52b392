//! What a rule asks of a charge: values of attributes, joined by all, any and not.

use super::bins;
use super::probe::Probe;
use super::spans::Spans;
use crate::payment::Currency;

/// Something that a charge has, or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// How much, of which currency: minor units of two currencies do not compare.
    Amount,
    /// In which currency.
    Currency,
    /// By which scheme.
    Scheme,
    /// By which range of cards.
    Bin,
    /// From an issuer of which country.
    IssuerCountry,
    /// How the card is funded.
    Funding,
    /// For whom.
    Merchant,
    /// By which payment method.
    Method,
    /// By which HTTP method.
    HttpMethod,
    /// Under which path, without the query.
    Path,
    /// A request header, by its place in [`Needs::headers`](super::Needs::headers).
    Header(u16),
    /// A parameter of the query, by its place in [`Needs::queries`](super::Needs::queries).
    Query(u16),
    /// A value of the body, by its place in [`Needs::bodies`](super::Needs::bodies).
    Body(u16),
    /// Seconds since Monday 00:00 UTC.
    Week,
    /// Seconds since 1970.
    Date,
}

/// An amount as it compares: first by currency, then by minor units.
pub type Money = (Currency, u64);

/// Alternatives: an attribute that is absent has none of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Values {
    /// Texts, in order, each once.
    Texts(Vec<Box<[u8]>>),
    /// Seconds; or card numbers by their first 11 digits, see [`bins`].
    Numbers(Spans<u64>),
    /// Amounts.
    Amounts(Spans<Money>),
    /// Texts between two in the order of their bytes: a path, or all that begin with one.
    Paths(Spans<Box<[u8]>>),
}

impl Values {
    /// Texts in any order.
    pub fn texts(mut texts: Vec<Box<[u8]>>) -> Self {
        texts.sort();
        texts.dedup();
        Self::Texts(texts)
    }

    /// Is every one of these one of `other`?
    pub(super) fn within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Texts(a), Self::Texts(b)) => {
                a.len() <= b.len() && a.iter().all(|text| b.binary_search(text).is_ok())
            }
            (Self::Numbers(a), Self::Numbers(b)) => a.within(b),
            (Self::Amounts(a), Self::Amounts(b)) => a.within(b),
            (Self::Paths(a), Self::Paths(b)) => a.within(b),
            _ => false,
        }
    }

    /// Does the charge have one of these?
    pub(super) fn hold(&self, attribute: Attribute, probe: &impl Probe) -> bool {
        match self {
            Self::Texts(texts) => probe
                .text(attribute)
                .is_some_and(|text| texts.binary_search_by(|known| known.as_ref().cmp(text)).is_ok()),
            Self::Numbers(spans) if attribute == Attribute::Bin => probe.bin().is_some_and(|bin| {
                let (from, to) = bins::span(&bin);
                spans.cover(&from, &to)
            }),
            Self::Numbers(spans) => spans.hold(&probe.seconds(attribute)),
            Self::Amounts(spans) => spans.hold(&probe.amount()),
            Self::Paths(spans) => probe.text(attribute).is_some_and(|path| spans.hold(&Box::from(path))),
        }
    }

    pub(super) fn as_texts(&self) -> Option<&[Box<[u8]>]> {
        if let Self::Texts(texts) = self { Some(texts) } else { None }
    }

    pub(super) fn as_numbers(&self) -> Option<&Spans<u64>> {
        if let Self::Numbers(spans) = self { Some(spans) } else { None }
    }

    pub(super) fn as_amounts(&self) -> Option<&Spans<Money>> {
        if let Self::Amounts(spans) = self { Some(spans) } else { None }
    }

    pub(super) fn as_paths(&self) -> Option<&Spans<Box<[u8]>>> {
        if let Self::Paths(spans) = self { Some(spans) } else { None }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(spans) => spans.iter().len(),
            Self::Amounts(spans) => spans.iter().len(),
            Self::Paths(spans) => spans.iter().len(),
        }
    }
}

/// Which values: a place among those of all rules, where equal ones stand once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValuesId(pub u32);

impl ValuesId {
    /// As a place.
    pub(super) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Something a charge may fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Each of these; without any: always.
    All(Vec<Condition>),
    /// One of these at least; without any: never.
    Any(Vec<Condition>),
    /// Not this. What asks for an absent attribute does not hold, so its opposite does.
    Not(Box<Condition>),
    /// The attribute has one of the values.
    Is(Attribute, ValuesId),
}

impl Condition {
    /// Does the charge fulfil it?
    pub(super) fn holds(&self, values: &[Values], probe: &impl Probe) -> bool {
        match self {
            Self::All(each) => each.iter().all(|one| one.holds(values, probe)),
            Self::Any(each) => each.iter().any(|one| one.holds(values, probe)),
            Self::Not(one) => !one.holds(values, probe),
            Self::Is(attribute, id) => values.get(id.index()).is_some_and(|values| values.hold(*attribute, probe)),
        }
    }
}
