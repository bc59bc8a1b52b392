//! The sample payment processor as a program of its own: see the module `processor` of this crate.

use clap::Parser;
use e2e::processor::{Config, Processor};

/// A sample payment processor on 127.0.0.1 that plays any acquirer, well or badly, on command.
#[derive(Parser)]
struct Args {
    /// What it calls itself in its answers.
    #[arg(long, default_value = "acquirer-a")]
    name: String,
    /// Port of the API; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port of the control listener; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// What every payment id starts with; the rest is random.
    #[arg(long, default_value = "pay_")]
    id_prefix: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let config =
        Config { name: args.name.clone(), port: args.port, control_port: args.control_port, id_prefix: args.id_prefix };
    let processor = Processor::start(config).await?;
    let ready = serde_json::json!({
        "ready": true,
        "name": args.name,
        "port": processor.api.port(),
        "control": processor.control.port(),
    });
    println!("{ready}");
    // Until a signal ends the process: there is nothing to put in order.
    std::future::pending().await
}
