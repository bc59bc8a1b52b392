//! A charge before and after its processor: what is asked for, the ticket, what its answer told.

use core::net::IpAddr;
use std::time::Duration;

use crate::breakers::{Leave, Traits};
use crate::lookup::Key;
use crate::operation::{Kind, PoolId};
use crate::payment::{Amount, Outcome, Scheme};
use crate::processor::ProcessorId;
use crate::time::{Mono, Now};

/// A charge, as far as the choice of its processor needs it. What is hashed may be a credential: it is never printed.
#[derive(Clone, Copy)]
pub struct Charge<'a> {
    /// The processors that may take it.
    pub pool: PoolId,
    /// What its processor is drawn from, where it has an idempotency key.
    pub key: Option<&'a Key>,
    /// What its breakers are chosen by.
    pub traits: Traits,
    /// How much.
    pub amount: Option<&'a Amount>,
    /// The caller's address, where the proxy says.
    pub source: Option<IpAddr>,
    /// What [`crate::balance::Policy::hash_by`] of the pool names.
    pub input: Option<&'a [u8]>,
}

impl Charge<'_> {
    /// One of which nothing else is known.
    pub fn of(pool: PoolId) -> Self {
        Self { pool, key: None, traits: Traits::default(), amount: None, source: None, input: None }
    }
}

/// What an answer told, or its absence.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// What it means.
    pub outcome: Outcome,
    /// The scheme it names; none: the request's.
    pub scheme: Option<Scheme>,
    /// How long the processor asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The load it reports of itself.
    pub load: Option<f64>,
}

impl From<Outcome> for Told {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, scheme: None, retry_after: None, load: None }
    }
}

/// Proof that a request was counted in. It is consumed when the request is counted out, so that is done once.
#[must_use = "a request that is not counted out is in flight for ever"]
#[derive(Debug)]
pub struct Ticket {
    pub(super) processor: ProcessorId,
    pub(super) kind: Kind,
    pub(super) leave: Leave,
    pub(super) traits: Traits,
    /// When it was sent; none: it still waits for something.
    pub(super) sent: Option<Mono>,
}

impl Ticket {
    /// Where the request goes.
    pub fn processor(&self) -> ProcessorId {
        self.processor
    }

    /// Is it one that tells whether a half-open processor is back?
    pub fn is_probe(&self) -> bool {
        self.leave.is_probe()
    }

    /// The request is on its way: from here its time is taken.
    pub fn sent(self, now: Now) -> Self {
        Self { sent: Some(now.mono), ..self }
    }
}
