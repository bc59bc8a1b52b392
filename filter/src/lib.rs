//! The proxy-wasm filter: moves values between the proxy and [`decision`], decides nothing.
//!
//! [`root`] takes the configuration and owns the worker's [`decision::router::Router`]; [`http`] turns host callbacks into
//! events and [`decision::exchange::Step`]s into host calls; [`host`] is the only file that calls the host.
//!
//! A panic kills the worker's VM and every payment in it: nothing here may panic, whatever a client, a processor or the
//! host says.

#![deny(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::unreachable)]

mod config;
mod host;
mod http;
mod metrics;
mod root;

/// The module's entry: while it runs the host allows nothing but a log line.
mod start {
    use crate::root::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(Root::default()));
    }}
}
