//! The target `service_request` of `inputs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inputs::run("service_request", bytes);
});
