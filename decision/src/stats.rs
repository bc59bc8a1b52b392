//! What traffic teaches of a processor: changed once per request, read by the balancing policies.
//!
//! A policy judges by what it is told here and by nothing else, so two policies never disagree about what happened.
//! It is one worker's knowledge. Every number fades: a processor that was bad yesterday is tried again today.

use std::time::Duration;

use crate::breaker::Verdict;
use crate::ewma::{Decayed, PeakEwma};
use crate::payment::Scheme;
use crate::time::Mono;

/// How long latencies are remembered: the 10 s of Finagle, Linkerd and Envoy's peak EWMA.
const LATENCY_TAU: Duration = Duration::from_secs(10);
/// How long failures are remembered: Finagle's 30 s for success rates.
const FAILURE_TAU: Duration = Duration::from_secs(30);
/// How long approvals are remembered. Rates move with issuers and fraud within hours, and a worker sees few payments.
const APPROVAL_TAU: Duration = Duration::from_secs(3_600);
/// How long a load report holds: Envoy's `weight_expiration_period`, 3 minutes.
const LOAD_EXPIRES: Duration = Duration::from_secs(180);
/// The highest load that is believed; reports are usually within 0 to 1.
const LOAD_MAX: f64 = 1_000.0;
/// What a failure counts as, at least: Linkerd's 5 s. A processor that fails fast must not look fast.
const PENALTY: Duration = Duration::from_secs(5);
/// What an answer counts as, at least, that says nothing of the processor's work, such as a 429: it was quick because
/// nothing was done. One second keeps it from looking idle, and from being avoided for long.
const REFUSAL: Duration = Duration::from_secs(1);
/// The longest wait a processor may ask for: Linkerd's 300 s.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// What became of a payment, where it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The money may be taken.
    Approved,
    /// The issuer said no.
    Declined,
}

/// What one answer, or its absence, tells.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// How long the answer took; none when there was none to time, as when the client left or nothing was sent.
    pub latency: Option<Duration>,
    /// What it says of the processor.
    pub verdict: Verdict,
    /// What became of the payment.
    pub approval: Option<Approval>,
    /// By which card scheme.
    pub scheme: Option<Scheme>,
    /// How long the processor asks to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The load it reports of itself.
    pub load: Option<f64>,
}

/// Faded counts of decided payments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Approvals {
    /// Approved.
    pub approved: f64,
    /// Declined.
    pub declined: f64,
}

/// One processor, as one worker has seen it.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    in_flight: u32,
    latency: PeakEwma,
    answered: Option<Mono>,
    last: Last,
    /// Requests it did, and those it failed.
    judged: Decayed,
    /// Approved and declined, by the scheme's place in [`Scheme::ALL`]; the last is for payments whose scheme is not
    /// known.
    approvals: [Decayed; Scheme::ALL.len() + 1],
    load: Option<(f64, Mono)>,
    quiet_until: Option<Mono>,
    slow_start: Option<Mono>,
}

