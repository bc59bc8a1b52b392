//! The routes of the control listener, which no mode touches.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::control::{Control, Mode};
use super::ledger::{LEDGER_ROWS_MAX, Reply};
use super::listen::{Door, Gate};
use super::state::{State, Status};

pub(super) fn router(state: Arc<State>, gate: Gate) -> Router {
    Router::new()
        .route("/control", get(read_control).put(set_control))
        .route("/ledger", get(read_ledger).delete(clear_ledger))
        .with_state((state, gate))
}

type Both = Shared<(Arc<State>, Gate)>;

async fn read_control(Shared((state, _)): Both) -> Json<Status> {
    Json(state.status())
}

async fn set_control(Shared((state, gate)): Both, body: Bytes) -> Response {
    // Whatever the content type: curl -d sends a form's.
    let control = match serde_json::from_slice::<Control>(&body) {
        Ok(control) => control,
        Err(error) => return Reply::error(400, error).into_response(),
    };
    let control = match control.check() {
        Ok(control) => control,
        Err(error) => return Reply::error(400, error).into_response(),
    };
    let door = if control.mode == Mode::Refuse { Door::Shut } else { Door::Open };
    state.set_control(control);
    match gate.set(door).await {
        Ok(()) => Json(state.status()).into_response(),
        Err(error) => Reply::error(500, format!("the port could not be taken back: {error}")).into_response(),
    }
}

async fn read_ledger(Shared((state, _)): Both) -> Response {
    match state.rows() {
        Some(rows) => Json(rows).into_response(),
        None => {
            let error = format!("more than {LEDGER_ROWS_MAX} charges arrived: DELETE /ledger starts anew");
            Reply::error(507, error).into_response()
        }
    }
}

async fn clear_ledger(Shared((state, _)): Both) -> Response {
    state.clear_ledger();
    Json(state.status()).into_response()
}
