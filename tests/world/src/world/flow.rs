//! A message on its way through the filter: what it sees, what it stops, and what goes on.

use proxy_wasm_host::HeaderMap;
use proxy_wasm_host::abi::v0_2_1::GuestError;
use proxy_wasm_host::abi::v0_2_1::types::Action;

use super::guest::Called;
use super::stream::Iteration;
use super::{StreamId, World, word};
use crate::failure::LocalReply;
use crate::http::Headers;
use crate::lent::{Body, Map, Phase};

/// A length as the ABI has it.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// An action that there is not stops a message, and hurts nothing else.
fn odd_is_pause(action: Result<Action, GuestError>) -> Result<Action, GuestError> {
    match action {
        Err(GuestError::UnexpectedReturn { .. }) => Ok(Action::Pause),
        action => action,
    }
}

impl World {
    /// The head has come; it stands in what is lent.
    pub(super) fn on_head(&mut self, id: StreamId, phase: Phase, end: bool) {
        let stops = match self.proxy.plugin.allow_on_headers_stop_iteration {
            true => Iteration::StopOne,
            false => Iteration::StopAll,
        };
        let Some(stream) = self.stream(id) else { return };
        let flow = stream.flow(phase);
        flow.began = true;
        flow.ended = end;
        let half = stream.lent.half(phase);
        half.headers_lent = true;
        let headers = count(half.headers.len());
        let called =
            self.enter(id, &format!("{} headers {headers} {end}", word(phase)), |scope, context| match phase {
                Phase::Request => odd_is_pause(scope.on_request_headers(context, headers, end)),
                Phase::Response => odd_is_pause(scope.on_response_headers(context, headers, end)),
            });
        if self.is_over(id, phase) {
            return;
        }
        match called {
            Called::Failed if self.fails(id, phase) => self.fail(id),
            Called::Returned(Action::Pause) => {
                if let Some(stream) = self.stream(id) {
                    // A continue within the callback went before the callback's own word.
                    stream.flow(phase).iteration = stops;
                }
            }
            Called::Returned(Action::Continue) | Called::Passed | Called::Failed => {
                let Some(stream) = self.stream(id) else { return };
                stream.lent.half(phase).headers_lent = false;
                // A continue in the callback has sent it on already, and Envoy would do so once more.
                if std::mem::replace(&mut stream.flow(phase).headers_went, true) {
                    self.fatal.push("proxy_continue_stream in a callback that returns Continue");
                } else {
                    self.forward_head(id, phase, end);
                }
            }
        }
    }

    /// Whether a failed VM has a say: not in the reply that says that it failed.
    fn fails(&self, id: StreamId, phase: Phase) -> bool {
        phase == Phase::Request || !self.streams[&id].fail_replied
    }

    /// Some of the body came from the line. Its end comes apart, with nothing in it, as the codec sees it only then.
    pub(super) fn on_line(&mut self, id: StreamId, phase: Phase, bytes: Vec<u8>, end: bool) {
        if !bytes.is_empty() {
            self.on_data(id, phase, bytes, false);
        }
        if end {
            self.on_data(id, phase, Vec::new(), true);
        }
    }

    pub(super) fn on_data(&mut self, id: StreamId, phase: Phase, mut bytes: Vec<u8>, end: bool) {
        let limit = self.proxy.buffer_limit;
        let Some(stream) = self.stream(id) else { return };
        let replied = phase == Phase::Request && stream.replied;
        let flow = stream.flow(phase);
        flow.ended |= end;
        if replied {
            return;
        }
        if flow.iteration == Iteration::StopAll {
            flow.buffered.append(&mut bytes);
            return;
        }
        if flow.buffering {
            flow.buffered.append(&mut bytes);
            bytes = std::mem::take(&mut flow.buffered);
            // A request's bound is looked at only after the filter has seen it.
            if phase == Phase::Response && bytes.len() > limit {
                self.too_large(id, phase);
                return;
            }
        }
        flow.saw_body = true;
        let size = count(bytes.len());
        let half = stream.lent.half(phase);
        half.body = Body(bytes);
        half.body_lent = true;
        let called = self.enter(id, &format!("{} body {size} {end}", word(phase)), |scope, context| match phase {
            Phase::Request => odd_is_pause(scope.on_request_body(context, size, end)),
            Phase::Response => odd_is_pause(scope.on_response_body(context, size, end)),
        });
        if self.is_over(id, phase) {
            return;
        }
        let fails = self.fails(id, phase);
        let Some(stream) = self.stream(id) else { return };
        let bytes = std::mem::take(&mut stream.lent.half(phase).body).0;
        match called {
            Called::Failed if fails => self.fail(id),
            Called::Returned(Action::Pause) => {
                let flow = stream.flow(phase);
                flow.buffering = true;
                flow.iteration = Iteration::StopOne;
                flow.buffered = bytes;
                if flow.buffered.len() > limit {
                    self.too_large(id, phase);
                } else {
                    // What is paused stays in reach, also from a call's answer.
                    stream.lent.half(phase).body = Body(stream.flow(phase).buffered.clone());
                }
            }
            Called::Returned(Action::Continue) | Called::Passed | Called::Failed => {
                stream.lent.half(phase).body_lent = false;
                let flow = stream.flow(phase);
                flow.buffering = false;
                if flow.iteration == Iteration::StopOne {
                    let fits = bytes.len() <= limit;
                    flow.buffered = bytes;
                    // The filter itself may have made it longer.
                    if fits { self.go_on(id, phase) } else { self.too_large(id, phase) }
                } else {
                    self.forward_data(id, phase, bytes, end);
                }
            }
        }
    }

