//! The real Envoy with the real cache-service and sample processors, as a place to play a scenario.
//!
//! The access log is told the client's port on top of what ships, so that a line of it can be told to be of a request: a
//! change of what is written down, and of nothing that happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hyper::Method;
use tokio::task::JoinSet;

use super::host::{Call, Deed, Host, HostError, Outcome, Seen, Sent};
use super::script::Scenario;
use crate::stage::cache::Condition;
use e2e::client::{Answer, Client, ClientError, Payload, Request};
use e2e::processor::{Counts, Row};
use e2e::stack::{Acquirer, Artefacts, Edit, Plan, Stack, eventually};

/// How long an answer may take at most.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long Envoy may take to write its access log: some flushes.
const LOGGED: Duration = Duration::from_secs(3);
/// What Envoy puts before the names of a filter's counters.
const METRICS_PREFIX: &str = "wasmcustom.";

/// A stack of its own for one scenario.
pub struct EnvoyHost {
    stack: Stack,
    began: Instant,
    /// Connections by their names.
    connections: BTreeMap<String, Client>,
    calls: usize,
    /// The cache-service is there and does nothing.
    frozen: bool,
    /// The calls that came from each port, in the order they ended.
    ports: BTreeMap<u16, Vec<usize>>,
}

impl EnvoyHost {
    /// Starts what `scenario` is played on.
    pub async fn start(scenario: &Scenario, artefacts: Artefacts) -> Result<Self, HostError> {
        let duration = r#"duration_ms: "%DURATION%""#;
        let logged = format!("{duration}\n                  port: \"%DOWNSTREAM_DIRECT_REMOTE_PORT%\"");
        let mut plan = Plan::new(artefacts);
        plan.workers = scenario.workers;
        plan.edits = scenario.edits.clone();
        plan.edits.push(Edit::new(duration, logged));
        let stack = Stack::start(plan).await?;
        let (connections, ports) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { stack, began: Instant::now(), connections, calls: 0, frozen: false, ports })
    }

    /// The ends of all logs, for a failure.
    pub fn log_tails(&self) -> String {
        self.stack.log_tails()
    }

    fn client(&mut self, call: &Call) -> Client {
        let client = match &call.connection {
            None => Client::new(),
            Some(name) => {
                let kept = || Client::with_idle_connections(1);
                self.connections.entry(name.clone()).or_insert_with(kept).clone()
            }
        };
        client.deadline(call.leave.unwrap_or(DEADLINE))
    }

    /// Numbers an answered call, and notes the port that the access log will name.
    fn sent(&mut self, came: Came) -> Sent {
        let id = self.calls;
        self.calls += 1;
        if let Some(port) = came.port {
            self.ports.entry(port).or_default().push(id);
        }
        Sent { id, outcome: came.outcome }
    }

    /// The access log's lines so far: port and details, in the order they were written.
    fn log(&self) -> Result<BTreeMap<u16, VecDeque<String>>, HostError> {
        let path = self.stack.dir().join("envoy.log");
        let bytes = std::fs::read(&path).map_err(|error| HostError(format!("read Envoy's log: {error}")))?;
        let mut all = BTreeMap::<u16, VecDeque<String>>::new();
        for line in String::from_utf8_lossy(&bytes).lines().filter(|line| line.starts_with('{')) {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let port = line["port"].as_u64().or_else(|| line["port"].as_str()?.parse().ok());
            if let (Some(port), Some(details)) = (port.and_then(|p| u16::try_from(p).ok()), line["details"].as_str()) {
                all.entry(port).or_default().push_back(details.to_owned());
            }
        }
        Ok(all)
    }
}

/// What came of a call, and the port it came from.
struct Came {
    outcome: Outcome,
    port: Option<u16>,
}

fn request(call: &Call) -> Result<Request, HostError> {
    let method = Method::from_bytes(call.method.as_bytes());
    let method = method.map_err(|_| HostError(format!("{} is no method", call.method)))?;
    let payload = match (&call.body, call.pace) {
        (None, _) => Payload::Empty,
        (Some(body), pace) if pace.chunk_bytes.is_some() || pace.unfinished => {
            let size = pace.chunk_bytes.unwrap_or(body.len()).max(1);
            let chunks = body.chunks(size).map(|chunk| chunk.to_vec().into()).collect();
            Payload::Paced { chunks, pause: pace.pause, unfinished: pace.unfinished }
        }
        (Some(body), _) => Payload::Whole(body.clone().into()),
    };
    Ok(Request { method, path: call.path.clone(), headers: call.headers.clone(), payload })
}

async fn make(client: Client, to: std::net::SocketAddr, request: Request, leaves: bool) -> Came {
    match client.send(to, request).await {
        Ok(answer) => Came { port: answer.from.map(|from| from.port()), outcome: Outcome::Answer(seen(answer)) },
        Err(ClientError::Deadline(_)) if leaves => Came { outcome: Outcome::Left, port: None },
        Err(error) => Came { outcome: Outcome::Broken(error.to_string()), port: None },
    }
}

