//! `/v1/pins/{key}` and `/v1/claims/{key}`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use decision::lookup::Key;
use decision::lookup::wire::Record;
use decision::payment::holds_card_number;

use super::{App, parse_key, read_body};
use crate::problem::{Code, Problem};
use crate::records::{Claimed, Pin, Pinned};
use crate::redis::Unavailable;
use crate::value::ProcessorName;

/// A record is one short name.
const BODY_BYTES_MAX: usize = 1_024;

type At = Result<Path<String>, PathRejection>;

pub(super) async fn get_pin(State(app): State<Arc<App>>, at: At) -> Result<Response, Problem> {
    match app.records.pin_of(&key(at)?).await.map_err(unavailable)? {
        Pin::At(name) => Ok(record(StatusCode::OK, &name)),
        Pin::Absent => Err(Problem::new(Code::NoPin, "No processor was recorded for this payment.")),
        Pin::Ambiguous => Err(ambiguous()),
    }
}

pub(super) async fn put_pin(State(app): State<Arc<App>>, at: At, body: Body) -> Result<Response, Problem> {
    let name = named(&app, body).await;
    let (key, name) = (key(at)?, name?);
    match app.records.pin(&key, &name).await.map_err(unavailable)? {
        Pinned::Created => Ok(record(StatusCode::CREATED, &name)),
        Pinned::Same => Ok(record(StatusCode::OK, &name)),
        Pinned::Ambiguous => Err(ambiguous()),
    }
}

pub(super) async fn put_claim(State(app): State<Arc<App>>, at: At, body: Body) -> Result<Response, Problem> {
    let name = named(&app, body).await;
    let (key, name) = (key(at)?, name?);
    match app.records.claim(&key, &name).await.map_err(unavailable)? {
        Claimed::New => Ok(record(StatusCode::CREATED, &name)),
        Claimed::Held(holder) => Ok(record(StatusCode::OK, &holder)),
    }
}

fn key(at: At) -> Result<Key, Problem> {
    let Path(key) = at.map_err(|_| Problem::new(Code::MalformedRequest, "The path is no UTF-8."))?;
    parse_key(&key)
}

async fn named(app: &App, body: Body) -> Result<ProcessorName, Problem> {
    let wrong =
        || Problem::new(Code::MalformedRequest, "The body is {\"processor\": NAME}, 1 to 64 visible ASCII characters.");
    let body = read_body(app, body, BODY_BYTES_MAX).await?;
    let record: Record = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let name: ProcessorName = record.processor.parse().map_err(|_| wrong())?;
    if holds_card_number(name.as_str().as_bytes()) {
        return Err(Problem::new(Code::CardNumber, "The name holds what looks like a card number; it is not stored."));
    }
    Ok(name)
}

fn record(status: StatusCode, name: &ProcessorName) -> Response {
    (status, Json(Record { processor: name.as_str().to_owned() })).into_response()
}

fn ambiguous() -> Problem {
    Problem::new(Code::PinAmbiguous, "Two processors were recorded for this payment; a person must settle it.")
}

fn unavailable(_: Unavailable) -> Problem {
    Problem::new(Code::StoreUnavailable, "The record store did not answer in time; a write may have happened.")
}
