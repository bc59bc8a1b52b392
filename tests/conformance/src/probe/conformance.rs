//! Plays every file on a real Envoy and in the test world, and says where one of them does not do what it should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use world::Filter;

use super::load::{LoadError, Probe, load};
use super::recording::Recording;
use super::run::{Programs, RunError, record};
use super::{compare, files, known, unmet, world as in_world};

/// Files that are run at once: they wait most of the time, but what they wait for must not come late.
const AT_ONCE: usize = 3;

/// What to run, and what to keep of it.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only the files whose name holds this.
    pub only: String,
    /// Where every recording is written, and where the two hosts differ.
    pub recordings: Option<PathBuf>,
}

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// A file is no probe.
    #[error("{0}: {1}")]
    Load(String, LoadError),
    /// A file could not be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A file did not run on Envoy.
    #[error("{0} on Envoy: {1}")]
    Envoy(String, RunError),
    /// A file did not run in the world.
    #[error("{0} in the world: {1}")]
    World(String, in_world::RunError),
}

/// Plays all, prints a line for each file, and returns how many there were and what is not as it should be.
///
/// # Errors
/// When something cannot be run at all.
pub async fn conformance(
    filter: &Filter,
    programs: &Programs,
    choice: &Choice,
) -> Result<(usize, Vec<String>), ConformanceError> {
    let of = |path: &Path, error| ConformanceError::Load(path.display().to_string(), error);
    let mut probes = Vec::new();
    for path in files()? {
        let probe = load(&path).map_err(|error| of(&path, error))?;
        if probe.area.contains(&choice.only) {
            probes.push(probe);
        }
    }
    let known = known().map_err(|error| of(Path::new(compare::KNOWN), error))?;
    let envoy = on_envoy(&probes, programs).await?;
    let mut findings = Vec::new();
    for probe in &probes {
        let (area, envoy) = (&probe.area, &envoy[&probe.area]);
        let world = in_world::record(probe, filter).map_err(|error| ConformanceError::World(area.clone(), error))?;
        let mut own: Vec<String> = lacking(probe, envoy).into_iter().map(|text| format!("Envoy: {text}")).collect();
        let mut judged = world.clone();
        let of_envoy = |name: &str| probe.cases.iter().any(|case| case.name == name && case.expect.of_envoy);
        judged.cases.retain(|(name, _)| !of_envoy(name));
        own.extend(lacking(probe, &judged).into_iter().map(|text| format!("world: {text}")));
        let all = compare::compare(&world, envoy);
        let found = all.len();
        let (differences, unused) = compare::unknown(area, all, &known);
        let verdict = if own.is_empty() && differences.is_empty() && unused.is_empty() { "ok" } else { "NOT ok" };
        println!("{area}: {} cases, {} known differences, {verdict}", world.cases.len(), found - differences.len());
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        if let Some(folder) = &choice.recordings {
            std::fs::create_dir_all(folder)?;
            let parts = [("txt", envoy.to_string()), ("world.txt", world.to_string()), ("diff", texts.join("\n"))];
            for (ending, text) in parts {
                std::fs::write(folder.join(format!("{area}.{ending}")), text)?;
            }
        }
        own.extend(texts);
        own.extend(unused.iter().map(|known| format!("no difference needs this any more: {known:?}")));
        findings.extend(own.into_iter().map(|text| format!("{area}: {text}")));
    }
    Ok((probes.len(), findings))
}

/// What the real Envoy does, file by file.
async fn on_envoy(probes: &[Probe], programs: &Programs) -> Result<BTreeMap<String, Recording>, ConformanceError> {
    let (mut running, mut recordings) = (JoinSet::new(), BTreeMap::new());
    let mut left = probes.iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(probe) = left.next()
        {
            let (probe, programs) = (probe.clone(), programs.clone());
            running.spawn(async move { (probe.area.clone(), record(&probe, &programs).await) });
        }
        let Some(ended) = running.join_next().await else { return Ok(recordings) };
        let (area, recording) = ended.map_err(std::io::Error::from)?;
        let recording = recording.map_err(|error| ConformanceError::Envoy(area.clone(), error))?;
        recordings.insert(area, recording);
    }
}

/// What a recording lacks of what its file expects.
fn lacking(probe: &Probe, recording: &Recording) -> Vec<String> {
    let start: Vec<&String> = recording.start.values().flatten().collect();
    let unseen = probe.must_see.iter().filter(|text| !start.iter().any(|line| line.contains(*text)));
    let mut findings: Vec<String> = unseen.map(|text| format!("start: not seen: {text}")).collect();
    for (name, sections) in &recording.cases {
        if let Some(case) = probe.cases.iter().find(|case| case.name == *name) {
            findings.extend(unmet(case, sections).into_iter().map(|text| format!("{name}: {text}")));
        }
    }
    findings
}
