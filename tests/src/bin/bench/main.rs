//! What the filter costs: throughput and latency through Envoy with no filter, with a null filter, with Lua that does the
//! same as the null filter, and with ours.
//!
//! An absolute number says more about the machine than about the filter, so every number is a ratio to plain Envoy with
//! the same request in the same round. Rounds are interleaved and begin with another arm each, so that what else the
//! machine does meets all arms alike. Client, Envoy (one worker) and processors share the machine.

mod arms;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use e2e::client::Client;
use e2e::client::load::{self, Load, Report};
use e2e::stack::{
    Acquirer, ArtefactArgs, EnvoyProcess, EnvoySpec, Plan, Stack, Workdir, find_envoy, find_wasm, render,
};

use arms::{ARMS, Arm, Proxy, Traffic};

/// Measures what the filter costs beside plain Envoy.
#[derive(Parser)]
struct Args {
    /// Seconds per arm and round.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Requests in flight.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: u16,
    /// The built null filter [default: target/wasm/null.wasm].
    #[arg(long, env = "NULL_WASM")]
    null_wasm: Option<PathBuf>,
    #[command(flatten)]
    artefacts: ArtefactArgs,
}

/// A failure that ends the run.
type Failure = Box<dyn std::error::Error>;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=10.0).contains(&seconds) { Ok(seconds) } else { Err("not between 0.1 and 10".to_owned()) }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The proxies under test, and the stack whose processors they all call.
struct Proxies {
    others: [(Proxy, EnvoyProcess); 3],
    stack: Stack,
    // After the proxies, which write their logs there.
    _dir: Workdir,
}

impl Proxies {
    async fn start(args: &Args) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let programs = program.parent().ok_or("this program is in no folder")?;
        let envoy = find_envoy(args.artefacts.envoy_bin.clone())?;
        let null_wasm = find_wasm(args.null_wasm.clone(), "null.wasm")?;
        let plan = Plan {
            workers: 1,
            edits: vec![arms::without_access_log()],
            ..Plan::new(args.artefacts.clone().find(programs)?)
        };
        let stack = Stack::start(plan).await?;
        let port = stack.processor(Acquirer::A).api().port().to_string();
        let dir = Workdir::new()?;
        let start = async |proxy: Proxy| -> Result<(Proxy, EnvoyProcess), Failure> {
            let filter = proxy.filter(&null_wasm);
            let config = render(arms::TEMPLATE, &[("PROCESSOR_A_PORT", port.clone())], &filter)?;
            let spec = EnvoySpec {
                name: proxy.name().to_owned(),
                program: envoy.clone(),
                config,
                workers: 1,
                secret_env: Vec::new(),
            };
            Ok((proxy, EnvoyProcess::start(spec, dir.path()).await?))
        };
        let others = [start(Proxy::Plain).await?, start(Proxy::Null).await?, start(Proxy::Lua).await?];
        Ok(Self { others, stack, _dir: dir })
    }

    fn address(&self, proxy: Proxy) -> Result<std::net::SocketAddr, Failure> {
        let other = self.others.iter().find(|(other, _)| *other == proxy);
        match other {
            None => Ok(self.stack.proxy()),
            Some((_, envoy)) => Ok(*envoy.listeners().values().next().ok_or("Envoy has no listener")?),
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let proxies = Proxies::start(&args).await?;
    let in_flight = usize::from(args.in_flight);
    let per_arm = Duration::from_secs_f64(args.seconds);
    let client = Client::with_idle_connections(in_flight);
    for arm in &ARMS {
        // Fills caches and connection pools; not counted.
        measure(&proxies, &client, arm, in_flight, Duration::from_millis(500)).await?;
    }
    let mut reports: [Vec<Report>; ARMS.len()] = std::array::from_fn(|_| Vec::new());
    for round in 0..args.rounds {
        for place in 0..ARMS.len() {
            let index = (place + usize::try_from(round)?) % ARMS.len();
            reports[index].push(measure(&proxies, &client, &ARMS[index], in_flight, per_arm).await?);
        }
        eprintln!("round {} of {} done", round + 1, args.rounds);
    }
    println!("{}", table::table(&ARMS, &reports));
    Ok(())
}

async fn measure(
    proxies: &Proxies,
    client: &Client,
    arm: &Arm,
    in_flight: usize,
    within: Duration,
) -> Result<Report, Failure> {
    let address = proxies.address(arm.proxy)?;
    let load = Load { requests: u64::MAX, within, in_flight };
    let request = arm.traffic.request();
    let label = |answer: &e2e::client::Answer| answer.header("x-cache").map(str::to_owned);
    let report = load::run(client, address, load, move |_| request.clone(), label).await?;
    arm.check(&report)?;
    if arm.traffic == Traffic::Charge {
        // A ledger is bounded, and what it holds should not differ between the arms.
        for acquirer in Acquirer::ALL {
            proxies.stack.processor(acquirer).clear_ledger().await?;
        }
    }
    Ok(report)
}
