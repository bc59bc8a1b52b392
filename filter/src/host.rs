//! The only file that calls the host.
//!
//! Total wrappers over bytes. The SDK's own getters panic on a status they do not expect (a header map that is not
//! there in this phase) and on bytes that are not UTF-8, and a panic kills the VM: so the calls that can meet either
//! are declared here, and every status that is not OK is an absent value. What cannot be absent or malformed goes
//! through the SDK.

#![expect(unsafe_code, reason = "the proxy-wasm ABI is a C interface")]

use std::hash::{BuildHasher, RandomState};
use std::ptr::null_mut;
use std::time::Duration;

use decision::breaker::{LocalMemory, Memory};
use decision::exchange::Edit;
use decision::lookup::CacheRequest;
use decision::reason::LocalReply;
use decision::time::{Mono, Now, Wall};
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

/// Status 0 of the ABI: done.
const OK: i32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: i32, data: *mut *mut u8, size: *mut usize) -> i32;
    fn proxy_replace_header_map_value(map: i32, name: *const u8, len: usize, value: *const u8, value_len: usize)
    -> i32;
    fn proxy_remove_header_map_value(map: i32, name: *const u8, len: usize) -> i32;
    fn proxy_get_buffer_bytes(kind: i32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> i32;
    fn proxy_get_property(path: *const u8, len: usize, data: *mut *mut u8, size: *mut usize) -> i32;
    fn proxy_continue_stream(stream: i32) -> i32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> i32;
    fn proxy_define_metric(kind: i32, name: *const u8, len: usize, id: *mut u32) -> i32;
    fn proxy_increment_metric(id: u32, offset: i64) -> i32;
    fn proxy_get_shared_data(name: *const u8, len: usize, data: *mut *mut u8, size: *mut usize, cas: *mut u32) -> i32;
    fn proxy_set_shared_data(name: *const u8, len: usize, value: *const u8, value_len: usize, cas: u32) -> i32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: i32, precision: i64, nanos: *mut u64) -> i32;
}

/// A header map.
#[derive(Clone, Copy)]
pub(crate) enum Map {
    Request = 0,
    Response = 2,
    CallResponse = 6,
}

/// A buffer.
#[derive(Clone, Copy)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// Which way a stream flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Request = 0,
    Response = 1,
}

/// A counter of the proxy.
#[derive(Clone, Copy)]
pub(crate) struct Counter(u32);

/// All header lines; none where the map is not there.
pub(crate) fn headers(map: Map) -> Vec<(Vec<u8>, Vec<u8>)> {
    // SAFETY: the host writes both out-pointers or returns another status.
    let bytes = unsafe { taken(|data, size| proxy_get_header_map_pairs(map as i32, data, size)) };
    bytes.as_deref().and_then(read_pairs).unwrap_or_default()
}

/// Applies edits; one that the host refuses is skipped.
pub(crate) fn edit(map: Map, edits: &[Edit]) {
    for edit in edits {
        // SAFETY: the host reads the slices before it returns.
        let _ = unsafe {
            match edit {
                Edit::Set(name, value) => {
                    proxy_replace_header_map_value(map as i32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
                }
                Edit::Remove(name) => proxy_remove_header_map_value(map as i32, name.as_ptr(), name.len()),
            }
        };
    }
}

/// The first `max` bytes of a buffer; none where it is not there.
pub(crate) fn buffer(kind: Buffer, max: usize) -> Vec<u8> {
    // SAFETY: as in `headers`.
    let bytes = unsafe { taken(|data, size| proxy_get_buffer_bytes(kind as i32, 0, max, data, size)) };
    bytes.unwrap_or_default()
}

/// A property of the stream, such as `response.code_details`.
pub(crate) fn property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: as in `headers`; the host reads the path before it returns.
    unsafe { taken(|data, size| proxy_get_property(path.as_ptr(), path.len(), data, size)) }
}

/// What the proxy calls this plugin, and its root.
pub(crate) fn plugin() -> Vec<u8> {
    let part = |name| property(&[name]).unwrap_or_default();
    [part("plugin_name"), part("plugin_root_id")].join(&0)
}

/// Lets a held stream go on once this callback has returned.
pub(crate) fn resume(phase: Phase) {
    // SAFETY: no pointers.
    let _ = unsafe { proxy_continue_stream(phase as i32) };
}

/// Answers the client, with the reason as the access log's response code details.
pub(crate) fn reply(reply: &LocalReply) {
    let headers = write_pairs(reply.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())));
    // SAFETY: the host reads the slices before it returns.
    let _ = unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            reply.details.as_ptr(),
            reply.details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    };
}

/// Has Envoy choose the route again. Other hosts do not know the call, and need none.
pub(crate) fn clear_route_cache() {
    let _ = hostcalls::call_foreign_function("clear_route_cache", None);
}

/// The proxy's memory that all its workers share. A host without one remembers nothing there: each write succeeds, each
/// read finds none, so it is asked for by [`shared_memory`] only.
struct SharedData;

