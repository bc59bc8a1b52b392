//! Every error the service answers with, as `application/problem+json` (RFC 9457).
//!
//! One registry: a caller may rely on `type` and nothing else. A detail is a fixed text, so that no key, value or token
//! can ever stand in an answer.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What went wrong, as the last part of the problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing fresh is stored under the key.
    Miss,
    /// The configuration names no such namespace.
    UnknownNamespace,
    /// The key, or an entity's key, is not 64 lower-case hex digits.
    MalformedKey,
    /// A header, body or path is not what the protocol says.
    MalformedRequest,
    /// No accepted bearer token.
    Unauthorized,
    /// The entity was invalidated after the load of this value began.
    FenceOutdated,
    /// The body is over the namespace's or the service's bound.
    ValueTooLarge,
    /// The value holds what looks like a card number.
    CardNumber,
    /// No pin is known for the payment.
    NoPin,
    /// Two processors were named for one payment.
    PinAmbiguous,
    /// The store did not answer within its deadline; the outcome of a write is unknown.
    StoreUnavailable,
    /// Too many requests are in flight.
    Overloaded,
    /// The body did not arrive in time.
    RequestTimeout,
    /// No such path.
    NotFound,
    /// The path is known, the method is not.
    MethodNotAllowed,
    /// The service starts, drains, or has lost its store.
    NotReady,
}

impl Code {
    /// The whole registry.
    pub const ALL: [Code; 16] = [
        Code::Miss,
        Code::UnknownNamespace,
        Code::MalformedKey,
        Code::MalformedRequest,
        Code::Unauthorized,
        Code::FenceOutdated,
        Code::ValueTooLarge,
        Code::CardNumber,
        Code::NoPin,
        Code::PinAmbiguous,
        Code::StoreUnavailable,
        Code::Overloaded,
        Code::RequestTimeout,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotReady,
    ];

    /// The word on the wire, the status and the title.
    pub fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Code::Miss => ("miss", StatusCode::NOT_FOUND, "Nothing is cached under this key"),
            Code::UnknownNamespace => ("unknown_namespace", StatusCode::NOT_FOUND, "Unknown namespace"),
            Code::MalformedKey => ("malformed_key", StatusCode::BAD_REQUEST, "Malformed key"),
            Code::MalformedRequest => ("malformed_request", StatusCode::BAD_REQUEST, "Malformed request"),
            Code::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A bearer token is required"),
            Code::FenceOutdated => {
                ("fence_outdated", StatusCode::PRECONDITION_FAILED, "Invalidated since the load began")
            }
            Code::ValueTooLarge => ("value_too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Code::CardNumber => ("card_number", StatusCode::UNPROCESSABLE_ENTITY, "The value holds a card number"),
            Code::NoPin => ("no_pin", StatusCode::NOT_FOUND, "No pin for this payment"),
            Code::PinAmbiguous => ("pin_ambiguous", StatusCode::CONFLICT, "Two processors claim this payment"),
            Code::StoreUnavailable => {
                ("store_unavailable", StatusCode::SERVICE_UNAVAILABLE, "The store did not answer")
            }
            Code::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Too many requests in flight"),
            Code::RequestTimeout => ("request_timeout", StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
            Code::NotFound => ("not_found", StatusCode::NOT_FOUND, "No such path"),
            Code::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Code::NotReady => ("not_ready", StatusCode::SERVICE_UNAVAILABLE, "Not ready"),
        }
    }
}

/// One error answer.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem; `detail` says in a sentence what to change.
    pub fn new(code: Code, detail: &'static str) -> Self {
        Self { code, detail, header: None }
    }

    /// Adds a header to the answer.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (word, status, title) = self.code.parts();
        let body = serde_json::json!({
            "type": format!("urn:switchyard:problem:{word}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // A second is longer than a reconnect and shorter than a caller's patience.
            Code::StoreUnavailable | Code::Overloaded | Code::NotReady => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Code::Miss => {
                headers.insert("x-cache", HeaderValue::from_static("miss"));
            }
            _ => {}
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Adding a variant without listing it breaks this match's twin below.
    fn place(code: Code) -> usize {
        Code::ALL.iter().position(|c| *c == code).expect("every code stands in ALL")
    }

    #[test]
    fn the_registry_is_complete_and_its_words_are_unique() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|c| c.parts().0).collect();
        assert_eq!(words.len(), Code::ALL.len());
        // `NotReady` is the last variant: its discriminant says how many there are.
        assert_eq!(Code::NotReady as usize + 1, Code::ALL.len());
        for (i, code) in Code::ALL.iter().enumerate() {
            assert_eq!(place(*code), i);
            assert_eq!(*code as usize, i);
            assert!(code.parts().0.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(code.parts().1.as_u16() >= 400);
        }
    }
}
