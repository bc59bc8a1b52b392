//! The state machine as a value.

use std::time::Duration;

use super::window::{Tally, Window};
use super::{Grant, Mode, Role, Seen, Settings, Span, Standing, Transition, Verdict};
use crate::backoff;
use crate::rng::Rng;
use crate::time::Mono;

/// Probes of one half-open time, at most.
pub const PROBES: u32 = 16;
/// Issuers that are told apart.
pub const ISSUERS: usize = 4;

/// What all workers of a proxy know of one breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Which state this is: it grows with each change.
    pub(super) epoch: u32,
    pub(super) state: State,
    pub(super) window: Window,
    /// Issuers whose failures were seen while closed, and when last.
    pub(super) issuers: [Option<(u32, Mono)>; ISSUERS],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed {
        /// In a row.
        failures: u32,
        /// Openings before this, one soon after the other.
        trips: u32,
        since: Mono,
    },
    Open {
        until: Mono,
        trips: u32,
    },
    HalfOpen {
        trips: u32,
        passed: u32,
        out: Vec<Permit>,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0, trips: 0, since: Mono(0) }
    }
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    pub(super) id: u64,
    pub(super) until: Mono,
}

impl Record {
    /// What it lets through now.
    pub fn standing(&self, settings: &Settings, now: Mono) -> Standing {
        match settings.mode {
            Mode::Disabled => return Standing::Closed,
            Mode::ForcedOpen => return Standing::ForcedOpen,
            Mode::Observe => return Standing::Closed,
            Mode::Enforce => {}
        }
        self.state_at(settings, now)
    }

    fn state_at(&self, settings: &Settings, now: Mono) -> Standing {
        match &self.state {
            State::Closed { .. } => Standing::Closed,
            State::Open { until, .. } if now >= *until => Standing::Probing,
            State::Open { until, .. } => Standing::Open(until.since(now)),
            State::HalfOpen { passed, out, .. } => {
                // With none out another may always go, also where a new configuration asks for fewer than have passed.
                if out.is_empty() || issued(*passed, out) < settings.probes.min(PROBES) {
                    Standing::Probing
                } else {
                    Standing::AwaitingProbe
                }
            }
        }
    }

    /// Takes leave to send, a probe's by the id `permit`; none while open or while all probes are out.
    pub fn acquire(&mut self, permit: u64, settings: &Settings, now: Mono) -> Option<(Grant, Option<Transition>)> {
        match settings.mode {
            Mode::Disabled => return Some((Grant::uncounted(), None)),
            Mode::ForcedOpen => return None,
            Mode::Enforce | Mode::Observe => {}
        }
        match self.state_at(settings, now) {
            Standing::Closed => Some((self.grant(Role::Regular), None)),
            Standing::Probing => {
                let until = now.after(settings.probe_timeout);
                let transition = if let State::Open { trips, .. } = self.state {
                    self.enter(State::HalfOpen { trips, passed: 0, out: Vec::new() });
                    Some(Transition::HalfOpened)
                } else {
                    None
                };
                if let State::HalfOpen { out, .. } = &mut self.state {
                    out.push(Permit { id: permit, until });
                }
                Some((self.grant(Role::Probe(permit)), transition))
            }
            // Observed only: it goes, and says nothing of the state.
            _ if settings.mode == Mode::Observe => Some((Grant::uncounted(), None)),
            _ => None,
        }
    }

