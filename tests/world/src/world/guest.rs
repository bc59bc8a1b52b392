//! Calls into a guest, and what follows from each.

use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::{
    CallScope, CalloutId, ContextId, GuestError, HttpCallResponse, QueueId, StreamKind,
};

use proxy_wasm_host::Error;

use super::{Event, StreamId, World, is_last};
use crate::http::{Message, lines};
use crate::lent::{Deferred, Lent, Phase, RootLent};
use crate::proxy::FailurePolicy;
use crate::upstream::{Door, Piece, Reply};
use crate::vm::Opened;

/// What came of a call into a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called<R> {
    /// It returned.
    Returned(R),
    /// The filter is passed by.
    Passed,
    /// Its VM has failed, now or before.
    Failed,
}

impl World {
    /// Has a stream's context called, takes back what was lent, and does what was deferred.
    pub(super) fn enter<R: Copy + std::fmt::Debug>(
        &mut self,
        id: StreamId,
        what: &str,
        call: impl FnOnce(&mut CallScope<'_, Lent>, ContextId) -> Result<R, GuestError>,
    ) -> Called<R> {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id) else { return Called::Passed };
        let Some(context) = stream.context else {
            return if stream.failed { Called::Failed } else { Called::Passed };
        };
        let worker = stream.worker;
        let vm = &mut self.vms[worker];
        // A context of an earlier generation is not known to the VM of today.
        if vm.generation != stream.generation || vm.has_failed() {
            return Called::Failed;
        }
        let mut lent = std::mem::take(&mut stream.lent);
        lent.info.now = now;
        lent.logged = vm.logged();
        let (result, lent) = vm.guest.with(lent, |scope| call(scope, context));
        stream.lent = lent;
        let deferred = std::mem::take(&mut stream.lent.deferred);
        self.fatal.append(&mut stream.lent.fatal);
        let outcome = match &result {
            Ok(value) => format!("{value:?}"),
            Err(error) => format!("{error}"),
        };
        self.note(|| format!("worker-{worker} {id:?} {what}: {outcome}"));
        self.after_call(worker);
        match result {
            Ok(value) => {
                self.act(id, deferred);
                Called::Returned(value)
            }
            Err(error) => {
                if matches!(error, GuestError::Runtime(Error::LimitExceeded { .. })) {
                    self.fatal.push("a callback that does not end: it blocks its worker for ever");
                }
                Called::Failed
            }
        }
    }

    fn act(&mut self, id: StreamId, deferred: Vec<Deferred>) {
        for deferred in deferred {
            match deferred {
                Deferred::Continue(phase) => self.resume(id, phase),
                Deferred::Reset => self.close(id),
                Deferred::Reply(reply) => self.local_reply(id, reply),
            }
        }
    }

    pub(super) fn create_context(&mut self, id: StreamId, root: ContextId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let worker = stream.worker;
        let (created, _) = self.vms[worker].guest.with(RootLent, |scope| {
            let context = scope.on_context_create(Some(root))?;
            scope.expect_stream_kind(context, StreamKind::Http)?;
            Ok::<_, GuestError>(context)
        });
        match created {
            Ok(context) => {
                stream.context = Some(context);
                stream.lent.context = Some(context);
            }
            Err(_) => stream.failed = true,
        }
        self.after_call(worker);
    }

    /// What a guest may have set off in any callback: timers, calls, queues.
    pub(super) fn after_call(&mut self, vm: usize) {
        let changes = self.vms[vm].guest.take_changes();
        for (root, period) in changes.tick_periods {
            self.next += 1;
            let timer = self.next;
            self.timers.insert((vm, root), timer);
            if let Some(period) = period {
                let generation = self.vms[vm].generation;
                self.schedule_in(period, Event::Tick { vm, generation, root, timer });
            }
        }
        for opened in self.spec.calls.take_opened() {
            self.call(opened);
        }
        self.tell_queues();
    }

    pub(super) fn tick(&mut self, vm: usize, generation: u32, root: ContextId, timer: u64) {
        let current = self.timers.get(&(vm, root)) == Some(&timer);
        if !current || self.vms[vm].generation != generation || self.vms[vm].has_failed() {
            return;
        }
        let guest = &mut self.vms[vm].guest;
        let (_, _) = guest.with(RootLent, |scope| scope.on_tick(root));
        if let Some(period) = guest.tick_period(root)
            && !self.vms[vm].has_failed()
        {
            self.schedule_in(period, Event::Tick { vm, generation, root, timer });
        }
        let label = self.vms[vm].label.clone();
        self.note(|| format!("{label} tick"));
        self.after_call(vm);
    }

    /// Ends the root of an earlier configuration, once its streams have ended.
    pub(super) fn end_root(&mut self, vm: usize, generation: u32, root: ContextId) {
        const AGAIN: Duration = Duration::from_secs(1);
        if self.vms[vm].generation != generation || self.vms[vm].has_failed() {
            return;
        }
        let guest = &mut self.vms[vm].guest;
        if guest.has_stream_contexts(root) {
            self.schedule_in(AGAIN, Event::Drained { vm, generation, root });
            return;
        }
        self.timers.remove(&(vm, root));
        let (_, _) = guest.with(RootLent, |scope| scope.on_done(root).and_then(|_| scope.on_delete(root)));
        self.after_call(vm);
    }

    /// Items of a queue are announced to the last root that registered it; the main thread's came before the workers'.
    fn tell_queues(&mut self) {
        for queue in self.spec.shared.take_ready() {
            let registered = |vm: &crate::vm::Vm| vm.guest.queue_registrants(queue).last().copied();
            let workers = self.vms.iter().enumerate().take(self.workers()).rev();
            let main = self.vms.iter().enumerate().skip(self.workers());
            let last = workers.chain(main).find_map(|(at, vm)| Some((at, vm.generation, registered(vm)?)));
            if let Some((vm, generation, root)) = last {
                // Posted to its thread, not called from the callback that filled it.
                self.schedule_in(Duration::ZERO, Event::Queue { vm, generation, root, queue });
            }
        }
    }

