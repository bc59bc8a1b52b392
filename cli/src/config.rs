//! The filter's configuration, in whichever of three forms it is at hand.

use std::path::Path;

use decision::config::{Config, ConfigError, Document};
use serde_json::Value;

use crate::envoy;
use crate::input::{self, Wrong};

/// A configuration that is valid.
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The filter that it was taken from, where it stood in an Envoy configuration.
    pub(crate) filter: Option<String>,
    /// What paths into the routing document begin with, in the form that was read.
    pub(crate) prefix: &'static str,
}

/// Reads the `routing` document, the filter's whole configuration, or that of a filter of an Envoy configuration.
pub(crate) fn read(path: &Path, filter: Option<&str>) -> Result<Loaded, Wrong> {
    let (file, text) = (input::name(path), input::read(path)?);
    let wrong = |message: String| Wrong::of(&file, message);
    let refused = |error: ConfigError| Wrong::at(&file, &error.path, error.message);
    let whole = |text: &str, filter| {
        let config = Document::parse(text.as_bytes()).map_err(refused)?.routing;
        Ok(Loaded { config, filter, prefix: "routing." })
    };
    let of_envoy = |value: &Value| {
        let found = envoy::choose(envoy::filters(value), filter).map_err(wrong)?;
        whole(found.text, Some(found.name.to_owned()))
    };
    // JSON is read as JSON, as the filter reads it: YAML would forgive a comma too many.
    if !text.trim_start().starts_with('{') {
        let options = serde_saphyr::options! { with_snippet: false };
        let value =
            serde_saphyr::from_str_with_options(&text, options).map_err(|e| wrong(format!("is no YAML: {e}")))?;
        return of_envoy(&value);
    }
    let value: Value = serde_json::from_str(&text).map_err(|e| wrong(format!("is no JSON: {e}")))?;
    let is_envoy = value.get("static_resources").is_some() || !envoy::filters(&value).is_empty();
    if is_envoy {
        return of_envoy(&value);
    }
    if let Some(filter) = filter {
        return Err(wrong(format!("this is no Envoy configuration, so there is no filter {filter}")));
    }
    if value.get("routing").is_some() || value.get("cache_service").is_some() {
        return whole(&text, None);
    }
    let config = Config::parse(text.as_bytes()).map_err(refused)?;
    Ok(Loaded { config, filter: None, prefix: "" })
}
