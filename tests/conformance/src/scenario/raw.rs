//! The file as it is written: mirrors that know every field and refuse any other.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Deserialize;
use toml::Value;

use e2e::processor::Control;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) about: String,
    #[serde(default)]
    pub(super) envoy_only: Option<String>,
    #[serde(default)]
    pub(super) filter: Build,
    #[serde(default)]
    pub(super) workers: Option<u16>,
    #[serde(default)]
    pub(super) edit: Vec<Edit>,
    #[serde(default)]
    pub(super) alias: BTreeMap<String, String>,
    pub(super) step: Vec<Step>,
    #[serde(default)]
    pub(super) end: Check,
}

/// Which build of the filter is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Build {
    /// The one that ships.
    #[default]
    Shipped,
    /// The one for tests that aborts where a header says so: `x-switchyard-test-trap: request` or, of an answer, `response`.
    Trap,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) old: String,
    pub(super) new: String,
}

/// One step: exactly one of the first block, and what belongs to it of the second.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Step {
    pub(super) request: Option<String>,
    pub(super) charge: Option<Charge>,
    pub(super) capture: Option<String>,
    pub(super) refund: Option<String>,
    pub(super) status: Option<String>,
    pub(super) bin: Option<String>,
    pub(super) control: Option<BTreeMap<String, Control>>,
    pub(super) clear_ledger: Option<String>,
    pub(super) cache: Option<String>,
    pub(super) wait_ms: Option<u64>,
    pub(super) check: Option<Check>,
    pub(super) together: Option<Vec<Step>>,

    pub(super) name: Option<String>,
    pub(super) key: Option<String>,
    pub(super) header: BTreeMap<String, Texts>,
    pub(super) without: Vec<String>,
    pub(super) json: Option<Value>,
    pub(super) text: Option<String>,
    pub(super) hex: Option<String>,
    pub(super) chunk_bytes: Option<usize>,
    pub(super) pause_ms: Option<u64>,
    pub(super) unfinished: bool,
    pub(super) leave_ms: Option<u64>,
    pub(super) connection: Option<String>,
    pub(super) repeat: Option<u64>,
    pub(super) in_flight: Option<usize>,
    pub(super) at_ms: Option<u64>,
    pub(super) within_ms: Option<u64>,
    pub(super) expect: Option<Expect>,
}

/// A charge of the usual shop; what is not said is 1200 EUR by a card that no rule names, as JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Charge {
    pub(super) amount: Option<u64>,
    pub(super) currency: Option<String>,
    pub(super) merchant: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) card: Option<String>,
    pub(super) form: bool,
}

/// What an answer must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// One of these statuses.
    pub status: Option<Statuses>,
    /// A problem+json of this type, and nothing of a processor.
    pub problem: Option<String>,
    /// Who answered, by the proxy's word: one of these.
    pub processor: Option<Texts>,
    /// Headers: a text that must stand there, `true` for present, `false` for absent.
    pub header: BTreeMap<String, HeaderRule>,
    /// JSON that must be a part of the body.
    pub body: Option<Value>,
    /// The whole body.
    pub text: Option<String>,
    /// The body of an earlier answer, byte for byte.
    pub same_body_as: Option<String>,
    /// How long the answer took.
    pub took_ms: Option<Span>,
    /// The reason in the access log (`%RESPONSE_CODE_DETAILS%`).
    pub details: Option<String>,
    /// Of a repeated request: how many answers had each status; all statuses that came are named.
    pub statuses: BTreeMap<String, Span>,
    /// Of a repeated request: how many were answered by each processor.
    pub processors: BTreeMap<String, Span>,
    /// Of a repeated request: how many processors answered.
    pub distinct_processors: Option<Span>,
    /// Of a repeated request: how many payments were spoken of.
    pub distinct_payments: Option<Span>,
}

/// What must have become of the processors and the proxy; all counts are since the scenario began.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// Rows of the ledgers: by `acquirer-a` and so on, or `all`.
    pub ledger: BTreeMap<String, Rows>,
    /// Rows of the ledgers, by idempotency key.
    pub key: BTreeMap<String, Rows>,
    /// Requests that arrived, by `acquirer-a` and so on or `all`, then by route.
    pub arrived: BTreeMap<String, BTreeMap<String, Span>>,
    /// The filter's counters: a name and any of its labels (`switchyard_lookups_total.result=miss`), summed.
    pub metrics: BTreeMap<String, Span>,
}

/// Rows of a ledger.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rows {
    /// Charges that arrived.
    pub rows: Option<Span>,
    /// Of which were put to the issuer.
    pub executed: Option<Span>,
    /// Of which took money.
    pub approved: Option<Span>,
    /// Processors that have such rows.
    pub processors: Option<Span>,
}

/// A number, or `"2.."`, `"..5"`, `"2..5"` with both ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Span(pub RangeInclusive<u64>);

impl Span {
    /// Whether `number` is in it.
    pub fn holds(&self, number: u64) -> bool {
        self.0.contains(&number)
    }

    /// Whether it leaves no choice.
    pub fn is_exact(&self) -> bool {
        self.0.start() == self.0.end()
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (*self.0.start(), *self.0.end()) {
            (start, end) if start == end => write!(f, "{start}"),
            (start, u64::MAX) => write!(f, "{start} at least"),
            (0, end) => write!(f, "{end} at most"),
            (start, end) => write!(f, "{start} to {end}"),
        }
    }
}

impl TryFrom<Value> for Span {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let wrong = || format!("{value} is no count: write 3, \"3..\", \"..3\" or \"3..5\"");
        let number = |text: &str, open: u64| match text.trim() {
            "" => Ok(open),
            digits => digits.parse().map_err(|_| wrong()),
        };
        match &value {
            Value::Integer(n) => u64::try_from(*n).map(|n| Self(n..=n)).map_err(|_| wrong()),
            Value::String(text) => {
                let (start, end) = text.split_once("..").ok_or_else(wrong)?;
                Ok(Self(number(start, 0)?..=number(end, u64::MAX)?))
            }
            _ => Err(wrong()),
        }
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Texts(pub Vec<String>);

impl TryFrom<Value> for Texts {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            other => Err(format!("{other} is no text")),
        };
        match value {
            Value::Array(all) => all.into_iter().map(text).collect::<Result<_, _>>().map(Self),
            one => text(one).map(|text| Self(vec![text])),
        }
    }
}

/// One status or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Statuses(pub Vec<u16>);

impl TryFrom<Value> for Statuses {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let status = |value: Value| {
            let number = value.as_integer().and_then(|n| u16::try_from(n).ok());
            number.filter(|n| (100..600).contains(n)).ok_or(format!("{value} is no status"))
        };
        match value {
            Value::Array(all) => all.into_iter().map(status).collect::<Result<_, _>>().map(Self),
            one => status(one).map(|one| Self(vec![one])),
        }
    }
}

/// What a header must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum HeaderRule {
    /// There, whatever it says.
    Present,
    /// Not there.
    Absent,
    /// There, and this.
    Is(String),
}

impl TryFrom<Value> for HeaderRule {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Boolean(true) => Ok(Self::Present),
            Value::Boolean(false) => Ok(Self::Absent),
            Value::String(text) => Ok(Self::Is(text)),
            other => Err(format!("{other} is neither a text nor true (present) nor false (absent)")),
        }
    }
}
