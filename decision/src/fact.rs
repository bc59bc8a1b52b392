//! What happened, for metrics and logs: drained by the shell, apart from the steps.

use crate::breaker::Transition;
use crate::breakers::Scope;
use crate::operation::Kind;
use crate::payment::{Evidence, Outcome};
use crate::processor::ProcessorId;
use crate::reason::Reason;
use crate::store::Store;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A request ended.
    Settled {
        /// Where it went.
        processor: ProcessorId,
        /// What it might have done to money.
        kind: Kind,
        /// What its answer means.
        outcome: Outcome,
    },
    /// What is proven of a charge that ended.
    Evidence(ProcessorId, Evidence),
    /// The filter answered itself.
    Refused(Reason),
    /// A breaker changed; told by the worker that changed it.
    Breaker(ProcessorId, Scope, Transition),
    /// The cache-service is asked again, or not for a moment.
    Store(Store, Transition),
    /// A look-up was answered from a cache, or not.
    Lookup(LookupResult),
    /// A write to the cache-service ended.
    Write(WriteResult),
    /// A charge that is only watched would have gone to this processor.
    Shadowed(ProcessorId, Went),
    /// A charge that is only watched would have been answered by the filter.
    ShadowRefused(Reason),
    /// Too few processors were left, and a charge went to one whose breaker keeps it out.
    Panicked(ProcessorId),
    /// A heartbeat ended: was there a good answer?
    Heartbeat(ProcessorId, Beat),
    /// A processor took a payment and its answer named no id that could be pinned.
    Unpinned(ProcessorId),
}

/// Where a look-up's answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookupResult {
    /// The worker's own memory.
    HitLocal,
    /// The cache-service.
    HitService,
    /// The processor, as nobody had it.
    Miss,
    /// The processor, as the cache-service did not answer.
    Unavailable,
    /// The processor, as it may not be cached.
    Uncached,
}

impl LookupResult {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::HitLocal, Self::HitService, Self::Miss, Self::Unavailable, Self::Uncached];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HitLocal => "hit_local",
            Self::HitService => "hit_service",
            Self::Miss => "miss",
            Self::Unavailable => "unavailable",
            Self::Uncached => "uncached",
        }
    }
}

/// How a write to the cache-service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WriteResult {
    /// Acknowledged.
    Stored,
    /// Refused; trying again would not help.
    Refused,
    /// The pin is stored, and another processor has a payment of this id too.
    Ambiguous,
    /// Not acknowledged in time; it is tried again.
    Deferred,
    /// Not acknowledged, and not tried again.
    Lost,
}

impl WriteResult {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::Stored, Self::Refused, Self::Ambiguous, Self::Deferred, Self::Lost];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Ambiguous => "ambiguous",
            Self::Deferred => "deferred",
            Self::Lost => "lost",
        }
    }
}

/// Where a charge really went that is only watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Went {
    /// To the processor that was decided for.
    AsDecided,
    /// To another.
    Elsewhere,
    /// Nobody answered, or from a cluster that is no processor's.
    Unknown,
}

impl Went {
    /// Every place.
    pub const ALL: [Self; 3] = [Self::AsDecided, Self::Elsewhere, Self::Unknown];

    /// As written in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsDecided => "as_decided",
            Self::Elsewhere => "elsewhere",
            Self::Unknown => "unknown",
        }
    }
}

/// How a heartbeat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beat {
    /// With a good answer.
    Good,
    /// With another answer, or none.
    Bad,
}

impl Beat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Good, Self::Bad];

    /// As written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}
