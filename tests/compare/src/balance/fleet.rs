//! Simulated processors: how long each answer takes, which of them fail, and what callers saw.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use decision::rng::Rng;
use decision::time::Mono;
use tokio::time::Instant;
use tower::BoxError;

/// Traffic, and what goes wrong with whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) processors: usize,
    /// So many of them, from the first, are faulty
    pub(super) faulty: usize,
    /// in this way
    pub(super) fault: Fault,
    /// from here
    pub(super) from: Duration,
    /// until there.
    pub(super) until: Duration,
    /// Requests per second, sent evenly whatever becomes of those before.
    pub(super) rate: u32,
    /// The mean of an answer's latency: half of it always, the other half exponential.
    pub(super) base: Duration,
    /// A caller waits no longer, and takes what did not come for a failure.
    pub(super) deadline: Duration,
    /// From the first request to the last.
    pub(super) length: Duration,
}

/// What is wrong with a processor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It fails, after so long.
    FailsIn(Duration),
    /// Its answers are good and take so long.
    Takes(Duration),
}

impl Scenario {
    pub(super) fn is_faulty_at(&self, at: Duration) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// What a caller saw of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Which request.
    pub(super) number: u64,
    /// Who took it.
    pub(super) by: usize,
    /// When it was sent.
    pub(super) at: Duration,
    /// How long the caller waited.
    pub(super) took: Duration,
    /// Was it served?
    pub(super) good: bool,
}

/// The processors of one run, and what their callers saw.
pub(super) struct Fleet {
    pub(super) scenario: Scenario,
    pub(super) began: Instant,
    seed: u64,
    seen: Mutex<Vec<Seen>>,
}

impl Fleet {
    /// A fleet whose time begins now.
    pub(super) fn new(scenario: Scenario, seed: u64) -> Arc<Self> {
        Arc::new(Self { scenario, began: Instant::now(), seed, seen: Mutex::default() })
    }

    /// The time as ours is told it.
    pub(super) fn now(&self) -> Mono {
        Mono(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn processors(self: &Arc<Self>) -> impl Iterator<Item = Processor> + use<> {
        let fleet = Arc::clone(self);
        (0..fleet.scenario.processors).map(move |place| Processor { fleet: Arc::clone(&fleet), place })
    }

    /// Everything that callers saw, in the order of the requests.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.sort_by_key(|seen| seen.number);
        seen
    }

    /// Sends a request to the processor at `place` and waits as long as a caller does.
    pub(super) async fn serve(&self, number: u64, place: usize) -> Seen {
        let scenario = &self.scenario;
        let at = self.began.elapsed();
        let faulty = place < scenario.faulty && scenario.is_faulty_at(at);
        let (takes, good) = match scenario.fault {
            Fault::FailsIn(takes) if faulty => (takes, false),
            Fault::Takes(takes) if faulty => (takes, true),
            // Drawn by the request and not by who takes it: every balancer meets the same.
            _ => (latency(scenario.base, self.seed, number), true),
        };
        tokio::time::sleep(takes.min(scenario.deadline)).await;
        let took = self.began.elapsed() - at;
        let seen = Seen { number, by: place, at, took, good: good && takes <= scenario.deadline };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        seen
    }
}

fn latency(base: Duration, seed: u64, number: u64) -> Duration {
    let mut rng = Rng::new(Rng::new(seed).draw() ^ number);
    // In (0, 1), so that the logarithm is finite.
    let uniform = (f64::from(u32::try_from(rng.draw() >> 32).unwrap_or(0)) + 0.5) / 4_294_967_296.0;
    base.mul_f64(0.5 - 0.5 * uniform.ln())
}

/// One of the fleet, as tower calls it: a request is its number.
pub(super) struct Processor {
    fleet: Arc<Fleet>,
    place: usize,
}

impl tower::Service<u64> for Processor {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, number: u64) -> Self::Future {
        let (fleet, place) = (Arc::clone(&self.fleet), self.place);
        Box::pin(async move { fleet.serve(number, place).await.good.then_some(()).ok_or_else(|| "not served".into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_the_mean_that_is_asked_for() {
        let base = Duration::from_millis(200);
        let sum: Duration = (0..20_000).map(|n| latency(base, 5, n)).sum();
        assert!((sum.as_secs_f64() / 20_000.0 - 0.2).abs() < 0.004, "{sum:?}");
        assert!((0..20_000).all(|n| latency(base, 5, n) >= base / 2));
    }
}
