//! What `decision` promises, seen from outside.

mod breaker;
mod config;
mod documented;
mod exchange;
mod fixture;
mod laws;
mod schedules;
mod sim;
