//! Calls that guests make: how each ends, and when it is told.

use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::{CalloutId, ContextId, HeaderPairs, HttpCallResponse};

use super::stream::Stream;
use super::{Event, StreamId, World, is_last};
use crate::failure::LocalReply;
use crate::http::{Headers, Message, lines};
use crate::upstream::{Door, Piece, Reply};
use crate::vm::Opened;

impl World {
    /// Makes a call: how it ends is known at once, and told when its time has come.
    pub(super) fn call(&mut self, opened: Opened) {
        let Opened { guest, context, callout, call } = opened;
        // A throw-away VM is gone before its calls are answered.
        let Some(vm) = self.vms.iter().position(|vm| vm.guest.id() == guest) else { return };
        let cluster = String::from_utf8_lossy(&call.upstream).into_owned();
        let pairs = |pairs: HeaderPairs<'static>| -> Headers {
            pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        };
        let mut request =
            Message { headers: pairs(call.headers), body: call.body.into_owned(), trailers: pairs(call.trailers) };
        if !request.body.is_empty() {
            request.headers.extend(lines([("content-length", request.body.len().to_string().as_str())]));
        }
        request.headers.extend(lines([("x-envoy-internal", "true")]));
        if !call.timeout.is_zero() {
            let timeout = call.timeout.as_millis().to_string();
            request.headers.extend(lines([("x-envoy-expected-rq-timeout-ms", timeout.as_str())]));
        }
        self.note(|| format!("call to {cluster}"));
        self.weigh(&request.headers, &request.body);
        let now = self.now();
        let Some(upstream) = self.upstreams.get(&cluster).cloned() else { return };
        let limit = self.proxy.clusters.get(&cluster).map_or(u32::MAX, |cluster| cluster.max_requests);
        let full = self.in_flight.get(&cluster).copied().unwrap_or(0) >= limit;
        let (door, connect) = (upstream.borrow_mut().door(now), self.connect_timeout(&cluster));
        *self.in_flight.entry(cluster.clone()).or_default() += 1;
        let (delay, answer) = match door {
            _ if full => (Duration::ZERO, said(LocalReply::overflow())),
            Door::Refused => (Duration::ZERO, said(LocalReply::refused())),
            Door::Silent => (connect, said(LocalReply::connect_timeout())),
            Door::Open => outcome(upstream.borrow_mut().request(now, &request), call.timeout),
        };
        // Zero is no time-out.
        let (delay, answer) = match call.timeout {
            timeout if !timeout.is_zero() && delay > timeout => (timeout, said(LocalReply::route_timeout())),
            _ => (delay, answer),
        };
        if delay < Duration::MAX {
            let generation = self.vms[vm].generation;
            self.schedule_in(delay, Event::Called { vm, generation, context, callout, cluster, answer });
        }
    }

    pub(super) fn call_answered(
        &mut self,
        vm: usize,
        generation: u32,
        context: ContextId,
        callout: CalloutId,
        answer: HttpCallResponse<'static>,
    ) {
        if self.vms[vm].generation != generation || self.vms[vm].has_failed() {
            return;
        }
        // The stream may be gone, and the call with it.
        let Some(open) = self.vms[vm].guest.open_callout(callout) else { return };
        let of = |(id, stream): (&StreamId, &Stream)| {
            (stream.worker == vm && stream.generation == generation && stream.context == Some(context)).then_some(*id)
        };
        match self.streams.iter().filter(|(_, stream)| !stream.closed).find_map(of) {
            Some(id) => {
                // Nobody sees a trap here: the stream stays as it is.
                let _ = self
                    .enter(id, "call answered", |scope, context| scope.on_http_call_response(context, callout, answer));
            }
            None if open.root == open.caller => {
                self.enter_root(vm, "call answered", |scope| scope.on_http_call_response(context, callout, answer));
            }
            None => {}
        }
    }
}

fn owned(lines: Headers) -> HeaderPairs<'static> {
    lines.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What the router answers a call itself; no mapper sees that.
fn said(reply: LocalReply) -> HttpCallResponse<'static> {
    let (head, body) = reply.mapped(&[]);
    HttpCallResponse::received(owned(head)).with_body(body)
}

/// The whole answer to a call, and after how long: within its time-out, where that is not zero, or none.
fn outcome(reply: Reply, timeout: Duration) -> (Duration, HttpCallResponse<'static>) {
    let (mut time, mut answer) = (Duration::ZERO, Message::default());
    for (gap, piece) in reply.0 {
        time += gap;
        if !timeout.is_zero() && time > timeout && !answer.headers.is_empty() {
            return (timeout, HttpCallResponse::failed());
        }
        let last = is_last(&piece);
        match piece {
            Piece::Head { headers, .. } => answer.headers = headers,
            Piece::Body { bytes, .. } => answer.body.extend(bytes),
            Piece::Trailers(trailers) => answer.trailers = trailers,
            Piece::Reset if answer.headers.is_empty() => return (time, said(LocalReply::reset_before_answer())),
            Piece::Reset => return (time, HttpCallResponse::failed()),
        }
        if last {
            if answer.header(":status") == Some(b"204") {
                answer.headers.retain(|(name, _)| name != b"content-length");
            }
            answer.headers.extend(lines([("x-envoy-upstream-service-time", "0")]));
            let response = HttpCallResponse::received(owned(answer.headers))
                .with_body(answer.body)
                .with_trailers(owned(answer.trailers));
            return (time, response);
        }
    }
    match timeout {
        timeout if !timeout.is_zero() && !answer.headers.is_empty() => (timeout, HttpCallResponse::failed()),
        _ => (Duration::MAX, HttpCallResponse::failed()),
    }
}
