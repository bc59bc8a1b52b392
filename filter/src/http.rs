//! Host callbacks to events, steps to host calls.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use decision::exchange::{Body, Ending, Ends, Exchange, Headers, ResponseHead, Step};
use decision::lookup::{Answer, Question};
use decision::payment::{ProxyReply, Spoke, Why};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::{self, Buffer, Map, Phase};
use crate::root::{Worker, read_answer};

/// One HTTP stream.
pub(crate) struct Http {
    worker: Rc<Worker>,
    exchange: Exchange,
    hold: Hold,
}

/// What the stream is held for.
enum Hold {
    Nothing,
    RequestBody,
    ResponseBody,
    Answer { token: u32, question: Box<Question>, phase: Phase },
}

impl Http {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, exchange: Exchange::default(), hold: Hold::Nothing }
    }

    /// Does what the step says; the loop ends because an unanswered question is never asked twice.
    fn act(&mut self, step: Step, phase: Phase) -> Action {
        let mut step = step;
        let action = loop {
            self.hold = Hold::Nothing;
            match step {
                Step::Pass(edits) => {
                    host::edit(map(phase), &edits);
                    if phase == Phase::Request && !edits.is_empty() {
                        // A client's own routing header must not have chosen the route.
                        host::clear_route_cache();
                    }
                    break Action::Continue;
                }
                Step::Forward(edits) => {
                    host::edit(Map::Request, &edits);
                    host::clear_route_cache();
                    break Action::Continue;
                }
                Step::ReadBody => {
                    self.hold = Hold::RequestBody;
                    break Action::Pause;
                }
                Step::HoldResponse => {
                    self.hold = Hold::ResponseBody;
                    break Action::Pause;
                }
                Step::Reply(reply) => {
                    host::reply(&reply);
                    break Action::Pause;
                }
                Step::Ask(question) => match self.worker.ask(&question) {
                    Some(token) => {
                        self.hold = Hold::Answer { token, question: Box::new(question), phase };
                        break Action::Pause;
                    }
                    None => step = self.answered(Answer::Unavailable),
                },
            }
        };
        self.worker.drain_facts();
        action
    }

    fn answered(&mut self, answer: Answer) -> Step {
        let now = host::now();
        self.worker.decide(|router| self.exchange.on_answer(router, answer, now))
    }

    /// The request's body is complete, or over the bound.
    fn request_body(&mut self, size: usize) -> Action {
        let limit = self.worker.request_body_bytes;
        let bytes = collect(Buffer::RequestBody, size, limit);
        let (body, now) = (body(bytes.as_deref()), host::now());
        let step = self.worker.decide(|router| self.exchange.on_request_body(router, body, now));
        self.act(step, Phase::Request)
    }

    /// The response's body is complete, or over the bound.
    fn response_body(&mut self, size: usize) -> Action {
        let limit = self.worker.answer_body_bytes;
        let bytes = collect(Buffer::ResponseBody, size, limit);
        let (body, now) = (body(bytes.as_deref()), host::now());
        let step = self.worker.decide(|router| self.exchange.on_response_body(router, body, now));
        self.act(step, Phase::Response)
    }
}

/// A buffer within its bound.
fn collect(kind: Buffer, size: usize, limit: usize) -> Option<Vec<u8>> {
    (size <= limit).then(|| host::buffer(kind, limit))
}

