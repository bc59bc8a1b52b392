#!/usr/bin/env bash
# Measures, in builds made for speed: `scripts/bench.sh host ..` what the test world costs, `scripts/bench.sh decide ..` what a
# decision costs natively and in wasm, anything else what the filter costs beside plain Envoy.
# Run as ./just bench, which exports where Envoy and the .wasm files are.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
programs=${CARGO_TARGET_DIR:-target}/release

if [ "${1:-}" = host ]; then
    shift
    cargo build --release -p conformance --bin bench_host
    scripts/wasm.sh
    exec "$programs/bench_host" "$@"
fi
if [ "${1:-}" = decide ]; then
    shift
    cargo build --release -p decide --bins
    scripts/wasm.sh build --release -p decide --bin decide_cases
    # What wasmtime makes of a program is as quick however its runner was built, so the tests' own runner will do.
    cargo build -q --workspace --bin wasi-runner
    target=${CARGO_TARGET_DIR:-target}
    exec "$programs/bench_decide" --cases-wasm "$target/wasm32-wasip1/release/decide_cases.wasm" \
        --wasi-runner "$target/debug/wasi-runner" "$@"
fi
cargo build --release -p cache-service -p e2e --bins
scripts/wasm.sh
export CACHE_SERVICE_BIN=$programs/cache-service PROCESSOR_BIN=$programs/processor
exec "$programs/bench" "$@"
