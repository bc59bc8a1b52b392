//! Bytes that a client, a processor, the cache-service or an operator may send, run through all that reads them.
//!
//! A [`Target`] takes any bytes, asserts the laws that must hold for all of them, and gives back a text of everything it
//! saw. So one function serves three ends: cargo-fuzz looks for bytes that break a law (`./just fuzz`), an ordinary test
//! replays what is kept in `fuzz/corpus`, and another compares the text that the same bytes give natively and in wasm.
//!
//! [`operations`] drives a worker of `decision` as the filter does; [`parsers`] read one thing each; `service` is the
//! cache-service's side and is not there in wasm.

pub mod bytes;
mod configurations;
mod operations;
mod parsers;
#[cfg(not(target_family = "wasm"))]
mod service;
mod text;

/// Something that reads bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the fuzz target and of its corpus.
    pub name: &'static str,
    /// Takes the bytes, asserts what must hold, and tells in ASCII what it saw.
    pub run: fn(&[u8]) -> String,
}

/// What stands on `decision` alone, so it runs natively and in wasm, to the bit the same.
pub const PURE: [Target; 6] = [
    Target { name: "operations", run: operations::run },
    Target { name: "configuration", run: parsers::configuration },
    Target { name: "request", run: parsers::request },
    Target { name: "payment", run: parsers::payment },
    Target { name: "outcome", run: parsers::outcome },
    Target { name: "cache_answer", run: parsers::cache_answer },
];

/// The cache-service's.
#[cfg(not(target_family = "wasm"))]
pub const SERVICE: [Target; 3] = [
    Target { name: "service_request", run: service::request },
    Target { name: "service_configuration", run: service::configuration },
    Target { name: "service_words", run: service::words },
];

/// Every target.
#[cfg(not(target_family = "wasm"))]
pub fn all() -> impl Iterator<Item = Target> {
    PURE.into_iter().chain(SERVICE)
}

/// Runs the target of this name.
#[cfg(not(target_family = "wasm"))]
pub fn run(name: &str, bytes: &[u8]) -> String {
    let target = all().find(|target| target.name == name).expect("a target's name");
    (target.run)(bytes)
}

/// The same where only one text can be handed over: the name of a pure target, a line end, the bytes. None for another
/// name.
pub fn run_named(text: &[u8]) -> Option<String> {
    let at = text.iter().position(|byte| *byte == b'\n')?;
    let (name, bytes) = text.split_at_checked(at)?;
    let target = PURE.iter().find(|target| target.name.as_bytes() == name)?;
    Some((target.run)(bytes.get(1..)?))
}