fn body(bytes: Option<&[u8]>) -> Body<'_> {
    bytes.map_or(Body::TooLarge, Body::Whole)
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        let (answer, phase) = match &self.hold {
            Hold::Answer { token: awaited, question, phase } if *awaited == token => {
                (read_answer(question, body_size), *phase)
            }
            // The stream gave up waiting for it.
            _ => return,
        };
        let step = self.answered(answer);
        if self.act(step, phase) == Action::Continue {
            host::resume(phase);
        }
    }

    fn on_done(&mut self) -> bool {
        // Why the stream ended matters only where something was still awaited.
        let ending = if self.exchange.is_closed() { Ending::Quiet } else { ending() };
        let now = host::now();
        self.worker.decide(|router| self.exchange.on_done(router, ending, now));
        self.worker.drain_facts();
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let lines = host::headers(Map::Request);
        let headers = Headers::new(&lines);
        #[cfg(feature = "trap")]
        trap_on(headers, b"request");
        if self.worker.needs_source {
            self.exchange = Exchange::of_caller(source());
        }
        let (ends, now) = (ends(end_of_stream), host::now());
        let step = self.worker.decide(|router| self.exchange.on_request_headers(router, headers, ends, now));
        self.act(step, Phase::Request)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let limit = self.worker.request_body_bytes;
        match self.hold {
            Hold::RequestBody if end_of_stream || size > limit => self.request_body(size),
            Hold::RequestBody | Hold::Answer { .. } => Action::Pause,
            Hold::Nothing | Hold::ResponseBody => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.hold {
            // Trailers end a body that never said it ended; its size was within the bound or it would be gone.
            Hold::RequestBody => self.request_body(0),
            Hold::Answer { .. } => Action::Pause,
            Hold::Nothing | Hold::ResponseBody => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if self.exchange.is_closed() {
            return Action::Continue;
        }
        let lines = host::headers(Map::Response);
        let headers = Headers::new(&lines);
        #[cfg(feature = "trap")]
        trap_on(headers, b"response");
        let status = headers.one(b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
        let cluster = self.exchange.is_shadow().then(|| host::property(&["xds", "cluster_name"])).flatten();
        let head = ResponseHead { status: status.unwrap_or(0), spoke: spoke(), headers, cluster: cluster.as_deref() };
        let (ends, now) = (ends(end_of_stream), host::now());
        let step = self.worker.decide(|router| self.exchange.on_response_headers(router, head, ends, now));
        self.act(step, Phase::Response)
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let limit = self.worker.answer_body_bytes;
        match self.hold {
            Hold::ResponseBody if end_of_stream || size > limit => self.response_body(size),
            // A long answer must not outgrow the proxy's buffer while a write is awaited: it is cut off there.
            Hold::Answer { .. } if size > limit => {
                let now = host::now();
                let step = self.worker.decide(|router| self.exchange.on_gave_up(router, now));
                self.act(step, Phase::Response)
            }
            Hold::ResponseBody | Hold::Answer { .. } => Action::Pause,
            Hold::Nothing | Hold::RequestBody => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        match self.hold {
            Hold::ResponseBody => self.response_body(0),
            Hold::Answer { .. } => Action::Pause,
            Hold::Nothing | Hold::RequestBody => Action::Continue,
        }
    }
}

fn map(phase: Phase) -> Map {
    match phase {
        Phase::Request => Map::Request,
        Phase::Response => Map::Response,
    }
}

fn ends(end_of_stream: bool) -> Ends {
    if end_of_stream { Ends::Here } else { Ends::Later }
}

/// Who made the response. Envoy says `via_upstream` when the processor spoke, and why it speaks itself where it does. A
/// host without details has only the processor's.
fn spoke() -> Spoke {
    let details = host::property(&["response", "code_details"]).unwrap_or_default();
    if matches!(details.as_slice(), b"" | b"via_upstream") {
        return Spoke::Processor;
    }
    let flags = number(&["response", "flags"]).unwrap_or(0);
    Spoke::Proxy(ProxyReply::of(&details, flags, number(&["upstream", "request_attempt_count"])))
}

/// A property that is a number: eight bytes, the lowest first.
fn number(path: &[&str]) -> Option<u64> {
    host::property(path).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}

/// The caller's address, as the proxy understands it.
fn source() -> Option<IpAddr> {
    let address = host::property(&["source", "address"])?;
    let text = std::str::from_utf8(&address).ok()?;
    text.parse::<SocketAddr>().map(|at| at.ip()).ok()
}

/// How the stream ended: of interest where the answer had begun and was not read to its end. Envoy then says why in its
/// details, without a word to the filter.
fn ending() -> Ending {
    let details = host::property(&["response", "code_details"]).unwrap_or_default();
    // The flags would add nothing: a client that leaves has one of its own.
    match ProxyReply::of(&details, 0, None).why {
        Why::TimedOut | Why::TryTimedOut => Ending::TimedOut,
        Why::Reset | Why::Broken | Why::Protocol => Ending::Broken,
        Why::Connect
        | Why::ConnectTimedOut
        | Why::Tls
        | Why::NoEndpoint
        | Why::Overflow
        | Why::NoRoute
        | Why::NoCluster
        | Why::RefusedStream
        | Why::AnswerTooLarge
        | Why::Other => Ending::Quiet,
    }
}

/// Traps where a test's header says so. Not in the shipped build.
#[cfg(feature = "trap")]
fn trap_on(headers: Headers<'_>, place: &[u8]) {
    if headers.one(b"x-switchyard-test-trap") == Some(place) {
        std::process::abort();
    }
}
