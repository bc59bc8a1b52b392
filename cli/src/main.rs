//! `switchyard`: reads a configuration as the filter does, and says what is wrong with it, or why a request goes where.
//!
//! Whatever it says, `decision` says: nothing here decides. Standard output carries the answer, standard error what is
//! wrong. No body, no header's value and nothing of a card is ever printed.

#![cfg_attr(
    not(test),
    deny(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::unreachable)
)]

mod config;
mod envoy;
mod explain;
mod input;
mod report;
mod request;
mod state;

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use input::Wrong;

const EXIT_CODES: &str = "\
Exit codes: 0 fine (also where the filter would refuse the request: that is the answer), 1 the configuration or the \
request is wrong, 2 the command line is.";

const CHECK_EXAMPLES: &str = "\
Examples:
  switchyard check envoy/envoy.yaml
  switchyard check --filter payments listeners.json
  switchyard check - < routing.json

What stands outside the filter's configuration is not looked at: whether Envoy has the clusters and the token.";

const EXPLAIN_EXAMPLES: &str = r#"REQUEST is JSON. All but method and path may be left out:
  {
    "method": "POST", "path": "/v1/payments",        the path as Envoy hands it on, with the query
    "headers": {"idempotency-key": "k-1", "x-two-lines": ["a", "b"]},
    "body": {"amount": 1200, "currency": "EUR"},     any JSON, sent as it stands here; or a text, such as a form
    "source": "192.0.2.1",                           the caller's address
    "at": "2026-11-11T00:00:00Z",                    else now
    "state": {                                       what the worker has seen of a processor, in this order:
      "acquirer-a": {
        "in_flight": 3,                              requests that are not answered yet
        "latency_ms": 250, "load": 0.7,              an answer that took so long, and reported this load
        "retry_after_ms": 1000,                      a 429 that asks to be left alone
        "approved": 90, "declined": 10,              answers to charges of this request's card scheme
        "failures": 2,                               and then so many failed charges in a row
        "breaker": "open"                            more of them, until it opens; or "closed": it must be
      }
    }
  }

Examples:
  switchyard explain envoy/envoy.yaml cli/samples/card.json
  switchyard explain --json routing.json - < request.json"#;

/// Says whether a configuration of Switchyard is valid, and why a request goes where it goes.
#[derive(Parser)]
#[command(name = "switchyard", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with a configuration, where, and what was expected; or that it is fine, and what is odd.
    #[command(after_help = CHECK_EXAMPLES, after_long_help = [CHECK_EXAMPLES, "\n\n", EXIT_CODES].concat())]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// What is odd is wrong: exit code 1 where there is a warning, as a build wants it.
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Says why a request would go where it would go. Nothing is sent.
    #[command(after_help = EXPLAIN_EXAMPLES, after_long_help = [EXPLAIN_EXAMPLES, "\n\n", EXIT_CODES].concat())]
    Explain {
        #[command(flatten)]
        config: ConfigArgs,
        /// The request, in JSON; - reads standard input.
        request: PathBuf,
        /// What turns and chance begin with.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct ConfigArgs {
    /// The `routing` document, the filter's whole configuration, or an Envoy configuration (YAML or JSON) that has it in a
    /// Wasm filter; - reads standard input.
    config: PathBuf,
    /// The name of the filter, where an Envoy configuration has several; or its path in there.
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(text) => {
            // Whoever closed the pipe has read enough.
            let _ = stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            let _ = writeln!(stderr(), "{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, Wrong> {
    match command {
        Command::Check { config, deny_warnings } => {
            let file = input::name(&config.config);
            let loaded = config::read(&config.config, config.filter.as_deref())?;
            let text = report::checked(&file, &loaded);
            if deny_warnings && !loaded.config.warnings.is_empty() {
                return Err(Wrong::of(&file, format!("warnings are denied\n{}", text.trim_end())));
            }
            Ok(text)
        }
        Command::Explain { config, request, seed, json } => {
            if input::is_stdin(&config.config) && input::is_stdin(&request) {
                return Err(Wrong::of("-", "standard input can be the configuration or the request, not both"));
            }
            let loaded = config::read(&config.config, config.filter.as_deref())?;
            let request = request::read(&request)?;
            let (router, told) = explain::explain(loaded.config, &request, seed)?;
            Ok(if json { report::json(router.config(), &told) } else { report::text(router.config(), &told) })
        }
    }
}
