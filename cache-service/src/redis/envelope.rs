//! A value as it stands in Redis: a version byte, the length of the metadata (2 bytes, little endian), the metadata as
//! JSON, and the body as it came.
//!
//! The metadata repeats the digest of the key. Should a reply ever answer another question, it is not taken.

use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::fence::Marks;
use crate::secret::Digest;
use crate::value::Value;

/// The form written by this version. Another one is a miss.
const VERSION: u8 = 1;
/// Version and length.
const HEAD: usize = 3;

/// A value with what must be known to serve it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// The answer.
    pub value: Value,
    /// The generations at which its load began.
    pub marks: Marks,
    /// How long it was to live when it was stored, in milliseconds.
    pub ttl_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    #[serde(rename = "d")]
    digest: String,
    #[serde(rename = "s")]
    status: u16,
    #[serde(rename = "t")]
    ttl_ms: u64,
    #[serde(rename = "g")]
    marks: Marks,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    processor: Option<String>,
}

/// Writes a value. `None` where a content type cannot be written, which the HTTP side does not let in.
pub(super) fn encode(digest: &Digest, stored: &Stored) -> Option<Vec<u8>> {
    let value = &stored.value;
    let meta = Meta {
        digest: digest.to_hex(),
        status: value.status.as_u16(),
        ttl_ms: stored.ttl_ms,
        marks: stored.marks,
        content_type: value.content_type.as_ref().map(|c| c.to_str().map(str::to_owned)).transpose().ok()?,
        processor: value.processor.as_ref().map(|p| p.as_str().to_owned()),
    };
    let meta = serde_json::to_vec(&meta).ok()?;
    let len = u16::try_from(meta.len()).ok()?;
    let mut bytes = Vec::with_capacity(HEAD + meta.len() + value.body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&meta);
    bytes.extend_from_slice(&value.body);
    Some(bytes)
}

/// Reads a value stored under the digest; `None` for anything else.
pub(super) fn decode(digest: &Digest, bytes: Bytes) -> Option<Stored> {
    let [VERSION, low, high, ..] = *bytes else {
        return None;
    };
    let body = HEAD + usize::from(u16::from_le_bytes([low, high]));
    let meta: Meta = serde_json::from_slice(bytes.get(HEAD..body)?).ok()?;
    if meta.digest != digest.to_hex() {
        return None;
    }
    let value = Value {
        content_type: meta.content_type.map(HeaderValue::try_from).transpose().ok()?,
        status: StatusCode::from_u16(meta.status).ok()?,
        processor: meta.processor.map(|p| p.parse()).transpose().ok()?,
        body: bytes.slice(body..),
    };
    Some(Stored { value, marks: meta.marks, ttl_ms: meta.ttl_ms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::KeySecret;
    use decision::lookup::KeyBuilder;

    fn digest(part: &[u8]) -> Digest {
        let key = KeyBuilder::new("t").part(part).finish();
        KeySecret::new("0123456789abcdef").expect("secret").digest("t", &key)
    }

    fn stored() -> Stored {
        let value = Value {
            body: Bytes::from_static(b"{\"a\":1}"),
            content_type: Some(HeaderValue::from_static("application/json")),
            status: StatusCode::CREATED,
            processor: "acquirer-a".parse().ok(),
        };
        Stored { value, marks: Marks { entity: 7, key: 8 }, ttl_ms: 9 }
    }

    #[test]
    fn a_value_survives_and_only_under_its_own_digest() {
        let bytes = Bytes::from(encode(&digest(b"a"), &stored()).expect("encoded"));
        assert_eq!(decode(&digest(b"a"), bytes.clone()), Some(stored()));
        assert_eq!(decode(&digest(b"b"), bytes), None);
    }

    #[test]
    fn another_version_and_every_cut_are_misses() {
        let bytes = encode(&digest(b"a"), &stored()).expect("encoded");
        let body = stored().value.body.len();
        for len in 0..bytes.len() - body {
            assert_eq!(decode(&digest(b"a"), Bytes::copy_from_slice(&bytes[..len])), None, "{len}");
        }
        let mut next = bytes;
        next[0] = VERSION + 1;
        assert_eq!(decode(&digest(b"a"), next.into()), None);
    }

    #[test]
    fn whatever_redis_holds_is_a_miss_or_a_value_that_is_read_the_same_again() {
        const SCRAPS: &[u8] = b"\x00\x01\xff\"09-+.eE{}[]:, ";
        let mut rng = decision::rng::Rng::new(1);
        let whole = encode(&digest(b"a"), &stored()).expect("encoded");
        let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).expect("below a usize");
        let mut read = 0;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                let at = below(bytes.len());
                bytes[at] = SCRAPS[below(SCRAPS.len())];
            }
            bytes.truncate(bytes.len() - below(2) * below(40));
            let Some(found) = decode(&digest(b"a"), bytes.into()) else { continue };
            read += 1;
            if let Some(again) = encode(&digest(b"a"), &found) {
                assert_eq!(decode(&digest(b"a"), again.into()), Some(found));
            }
        }
        assert!(read > 100, "{read} of 20,000 were read: nothing was tried");
    }
}
