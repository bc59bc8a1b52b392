//! The shipped Envoy configuration as the test world's: what the file says is what the world does, or it is an error.
//!
//! Strict on purpose. A field that this reader does not know is refused, so that the world can never leave out what the
//! file says. The fields that it knows and passes over are [`Passed`], each with its reason where it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use world::proxy::{Body, Cluster, FailurePolicy, Mapper, PathMatch, Plugin, Proxy, Route, Target, When};

/// Known, and of no consequence in the world; the field says why.
type Passed = Option<IgnoredAny>;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It is not YAML, or has a field that is unknown here.
    #[error("the Envoy configuration: {0}")]
    Yaml(String),
    /// Something has a form that the world does not model.
    #[error("the Envoy configuration: {0}")]
    Unmodelled(String),
}

/// Reads the configuration; `environment` is Envoy's own, of which the VM gets what the file names.
pub fn from_envoy_yaml(text: &str, environment: &[(&str, &str)]) -> Result<Proxy, ProxyError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| ProxyError::Yaml(error.to_string()))?;
    let listener = one("listener", file.static_resources.listeners)?;
    let filter = one("network filter", one("filter chain", listener.filter_chains)?.filters)?;
    named(&filter.name, "envoy.filters.network.http_connection_manager")?;
    let manager = filter.typed_config;
    typed(&manager.kind, "HttpConnectionManager")?;
    let [wasm, router] = <[HttpFilter; 2]>::try_from(manager.http_filters)
        .map_err(|all| unmodelled(format!("{} HTTP filters, not the one and the router", all.len())))?;
    named(&router.name, "envoy.filters.http.router")?;
    typed(&router.typed_config.kind, "Router")?;
    typed(&wasm.typed_config.kind, "Wasm")?;
    let plugin = wasm.typed_config.config.ok_or_else(|| unmodelled("the filter has no config".to_owned()))?;
    let host = one("virtual host", manager.route_config.virtual_hosts)?;
    if host.domains != ["*"] {
        return Err(unmodelled(format!("a virtual host of {:?}, not of every domain", host.domains)));
    }
    let mappers = manager.local_reply_config.unwrap_or_default().mappers;
    let clusters = file.static_resources.clusters.into_iter().map(cluster);
    Ok(Proxy {
        buffer_limit: listener.per_connection_buffer_limit_bytes.unwrap_or(1 << 20),
        stream_idle_timeout: duration_or(manager.stream_idle_timeout, 300)?,
        request_timeout: duration_or(manager.request_timeout, 0)?,
        callers_are_outside: manager.use_remote_address,
        virtual_host: host.name,
        routes: host.routes.into_iter().map(route).collect::<Result<_, _>>()?,
        clusters: clusters.collect::<Result<BTreeMap<_, _>, _>>()?,
        mappers: mappers.into_iter().map(mapper).collect::<Result<_, _>>()?,
        suppress_envoy_headers: router.typed_config.suppress_envoy_headers,
        plugin: self::plugin(plugin, environment)?,
        ..Proxy::default()
    })
}

fn unmodelled(what: String) -> ProxyError {
    ProxyError::Unmodelled(what)
}

fn one<T>(what: &str, mut all: Vec<T>) -> Result<T, ProxyError> {
    match (all.pop(), all.len()) {
        (Some(only), 0) => Ok(only),
        (last, more) => Err(unmodelled(format!("{} {what}s, not one", more + usize::from(last.is_some())))),
    }
}

fn named(name: &str, wanted: &str) -> Result<(), ProxyError> {
    if name == wanted { Ok(()) } else { Err(unmodelled(format!("{name} stands where {wanted} is known"))) }
}

/// Whether a `@type` ends in this name.
fn typed(kind: &str, wanted: &str) -> Result<(), ProxyError> {
    if kind.rsplit('.').next() == Some(wanted) {
        Ok(())
    } else {
        Err(unmodelled(format!("a {kind} stands where a {wanted} is known")))
    }
}

/// A duration as protobuf spells it: `0.25s`.
fn duration(text: &str) -> Result<Duration, ProxyError> {
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok());
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| unmodelled(format!("{text:?} is no duration")))
}

fn duration_or(text: Option<String>, default_s: u64) -> Result<Duration, ProxyError> {
    text.map_or(Ok(Duration::from_secs(default_s)), |text| duration(&text))
}

