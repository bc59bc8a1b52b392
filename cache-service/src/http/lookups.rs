//! `/v1/lookup/{namespace}/{key}`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use decision::lookup::{Key, Namespace, wire};

use super::{App, header_name, one_header, parse_key, read_body};
use crate::fence::Fence;
use crate::problem::{Code, Problem};
use crate::redis::Unavailable;
use crate::service::{Found, Hit, Offer, Refusal, SpaceState};
use crate::value::Value;

type At = Result<Path<(String, String)>, PathRejection>;

pub(super) async fn get(State(app): State<Arc<App>>, at: At, headers: HeaderMap) -> Result<Response, Problem> {
    let (space, key) = place(&app, at)?;
    let entity = entity(&headers)?;
    match app.service.find(space, &key, entity.as_ref()).await {
        Found::Hit(hit) => Ok(answer(&hit)),
        Found::Miss(fence) => {
            let miss = Problem::new(Code::Miss, "Load the value and PUT it with this answer's fence.");
            let fence = HeaderValue::try_from(fence.to_string()).unwrap_or(HeaderValue::from_static(""));
            Err(miss.with(header_name(wire::FENCE), fence))
        }
    }
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    at: At,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    // Read whatever is wrong beside it: an answer sent over unread bytes may be lost.
    let at = place(&app, at);
    let bytes_max = at.as_ref().map_or(0, |(space, _)| space.bounds.value_bytes_max);
    let body = read_body(&app, body, bytes_max).await;
    let (space, key) = at?;
    let body = body?;
    let entity = match (entity(&headers)?, fence(&headers)?) {
        (None, _) => None,
        (Some(entity), Some(fence)) => Some((entity, fence)),
        (Some(_), None) => {
            return Err(malformed("switchyard-entity needs the switchyard-fence of the miss before it."));
        }
    };
    let ttl = ttl(&headers)?;
    let (content_type, status, processor) = (content_type(&headers)?, status(&headers)?, processor(&headers)?);
    let offer = Offer { value: Value { body, content_type, status, processor }, ttl, entity };
    let refused = |refusal| match refusal {
        Refusal::Outdated => {
            Problem::new(Code::FenceOutdated, "The entity was invalidated after this load began; load it again.")
        }
        Refusal::CardNumber => {
            Problem::new(Code::CardNumber, "The value holds what looks like a card number; it is not stored.")
        }
        Refusal::TooLarge => Problem::new(Code::ValueTooLarge, "The body is over the bound of its namespace."),
    };
    app.service.store(space, &key, offer).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(State(app): State<Arc<App>>, at: At) -> Result<StatusCode, Problem> {
    let (space, key) = place(&app, at)?;
    let unavailable =
        |Unavailable| Problem::new(Code::StoreUnavailable, "Invalidated on this node only; send it again.");
    app.service.invalidate(space, &key).await.map_err(unavailable)?;
    Ok(StatusCode::NO_CONTENT)
}

fn place(app: &App, at: At) -> Result<(&SpaceState, Key), Problem> {
    let Path((namespace, key)) = at.map_err(|_| malformed("The path is no UTF-8."))?;
    let key = parse_key(&key)?;
    let unknown = || Problem::new(Code::UnknownNamespace, "The configuration names no such namespace.");
    let namespace: Namespace = namespace.parse().map_err(|_| unknown())?;
    Ok((app.service.space(&namespace).ok_or_else(unknown)?, key))
}

fn answer(hit: &Hit) -> Response {
    let value = &hit.entry.value;
    let mut response = (StatusCode::OK, Body::from(value.body.clone())).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Some(content_type) = &value.content_type {
        headers.insert(header::CONTENT_TYPE, content_type.clone());
    }
    headers.insert(wire::STATUS, value.status.as_u16().into());
    // Rounded down, and never 0: the value may still be served now.
    headers.insert(wire::TTL_MS, millis(hit.left).max(1).into());
    headers.insert(wire::AGE_MS, millis(hit.age).into());
    if let Some(name) = value.processor.as_ref().and_then(|p| HeaderValue::from_str(p.as_str()).ok()) {
        headers.insert(wire::PROCESSOR, name);
    }
    headers.insert("x-cache", HeaderValue::from_static("hit"));
    response
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(Code::MalformedRequest, detail)
}

fn entity(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    one_header(headers, wire::ENTITY)?.map(parse_key).transpose()
}

/// The outer `None`: there is none. The inner: one that this version did not write, which proves nothing.
fn fence(headers: &HeaderMap) -> Result<Option<Option<Fence>>, Problem> {
    let Some(text) = one_header(headers, wire::FENCE)? else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > wire::FENCE_LEN_MAX {
        return Err(malformed("switchyard-fence is 1 to 64 visible ASCII characters."));
    }
    Ok(Some(Fence::parse(text)))
}

fn ttl(headers: &HeaderMap) -> Result<Duration, Problem> {
    let wrong = || malformed("switchyard-ttl-ms is required: a whole number of milliseconds from 1.");
    let ms: u64 = one_header(headers, wire::TTL_MS)?.ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
    if ms == 0 { Err(wrong()) } else { Ok(Duration::from_millis(ms)) }
}

fn status(headers: &HeaderMap) -> Result<StatusCode, Problem> {
    let Some(text) = one_header(headers, wire::STATUS)? else {
        return Ok(StatusCode::OK);
    };
    let code = text.parse().ok().filter(|code| (200..=599).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| malformed("switchyard-status is a status from 200 to 599."))
}

fn content_type(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let Some(text) = one_header(headers, header::CONTENT_TYPE.as_str())? else {
        return Ok(None);
    };
    if text.len() > Value::CONTENT_TYPE_LEN_MAX {
        return Err(malformed("content-type is at most 128 characters."));
    }
    HeaderValue::from_str(text).map(Some).map_err(|_| malformed("content-type is no visible ASCII."))
}

fn processor(headers: &HeaderMap) -> Result<Option<crate::value::ProcessorName>, Problem> {
    let name = one_header(headers, wire::PROCESSOR)?.map(str::parse).transpose();
    name.map_err(|_| malformed("switchyard-processor is 1 to 64 visible ASCII characters."))
}
