//! A scenario as it is played: what was written, with every shorthand spelt out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::raw::{Build, Check, Expect};
use crate::stage::cache::Condition;
use e2e::processor::Control;
use e2e::stack::{Acquirer, Edit};

/// One file of `tests/conformance/scenarios`.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its path below that folder, without the ending: `routing/weights`.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Why the world cannot play it, if it cannot.
    pub envoy_only: Option<String>,
    /// The build of the filter.
    pub filter: Build,
    /// The proxy's workers.
    pub workers: u16,
    /// Changes to the shipped Envoy configuration.
    pub edits: Vec<Edit>,
    /// Names of processors that an edit leads to another's cluster, with that other.
    pub aliases: BTreeMap<String, String>,
    /// What happens.
    pub steps: Vec<Step>,
    /// What must have become of it.
    pub end: Check,
}

/// One thing that happens, once the one before it is done.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands: `step 3`.
    pub place: String,
    /// What it is.
    pub action: Action,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Action {
    /// A request, or many alike.
    Send(Box<Send>),
    /// Several things, each at its own time after the first.
    Together(Vec<(Duration, Step)>),
    /// Processors are told how to behave.
    Control(Vec<(Acquirer, Control)>),
    /// Processors forget.
    ClearLedger(Vec<Acquirer>),
    /// The cache-service fares differently.
    Cache(Condition),
    /// Time passes.
    Wait(Duration),
    /// Something must be so, at once or soon.
    Check(Box<Check>, Option<Duration>),
}

/// A request. Its texts may hold `${...}` and `\xNN`: see [`super::fill`].
#[derive(Clone, Debug)]
pub struct Send {
    /// What later steps call its answer.
    pub name: Option<String>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// How the body is sent.
    pub pace: Pace,
    /// The client leaves after so long, whatever came.
    pub leave: Option<Duration>,
    /// Requests on one connection meet one worker. `None`: a connection of its own.
    pub connection: Option<String>,
    /// How often it is sent.
    pub repeat: u64,
    /// How many of those at once, each on a connection that is kept.
    pub in_flight: usize,
    /// It is sent anew until what is expected came, for so long.
    pub within: Option<Duration>,
    /// What must come.
    pub expect: Expect,
}

/// A body to be filled in.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// A text.
    Text(String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// JSON, whose texts are filled in.
    Json(serde_json::Value),
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// In chunks of so many bytes; otherwise whole, with its length.
    pub chunk_bytes: Option<usize>,
    /// A pause after each chunk.
    pub pause: Duration,
    /// It never ends.
    pub unfinished: bool,
}
