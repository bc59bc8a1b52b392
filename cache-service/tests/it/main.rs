//! The service over HTTP: in this process on a free port, and as the built program; without Redis and with a real one.

mod api;
mod canary;
mod client;
mod coherence;
mod faults;
mod fitness;
mod limits;
mod process;
mod records;
mod redis_server;
mod tcp_path;
mod world;
