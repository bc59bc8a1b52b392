#!/usr/bin/env bash
# Compares ours with what others use for the same: `scripts/compare.sh breaker ..` on a real stack, `balance ..` in virtual time.
# Run as ./just compare, which exports where Envoy and the .wasm files are. Counts are compared and no speed, so the build is
# the one of the tests.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
programs=${CARGO_TARGET_DIR:-target}/debug

if [ "${1:-}" = breaker ]; then
    cargo build -p cache-service -p e2e -p compare --bins
    scripts/wasm.sh
else
    cargo build -q -p compare
fi
exec "$programs/compare" "$@"
