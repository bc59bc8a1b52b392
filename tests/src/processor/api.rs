//! The routes that callers use.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};

use super::ledger::Reply;
use super::listen::Connection;
use super::state::{Fault, FollowUp, Route, State, Wire};
use super::verdict::Execution;
use super::{bins, charge};

/// Largest body that is read, in bytes; a larger one gets a 413 and no row in the ledger.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long `hang` lasts at most; then the connection is reset.
const HANG_MAX: Duration = Duration::from_secs(600);

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/payments/{id}", get(read_payment))
        .route("/v1/payments/{id}/capture", post(capture))
        .route("/v1/payments/{id}/refund", post(refund))
        .route("/v1/bins/{bin}", get(read_bin))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&state), meet_fault))
        .route("/v1/payments", post(take_charge))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

async fn take_charge(
    Shared(state): Shared<Arc<State>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let content_type = text(CONTENT_TYPE.as_str()).unwrap_or_default();
    let wire = state.charge(text("idempotency-key"), charge::parse(&content_type, &body));
    send(&state, &connection, wire).await
}

async fn read_payment(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    state.payment(&id).into_response()
}

async fn capture(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    state.follow_up(&id, FollowUp::Capture).into_response()
}

async fn refund(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    state.follow_up(&id, FollowUp::Refund).into_response()
}

async fn read_bin(Path(bin): Path<String>) -> Response {
    match bins::describe(&bin) {
        Some(details) => Json(details).into_response(),
        None => Reply::error(400, "a BIN is 6 to 11 digits").into_response(),
    }
}

async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    state.count(Route::Health);
    Json(serde_json::json!({ "status": "ok" })).into_response()
}

/// Counts a request that is neither a charge nor a health check, and lets a fault of the line strike it.
async fn meet_fault(
    Shared(state): Shared<Arc<State>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    state.count(match path.rsplit('/').next() {
        Some("capture") => Route::Capture,
        Some("refund") => Route::Refund,
        _ if path.starts_with("/v1/bins/") => Route::Bin,
        _ => Route::Payment,
    });
    match state.fault() {
        Fault::None => {
            let response = next.run(request).await;
            wait(state.latency()).await;
            response
        }
        Fault::Strikes(wire, execution) => {
            if execution == Execution::Done {
                next.run(request).await;
            }
            send(&state, &connection, wire).await
        }
    }
}

async fn send(state: &State, connection: &Connection, wire: Wire) -> Response {
    wait(state.latency()).await;
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

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}
