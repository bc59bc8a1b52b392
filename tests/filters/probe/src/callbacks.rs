//! What the host calls: each callback becomes an event, and the program says what it returns.

#![expect(unsafe_code, reason = "the exports carry the names that the host looks for")]

use crate::state::Event;
use crate::{host, ops, state};

const CONTINUE: u32 = 0;
const YES: u32 = 1;

/// Says which ABI this is; nobody calls it.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// The first thing that runs in a VM: what comes after it in a log, on the same thread, is of this VM.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    #[cfg(target_os = "wasi")]
    {
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        // SAFETY: the linker makes it, and the host calls us once and before all else.
        unsafe { __wasm_call_ctors() };
    }
    ops::say("vm", "initialize");
}

/// Memory for what the host hands over; whoever takes it frees it.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

/// A root or a stream begins.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    state::create(id, parent);
    let of = if parent == 0 { "root" } else { "stream" };
    Event::new(id, "context_create").fact("kind", of).run(CONTINUE);
}

/// The VM starts.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(id: u32, size: usize) -> u32 {
    state::load_from_environment();
    Event::new(id, "vm_start").fact("size", size).run(YES)
}

/// The plugin is configured: here its programs come in.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, size: usize) -> u32 {
    let loaded = state::load_from_configuration();
    Event::new(id, "configure").fact("configured", size > 0).fact("loaded", loaded).run(YES)
}

/// The period is over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(id: u32) {
    Event::new(id, "tick").run(CONTINUE);
}

/// Something is in a queue.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(id: u32, queue: u32) {
    Event::new(id, "queue_ready").fact("queue", state::queue_name(queue)).run(CONTINUE);
}

/// The head of a request. Here a stream learns its name and its program.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, count: usize, end: u32) -> u32 {
    state::name_stream(id);
    Event::new(id, "request_headers").fact("n", count).end(end).run(CONTINUE)
}

/// Some of a request's body.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, end: u32) -> u32 {
    Event::new(id, "request_body").fact("size", size).end(end).run(CONTINUE)
}

/// A request's trailers.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, count: usize) -> u32 {
    Event::new(id, "request_trailers").fact("n", count).run(CONTINUE)
}

/// The head of an answer.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, count: usize, end: u32) -> u32 {
    Event::new(id, "response_headers").fact("n", count).end(end).run(CONTINUE)
}

/// Some of an answer's body.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: usize, end: u32) -> u32 {
    Event::new(id, "response_body").fact("size", size).end(end).run(CONTINUE)
}

/// An answer's trailers.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(id: u32, count: usize) -> u32 {
    Event::new(id, "response_trailers").fact("n", count).run(CONTINUE)
}

/// A callout is answered, or will not be. It runs as the stream that asked, if that is still there.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(id: u32, token: u32, headers: usize, body: usize, trailers: usize) {
    let call = state::answered(id, token);
    if call.context != id {
        let status = host::effective(call.context);
        if status != 0 {
            ops::say("root", &format!("set_effective_context = {status}"));
        }
    }
    let event = Event::new(call.context, &call.name).fact("for_root", call.asked_by_root_id);
    event.fact("headers", headers).fact("body", body).fact("trailers", trailers).run(CONTINUE);
}

/// A foreign function calls back.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_foreign_function(id: u32, _: u32, size: usize) {
    Event::new(id, "foreign_function").fact("size", size).run(CONTINUE);
}

/// The context may end.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(id: u32) -> u32 {
    Event::new(id, "done").run(YES)
}

/// The stream is over and may be written down.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    Event::new(id, "log").run(CONTINUE);
}

/// The context is gone.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    Event::new(id, "delete").run(CONTINUE);
    state::delete(id);
}
