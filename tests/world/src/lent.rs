//! What a stream lends its VM for the length of one callback, with Envoy's rules of what may be touched when.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proxy_wasm_host::abi::v0_2_1::types::{BufferType, MapType, Status, StreamType};
use proxy_wasm_host::abi::v0_2_1::{Access, Callback, ContextId, ForeignCall, Invocation, LocalResponse, StreamState};
use proxy_wasm_host::{Buffer, HeaderMap, NotAllowed, PairVisitor};

use crate::failure::LocalReply;
use crate::http::Headers;
use crate::properties::{self, Info};

/// Which way a message flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Request,
    Response,
}

/// What a callback asked for, done once it has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deferred {
    Continue(Phase),
    Reset,
    Reply(LocalReply),
}

/// One message as the guest may see it.
#[derive(Default)]
pub(crate) struct Half {
    pub(crate) headers: Map,
    /// Whether the headers can be reached: from their callback until it or a later one lets them go on.
    pub(crate) headers_lent: bool,
    pub(crate) trailers: Map,
    pub(crate) trailers_lent: bool,
    pub(crate) body: Body,
    pub(crate) body_lent: bool,
}

impl Half {
    /// The message goes on: nothing of it can be reached any more.
    pub(crate) fn release(&mut self) {
        self.headers_lent = false;
        self.trailers_lent = false;
        self.body_lent = false;
    }
}

/// What a stream lends. The world takes it back after every callback.
#[derive(Default)]
pub(crate) struct Lent {
    pub(crate) context: Option<ContextId>,
    pub(crate) request: Half,
    pub(crate) response: Half,
    pub(crate) deferred: Vec<Deferred>,
    pub(crate) info: Info,
    pub(crate) filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the guest did at the stream's end that would have ended Envoy, every worker and stream with it.
    pub(crate) fatal: Vec<&'static str>,
    /// At the stream's end: the guest has logged, and is told that it is done. Set by the VM (see `module.rs`).
    pub(crate) logged: Arc<AtomicBool>,
    /// What a body that cannot be reached reads as.
    nothing: Body,
    /// What the request's trailers read as in the log, whatever they were.
    no_trailers: Map,
}

impl Lent {
    pub(crate) fn half(&mut self, phase: Phase) -> &mut Half {
        match phase {
            Phase::Request => &mut self.request,
            Phase::Response => &mut self.response,
        }
    }

    /// A context of another stream is not this one's: it has nothing here.
    fn serves(&self, call: Invocation) -> bool {
        self.context == Some(call.context)
    }

    /// Whether the stream's log is being written: everything can be read then, and nothing changed. Log and done are one
    /// callback here (see `module.rs`).
    fn is_logging(&self, call: Invocation) -> bool {
        let ending = matches!(call.callback, Some(Callback::Done | Callback::Log));
        ending && !self.logged.load(Ordering::Relaxed)
    }

    fn reply_is_held(&self) -> bool {
        self.deferred.iter().any(|deferred| matches!(deferred, Deferred::Reply(_)))
    }
}

/// Whether the callback that ends a stream is running.
fn is_ending(call: Invocation) -> bool {
    matches!(call.callback, Some(Callback::Done | Callback::Log | Callback::Delete))
}

impl StreamState for Lent {
    fn header_map(
        &mut self,
        call: Invocation,
        access: Access,
        map_type: MapType,
    ) -> Result<&mut dyn HeaderMap, Status> {
        if !self.serves(call) {
            return Err(Status::BadArgument);
        }
        let logging = self.is_logging(call);
        let (half, trailers) = match map_type {
            MapType::HttpRequestHeaders => (&mut self.request, false),
            MapType::HttpRequestTrailers => (&mut self.request, true),
            MapType::HttpResponseHeaders => (&mut self.response, false),
            MapType::HttpResponseTrailers => (&mut self.response, true),
            _ => return Err(Status::BadArgument),
        };
        let (map, lent) = match trailers {
            false => (&mut half.headers, half.headers_lent),
            true => (&mut half.trailers, half.trailers_lent),
        };
        match access {
            Access::Read if logging && map_type == MapType::HttpRequestTrailers => Ok(&mut self.no_trailers),
            Access::Read if lent || logging => Ok(map),
            Access::Write if lent && !logging => Ok(map),
            Access::Read | Access::Write => Err(Status::BadArgument),
        }
    }

    fn buffer(&mut self, call: Invocation, access: Access, buffer: BufferType) -> Result<&mut dyn Buffer, Status> {
        let half = match buffer {
            BufferType::HttpRequestBody => &mut self.request,
            BufferType::HttpResponseBody => &mut self.response,
            _ => return Err(Status::NotFound),
        };
        match (self.context == Some(call.context) && half.body_lent, access) {
            (true, _) => Ok(&mut half.body),
            (false, Access::Read) => Ok(&mut self.nothing),
            (false, Access::Write) => Err(Status::BadArgument),
        }
    }

    /// Also takes the request out of reach, whichever half goes on.
    fn continue_stream(&mut self, call: Invocation, stream: StreamType) -> Result<(), Status> {
        let phase = match stream {
            StreamType::HttpRequest => Phase::Request,
            StreamType::HttpResponse => Phase::Response,
            StreamType::Downstream => return Ok(()),
            // Specified as 12, which the Rust SDK's list of statuses lacks: undefined behaviour in the guest.
            StreamType::Upstream => return Err(Status::InternalFailure),
        };
        if self.serves(call) && !is_ending(call) {
            self.deferred.push(Deferred::Continue(phase));
            self.request.release();
        }
        Ok(())
    }

