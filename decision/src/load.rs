//! The load that a processor reports of itself in its answers.
//!
//! By default the open request cost aggregation format, as Envoy and gRPC read it: the header `endpoint-load-metrics`,
//! whose value is `TEXT cpu_utilization=0.3,..` or `JSON {"cpu_utilization": 0.3, ..}`. `application_utilization` counts
//! before `cpu_utilization` where it is above 0 (gRPC A58). The binary form is not read.

use serde_json::Value;

use crate::exchange::Headers;
use crate::payment::{Document, Encoding, Pointer};

/// The header of the open format.
pub const ORCA: &str = "endpoint-load-metrics";
/// A longer report is not read, in bytes.
const REPORT_LEN_MAX: usize = 4 * 1024;

/// Where a processor says how loaded it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// In the open format.
    #[default]
    Orca,
    /// As a plain number in a header (lower case).
    Header(String),
    /// As a number in the JSON body.
    Pointer(Pointer),
}

impl Source {
    /// The load told by an answer's headers; at least 0.
    pub fn of_headers(&self, headers: Headers<'_>) -> Option<f64> {
        let name = match self {
            Self::Orca => ORCA,
            Self::Header(name) => name,
            Self::Pointer(_) => return None,
        };
        let value = headers.one(name.as_bytes()).filter(|value| value.len() <= REPORT_LEN_MAX)?;
        let text = std::str::from_utf8(value).ok()?.trim();
        match self {
            Self::Orca => orca(text),
            Self::Header(_) | Self::Pointer(_) => number(text),
        }
    }

    /// The load told by an answer's body; at least 0.
    pub fn of_body(&self, body: &[u8]) -> Option<f64> {
        let Self::Pointer(pointer) = self else { return None };
        Document::parse(Encoding::Json, body)?.number(pointer).filter(|load| is_load(*load))
    }
}

fn orca(text: &str) -> Option<f64> {
    let (application, cpu) = if let Some(pairs) = text.strip_prefix("TEXT ") {
        let of = |name: &str| {
            let values = pairs.split(',').filter_map(|pair| pair.split_once('='));
            values.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| number(value.trim()))
        };
        (of("application_utilization"), of("cpu_utilization"))
    } else {
        let report: Value = serde_json::from_str(text.strip_prefix("JSON ")?).ok()?;
        let of = |name: &str| report.get(name).and_then(Value::as_f64).filter(|load| is_load(*load));
        (of("application_utilization"), of("cpu_utilization"))
    };
    application.filter(|load| *load > 0.0).or(cpu)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|load| is_load(*load))
}

fn is_load(load: f64) -> bool {
    load.is_finite() && load >= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &Source, name: &str, value: &str) -> Option<f64> {
        let lines = [(name.as_bytes().to_vec(), value.as_bytes().to_vec())];
        source.of_headers(Headers::new(&lines))
    }

    #[test]
    fn reports_in_headers() {
        for (value, want) in [
            ("TEXT cpu_utilization=0.3", Some(0.3)),
            ("TEXT cpu_utilization=0.3,application_utilization=0.8", Some(0.8)),
            ("TEXT application_utilization=0, cpu_utilization=0.4", Some(0.4)),
            (r#"JSON {"cpu_utilization": 1.25}"#, Some(1.25)),
            (r#"JSON {"application_utilization": 0.5, "cpu_utilization": 0.1}"#, Some(0.5)),
            ("TEXT cpu_utilization=-1", None),
            ("TEXT cpu_utilization=NaN", None),
            ("TEXT mem_utilization=0.5", None),
            ("JSON {", None),
            ("BIN AAAA", None),
            ("0.5", None),
            ("", None),
        ] {
            assert_eq!(read(&Source::Orca, ORCA, value), want, "{value}");
        }
        let own = Source::Header("x-load".to_owned());
        for (value, want) in [("0.5", Some(0.5)), (" 2 ", Some(2.0)), ("inf", None), ("much", None), ("-1", None)] {
            assert_eq!(read(&own, "x-load", value), want, "{value}");
        }
        assert_eq!(read(&own, ORCA, "TEXT cpu_utilization=0.3"), None);
        assert_eq!(read(&own, "x-load", &"1".repeat(REPORT_LEN_MAX + 1)), None);
    }

    #[test]
    fn reports_in_bodies() {
        let at = Source::Pointer(Pointer::parse("/meta/load").unwrap());
        for (body, want) in [
            (r#"{"meta": {"load": 0.75}}"#, Some(0.75)),
            (r#"{"meta": {"load": "0.75"}}"#, Some(0.75)),
            (r#"{"meta": {"load": -1}}"#, None),
            (r#"{"meta": {}}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(at.of_body(body.as_bytes()), want, "{body}");
        }
    }
}
