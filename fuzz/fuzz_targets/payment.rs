//! The target `payment` of `inputs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inputs::run("payment", bytes);
});
