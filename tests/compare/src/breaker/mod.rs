//! One of three processors fails for a while: what our breaker lets through to it, beside Envoy's outlier detection.
//!
//! Open loop: a request leaves every so often, however long the ones before it take. Both arms have the same weights, the
//! same number of Envoy workers, no idempotency keys and no retries. `http:503` is a failure that both can see;
//! `technical:96` is a 201 whose body says that nothing was done, which is how many processors say it.

mod arm;
mod course;

use std::time::Duration;

use e2e::client::Client;
use e2e::processor::Mode;
use e2e::stack::ArtefactArgs;

use crate::Failure;
use crate::table::{figure, table};
use arm::{ARMS, Arm, Running};
use course::{Course, Played};

/// How the breakers are compared.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds per arm, mode and round: a ninth before the failure, six ninths failing, two ninths after it.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(9..=900))]
    seconds: u16,
    /// Ten seconds, to try it.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Requests per second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=1000))]
    rate: u16,
    /// How long each processor takes, in milliseconds.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=5000))]
    latency_ms: u64,
    /// Envoy's workers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// How the processor fails; may be repeated.
    #[arg(long = "mode", default_values = ["http:503", "technical:96"])]
    modes: Vec<Mode>,
    /// Rounds; each goes through every mode and arm.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=20))]
    rounds: u16,
    #[command(flatten)]
    artefacts: ArtefactArgs,
}

/// What one arm did in one mode, round by round.
struct Line<'a> {
    mode: &'a Mode,
    arm: Arm,
    played: Vec<Played>,
}

/// Plays every arm in every mode and says what came of it.
pub(crate) async fn run(args: Args) -> Result<String, Failure> {
    let program = std::env::current_exe()?;
    let artefacts = args.artefacts.find(program.parent().ok_or("this program is in no folder")?)?;
    let seconds = if args.quick { 10.0 } else { f64::from(args.seconds) };
    let ninths = |n: f64| Duration::from_secs_f64(seconds * n / 9.0);
    let course = Course {
        rate: args.rate,
        latency_ms: args.latency_ms,
        before: ninths(1.0),
        failing: ninths(6.0),
        after: ninths(2.0),
    };
    let each = |mode| ARMS.map(|arm| Line { mode, arm, played: Vec::new() });
    let mut lines: Vec<Line<'_>> = args.modes.iter().flat_map(each).collect();
    let all = lines.len() * usize::from(args.rounds);
    for turn in 0..all {
        // Another arm begins each round.
        let (round, place) = (turn / lines.len(), turn % lines.len());
        let line = place - place % ARMS.len() + (place + round) % ARMS.len();
        let line = &mut lines[line];
        let running = line.arm.start(&artefacts, args.workers).await?;
        let played = play(&running, &course, line.mode).await?;
        let (failed, reached) = (played.failed(), played.reached);
        eprintln!("{} of {all}: {}, {}: {failed} failed, {reached} reached it", turn + 1, line.mode, line.arm);
        line.played.push(played);
    }
    Ok(report(&lines, &course, args.workers))
}

async fn play(running: &Running, course: &Course, mode: &Mode) -> Result<Played, Failure> {
    let client = Client::with_idle_connections(usize::from(course.rate));
    let mut played = course.play(&client, running.proxy(), running.processors(), mode).await?;
    (played.opened, played.tried) = running.turns().await?;
    Ok(played)
}

fn report(lines: &[Line<'_>], course: &Course, workers: u16) -> String {
    let header =
        ["mode", "arm", "sent", "approved", "failed", "reached it", "kept away %", "back s", "opened", "tried"];
    let row = |line: &Line<'_>| {
        let of = |number: &dyn Fn(&Played) -> f64, decimals| {
            figure(&line.played.iter().map(number).collect::<Vec<_>>(), decimals)
        };
        let back: Vec<f64> = line.played.iter().filter_map(|p| Some(p.back?.as_secs_f64())).collect();
        let missed = line.played.len() - back.len();
        let never = if missed == 0 { String::new() } else { format!(" never:{missed}") };
        let tried: Vec<f64> = line.played.iter().filter_map(|p| p.tried).map(f64::from).collect();
        vec![
            line.mode.to_string(),
            line.arm.to_string(),
            of(&|p| f64::from(p.sent), 0),
            of(&|p| f64::from(p.approved), 0),
            of(&|p| f64::from(p.failed()), 0),
            of(&|p| f64::from(p.reached), 0),
            of(&|p| course.kept_away_percent(p.reached), 1),
            figure(&back, 1) + &never,
            of(&|p| f64::from(p.opened), 0),
            figure(&tried, 0),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    format!(
        "{}
{rate} requests/s, {workers} Envoy workers; {name} fails for {failing:.1} s of {total:.1} s. No arm sends a request again.
failed: not a 201 that says succeeded. reached it: arrived at {name} while it failed. kept away: of its share of the
requests meanwhile. back: from its mending until it takes half its share again; never: not within {after:.1} s.
A wait that happens to end with the failure is back at once: try other lengths (--seconds).
opened: transitions to open of all workers, or ejections. tried: half-open transitions of all workers.
Medians of the rounds (least..most).",
        table(&header, 2, &rows),
        rate = course.rate,
        name = course::FAILING.name(),
        failing = course.failing.as_secs_f64(),
        total = course.length().as_secs_f64(),
        after = course.after.as_secs_f64(),
    )
}
