//! Keeps a failing processor out until a probe says it is back.
//!
//! Closed: traffic flows, and consecutive failures are counted. Open: nothing flows until a jittered, growing wait is
//! over. Half-open: one probe at a time; its success closes, its failure opens for longer. A decline is not a failure:
//! what blames the processor is decided in [`crate::payment::Outcome::blame`], not here.
//!
//! Why not Envoy's outlier detection: it lets traffic back at full weight when its timer ends, and never sees a
//! failure inside a 2xx body. Why consecutive failures first: fleets of two to four processors with little traffic
//! each have no volume for a rate; the rate comes beside it, not instead.
//!
//! A result that arrives after the state has changed belongs to the past: a [`Grant`] carries the epoch it was given
//! in, and a settlement of another epoch is ignored. So a straggler neither closes a breaker nor opens it again.

use std::time::Duration;

use crate::backoff;
use crate::rng::Rng;
use crate::time::Mono;

/// When a breaker opens and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// So many failures in a row open it; at least 1.
    pub consecutive_failures: u32,
    /// How long the first opening lasts, before jitter.
    pub open: Duration,
    /// The longest opening.
    pub open_max: Duration,
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

/// Leave to send one request; consumed by [`Breaker::settle`].
#[derive(Debug)]
pub struct Grant {
    epoch: u64,
    role: Role,
}

impl Grant {
    /// Is this the request that decides whether a half-open breaker closes?
    pub fn is_probe(&self) -> bool {
        self.role == Role::Probe
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Role {
    Regular,
    Probe,
}

/// A change worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Closed or half-open to open.
    Opened,
    /// Open to half-open: a probe is on its way.
    HalfOpened,
    /// Half-open to closed.
    Closed,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Mono, trips: u32 },
    HalfOpen { trips: u32, probing: Probing },
}

#[derive(Debug, PartialEq, Eq)]
enum Probing {
    Idle,
    InFlight,
}

/// The state machine of one processor in one worker.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    epoch: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 }, epoch: 0 }
    }
}

impl Breaker {
    /// May a request be sent now?
    pub fn admits(&self, now: Mono) -> bool {
        match &self.state {
            State::Closed { .. } => true,
            State::Open { until, .. } => now >= *until,
            State::HalfOpen { probing, .. } => *probing == Probing::Idle,
        }
    }

    /// How long until a probe may go; zero where [`Self::admits`] or where a probe is out.
    pub fn opens_again_in(&self, now: Mono) -> Duration {
        match &self.state {
            State::Open { until, .. } => until.since(now),
            State::Closed { .. } | State::HalfOpen { .. } => Duration::ZERO,
        }
    }

    /// Takes leave to send; none while open, or while half-open with the probe out.
    pub fn acquire(&mut self, now: Mono) -> Option<(Grant, Option<Transition>)> {
        match &mut self.state {
            State::Closed { .. } => Some((self.regular(), None)),
            State::Open { until, trips } if now >= *until => {
                let trips = *trips;
                self.enter(State::HalfOpen { trips, probing: Probing::InFlight });
                Some((self.probe(), Some(Transition::HalfOpened)))
            }
            State::Open { .. } => None,
            State::HalfOpen { probing: Probing::InFlight, .. } => None,
            State::HalfOpen { probing, .. } => {
                *probing = Probing::InFlight;
                Some((self.probe(), None))
            }
        }
    }

    /// Counts a result.
    pub fn settle(
        &mut self,
        grant: Grant,
        verdict: Verdict,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Transition> {
        if grant.epoch != self.epoch {
            return None;
        }
        match (&mut self.state, grant.role, verdict) {
            (State::Closed { failures }, _, Verdict::Good) => {
                *failures = 0;
                None
            }
            (State::Closed { failures }, _, Verdict::Bad | Verdict::Issuer) => {
                *failures = failures.saturating_add(1);
                if *failures < settings.consecutive_failures {
                    return None;
                }
                Some(self.open(0, settings, now, rng))
            }
            (State::HalfOpen { .. }, Role::Probe, Verdict::Good) => {
                self.enter(State::Closed { failures: 0 });
                Some(Transition::Closed)
            }
            (State::HalfOpen { trips, .. }, Role::Probe, Verdict::Bad | Verdict::Issuer) => {
                let trips = trips.saturating_add(1);
                Some(self.open(trips, settings, now, rng))
            }
            (State::HalfOpen { probing, .. }, Role::Probe, Verdict::Neutral) => {
                *probing = Probing::Idle;
                None
            }
            (State::Closed { .. }, _, Verdict::Neutral)
            | (State::Open { .. }, _, _)
            | (State::HalfOpen { .. }, Role::Regular, _) => None,
        }
    }

    fn open(&mut self, trips: u32, settings: &Settings, now: Mono, rng: &mut Rng) -> Transition {
        let wait = backoff::wait(settings.open, settings.open_max, trips, rng);
        self.enter(State::Open { until: now.after(wait), trips });
        Transition::Opened
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch = self.epoch.wrapping_add(1);
    }

    fn regular(&self) -> Grant {
        Grant { epoch: self.epoch, role: Role::Regular }
    }

    fn probe(&self) -> Grant {
        Grant { epoch: self.epoch, role: Role::Probe }
    }
}
