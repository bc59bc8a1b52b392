//! What a worker has seen of its processors, brought about as traffic would bring it about.
//!
//! Nothing is set: requests are counted in and out, with the outcomes that are told. So no state can be told that traffic
//! could not lead to.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::breaker::Mode;
use decision::breakers::Traits;
use decision::operation::{Kind, WhenOpen};
use decision::payment::{Outcome, Scheme};
use decision::processor::ProcessorId;
use decision::router::{Router, Told};
use decision::time::{Mono, Now};
use serde::Deserialize;

/// Requests of one sort: as many payments as the highest `min_volume` asks for.
const COUNT_MAX: u32 = 100_000;
/// Milliseconds an answer takes, as the slowest call that a breaker can be told.
const LATENCY_MS_MAX: u32 = 600_000;
/// Milliseconds a processor asks to be left alone; a longer wait is cut to this by the router.
const RETRY_AFTER_MS_MAX: u32 = 300_000;
/// A higher load is not believed.
const LOAD_MAX: f64 = 1_000.0;

/// What was seen of one processor, in the order of time.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Past {
    in_flight: u32,
    latency_ms: Option<u32>,
    load: Option<f64>,
    retry_after_ms: Option<u32>,
    approved: u32,
    declined: u32,
    failures: u32,
    breaker: Option<Breaker>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Breaker {
    Open,
    Closed,
}

/// Brings it about; `scheme` is that of the answered charges. The error is a path and what is wrong there.
pub(crate) fn bring_about(
    router: &mut Router,
    state: &BTreeMap<String, Past>,
    scheme: Option<Scheme>,
    now: Now,
) -> Result<(), (String, String)> {
    for (name, past) in state {
        let at = |field: &str| format!("state.{name}{field}");
        let Some(id) = router.config().processor_named(name) else {
            let names: Vec<&str> = router.config().processors.iter().map(|p| p.name.as_str()).collect();
            return Err((at(""), format!("no such processor: there is {}", names.join(", "))));
        };
        bounds(past).map_err(|(field, message)| (at(&format!(".{field}")), message))?;
        Worker { router, id, scheme, now }.see(past).map_err(|message| (at(".breaker"), message))?;
    }
    Ok(())
}

fn bounds(past: &Past) -> Result<(), (&'static str, String)> {
    for (field, given, max) in [
        ("in_flight", past.in_flight, COUNT_MAX),
        ("approved", past.approved, COUNT_MAX),
        ("declined", past.declined, COUNT_MAX),
        ("failures", past.failures, COUNT_MAX),
        ("latency_ms", past.latency_ms.unwrap_or(0), LATENCY_MS_MAX),
        ("retry_after_ms", past.retry_after_ms.unwrap_or(0), RETRY_AFTER_MS_MAX),
    ] {
        if given > max {
            return Err((field, format!("{given} is not within 0 to {max}")));
        }
    }
    match past.load {
        Some(load) if !(0.0..=LOAD_MAX).contains(&load) => {
            Err(("load", format!("{load} is not within 0 to {LOAD_MAX}")))
        }
        _ => Ok(()),
    }
}

struct Worker<'a> {
    router: &'a mut Router,
    id: ProcessorId,
    scheme: Option<Scheme>,
    now: Now,
}

impl Worker<'_> {
    fn see(&mut self, past: &Past) -> Result<(), String> {
        for _ in 0..past.in_flight {
            // Never counted out: it stays in flight.
            let _ = self.router.admit_pinned(self.id, Kind::FollowUp, WhenOpen::Send, self.now);
        }
        let wait = |ms: u32| Duration::from_millis(ms.into());
        if past.latency_ms.is_some() || past.load.is_some() {
            self.answer(Told { load: past.load, ..Outcome::Answered.into() }, past.latency_ms.map(wait));
        }
        if let Some(ms) = past.retry_after_ms {
            self.answer(Told { retry_after: Some(wait(ms)), ..Outcome::RateLimited.into() }, None);
        }
        for (outcome, times) in [
            (Outcome::Approved, past.approved),
            (Outcome::DeclinedHard, past.declined),
            (Outcome::Failed, past.failures),
        ] {
            for _ in 0..times {
                self.answer(outcome.into(), None);
            }
        }
        match past.breaker {
            Some(Breaker::Open) => self.trip(),
            Some(Breaker::Closed) if !self.router.admits(self.id, self.now) => {
                let why = if self.mode() == Some(Mode::ForcedOpen) {
                    "the configuration forces this breaker open"
                } else {
                    "what is told of this processor opens its breaker: say open, or leave it out"
                };
                Err(why.to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Fails until the breaker opens.
    fn trip(&mut self) -> Result<(), String> {
        let of = self.router.config().processor(self.id);
        let tries = of.map_or(0, |of| of.breaker.consecutive_failures);
        for _ in 0..tries {
            if !self.router.admits(self.id, self.now) {
                break;
            }
            self.answer(Outcome::Failed.into(), None);
        }
        if self.router.admits(self.id, self.now) {
            return Err("this breaker keeps nothing out: its mode is not enforce".to_owned());
        }
        Ok(())
    }

    fn mode(&self) -> Option<Mode> {
        self.router.config().processor(self.id).map(|of| of.breaker.mode)
    }

    /// One charge, answered now after it took so long; without that it teaches nothing of speed.
    fn answer(&mut self, told: Told, took: Option<Duration>) {
        let Self { router, id, scheme, now } = self;
        let ticket = match router.try_admit(*id, &Traits::default(), *now) {
            Some(ticket) => Ok(ticket),
            // Sent before its breaker opened.
            None => router.admit_pinned(*id, Kind::Charge, WhenOpen::Send, *now),
        };
        let Ok(ticket) = ticket else { return };
        let ticket = match took.and_then(|took| u64::try_from(took.as_micros()).ok()) {
            Some(took) => ticket.sent(Now { mono: Mono(now.mono.0.saturating_sub(took)), ..*now }),
            None => ticket,
        };
        router.settle(ticket, Told { scheme: *scheme, ..told }, *now);
    }
}
