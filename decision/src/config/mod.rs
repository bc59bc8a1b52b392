//! What an operator says, valid by construction.
//!
//! Two layers: `raw` is the JSON as written, and [`Config`] cannot be wrong. An error names the JSON path it is about
//! and what was expected there; nothing is half accepted.

mod build;
pub mod defaults;
mod document;
pub mod presets;
mod raw;

pub use document::{CacheService, Document};

use std::sync::Arc;
use std::time::Duration;

use crate::balance::{self, Fees, HashBy, Member, Policy};
use crate::breaker;
use crate::breakers::Dimension;
use crate::heartbeat;
use crate::load;
use crate::lookup::Namespace;
use crate::operation::{Claims, Kind, Mode, OperationId, PoolId, Template, WhenOpen};
use crate::payment::{Fields, Profile};
use crate::processor::ProcessorId;
use crate::rules::Rules;

/// The configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The header the proxy routes by, lower case.
    pub route_header: String,
    /// Do answers carry `x-switchyard-*` and `x-cache`?
    pub answer_headers: AnswerHeaders,
    /// What names the caller; without it every caller is the same nobody.
    pub tenant: Option<TenantHeader>,
    /// Bytes of a request body.
    pub request_body_bytes: usize,
    /// Bytes of an answer that is held to be read.
    pub answer_body_bytes: usize,
    /// Where a charge's fields stand.
    pub fields: Fields,
    /// The processors; a [`ProcessorId`] is a place here.
    pub processors: Vec<Processor>,
    /// The operations; an [`OperationId`] is a place here.
    pub operations: Vec<Operation>,
    /// Which pool takes which charge.
    pub rules: Rules,
    /// The pools; a [`PoolId`] is a place here.
    pub pools: Vec<Pool>,
    /// The headers (lower case) that policies hash.
    pub hash_headers: Vec<String>,
    /// Entries of the worker's own look-up cache.
    pub local_entries: usize,
    /// Bytes of the worker's own look-up cache.
    pub local_bytes: usize,
    /// How long a worker remembers a pin for look-ups.
    pub pin_ttl: Duration,
    /// What is accepted and yet looks like a mistake; to be logged.
    pub warnings: Vec<ConfigWarning>,
}

/// Whether answers tell the client how they came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerHeaders {
    /// They carry `x-switchyard-processor`, `x-switchyard-attempts` and `x-cache`.
    Show,
    /// They carry `x-switchyard-decision` as well.
    Explain,
    /// They do not.
    Hide,
}

/// The header that names the caller.
#[derive(Clone, Debug)]
pub struct TenantHeader {
    /// Lower case.
    pub header: String,
    /// May it be absent or empty? Callers without a name are one anonymous tenant: they share keys and pins.
    pub presence: Presence,
}

/// A processor.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Its name: in metrics, pins and answers.
    pub name: String,
    /// What the proxy calls it.
    pub cluster: String,
    /// Which account of it: look-ups of two accounts never meet.
    pub account: String,
    /// How it answers.
    pub profile: Profile,
    /// Does it repeat its answer for a key it has seen, rather than charge again?
    pub same_key: SameKey,
    /// Its share.
    pub weight: u32,
    /// The `host` it is addressed by; none: the client's.
    pub authority: Option<String>,
    /// What its paths start with; empty: the client's path.
    pub path_prefix: String,
    /// When its breakers open.
    pub breaker: breaker::Settings,
    /// By what its traffic is told apart, each part with a breaker of its own.
    pub per: Vec<Dimension>,
    /// How it is asked whether it is there.
    pub heartbeat: Option<heartbeat::Settings>,
    /// Where it reports its load.
    pub load: load::Source,
    /// Does it take new charges?
    pub state: State,
    /// The lower, the sooner it is used.
    pub priority: u8,
    /// What it charges; none where nobody said.
    pub fees: Option<Arc<Fees>>,
    /// What hash tables place it by.
    pub hash_key: Arc<str>,
}

/// What an operator wants of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes whatever rules and breakers let through.
    Active,
    /// It takes no new charge: what acts on its payments still goes to it.
    Drain,
}

/// What a processor does with an idempotency key that it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameKey {
    /// It answers as before and charges once: a retry may be sent to it.
    Replays,
    /// It charges again: a retry is answered 409.
    ChargesAgain,
}

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name: in metrics and explanations, and part of the scope of a key.
    pub name: String,
    /// The HTTP method, upper case.
    pub method: String,
    /// The path.
    pub path: Template,
    /// Whether it is acted on.
    pub mode: Mode,
    /// What it does.
    pub detail: Detail,
}

impl Operation {
    /// What it may do to money.
    pub fn kind(&self) -> Kind {
        match self.detail {
            Detail::Charge { .. } => Kind::Charge,
            Detail::FollowUp { .. } => Kind::FollowUp,
            Detail::Lookup(_) => Kind::Lookup,
        }
    }
}

