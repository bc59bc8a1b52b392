//! What a scenario is played on: the real Envoy, or the test world. It sends, waits and reads, and judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::script::Pace;
use crate::stage::cache::Condition;
use e2e::processor::{Control, Counts, Row};
use e2e::stack::Acquirer;

/// A request as bytes, and how it is sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header lines in order, without host and framing.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body; `None`: there is none.
    pub body: Option<Vec<u8>>,
    /// How the body is sent.
    pub pace: Pace,
    /// When the client leaves.
    pub leave: Option<Duration>,
    /// Its connection; `None`: one of its own.
    pub connection: Option<String>,
}

/// What a group does at one moment.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Sends.
    Call(Call),
    /// Tells processors how to behave.
    Control(Vec<(Acquirer, Control)>),
    /// Has the cache-service fare differently.
    Cache(Condition),
}

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The status.
    pub status: u16,
    /// Header lines in order, lower-case names.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// From the request's first byte to the answer's last.
    pub took: Duration,
}

impl Seen {
    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(given, _)| given == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text, the beginning of a long one.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(600)]).into_owned()
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer.
    Answer(Seen),
    /// The client left before one came.
    Left,
    /// None, and never will be.
    Broken(String),
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Sent {
    /// By which [`Host::details`] knows it.
    pub id: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// Why a host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

impl From<e2e::stack::StackError> for HostError {
    fn from(error: e2e::stack::StackError) -> Self {
        Self(error.to_string())
    }
}

/// A place to play a scenario.
pub(crate) trait Host {
    /// Does each deed at its time from now, waits for all, and gives what came of each call, in order.
    async fn group(&mut self, deeds: Vec<(Duration, Deed)>) -> Result<Vec<Option<Sent>>, HostError>;
    /// Makes the calls in order over `in_flight` connections that are kept, so that each stays with its worker.
    async fn load(&mut self, calls: Vec<Call>, in_flight: usize) -> Result<Vec<Sent>, HostError>;
    /// Lets time pass.
    async fn wait(&mut self, time: Duration) -> Result<(), HostError>;
    /// The time, from some beginning.
    fn now(&self) -> Duration;
    /// Has a processor forget its ledger.
    async fn clear_ledger(&mut self, who: Acquirer) -> Result<(), HostError>;
    /// Has the cache-service fare differently.
    async fn cache(&mut self, condition: Condition) -> Result<(), HostError>;
    /// Every charge that arrived, by processor.
    async fn ledgers(&mut self) -> Result<[Vec<Row>; 3], HostError>;
    /// How many requests arrived, by processor.
    async fn arrived(&mut self) -> Result<[Counts; 3], HostError>;
    /// The filter's counters, by their whole names.
    async fn metrics(&mut self) -> Result<BTreeMap<String, u64>, HostError>;
    /// The access log's response code details, by call. Those of calls that nobody waited for may be missing.
    async fn details(&mut self) -> Result<BTreeMap<usize, String>, HostError>;
}