fn route(raw: RawRoute) -> Result<Route, ProxyError> {
    let path = match (raw.matches.prefix, raw.matches.path) {
        (Some(prefix), None) => PathMatch::Prefix(prefix),
        (None, Some(path)) => PathMatch::Exact(path),
        _ => return Err(unmodelled(format!("route {}: neither a prefix nor a path", raw.name))),
    };
    let to = match (raw.route.cluster, raw.route.cluster_header) {
        (Some(cluster), None) => Target::Cluster(cluster),
        (None, Some(header)) => Target::ClusterHeader(header.to_ascii_lowercase()),
        _ => return Err(unmodelled(format!("route {}: neither a cluster nor a cluster_header", raw.name))),
    };
    if raw.matches.headers.iter().any(|header| !header.present_match) {
        return Err(unmodelled(format!("route {}: a header that is not asked to be present", raw.name)));
    }
    Ok(Route {
        name: raw.name,
        path,
        present: raw.matches.headers.into_iter().map(|header| header.name.to_ascii_lowercase()).collect(),
        remove: raw.request_headers_to_remove.into_iter().map(|name| name.to_ascii_lowercase()).collect(),
        add_to_response: raw
            .response_headers_to_add
            .into_iter()
            .map(|added| literal(added.header))
            .collect::<Result<_, _>>()?,
        to,
        timeout: duration_or(raw.route.timeout, 15)?,
    })
}

/// A header line that stands for itself: Envoy fills in what stands between percent signs, and the world does not.
fn literal(raw: HeaderLine) -> Result<(Vec<u8>, Vec<u8>), ProxyError> {
    if raw.value.contains('%') {
        return Err(unmodelled(format!("the value {} of an added header", raw.value)));
    }
    Ok((raw.key.to_ascii_lowercase().into_bytes(), raw.value.into_bytes()))
}

fn cluster(raw: RawCluster) -> Result<(String, Cluster), ProxyError> {
    named(&raw.kind, "STATIC")?;
    let thresholds = raw.circuit_breakers.map(|breakers| one("threshold", breakers.thresholds)).transpose()?;
    let cluster = Cluster {
        connect_timeout: duration_or(raw.connect_timeout, 5)?,
        max_requests: thresholds.and_then(|thresholds| thresholds.max_requests).unwrap_or(1024),
    };
    Ok((raw.name, cluster))
}

fn mapper(raw: RawMapper) -> Result<Mapper, ProxyError> {
    let body = raw
        .body_format_override
        .map(|format| Body { content_type: format.content_type, fields: format.json_format.into_iter().collect() });
    Ok(Mapper { when: when(raw.filter)?, status: raw.status_code, body })
}

fn when(raw: LogFilter) -> Result<When, ProxyError> {
    match raw {
        LogFilter {
            status_code_filter: Some(filter),
            response_flag_filter: None,
            or_filter: None,
            extension_filter: None,
        } => {
            named(&filter.comparison.op, "EQ")?;
            Ok(When::Status(filter.comparison.value.default_value))
        }
        LogFilter {
            status_code_filter: None,
            response_flag_filter: Some(filter),
            or_filter: None,
            extension_filter: None,
        } => Ok(When::Flags(filter.flags)),
        LogFilter {
            status_code_filter: None,
            response_flag_filter: None,
            or_filter: Some(filter),
            extension_filter: None,
        } => filter.filters.into_iter().map(when).collect::<Result<_, _>>().map(When::Any),
        LogFilter {
            status_code_filter: None,
            response_flag_filter: None,
            or_filter: None,
            extension_filter: Some(filter),
        } => {
            named(&filter.name, "envoy.access_loggers.extension_filters.cel")?;
            typed(&filter.typed_config.kind, "ExpressionFilter")?;
            let expression = filter.typed_config.expression;
            let details =
                expression.strip_prefix("response.code_details == '").and_then(|rest| rest.strip_suffix('\''));
            let details = details.filter(|details| !details.contains(['\'', '\\']));
            details
                .map(|details| When::Details(details.to_owned()))
                .ok_or_else(|| unmodelled(format!("the expression {expression}")))
        }
        _ => Err(unmodelled("a filter that is not exactly one of four kinds".to_owned())),
    }
}

fn plugin(raw: WasmConfig, environment: &[(&str, &str)]) -> Result<Plugin, ProxyError> {
    typed(&raw.configuration.kind, "StringValue")?;
    named(&raw.vm_config.runtime, "envoy.wasm.runtime.v8")?;
    let failure_policy = match raw.failure_policy.as_deref() {
        None | Some("FAIL_CLOSED") => FailurePolicy::Closed,
        Some("FAIL_OPEN") => FailurePolicy::Open,
        Some("FAIL_RELOAD") => {
            let backoff = raw.reload_config.map(|reload| reload.backoff);
            let (base, max) =
                backoff.map_or((None, None), |backoff| (Some(backoff.base_interval), backoff.max_interval));
            let base = duration_or(base, 1)?;
            // Envoy's own: ten times the first.
            let max = max.map_or(Ok(base * 10), |text| duration(&text))?;
            FailurePolicy::Reload { base, max }
        }
        Some(other) => return Err(unmodelled(format!("failure_policy {other}"))),
    };
    let names = raw.vm_config.environment_variables.map(|variables| variables.host_env_keys).unwrap_or_default();
    let value =
        |name: &String| environment.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
    Ok(Plugin {
        name: raw.name,
        vm_id: raw.vm_config.vm_id,
        configuration: raw.configuration.value.into_bytes(),
        environment: names.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect(),
        failure_policy,
        allow_on_headers_stop_iteration: raw.allow_on_headers_stop_iteration,
    })
}

