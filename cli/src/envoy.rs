//! The Wasm filters of an Envoy configuration, wherever they stand in it: bootstrap, listener or a list of resources.

use serde_json::{Map, Value};

const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
const STRING: &str = "google.protobuf.StringValue";

/// A Wasm filter that is configured by text.
pub(crate) struct Filter<'a> {
    pub(crate) name: &'a str,
    /// Where it stands.
    path: String,
    /// Its configuration.
    pub(crate) text: &'a str,
}

/// All of them.
pub(crate) fn filters(value: &Value) -> Vec<Filter<'_>> {
    let mut found = Vec::new();
    // The readers of JSON and YAML bound how deep this goes.
    walk(value, "", &mut found);
    found
}

fn walk<'a>(value: &'a Value, path: &str, found: &mut Vec<Filter<'a>>) {
    match value {
        Value::Object(map) => {
            if let Some(text) = text(map) {
                let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
                found.push(Filter { name, path: path.to_owned(), text });
            }
            for (name, value) in map {
                walk(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                walk(value, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

/// The text that configures a filter; none where this is no such filter.
fn text(filter: &Map<String, Value>) -> Option<&str> {
    let of_type = |value: &Value, wanted: &str| {
        let kind = value.get("@type").and_then(Value::as_str);
        kind.and_then(|kind| kind.rsplit('/').next()) == Some(wanted)
    };
    let config = filter.get("typed_config").filter(|config| of_type(config, WASM))?;
    let configuration = config.get("config")?.get("configuration").filter(|value| of_type(value, STRING))?;
    configuration.get("value")?.as_str()
}

/// The one that is meant. Listeners that repeat one configuration mean the same.
pub(crate) fn choose<'a>(mut filters: Vec<Filter<'a>>, wanted: Option<&str>) -> Result<Filter<'a>, String> {
    let names = listed(&filters);
    match wanted {
        Some(wanted) => filters.retain(|filter| filter.name == wanted || filter.path == wanted),
        // Other Wasm filters have configurations of their own kind.
        None if filters.iter().any(is_ours) => filters.retain(is_ours),
        None => {}
    }
    filters.dedup_by(|one, other| one.text == other.text);
    match (filters.pop(), filters.len()) {
        (Some(only), 0) => Ok(only),
        (Some(last), _) => {
            filters.push(last);
            Err(format!("several Wasm filters: choose one by its name or path with --filter: {}", listed(&filters)))
        }
        (None, _) => {
            let called = wanted.map_or(String::new(), |name| format!(" is called {name}"));
            let there = if names.is_empty() {
                "; what is no Envoy configuration is JSON and begins with {".to_owned()
            } else {
                format!("; there is {names}")
            };
            Err(format!("no http filter of type {WASM} with a {STRING} as its configuration{called}{there}"))
        }
    }
}

fn is_ours(filter: &Filter<'_>) -> bool {
    serde_json::from_str::<Value>(filter.text).is_ok_and(|value| value.get("routing").is_some())
}

fn listed(filters: &[Filter<'_>]) -> String {
    let each = filters.iter().map(|filter| format!("{} ({})", filter.name, filter.path));
    each.collect::<Vec<_>>().join(", ")
}
