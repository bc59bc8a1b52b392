//! Questions to the cache-service and what its answers say. Total: whatever comes back, or nothing, is an [`Answer`].

use std::time::Duration;

use super::wire::{self, Record};
use super::{Key, Namespace, Value};
use crate::exchange::Headers;

/// What is asked of the cache-service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is there a value?
    Lookup {
        /// Where.
        namespace: Namespace,
        /// Under which key.
        key: Key,
        /// What it describes, where that can be invalidated.
        entity: Option<Key>,
    },
    /// Keep this value.
    Fill {
        /// Where.
        namespace: Namespace,
        /// Under which key.
        key: Key,
        /// What it describes.
        entity: Option<Key>,
        /// What the miss said.
        fence: Option<Vec<u8>>,
        /// For how long.
        ttl: Duration,
        /// The value.
        value: Value,
    },
    /// All values of this entity are outdated.
    Invalidate {
        /// Where.
        namespace: Namespace,
        /// Which entity.
        entity: Key,
    },
    /// Which processor has this payment?
    Pin {
        /// Of tenant and payment.
        key: Key,
    },
    /// This processor has this payment.
    StorePin {
        /// Of tenant and payment.
        key: Key,
        /// Its name.
        processor: String,
    },
    /// This idempotency key goes to this processor, unless it already went to one.
    Claim {
        /// Of tenant, operation and idempotency key.
        key: Key,
        /// Its name.
        processor: String,
    },
}

/// What the cache-service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value, and how long it may still be served.
    Hit(Value, Duration),
    /// No value; the fence goes back with the fill.
    Miss(Option<Vec<u8>>),
    /// The processor that has the payment.
    Pinned(String),
    /// Nobody is known to have it.
    NoPin,
    /// Two processors have a payment of this id.
    Ambiguous,
    /// The key's processor.
    Claimed(Claim, String),
    /// It is kept.
    Stored,
    /// It is not kept, and asking again will not change that.
    Refused,
    /// The cache-service is silent, slow, or cannot reach its store.
    Unavailable,
}

/// Whose claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ours: the key was not seen before.
    Fresh,
    /// An earlier one.
    Existing,
}

/// A question as an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRequest {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// Headers, lower-case ASCII names.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Question {
    /// The request that asks it.
    pub fn request(&self) -> CacheRequest {
        let entity_header =
            |entity: &Option<Key>| entity.map(|e| (wire::ENTITY, e.to_string())).into_iter().collect::<Vec<_>>();
        match self {
            Self::Lookup { namespace, key, entity } => CacheRequest {
                method: "GET",
                path: wire::lookup_path(namespace, key),
                headers: entity_header(entity),
                body: Vec::new(),
            },
            Self::Fill { namespace, key, entity, fence, ttl, value } => {
                let mut headers = entity_header(entity);
                headers.push((wire::TTL_MS, ttl.as_millis().to_string()));
                headers.push((wire::STATUS, value.status.to_string()));
                if let Ok(kind) = String::from_utf8(value.content_type.clone()) {
                    headers.push(("content-type", kind));
                }
                if let Some(fence) = fence.clone().and_then(|f| String::from_utf8(f).ok()) {
                    headers.push((wire::FENCE, fence));
                }
                if let Some(name) = &value.processor {
                    headers.push((wire::PROCESSOR, name.clone()));
                }
                CacheRequest {
                    method: "PUT",
                    path: wire::lookup_path(namespace, key),
                    headers,
                    body: value.body.clone(),
                }
            }
            Self::Invalidate { namespace, entity } => CacheRequest {
                method: "DELETE",
                path: wire::lookup_path(namespace, entity),
                headers: Vec::new(),
                body: Vec::new(),
            },
            Self::Pin { key } => {
                CacheRequest { method: "GET", path: wire::pin_path(key), headers: Vec::new(), body: Vec::new() }
            }
            Self::StorePin { key, processor } => put_record(wire::pin_path(key), processor),
            Self::Claim { key, processor } => put_record(wire::claim_path(key), processor),
        }
    }

    /// What an answer to it says; no status: there was none.
    pub fn read(&self, status: Option<u16>, headers: Headers<'_>, body: &[u8]) -> Answer {
        let Some(status) = status else { return Answer::Unavailable };
        match (self, status) {
            (Self::Lookup { .. }, 200) => hit(headers, body),
            (Self::Lookup { .. }, 404) => {
                let fence = headers.one(wire::FENCE.as_bytes());
                Answer::Miss(fence.filter(|f| f.len() <= wire::FENCE_LEN_MAX).map(<[u8]>::to_vec))
            }
            (Self::Fill { .. } | Self::Invalidate { .. }, 200..=299) => Answer::Stored,
            (Self::Pin { .. }, 200) => record(body).map_or(Answer::Unavailable, Answer::Pinned),
            (Self::Pin { .. }, 404) => Answer::NoPin,
            (Self::Pin { .. } | Self::StorePin { .. }, 409) => Answer::Ambiguous,
            (Self::StorePin { .. }, 200 | 201) => Answer::Stored,
            (Self::Claim { .. }, 200) => existing_claim(body),
            (Self::Claim { processor, .. }, 201) => match record(body) {
                Some(holder) if holder == *processor => Answer::Claimed(Claim::Fresh, holder),
                _ => Answer::Unavailable,
            },
            (Self::Fill { .. } | Self::StorePin { .. }, 400 | 404 | 412 | 413 | 415 | 422) => Answer::Refused,
            _ => Answer::Unavailable,
        }
    }
}

fn put_record(path: String, processor: &str) -> CacheRequest {
    // A record of one text cannot fail to serialise; an empty body would be refused by the service.
    let body = serde_json::to_vec(&Record { processor: processor.to_owned() }).unwrap_or_default();
    CacheRequest { method: "PUT", path, headers: vec![("content-type", "application/json".to_owned())], body }
}

fn record(body: &[u8]) -> Option<String> {
    let Record { processor } = serde_json::from_slice(body).ok()?;
    (!processor.is_empty() && processor.len() <= wire::PROCESSOR_LEN_MAX).then_some(processor)
}

fn existing_claim(body: &[u8]) -> Answer {
    record(body).map_or(Answer::Unavailable, |holder| Answer::Claimed(Claim::Existing, holder))
}

fn hit(headers: Headers<'_>, body: &[u8]) -> Answer {
    let number = |name: &str| {
        let value = headers.one(name.as_bytes())?;
        std::str::from_utf8(value).ok()?.parse::<u64>().ok()
    };
    let status = number(wire::STATUS).and_then(|s| u16::try_from(s).ok()).filter(|s| (200..600).contains(s));
    let (Some(status), Some(ttl)) = (status, number(wire::TTL_MS)) else { return Answer::Unavailable };
    let processor = headers.one(wire::PROCESSOR.as_bytes()).and_then(|p| std::str::from_utf8(p).ok());
    let value = Value {
        status,
        content_type: headers.one(b"content-type").unwrap_or_default().to_vec(),
        body: body.to_vec(),
        processor: processor.map(str::to_owned),
    };
    Answer::Hit(value, Duration::from_millis(ttl))
}
