//! What the program `conformance` does not run: the models beside the programs, the same inputs natively and in wasm.

mod long_run;
mod reload;
mod stage;
mod steps;
