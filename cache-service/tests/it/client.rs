//! A caller of the service.

use std::net::SocketAddr;

use bytes::Bytes;
use decision::lookup::{Key, KeyBuilder};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

pub(crate) const TOKEN: &str = "canary-token-7f3a";

#[derive(Clone)]
pub(crate) struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    at: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A header's text, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("text"))
    }

    /// The last part of a problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(body["status"], self.status.as_u16());
        assert!(body["title"].is_string() && body["detail"].is_string());
        let word = body["type"].as_str().expect("a type").strip_prefix("urn:switchyard:problem:");
        word.expect("our type").to_owned()
    }

    /// The processor of a record.
    pub(crate) fn processor(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        body["processor"].as_str().expect("a name").to_owned()
    }
}

impl Api {
    pub(crate) fn new(at: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), at }
    }

    /// Speaks HTTP/2 without TLS.
    pub(crate) fn http2(at: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { client, at }
    }

    /// Sends exactly this.
    pub(crate) async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.at));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        let response = self.client.request(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Reply { status: head.status, headers: head.headers, body }
    }

    /// Sends with the token.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let authorization = format!("Bearer {TOKEN}");
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        self.raw(method, path, &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], b"").await
    }

    /// Looks a value of an entity up.
    pub(crate) async fn get_of(&self, path: &str, entity: &Key) -> Reply {
        self.send(Method::GET, path, &[("switchyard-entity", &entity.to_string())], b"").await
    }

    /// Stores a plain value for a minute.
    pub(crate) async fn put(&self, path: &str, body: &[u8]) -> Reply {
        self.send(Method::PUT, path, &[("switchyard-ttl-ms", "60000")], body).await
    }

    /// Stores a value of an entity for a minute.
    pub(crate) async fn put_of(&self, path: &str, entity: &Key, fence: &str, body: &[u8]) -> Reply {
        let headers =
            [("switchyard-ttl-ms", "60000"), ("switchyard-entity", &entity.to_string()), ("switchyard-fence", fence)];
        self.send(Method::PUT, path, &headers, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], b"").await
    }

    /// Writes a record.
    pub(crate) async fn record(&self, path: &str, processor: &str) -> Reply {
        let body = serde_json::json!({ "processor": processor }).to_string();
        self.send(Method::PUT, path, &[], body.as_bytes()).await
    }
}

/// A key, by name.
pub(crate) fn key(name: &str) -> Key {
    KeyBuilder::new("test").part(name.as_bytes()).finish()
}

/// The path of a payment's status.
pub(crate) fn status_path(name: &str) -> String {
    format!("/v1/lookup/payment_status/{}", key(name))
}

/// The path of a BIN's data.
pub(crate) fn bin_path(name: &str) -> String {
    format!("/v1/lookup/bin/{}", key(name))
}

pub(crate) fn pin_path(name: &str) -> String {
    format!("/v1/pins/{}", key(name))
}

pub(crate) fn claim_path(name: &str) -> String {
    format!("/v1/claims/{}", key(name))
}
