//! What should happen to a payment request, and why.

pub mod lookup;
