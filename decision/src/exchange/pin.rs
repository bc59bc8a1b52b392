//! Which processor has a payment.

use std::time::Duration;

use super::request::Tenant;
use crate::lookup::{Answer, Key, KeyBuilder};
use crate::processor::ProcessorId;
use crate::reason::Reason;
use crate::router::Router;

/// The key of a payment's pin.
pub(super) fn key(tenant: &Tenant, payment: &str) -> Key {
    KeyBuilder::new("pin.v1").optional(tenant.as_deref()).part(payment.as_bytes()).finish()
}

/// The processor that the answer names, or why there is none and how long to wait. Nobody else is ever asked: any other
/// processor could say "no such payment" of one that was taken.
pub(super) fn holder(router: &Router, answer: Answer) -> Result<ProcessorId, (Reason, Option<Duration>)> {
    match answer {
        Answer::Pinned(name) => router.config().processor_named(&name).ok_or((Reason::PinMissing, None)),
        Answer::NoPin => Err((Reason::PinMissing, None)),
        Answer::Ambiguous => Err((Reason::PinAmbiguous, None)),
        _ => Err((Reason::PinStateUnknown, Some(Duration::from_secs(1)))),
    }
}
