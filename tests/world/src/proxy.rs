//! What a proxy is configured to do, in Envoy's words and with Envoy's defaults.

use crate::http::Headers;
use std::collections::BTreeMap;
use std::time::Duration;

/// One listener with one route table and one filter in front of the router.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Bytes held of a body, at most (`per_connection_buffer_limit_bytes`).
    pub buffer_limit: usize,
    /// A stream on which nothing moves for so long is ended; zero never (`stream_idle_timeout`).
    pub stream_idle_timeout: Duration,
    /// A request that is not whole after so long is ended; zero never (`request_timeout`).
    pub request_timeout: Duration,
    /// How long an old configuration goes on beside a new one (`--drain-time-s`).
    pub drain_time: Duration,
    /// Callers are outside (`use_remote_address`): their `x-envoy-*` headers are dropped.
    pub callers_are_outside: bool,
    /// The name of the virtual host that the routes stand in.
    pub virtual_host: String,
    /// The first that matches takes a request.
    pub routes: Vec<Route>,
    /// By name.
    pub clusters: BTreeMap<String, Cluster>,
    /// What a local reply is turned into: the first that matches (`local_reply_config`).
    pub mappers: Vec<Mapper>,
    /// The router adds no `x-envoy-*` headers (`suppress_envoy_headers`).
    pub suppress_envoy_headers: bool,
    /// The filter.
    pub plugin: Plugin,
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Which paths it takes.
    pub path: PathMatch,
    /// Headers that must be there, lower case.
    pub present: Vec<String>,
    /// Request headers that the upstream does not see (`request_headers_to_remove`).
    pub remove: Vec<String>,
    /// Header lines that every answer gets before the filter sees it (`response_headers_to_add`).
    pub add_to_response: Headers,
    /// Where to.
    pub to: Target,
    /// From the whole request to the whole answer; zero never (`timeout`).
    pub timeout: Duration,
}

/// Which paths a route takes; the query is no part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// All that begin so.
    Prefix(String),
    /// This one.
    Exact(String),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this cluster.
    Cluster(String),
    /// To the cluster that this request header names.
    ClusterHeader(String),
}

/// One cluster; its only host is the world's upstream of the same name, and without one there is no host.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How long a connection may take (`connect_timeout`).
    pub connect_timeout: Duration,
    /// Requests at once, at most (`max_requests`); one more is an overflow.
    pub max_requests: u32,
}

/// One rule for local replies, the filter's own included.
#[derive(Clone, Debug)]
pub struct Mapper {
    /// For which.
    pub when: When,
    /// Another status.
    pub status: Option<u16>,
    /// Another body.
    pub body: Option<Body>,
}

/// What a mapper asks of a local reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// This status.
    Status(u16),
    /// One of these response flags, as Envoy abbreviates them: `UF`, `UT`.
    Flags(Vec<String>),
    /// These response code details.
    Details(String),
    /// One of these.
    Any(Vec<When>),
}

/// A body made by a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its `content-type`.
    pub content_type: String,
    /// The fields of a JSON object; `%RESPONSE_CODE%` stands for the status, as a number.
    pub fields: Vec<(String, String)>,
}

/// The filter and how it is run.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The property `plugin_name`.
    pub name: String,
    /// Whose shared data and metrics it has.
    pub vm_id: String,
    /// What `proxy_on_configure` reads.
    pub configuration: Vec<u8>,
    /// The VM's environment.
    pub environment: Vec<(String, String)>,
    /// What a trap leads to.
    pub failure_policy: FailurePolicy,
    /// Whether a Pause in a headers callback stops the headers only, so that the body is still seen
    /// (`allow_on_headers_stop_iteration`), or everything.
    pub allow_on_headers_stop_iteration: bool,
}

/// What a trap leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// 503 until the configuration changes (`FAIL_CLOSED`, and Envoy's default).
    Closed,
    /// The filter is passed by (`FAIL_OPEN`).
    Open,
    /// A new VM, at the next request after a backoff (`FAIL_RELOAD`).
    Reload {
        /// The first backoff (`base_interval`).
        base: Duration,
        /// The longest (`max_interval`).
        max: Duration,
    },
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            buffer_limit: 1 << 20,
            stream_idle_timeout: Duration::from_secs(300),
            request_timeout: Duration::ZERO,
            drain_time: Duration::from_secs(600),
            callers_are_outside: false,
            virtual_host: "everywhere".to_owned(),
            routes: Vec::new(),
            clusters: BTreeMap::new(),
            mappers: Vec::new(),
            suppress_envoy_headers: false,
            plugin: Plugin::default(),
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathMatch::Prefix("/".to_owned()),
            present: Vec::new(),
            remove: Vec::new(),
            add_to_response: Headers::new(),
            to: Target::Cluster(String::new()),
            timeout: Duration::from_secs(15),
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), max_requests: 1024 }
    }
}

impl Default for Plugin {
    fn default() -> Self {
        Self {
            name: "plugin".to_owned(),
            vm_id: "vm".to_owned(),
            configuration: Vec::new(),
            environment: Vec::new(),
            failure_policy: FailurePolicy::Closed,
            allow_on_headers_stop_iteration: false,
        }
    }
}
