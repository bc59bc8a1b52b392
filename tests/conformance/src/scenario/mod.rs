//! Scenarios: what the filter does, as data. Each file of `tests/conformance/scenarios` is a story with its answers; it is played
//! against the real Envoy with everything real behind it, and in the test world under virtual time, and the answers must
//! be the same.
//!
//! Reading order: a file of `tests/conformance/scenarios`, [`raw`] (its fields) and [`fill`] (what a text may hold), [`play`] (how it
//! goes), [`check`] and [`law`] (what is judged), [`compare`] (what may differ between two hosts, and why).

pub mod check;
pub mod compare;
pub mod envoy;
pub mod fill;
pub mod host;
mod law;
pub mod load;
mod play;
pub mod proxy;
pub mod raw;
pub mod script;
pub mod world;

pub use compare::{Difference, compare};
pub use load::{LoadError, all};
pub use play::{Answered, Findings, Observation};
pub use script::Scenario;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::world::WorldHost;
use crate::artefacts::Tried;
use e2e::stack::Artefacts;
use envoy::EnvoyHost;
use host::HostError;

/// One scenario that was played on one host.
#[derive(Debug)]
pub struct Run {
    /// Which.
    pub name: String,
    /// What was seen and what is wrong with it, or why it could not be played.
    pub result: Result<(Observation, Findings), HostError>,
    /// How long it took, the start of its stack included.
    pub took: Duration,
}

impl Run {
    /// What is wrong, if anything is.
    pub fn failure(&self) -> Option<String> {
        match &self.result {
            Ok((_, findings)) if findings.is_empty() => None,
            Ok((_, findings)) => Some(format!("{}:\n  {}", self.name, findings.join("\n  "))),
            Err(error) => Some(format!("{}: {error}", self.name)),
        }
    }

    /// Whether nothing is wrong but when an answer came.
    fn was_late(&self) -> bool {
        let of_time = |finding: &String| finding.contains(check::TOOK);
        self.result.as_ref().is_ok_and(|(_, findings)| !findings.is_empty() && findings.iter().all(of_time))
    }
}

/// Plays one scenario on a stack of its own.
pub async fn at_envoy(scenario: &Scenario, artefacts: Artefacts) -> Run {
    let began = Instant::now();
    let result = async {
        let mut host = EnvoyHost::start(scenario, artefacts).await?;
        play::play(scenario, &mut host).await
    };
    let result = result.await;
    Run { name: scenario.name.clone(), result, took: began.elapsed() }
}

/// Plays one scenario in a world of its own: `filter` under the shipped configuration `yaml`.
pub fn in_world(scenario: &Scenario, yaml: &str, filter: ::world::Filter, seed: u64) -> Run {
    let began = Instant::now();
    let result = WorldHost::new(scenario, yaml, filter, seed).and_then(|mut host| {
        // The world waits for nobody: the future is ready when it is asked.
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| HostError(format!("no runtime: {error}")))?;
        runtime.block_on(play::play(scenario, &mut host))
    });
    Run { name: scenario.name.clone(), result, took: began.elapsed() }
}

/// What a whole run over both hosts showed.
#[derive(Debug)]
pub struct Conformance {
    /// Every scenario at Envoy.
    pub at_envoy: Vec<Run>,
    /// Every scenario that a world can play, in one.
    pub in_world: Vec<Run>,
    /// Every field in which the two are not the same, of scenarios that hold at both.
    pub differences: Vec<(String, Difference)>,
}

impl Conformance {
    /// All that is wrong, in words; empty if nothing is.
    pub fn failures(&self) -> Vec<String> {
        let of = |host: &'static str, runs: &[Run]| {
            runs.iter().filter_map(Run::failure).map(move |failure| format!("{host}: {failure}")).collect::<Vec<_>>()
        };
        let differences = self.differences.iter().map(|(name, difference)| format!("{name}: {difference}"));
        of("envoy", &self.at_envoy).into_iter().chain(of("world", &self.in_world)).chain(differences).collect()
    }
}

