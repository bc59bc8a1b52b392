//! What the test world costs: the null filter's request through it, beside the bare calls of `proxy-wasm-host`.
//!
//! All in one thread, interleaved in one run. The bare arms make the same callbacks with the same headers and nothing
//! around them; the metered one counts fuel, as the world must to bound a callback the same on every machine.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proxy_wasm_host::abi::v0_2_1::types::{LogLevel, MapType, Status};
use proxy_wasm_host::abi::v0_2_1::{
    Access, ContextId, Guest, GuestError, Host, Invocation, LogContext, LogSink, PluginConfig, Started, StreamKind,
    StreamState, VmServices,
};
use proxy_wasm_host::{EngineConfig, HeaderMap, Limits, Module, VecHeaderMap};
use world::http::{Headers, Message, lines};
use world::proxy::{Cluster, Proxy, Route, Target};
use world::upstream::{Reply, Upstream};
use world::{Bounds, Filter, Request, Setup, Upstreams, World};

use clap::Parser;
use e2e::stack::find_wasm;

/// Measures what a request through the test world costs, beside the bare wasm host.
#[derive(Parser)]
struct Args {
    /// Rounds.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The built null filter [default: target/wasm/null.wasm].
    #[arg(long, env = "NULL_WASM")]
    null_wasm: Option<PathBuf>,
}

/// A failure that ends the run.
type Failure = Box<dyn std::error::Error>;

/// Requests of one arm in one round: some milliseconds of work.
const REQUESTS: u32 = 10_000;
/// Enough fuel for any callback of the null filter.
const FUEL: u64 = 1_000_000_000;

/// One way to have the filter called.
trait Arm {
    fn name(&self) -> &'static str;
    fn request(&mut self) -> Result<(), Failure>;
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_host: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a request costs each way, as the median of `rounds` and as a ratio to the bare call.
fn run(Args { rounds, null_wasm }: Args) -> Result<(), Failure> {
    let bytes = std::fs::read(find_wasm(null_wasm, "null.wasm")?)?;
    let mut arms: [Box<dyn Arm>; 3] =
        [Box::new(Bare::new(&bytes, false)?), Box::new(Bare::new(&bytes, true)?), Box::new(InWorld::new(&bytes)?)];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..rounds.saturating_add(1) {
        for place in 0..arms.len() {
            let index = (place + usize::try_from(round)?) % arms.len();
            let began = Instant::now();
            for _ in 0..REQUESTS {
                arms[index].request()?;
            }
            // The first round warms up.
            if round > 0 {
                times[index].push(began.elapsed().as_secs_f64() / f64::from(REQUESTS));
            }
        }
    }
    println!("{:<22} {:>12} {:>8}   least..most of {rounds} rounds", "a request through", "median", "ratio");
    for (index, arm) in arms.iter().enumerate() {
        let mut ratios: Vec<f64> = times[index].iter().zip(&times[0]).map(|(own, bare)| own / bare).collect();
        let mut own = times[index].clone();
        ratios.sort_by(f64::total_cmp);
        own.sort_by(f64::total_cmp);
        let middle = own.len() / 2;
        println!(
            "{:<22} {:>9.2} us {:>8.2}   {:.2}..{:.2}",
            arm.name(),
            own[middle] * 1e6,
            ratios[middle],
            ratios[0],
            ratios[ratios.len() - 1],
        );
    }
    Ok(())
}

/// The crate alone.
struct Bare {
    guest: Guest,
    root: ContextId,
    metered: bool,
    request: Headers,
    answer: Headers,
}

struct Silent;

impl LogSink for Silent {
    fn log(&self, _: LogContext<'_>, _: LogLevel, _: &[u8]) {}
}

struct Maps {
    request: VecHeaderMap,
    answer: VecHeaderMap,
}

impl StreamState for Maps {
    fn header_map(&mut self, _: Invocation, _: Access, map: MapType) -> Result<&mut dyn HeaderMap, Status> {
        match map {
            MapType::HttpRequestHeaders => Ok(&mut self.request),
            MapType::HttpResponseHeaders => Ok(&mut self.answer),
            _ => Err(Status::BadArgument),
        }
    }
}

impl Bare {
    fn new(bytes: &[u8], metered: bool) -> Result<Self, Failure> {
        let engine = EngineConfig::new().with_external_ticks(true).with_fuel_enabled(metered).build()?;
        let module = Module::new(&engine, bytes)?;
        let limits = Limits::new().with_fuel(metered.then_some(FUEL));
        let mut guest = Guest::new(&Host::new(&engine)?, &module, VmServices::new(Arc::new(Silent)), &limits)?;
        let Started::Serving(root) = guest.start(PluginConfig::new())? else {
            return Err("the null filter refused its start".into());
        };
        let request = lines([(":authority", "proxy"), (":path", "/"), (":method", "GET"), (":scheme", "http")]);
        Ok(Self { guest, root, metered, request, answer: lines([(":status", "200"), ("content-length", "0")]) })
    }
}

impl Arm for Bare {
    fn name(&self) -> &'static str {
        if self.metered { "the crate, metered" } else { "the crate alone" }
    }

    fn request(&mut self) -> Result<(), Failure> {
        let root = self.root;
        let maps = Maps { request: self.request.clone().into(), answer: self.answer.clone().into() };
        let (done, _) = self.guest.with(maps, |scope| {
            let stream = scope.on_context_create(Some(root))?;
            scope.expect_stream_kind(stream, StreamKind::Http)?;
            scope.on_request_headers(stream, 4, true)?;
            scope.on_response_headers(stream, 2, true)?;
            scope.on_done(stream)?;
            scope.on_log(stream)?;
            scope.on_delete(stream)?;
            Ok::<_, GuestError>(())
        });
        Ok(done?)
    }
}

/// The same through a route, an upstream and back.
struct InWorld(World);

struct Empty;

impl Upstream for Empty {
    fn request(&mut self, _: Duration, _: &Message) -> Reply {
        Reply::answer(Duration::ZERO, 200, &[], b"")
    }
}

impl InWorld {
    fn new(bytes: &[u8]) -> Result<Self, Failure> {
        let mut proxy = Proxy::default();
        proxy.clusters.insert("upstream".to_owned(), Cluster::default());
        proxy.routes.push(Route { to: Target::Cluster("upstream".to_owned()), ..Route::default() });
        let filter = Filter::new(bytes)?;
        let upstream: Rc<RefCell<dyn Upstream>> = Rc::new(RefCell::new(Empty));
        let upstreams = Upstreams::from([("upstream".to_owned(), upstream)]);
        let setup = Setup { filter, proxy, upstreams, workers: 1, seed: 1, bounds: Bounds::default() };
        Ok(Self(World::new(setup)?))
    }
}

impl Arm for InWorld {
    fn name(&self) -> &'static str {
        "the world"
    }

    fn request(&mut self) -> Result<(), Failure> {
        let id = self.0.send(0, Duration::ZERO, Request::new("GET", "/", &[], b""));
        self.0.run_for(Duration::from_micros(1));
        if self.0.answer(id).status() != 200 {
            return Err(format!("the world answered {}", self.0.answer(id).status()).into());
        }
        self.0.forget_ended();
        Ok(())
    }
}
