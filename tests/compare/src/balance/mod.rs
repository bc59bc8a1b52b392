//! Balancers side by side on the same simulated processors, in virtual time: no network, and a minute takes seconds.
//!
//! tower's are the best known in this language: two random choices, then the lower load, by peak EWMA of latency or by
//! requests in flight. Round robin is what everything is measured by. A run is the same for the same seed, and every
//! balancer meets the same latencies request by request.

mod chooser;
mod fleet;

use std::fmt;
use std::time::Duration;

use decision::balance::Policy;
use tokio::runtime::Builder;
use tower::load::{CompleteOnResponse, PeakEwma, PendingRequests};

use crate::Failure;
use crate::table::{figure, table};
use chooser::{Mine, through_ours, through_tower};
use fleet::{Fault, Fleet, Processor, Scenario, Seen};

/// What tower takes a latency for before it has measured one: that of its own example.
const DEFAULT_RTT: Duration = Duration::from_millis(30);
/// How long tower's averages remember: that of its own example, and of ours.
const DECAY_NS: f64 = 10e9;
/// A balancer is given so long to learn that a processor fails; what it does after that is its judgement.
const LEARNT: Duration = Duration::from_secs(5);

/// How the balancers are compared.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seeds, each a run of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const SCENARIOS: [Scenario; 4] = {
    let (from, until, length) = (Duration::from_secs(10), Duration::from_secs(40), Duration::from_secs(60));
    let fails_fast = Fault::FailsIn(Duration::from_millis(5));
    let (base, deadline) = (Duration::from_millis(200), Duration::from_secs(10));
    let small = Scenario {
        name: "1 of 3 fails in 5 ms",
        processors: 3,
        faulty: 1,
        fault: fails_fast,
        rate: 200,
        base,
        deadline,
        from,
        until,
        length,
    };
    [
        small,
        Scenario { name: "1 of 11 fails in 5 ms", processors: 11, rate: 500, ..small },
        Scenario { name: "2 of 20 fail in 5 ms", processors: 20, faulty: 2, rate: 500, ..small },
        // Buoyant's of 2016: eleven, 1,000 requests/s, one takes 2 s for 30 of 60 s, callers wait 1 s.
        Scenario {
            name: "1 of 11 takes 2 s",
            processors: 11,
            fault: Fault::Takes(Duration::from_secs(2)),
            rate: 1_000,
            base: Duration::from_millis(50),
            deadline: Duration::from_secs(1),
            ..small
        },
    ]
};

/// A balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    RoundRobin,
    Ours,
    TowerPeakEwma,
    TowerPending,
}

const ARMS: [Arm; 4] = [Arm::RoundRobin, Arm::Ours, Arm::TowerPeakEwma, Arm::TowerPending];

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round robin",
            Self::Ours => "least response time",
            Self::TowerPeakEwma => "tower peak ewma",
            Self::TowerPending => "tower pending",
        })
    }
}

impl Arm {
    /// Plays a scenario from a seed.
    fn play(self, scenario: Scenario, seed: u64) -> Result<Vec<Seen>, Failure> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(async {
            let fleet = Fleet::new(scenario, seed);
            let processors = fleet.processors();
            let done = CompleteOnResponse::default();
            let ewma = |p: Processor| PeakEwma::new(p, DEFAULT_RTT, DECAY_NS, done);
            match self {
                Self::RoundRobin => through_ours(&fleet, Mine::new(&scenario, Policy::RoundRobin, seed)).await,
                Self::Ours => through_ours(&fleet, Mine::new(&scenario, Policy::LeastResponseTime, seed)).await,
                Self::TowerPeakEwma => through_tower(&fleet, processors.map(ewma), seed).await,
                Self::TowerPending => {
                    through_tower(&fleet, processors.map(|p| PendingRequests::new(p, done)), seed).await
                }
            }?;
            Ok(fleet.seen())
        })
    }
}

/// The figures of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    /// Answers that were no failure, in percent: of the whole run, and of what was sent while somebody failed and the
    /// balancer had had time to learn it.
    success: f64,
    learnt: f64,
    /// Of the requests that round robin would have sent to the faulty ones while they were so, those that were not.
    avoided: f64,
    /// 99th percentile of what callers waited while somebody failed, in milliseconds.
    p99_ms: f64,
}

