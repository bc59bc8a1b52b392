#!/usr/bin/env bash
# Measures, in builds made for speed: `scripts/bench.sh host ..` what the test world costs, anything else what the filter does.
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
cargo build --release -p cache-service -p e2e --bins
scripts/wasm.sh
export CACHE_SERVICE_BIN=$programs/cache-service PROCESSOR_BIN=$programs/processor
exec "$programs/bench" "$@"
