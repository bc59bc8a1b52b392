//! The demo stack and what drives it.
