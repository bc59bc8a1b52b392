//! Reads a file of `tests/conformance/probes`: what the proxy is, which programs the probe filter has, and the cases.
//!
//! Raw mirrors with `deny_unknown_fields` first: a misspelt key must not make a case that proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use world::proxy::{Cluster, FailurePolicy, PathMatch, Plugin, Proxy, Route, Target};
use world::upstream::{Door, Reply};

use super::script::{self, ScriptError, Sending};

/// What the VM's start runs, for which the programs come too late.
const START_VARIABLE: &str = "PROBE_VM_START";
/// How long a client waits for its answer, if the case does not say.
const ANSWER_WITHIN_MS: u64 = 4000;

/// One file: a proxy and what is tried on it.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The name of the file.
    pub area: String,
    /// The proxy; its plugin's configuration holds the programs.
    pub proxy: Proxy,
    /// How connections to each cluster's host fare. A cluster that is not here has no host.
    pub doors: BTreeMap<String, Door>,
    /// Workers, each with a VM of its own.
    pub workers: u16,
    /// The proxy must refuse to start.
    pub refused: bool,
    /// What the VMs must write when the proxy starts, among other things.
    pub must_see: Vec<String>,
    /// What is tried, in order.
    pub cases: Vec<Case>,
}

/// One thing that is tried.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique in its file.
    pub name: String,
    /// Its requests, each on a connection of its own.
    pub streams: Vec<Stream>,
    /// What each cluster's host answers, in the order in which requests of this case arrive; 200 after that.
    pub upstreams: BTreeMap<String, Vec<Reply>>,
    /// How long is listened after the last answer.
    pub linger: Duration,
    /// How long a client waits for its answer.
    pub wait: Duration,
    /// Chunks of bodies depend on TCP: they are recorded as one.
    pub merge: bool,
    /// How long an answer took is recorded, to a tenth of a second.
    pub timed: bool,
    /// The real one cannot bear it.
    pub only_world: bool,
    /// What must be so, wherever it runs.
    pub expect: Expect,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its `x-case`.
    pub label: String,
    /// Its pieces.
    pub sending: Sending,
}

/// What must be so.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The status of the first stream's answer, 0 for none.
    pub status: Option<u16>,
    /// Its body.
    pub body: Option<String>,
    /// Texts of the recording.
    pub must_see: Vec<String>,
    /// Texts that are not in it.
    pub must_not_see: Vec<String>,
    /// It holds for the real one alone: a known difference says why.
    pub of_envoy: bool,
}

