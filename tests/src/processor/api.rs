//! The routes that callers use: from a socket to [`desk`] and back.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::desk::{self, Arrived, BODY_BYTES_MAX, HANG_MAX, Served};
use super::ledger::Reply;
use super::listen::Connection;
use super::state::{State, Wire};

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(serve).with_state(state)
}

async fn serve(
    Shared(state): Shared<Arc<State>>,
    Extension(connection): Extension<Connection>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(_) => return Reply::error(400, "the body broke off").into_response(),
    };
    let text = |name: &str| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (content_type, key) = (text(CONTENT_TYPE.as_str()).unwrap_or_default(), text("idempotency-key"));
    let arrived = Arrived {
        at: unix_ms(),
        method: head.method.as_str(),
        path: head.uri.path(),
        content_type: &content_type,
        key: key.as_deref(),
        body: body.as_deref(),
    };
    let Served { after, wire } = desk::serve(&state, &arrived);
    wait(after).await;
    match wire {
        Wire::Answer(reply) => return reply.into_response(),
        Wire::Reset => {}
        Wire::Hang => tokio::time::sleep(HANG_MAX).await,
    }
    connection.reset();
    // Never written: the stream refuses, and that is what ends the connection.
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Waits, and not at all for a latency of 0, where a timer would still cost a millisecond.
async fn wait(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.body.is_empty() {
            return status.into_response();
        }
        (status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}