/// What an operation of each kind needs to know.
#[derive(Clone, Debug)]
pub enum Detail {
    /// May move money.
    Charge {
        /// Where its idempotency key stands.
        key: Option<KeyCarrier>,
    },
    /// Acts on an existing payment.
    FollowUp {
        /// What it does when its processor's breaker is open.
        when_open: WhenOpen,
        /// The namespace that holds look-ups of the payment.
        invalidates: Option<Namespace>,
    },
    /// Reads.
    Lookup(Lookup),
}

/// The header with the idempotency key.
#[derive(Clone, Debug)]
pub struct KeyCarrier {
    /// Lower case.
    pub header: String,
    /// How processors are told it, however the client wrote it.
    pub spelling: Spelling,
    /// May it be absent?
    pub presence: Presence,
    /// How it is protected.
    pub claims: Claims,
}

/// How an idempotency key is written in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `abc`, as most processors document it.
    Bare,
    /// `"abc"`, as the IETF draft has it.
    Quoted,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be absent.
    Optional,
}

/// How a look-up is cached.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Where.
    pub namespace: Namespace,
    /// For whom.
    pub shared: Shared,
    /// How long the cache-service may serve it.
    pub ttl: Duration,
    /// How long this worker may serve it.
    pub local_ttl: Duration,
    /// The request headers (lower case) that change the answer.
    pub vary: Vec<String>,
}

/// Who may be answered with a cached look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Everybody, from any processor: card ranges, exchange rates.
    Public,
    /// The tenant it was made for, from the payment's processor.
    Tenant,
}

/// Processors a charge may go to.
#[derive(Clone, Debug)]
pub struct Pool {
    /// How payments are spread.
    pub balance: balance::Settings,
    /// With candidates of less weight than this, in percent of the members', the pool panics; 0: never.
    pub panic_percent: u32,
    /// The processors with their shares.
    pub members: Vec<Member>,
}

/// The configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// Where, as a path into the JSON, such as `processors[1].weight`.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl ConfigError {
    fn of_reader(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        // What is no JSON has a line and a column; a field whose name is empty has an empty path.
        let path = Some(error.path().to_string()).filter(|path| error.inner().is_data() && !path.is_empty());
        Self { path: path.unwrap_or_else(|| ".".to_owned()), message: error.inner().to_string() }
    }
}

/// Something in the configuration that has no effect, or not the one it seems to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where, as a path into the JSON.
    pub path: String,
    /// What is odd about it.
    pub message: String,
}

impl std::fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Config {
    /// Reads the JSON document.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        if json.len() > defaults::CONFIG_BYTES_MAX {
            let message = format!("the configuration is over {} bytes", defaults::CONFIG_BYTES_MAX);
            return Err(ConfigError { path: ".".to_owned(), message });
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let raw: raw::Config = serde_path_to_error::deserialize(&mut reader).map_err(ConfigError::of_reader)?;
        reader.end().map_err(|e| ConfigError { path: ".".to_owned(), message: e.to_string() })?;
        build::config(raw)
    }

    /// The path of the first operation that cannot do without the cache-service's records: one that follows up a
    /// payment, or claims its key.
    pub fn needs_records(&self) -> Option<String> {
        let needs = |operation: &Operation| match &operation.detail {
            Detail::Charge { key } => key.as_ref().is_some_and(|key| key.claims == Claims::Required),
            Detail::FollowUp { .. } => true,
            Detail::Lookup(lookup) => lookup.shared == Shared::Tenant,
        };
        let at = self.operations.iter().position(needs)?;
        Some(format!("operations[{at}]"))
    }

    /// Does any policy look at the caller's address?
    pub fn needs_source(&self) -> bool {
        self.pools.iter().any(|pool| {
            pool.balance.policy == Policy::IpHash || pool.balance.policy.hash_by() == Some(&HashBy::SourceIp)
        })
    }

    /// A processor; total, as ids are only made from this configuration.
    pub fn processor(&self, id: ProcessorId) -> Option<&Processor> {
        self.processors.get(id.index())
    }

    /// The processor of a name.
    pub fn processor_named(&self, name: &str) -> Option<ProcessorId> {
        self.processors.iter().position(|p| p.name == name).and_then(ProcessorId::new)
    }

    /// The processor behind a cluster of the proxy; none where several are: nobody can tell which it was.
    pub fn processor_of_cluster(&self, cluster: &[u8]) -> Option<ProcessorId> {
        let mut behind = self.processors.iter().zip(0_usize..).filter(|(p, _)| p.cluster.as_bytes() == cluster);
        let (_, at) = behind.next()?;
        if behind.next().is_some() { None } else { ProcessorId::new(at) }
    }

    /// An operation.
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations.get(id.0)
    }

    /// A pool.
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(id.0)
    }
}
