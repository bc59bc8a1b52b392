//! The same traffic and the same failure for every arm, and what its clients saw.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::client::{Answer, Client, Request};
use e2e::processor::{Control, Mode};
use e2e::stack::{Acquirer, ProcessorProcess};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Failure;

/// Which of the three fails, and its share in every arm: weight 2 of 3 + 2 + 1.
pub(super) const FAILING: Acquirer = Acquirer::B;
const SHARE: f64 = 1.0 / 3.0;
/// The window in which a processor that is back must take half its share, and the step it is moved by.
const BACK_WINDOW: Duration = Duration::from_secs(1);
const BACK_STEP: Duration = Duration::from_millis(100);

/// How much traffic there is, and when one processor fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Requests per second.
    pub(super) rate: u16,
    /// What every answer of a processor takes.
    pub(super) latency_ms: u64,
    /// All is well for so long,
    pub(super) before: Duration,
    /// then one fails for so long,
    pub(super) failing: Duration,
    /// then all is well again.
    pub(super) after: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) sent: u32,
    pub(super) approved: u32,
    /// Arrivals at the failing processor while it failed.
    pub(super) reached: u32,
    /// From its mending until it takes half its share again.
    pub(super) back: Option<Duration>,
    /// How often a processor was shut out.
    pub(super) opened: u32,
    /// How often one was tried again, where that is told.
    pub(super) tried: Option<u32>,
}

impl Played {
    /// Requests that were not approved, whatever came instead.
    pub(super) fn failed(&self) -> u32 {
        self.sent - self.approved
    }
}

/// One request: when it left, and the name of the processor that approved it.
struct Shot {
    at: Duration,
    approved_by: Option<String>,
}

impl Course {
    /// From the first request to the last.
    pub(super) fn length(&self) -> Duration {
        self.before + self.failing + self.after
    }

    /// Of the requests that were its share while it failed, those that did not reach it, in percent.
    pub(super) fn kept_away_percent(&self, reached: u32) -> f64 {
        let share = f64::from(self.rate) * SHARE * self.failing.as_secs_f64();
        100.0 * (1.0 - f64::from(reached) / share)
    }

    /// Sends the traffic to `proxy` and lets [`FAILING`] fail in its course.
    pub(super) async fn play(
        &self,
        client: &Client,
        proxy: SocketAddr,
        processors: [&ProcessorProcess; 3],
        mode: &Mode,
    ) -> Result<Played, Failure> {
        let control = |mode: Mode| Control { mode, latency_ms: self.latency_ms, ..Control::default() };
        for processor in processors {
            processor.set(control(Mode::Approve)).await?;
        }
        // [`FAILING`]'s place.
        let [_, processor, _] = processors;
        let began = Instant::now();
        let fault = async {
            tokio::time::sleep(self.before).await;
            let before = processor.set(control(mode.clone())).await?.counts.charges;
            tokio::time::sleep(self.failing).await;
            let after = processor.set(control(Mode::Approve)).await?.counts.charges;
            Ok::<_, Failure>((u32::try_from(after - before)?, began.elapsed()))
        };
        let (shots, (reached, mended)) = tokio::try_join!(self.shoot(client, proxy, began), fault)?;
        let approved = shots.iter().filter(|shot| shot.approved_by.is_some()).count();
        if approved == 0 {
            return Err("no payment was approved, before, during or after the failure".into());
        }
        Ok(Played {
            sent: u32::try_from(shots.len())?,
            approved: u32::try_from(approved)?,
            reached,
            back: self.back(&shots, FAILING.name(), mended),
            opened: 0,
            tried: None,
        })
    }

    async fn shoot(&self, client: &Client, proxy: SocketAddr, began: Instant) -> Result<Vec<Shot>, Failure> {
        let mut turns = tokio::time::interval(Duration::from_secs(1) / u32::from(self.rate));
        let mut out = JoinSet::new();
        loop {
            // A late turn is made up for: the load does not wait for who is slow.
            turns.tick().await;
            let at = began.elapsed();
            if at >= self.length() {
                break;
            }
            let client = client.clone();
            out.spawn(async move {
                let answer = client.send(proxy, payment()).await;
                Shot { at, approved_by: answer.ok().as_ref().and_then(approved_by) }
            });
        }
        let mut shots = Vec::new();
        while let Some(shot) = out.join_next().await {
            shots.push(shot?);
        }
        Ok(shots)
    }

    fn back(&self, shots: &[Shot], name: &str, mended: Duration) -> Option<Duration> {
        let enough = f64::from(self.rate) * SHARE / 2.0 * BACK_WINDOW.as_secs_f64();
        let taken = |from: Duration| {
            let within = |shot: &&Shot| (from..from + BACK_WINDOW).contains(&shot.at);
            let its = shots.iter().filter(within).filter(|shot| shot.approved_by.as_deref() == Some(name));
            u32::try_from(its.count()).map_or(0.0, f64::from)
        };
        let starts = (0..).map(|step| mended + BACK_STEP * step).take_while(|at| *at + BACK_WINDOW <= self.length());
        starts.into_iter().find(|at| taken(*at) >= enough).map(|at| at - mended)
    }
}

/// A charge without an idempotency key: no claim, and nothing but the balancer's turn says who takes it.
fn payment() -> Request {
    Request::post("/v1/payments").header("authorization", "Bearer compare").json(&json!({
        "amount": 1200, "currency": "EUR", "merchant": "m-1", "reference": "compare",
        "source": {"number": "4242424242424242"},
    }))
}

/// The processor that says the payment succeeded.
fn approved_by(answer: &Answer) -> Option<String> {
    let said: Value = answer.json().ok().filter(|_| answer.status == 201)?;
    (said["status"] == "succeeded").then(|| said["processor"].as_str().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const COURSE: Course = Course {
        rate: 30,
        latency_ms: 0,
        before: Duration::from_secs(1),
        failing: Duration::from_secs(6),
        after: Duration::from_secs(5),
    };

    /// Ten approvals a second by the processor from `from` on: its whole share.
    fn shots(from: u64) -> Vec<Shot> {
        let ticks = (0..120).map(|n| Duration::from_millis(n * 100));
        let by = |at: Duration| (at >= Duration::from_millis(from)).then(|| "b".to_owned());
        ticks.map(|at| Shot { at, approved_by: by(at) }).collect()
    }

    #[test]
    fn it_is_back_when_it_takes_half_its_share() {
        let mended = Duration::from_secs(7);
        let back = |from| COURSE.back(&shots(from), "b", mended);
        assert_eq!(back(0), Some(Duration::ZERO));
        // Half of the window that begins half a second earlier.
        assert_eq!(back(9_000), Some(Duration::from_millis(1_500)));
        assert_eq!(back(11_900), None);
        assert_eq!(COURSE.back(&shots(0), "a", mended), None);
    }

    #[test]
    fn what_is_kept_away_is_measured_by_its_share() {
        // 60 requests were its share while it failed.
        assert!((COURSE.kept_away_percent(0) - 100.0).abs() < 1e-9);
        assert!((COURSE.kept_away_percent(6) - 90.0).abs() < 1e-9);
    }
}
