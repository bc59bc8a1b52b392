//! What should happen to a payment request, and why.
//!
//! Nothing here reads a clock, draws randomness, waits or touches a host: time is an argument ([`time::Now`]),
//! randomness a seed ([`rng::Rng`]), the outside world an event, and the answer a value. The same events in the same
//! order give the same steps, on every machine and in wasm.
//!
//! Reading order: [`config`] is what an operator says. [`operation`] tells what kind of request came in. [`payment`]
//! reads it, and reads what the processor answered. [`rules`] name the processors that may take it, [`balance`]
//! orders them by what [`stats`] remembers, [`breaker`] keeps the failing ones out. [`router`] is one worker's memory of all this, and
//! [`exchange`] is one request and its response: events in, one [`exchange::Step`] out. [`lookup`] holds what is
//! asked of the cache-service.

#![cfg_attr(
    not(test),
    deny(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::unreachable)
)]

pub mod backoff;
pub mod balance;
pub mod breaker;
pub mod breakers;
pub mod config;
pub mod ewma;
pub mod exchange;
pub mod explain;
pub mod fact;
pub mod heartbeat;
pub mod load;
pub mod lookup;
pub mod operation;
pub mod outbox;
pub mod payment;
pub mod processor;
pub mod reason;
pub mod rng;
pub mod router;
pub mod rules;
pub mod stats;
pub mod store;
pub mod time;
