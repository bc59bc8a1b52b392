//! A request as an operator writes it down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use decision::rules::window;
use decision::time::{Mono, Now, Wall};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::input::{self, Wrong};
use crate::state::Past;

/// Where the clock that measures stands, in microseconds: an hour after its start, so that every answer's beginning is
/// after that.
const MONO: Mono = Mono(3_600_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body: Option<Box<RawValue>>,
    source: Option<IpAddr>,
    at: Option<String>,
    #[serde(default)]
    state: BTreeMap<String, Past>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Values {
    One(String),
    More(Vec<String>),
}

/// A request, and what went before.
pub(crate) struct Request {
    /// What it is called in messages.
    pub(crate) file: String,
    /// Header lines as the proxy hands them over.
    pub(crate) lines: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) now: Now,
    /// By processor.
    pub(crate) state: BTreeMap<String, Past>,
}

/// Reads a request.
pub(crate) fn read(path: &Path) -> Result<Request, Wrong> {
    let (file, text) = (input::name(path), input::read(path)?);
    let wrong = |path: &str, message: &str| Wrong::at(&file, path, message);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let raw: Raw = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = if error.inner().is_data() { error.path().to_string() } else { String::new() };
        wrong(&path, &without_values(&error.inner().to_string()))
    })?;
    reader.end().map_err(|error| wrong("", &error.to_string()))?;

    if raw.method.is_empty() || !raw.method.bytes().all(is_token) {
        return Err(wrong("method", "an HTTP method, such as POST"));
    }
    if !raw.path.starts_with('/') || raw.path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(wrong("path", "a path that starts with / and has no space, such as /v1/payments"));
    }
    let mut lines = vec![(b":method".to_vec(), raw.method.into_bytes()), (b":path".to_vec(), raw.path.into_bytes())];
    for (name, values) in raw.headers {
        let path = format!("headers.{name}");
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong(&path, "this is no name of a header"));
        }
        let name = name.to_ascii_lowercase();
        let name = if name == "host" { ":authority".to_owned() } else { name };
        for value in match values {
            Values::One(value) => vec![value],
            Values::More(values) => values,
        } {
            if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                return Err(wrong(&path, "a header's value has no control characters"));
            }
            lines.push((name.clone().into_bytes(), value.trim_matches([' ', '\t']).as_bytes().to_vec()));
        }
    }
    let body = raw.body.map(|body| match serde_json::from_str::<String>(body.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => {
            if !lines.iter().any(|(name, _)| name == b"content-type") {
                lines.push((b"content-type".to_vec(), b"application/json".to_vec()));
            }
            body.get().as_bytes().to_vec()
        }
    });
    let wall = match raw.at {
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        Some(at) => instant(&at)
            .ok_or_else(|| wrong("at", "a time such as 2026-11-11T00:00:00Z, from 1970 on, with Z or +05:30"))?,
    };
    let now = Now { mono: MONO, wall: Wall(wall.saturating_mul(1_000_000)) };
    Ok(Request { lines, body, source: raw.source, now, state: raw.state, file })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a reader expected, without the text that it met: that may be a header's value, or of a card.
fn without_values(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((met, expected)) if met.contains(": string \"") => format!("a text stands here, expected {expected}"),
        _ => message.to_owned(),
    }
}

/// Seconds since 1970 of a time as RFC 3339 writes it; parts of a second are passed over.
fn instant(text: &str) -> Option<u64> {
    let zone = text.len().checked_sub(if text.ends_with('Z') { 1 } else { 6 })?;
    let (local, offset) = (text.get(..zone)?, window::offset(text.get(zone..)?)?);
    let (minutes, rest) = (local.get(..16)?, local.get(16..)?);
    let (seconds, part) = rest.split_once('.').unwrap_or((rest, "0"));
    let seconds = seconds.strip_prefix(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // 60 is a leap second.
    let seconds: u64 = seconds.parse().ok().filter(|n| seconds.len() == 2 && digits(seconds) && *n <= 60)?;
    let minutes = window::date(minutes, offset).filter(|_| digits(part) && minutes.contains('T'))?;
    minutes.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:07.5Z", Some(7)),
            ("2026-11-21T20:46:01+05:30", Some(1_795_274_161)),
            ("2026-11-21T12:16:00-03:00", Some(1_795_274_160)),
            ("2026-11-21T15:16Z", None),
            ("2026-11-21", None),
            ("2026-11-21Z", None),
            ("2026-11-21T15:16:00", None),
            ("2026-11-21T15:16:61Z", None),
            ("2026-11-21T15:16:+1Z", None),
            ("2026-11-21T15:16:00.Z", None),
            ("2026-02-29T15:16:00Z", None),
            ("2026-11-21T15:16:00ü00", None),
            ("ü", None),
            ("", None),
        ] {
            assert_eq!(instant(text), want, "{text}");
        }
    }

    #[test]
    fn a_message_repeats_no_text() {
        let message = r#"invalid type: string "a, expected b", expected a map at line 1 column 2"#;
        assert_eq!(without_values(message), "a text stands here, expected a map at line 1 column 2");
        assert_eq!(without_values("missing field `path`"), "missing field `path`");
    }
}
