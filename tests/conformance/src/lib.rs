//! The test world held to the real Envoy.
//!
//! Two kinds of proof, both of them data: [`probe`] shows a small filter of our own every corner of the ABI on either host
//! and compares what it saw; [`scenario`] plays stories of payments through the real filter on either and compares the
//! answers. [`stage`] is what stands around the filter in the world. The program `conformance` runs all of it.

pub mod artefacts;
pub mod probe;
pub mod scenario;
pub mod stage;