    fn close_stream(&mut self, call: Invocation, stream: StreamType) -> Result<(), Status> {
        let here = matches!(stream, StreamType::HttpRequest | StreamType::HttpResponse);
        if here && is_ending(call) {
            self.fatal.push("proxy_close_stream at the end of a stream");
        }
        if here && self.serves(call) && !is_ending(call) {
            self.deferred.push(Deferred::Reset);
        }
        Ok(())
    }

    /// A second one while the first is held is dropped.
    fn send_local_response(&mut self, call: Invocation, response: LocalResponse<'_>) -> Result<(), Status> {
        if is_ending(call) {
            self.fatal.push("proxy_send_local_response at the end of a stream");
        }
        if !self.reply_is_held() && self.serves(call) && !is_ending(call) {
            let plain = |(name, _): &(Cow<'_, [u8]>, Cow<'_, [u8]>)| !name.starts_with(b":");
            let blank = |byte: &u8| if byte.is_ascii_whitespace() { b'_' } else { *byte };
            let owned = |(name, value): (Cow<'_, [u8]>, Cow<'_, [u8]>)| (name.to_ascii_lowercase(), value.into_owned());
            self.deferred.push(Deferred::Reply(LocalReply {
                // As wide as a status is in Envoy.
                status: response.status_code & 0xffff,
                flag: None,
                details: response.status_code_details.iter().map(blank).collect(),
                headers: response.headers.into_iter().filter(plain).map(owned).collect(),
                body: response.body.into_owned(),
            }));
        }
        Ok(())
    }

    fn property(&mut self, call: Invocation, path: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Status> {
        if !self.serves(call) {
            return Err(Status::NotFound);
        }
        let value = match path {
            [name] if self.filter_state.contains_key(*name) => self.filter_state.get(*name).cloned(),
            [b"filter_state", name] => {
                name.strip_prefix(b"wasm.").and_then(|name| self.filter_state.get(name)).cloned()
            }
            path => properties::read(self, path, self.is_logging(call)),
        };
        out.extend(value.ok_or(Status::NotFound)?);
        Ok(())
    }

    fn set_property(&mut self, call: Invocation, path: &[&[u8]], value: &[u8]) -> Result<(), Status> {
        if !self.serves(call) {
            return Err(Status::NotFound);
        }
        self.filter_state.insert(path.join(&0), value.to_vec());
        Ok(())
    }

    fn call_foreign_function(
        &mut self,
        _: Invocation,
        request: ForeignCall<'_>,
        _: &mut Vec<u8>,
    ) -> Result<(), Status> {
        match request.name.as_ref() {
            // The route is chosen when the request goes on, whatever was changed.
            b"clear_route_cache" => Ok(()),
            _ => Err(Status::NotFound),
        }
    }
}

/// A body as Envoy lets a guest change it: before it, behind it, or in place of its beginning.
#[derive(Debug, Default)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Buffer for Body {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn copy_range_into(&self, start: usize, max_size: usize, out: &mut Vec<u8>) {
        out.extend(self.0.iter().skip(start).take(max_size));
    }

    fn replace(&mut self, start: usize, size: usize, value: &[u8]) -> Result<(), NotAllowed> {
        match (start, size) {
            (0, size) => drop(self.0.splice(..size.min(self.0.len()), value.iter().copied())),
            (start, _) if start >= self.0.len() => self.0.extend_from_slice(value),
            _ => return Err(NotAllowed),
        }
        Ok(())
    }
}

/// What a root context lends: it has no stream, so what acts on one does nothing.
#[derive(Default)]
pub(crate) struct RootLent;

impl StreamState for RootLent {
    fn continue_stream(&mut self, _: Invocation, stream: StreamType) -> Result<(), Status> {
        match stream {
            StreamType::HttpRequest | StreamType::HttpResponse | StreamType::Downstream => Ok(()),
            StreamType::Upstream => Err(Status::InternalFailure),
        }
    }

    fn close_stream(&mut self, _: Invocation, _: StreamType) -> Result<(), Status> {
        Ok(())
    }

    fn send_local_response(&mut self, _: Invocation, _: LocalResponse<'_>) -> Result<(), Status> {
        Ok(())
    }

    fn property(&mut self, _: Invocation, _: &[&[u8]], _: &mut Vec<u8>) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn set_property(&mut self, _: Invocation, _: &[&[u8]], _: &[u8]) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn call_foreign_function(
        &mut self,
        _: Invocation,
        request: ForeignCall<'_>,
        _: &mut Vec<u8>,
    ) -> Result<(), Status> {
        if request.name.as_ref() == b"clear_route_cache" { Ok(()) } else { Err(Status::NotFound) }
    }
}

/// Header lines as Envoy keeps them: names in lower case, however they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map(pub(crate) Headers);

impl Map {
    pub(crate) fn status(&self) -> Option<u32> {
        std::str::from_utf8(&self.get(b":status")?).ok()?.parse().ok()
    }
}

impl HeaderMap for Map {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let held = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        held.map(|(_, value)| Cow::Borrowed(value.as_slice()))
    }

    fn for_each_pair(&self, visit: &mut PairVisitor<'_>) -> ControlFlow<()> {
        self.0.iter().try_for_each(|(name, value)| visit(name, value))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), NotAllowed> {
        match self.0.iter().position(|(name, _)| name.eq_ignore_ascii_case(key)) {
            None => self.add(key, value),
            Some(first) => {
                self.0[first].1 = value.to_vec();
                let mut place = 0;
                self.0.retain(|(name, _)| {
                    place += 1;
                    place <= first + 1 || !name.eq_ignore_ascii_case(key)
                });
                Ok(())
            }
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), NotAllowed> {
        self.0.push((key.to_ascii_lowercase(), value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), NotAllowed> {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
        Ok(())
    }

    fn replace_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), NotAllowed> {
        self.0 = pairs.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
        Ok(())
    }
}
