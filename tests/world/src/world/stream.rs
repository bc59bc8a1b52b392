//! One request and its answer, and how it begins and ends.

use std::time::Duration;

use proxy_wasm_host::HeaderMap;
use proxy_wasm_host::abi::v0_2_1::ContextId;

use super::client::{Answer, Ending, Sent};
use super::guest::Called;
use super::{Event, StreamId, World};
use crate::failure::{DOWNSTREAM_END, Flag, LocalReply};
use crate::http::{Headers, Message, lines};
use crate::lent::{self, Lent, Map, Phase};
use crate::proxy::FailurePolicy;

/// Whether a message goes on through the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Iteration {
    #[default]
    Continue,
    /// What was seen is stopped; what comes is still seen.
    StopOne,
    /// What comes is kept unseen.
    StopAll,
}

/// One message on its way through the filter.
#[derive(Default)]
pub(super) struct Flow {
    /// Its head came.
    pub(super) began: bool,
    pub(super) iteration: Iteration,
    /// Its head went on.
    pub(super) headers_went: bool,
    /// Its end came.
    pub(super) ended: bool,
    pub(super) buffered: Vec<u8>,
    /// The filter saw some of the body, or its end.
    pub(super) saw_body: bool,
    /// The filter stopped the body: what comes is added to what it saw.
    pub(super) buffering: bool,
    pub(super) trailers: Option<Headers>,
}

/// A request at an upstream.
pub(super) struct Upcall {
    pub(super) attempt: u64,
    pub(super) cluster: String,
    pub(super) connected: bool,
    pub(super) request: Message,
    pub(super) whole: bool,
    /// The route's, from the whole request on.
    pub(super) timeout: Duration,
}

pub(super) struct Stream {
    pub(super) worker: usize,
    pub(super) generation: u32,
    pub(super) context: Option<ContextId>,
    /// It came to a VM that had failed.
    pub(super) failed: bool,
    pub(super) lent: Lent,
    pub(super) request: Flow,
    pub(super) response: Flow,
    pub(super) upcall: Option<Upcall>,
    pub(super) answer: Answer,
    /// A local reply is on its way; the request is not looked at any more.
    pub(super) replied: bool,
    pub(super) fail_replied: bool,
    pub(super) closed: bool,
    pub(super) began: Duration,
    moved: Duration,
}

/// What the access log would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Response code details.
    pub details: String,
    /// Response flags, abbreviated; none is `-`.
    pub flags: String,
    /// The cluster that was chosen.
    pub cluster: Option<String>,
    /// How often it was sent.
    pub attempts: u64,
}

impl Stream {
    pub(super) fn new(worker: usize, connection: u64, began: Duration) -> Self {
        let mut lent = Lent::default();
        lent.info.connection = connection;
        lent.info.began = began;
        Self {
            worker,
            generation: 0,
            context: None,
            failed: false,
            lent,
            request: Flow::default(),
            response: Flow::default(),
            upcall: None,
            answer: Answer::default(),
            replied: false,
            fail_replied: false,
            closed: false,
            began,
            moved: began,
        }
    }

    pub(super) fn flow(&mut self, phase: Phase) -> &mut Flow {
        match phase {
            Phase::Request => &mut self.request,
            Phase::Response => &mut self.response,
        }
    }

    pub(super) fn access(&self) -> Access {
        let info = &self.lent.info;
        let flags: Vec<&str> = info.flags.iter().map(|Flag(name, _)| *name).collect();
        Access {
            details: String::from_utf8_lossy(info.details.as_deref().unwrap_or_default()).into_owned(),
            flags: if flags.is_empty() { "-".to_owned() } else { flags.join(",") },
            cluster: info.cluster.clone(),
            attempts: info.attempts,
        }
    }
}

/// Where every client is.
const CLIENT: &str = "127.0.0.1";

/// What a caller from outside may not say to Envoy, in Envoy's list.
const INTERNAL_HEADERS: [&str; 15] = [
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-ip-tags",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-hedge-on-per-try-timeout",
];

impl World {
    /// Something moved on this stream.
    pub(super) fn touch(&mut self, id: StreamId) {
        let now = self.now();
        if let Some(stream) = self.stream(id) {
            stream.moved = now;
        }
    }

    pub(super) fn client_sent(&mut self, id: StreamId, sent: Sent) {
        let Some(stream) = self.stream(id) else { return };
        if stream.request.ended && sent != Sent::Disconnect {
            return;
        }
        self.touch(id);
        match sent {
            Sent::Head(headers, end) => self.begin(id, headers, end),
            Sent::Body(bytes, end) => {
                if let Some(stream) = self.stream(id) {
                    stream.lent.info.request_bytes += bytes.len();
                }
                self.on_line(id, Phase::Request, bytes, end);
            }
            Sent::Trailers(trailers) => self.on_trailers(id, Phase::Request, trailers),
            Sent::Disconnect => self.client_left(id),
        }
    }