/// Plays every scenario at Envoy, `at_once` at a time, and in worlds drawn from `seed`, and puts the two beside each other.
pub async fn run_all(
    scenarios: Vec<Scenario>,
    tried: &Tried,
    at_once: usize,
    seed: u64,
) -> Result<Conformance, HostError> {
    let artefacts = &tried.artefacts;
    let yaml = std::fs::read_to_string(&artefacts.envoy_yaml);
    let yaml = yaml.map_err(|error| HostError(format!("read the Envoy configuration: {error}")))?;
    let mut filters = BTreeMap::new();
    for build in scenarios.iter().map(|scenario| scenario.filter) {
        if let Entry::Vacant(place) = filters.entry(build) {
            place.insert(compile(tried.filter_wasm(build))?);
        }
    }
    let in_both = scenarios.clone().into_iter().filter(|scenario| scenario.envoy_only.is_none());
    // A world is of one thread, and busy on it.
    let worlds = std::thread::spawn(move || {
        in_both.map(|scenario| in_world(&scenario, &yaml, filters[&scenario.filter].clone(), seed)).collect::<Vec<_>>()
    });
    let mut at_envoy = all_at_envoy(scenarios.clone(), tried, at_once).await;
    let in_world = worlds.join().map_err(|_| HostError("the worlds' thread panicked".to_owned()))?;
    // A busy machine changes times, and nothing else: where only they are wrong it is played once more, alone.
    let first = differing(&in_world, &at_envoy);
    let late = |run: &&Run| {
        let mut of_run = first.iter().filter(|(name, _)| *name == run.name).peekable();
        run.was_late() || (of_run.peek().is_some() && of_run.all(|(_, difference)| difference.is_of_time()))
    };
    let again: Vec<String> = at_envoy.iter().filter(late).map(|run| run.name.clone()).collect();
    for scenario in scenarios.into_iter().filter(|scenario| again.contains(&scenario.name)) {
        println!("{}: once more, alone", scenario.name);
        let fresh = all_at_envoy(vec![scenario], tried, 1).await;
        at_envoy.retain(|run| fresh.iter().all(|fresh| fresh.name != run.name));
        at_envoy.extend(fresh);
    }
    at_envoy.sort_by(|one, other| one.name.cmp(&other.name));
    let differences = differing(&in_world, &at_envoy);
    Ok(Conformance { at_envoy, in_world, differences })
}

/// In what the two hosts differ, of scenarios that hold at both: one that failed says so itself.
fn differing(in_world: &[Run], at_envoy: &[Run]) -> Vec<(String, Difference)> {
    let mut differences = Vec::new();
    for world in in_world {
        let envoy = at_envoy.iter().find(|run| run.name == world.name);
        if let (None, Some(envoy)) = (world.failure(), envoy.filter(|run| run.failure().is_none()))
            && let (Ok((seen, _)), Ok((real, _))) = (&world.result, &envoy.result)
        {
            differences.extend(compare(seen, real).into_iter().map(|difference| (world.name.clone(), difference)));
        }
    }
    differences
}

fn compile(path: &Path) -> Result<::world::Filter, HostError> {
    let told = |error: &dyn std::fmt::Display| HostError(format!("{}: {error}", path.display()));
    let wasm = std::fs::read(path).map_err(|error| told(&error))?;
    ::world::Filter::new(&wasm).map_err(|error| told(&error))
}

/// Plays every scenario at Envoy, and gives the runs in the order of their names.
async fn all_at_envoy(scenarios: Vec<Scenario>, tried: &Tried, at_once: usize) -> Vec<Run> {
    let todo = Arc::new(Mutex::new(VecDeque::from(scenarios)));
    let mut lanes = JoinSet::new();
    for _ in 0..at_once.max(1) {
        let (todo, tried) = (Arc::clone(&todo), tried.clone());
        let next = move || todo.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        lanes.spawn(async move {
            let mut runs = Vec::new();
            while let Some(scenario) = next() {
                let mut artefacts = tried.artefacts.clone();
                artefacts.filter_wasm = tried.filter_wasm(scenario.filter).to_owned();
                runs.push(at_envoy(&scenario, artefacts).await);
            }
            runs
        });
    }
    let mut runs: Vec<Run> = lanes.join_all().await.into_iter().flatten().collect();
    runs.sort_by(|one, other| one.name.cmp(&other.name));
    runs
}
