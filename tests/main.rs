//! The suites that need a real host, one module each.

mod client;
mod envoy;
mod processor;
mod stack;
mod tidy;
