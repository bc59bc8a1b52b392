//! `decision` in wasm, for a test that compares it with `decision` as the test's own machine runs it.
//!
//! The plugin's configuration is the name of a target of `inputs`, a line end, and the bytes. The target's text goes to
//! the log, and nowhere else: a line of it that differs is a step that differs.

#![expect(missing_docs, reason = "proxy_wasm::main! exports a function and writes no docs for it")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::{BufferType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Steps));
}}

/// Bytes of one message of the log: a host takes 1 MiB.
const MESSAGE_LEN_MAX: usize = 512 * 1024;

struct Steps;

impl Context for Steps {}

impl RootContext for Steps {
    fn on_configure(&mut self, size: usize) -> bool {
        let read = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let Some(text) = inputs::run_named(&read.ok().flatten().unwrap_or_default()) else { return false };
        // In ASCII every byte is a place to cut at.
        let chunks = text.as_bytes().chunks(MESSAGE_LEN_MAX).map(std::str::from_utf8);
        chunks.into_iter().all(|chunk| chunk.is_ok_and(|chunk| hostcalls::log(LogLevel::Info, chunk).is_ok()))
    }
}