impl Stats {
    /// Counts a request in.
    pub fn sent(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Counts a request out that taught nothing.
    pub fn left(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Counts a request out and learns from its end.
    pub fn observe(&mut self, seen: &Observation, now: Mono) {
        self.left();
        let asked = seen.retry_after.map(|wait| wait.min(RETRY_AFTER_MAX));
        if let Some(wait) = asked {
            self.quiet_until = self.quiet_until.max(Some(now.after(wait)));
        }
        let latency = seen.latency.map(|latency| latency.as_secs_f64());
        match seen.verdict {
            Verdict::Good | Verdict::Issuer => {
                if let Some(latency) = latency {
                    self.latency.observe(latency, now, LATENCY_TAU);
                    self.answered = Some(now);
                    self.last = Last::Work;
                }
            }
            Verdict::Bad => {
                let cost = asked.map_or(PENALTY, |wait| wait.max(PENALTY)).as_secs_f64();
                self.latency.raise(cost.max(latency.unwrap_or(0.0)), now, LATENCY_TAU);
                self.last = Last::NoWork;
            }
            Verdict::Neutral => {
                if let Some(latency) = latency {
                    self.latency.raise(latency.max(REFUSAL.as_secs_f64()), now, LATENCY_TAU);
                    self.last = Last::NoWork;
                }
            }
        }
        match seen.verdict {
            Verdict::Good => self.judged.add([1.0, 0.0], now, FAILURE_TAU),
            Verdict::Bad => self.judged.add([0.0, 1.0], now, FAILURE_TAU),
            Verdict::Issuer | Verdict::Neutral => {}
        }
        if let (Some(approval), Some(counts)) = (seen.approval, self.approvals.get_mut(slot(seen.scheme))) {
            let amounts = match approval {
                Approval::Approved => [1.0, 0.0],
                Approval::Declined => [0.0, 1.0],
            };
            counts.add(amounts, now, APPROVAL_TAU);
        }
        if let Some(load) = seen.load.filter(|load| load.is_finite() && *load >= 0.0) {
            self.load = Some((load.min(LOAD_MAX), now));
        }
    }

    /// It is back after its breaker was open: its share grows from here.
    pub fn begin_slow_start(&mut self, now: Mono) {
        self.slow_start = Some(now);
    }

    /// Requests that are not counted out.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What another worker is told of this processor: everything but what is in flight, which is counted out here.
    pub fn handed_over(&self) -> Self {
        Self { in_flight: 0, ..self.clone() }
    }

    /// The peak EWMA of its latency in seconds; 0 before anything was timed.
    pub fn latency(&self, now: Mono) -> f64 {
        self.latency.read(now, LATENCY_TAU)
    }

    /// Did it answer so lately that the average still says how fast it is, not only how long it was idle?
    pub fn answered_lately(&self, now: Mono) -> bool {
        self.answered.is_some_and(|at| now.since(at) <= LATENCY_TAU)
    }

    /// Was the last answer one that took no work? Then little in flight is no sign of room.
    pub fn does_no_work(&self) -> bool {
        self.last == Last::NoWork
    }

    /// The share of requests that it did not fail, 0 to 1, as `1 - failed / (all + 1)`: one failure alone does not
    /// condemn.
    pub fn success(&self, now: Mono) -> f64 {
        let [done, failed] = self.judged.read(now, FAILURE_TAU);
        1.0 - failed / (done + failed + 1.0)
    }

    /// Decided payments of a scheme; none: of those whose scheme is not known.
    pub fn approvals(&self, scheme: Option<Scheme>, now: Mono) -> Approvals {
        let counts = self.approvals.get(slot(scheme)).copied().unwrap_or_default();
        let [approved, declined] = counts.read(now, APPROVAL_TAU);
        Approvals { approved, declined }
    }

    /// The load it reported, while the report holds.
    pub fn load(&self, now: Mono) -> Option<f64> {
        self.load.filter(|(_, at)| now.since(*at) <= LOAD_EXPIRES).map(|(load, _)| load)
    }

    /// How long it still asks to be left alone.
    pub fn asks_to_wait(&self, now: Mono) -> Duration {
        self.quiet_until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// How much of its share it may take, 0.1 to 1: Envoy's slow start, linear over `length`.
    pub fn warmth(&self, length: Duration, now: Mono) -> f64 {
        match self.slow_start {
            Some(began) if now.since(began) < length => {
                (now.since(began).as_secs_f64() / length.as_secs_f64()).max(0.1)
            }
            _ => 1.0,
        }
    }
}

/// How the last request that was timed ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Work,
    /// It failed, or was refused.
    NoWork,
}

fn slot(scheme: Option<Scheme>) -> usize {
    let known = scheme.and_then(|scheme| Scheme::ALL.iter().position(|s| *s == scheme));
    known.unwrap_or(Scheme::ALL.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(millis * 1_000)
    }

    fn seen(verdict: Verdict, millis: u64) -> Observation {
        Observation {
            latency: Some(Duration::from_millis(millis)),
            verdict,
            approval: None,
            scheme: None,
            retry_after: None,
            load: None,
        }
    }

    #[test]
    fn a_failure_counts_as_a_long_latency_however_fast_it_was() {
        let secs = Duration::from_secs;
        for (verdict, millis, retry_after, want) in [
            (Verdict::Good, 20, None, 0.02),
            (Verdict::Issuer, 20, None, 0.02),
            (Verdict::Bad, 1, None, 5.0),
            (Verdict::Bad, 1, Some(secs(2)), 5.0),
            (Verdict::Bad, 1, Some(secs(60)), 60.0),
            (Verdict::Bad, 1, Some(secs(86_400)), 300.0),
            (Verdict::Bad, 30_000, None, 30.0),
        ] {
            let mut stats = Stats::default();
            stats.observe(&Observation { retry_after, ..seen(verdict, millis) }, at(0));
            assert_eq!(stats.latency(at(0)), want, "{verdict:?} {millis} {retry_after:?}");
        }
        // A second failure does not lower what the first one raised.
        let mut stats = Stats::default();
        stats.observe(&Observation { retry_after: Some(secs(60)), ..seen(Verdict::Bad, 1) }, at(0));
        stats.observe(&seen(Verdict::Bad, 1), at(1_000));
        assert!(stats.latency(at(1_000)) > 50.0);
    }

    #[test]
    fn who_asks_to_wait_has_not_failed() {
        let mut stats = Stats::default();
        stats.observe(&seen(Verdict::Good, 50), at(0));
        let asks = Observation { retry_after: Some(Duration::from_secs(3)), ..seen(Verdict::Neutral, 1) };
        stats.observe(&asks, at(0));
        assert_eq!(stats.asks_to_wait(at(1_000)), Duration::from_secs(2));
        assert_eq!(stats.asks_to_wait(at(3_000)), Duration::ZERO);
        assert_eq!(stats.success(at(0)), 1.0);
        assert_eq!(stats.latency(at(0)), 1.0, "a quick 429 is no proof of speed");
        let mut stats = Stats::default();
        stats.observe(&Observation { latency: None, ..seen(Verdict::Neutral, 0) }, at(0));
        assert_eq!(stats.latency(at(0)), 0.0, "a client that leaves says nothing");
        for (verdict, want) in [(Verdict::Bad, true), (Verdict::Good, false), (Verdict::Neutral, true)] {
            stats.observe(&seen(verdict, 1), at(0));
            assert_eq!(stats.does_no_work(), want);
        }
    }

    #[test]
    fn what_is_in_flight_is_counted_in_and_out_and_never_below_nothing() {
        let mut stats = Stats::default();
        stats.sent();
        stats.sent();
        stats.left();
        assert_eq!(stats.in_flight(), 1);
        stats.observe(&seen(Verdict::Good, 1), at(1));
        stats.left();
        assert_eq!(stats.in_flight(), 0);
    }

    #[test]
    fn failures_fade_and_approvals_are_kept_by_scheme() {
        let mut stats = Stats::default();
        for _ in 0..9 {
            stats.observe(&seen(Verdict::Bad, 1), at(0));
        }
        assert!((stats.success(at(0)) - 0.1).abs() < 1e-9);
        assert!(stats.success(at(300_000)) > 0.99);
        for (scheme, approval) in [
            (Some(Scheme::Elo), Approval::Approved),
            (Some(Scheme::Elo), Approval::Declined),
            (None, Approval::Declined),
        ] {
            let decided = Observation { approval: Some(approval), scheme, ..seen(Verdict::Good, 1) };
            stats.observe(&decided, at(0));
        }
        let counts = |scheme| {
            let Approvals { approved, declined } = stats.approvals(scheme, at(0));
            (approved, declined)
        };
        assert_eq!(counts(Some(Scheme::Elo)), (1.0, 1.0));
        assert_eq!(counts(None), (0.0, 1.0));
        assert_eq!(counts(Some(Scheme::Visa)), (0.0, 0.0));
    }

    #[test]
    fn a_load_report_is_bounded_and_expires() {
        let mut stats = Stats::default();
        for bad in [f64::NAN, f64::INFINITY, -0.1] {
            stats.observe(&Observation { load: Some(bad), ..seen(Verdict::Good, 1) }, at(0));
            assert_eq!(stats.load(at(0)), None);
        }
        stats.observe(&Observation { load: Some(1e300), ..seen(Verdict::Good, 1) }, at(0));
        assert_eq!(stats.load(at(180_000)), Some(LOAD_MAX));
        assert_eq!(stats.load(at(180_001)), None);
    }

    #[test]
    fn a_slow_start_grows_from_a_tenth_to_all() {
        let mut stats = Stats::default();
        let length = Duration::from_secs(10);
        assert_eq!(stats.warmth(length, at(0)), 1.0);
        stats.begin_slow_start(at(0));
        for (millis, want) in [(0, 0.1), (500, 0.1), (5_000, 0.5), (10_000, 1.0), (60_000, 1.0)] {
            assert_eq!(stats.warmth(length, at(millis)), want, "{millis}");
        }
        assert_eq!(stats.warmth(Duration::ZERO, at(0)), 1.0);
    }
}
