//! A real Envoy in a process of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use super::ask::ask;
use super::child::{Child, LOOK_EVERY, READY_WITHIN, Spec};
use super::error::StackError;
use crate::client::{Client, Request};

/// How to start an Envoy.
pub struct EnvoySpec {
    /// What it is called: its configuration is `NAME.yaml`, its log `NAME.log`.
    pub name: String,
    /// Envoy's program.
    pub program: PathBuf,
    /// The whole configuration.
    pub config: String,
    /// Number of workers, at least 1.
    pub workers: u16,
    /// Secrets that the configuration names as environment variables.
    pub secret_env: Vec<(String, String)>,
}

/// A real Envoy. Dropping it stops it.
pub struct EnvoyProcess {
    pub(super) child: Child,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
}

#[derive(Deserialize)]
struct Listeners {
    #[serde(default)]
    listener_statuses: Vec<Listener>,
}

#[derive(Deserialize)]
struct Listener {
    name: String,
    local_address: Address,
}

#[derive(Deserialize)]
struct Address {
    socket_address: Option<SocketAddress>,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: std::net::IpAddr,
    port_value: u16,
}

#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

/// A counter or gauge has a name and a whole number; histograms and texts are passed over.
#[derive(Deserialize)]
struct Stat {
    name: Option<String>,
    value: Option<serde_json::Value>,
}

impl EnvoyProcess {
    /// Starts it in `dir` and waits until it takes requests.
    pub async fn start(spec: EnvoySpec, dir: &Path) -> Result<Self, StackError> {
        let config = dir.join(format!("{}.yaml", spec.name));
        let admin_file = dir.join(format!("{}.admin", spec.name));
        std::fs::write(&config, &spec.config).map_err(StackError::io("write the Envoy configuration"))?;
        // A file of an earlier start would name a port that is gone.
        if admin_file.exists() {
            std::fs::remove_file(&admin_file).map_err(StackError::io("remove the old admin address"))?;
        }
        let text = |path: &Path| path.display().to_string();
        let args = [
            ("--config-path", text(&config)),
            ("--admin-address-path", text(&admin_file)),
            ("--concurrency", spec.workers.to_string()),
            ("--log-level", "info".to_owned()),
            // The access log, which tests read, would else be written every ten seconds.
            ("--file-flush-interval-msec", "200".to_owned()),
        ];
        let mut child = Child::start(Spec {
            name: spec.name,
            program: spec.program,
            arg0: None,
            args: args
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value])
                .chain(["--use-dynamic-base-id".to_owned()])
                .collect(),
            env: Vec::new(),
            secret_env: spec.secret_env,
            dir: dir.to_owned(),
        })?;
        let until = Instant::now() + READY_WITHIN;
        let admin = loop {
            if let Some(admin) = live(&admin_file).await {
                break admin;
            }
            if child.has_ended().is_some() || Instant::now() >= until {
                return Err(child.not_ready("its admin interface does not say LIVE"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let listeners = listeners(admin).await?;
        Ok(Self { child, admin, listeners })
    }

    /// Its admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where it listens, by the name of the listener.
    pub fn listeners(&self) -> &BTreeMap<String, SocketAddr> {
        &self.listeners
    }

    /// Counters and gauges whose name matches the regular expression `filter`, those of value 0 included.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>, StackError> {
        let what = "read Envoy's stats";
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("format", "json")
            .append_pair("filter", filter)
            .finish();
        let answer = ask(what, self.admin, Request::get(format!("/stats?{query}"))).await?;
        let stats: Stats = answer.json().map_err(|error| StackError::Unanswered { what: what.to_owned(), error })?;
        let number = |stat: Stat| Some((stat.name?, stat.value?.as_u64()?));
        Ok(stats.stats.into_iter().filter_map(number).collect())
    }
}

/// The admin address of an Envoy that takes requests.
async fn live(admin_file: &Path) -> Option<SocketAddr> {
    let admin = std::fs::read_to_string(admin_file).ok()?.trim().parse().ok()?;
    let answer = Client::new().deadline(READY_WITHIN).send(admin, Request::get("/ready")).await.ok()?;
    (answer.status == 200).then_some(admin)
}

async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>, StackError> {
    let what = "read Envoy's listeners";
    let answer = ask(what, admin, Request::get("/listeners?format=json")).await?;
    let listeners: Listeners =
        answer.json().map_err(|error| StackError::Unanswered { what: what.to_owned(), error })?;
    let address = |listener: Listener| {
        let socket = listener.local_address.socket_address?;
        Some((listener.name, SocketAddr::new(socket.address, socket.port_value)))
    };
    Ok(listeners.listener_statuses.into_iter().filter_map(address).collect())
}
