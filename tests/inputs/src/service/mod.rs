//! The cache-service's side: what the filter, an operator and a store may send it.

mod http;
mod operator;

pub(crate) use http::request;
pub(crate) use operator::{configuration, words};
