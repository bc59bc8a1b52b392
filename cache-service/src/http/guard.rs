//! What stands before every request on the data listener: the token, the bound on requests in flight, the count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{App, hold};
use crate::metrics::{Class, Route};
use crate::problem::{Code, Problem};

/// Set on a connection by its first authorised request: until then the connection is on trial.
#[derive(Clone, Debug, Default)]
pub struct Trusted(Arc<AtomicBool>);

impl Trusted {
    /// Whether an authorised request has come.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The trial is over.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets a request in, or answers for it.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = route(request.uri().path());
    let response = admit(&app, request, next).await.unwrap_or_else(IntoResponse::into_response);
    app.metrics.request(route, class(response.status()), began.elapsed());
    response
}

async fn admit(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    if request.uri().path().starts_with("/v1/") {
        if !authorised(app, request.headers()) {
            return Err(Problem::new(Code::Unauthorized, "Send authorization: Bearer TOKEN with an accepted token."));
        }
        if let Some(trusted) = request.extensions().get::<Trusted>() {
            trusted.set();
        }
    }
    let overloaded = || Problem::new(Code::Overloaded, "Too many requests are in flight on this node.");
    let place = Arc::clone(&app.in_flight).try_acquire_owned().map_err(|_| overloaded())?;
    // An answer that its client does not take is in flight too.
    Ok(hold(next.run(request).await, place))
}

fn authorised(app: &App, headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return false;
    };
    let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && app.tokens.accept(token)
}

fn route(path: &str) -> Route {
    let routes = [("/v1/lookup/", Route::Lookup), ("/v1/pins/", Route::Pin), ("/v1/claims/", Route::Claim)];
    routes.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(Route::Other, |(_, route)| *route)
}

fn class(status: StatusCode) -> Class {
    match status.as_u16() {
        500.. => Class::Server,
        400.. => Class::Client,
        _ => Class::Success,
    }
}
