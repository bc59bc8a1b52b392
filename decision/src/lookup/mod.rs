//! What the filter asks the cache-service: keys, words on the wire, questions and answers.
//!
//! Both shells share these words and no code. A key is computed here, on the filter's side, so that neither a
//! credential nor a payment's identity ever stands in a URL; the service HMACs it again before it stores or logs it.

mod key;
mod local;
mod question;
pub mod wire;

pub use key::{Key, KeyBuilder, MalformedKey};
pub use local::{Loaded, Local, Value};
pub use question::{Answer, CacheRequest, Claim, Question};

use std::fmt;
use std::str::FromStr;

/// A class of look-ups that share a policy and bounds, such as `bin`: 1 to 32 of `a-z`, `0-9` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 32;

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A namespace must be 1 to 32 of `a-z`, `0-9` and `_`.
#[derive(Debug, thiserror::Error)]
#[error("a namespace is 1 to 32 of a-z, 0-9 and _")]
pub struct MalformedNamespace;

impl FromStr for Namespace {
    type Err = MalformedNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=Self::LEN_MAX).contains(&text.len());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if fits && text.bytes().all(plain) { Ok(Self(text.to_owned())) } else { Err(MalformedNamespace) }
    }
}
