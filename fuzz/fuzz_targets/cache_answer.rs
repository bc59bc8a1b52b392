//! The target `cache_answer` of `inputs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inputs::run("cache_answer", bytes);
});
