//! The configuration of a real Envoy that is this `Proxy`. As JSON, which is YAML, so that nothing has to be quoted by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use world::proxy::{Cluster, FailurePolicy, PathMatch, Proxy, Route, Target};

const HCM: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const HTTP: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A duration as Envoy writes it.
fn seconds(duration: Duration) -> String {
    format!("{}.{:03}s", duration.as_secs(), duration.subsec_millis())
}

fn route(route: &Route) -> Value {
    let mut matches = match &route.path {
        PathMatch::Prefix(prefix) => json!({"prefix": prefix}),
        PathMatch::Exact(path) => json!({"path": path}),
    };
    matches["headers"] =
        route.present.iter().map(|name| json!({"name": name, "present_match": true})).collect::<Vec<_>>().into();
    let mut action = match &route.to {
        Target::Cluster(name) => json!({"cluster": name}),
        Target::ClusterHeader(name) => json!({"cluster_header": name}),
    };
    action["timeout"] = json!(seconds(route.timeout));
    json!({"name": route.name, "match": matches, "route": action, "request_headers_to_remove": route.remove})
}

fn cluster(name: &str, cluster: &Cluster, host: Option<&SocketAddr>) -> Value {
    let endpoints: Vec<Value> = host.map(|host| json!({"endpoint": {"address": socket(*host)}})).into_iter().collect();
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": seconds(cluster.connect_timeout),
        "circuit_breakers": {"thresholds": [{"max_requests": cluster.max_requests}]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {HTTP: {
            "@type": format!("type.googleapis.com/{HTTP}"),
            "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
        }},
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn plugin(proxy: &Proxy, wasm: &Path) -> Value {
    let plugin = &proxy.plugin;
    let environment: Map<String, Value> =
        plugin.environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut config = json!({
        "name": plugin.name,
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": String::from_utf8_lossy(&plugin.configuration),
        },
        "allow_on_headers_stop_iteration": plugin.allow_on_headers_stop_iteration,
        "vm_config": {
            "vm_id": plugin.vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": wasm}},
            "environment_variables": {"key_values": environment},
        },
    });
    match plugin.failure_policy {
        FailurePolicy::Closed => config["failure_policy"] = json!("FAIL_CLOSED"),
        FailurePolicy::Open => config["failure_policy"] = json!("FAIL_OPEN"),
        FailurePolicy::Reload { base, max } => {
            config["failure_policy"] = json!("FAIL_RELOAD");
            config["reload_config"] =
                json!({"backoff": {"base_interval": seconds(base), "max_interval": seconds(max)}});
        }
    }
    json!({"name": "wasm", "typed_config": {"@type": WASM, "config": config}})
}

/// The configuration. `hosts` says where the host of each cluster is; a cluster that is not there has none.
pub fn render(proxy: &Proxy, hosts: &BTreeMap<String, SocketAddr>, wasm: &Path) -> String {
    let any = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
    let clusters: Vec<Value> = proxy.clusters.iter().map(|(name, own)| cluster(name, own, hosts.get(name))).collect();
    let manager = json!({
        "@type": HCM,
        "stat_prefix": "in",
        "stream_idle_timeout": seconds(proxy.stream_idle_timeout),
        "request_timeout": seconds(proxy.request_timeout),
        "use_remote_address": proxy.callers_are_outside,
        "http_protocol_options": {"enable_trailers": true},
        "route_config": {"virtual_hosts": [{
            "name": proxy.virtual_host,
            "domains": ["*"],
            "routes": proxy.routes.iter().map(route).collect::<Vec<_>>(),
        }]},
        "http_filters": [
            plugin(proxy, wasm),
            {"name": "router", "typed_config": {
                "@type": ROUTER, "suppress_envoy_headers": proxy.suppress_envoy_headers,
            }},
        ],
    });
    let config = json!({
        "admin": {"address": any},
        "static_resources": {
            "listeners": [{
                "name": "in",
                "address": any,
                "per_connection_buffer_limit_bytes": proxy.buffer_limit,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                }]}],
            }],
            "clusters": clusters,
        },
    });
    config.to_string()
}