    pub(super) fn on_trailers(&mut self, id: StreamId, phase: Phase, trailers: Headers) {
        let Some(stream) = self.stream(id) else { return };
        let replied = phase == Phase::Request && stream.replied;
        let flow = stream.flow(phase);
        flow.ended = true;
        if replied {
            return;
        }
        if flow.iteration == Iteration::StopAll {
            flow.trailers = Some(trailers);
            return;
        }
        let size = count(trailers.len());
        let half = stream.lent.half(phase);
        half.trailers = Map(trailers);
        half.trailers_lent = true;
        let called = self.enter(id, &format!("{} trailers {size}", word(phase)), |scope, context| match phase {
            Phase::Request => odd_is_pause(scope.on_request_trailers(context, size)),
            Phase::Response => odd_is_pause(scope.on_response_trailers(context, size)),
        });
        if self.is_over(id, phase) {
            return;
        }
        match called {
            Called::Failed if self.fails(id, phase) => self.fail(id),
            Called::Returned(Action::Pause) => {
                if let Some(stream) = self.stream(id) {
                    let trailers = stream.lent.half(phase).trailers.clone();
                    let flow = stream.flow(phase);
                    flow.trailers = Some(trailers.0);
                    flow.iteration = Iteration::StopOne;
                }
            }
            Called::Returned(Action::Continue) | Called::Passed | Called::Failed => {
                let Some(stream) = self.stream(id) else { return };
                stream.lent.half(phase).trailers_lent = false;
                let trailers = stream.lent.half(phase).trailers.0.clone();
                let flow = stream.flow(phase);
                if flow.iteration == Iteration::StopOne {
                    flow.trailers = Some(trailers);
                    self.go_on(id, phase);
                } else {
                    self.forward_trailers(id, phase, trailers);
                }
            }
        }
    }

    /// The filter lets a message go on that it had stopped.
    pub(super) fn resume(&mut self, id: StreamId, phase: Phase) {
        let Some(stream) = self.stream(id) else { return };
        let flow = stream.flow(phase);
        if !flow.began {
            self.fatal.push("proxy_continue_stream(response) before there is one");
            return;
        }
        let flow = stream.flow(phase);
        if flow.iteration != Iteration::Continue || !flow.headers_went {
            // What was changed in a call's answer counts.
            if stream.flow(phase).buffering {
                let body = std::mem::take(&mut stream.lent.half(phase).body).0;
                stream.flow(phase).buffered = body;
            }
            if stream.flow(phase).iteration == Iteration::StopOne && stream.flow(phase).trailers.is_some() {
                stream.flow(phase).trailers = Some(stream.lent.half(phase).trailers.0.clone());
            }
            self.go_on(id, phase);
        }
    }

    /// Head, body and trailers as far as they came; what was kept unseen is seen now.
    fn go_on(&mut self, id: StreamId, phase: Phase) {
        let Some(stream) = self.stream(id) else { return };
        let flow = stream.flow(phase);
        let unseen = std::mem::take(&mut flow.iteration) == Iteration::StopAll;
        let (bytes, trailers, ended) = (std::mem::take(&mut flow.buffered), flow.trailers.take(), flow.ended);
        let head_alone = bytes.is_empty() && trailers.is_none() && !flow.saw_body;
        let end = ended && trailers.is_none();
        if !std::mem::replace(&mut flow.headers_went, true) {
            self.forward_head(id, phase, ended && head_alone);
        }
        if end && bytes.is_empty() && !head_alone {
            self.forward_data(id, phase, Vec::new(), true);
        }
        if !bytes.is_empty() {
            if unseen {
                self.on_data(id, phase, bytes, end);
            } else {
                self.forward_data(id, phase, bytes, end);
            }
        }
        if let Some(trailers) = trailers {
            if unseen {
                self.on_trailers(id, phase, trailers);
            } else {
                self.forward_trailers(id, phase, trailers);
            }
        }
    }

    fn too_large(&mut self, id: StreamId, phase: Phase) {
        let reply = match phase {
            Phase::Request => LocalReply::request_too_large(),
            Phase::Response => LocalReply::response_too_large(),
        };
        self.local_reply(id, reply);
    }

    pub(super) fn forward_head(&mut self, id: StreamId, phase: Phase, end: bool) {
        match phase {
            Phase::Request => self.route_head(id, end),
            Phase::Response => self.client_head(id, end),
        }
    }

    pub(super) fn forward_data(&mut self, id: StreamId, phase: Phase, bytes: Vec<u8>, end: bool) {
        match phase {
            Phase::Request => self.route_data(id, &bytes, end),
            Phase::Response => self.client_data(id, &bytes, end),
        }
    }

    fn forward_trailers(&mut self, id: StreamId, phase: Phase, trailers: Headers) {
        match phase {
            Phase::Request => self.route_trailers(id, trailers),
            Phase::Response => self.client_trailers(id, trailers),
        }
    }
}
