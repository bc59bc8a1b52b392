//! A request of the filter's own to a processor's health path: probes that risk no payment.
//!
//! While a breaker is open and its wait is over, the heartbeat takes the probe's place, and charges wait for what it
//! says. While closed it is sent every so often, by one worker of the proxy: a failure counts as a failed call, a success
//! says nothing, as a health page that answers does not say that charges work.

use std::time::Duration;

use crate::breaker::Memory;
use crate::time::Mono;

/// How a processor is asked whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of a `GET`, with the query.
    pub path: String,
    /// How often while its breaker is closed.
    pub interval: Duration,
    /// No answer by then is a failure.
    pub timeout: Duration,
}

/// What a name in shared memory starts with: when the next one is due.
const NAME: &str = "switchyard.heartbeat.v1.";

/// Takes the turn that is due, for the whole proxy: false where it is not due, or where another worker takes it.
pub(crate) fn take_turn(memory: &mut dyn Memory, processor: &str, settings: &Settings, now: Mono) -> bool {
    let name = format!("{NAME}{processor}");
    let (due, version) = match memory.read(&name) {
        Some((bytes, version)) => (bytes.try_into().map_or(0, u64::from_le_bytes), version),
        None => (0, 0),
    };
    if now.0 < due {
        return false;
    }
    memory.swap(&name, &now.after(settings.interval).0.to_le_bytes(), version)
}

/// Does the answer's status say that the processor is there? None: there was no answer.
pub fn is_good(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..400).contains(&status))
}
