//! The host functions for safe code: bytes in, the status and bytes out.

#![expect(unsafe_code, reason = "this is where the ABI is called; the SDK would turn a status into a panic")]

use std::ptr::null_mut;

use crate::abi;

/// What a host function returned: its status, and a value that counts only if it was written.
pub(crate) type Got<T> = (u32, T);

/// Runs a getter that hands over memory it got from our allocator.
fn bytes(get: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Got<Vec<u8>> {
    let (mut at, mut len) = (null_mut(), 0);
    let status = get(&raw mut at, &raw mut len);
    // SAFETY: what is not null was allocated by `proxy_on_memory_allocate` with this very size.
    let value = if at.is_null() { Vec::new() } else { unsafe { Vec::from_raw_parts(at, len, len) } };
    (status, value)
}

/// Runs a function that writes one number.
fn number<N: Default>(get: impl FnOnce(*mut N) -> u32) -> Got<N> {
    let mut value = N::default();
    (get(&raw mut value), value)
}

// SAFETY, for all below: every pointer is of a slice or variable that outlives the call, with its own length.

pub(crate) fn log(level: u32, text: &str) -> u32 {
    unsafe { abi::proxy_log(level, text.as_ptr(), text.len()) }
}

pub(crate) fn log_level() -> Got<u32> {
    number(|out| unsafe { abi::proxy_get_log_level(out) })
}

pub(crate) fn time() -> Got<u64> {
    number(|out| unsafe { abi::proxy_get_current_time_nanoseconds(out) })
}

pub(crate) fn tick(period: u32) -> u32 {
    unsafe { abi::proxy_set_tick_period_milliseconds(period) }
}

pub(crate) fn buffer(kind: u32, start: usize, max: usize) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe { abi::proxy_get_buffer_bytes(kind, start, max, at, len) })
}

pub(crate) fn buffer_status(kind: u32) -> Got<(usize, u32)> {
    let (mut len, mut flags) = (0, 0);
    let status = unsafe { abi::proxy_get_buffer_status(kind, &raw mut len, &raw mut flags) };
    (status, (len, flags))
}

pub(crate) fn set_buffer(kind: u32, start: usize, size: usize, value: &[u8]) -> u32 {
    unsafe { abi::proxy_set_buffer_bytes(kind, start, size, value.as_ptr(), value.len()) }
}

pub(crate) fn map_size(map: u32) -> Got<usize> {
    number(|out| unsafe { abi::proxy_get_header_map_size(map, out) })
}

pub(crate) fn pairs(map: u32) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe { abi::proxy_get_header_map_pairs(map, at, len) })
}

pub(crate) fn set_pairs(map: u32, pairs: &[u8]) -> u32 {
    unsafe { abi::proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) }
}

pub(crate) fn header(map: u32, key: &[u8]) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe { abi::proxy_get_header_map_value(map, key.as_ptr(), key.len(), at, len) })
}

pub(crate) fn add(map: u32, key: &[u8], value: &[u8]) -> u32 {
    unsafe { abi::proxy_add_header_map_value(map, key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn replace(map: u32, key: &[u8], value: &[u8]) -> u32 {
    unsafe { abi::proxy_replace_header_map_value(map, key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn remove(map: u32, key: &[u8]) -> u32 {
    unsafe { abi::proxy_remove_header_map_value(map, key.as_ptr(), key.len()) }
}

pub(crate) fn resume(stream: u32) -> u32 {
    unsafe { abi::proxy_continue_stream(stream) }
}

pub(crate) fn close(stream: u32) -> u32 {
    unsafe { abi::proxy_close_stream(stream) }
}

pub(crate) fn local_response(status: u32, details: &[u8], body: &[u8], pairs: &[u8], grpc: i32) -> u32 {
    let (d, b, p) = (details, body, pairs);
    unsafe {
        abi::proxy_send_local_response(status, d.as_ptr(), d.len(), b.as_ptr(), b.len(), p.as_ptr(), p.len(), grpc)
    }
}

pub(crate) fn http_call(to: &[u8], pairs: &[u8], body: &[u8], trailers: &[u8], timeout: u32) -> Got<u32> {
    let (p, b, t) = (pairs, body, trailers);
    number(|token| unsafe {
        abi::proxy_http_call(
            to.as_ptr(),
            to.len(),
            p.as_ptr(),
            p.len(),
            b.as_ptr(),
            b.len(),
            t.as_ptr(),
            t.len(),
            timeout,
            token,
        )
    })
}

pub(crate) fn status() -> Got<(u32, Vec<u8>)> {
    let mut code = 0;
    let (status, text) = bytes(|at, len| unsafe { abi::proxy_get_status(&raw mut code, at, len) });
    (status, (code, text))
}

pub(crate) fn property(path: &[u8]) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe { abi::proxy_get_property(path.as_ptr(), path.len(), at, len) })
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> u32 {
    unsafe { abi::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn shared(key: &[u8]) -> Got<(Vec<u8>, u32)> {
    let mut cas = 0;
    let (status, value) =
        bytes(|at, len| unsafe { abi::proxy_get_shared_data(key.as_ptr(), key.len(), at, len, &raw mut cas) });
    (status, (value, cas))
}

pub(crate) fn set_shared(key: &[u8], value: &[u8], cas: u32) -> u32 {
    unsafe { abi::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }
}

pub(crate) fn register_queue(name: &[u8]) -> Got<u32> {
    number(|id| unsafe { abi::proxy_register_shared_queue(name.as_ptr(), name.len(), id) })
}

pub(crate) fn resolve_queue(vm: &[u8], name: &[u8]) -> Got<u32> {
    number(|id| unsafe { abi::proxy_resolve_shared_queue(vm.as_ptr(), vm.len(), name.as_ptr(), name.len(), id) })
}

pub(crate) fn enqueue(id: u32, value: &[u8]) -> u32 {
    unsafe { abi::proxy_enqueue_shared_queue(id, value.as_ptr(), value.len()) }
}

pub(crate) fn dequeue(id: u32) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe { abi::proxy_dequeue_shared_queue(id, at, len) })
}

pub(crate) fn define_metric(kind: u32, name: &[u8]) -> Got<u32> {
    number(|id| unsafe { abi::proxy_define_metric(kind, name.as_ptr(), name.len(), id) })
}

pub(crate) fn increment(id: u32, delta: i64) -> u32 {
    unsafe { abi::proxy_increment_metric(id, delta) }
}

pub(crate) fn record(id: u32, value: u64) -> u32 {
    unsafe { abi::proxy_record_metric(id, value) }
}

pub(crate) fn metric(id: u32) -> Got<u64> {
    number(|out| unsafe { abi::proxy_get_metric(id, out) })
}

pub(crate) fn effective(context: u32) -> u32 {
    unsafe { abi::proxy_set_effective_context(context) }
}

pub(crate) fn done() -> u32 {
    unsafe { abi::proxy_done() }
}

pub(crate) fn foreign(name: &[u8], argument: &[u8]) -> Got<Vec<u8>> {
    bytes(|at, len| unsafe {
        abi::proxy_call_foreign_function(name.as_ptr(), name.len(), argument.as_ptr(), argument.len(), at, len)
    })
}

pub(crate) fn clock(id: u32) -> Got<u64> {
    number(|out| unsafe { abi::clock_time_get(id, 1, out) })
}

pub(crate) fn random(len: usize) -> Got<Vec<u8>> {
    let mut buffer = vec![0; len];
    let status = unsafe { abi::random_get(buffer.as_mut_ptr(), len) };
    (status, buffer)
}
