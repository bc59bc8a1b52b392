//! Caches payment look-ups beside the proxy and keeps the records that outlive it.
