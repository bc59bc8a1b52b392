#!/usr/bin/env bash
# All that must hold before a change lands, in stages: the first that fails stops the run and is named at the end.
# Run as ./just test, which exports where Envoy, Redis and the .wasm files are.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
exec </dev/null

names=()
seconds=()

table() { # verdict
    local i
    printf '\n  %-28s %8s\n' stage seconds
    for i in "${!names[@]}"; do
        printf '  %-28s %8s\n' "${names[$i]}" "${seconds[$i]}"
    done
    printf '\n%s\n' "$1"
}

stage() { # name command...
    local name=$1 began=$SECONDS code=0
    shift
    printf '\n--- %s: %s\n' "$name" "$*"
    "$@" || code=$?
    names+=("$name")
    seconds+=($((SECONDS - began)))
    if [ "$code" != 0 ]; then
        [ "$code" = 124 ] && name+=" (out of time)"
        table "./just test FAILED at stage: $name"
        exit 1
    fi
}

# Tests never talk to the registry for a newer lock: what Cargo.lock says is what is tested.
lock=--locked
# A hang must end as a failure that names its stage. Generous: these bound a cold build on two slow cores.
limit() { timeout --kill-after=20 "$@"; }

demo_on_free_ports() {
    local name
    for name in PROXY ENVOY_ADMIN CACHE CACHE_ADMIN \
        PROCESSOR_A PROCESSOR_B PROCESSOR_C PROCESSOR_A_CONTROL PROCESSOR_B_CONTROL PROCESSOR_C_CONTROL; do
        export "${name}_PORT=0"
    done
    limit 300 cargo run $lock -q -p e2e --bin demo -- story
}

stage "format" cargo fmt --all --check
stage "clippy" cargo clippy $lock --workspace --all-targets -- -D warnings
stage "clippy (wasm)" scripts/wasm.sh clippy $lock -p filter -p null-filter -- -D warnings
stage "unit and service tests" limit 1500 cargo test $lock --workspace --exclude e2e
stage "build" cargo build $lock -p cache-service -p e2e --bins
stage "build (wasm)" scripts/wasm.sh
stage "end-to-end tests" limit 1500 cargo test $lock -p e2e
stage "demo" demo_on_free_ports
table "./just test passed: all ${#names[@]} stages."
