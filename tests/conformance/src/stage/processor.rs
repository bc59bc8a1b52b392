//! A sample processor behind a cluster of the test world.

use std::time::Duration;

use fastrand::Rng;
use world::http::Message;
use world::upstream::{Door, Reply, Upstream};

use super::{path_of, text_of};
use e2e::processor::{
    Arrived, BODY_BYTES_MAX, Control, ControlError, HANG_MAX, Mode, Row, Served, State, Status, Wire,
};

/// A sample processor in virtual time. Its payments' ids come from its seed.
#[derive(Debug)]
pub struct ProcessorModel {
    state: State,
    door: Door,
}

impl ProcessorModel {
    /// One that approves and has seen nothing.
    pub fn new(name: &str, id_prefix: &str, seed: u64) -> Self {
        Self { state: State::new(name.to_owned(), id_prefix.to_owned(), Rng::with_seed(seed)), door: Door::Open }
    }

    /// What `PUT /control` does.
    pub fn set(&mut self, control: Control) -> Result<Status, ControlError> {
        let control = control.check()?;
        self.door = if control.mode == Mode::Refuse { Door::Refused } else { Door::Open };
        self.state.set_control(control);
        Ok(self.state.status())
    }

    /// What `GET /control` says.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// What `GET /ledger` says; nothing if the ledger overflowed.
    pub fn ledger(&self) -> Option<Vec<Row>> {
        self.state.rows()
    }

    /// What `DELETE /ledger` does.
    pub fn clear_ledger(&mut self) {
        self.state.clear_ledger();
    }
}

impl Upstream for ProcessorModel {
    fn door(&mut self, _now: Duration) -> Door {
        self.door
    }

    fn request(&mut self, now: Duration, request: &Message) -> Reply {
        let method = text_of(request, ":method").unwrap_or_default();
        let (content_type, key) = (text_of(request, "content-type"), text_of(request, "idempotency-key"));
        let arrived = Arrived {
            at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            method: &method,
            path: &path_of(request),
            content_type: content_type.as_deref().unwrap_or_default(),
            key: key.as_deref(),
            body: (request.body.len() <= BODY_BYTES_MAX).then_some(request.body.as_slice()),
        };
        let Served { after, wire } = e2e::processor::serve(&self.state, &arrived);
        match wire {
            Wire::Hang => Reply::reset(after + HANG_MAX),
            Wire::Reset => Reply::reset(after),
            Wire::Answer(reply) => {
                // HTTP has no body after these.
                let bare = method == "HEAD" || matches!(reply.status, 204 | 304);
                let body: &[u8] = if bare { &[] } else { &reply.body };
                let headers: &[_] = if reply.body.is_empty() { &[] } else { &[("content-type", "application/json")] };
                if bare {
                    head_only(after, reply.status, headers)
                } else {
                    Reply::answer(after, reply.status, headers, body)
                }
            }
        }
    }
}

