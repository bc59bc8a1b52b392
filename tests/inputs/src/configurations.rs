//! The configurations that requests are run under: the one that is shipped, a narrow one, and any.

use std::sync::OnceLock;

use decision::config::Config;
use serde_json::{Value, json};

use crate::bytes::Bytes;

/// Every bound and switch away from its default, so that each is met soon.
const NARROW: &str = include_str!("configurations/narrow.json");
const SHIPPED: &str = include_str!("../../../envoy/envoy.yaml");

/// The narrow one.
pub(crate) fn narrow() -> Config {
    // Read once: a fuzzer asks for it thousands of times a second.
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| parse(NARROW)).clone()
}

/// The shipped one.
pub(crate) fn shipped() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(read_shipped).clone()
}

fn read_shipped() -> Config {
    let plugin = SHIPPED.split_once("\n                  value: |\n").map_or("", |(_, after)| after);
    let plugin = plugin.split("\n          - name:").next().unwrap_or_default();
    let plugin: Value = serde_json::from_str(plugin).expect("the shipped configuration holds one JSON document");
    parse(&plugin["routing"].to_string())
}

/// One that the bytes choose.
pub(crate) fn any(bytes: &mut Bytes<'_>) -> Config {
    match bytes.below(4) {
        0 => shipped(),
        1 => narrow(),
        _ => made(bytes),
    }
}

fn parse(json: &str) -> Config {
    Config::parse(json.as_bytes()).expect("a configuration of these is valid")
}

/// The narrow one with other processors, weights, pools and bounds.
fn made(bytes: &mut Bytes<'_>) -> Config {
    let mut json: Value = serde_json::from_str(NARROW).expect("JSON");
    let count = [1, 2, 3, 5, 64][bytes.below(5)];
    let processor = |n: usize, bytes: &mut Bytes<'_>| {
        let open = 1 + bytes.number() % 3_600_000;
        json!({
            "name": format!("p{n}"),
            "profile": bytes.pick(&["one", "two"]),
            "weight": 1 + bytes.number() % 1_000,
            "breaker": {
                "consecutive_failures": 1 + bytes.number() % 4,
                "open_ms": open,
                "open_ms_max": open + bytes.number() % (3_600_001 - open),
            },
        })
    };
    let processors: Vec<Value> = (0..count).map(|n| processor(n, bytes)).collect();
    let names: Vec<Value> = processors.iter().map(|p| p["name"].clone()).collect();
    let pool = |bytes: &mut Bytes<'_>| {
        let (from, policy) = (bytes.below(count), bytes.pick(&["smooth_weighted_round_robin", "round_robin"]));
        json!({"processors": names[from..], "policy": policy})
    };
    for at in 0..3 {
        json["rules"][at]["use"] = pool(bytes);
    }
    json["default"] = pool(bytes);
    json["processors"] = processors.into();
    json["answer_headers"] = json!(bytes.pick(&["show", "hide", "explain"]));
    json["tenant"]["presence"] = json!(bytes.pick(&["optional", "required"]));
    json["limits"]["request_body_bytes"] = json!(1 + bytes.number() % (768 * 1024));
    json["limits"]["answer_body_bytes"] = json!(1 + bytes.number() % (512 * 1024));
    json["cache"] = json!({
        "local_entries": 1 + bytes.number() % 1_000,
        "local_bytes": 1 + bytes.number() % 100_000,
        "pin_ttl_ms": bytes.number() % 600_001,
    });
    parse(&json.to_string())
}
