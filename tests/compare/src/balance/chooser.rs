//! The same traffic through a balancer of ours and through one of tower's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use decision::balance::{Balancer, Member, Pick, Policy, Settings};
use decision::breaker::Verdict;
use decision::processor::{Candidates, ProcessorId};
use decision::rng::Rng;
use decision::stats::{Observation, Stats};
use decision::time::Mono;
use tokio::task::JoinSet;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::Load;
use tower::{BoxError, Service, ServiceExt};

use super::fleet::{Fleet, Scenario, Seen};
use crate::Failure;

/// Sends every request of a scenario at its time.
async fn at_their_times(fleet: &Fleet, mut send: impl AsyncFnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut turns = tokio::time::interval(Duration::from_secs(1) / fleet.scenario.rate);
    for number in 0.. {
        turns.tick().await;
        if fleet.began.elapsed() >= fleet.scenario.length {
            break;
        }
        send(number).await?;
    }
    Ok(())
}

/// A balancer of ours with what it is told of the processors, as the router keeps it.
pub(super) struct Mine {
    balancer: Balancer,
    stats: Vec<Stats>,
    candidates: Candidates,
    rng: Rng,
}

impl Mine {
    /// Processors of equal weight.
    pub(super) fn new(scenario: &Scenario, policy: Policy, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ids: Vec<ProcessorId> = (0..scenario.processors).filter_map(ProcessorId::new).collect();
        let members = ids.iter().map(|id| Member::new(*id, &format!("processor-{}", id.index()), 1)).collect();
        Self {
            balancer: Balancer::new(Settings::of(policy), members, &mut rng),
            stats: vec![Stats::default(); ids.len()],
            candidates: ids.into_iter().collect(),
            rng,
        }
    }

    fn send(&mut self, now: Mono) -> Result<usize, Failure> {
        let pick = Pick::of(self.candidates, now);
        let place = self.balancer.pick(&pick, &self.stats, &mut self.rng).ok_or("nobody was picked")?.index();
        self.stats.get_mut(place).ok_or("nobody of the fleet was picked")?.sent();
        Ok(place)
    }

    fn end(&mut self, seen: &Seen, now: Mono) {
        let verdict = if seen.good { Verdict::Good } else { Verdict::Bad };
        let latency = Some(seen.took);
        let told = Observation { latency, verdict, approval: None, scheme: None, retry_after: None, load: None };
        if let Some(stats) = self.stats.get_mut(seen.by) {
            stats.observe(&told, now);
        }
    }
}

/// Sends the traffic through a balancer of ours.
pub(super) async fn through_ours(fleet: &Arc<Fleet>, mine: Mine) -> Result<(), Failure> {
    let mine = Arc::new(Mutex::new(mine));
    let mut out = JoinSet::new();
    at_their_times(fleet, async |number| {
        let place = mine.lock().unwrap_or_else(PoisonError::into_inner).send(fleet.now())?;
        let (fleet, mine) = (Arc::clone(fleet), Arc::clone(&mine));
        out.spawn(async move {
            let seen = fleet.serve(number, place).await;
            mine.lock().unwrap_or_else(PoisonError::into_inner).end(&seen, fleet.now());
        });
        while out.try_join_next().is_some() {}
        Ok(())
    })
    .await?;
    while let Some(ended) = out.join_next().await {
        ended?;
    }
    Ok(())
}

/// A seeded source of randomness, as tower wants it.
struct Seeded(Rng);

impl tower::util::rng::Rng for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0.draw()
    }
}

/// Sends the traffic through tower's two random choices over these services.
pub(super) async fn through_tower<S>(
    fleet: &Arc<Fleet>,
    services: impl Iterator<Item = S>,
    seed: u64,
) -> Result<(), Failure>
where
    S: Service<u64, Response = (), Error = BoxError, Future: Send + 'static> + Load<Metric: std::fmt::Debug>,
{
    let services: Vec<S> = services.collect();
    let mut balance = Balance::from_rng(ServiceList::new::<u64>(services), Seeded(Rng::new(seed)));
    let mut out = JoinSet::new();
    at_their_times(fleet, async |number| {
        let ready = balance.ready().await.map_err(|error| error.to_string())?;
        out.spawn(ready.call(number));
        while out.try_join_next().is_some() {}
        Ok(())
    })
    .await?;
    while let Some(ended) = out.join_next().await {
        // Not being served was seen where it happened.
        let _ = ended?;
    }
    Ok(())
}
