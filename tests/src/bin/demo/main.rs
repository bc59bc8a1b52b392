//! Shows what Switchyard does, on this machine and with sample processors only: `story` tells it step by step and checks
//! every step; `up` starts the same stack and leaves it running to be tried by hand.

mod report;
mod shop;
mod story;
mod up;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use e2e::stack::{ArtefactArgs, Plan, PortArgs, Redis};

/// Shows what Switchyard does.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes payments through failing processors, tells what happens and checks it; ends with `demo: ok`.
    Story(StackArgs),
    /// Starts the stack and leaves it running until Ctrl-C.
    Up(StackArgs),
}

/// What the stack is made of.
#[derive(Args)]
struct StackArgs {
    #[command(flatten)]
    artefacts: ArtefactArgs,
    #[command(flatten)]
    ports: PortArgs,
    /// Envoy's workers.
    #[arg(long, env = "ENVOY_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// A Redis for the cache-service; without one it keeps everything itself.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, requires = "cache_key_secret")]
    redis_url: Option<String>,
    /// What the names of all that is stored in that Redis are hashed with.
    #[arg(long, env = "CACHE_KEY_SECRET", hide_env_values = true)]
    cache_key_secret: Option<String>,
}

/// A sentence that says what went wrong.
type Failure = Box<dyn std::error::Error>;

impl StackArgs {
    fn plan(self) -> Result<Plan, Failure> {
        let program = std::env::current_exe()?;
        let programs = program.parent().ok_or("this program is in no folder")?;
        let redis = match (self.redis_url, self.cache_key_secret) {
            (Some(url), Some(key_secret)) => Redis::At { url, key_secret },
            _ => Redis::None,
        };
        Ok(Plan { ports: self.ports.into(), workers: self.workers, redis, ..Plan::new(self.artefacts.find(programs)?) })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Story(args) => run_story(args).await,
        Command::Up(args) => run_up(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_story(args: StackArgs) -> Result<(), Failure> {
    story::tell(args.plan()?).await?;
    println!("demo: ok");
    Ok(())
}

async fn run_up(args: StackArgs) -> Result<(), Failure> {
    up::stay(args.plan()?).await
}
