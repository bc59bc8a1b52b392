//! The target `operations` of `inputs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inputs::run("operations", bytes);
});
