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

programs=${CARGO_TARGET_DIR:-target}/debug

demo_on_free_ports() {
    local name
    for name in PROXY ENVOY_ADMIN CACHE CACHE_ADMIN \
        PROCESSOR_A PROCESSOR_B PROCESSOR_C PROCESSOR_A_CONTROL PROCESSOR_B_CONTROL PROCESSOR_C_CONTROL; do
        export "${name}_PORT=0"
    done
    limit 300 "$programs/demo" story
}

# Everything is built and tested as one workspace: another choice of packages is another choice of features, and wasmtime would
# be built once more for each.
stage "format" cargo fmt --all --check
stage "clippy" cargo clippy $lock --workspace --all-targets -- -D warnings
stage "clippy (wasm)" scripts/wasm.sh clippy $lock -p filter -p null-filter -p probe-filter -p steps-filter -- -D warnings
stage "build" cargo test $lock --workspace --no-run
stage "build (wasm)" scripts/wasm.sh
stage "unit tests" limit 900 cargo test $lock --workspace --lib --bins
stage "unit tests (wasm)" limit 900 scripts/wasm.sh test $lock -p decision
stage "all other tests" limit 1500 cargo test $lock --workspace --test '*'
stage "conformance" limit 900 "$programs/conformance"
stage "demo" demo_on_free_ports
table "./just test passed: all ${#names[@]} stages."
