//! Keeps a failing processor out until a probe says it is back.
//!
//! Closed: traffic flows and is counted. Open: nothing flows until a jittered, growing wait is over. Half-open: so many
//! probes in all and no more; when every one succeeded it closes, when one fails it opens for longer. A decline is not a
//! failure: what blames the processor is decided in [`crate::payment::Outcome::blame`], not here.
//!
//! It opens by failures in a row, by the share of failures, or by the share of slow calls over a sliding window. Why not
//! Envoy's outlier detection: it lets traffic back at full weight when its timer ends, and never sees a failure inside a
//! 2xx body. Why failures in a row first: fleets of two to four processors with little traffic each have no volume for a
//! rate; the rates come beside it, for what fails every other time or hangs.
//!
//! An issuer that is down answers through a processor that is not. Such failures count against the processor only once
//! they come from several issuers; see [`Settings::issuers`].
//!
//! [`Record`] is the state machine, a value. [`Breaker`] is one worker's copy of the record that all workers of the proxy
//! share ([`Memory`]): it is changed by compare-and-swap, so there are so many probes in all, not per worker, and a worker
//! that is made anew finds what the others know.
//!
//! A result that arrives after the state has changed belongs to the past: a [`Grant`] carries the epoch it was given
//! in, and a settlement of another epoch is ignored. So a straggler neither closes a breaker nor opens it again.

mod codec;
mod memory;
mod record;
mod shared;
mod window;

use std::time::Duration;

pub use memory::{LocalMemory, Memory};
pub use record::{ISSUERS, PROBES, Record};
pub use shared::Breaker;
pub(crate) use shared::generation;
pub use window::Span;

/// When a breaker opens and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it acts.
    pub mode: Mode,
    /// So many failures in a row open it; at least 1.
    pub consecutive_failures: u32,
    /// How far back the two shares look.
    pub span: Span,
    /// Fewer calls within the span say nothing; at least 1.
    pub calls_min: u32,
    /// This share of failures opens it: 1 to 100; none: it is not looked at.
    pub failure_percent: Option<u32>,
    /// A call that takes longer is slow.
    pub slow_call: Duration,
    /// This share of slow calls opens it: 1 to 100; none: it is not looked at.
    pub slow_percent: Option<u32>,
    /// Failures of issuers count against the processor from so many different issuers within the span on; 1 to
    /// [`record::ISSUERS`]. One whose issuer nobody knows counts at once.
    pub issuers: u32,
    /// How long the first opening lasts, before jitter.
    pub open: Duration,
    /// The longest opening. One that follows within this time of closing goes on growing.
    pub open_max: Duration,
    /// Probes of one half-open time, over all workers; 1 to [`record::PROBES`].
    pub probes: u32,
    /// A probe that has not ended by then has failed: its worker may be gone.
    pub probe_timeout: Duration,
}

impl Settings {
    /// Opens by failures in a row alone.
    pub fn consecutive(failures: u32, open: Duration, open_max: Duration) -> Self {
        Self {
            mode: Mode::Enforce,
            consecutive_failures: failures,
            span: Span::Time(Duration::from_secs(10)),
            calls_min: 1,
            failure_percent: None,
            slow_call: Duration::MAX,
            slow_percent: None,
            issuers: 1,
            open,
            open_max,
            probes: 1,
            probe_timeout: Duration::from_secs(30),
        }
    }
}

/// Whether a breaker acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It keeps requests out while open.
    Enforce,
    /// It counts, opens and tells, and keeps nothing out.
    Observe,
    /// It is not asked and does not count.
    Disabled,
    /// It keeps everything out, for maintenance.
    ForcedOpen,
}

/// What a result says of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does its work.
    Good,
    /// It fails.
    Bad,
    /// The issuer, or the scheme's way to it, fails: the processor only says so.
    Issuer,
    /// Nothing: the client left, or the answer could not be read.
    Neutral,
}

/// One result, as a breaker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub verdict: Verdict,
    /// What it says where it was a probe.
    pub as_probe: Verdict,
    /// From when it was sent; none: it never was.
    pub took: Option<Duration>,
    /// A hash of the card's issuer, where it is known.
    pub issuer: Option<u32>,
}

impl From<Verdict> for Seen {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, as_probe: verdict, took: None, issuer: None }
    }
}

/// Leave to send one request; consumed by settling it.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    epoch: u32,
    role: Role,
}

impl Grant {
    /// Is this a request that decides whether a half-open breaker closes?
    pub fn is_probe(&self) -> bool {
        matches!(self.role, Role::Probe(_))
    }

    /// Leave that no breaker gave: its result is not counted.
    pub fn uncounted() -> Self {
        Self { epoch: 0, role: Role::Uncounted }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Regular,
    /// By the id of its permit.
    Probe(u64),
    Uncounted,
}

/// A change worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transition {
    /// Closed or half-open to open.
    Opened,
    /// Open to half-open: a probe is on its way.
    HalfOpened,
    /// Half-open to closed.
    Closed,
}

/// What a breaker lets through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Closed,
    /// Nothing, for so long.
    Open(Duration),
    /// The next request, as a probe.
    Probing,
    /// Nothing: as many probes as there may be are out.
    AwaitingProbe,
    /// Nothing, as the operator says.
    ForcedOpen,
}

impl Standing {
    /// As written in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::Probing => "half_open",
            Self::AwaitingProbe => "awaiting_probe",
            Self::ForcedOpen => "forced_open",
        }
    }

    /// May a request be sent?
    pub fn admits(self) -> bool {
        matches!(self, Self::Closed | Self::Probing)
    }

    /// How long until one may; zero where that is now, or where nobody can tell.
    pub fn wait(self) -> Duration {
        match self {
            Self::Open(wait) => wait,
            Self::Closed | Self::Probing | Self::AwaitingProbe | Self::ForcedOpen => Duration::ZERO,
        }
    }
}
