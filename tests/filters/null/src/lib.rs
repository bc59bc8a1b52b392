//! The least a wasm filter can do that is still a filter: one header added on the way in, one on the way out.
//!
//! The benchmark loads it to tell what a wasm call costs in itself from what ours costs on top.

#![expect(missing_docs, reason = "proxy_wasm::main! exports a function and writes no docs for it")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| -> Box<dyn HttpContext> { Box::new(Null) });
}}

/// One stream. It holds nothing.
struct Null;

impl Context for Null {}

impl HttpContext for Null {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        // The result is dropped: a baseline without its header is still a baseline, and a trap would end the VM.
        let _ = hostcalls::add_map_value_bytes(MapType::HttpRequestHeaders, "x-null", b"1");
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let _ = hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, "x-null", b"1");
        Action::Continue
    }
}
