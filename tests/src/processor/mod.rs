//! The sample payment processor: one program that plays any acquirer, well or badly, on command.
//!
//! The API (`POST /v1/payments`, `GET /v1/payments/{id}`, `POST /v1/payments/{id}/capture` and `/refund`,
//! `GET /v1/bins/{bin}`, `GET /health`) answers on one port; the control listener (`PUT`/`GET /control`,
//! `GET`/`DELETE /ledger`) on another, so that a processor that refuses connections can still be told to stop doing so.
//!
//! What a [`Mode`] applies to:
//! - `approve`, `decline` and `technical` shape the answer to a *charge* (`POST /v1/payments`) and nothing else;
//! - `http`, `hang`, `reset_before` and `reset_after` are faults of the line or the front end: they strike every API
//!   route but `/health`, so that a health check and the payments can disagree, as they do in life;
//! - `refuse` strikes `/health` too: nothing listens.
//!
//! What a request does is decided, and a charge executed and written to the ledger, in one step when the request has
//! arrived; only then does the latency pass. A caller that gives up early has therefore charged the card all the same.
//!
//! A card number is used to tell its network and then dropped: it is in no row, answer or log.

mod api;
mod bins;
mod charge;
mod control;
mod control_api;
mod desk;
mod ledger;
mod listen;
mod state;
mod verdict;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use control::{Control, ControlError, Idempotency, Mode, Recorded};
pub use ledger::{LEDGER_ROWS_MAX, Reply, Row};
pub use state::{Counts, State, Status, Wire};

pub use desk::{Arrived, BODY_BYTES_MAX, HANG_MAX, Served, serve};

/// How to start a processor.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it calls itself in its answers.
    pub name: String,
    /// Port of the API on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Port of the control listener on 127.0.0.1; 0 takes a free one.
    pub control_port: u16,
    /// What every payment id starts with. The rest is random, so that by default no id tells its processor.
    pub id_prefix: String,
}

impl Config {
    /// A processor on free ports, with ids that start with `pay_`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), port: 0, control_port: 0, id_prefix: "pay_".to_owned() }
    }
}

/// A running processor; it stops when this is dropped.
#[derive(Debug)]
pub struct Processor {
    /// Where the API answers.
    pub api: SocketAddr,
    /// Where the control listener answers.
    pub control: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Processor {
    /// Binds both ports and starts to serve on the current tokio runtime.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let control_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.control_port)).await?;
        let (api, control) = (listener.local_addr()?, control_listener.local_addr()?);
        let state = Arc::new(state::State::new(config.name, config.id_prefix, fastrand::Rng::new()));
        let (gate, orders) = listen::gate();
        let serve_api = listen::serve(listener, api, api::router(Arc::clone(&state)), orders);
        let control_router = control_api::router(state, gate);
        let serve_control = async move {
            // It ends only with an error of accept, of which axum itself waits out every kind.
            let _ = axum::serve(control_listener, control_router).await;
        };
        Ok(Self { api, control, tasks: [tokio::spawn(serve_api), tokio::spawn(serve_control)] })
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