fn seen(answer: Answer) -> Seen {
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Seen { status: answer.status, headers: headers.collect(), body: answer.body.to_vec(), took: answer.took }
}

/// A task that ended without a value panicked: it is our own mistake.
fn joined(error: &tokio::task::JoinError) -> HostError {
    HostError(format!("a request's task: {error}"))
}

impl Host for EnvoyHost {
    async fn group(&mut self, deeds: Vec<(Duration, Deed)>) -> Result<Vec<Option<Sent>>, HostError> {
        let (to, began, count) = (self.stack.proxy(), Instant::now(), deeds.len());
        let mut tasks = JoinSet::new();
        let mut others = Vec::new();
        for (n, (at, deed)) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Call(call) => {
                    let (client, request) = (self.client(&call), request(&call)?);
                    tasks.spawn(async move {
                        tokio::time::sleep_until((began + at).into()).await;
                        (n, make(client, to, request, call.leave.is_some()).await)
                    });
                }
                other => others.push((at, other)),
            }
        }
        others.sort_by_key(|(at, _)| *at);
        for (at, other) in others {
            if !at.is_zero() {
                tokio::time::sleep_until((began + at).into()).await;
            }
            match other {
                Deed::Control(all) => {
                    for (who, control) in all {
                        self.stack.processor(who).set(control).await?;
                    }
                }
                Deed::Cache(condition) => self.cache(condition).await?,
                Deed::Call(_) => {}
            }
        }
        let mut all: Vec<Option<Sent>> = std::iter::repeat_with(|| None).take(count).collect();
        while let Some(done) = tasks.join_next().await {
            let (n, came) = done.map_err(|error| joined(&error))?;
            all[n] = Some(self.sent(came));
        }
        Ok(all)
    }

    async fn load(&mut self, calls: Vec<Call>, in_flight: usize) -> Result<Vec<Sent>, HostError> {
        let to = self.stack.proxy();
        let client = Client::with_idle_connections(in_flight).deadline(DEADLINE);
        let todo = calls.iter().map(request).collect::<Result<VecDeque<_>, _>>()?;
        let todo = std::sync::Arc::new(std::sync::Mutex::new(todo.into_iter().enumerate().collect::<VecDeque<_>>()));
        let mut lanes = JoinSet::new();
        for _ in 0..in_flight {
            let (client, todo) = (client.clone(), std::sync::Arc::clone(&todo));
            let next = move || todo.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
            lanes.spawn(async move {
                let mut came = Vec::new();
                while let Some((n, request)) = next() {
                    came.push((n, make(client.clone(), to, request, false).await));
                }
                came
            });
        }
        let mut all: Vec<Option<Sent>> = std::iter::repeat_with(|| None).take(calls.len()).collect();
        while let Some(lane) = lanes.join_next().await {
            for (n, came) in lane.map_err(|error| joined(&error))? {
                all[n] = Some(self.sent(came));
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    async fn wait(&mut self, time: Duration) -> Result<(), HostError> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn clear_ledger(&mut self, who: Acquirer) -> Result<(), HostError> {
        self.stack.processor(who).clear_ledger().await?;
        Ok(())
    }

    async fn cache(&mut self, condition: Condition) -> Result<(), HostError> {
        match condition {
            Condition::Up if self.frozen => self.stack.thaw_cache_service()?,
            Condition::Up => self.stack.restart_cache_service().await?,
            Condition::Stopped => self.stack.stop_cache_service()?,
            Condition::Frozen => self.stack.freeze_cache_service()?,
        }
        self.frozen = condition == Condition::Frozen;
        Ok(())
    }

    async fn ledgers(&mut self) -> Result<[Vec<Row>; 3], HostError> {
        let [a, b, c] = Acquirer::ALL.map(|who| self.stack.processor(who).ledger());
        Ok([a.await?, b.await?, c.await?])
    }

    async fn arrived(&mut self) -> Result<[Counts; 3], HostError> {
        let [a, b, c] = Acquirer::ALL.map(|who| self.stack.processor(who).status());
        Ok([a.await?.counts, b.await?.counts, c.await?.counts])
    }

    async fn metrics(&mut self) -> Result<BTreeMap<String, u64>, HostError> {
        let stats = self.stack.stats("^wasmcustom").await?;
        let own = |(name, value): (String, u64)| Some((name.strip_prefix(METRICS_PREFIX)?.to_owned(), value));
        Ok(stats.into_iter().filter_map(own).collect())
    }

    async fn details(&mut self) -> Result<BTreeMap<usize, String>, HostError> {
        let answered: usize = self.ports.values().map(Vec::len).sum();
        let logged = eventually("the access log", LOGGED, async || {
            let log = self.log().ok()?;
            let written: usize = self.ports.keys().filter_map(|port| log.get(port)).map(VecDeque::len).sum();
            (written >= answered).then_some(log)
        });
        let mut log = match logged.await {
            Ok(log) => log,
            Err(_) => self.log()?,
        };
        let mut details = BTreeMap::new();
        for (port, calls) in &self.ports {
            let lines = log.remove(port).unwrap_or_default();
            details.extend(calls.iter().copied().zip(lines));
        }
        Ok(details)
    }
}
