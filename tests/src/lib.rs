//! All that needs a real host: the sample payment processor, the stack of child processes that the demo, the end-to-end
//! tests and the benchmark share, and the HTTP client they speak with.
//!
//! Reading order: [`processor`] (what takes the payments), [`client`] (how it is asked), [`stack`] (what is started and
//! stopped), then the programs in `src/bin`. Everything binds to 127.0.0.1 only.

pub mod client;
pub mod port;
pub mod processor;
pub mod stack;