/// Declares mirrors of the file; each knows its fields and refuses any other.
macro_rules! mirrors {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {
        $(#[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name { $($(#[$meta])* $field: $type,)* })*
    };
}

mirrors! {
    File {
        // For operators.
        #[serde(rename = "admin")] _admin: Passed,
        // Labels are cut out of the counters' names by whoever reads them; the world's are read whole.
        #[serde(rename = "stats_config")] _stats_config: Passed,
        static_resources: Resources,
    }
    Resources { listeners: Vec<Listener>, clusters: Vec<RawCluster>, }
    Listener {
        #[serde(rename = "name")] _name: Passed,
        // The world has no sockets.
        #[serde(rename = "address")] _address: Passed,
        per_connection_buffer_limit_bytes: Option<usize>,
        filter_chains: Vec<Chain>,
    }
    Chain { filters: Vec<NetworkFilter>, }
    NetworkFilter { name: String, typed_config: Manager, }
    Manager {
        #[serde(rename = "@type")] kind: String,
        // The connection manager's own counters are not modelled.
        #[serde(rename = "stat_prefix")] _stat_prefix: Passed,
        #[serde(default)] use_remote_address: bool,
        stream_idle_timeout: Option<String>,
        // In the world a head comes at once.
        #[serde(rename = "request_headers_timeout")] _request_headers_timeout: Passed,
        request_timeout: Option<String>,
        // In the world a path is spelt as these would spell it; a scenario about spelling says `envoy_only`.
        #[serde(rename = "normalize_path")] _normalize_path: Passed,
        #[serde(rename = "merge_slashes")] _merge_slashes: Passed,
        #[serde(rename = "path_with_escaped_slashes_action")] _escaped_slashes: Passed,
        // The world tells what a log would say in its own way.
        #[serde(rename = "access_log")] _access_log: Passed,
        local_reply_config: Option<LocalReplyConfig>,
        route_config: RouteConfig,
        http_filters: Vec<HttpFilter>,
    }
    RouteConfig { virtual_hosts: Vec<VirtualHost>, }
    VirtualHost { name: String, domains: Vec<String>, routes: Vec<RawRoute>, }
    RawRoute {
        #[serde(default)] name: String,
        #[serde(rename = "match")] matches: RouteMatch,
        #[serde(default)] request_headers_to_remove: Vec<String>,
        #[serde(default)] response_headers_to_add: Vec<HeaderAdded>,
        route: RouteTo,
    }
    HeaderAdded { header: HeaderLine, }
    HeaderLine { key: String, value: String, }
    RouteMatch { prefix: Option<String>, path: Option<String>, #[serde(default)] headers: Vec<HeaderMatch>, }
    HeaderMatch { name: String, #[serde(default)] present_match: bool, }
    RouteTo { cluster: Option<String>, cluster_header: Option<String>, timeout: Option<String>, }
    RawMapper { filter: LogFilter, status_code: Option<u16>, body_format_override: Option<BodyFormat>, }
    BodyFormat { json_format: BTreeMap<String, String>, content_type: String, }
    LogFilter {
        status_code_filter: Option<StatusFilter>,
        response_flag_filter: Option<FlagFilter>,
        or_filter: Option<OrFilter>,
        extension_filter: Option<ExtensionFilter>,
    }
    StatusFilter { comparison: Comparison, }
    Comparison { op: String, value: RuntimeValue, }
    // Nobody sets the runtime key: the default holds.
    RuntimeValue { default_value: u16, #[serde(rename = "runtime_key")] _runtime_key: Passed, }
    FlagFilter { flags: Vec<String>, }
    OrFilter { filters: Vec<LogFilter>, }
    ExtensionFilter { name: String, typed_config: Expression, }
    Expression { #[serde(rename = "@type")] kind: String, expression: String, }
    HttpFilter { name: String, typed_config: HttpFilterConfig, }
    HttpFilterConfig {
        #[serde(rename = "@type")] kind: String,
        config: Option<WasmConfig>,
        #[serde(default)] suppress_envoy_headers: bool,
    }
    WasmConfig {
        name: String,
        failure_policy: Option<String>,
        reload_config: Option<Reload>,
        #[serde(default)] allow_on_headers_stop_iteration: bool,
        vm_config: VmConfig,
        configuration: Configuration,
    }
    Reload { backoff: Backoff, }
    Backoff { base_interval: String, max_interval: Option<String>, }
    VmConfig {
        #[serde(default)] vm_id: String,
        runtime: String,
        environment_variables: Option<Environment>,
        // The world is given the compiled filter.
        #[serde(rename = "code")] _code: Passed,
    }
    Environment { host_env_keys: Vec<String>, }
    Configuration { #[serde(rename = "@type")] kind: String, value: String, }
    RawCluster {
        name: String,
        #[serde(rename = "type")] kind: String,
        connect_timeout: Option<String>,
        circuit_breakers: Option<CircuitBreakers>,
        // Behind a cluster stands what the world was given.
        #[serde(rename = "load_assignment")] _load_assignment: Passed,
    }
    CircuitBreakers { thresholds: Vec<Thresholds>, }
    Thresholds {
        // The world counts requests; a connection or a place in a queue costs nothing there.
        #[serde(rename = "max_connections")] _max_connections: Passed,
        #[serde(rename = "max_pending_requests")] _max_pending_requests: Passed,
        max_requests: Option<u32>,
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalReplyConfig {
    #[serde(default)]
    mappers: Vec<RawMapper>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2e::stack::repository;

    fn shipped() -> String {
        std::fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap()
    }

    #[test]
    fn the_shipped_file_is_read_whole() {
        let proxy = from_envoy_yaml(&shipped(), &[("SWITCHYARD_CACHE_TOKEN", "t"), ("OTHER", "o")]).unwrap();
        assert_eq!((proxy.buffer_limit, proxy.stream_idle_timeout), (1 << 20, Duration::from_secs(20)));
        assert_eq!((proxy.request_timeout, proxy.callers_are_outside), (Duration::from_secs(30), true));
        let routes: Vec<_> = proxy.routes.iter().map(|route| (route.name.as_str(), &route.to, route.timeout)).collect();
        let by_header = Target::ClusterHeader("x-switchyard-cluster".to_owned());
        let straight = Target::Cluster("acquirer-a".to_owned());
        let expected = [("processors", &by_header, 10), ("pass-through", &straight, 2)];
        assert_eq!(routes, expected.map(|(name, to, seconds)| (name, to, Duration::from_secs(seconds))));
        assert_eq!(proxy.routes[0].remove, ["x-switchyard-cluster"]);
        assert_eq!(proxy.clusters.len(), 4);
        assert_eq!(proxy.clusters["cache-service"].max_requests, 4096);
        assert_eq!(proxy.clusters["cache-service"].connect_timeout, Duration::from_millis(250));
        assert_eq!(proxy.mappers.len(), 9);
        assert_eq!(proxy.mappers[0].when, When::Details("wasm_fail_stream".to_owned()));
        assert_eq!(proxy.mappers[0].status, Some(504));
        assert!(proxy.suppress_envoy_headers && proxy.plugin.allow_on_headers_stop_iteration);
        assert_eq!(proxy.plugin.environment, [("SWITCHYARD_CACHE_TOKEN".to_owned(), "t".to_owned())]);
        let reload = FailurePolicy::Reload { base: Duration::from_millis(100), max: Duration::from_secs(1) };
        assert_eq!((proxy.plugin.name.as_str(), proxy.plugin.failure_policy), ("switchyard", reload));
        assert!(proxy.plugin.configuration.starts_with(b"{"));
    }

    #[test]
    fn what_the_world_does_not_model_is_refused() {
        for (old, new, why) in [
            (
                "merge_slashes: true",
                "merge_slashes: true\n          max_request_headers_kb: 8",
                "max_request_headers_kb",
            ),
            ("domains: [\"*\"]", "domains: [\"a\"]", "every domain"),
            ("'wasm_fail_stream'", "'a' || true", "expression"),
            ("{op: EQ, value: {default_value: 408", "{op: GE, value: {default_value: 408", "EQ"),
            ("type: STATIC\n    connect_timeout: 0.25s", "type: STRICT_DNS\n    connect_timeout: 0.25s", "STATIC"),
            ("timeout: 2s}", "timeout: 2s, retry_policy: {retry_on: 5xx}}", "retry_policy"),
            (
                "[x-switchyard-cluster]\n",
                "[x-switchyard-cluster]\n                response_headers_to_add: [{header: {key: a, value: \"%PROTOCOL%\"}}]\n",
                "added header",
            ),
            ("stream_idle_timeout: 20s", "stream_idle_timeout: soon", "no duration"),
            ("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_SOON", "FAIL_SOON"),
        ] {
            let text = shipped();
            assert_eq!(text.matches(old).count(), 1, "{old}");
            let error = from_envoy_yaml(&text.replace(old, new), &[]).unwrap_err().to_string();
            assert!(error.contains(why), "{new}: {error}");
        }
    }
}