    pub(super) fn tell_queue(&mut self, vm: usize, generation: u32, root: ContextId, queue: QueueId) {
        if self.vms[vm].generation == generation && !self.vms[vm].has_failed() {
            let (_, _) = self.vms[vm].guest.with(RootLent, |scope| scope.on_queue_ready(root, queue));
            self.after_call(vm);
        }
    }

    /// A VM that failed is loaded anew where the policy says so and its backoff has passed.
    pub(super) fn ready_vm(&mut self, vm: usize) {
        let FailurePolicy::Reload { base, .. } = self.proxy.plugin.failure_policy else { return };
        if !self.vms[vm].has_failed() {
            return;
        }
        let jitter = base.mul_f64(self.rng.f64() / 2.0);
        if self.now() < self.vms[vm].loaded + base + jitter {
            *self.stats.entry("vm_reload_backoff").or_default() += 1;
            return;
        }
        self.revive(vm);
    }

    /// Puts a new VM in the place of one that failed.
    pub(super) fn revive(&mut self, vm: usize) {
        let (label, generation) = (self.vms[vm].label.clone(), self.vms[vm].generation + 1);
        let loaded = self.start_vm(&label, generation);
        self.note(|| format!("{label} reloaded: {}", loaded.is_ok()));
        match loaded {
            Ok(fresh) => {
                self.vms[vm] = fresh;
                *self.stats.entry("vm_reload_success").or_default() += 1;
                self.after_call(vm);
            }
            Err(_) => {
                self.vms[vm].loaded = self.now();
                *self.stats.entry("vm_reload_failure").or_default() += 1;
            }
        }
    }

    /// Makes a call: how it ends is known at once, and told when its time has come.
    fn call(&mut self, opened: Opened) {
        let Opened { guest, context, callout, call } = opened;
        // A throw-away VM is gone before its calls are answered.
        let Some(vm) = self.vms.iter().position(|vm| vm.guest.id() == guest) else { return };
        let cluster = String::from_utf8_lossy(&call.upstream).into_owned();
        let pairs = |pairs: proxy_wasm_host::abi::v0_2_1::HeaderPairs<'static>| {
            pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        };
        let mut request = Message { headers: pairs(call.headers), body: call.body.into_owned(), trailers: Vec::new() };
        request.trailers = pairs(call.trailers);
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
            _ if full => (Duration::ZERO, overflow()),
            Door::Refused => (Duration::ZERO, failed_call("remote connection failure")),
            Door::Silent => (connect, failed_call("connection timeout")),
            Door::Open => outcome(upstream.borrow_mut().request(now, &request), call.timeout),
        };
        // Zero is no time-out.
        let (delay, answer) = match call.timeout {
            timeout if !timeout.is_zero() && delay > timeout => (timeout, local(504, "upstream request timeout")),
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
        let of = |(id, stream): (&StreamId, &super::Stream)| {
            (stream.worker == vm && stream.generation == generation && stream.context == Some(context)).then_some(*id)
        };
        match self.streams.iter().filter(|(_, stream)| !stream.closed).find_map(of) {
            Some(id) => {
                let called = self
                    .enter(id, "call answered", |scope, context| scope.on_http_call_response(context, callout, answer));
                // Nobody sees a trap here: the stream stays as it is.
                let _ = called;
            }
            None if open.root == open.caller => {
                let guest = &mut self.vms[vm].guest;
                let (_, _) = guest.with(RootLent, |scope| scope.on_http_call_response(context, callout, answer));
                let label = self.vms[vm].label.clone();
                self.note(|| format!("{label} call answered"));
                self.after_call(vm);
            }
            None => {}
        }
    }

    /// The VM of a stream has failed: the stream is answered so, once.
    pub(super) fn fail(&mut self, id: StreamId) {
        let Some(stream) = self.stream(id) else { return };
        if !std::mem::replace(&mut stream.fail_replied, true) {
            self.local_reply(id, crate::failure::LocalReply::trap());
        }
    }

    /// Whether the filter's request was answered or its stream ended in the callback that just returned.
    pub(super) fn is_over(&self, id: StreamId, phase: Phase) -> bool {
        self.streams.get(&id).is_none_or(|stream| stream.closed || (phase == Phase::Request && stream.replied))
    }
}

fn overflow() -> HttpCallResponse<'static> {
    let body = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    let length = body.len().to_string();
    let head = [
        (":status", "503"),
        ("x-envoy-overloaded", "true"),
        ("content-length", length.as_str()),
        ("content-type", "text/plain"),
    ];
    let head = lines(head).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    HttpCallResponse::received(head).with_body(body.as_bytes().to_vec())
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
            Piece::Reset if answer.headers.is_empty() => return (time, failed_call("connection termination")),
            Piece::Reset => return (time, HttpCallResponse::failed()),
        }
        if last {
            let owned = |lines: crate::http::Headers| {
                lines.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
            };
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

fn failed_call(reason: &str) -> HttpCallResponse<'static> {
    local(503, &format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}"))
}

fn local(status: u16, body: &str) -> HttpCallResponse<'static> {
    let head = lines([
        (":status", status.to_string().as_str()),
        ("content-length", body.len().to_string().as_str()),
        ("content-type", "text/plain"),
    ]);
    let head = head.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    HttpCallResponse::received(head).with_body(body.as_bytes().to_vec())
}