    /// Counts a result that came `times` times over.
    pub fn settle(
        &mut self,
        grant: &Grant,
        seen: Seen,
        times: u32,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Transition> {
        if grant.epoch != self.epoch || grant.role == Role::Uncounted || settings.mode == Mode::Disabled {
            return None;
        }
        match (&mut self.state, grant.role) {
            (State::Closed { .. }, _) => self.settle_closed(seen, times, settings, now, rng),
            (State::HalfOpen { trips, passed, out }, Role::Probe(id)) => {
                let before = out.len();
                out.retain(|permit| permit.id != id);
                if out.len() == before {
                    return None;
                }
                let slow = is_slow(seen, settings);
                match probed(seen, slow) {
                    Verdict::Bad => {
                        let trips = trips.saturating_add(1);
                        Some(self.open(trips, settings, now, rng))
                    }
                    Verdict::Good => {
                        *passed = passed.saturating_add(1);
                        let (passed, trips) = (*passed, trips.saturating_add(1));
                        let one = Tally { calls: 1, failures: 0, slow: u32::from(slow) };
                        self.window.count(one, settings.span, now, now);
                        if passed < settings.probes.min(PROBES) {
                            return None;
                        }
                        // Of the probes no more may be slow than of other calls.
                        let all = self.window.tally(settings.span, now);
                        if over(all.slow, settings.slow_percent, all.calls) {
                            return Some(self.open(trips, settings, now, rng));
                        }
                        self.enter(State::Closed { failures: 0, trips, since: now });
                        Some(Transition::Closed)
                    }
                    // It says nothing: another may go.
                    Verdict::Issuer | Verdict::Neutral => None,
                }
            }
            (State::Open { .. } | State::HalfOpen { .. }, _) => None,
        }
    }

    /// Counts good results of the past for the shares alone.
    pub(super) fn count_good(
        &mut self,
        grant: &Grant,
        seen: Seen,
        times: u32,
        settings: &Settings,
        (at, now): (Mono, Mono),
    ) {
        if grant.epoch == self.epoch && matches!(self.state, State::Closed { .. }) {
            let slow = if is_slow(seen, settings) { times } else { 0 };
            self.window.count(Tally { calls: times, failures: 0, slow }, settings.span, at, now);
        }
    }

    /// A probe that never came back has failed, and no opening is longer than the configuration now says.
    pub fn expire(&mut self, settings: &Settings, now: Mono, rng: &mut Rng) -> Option<Transition> {
        match &mut self.state {
            State::Open { until, .. } => {
                *until = (*until).min(now.after(settings.open_max));
                None
            }
            State::HalfOpen { trips, out, .. } if out.iter().any(|permit| now >= permit.until) => {
                let trips = trips.saturating_add(1);
                Some(self.open(trips, settings, now, rng))
            }
            _ => None,
        }
    }

    fn settle_closed(
        &mut self,
        seen: Seen,
        times: u32,
        settings: &Settings,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Transition> {
        let blames = match (seen.verdict, seen.issuer) {
            (Verdict::Good, _) => false,
            (Verdict::Bad, _) | (Verdict::Issuer, None) => true,
            (Verdict::Issuer, Some(issuer)) => {
                if self.issuers_failing(issuer, settings, now) < settings.issuers {
                    return None;
                }
                true
            }
            // A client that gave up on a slow call saw that it was slow.
            (Verdict::Neutral, _) if is_slow(seen, settings) => false,
            (Verdict::Neutral, _) => return None,
        };
        let count = |counts: bool| if counts { times } else { 0 };
        let one = Tally { calls: times, failures: count(blames), slow: count(is_slow(seen, settings)) };
        self.window.count(one, settings.span, now, now);
        let State::Closed { failures, trips, since } = &mut self.state else { return None };
        *failures = match seen.verdict {
            _ if blames => failures.saturating_add(times),
            Verdict::Good => 0,
            _ => *failures,
        };
        let in_a_row = *failures >= settings.consecutive_failures;
        let trips = if now.since(*since) <= settings.open_max { *trips } else { 0 };
        // Only what makes a share worse can make it too large.
        let by_share = (one.failures > 0 || one.slow > 0) && over_a_share(&self.window, settings, now);
        (in_a_row || by_share).then(|| self.open(trips, settings, now, rng))
    }

    /// How many issuers failed within the span, this one included.
    fn issuers_failing(&mut self, issuer: u32, settings: &Settings, now: Mono) -> u32 {
        let span = match settings.span {
            Span::Time(span) => span,
            Span::Calls(_) => ISSUERS_SPAN,
        };
        for slot in &mut self.issuers {
            if slot.is_some_and(|(known, at)| known == issuer || now.since(at) > span) {
                *slot = None;
            }
        }
        // A free place, else that of the one seen longest ago.
        if let Some(slot) = self.issuers.iter_mut().min_by_key(|slot| slot.map_or(Mono(0), |(_, at)| at)) {
            *slot = Some((issuer, now));
        }
        u32::try_from(self.issuers.iter().flatten().count()).unwrap_or(u32::MAX)
    }

    fn open(&mut self, trips: u32, settings: &Settings, now: Mono, rng: &mut Rng) -> Transition {
        let wait = backoff::wait(settings.open, settings.open_max, trips, rng);
        self.enter(State::Open { until: now.after(wait), trips });
        Transition::Opened
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.window = Window::default();
        self.issuers = [None; ISSUERS];
        self.epoch = self.epoch.wrapping_add(1);
    }

    fn grant(&self, role: Role) -> Grant {
        Grant { epoch: self.epoch, role }
    }

    /// May the result of a request that somebody else sent at `sent` count? Not where it is a straggler of an earlier
    /// state.
    pub(crate) fn heeds(&self, sent: Mono) -> bool {
        match &self.state {
            State::Closed { since, .. } => *since <= sent,
            State::Open { until, .. } => *until <= sent,
            State::HalfOpen { out, .. } => out.is_empty(),
        }
    }

    /// Closed and without a failure in a row: a good result changes nothing but the window.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0, .. })
    }

    /// What other workers must know at once; when only other things change, they may learn it later.
    pub(super) fn signature(&self) -> (u32, bool, u32) {
        let issued = match &self.state {
            State::HalfOpen { passed, out, .. } => issued(*passed, out),
            State::Closed { .. } | State::Open { .. } => 0,
        };
        (self.epoch, self.is_quiet(), issued)
    }
}

/// How long an issuer's failure is remembered where the window counts calls: the default window of time.
const ISSUERS_SPAN: Duration = Duration::from_secs(10);

/// What a probe's result says: what could open a breaker keeps it open. A client that gave up on a slow call saw one.
fn probed(seen: Seen, slow: bool) -> Verdict {
    match seen.as_probe {
        Verdict::Issuer if seen.issuer.is_none() => Verdict::Bad,
        Verdict::Neutral if slow => Verdict::Good,
        verdict => verdict,
    }
}

fn issued(passed: u32, out: &[Permit]) -> u32 {
    passed.saturating_add(u32::try_from(out.len()).unwrap_or(u32::MAX))
}

pub(super) fn is_slow(seen: Seen, settings: &Settings) -> bool {
    settings.slow_percent.is_some() && seen.took.is_some_and(|took| took > settings.slow_call)
}

fn over_a_share(window: &Window, settings: &Settings, now: Mono) -> bool {
    let Tally { calls, failures, slow } = window.tally(settings.span, now);
    calls >= settings.calls_min
        && (over(failures, settings.failure_percent, calls) || over(slow, settings.slow_percent, calls))
}

/// Is so much of all calls too much?
fn over(part: u32, percent: Option<u32>, calls: u32) -> bool {
    percent.is_some_and(|percent| u64::from(part) * 100 >= u64::from(percent) * u64::from(calls))
}
