//! A small HTTP/1.1 client for loopback: headers and bodies as bytes, a deadline on everything, nothing retried.
//!
//! Nothing is retried because the tests count what arrives: a client that sends a charge twice by itself proves nothing.
//! For what no client would send there is [`raw`]; for many requests at once [`load`].

mod body;
pub mod load;
pub mod raw;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Uri};
use hyper_util::client::legacy::{
    self,
    connect::{HttpConnector, HttpInfo},
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;

pub use body::Payload;

/// How long a request may take from connect to the last byte, unless the client was told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Largest answer that is read, in bytes: a full ledger fits.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A request, less where it goes.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Names and values as bytes, in order; a name may repeat.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub payload: Payload,
}

impl Request {
    /// A request with no headers and no body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), payload: Payload::Empty }
    }

    /// A `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `POST` with no body yet.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Adds a header; the value may be any bytes that HTTP allows, UTF-8 or not.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body and its `content-type`.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.payload = Payload::Whole(body.into());
        self.header("content-type", content_type)
    }

    /// Sets a JSON body.
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sends the body that was set in chunks of `size` bytes (at least 1), without a `content-length`.
    pub fn chunked(mut self, size: usize) -> Self {
        if let Payload::Whole(body) = &self.payload {
            let chunks = body.chunks(size.max(1)).map(|chunk| body.slice_ref(chunk)).collect();
            self.payload = Payload::Chunks(chunks);
        }
        self
    }

    fn build(self, to: SocketAddr) -> Result<http::Request<body::Outgoing>, ClientError> {
        let uri: Uri = format!("http://{to}{}", self.path).parse().map_err(http::Error::from)?;
        let mut request = http::Request::builder().method(self.method).uri(uri).body(self.payload.into())?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name).map_err(http::Error::from)?;
            let value = HeaderValue::from_bytes(value).map_err(http::Error::from)?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, lower-case names.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// From before the connect to after the last byte.
    pub took: Duration,
    /// The client's own address on the connection.
    pub from: Option<SocketAddr>,
}

impl Answer {
    /// The first header of this name, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text, with replacement characters for what is no UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON of the shape `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(ClientError::Json)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be sent as HTTP; [`raw`] can send it.
    #[error("the request is not valid HTTP: {0}")]
    Request(#[from] http::Error),
    /// No connection was made.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection was reset by the other side (RST).
    #[error("the connection was reset")]
    Reset,
    /// The connection ended, or what came was not HTTP, before the answer was whole.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// The deadline passed.
    #[error("no whole answer within {0:?}")]
    Deadline(Duration),
    /// The body is not the JSON that was expected.
    #[error("unexpected JSON: {0}")]
    Json(serde_json::Error),
}

/// The client. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<HttpConnector, body::Outgoing>,
    deadline: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client that makes a new connection for every request, so that no request meets a stale one.
    pub fn new() -> Self {
        Self::with_idle_connections(0)
    }

    /// A client that keeps up to `max` idle connections open, for load.
    pub fn with_idle_connections(max: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(max)
            .retry_canceled_requests(false)
            .build(connector);
        Self { inner, deadline: DEADLINE }
    }

    /// The same client with another deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends `request` to `to` once and reads the whole answer, of 128 MiB at most.
    pub async fn send(&self, to: SocketAddr, request: Request) -> Result<Answer, ClientError> {
        let request = request.build(to)?;
        let began = Instant::now();
        let exchange = async {
            let response = self.inner.request(request).await.map_err(|error| {
                if error.is_connect() { ClientError::Connect(chain(&error)) } else { broken(&error) }
            })?;
            let (head, body) = response.into_parts();
            let from = head.extensions.get::<HttpInfo>().map(HttpInfo::local_addr);
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| broken(&*error))?;
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
                took: began.elapsed(),
                from,
            })
        };
        tokio::time::timeout(self.deadline, exchange).await.unwrap_or(Err(ClientError::Deadline(self.deadline)))
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ClientError {
    let reset = causes(error)
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
    if reset { ClientError::Reset } else { ClientError::Broken(chain(error)) }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
