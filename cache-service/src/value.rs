//! What a look-up answered, as kept and as given back, and the name of who answered.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use decision::lookup::wire;

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

/// A value is never shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_value_keeps_nothing_else_in_memory() {
        let read = Bytes::from(vec![b'x'; 8_192]);
        let value =
            Value { body: read.slice(100..110), content_type: None, status: StatusCode::OK, processor: None }.compact();
        assert_eq!(value.body, read[100..110]);
        assert!(value.body.is_unique() && read.is_unique());
    }
}
