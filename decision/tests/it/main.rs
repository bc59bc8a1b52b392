//! What `decision` promises, seen from outside.

mod config;
mod exchange;
mod fixture;
mod laws;
mod sim;
