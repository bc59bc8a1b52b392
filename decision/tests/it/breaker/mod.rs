//! Breakers: when they open, what they let through, and what several workers of a proxy agree on.

mod record;
mod shared;

use std::time::Duration;

use decision::breaker::{Seen, Settings, Verdict};
use decision::time::Mono;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings::consecutive(3, SECOND, SECOND * 8)
}

fn at(millis: u64) -> Mono {
    Mono(millis * 1_000)
}

fn of_issuer(issuer: u32) -> Seen {
    Seen { issuer: Some(issuer), ..Verdict::Issuer.into() }
}
