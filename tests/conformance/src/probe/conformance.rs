//! Plays every file on a real Envoy and in the test world, and says where one of them does not do what it should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use world::Filter;

use super::compare::Known;
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
    let mut envoy = on_envoy(&probes, programs).await?;
    let mut findings = Vec::new();
    for probe in &probes {
        let area = &probe.area;
        let world = in_world::record(probe, filter).map_err(|error| ConformanceError::World(area.clone(), error))?;
        let mut real = envoy.remove(area).unwrap_or_default();
        let mut judged = Judged::of(probe, &world, &real, &known);
        let mut tries = "";
        if !judged.findings.is_empty() {
            // Order between two connections shows in a recording, and a busy machine may change it: once more, alone.
            tries = " at the second try";
            real = record(probe, programs).await.map_err(|error| ConformanceError::Envoy(area.clone(), error))?;
            judged = Judged::of(probe, &world, &real, &known);
        }
        let verdict = if judged.findings.is_empty() { "ok" } else { "NOT ok" };
        println!("{area}: {} cases, {} known differences, {verdict}{tries}", world.cases.len(), judged.known);
        if let Some(folder) = &choice.recordings {
            std::fs::create_dir_all(folder)?;
            let findings = judged.findings.join("\n");
            for (ending, text) in [("txt", real.to_string()), ("world.txt", world.to_string()), ("diff", findings)] {
                std::fs::write(folder.join(format!("{area}.{ending}")), text)?;
            }
        }
        findings.extend(judged.findings.into_iter().map(|text| format!("{area}: {text}")));
    }
    Ok((probes.len(), findings))
}

/// What two recordings of one file come to.
struct Judged {
    /// What is not as it should be.
    findings: Vec<String>,
    /// Differences that are explained.
    known: usize,
}

impl Judged {
    fn of(probe: &Probe, world: &Recording, envoy: &Recording, known: &[Known]) -> Self {
        let mut findings: Vec<String> =
            lacking(probe, envoy).into_iter().map(|text| format!("Envoy: {text}")).collect();
        let mut here = world.clone();
        let of_envoy = |name: &str| probe.cases.iter().any(|case| case.name == name && case.expect.of_envoy);
        here.cases.retain(|(name, _)| !of_envoy(name));
        findings.extend(lacking(probe, &here).into_iter().map(|text| format!("world: {text}")));
        let all = compare::compare(world, envoy);
        let found = all.len();
        let (unknown, unused) = compare::unknown(&probe.area, all, known);
        let known = found - unknown.len();
        findings.extend(unknown.iter().map(ToString::to_string));
        findings.extend(unused.iter().map(|known| format!("no difference needs this any more: {known:?}")));
        Self { findings, known }
    }
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
