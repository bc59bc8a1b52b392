//! A proxy in a box: any proxy-wasm filter under wasmtime and virtual time, with Envoy's rules around it.
//!
//! The ABI is `proxy-wasm-host`'s; what stands here is the world around it. It knows no payment word.
//!
//! In reading order: [`http`], [`upstream`] and [`proxy`] are its vocabulary, [`World`] is what a test holds. Inside,
//! `world` moves messages through the one filter and the router, `lent` is what a callback may touch, `failure` what the
//! proxy says itself, `vm` what runs the guest, and `module` makes good what the published host leaves short.
//!
//! Where it stops: one filter and one host a cluster; HTTP/1.1 without a wire, so a body under a wrong length, a header that
//! no codec would let pass and a path that normalisation would change are not what they would be in Envoy; no retries, no
//! gRPC, no TCP filters. The probes of `tests/conformance` name every difference that is known.

mod clock;
mod failure;
mod gaps;
pub mod http;
mod lent;
mod module;
mod properties;
pub mod proxy;
mod shared;
pub mod upstream;
mod vm;
mod world;

pub use gaps::{GAPS, Gap};
pub use module::ModuleError;
pub use proxy_wasm_host::abi::v0_2_1::types::LogLevel;
pub use vm::{Bounds, Filter, FilterError, LogLine, StartError};
pub use world::{Access, Answer, Ending, NotStarted, Request, Setup, StreamId, Upstreams, World};
