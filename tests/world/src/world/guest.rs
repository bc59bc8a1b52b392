//! Calls into a guest, and what follows from each.

use std::time::Duration;

use proxy_wasm_host::Error;
use proxy_wasm_host::abi::v0_2_1::{CallScope, ContextId, GuestError, QueueId, StreamKind};

use super::{Event, StreamId, World};
use crate::failure::LocalReply;
use crate::lent::{Deferred, Lent, Phase, RootLent};
use crate::proxy::FailurePolicy;

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
                self.judge(&error);
                Called::Failed
            }
        }
    }

    /// Has a root context called. Nobody waits for what comes of it: a trap shows at the VM's next stream.
    pub(super) fn enter_root<R>(
        &mut self,
        vm: usize,
        what: &str,
        call: impl FnOnce(&mut CallScope<'_, RootLent>) -> Result<R, GuestError>,
    ) {
        let (result, _) = self.vms[vm].guest.with(RootLent, call);
        let label = self.vms[vm].label.clone();
        match result {
            Ok(_) => self.note(|| format!("{label} {what}")),
            Err(error) => {
                self.note(|| format!("{label} {what}: {error}"));
                self.judge(&error);
            }
        }
        self.after_call(vm);
    }

    /// Only the world has a bound for a callback.
    fn judge(&mut self, error: &GuestError) {
        if matches!(error, GuestError::Runtime(Error::LimitExceeded { .. })) {
            self.fatal.push("a callback that does not end: it blocks its worker for ever");
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
        self.enter_root(vm, "tick", |scope| scope.on_tick(root));
        // Unless the callback set it anew.
        if self.timers.get(&(vm, root)) == Some(&timer)
            && let Some(period) = self.vms[vm].guest.tick_period(root)
        {
            self.schedule_in(period, Event::Tick { vm, generation, root, timer });
        }
    }

    /// Ends the root of an earlier configuration, once its streams have ended.
    pub(super) fn end_root(&mut self, vm: usize, generation: u32, root: ContextId) {
        const AGAIN: Duration = Duration::from_secs(1);
        if self.vms[vm].generation != generation || self.vms[vm].has_failed() {
            return;
        }
        if self.vms[vm].guest.has_stream_contexts(root) {
            self.schedule_in(AGAIN, Event::Drained { vm, generation, root });
            return;
        }
        self.timers.remove(&(vm, root));
        self.enter_root(vm, "root ended", |scope| scope.on_done(root).and_then(|_| scope.on_delete(root)));
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
            self.enter_root(vm, "queue ready", |scope| scope.on_queue_ready(root, queue));
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

    /// The VM of a stream has failed: the stream is answered so, once.
    pub(super) fn fail(&mut self, id: StreamId) {
        let Some(stream) = self.stream(id) else { return };
        if !std::mem::replace(&mut stream.fail_replied, true) {
            self.local_reply(id, LocalReply::trap());
        }
    }

    /// Whether the filter's request was answered or its stream ended in the callback that just returned.
    pub(super) fn is_over(&self, id: StreamId, phase: Phase) -> bool {
        self.streams.get(&id).is_none_or(|stream| stream.closed || (phase == Phase::Request && stream.replied))
    }
}
