//! `cache-service`: arguments -> configuration -> stores -> listeners -> run.
//!
//! Standard output carries one line, once both listeners are bound; everything else goes to standard error as JSON lines,
//! help and errors of the arguments apart.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use cache_service::CacheService;
use cache_service::config::{Config, Overrides, Secrets};
use cache_service::server::Listeners;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Caches payment look-ups beside the proxy and keeps the records that outlive it.
///
/// Secrets stand in the environment only: CACHE_TOKEN, CACHE_KEY_SECRET, REDIS_URL.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, in TOML; without it the built-in defaults hold.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the proxy's requests arrive.
    #[arg(long, env = "CACHE_LISTEN")]
    listen: Option<SocketAddr>,
    /// The port of `listen`; 0 takes a free one.
    #[arg(long, env = "CACHE_PORT")]
    port: Option<u16>,
    /// The port of `admin_listen`; 0 takes a free one.
    #[arg(long, env = "CACHE_ADMIN_PORT")]
    admin_port: Option<u16>,
    /// Holds the records and the key secret, where there is no Redis.
    #[arg(long, env = "CACHE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// What is logged, such as `info` or `cache_service=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    log: String,
    /// Reads the configuration, says whether it is valid, and ends.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whatever `LOG` lets through, and before it is known.
            let fields = serde_json::json!({ "message": "cannot start", "error": error.to_string() });
            eprintln!("{}", serde_json::json!({ "level": "ERROR", "fields": fields, "target": "cache_service" }));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let overrides = Overrides {
        listen: arguments.listen,
        port: arguments.port,
        admin_port: arguments.admin_port,
        data_dir: arguments.data_dir,
    };
    let secret = |name| std::env::var(name).ok();
    let secrets = Secrets {
        token: secret("CACHE_TOKEN"),
        key_secret: secret("CACHE_KEY_SECRET"),
        redis_url: secret("REDIS_URL"),
    };
    let config = Config::load(arguments.config.as_deref(), overrides, secrets)?;
    let filter = filter(&arguments.log)?;
    if arguments.check {
        let what = arguments.config.as_deref().map_or("the environment".into(), std::path::Path::to_string_lossy);
        println!("{what}: valid");
        return Ok(());
    }
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(config))
}

/// The HTTP libraries may not say more than warnings: what they trace holds headers, and so tokens.
fn filter(log: &str) -> Result<EnvFilter, Box<dyn Error>> {
    let mut filter = EnvFilter::try_new(log).map_err(|e| format!("LOG: {e}"))?;
    for library in ["h2=warn", "hyper=warn", "hyper_util=warn", "axum=warn", "tower=warn"] {
        filter = filter.add_directive(library.parse()?);
    }
    Ok(filter)
}

async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    // Caught from here on, so that an early signal ends the service in order too.
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (data, admin) = (config.listen, config.admin_listen);
    let service = CacheService::open(config)?;
    let listeners = Listeners::bind(data, admin).await?;
    say_ready(&listeners)?;
    service.run(listeners, told_to_stop(terminate, interrupt)).await;
    Ok(())
}

fn say_ready(listeners: &Listeners) -> std::io::Result<()> {
    let (listen, admin) = (listeners.data.local_addr()?, listeners.admin.local_addr()?);
    tracing::info!(%listen, %admin, "serving");
    let mut out = std::io::stdout().lock();
    writeln!(out, r#"{{"ready":true,"listen":"{listen}","admin":"{admin}"}}"#)?;
    out.flush()
}

async fn told_to_stop(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
