//! Ours beside what others use for the same: the breaker beside Envoy's outlier detection on a real stack, the balancer
//! beside tower's on simulated processors.
//!
//! Arms are interleaved and each begins afresh: what else the machine does meets all alike, and nothing one has learnt helps
//! the next. What speaks against ours is printed like the rest.

mod balance;
mod breaker;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Compares ours with what others use for the same.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The breaker beside Envoy's outlier detection, while one of three processors fails.
    Breaker(breaker::Args),
    /// Balancers on simulated processors of which some fail or are slow.
    Balance(balance::Args),
}

/// A sentence that says what went wrong.
type Failure = Box<dyn std::error::Error>;

/// What a program that was interrupted returns.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Breaker(args) => tokio::runtime::Runtime::new()?.block_on(async {
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            // What was started is stopped as the comparison is dropped.
            tokio::select! {
                table = breaker::run(args) => println!("{}", table?),
                _ = interrupt.recv() => return Ok(INTERRUPTED.into()),
                _ = terminate.recv() => return Ok(INTERRUPTED.into()),
            }
            Ok(ExitCode::SUCCESS)
        }),
        // Plain computing: Ctrl-C ends it as it ends any program.
        Command::Balance(args) => {
            println!("{}", balance::run(&args)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