impl Memory for SharedData {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        let mut version = 0;
        // SAFETY: as in `headers`; the host reads the name and writes the version before it returns.
        let bytes = unsafe {
            taken(|data, size| proxy_get_shared_data(name.as_ptr(), name.len(), data, size, &raw mut version))
        };
        bytes.map(|bytes| (bytes, version))
    }

    fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool {
        // SAFETY: the host reads the slices before it returns.
        let status = unsafe { proxy_set_shared_data(name.as_ptr(), name.len(), value.as_ptr(), value.len(), version) };
        status == OK
    }
}

/// The memory that all workers of the proxy share; one of this worker alone where the host has none.
pub(crate) fn shared_memory() -> Box<dyn Memory> {
    const PROBE: &str = "switchyard.shared";
    let mut shared = SharedData;
    if shared.swap(PROBE, b"1", 0) && shared.read(PROBE).is_some() {
        Box::new(shared)
    } else {
        Box::new(LocalMemory::default())
    }
}

/// Where the cache-service is and how it is asked.
pub(crate) struct Callee<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) authority: &'a str,
    pub(crate) authorization: &'a str,
    pub(crate) timeout: Duration,
}

/// Asks a processor whether it is there; the token names its answer. None: nothing was sent, and no answer comes.
pub(crate) fn get(cluster: &str, authority: &str, path: &str, timeout: Duration) -> Option<u32> {
    let headers = vec![(":method", "GET"), (":path", path), (":authority", authority)];
    hostcalls::dispatch_http_call(cluster, headers, None, Vec::new(), timeout).ok()
}

/// Sends a call; the token names its answer. None: nothing was sent, and no answer comes.
pub(crate) fn call(callee: &Callee<'_>, request: &CacheRequest) -> Option<u32> {
    let mut headers = vec![
        (":method", request.method),
        (":path", request.path.as_str()),
        (":authority", callee.authority),
        ("authorization", callee.authorization),
    ];
    headers.extend(request.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let body = (!request.body.is_empty()).then_some(request.body.as_slice());
    hostcalls::dispatch_http_call(callee.cluster, headers, body, Vec::new(), callee.timeout).ok()
}

/// Defines a counter; none where the host has no metrics.
pub(crate) fn define_counter(name: &str) -> Option<Counter> {
    let mut id = 0;
    // SAFETY: the host reads the name and writes the id before it returns.
    let status = unsafe { proxy_define_metric(0, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(Counter(id))
}

/// Adds one.
pub(crate) fn count(Counter(id): Counter) {
    // SAFETY: no pointers.
    let _ = unsafe { proxy_increment_metric(id, 1) };
}

/// Asks for a tick about every so often.
pub(crate) fn tick_every(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// Both clocks; a clock the host does not have stands still.
pub(crate) fn now() -> Now {
    const REALTIME: i32 = 0;
    const MONOTONIC: i32 = 1;
    let micros = |clock: i32| {
        let mut nanos = 0;
        // SAFETY: the host writes the time before it returns. Not `Instant`: it hides the reading itself, which is
        // one clock for all VMs of the proxy.
        let _ = unsafe { clock_time_get(clock, 1_000, &raw mut nanos) };
        nanos / 1_000
    };
    Now { mono: Mono(micros(MONOTONIC)), wall: Wall(micros(REALTIME)) }
}

/// A number no other worker has: the standard library draws its hashers' keys from the host.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// An environment variable of the VM.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Writes a line to the proxy's log.
pub(crate) fn log(level: LogLevel, line: &str) {
    let _ = hostcalls::log(level, line);
}

/// Runs a call that hands over a buffer of ours to own; none unless it is OK.
///
/// # Safety
/// On OK the call must have written a pointer and size from this module's allocator, or a null pointer.
unsafe fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> i32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    if call(&raw mut data, &raw mut size) != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host allocated it with our exported allocator, exactly so large, and gave it up.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Reads the ABI's list of pairs: a count, the lengths, then each text and a NUL. None when it is malformed.
fn read_pairs(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let number = |at: usize| -> Option<usize> {
        let word = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(word.try_into().ok()?)).ok()
    };
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut text = |len: usize| -> Option<Vec<u8>> {
        let end = at.checked_add(len)?;
        let taken = bytes.get(at..end)?.to_vec();
        at = end.checked_add(1)?;
        Some(taken)
    };
    let mut pairs = Vec::with_capacity(count.min(1024));
    for i in 0..count {
        let lengths = i.checked_mul(8)?.checked_add(4)?;
        pairs.push((text(number(lengths)?)?, text(number(lengths.checked_add(4)?)?)?));
    }
    Some(pairs)
}

/// Writes the ABI's list of pairs.
fn write_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = word(pairs.clone().count()).to_vec();
    for (name, value) in pairs.clone() {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for text in pairs.flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    bytes
}
