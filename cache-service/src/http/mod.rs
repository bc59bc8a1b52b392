//! Routes, and the wire's words turned into the service's and back. Nothing is decided here.

mod admin;
mod guard;
mod held;
mod lookups;
mod records;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware;
use axum::routing::{get, put};
use bytes::{Bytes, BytesMut};
use decision::lookup::Key;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use crate::config::BODY_BYTES_MAX;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::records::Records;
use crate::secret::Tokens;
use crate::service::Service;

pub use guard::Trusted;
pub(crate) use held::hold;

/// What the handlers share.
pub struct App {
    /// The look-ups.
    pub service: Service,
    /// The pins and claims.
    pub records: Records,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Who may call.
    pub tokens: Tokens,
    /// Requests that may still come in.
    pub in_flight: Arc<Semaphore>,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// Set when the service is told to stop.
    pub draining: AtomicBool,
}

impl App {
    /// From now on the service is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// The data listener's routes.
pub fn data(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/lookup/{namespace}/{key}", get(lookups::get).put(lookups::put).delete(lookups::delete))
        .route("/v1/pins/{key}", get(records::get_pin).put(records::put_pin))
        .route("/v1/claims/{key}", put(records::put_claim))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// The admin listener's routes.
pub fn admin(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(admin::healthz))
        .route("/readyz", get(admin::readyz))
        .route("/metrics", get(admin::metrics))
        .fallback(no_admin_path)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

async fn no_admin_path() -> Problem {
    Problem::new(Code::NotFound, "Known are /healthz, /readyz and /metrics.")
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "Known are /v1/lookup/NAMESPACE/KEY, /v1/pins/KEY and /v1/claims/KEY.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "This path does not know the method.")
}

fn parse_key(text: &str) -> Result<Key, Problem> {
    text.parse().map_err(|_| Problem::new(Code::MalformedKey, "A key is 64 lower-case hex digits."))
}

/// The one value of a header; `None` where it is absent. Two values, or one that is no visible ASCII, are malformed.
fn one_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let malformed = || Problem::new(Code::MalformedRequest, "A header stands twice or is no visible ASCII.");
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    value.to_str().map(Some).map_err(|_| malformed())
}

fn header_name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// A body over its bound is read and thrown away up to this many bytes, so that its sender comes to read the answer; a
/// connection closed on unread bytes would be reset before that.
const DISCARD_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// Reads a body of at most `bytes_max`, and past it on to its end, within bounds, before it is refused.
async fn read_body(app: &App, mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let bytes_max = bytes_max.min(BODY_BYTES_MAX);
    let read = async {
        // Most bodies come in one piece, which is then not copied.
        let (mut first, mut rest, mut len) = (Bytes::new(), BytesMut::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let broken = |_| Problem::new(Code::MalformedRequest, "The body broke off.");
            let Ok(data) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            len = len.saturating_add(data.len());
            if len > DISCARD_BYTES_MAX {
                break;
            }
            if len > bytes_max {
                rest = BytesMut::new();
            } else if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        if len > bytes_max {
            let detail = "The body is over the bound of its namespace or of the service.";
            return Err(Problem::new(Code::ValueTooLarge, detail));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let whole: BytesMut = [first.as_ref(), rest.as_ref()].into_iter().flatten().copied().collect();
        Ok(whole.freeze())
    };
    let late = |_| Problem::new(Code::RequestTimeout, "The body did not arrive in time.");
    tokio::time::timeout(app.body_timeout, read).await.map_err(late)?
}
