//! A proxy-wasm filter that does what its configuration says and writes down, with its number, whatever the host answers.
//!
//! The test world must behave as the real Envoy does. The same probe runs in both, with the same requests, and what it wrote
//! is compared. One Envoy serves many cases: a request names its program by `x-probe` and itself by `x-case`.
//!
//! [`callbacks`] is what the host calls, [`host`] calls the host, [`state`] knows contexts and programs, [`ops`] runs them;
//! `tests/conformance/probes` holds the programs.
//!
//! There is no SDK here: it hides ids and counts, and panics where a status is to be recorded.

mod abi;
mod callbacks;
mod host;
mod ops;
mod state;
mod text;
