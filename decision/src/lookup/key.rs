//! The identity of what is asked of the cache-service.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The identity of a look-up, pin or claim on the wire: SHA-256 of its length-prefixed parts, 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The digest itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key hides a payment's identity but still tells two payments apart: no log needs it whole.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key is 64 lower-case hex digits.
#[derive(Debug, thiserror::Error)]
#[error("a key is 64 lower-case hex digits")]
pub struct MalformedKey;

impl FromStr for Key {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(MalformedKey);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| MalformedKey)?;
        Ok(Self(bytes))
    }
}

/// Builds a [`Key`] part by part. Each part is prefixed by its length, so `ab` + `c` never meets `a` + `bc`.
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Starts a key of one kind. The kind carries a version, so a change of the parts cannot meet an old key.
    pub fn new(kind: &'static str) -> Self {
        Self(Sha256::new()).part(kind.as_bytes())
    }

    /// Adds a part.
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a part that may be absent; absent differs from empty.
    pub fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.part(b"1").part(bytes),
            None => self.part(b"0"),
        }
    }

    /// The key of the parts so far.
    pub fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let one = KeyBuilder::new("t").part(b"ab").part(b"c").finish();
        let other = KeyBuilder::new("t").part(b"a").part(b"bc").finish();
        assert_ne!(one, other);
        let absent = KeyBuilder::new("t").optional(None).finish();
        let empty = KeyBuilder::new("t").optional(Some(b"")).finish();
        assert_ne!(absent, empty);
    }

    #[test]
    fn a_key_survives_the_wire_and_nothing_else_does() {
        let key = KeyBuilder::new("t").part(b"x").finish();
        let text = key.to_string();
        assert_eq!(text.parse::<Key>().ok(), Some(key));
        for bad in ["", "zz", &text[1..], &text.to_uppercase(), &format!("{text}0")] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
    }
}
