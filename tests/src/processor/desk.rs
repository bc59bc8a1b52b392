//! What becomes of a request that has arrived whole: which route it takes, which fault strikes it, what leaves and when.
//!
//! No socket and no clock stand here, so the program and its model in virtual time are one and the same processor.

use std::time::Duration;

use super::ledger::Reply;
use super::state::{Fault, FollowUp, Route, State, Wire};
use super::verdict::Execution;
use super::{bins, charge};

/// Largest body that is read, in bytes; a larger one gets a 413 and no row in the ledger.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long `hang` lasts at most; then the connection is reset.
pub const HANG_MAX: Duration = Duration::from_secs(600);

/// A request that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Its method.
    pub method: &'a str,
    /// The path without its query.
    pub path: &'a str,
    /// Its `content-type`, empty if it has none.
    pub content_type: &'a str,
    /// Its idempotency key.
    pub key: Option<&'a str>,
    /// Its body; nothing if it is over [`BODY_BYTES_MAX`].
    pub body: Option<&'a [u8]>,
}

/// What leaves, and how long after the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// How long after.
    pub after: Duration,
    /// What.
    pub wire: Wire,
}

impl Served {
    fn at_once(reply: Reply) -> Self {
        Self { after: Duration::ZERO, wire: Wire::Answer(reply) }
    }
}

/// Serves one request.
pub fn serve(state: &State, arrived: &Arrived<'_>) -> Served {
    let segments: Vec<&str> = arrived.path.split('/').skip(1).collect();
    let (route, allowed) = match segments[..] {
        ["health"] => (Route::Health, "GET"),
        ["v1", "payments"] => (Route::Charge, "POST"),
        ["v1", "payments", id] if !id.is_empty() => (Route::Payment, "GET"),
        ["v1", "payments", id, "capture"] if !id.is_empty() => (Route::Capture, "POST"),
        ["v1", "payments", id, "refund"] if !id.is_empty() => (Route::Refund, "POST"),
        ["v1", "bins", bin] if !bin.is_empty() => (Route::Bin, "GET"),
        _ => return Served::at_once(Reply::empty(404)),
    };
    // Who may GET may ask for the head alone.
    if arrived.method != allowed && !(arrived.method == "HEAD" && allowed == "GET") {
        return Served::at_once(Reply::empty(405));
    }
    if route == Route::Charge {
        return take_charge(state, arrived);
    }
    state.count(route);
    if route == Route::Health {
        return Served::at_once(Reply::json(200, &serde_json::json!({ "status": "ok" })));
    }
    let id = segments.get(2).copied().unwrap_or_default();
    let answer = || match route {
        Route::Capture => state.follow_up(id, FollowUp::Capture),
        Route::Refund => state.follow_up(id, FollowUp::Refund),
        Route::Bin => {
            bins::describe(id).map_or(Reply::error(400, "a BIN is 6 to 11 digits"), |bin| Reply::json(200, &bin))
        }
        Route::Payment | Route::Charge | Route::Health => state.payment(id),
    };
    let wire = match state.fault() {
        Fault::None => Wire::Answer(answer()),
        Fault::Strikes(wire, execution) => {
            if execution == Execution::Done {
                answer();
            }
            wire
        }
    };
    Served { after: state.latency(), wire }
}

fn take_charge(state: &State, arrived: &Arrived<'_>) -> Served {
    let Some(body) = arrived.body else {
        return Served::at_once(Reply::error(413, "the body is too large"));
    };
    let parsed = charge::parse(arrived.content_type, body);
    let wire = state.charge(arrived.at, arrived.key.map(str::to_owned), parsed);
    Served { after: state.latency(), wire }
}
