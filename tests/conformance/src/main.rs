//! Holds the test world to the real Envoy: every probe and every scenario in both, and what is not the same.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use conformance::artefacts::{Tried, find};
use conformance::probe::conformance::{Choice, conformance};
use conformance::probe::run::Programs;
use conformance::scenario::{all, run_all};
use e2e::stack::ArtefactArgs;
use world::Filter;

/// Plays every probe and every scenario on the real Envoy and in the test world, and prints where the two differ.
#[derive(Parser)]
struct Args {
    /// Only probes, or only scenarios [default: both].
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// Only those whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// A folder to which the recordings of the probes are written, and where they differ.
    #[arg(long)]
    recordings: Option<PathBuf>,
    /// Stacks of the scenarios that run at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    at_once: u8,
    /// What the worlds of the scenarios draw from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    artefacts: ArtefactArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Probes,
    Scenarios,
}

/// A failure that ends the run.
type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(findings) if findings.is_empty() => {
            println!("conformance: ok");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            println!("\n{}\nconformance: {} findings", findings.join("\n"), findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<Vec<String>, Failure> {
    let tried = find(args.artefacts.clone())?;
    let (mut findings, mut played) = (Vec::new(), 0);
    if args.kind != Some(Kind::Scenarios) {
        let began = Instant::now();
        let programs = Programs { envoy: tried.artefacts.envoy.clone(), wasm: tried.probe_wasm.clone() };
        let filter = Filter::new(&std::fs::read(&programs.wasm)?)?;
        let choice = Choice { only: args.only.clone(), recordings: args.recordings.clone() };
        let (areas, found) = conformance(&filter, &programs, &choice).await?;
        findings.extend(found);
        played += areas;
        println!("probes: {areas} files in {:.0?}\n", began.elapsed());
    }
    if args.kind != Some(Kind::Probes) {
        let (scenarios, found) = scenarios(&args, &tried).await?;
        findings.extend(found);
        played += scenarios;
    }
    if played == 0 {
        return Err(format!("nothing is called {:?}", args.only).into());
    }
    Ok(findings)
}

async fn scenarios(args: &Args, tried: &Tried) -> Result<(usize, Vec<String>), Failure> {
    let began = Instant::now();
    let mut scenarios = all()?;
    scenarios.retain(|scenario| scenario.name.contains(&args.only));
    let count = scenarios.len();
    let played = run_all(scenarios, tried, args.at_once.into(), args.seed).await?;
    for run in &played.at_envoy {
        let world = played.in_world.iter().find(|world| world.name == run.name);
        let world_ms = world.map_or("-".to_owned(), |world| world.took.as_millis().to_string());
        let differs = played.differences.iter().filter(|(name, _)| *name == run.name).count();
        let holds = run.failure().is_none() && world.is_none_or(|world| world.failure().is_none()) && differs == 0;
        let verdict = if holds { "ok" } else { "NOT ok" };
        println!("{}: Envoy {} ms, world {world_ms} ms, {verdict}", run.name, run.took.as_millis());
    }
    println!("scenarios: {count} in {:.0?}", began.elapsed());
    Ok((count, played.failures()))
}
