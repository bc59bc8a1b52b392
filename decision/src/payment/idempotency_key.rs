//! The key by which a client marks the tries of one payment.

use std::fmt;

/// The key by which a client marks tries of one payment, without its quotes: 1 to 255 of visible ASCII other than
/// `"`, `,`, `;` and `\`.
///
/// The IETF draft (httpapi-idempotency-key-header) quotes the value and Stripe's documentation does not, so `"abc"` and
/// `abc` are one key. It is forwarded in one spelling: a processor might take two spellings for two keys, and charge twice.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Vec<u8>);

/// The header is not one idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedIdempotencyKey;

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const LEN_MAX: usize = 255;

    /// Reads a header's value.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedIdempotencyKey> {
        let value = value.trim_ascii();
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
        if (1..=Self::LEN_MAX).contains(&bare.len()) && bare.iter().all(plain) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(MalformedIdempotencyKey)
        }
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key may be guessed from a log and replayed: it is never printed.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_one_key() {
        let bare = IdempotencyKey::parse(b"8e03978e-40d5-43dd-bc93-6894a57f9324").unwrap();
        let quoted = IdempotencyKey::parse(b"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"").unwrap();
        assert_eq!(bare, quoted);
        assert!(IdempotencyKey::parse(&[b'k'; 255]).is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        let long = [b'k'; 256];
        let bad: [&[u8]; 9] = [b"", b"\"\"", b"\"a", b"a b", b"a,b", b"\"a\";p=1", b"\xff\xfe", b"a\x00b", &long];
        for value in bad {
            assert!(IdempotencyKey::parse(value).is_err(), "{value:?}");
        }
    }
}