/// Why a file is no probe.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It is no TOML of this shape.
    #[error("{0}")]
    Shape(#[from] toml::de::Error),
    /// A piece of a message is not one.
    #[error("case {0}: {1}")]
    Script(String, ScriptError),
    /// Something that cannot be.
    #[error("{0}")]
    Wrong(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// What the file is about, for its readers.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    proxy: RawProxy,
    #[serde(default)]
    route: Vec<RawRoute>,
    #[serde(default)]
    cluster: BTreeMap<String, RawCluster>,
    #[serde(default)]
    program: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    case: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawProxy {
    allow: bool,
    buffer_limit: usize,
    idle_ms: u64,
    request_timeout_ms: u64,
    outside: bool,
    suppress: bool,
    policy: RawPolicy,
    backoff_ms: [u64; 2],
    workers: u16,
    environment: BTreeMap<String, String>,
    vm_start: Vec<String>,
    refused: bool,
    must_see: Vec<String>,
}

impl Default for RawProxy {
    fn default() -> Self {
        Self {
            allow: false,
            buffer_limit: 1 << 20,
            idle_ms: 300_000,
            request_timeout_ms: 0,
            outside: false,
            suppress: false,
            policy: RawPolicy::Closed,
            backoff_ms: [1000, 10_000],
            workers: 1,
            environment: BTreeMap::new(),
            vm_start: Vec::new(),
            refused: false,
            must_see: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawPolicy {
    Closed,
    Open,
    Reload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    name: String,
    prefix: Option<String>,
    path: Option<String>,
    #[serde(default)]
    present: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    cluster: Option<String>,
    cluster_header: Option<String>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawCluster {
    door: Option<RawDoor>,
    hosts: Option<bool>,
    max_requests: Option<u32>,
    connect_timeout_ms: Option<u64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum RawDoor {
    Open,
    Refused,
    Silent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    probe: Option<String>,
    client: Option<Vec<String>>,
    #[serde(default)]
    clients: Vec<Vec<String>>,
    #[serde(default)]
    upstream: BTreeMap<String, Vec<Vec<String>>>,
    #[serde(default)]
    linger_ms: u64,
    wait_ms: Option<u64>,
    #[serde(default)]
    merge: bool,
    #[serde(default)]
    timed: bool,
    only: Option<RawOnly>,
    status: Option<u16>,
    body: Option<String>,
    #[serde(default)]
    must_see: Vec<String>,
    #[serde(default)]
    must_not_see: Vec<String>,
    #[serde(default)]
    expect_of_envoy: bool,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum RawOnly {
    World,
}

/// Reads one file.
pub fn load(path: &Path) -> Result<Probe, LoadError> {
    let file: RawFile = toml::from_str(&std::fs::read_to_string(path)?)?;
    let area = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (clusters, doors) = clusters(file.cluster);
    let cases = file.case.into_iter().map(|case| self::case(case, &file.program)).collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    if names.len() != cases.len() {
        return Err(LoadError::Wrong("two cases have one name".to_owned()));
    }
    let raw = file.proxy;
    let routes = if file.route.is_empty() { vec![everything()] } else { routes(file.route)? };
    let configuration =
        serde_json::to_vec(&file.program).map_err(|error| LoadError::Wrong(format!("the programs: {error}")))?;
    let mut environment: Vec<_> = raw.environment.into_iter().collect();
    if !raw.vm_start.is_empty() {
        environment.push((START_VARIABLE.to_owned(), raw.vm_start.join("\n")));
    }
    let [base, max] = raw.backoff_ms.map(Duration::from_millis);
    let proxy = Proxy {
        buffer_limit: raw.buffer_limit,
        stream_idle_timeout: Duration::from_millis(raw.idle_ms),
        request_timeout: Duration::from_millis(raw.request_timeout_ms),
        callers_are_outside: raw.outside,
        routes,
        clusters,
        suppress_envoy_headers: raw.suppress,
        plugin: Plugin {
            name: "probe".to_owned(),
            vm_id: format!("vm-{area}"),
            configuration,
            environment,
            failure_policy: match raw.policy {
                RawPolicy::Closed => FailurePolicy::Closed,
                RawPolicy::Open => FailurePolicy::Open,
                RawPolicy::Reload => FailurePolicy::Reload { base, max },
            },
            allow_on_headers_stop_iteration: raw.allow,
        },
        ..Proxy::default()
    };
    Ok(Probe { area, proxy, doors, workers: raw.workers, refused: raw.refused, must_see: raw.must_see, cases })
}

/// The route of a file that names none: all to `a`.
fn everything() -> Route {
    Route { name: "all".to_owned(), to: Target::Cluster("a".to_owned()), ..Route::default() }
}

fn routes(raw: Vec<RawRoute>) -> Result<Vec<Route>, LoadError> {
    let route = |raw: RawRoute| {
        let to = match (raw.cluster, raw.cluster_header) {
            (Some(cluster), None) => Target::Cluster(cluster),
            (None, Some(header)) => Target::ClusterHeader(header),
            _ => return Err(LoadError::Wrong(format!("route {}: one of cluster and cluster_header", raw.name))),
        };
        let path = match (raw.prefix, raw.path) {
            (prefix, None) => PathMatch::Prefix(prefix.unwrap_or_else(|| "/".to_owned())),
            (None, Some(path)) => PathMatch::Exact(path),
            _ => return Err(LoadError::Wrong(format!("route {}: prefix or path", raw.name))),
        };
        let timeout = raw.timeout_ms.map_or(Route::default().timeout, Duration::from_millis);
        Ok(Route { name: raw.name, path, present: raw.present, remove: raw.remove, to, timeout, ..Route::default() })
    };
    raw.into_iter().map(route).collect()
}

/// The clusters every file has (two that answer, one that refuses, one without a host), and its own.
fn clusters(own: BTreeMap<String, RawCluster>) -> (BTreeMap<String, Cluster>, BTreeMap<String, Door>) {
    let mut all = BTreeMap::from([
        ("a".to_owned(), RawCluster::default()),
        ("b".to_owned(), RawCluster::default()),
        ("dead".to_owned(), RawCluster { door: Some(RawDoor::Refused), ..RawCluster::default() }),
        ("empty".to_owned(), RawCluster { hosts: Some(false), ..RawCluster::default() }),
    ]);
    all.extend(own);
    let doors = all.iter().filter(|(_, raw)| raw.hosts != Some(false)).map(|(name, raw)| {
        let door = match raw.door {
            None | Some(RawDoor::Open) => Door::Open,
            Some(RawDoor::Refused) => Door::Refused,
            Some(RawDoor::Silent) => Door::Silent,
        };
        (name.clone(), door)
    });
    let doors = doors.collect();
    let cluster = |raw: RawCluster| Cluster {
        connect_timeout: raw.connect_timeout_ms.map_or(Cluster::default().connect_timeout, Duration::from_millis),
        max_requests: raw.max_requests.unwrap_or(Cluster::default().max_requests),
    };
    (all.into_iter().map(|(name, raw)| (name, cluster(raw))).collect(), doors)
}

fn case<P>(raw: RawCase, programs: &BTreeMap<String, P>) -> Result<Case, LoadError> {
    let wrong = |error| LoadError::Script(raw.name.clone(), error);
    let program = raw.probe.clone().unwrap_or_else(|| raw.name.clone());
    if raw.probe.is_some() && !programs.contains_key(&program) {
        return Err(LoadError::Wrong(format!("case {}: there is no program {program}", raw.name)));
    }
    let (scripts, many) = match raw.client {
        Some(client) => (vec![client], false),
        None => (raw.clients, true),
    };
    let stream = |(index, lines): (usize, Vec<String>)| {
        let label = if many { format!("{}.{}", raw.name, index + 1) } else { raw.name.clone() };
        let own = [("x-case".to_owned(), label.clone()), ("x-probe".to_owned(), program.clone())];
        Ok(Stream { sending: script::sending(&lines, &own).map_err(wrong)?, label })
    };
    let streams = scripts.into_iter().enumerate().map(stream).collect::<Result<_, LoadError>>()?;
    let replies = |(cluster, scripts): (String, Vec<Vec<String>>)| {
        let replies = scripts.iter().map(|lines| script::reply(lines).map_err(wrong)).collect::<Result<_, _>>()?;
        Ok((cluster, replies))
    };
    Ok(Case {
        streams,
        upstreams: raw.upstream.into_iter().map(replies).collect::<Result<_, LoadError>>()?,
        linger: Duration::from_millis(raw.linger_ms),
        wait: Duration::from_millis(raw.wait_ms.unwrap_or(ANSWER_WITHIN_MS)),
        merge: raw.merge,
        timed: raw.timed,
        only_world: raw.only == Some(RawOnly::World),
        expect: Expect {
            status: raw.status,
            body: raw.body,
            must_see: raw.must_see,
            must_not_see: raw.must_not_see,
            of_envoy: raw.expect_of_envoy,
        },
        name: raw.name,
    })
}
