//! What a look-up answered, as kept and as given back, and the name of who answered.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use decision::lookup::wire;
use decision::payment::holds_card_number;

/// A processor's configured name: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorName(String);

impl ProcessorName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A processor's name must be 1 to 64 visible ASCII characters.
#[derive(Debug, thiserror::Error)]
#[error("a processor's name is 1 to 64 visible ASCII characters")]
pub struct MalformedProcessor;

impl FromStr for ProcessorName {
    type Err = MalformedProcessor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=wire::PROCESSOR_LEN_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedProcessor)
        }
    }
}

/// The answer of a look-up.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The body as it came.
    pub body: Bytes,
    /// Its content type, where one was given; at most [`Value::CONTENT_TYPE_LEN_MAX`] bytes of visible ASCII.
    pub content_type: Option<HeaderValue>,
    /// The status the processor answered with; 200 to 599.
    pub status: StatusCode,
    /// Who answered, where it was said.
    pub processor: Option<ProcessorName>,
}

impl Value {
    /// The longest content type, in bytes.
    pub const CONTENT_TYPE_LEN_MAX: usize = 128;

    /// The same in memory of its own size: a body is a part of what was read from the network with it, and keeps all of
    /// that. The headers are copies already.
    pub fn compact(self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self }
    }
}

impl Value {
    /// Whether any part of it holds what looks like a card number. JSON may write a digit as `\u0034`.
    pub fn holds_card_number(&self) -> bool {
        let content_type = self.content_type.as_ref().map(HeaderValue::as_bytes);
        let processor = self.processor.as_ref().map(|name| name.as_str().as_bytes());
        let headers = [content_type, processor].into_iter().flatten().any(holds_card_number);
        headers || holds_card_number(&self.body) || self.may_be_json() && holds_card_number(&unescape(&self.body))
    }

    /// Where no content type was given it may be anything.
    fn may_be_json(&self) -> bool {
        let is_json = |text: &HeaderValue| text.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("json"));
        self.content_type.as_ref().is_none_or(is_json)
    }
}

/// The text with `\uXXXX` read as the ASCII character it stands for; any other stays as it is.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = rest.strip_prefix(b"\\u").and_then(|tail| {
            let (digits, tail) = tail.split_at_checked(4)?;
            let code = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((code, tail))
        });
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        plain.push(byte);
        rest = tail;
    }
    plain
}

/// A value is never shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(body: &'static [u8], content_type: &'static str) -> Value {
        let content_type = (!content_type.is_empty()).then(|| HeaderValue::from_static(content_type));
        Value { body: Bytes::from_static(body), content_type, status: StatusCode::OK, processor: None }
    }

    #[test]
    fn a_card_number_is_found_in_every_part() {
        let escaped = br#"{"n":"\u0034111\u0031111\u00311111111"}"#;
        for found in [
            value(b"4111111111111111", "text/plain"),
            value(escaped, "application/json"),
            value(escaped, "application/problem+JSON; charset=utf-8"),
            value(escaped, ""),
            value(b"", "text/4111111111111111"),
            Value { processor: "4111-1111-1111-1111".parse().ok(), ..value(b"", "") },
        ] {
            assert!(found.holds_card_number(), "{:?} {:?}", found.body, found.content_type);
        }
        for none in [value(escaped, "text/plain"), value(br#"{"n":"\u00e9\u4111 \u411"}"#, ""), value(b"\\u", "")] {
            assert!(!none.holds_card_number(), "{:?}", none.body);
        }
    }

    #[test]
    fn a_compact_value_keeps_nothing_else_in_memory() {
        let read = Bytes::from(vec![b'x'; 8_192]);
        let value =
            Value { body: read.slice(100..110), content_type: None, status: StatusCode::OK, processor: None }.compact();
        assert_eq!(value.body, read[100..110]);
        assert!(value.body.is_unique() && read.is_unique());
    }
}
