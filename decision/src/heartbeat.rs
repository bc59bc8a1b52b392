//! A request of the filter's own to a processor's health path: probes that risk no payment.
//!
//! While a breaker is open and its wait is over, the heartbeat takes the probe's place, and charges wait for what it
//! says. While closed it is sent every so often, by one worker of the proxy: as many bad ones in a row as failed charges
//! open it, and a good one ends that row and says nothing else, as a health page that answers does not say that charges
//! work. The two rows are counted apart: at night a heartbeat lost every hour would otherwise add up.

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

/// What a name in shared memory starts with: when the next one is due, and how many were bad in a row.
const NAME: &str = "switchyard.heartbeat.v1.";
/// A write is tried so often; a row that is one too short opens one heartbeat later.
const TRIES: u32 = 4;

/// Takes the turn that is due, for the whole proxy: false where it is not due, or where another worker takes it.
pub(crate) fn take_turn(memory: &mut dyn Memory, processor: &str, settings: &Settings, now: Mono) -> bool {
    let (due, row, version) = read(memory, processor);
    now.0 >= due && write(memory, processor, (now.after(settings.interval).0, row), version)
}

/// Counts a heartbeat of quiet times; how many were bad in a row now.
pub(crate) fn count(memory: &mut dyn Memory, processor: &str, good: bool) -> u32 {
    for _ in 0..TRIES {
        let (due, row, version) = read(memory, processor);
        let next = if good { 0 } else { row.saturating_add(1) };
        if next == row || write(memory, processor, (due, next), version) {
            return next;
        }
    }
    0
}

fn read(memory: &dyn Memory, processor: &str) -> (u64, u32, u32) {
    let (bytes, version) = memory.read(&format!("{NAME}{processor}")).unwrap_or_default();
    let due = bytes.first_chunk().map_or(0, |due| u64::from_le_bytes(*due));
    let row = bytes.last_chunk().filter(|_| bytes.len() == 12).map_or(0, |row| u32::from_le_bytes(*row));
    (due, row, version)
}

fn write(memory: &mut dyn Memory, processor: &str, (due, row): (u64, u32), version: u32) -> bool {
    let bytes = [due.to_le_bytes().as_slice(), row.to_le_bytes().as_slice()].concat();
    memory.swap(&format!("{NAME}{processor}"), &bytes, version)
}

/// Does the answer's status say that the processor is there? None: there was no answer.
pub fn is_good(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..400).contains(&status))
}
