//! What `decision` promises, seen from outside.

mod balance;
mod breaker;
mod config;
mod declines;
mod documented;
mod exchange;
mod fixture;
mod golden;
mod laws;
mod presets;
mod routing;
mod rules;
mod schedules;
mod sim;