impl Figures {
    fn of(scenario: &Scenario, seen: &[Seen]) -> Self {
        let percent = |part: usize, of: usize| 100.0 * count(part) / count(of);
        let success = |shots: &[&Seen]| percent(shots.iter().filter(|s| s.good).count(), shots.len());
        let all: Vec<&Seen> = seen.iter().collect();
        let during: Vec<&Seen> = seen.iter().filter(|s| scenario.is_faulty_at(s.at)).collect();
        let learnt: Vec<&Seen> = during.iter().copied().filter(|s| s.at >= scenario.from + LEARNT).collect();
        let reached = during.iter().filter(|s| s.by < scenario.faulty).count();
        let share = count(during.len()) * count(scenario.faulty) / count(scenario.processors);
        let mut waits: Vec<Duration> = during.iter().map(|s| s.took).collect();
        waits.sort();
        let p99 = waits.get(waits.len() * 99 / 100).map_or(f64::NAN, Duration::as_secs_f64);
        Self {
            success: success(&all),
            learnt: success(&learnt),
            avoided: 100.0 * (1.0 - count(reached) / share),
            p99_ms: p99 * 1_000.0,
        }
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::NAN, f64::from)
}

/// Plays every scenario through every balancer from every seed.
pub(crate) fn run(args: &Args) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for scenario in &SCENARIOS {
        for arm in ARMS {
            let seeds = args.seed..args.seed.saturating_add(args.seeds);
            let each = seeds.map(|seed| Ok(Figures::of(scenario, &arm.play(*scenario, seed)?)));
            let figures = each.collect::<Result<Vec<Figures>, Failure>>()?;
            let of = |number: fn(&Figures) -> f64, decimals| {
                figure(&figures.iter().map(number).collect::<Vec<_>>(), decimals)
            };
            eprintln!("{}: {arm} done", scenario.name);
            rows.push(vec![
                scenario.name.to_owned(),
                arm.to_string(),
                of(|f| f.avoided, 1),
                of(|f| f.success, 2),
                of(|f| f.learnt, 2),
                of(|f| f.p99_ms, 0),
            ]);
        }
    }
    let header = ["processors", "balancer", "avoided %", "success %", "once learnt %", "p99 ms"];
    Ok(format!(
        "{}
avoided: of the requests that round robin sends to the faulty while they are so, those that did not go there. success:
of the whole run; once learnt: of what was sent to any of them from {:?} after the fault began until its end. p99: what
callers waited during the fault. No breaker in any arm, nothing is sent again. Medians of {} seeds (least..most).",
        table(&header, 2, &rows),
        LEARNT,
        args.seeds,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Scenario = Scenario {
        from: Duration::from_secs(1),
        until: Duration::from_secs(8),
        length: Duration::from_secs(9),
        ..SCENARIOS[0]
    };

    #[test]
    fn the_same_seed_is_the_same_run() {
        for arm in ARMS {
            let (once, again) = (arm.play(SHORT, 7).unwrap(), arm.play(SHORT, 7).unwrap());
            assert_eq!(once.len(), 1_800, "{arm}");
            assert_eq!(once, again, "{arm}");
        }
    }

    #[test]
    fn round_robin_avoids_nothing() {
        for scenario in [SHORT, Scenario { faulty: 2, fault: Fault::Takes(Duration::from_secs(20)), ..SHORT }] {
            let figures = Figures::of(&scenario, &Arm::RoundRobin.play(scenario, 1).unwrap());
            let share = 100.0 * count(scenario.faulty) / 3.0;
            assert!(figures.avoided.abs() < 0.5, "{figures:?}");
            assert!((figures.learnt - (100.0 - share)).abs() < 0.5, "{figures:?}");
        }
    }

    #[test]
    fn who_fails_fast_draws_those_who_measure_latency_alone() {
        let avoided = |arm: Arm| Figures::of(&SHORT, &arm.play(SHORT, 3).unwrap()).avoided;
        assert!(avoided(Arm::TowerPeakEwma) < 0.0);
        assert!(avoided(Arm::TowerPending) < 0.0);
        assert!(avoided(Arm::Ours) > 85.0);
    }
}