    /// What the connection manager says of a request, where the client has said something else or nothing.
    fn codec_headers(&self, headers: &Map, id: String) -> Vec<(&'static str, String)> {
        let mut said = Vec::new();
        if self.proxy.callers_are_outside {
            let before = headers.get(b"x-forwarded-for");
            let before = before.map(|value| String::from_utf8_lossy(&value).into_owned() + ",");
            said.push(("x-forwarded-for", before.unwrap_or_default() + CLIENT));
        }
        said.push(("x-forwarded-proto", "http".to_owned()));
        if self.proxy.callers_are_outside {
            said.push(("x-envoy-external-address", CLIENT.to_owned()));
        }
        said.push(("x-request-id", id));
        said
    }

    fn begin(&mut self, id: StreamId, mut headers: Headers, end: bool) {
        let request_timeout = self.proxy.request_timeout;
        let idle = self.proxy.stream_idle_timeout;
        if !end && !request_timeout.is_zero() {
            self.schedule_in(request_timeout, Event::RequestTimeout(id));
        }
        if !idle.is_zero() {
            self.schedule_in(idle, Event::Idle(id));
        }
        headers.retain(|(name, _)| name != b"transfer-encoding");
        if self.proxy.callers_are_outside {
            headers.retain(|(name, _)| !INTERNAL_HEADERS.iter().any(|internal| internal.as_bytes() == name));
        }
        let id_drawn = format!("{:032x}", self.rng.u128(..));
        let mut map = Map(headers);
        for (name, value) in self.codec_headers(&map, id_drawn) {
            // It cannot fail: this map refuses no write.
            let _ = map.set(name.as_bytes(), value.as_bytes());
        }
        let headers = map.0;
        let route = self.route_of(&headers).cloned();
        let cluster = route.as_ref().and_then(|route| self.cluster_of(route, &headers));
        let virtual_host = Some(self.proxy.virtual_host.clone());
        let worker = match self.stream(id) {
            Some(stream) => {
                stream.lent.info.route = route.map(|route| route.name);
                stream.lent.info.cluster = cluster;
                stream.lent.info.virtual_host = virtual_host;
                stream.lent.request.headers = Map(headers);
                stream.worker
            }
            None => return,
        };
        self.ready_vm(worker);
        let vm = &mut self.vms[worker];
        let (generation, failed, root) = (vm.generation, vm.has_failed(), vm.root);
        let open = self.proxy.plugin.failure_policy == FailurePolicy::Open;
        if let Some(stream) = self.stream(id) {
            stream.generation = generation;
            stream.failed = failed && !open;
        }
        if !failed {
            self.create_context(id, root);
        }
        self.on_head(id, Phase::Request, end);
    }

    /// Ends the stream in front of the client: the rest of its answer will not come.
    pub(super) fn break_off(&mut self, id: StreamId, ending: Ending) {
        let now = self.now();
        let Some(stream) = self.stream(id) else { return };
        stream.answer.ending = ending;
        stream.answer.took = now.saturating_sub(stream.began);
        self.finish(id);
    }

    /// Tells the filter that the stream is over, and forgets what it held.
    fn finish(&mut self, id: StreamId) {
        self.drop_upcall(id);
        // A trap here leaves nothing to be done for this stream.
        if let Called::Returned(_) = self.enter(id, "done", |scope, context| scope.on_done(context)) {
            let _ = self.enter(id, "delete", |scope, context| scope.on_delete(context).map(|_| ()));
        }
        if let Some(stream) = self.stream(id) {
            stream.closed = true;
            stream.request = Flow::default();
            stream.response = Flow::default();
            stream.lent.request = lent::Half::default();
            stream.lent.response = lent::Half::default();
            let (status, ending) = (stream.answer.status(), stream.answer.ending);
            let (headers, body) = (stream.answer.headers.clone().unwrap_or_default(), stream.answer.body.clone());
            let access = stream.access();
            self.note(|| format!("{id:?} ends: {status} {ending:?} {} {}", access.flags, access.details));
            self.weigh(&headers, &body);
        }
    }

    fn client_left(&mut self, id: StreamId) {
        if let Some(stream) = self.stream(id) {
            stream.lent.info.flags.push(DOWNSTREAM_END);
            stream.lent.info.details = Some(b"downstream_remote_disconnect".to_vec());
        }
        self.break_off(id, Ending::Left);
    }