/// An answer that can have no body, nor says how long one would be.
fn head_only(after: Duration, status: u16, headers: &[(&str, &str)]) -> Reply {
    let mut reply = Reply::answer(after, status, headers, &[]);
    for (_, piece) in &mut reply.0 {
        if let world::upstream::Piece::Head { headers, .. } = piece {
            headers.retain(|(name, _)| name != b"content-length");
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use world::http::lines;
    use world::upstream::Piece;

    use super::*;
    use e2e::processor::Recorded;

    fn charge(key: Option<&str>) -> Message {
        let mut headers = lines([(":method", "POST"), (":path", "/v1/payments"), ("content-type", "application/json")]);
        headers.extend(lines(key.map(|key| ("idempotency-key", key))));
        let body = json!({"amount": 1200, "currency": "EUR", "source": {"token": "tok_1"}}).to_string().into_bytes();
        Message { headers, body, trailers: Vec::new() }
    }

    fn get(path: &str) -> Message {
        Message { headers: lines([(":method", "GET"), (":path", path)]), ..Message::default() }
    }

    /// Status and JSON of an answer, with how long after the request it comes.
    fn answer(reply: &Reply) -> (Duration, u16, Value) {
        let mut seen = (Duration::ZERO, 0, Value::Null);
        for (after, piece) in &reply.0 {
            seen.0 += *after;
            match piece {
                Piece::Head { headers, .. } => {
                    seen.1 = String::from_utf8_lossy(&headers[0].1).parse().unwrap();
                }
                Piece::Body { bytes, .. } => seen.2 = serde_json::from_slice(bytes).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        seen
    }

    #[test]
    fn the_same_seed_makes_the_same_payments_and_every_mode_is_heard() {
        let now = Duration::from_secs(3);
        let mut one = ProcessorModel::new("acquirer-a", "pay_", 7);
        let mut two = ProcessorModel::new("acquirer-a", "pay_", 7);
        let paid = one.request(now, &charge(Some("k")));
        assert_eq!(paid, two.request(now, &charge(Some("k"))));
        let (after, status, body) = answer(&paid);
        assert_eq!((after, status, &body["status"]), (Duration::ZERO, 201, &json!("succeeded")));
        let id = body["id"].as_str().unwrap().to_owned();
        // A replay, a look at it, an unknown path, a wrong method.
        assert_eq!(one.request(now, &charge(Some("k"))), paid);
        assert_eq!(answer(&one.request(now, &get(&format!("/v1/payments/{id}?x=1")))).1, 200);
        assert_eq!(answer(&one.request(now, &get("/v2"))).1, 404);
        assert_eq!(answer(&one.request(now, &get("/v1/payments"))).1, 405);

        let slow = Control { latency_ms: 250, ..Mode::Decline("51".to_owned()).into() };
        one.set(slow).unwrap();
        let (after, _, body) = answer(&one.request(now, &charge(None)));
        assert_eq!((after, &body["response_code"]), (Duration::from_millis(250), &json!("51")));
        one.set(Mode::Http(503).into()).unwrap();
        assert_eq!(answer(&one.request(now, &charge(None))).1, 503);
        assert_eq!(answer(&one.request(now, &get("/v1/bins/424242"))).1, 503);
        one.set(Mode::Http(204).into()).unwrap();
        assert_eq!(answer(&one.request(now, &charge(None))), (Duration::ZERO, 204, Value::Null));
        one.set(Control { recorded: Recorded::Yes, ..Mode::Hang.into() }).unwrap();
        assert_eq!(one.request(now, &charge(None)), Reply::reset(HANG_MAX));
        one.set(Mode::ResetAfter.into()).unwrap();
        assert_eq!(one.request(now, &charge(None)), Reply::reset(Duration::ZERO));
        one.set(Mode::Refuse.into()).unwrap();
        assert_eq!(one.door(now), Door::Refused);
        one.set(Mode::Approve.into()).unwrap();
        assert_eq!(one.door(now), Door::Open);
        assert!(one.set(Control { rate: 2.0, ..Control::default() }).is_err());

        let rows = one.ledger().unwrap();
        assert!(rows.iter().all(|row| row.at == 3_000));
        // Paid, replayed, declined, failed, failed, hung, broken off after the fact.
        let approved: Vec<bool> = rows.iter().map(|row| row.approved).collect();
        assert_eq!(approved, [true, false, false, false, false, true, true]);
        one.clear_ledger();
        assert_eq!(one.ledger(), Some(Vec::new()));
        assert_eq!(answer(&one.request(now, &get(&format!("/v1/payments/{id}")))).1, 404);
    }

    #[test]
    fn a_body_over_the_bound_is_refused_and_leaves_no_row() {
        let mut model = ProcessorModel::new("acquirer-a", "pay_", 1);
        let mut huge = charge(None);
        huge.body = vec![b'x'; BODY_BYTES_MAX + 1];
        assert_eq!(answer(&model.request(Duration::ZERO, &huge)).1, 413);
        assert_eq!(model.ledger(), Some(Vec::new()));
    }
}
