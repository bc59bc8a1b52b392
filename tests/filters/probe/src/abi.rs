//! The host functions as the ABI has them: names, numbers and pointers, nothing made of them.
//!
//! The SDK turns a status it does not expect into a panic; here every status is to be written down.

#![expect(unsafe_code, reason = "the functions of another module are foreign")]

type Out = *mut *mut u8;
type Len = *mut usize;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(crate) fn proxy_log(level: u32, text: *const u8, len: usize) -> u32;
    pub(crate) fn proxy_get_log_level(level: *mut u32) -> u32;
    pub(crate) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    pub(crate) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub(crate) fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_get_buffer_status(buffer: u32, len: Len, flags: *mut u32) -> u32;
    pub(crate) fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, bytes: *const u8, len: usize) -> u32;
    pub(crate) fn proxy_get_header_map_size(map: u32, size: Len) -> u32;
    pub(crate) fn proxy_get_header_map_pairs(map: u32, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_set_header_map_pairs(map: u32, pairs: *const u8, len: usize) -> u32;
    pub(crate) fn proxy_get_header_map_value(map: u32, key: *const u8, key_len: usize, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_add_header_map_value(map: u32, k: *const u8, kl: usize, v: *const u8, vl: usize) -> u32;
    pub(crate) fn proxy_replace_header_map_value(map: u32, k: *const u8, kl: usize, v: *const u8, vl: usize) -> u32;
    pub(crate) fn proxy_remove_header_map_value(map: u32, key: *const u8, key_len: usize) -> u32;
    pub(crate) fn proxy_continue_stream(stream: u32) -> u32;
    pub(crate) fn proxy_close_stream(stream: u32) -> u32;
    pub(crate) fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        pairs: *const u8,
        pairs_len: usize,
        grpc: i32,
    ) -> u32;
    pub(crate) fn proxy_http_call(
        upstream: *const u8,
        upstream_len: usize,
        pairs: *const u8,
        pairs_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    pub(crate) fn proxy_get_status(code: *mut u32, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_get_property(path: *const u8, path_len: usize, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_set_property(path: *const u8, path_len: usize, v: *const u8, vl: usize) -> u32;
    pub(crate) fn proxy_get_shared_data(key: *const u8, key_len: usize, out: Out, len: Len, cas: *mut u32) -> u32;
    pub(crate) fn proxy_set_shared_data(k: *const u8, kl: usize, v: *const u8, vl: usize, cas: u32) -> u32;
    pub(crate) fn proxy_register_shared_queue(name: *const u8, len: usize, id: *mut u32) -> u32;
    pub(crate) fn proxy_resolve_shared_queue(vm: *const u8, vl: usize, name: *const u8, nl: usize, id: *mut u32)
    -> u32;
    pub(crate) fn proxy_enqueue_shared_queue(id: u32, value: *const u8, len: usize) -> u32;
    pub(crate) fn proxy_dequeue_shared_queue(id: u32, out: Out, len: Len) -> u32;
    pub(crate) fn proxy_define_metric(kind: u32, name: *const u8, len: usize, id: *mut u32) -> u32;
    pub(crate) fn proxy_increment_metric(id: u32, delta: i64) -> u32;
    pub(crate) fn proxy_record_metric(id: u32, value: u64) -> u32;
    pub(crate) fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    pub(crate) fn proxy_set_effective_context(context: u32) -> u32;
    pub(crate) fn proxy_done() -> u32;
    pub(crate) fn proxy_call_foreign_function(
        n: *const u8,
        nl: usize,
        a: *const u8,
        al: usize,
        out: Out,
        len: Len,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(crate) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    pub(crate) fn random_get(buffer: *mut u8, len: usize) -> u32;
}