    /// The filter closes the stream.
    pub(super) fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.stream(id) {
            stream.lent.info.details.get_or_insert_with(|| b"wasm_close_stream".to_vec());
        }
        self.break_off(id, Ending::Broken);
    }

    /// The stream is reset by the proxy, for this reason.
    pub(super) fn reset(&mut self, id: StreamId, flag: Option<Flag>, details: &str) {
        if let Some(stream) = self.stream(id) {
            stream.lent.info.flags.extend(flag);
            stream.lent.info.details = Some(details.as_bytes().to_vec());
        }
        self.break_off(id, Ending::Broken);
    }

    /// The proxy answers itself: through the filter where no answer has come to it yet, directly where one is held, and
    /// by a reset where one has begun.
    pub(super) fn local_reply(&mut self, id: StreamId, mut reply: LocalReply) {
        let added = self.added_to_response(id);
        let Some(stream) = self.stream(id) else { return };
        let details = String::from_utf8_lossy(&reply.details).into_owned();
        if stream.answer.headers.is_some() {
            self.reset(id, reply.flag, &details);
            return;
        }
        let held = stream.response.began;
        let to_head = stream.lent.request.headers.get(b":method").as_deref() == Some(b"HEAD");
        stream.replied = true;
        stream.request.iteration = Iteration::StopAll;
        stream.lent.info.flags.extend(reply.flag);
        stream.lent.info.details = Some(reply.details.clone());
        self.drop_upcall(id);
        reply.headers.splice(0..0, added);
        let (head, mut body) = reply.mapped(&self.proxy.mappers);
        if to_head {
            body.clear();
        }
        self.note(|| format!("{id:?} local reply {details}"));
        let Some(stream) = self.stream(id) else { return };
        stream.lent.response.headers = Map(head);
        stream.lent.info.status = stream.lent.response.headers.status();
        if held {
            stream.response = Flow::default();
            self.forward_head(id, Phase::Response, body.is_empty());
            if !body.is_empty() {
                self.forward_data(id, Phase::Response, body, true);
            }
        } else {
            self.on_head(id, Phase::Response, body.is_empty());
            if !body.is_empty() && self.stream(id).is_some() {
                self.on_data(id, Phase::Response, body, true);
            }
        }
    }

    pub(super) fn look_whether_idle(&mut self, id: StreamId) {
        let (now, idle) = (self.now(), self.proxy.stream_idle_timeout);
        let Some(stream) = self.stream(id) else { return };
        let (due, whole) = (stream.moved + idle, stream.request.ended);
        if due <= now {
            self.local_reply(id, LocalReply::idle(whole));
        } else {
            self.schedule(due, Event::Idle(id));
        }
    }

    pub(super) fn request_timed_out(&mut self, id: StreamId) {
        if self.stream(id).is_some_and(|stream| !stream.request.ended) {
            self.local_reply(id, LocalReply::request_timeout());
        }
    }

    /// What the client gets of an answer's head.
    pub(super) fn client_head(&mut self, id: StreamId, end: bool) {
        let now = self.now();
        let Some(stream) = self.stream(id) else { return };
        if !stream.lent.response.headers.0.iter().any(|(name, _)| name == b":status") {
            self.local_reply(id, LocalReply::no_status());
            return;
        }
        let headers = &mut stream.lent.response.headers.0;
        headers.retain(|(name, _)| !["date", "server", "transfer-encoding"].iter().any(|own| own.as_bytes() == name));
        headers.extend(lines([("date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("server", "envoy")]));
        if !stream.request.ended {
            // What is left of the request will not be read.
            headers.extend(lines([("connection", "close")]));
        }
        // The codec's.
        let mut sent = headers.clone();
        let status = stream.lent.response.headers.status();
        let bare = status.is_some_and(|status| [204, 304].contains(&status));
        if !bare && !sent.iter().any(|(name, _)| name == b"content-length") {
            sent.extend(lines([if end { ("content-length", "0") } else { ("transfer-encoding", "chunked") }]));
        }
        stream.answer.headers = Some(sent);
        stream.lent.info.status = status;
        stream.moved = now;
        if end {
            self.client_end(id);
        }
    }

    pub(super) fn client_data(&mut self, id: StreamId, bytes: &[u8], end: bool) {
        let now = self.now();
        let Some(stream) = self.stream(id) else { return };
        stream.answer.body.extend_from_slice(bytes);
        stream.lent.info.response_bytes += bytes.len();
        stream.moved = now;
        if end {
            self.client_end(id);
        }
    }

    pub(super) fn client_trailers(&mut self, id: StreamId, trailers: Headers) {
        if let Some(stream) = self.stream(id) {
            stream.answer.trailers = trailers;
        }
        self.client_end(id);
    }

    fn client_end(&mut self, id: StreamId) {
        self.break_off(id, Ending::Whole);
    }
}
