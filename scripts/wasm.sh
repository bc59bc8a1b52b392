#!/usr/bin/env bash
# cargo for the wasm target: `scripts/wasm.sh clippy -p filter`, `scripts/wasm.sh test -p decision`, or, with no argument, builds
# every .wasm that the demo and the tests load and copies each to its place in target/wasm/.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
triple=wasm32-wasip1
target=${CARGO_TARGET_DIR:-target}

std=()
if [ -d .tools/rust ]; then
    # Debian's Rust has no std for this target: build it from the packaged sources, linked with Debian's wasi-libc. The flag is
    # unstable, hence the bootstrap switch.
    export RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_WASM32_WASIP1_LINKER=$PWD/.tools/rust/bin/wasm-ld
    export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Clink-arg=-L/usr/lib/wasm32-wasi"
    std=(-Zbuild-std=std,panic_abort)
    if [ "${1:-}" = test ] || [[ " $* " == *" --bin "* ]]; then
        # A program, which a library is not, begins in the C runtime.
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS+=" -Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o"
    fi
    if [ "${1:-}" = test ]; then
        # A test carries its harness.
        std=(-Zbuild-std=std,panic_abort,test)
    fi
fi

run() { # subcommand and arguments, up to an optional --
    local command=$1
    shift
    cargo "$command" --target "$triple" "${std[@]}" "$@"
}

if [ "${1:-}" = test ]; then
    # What runs them is a program of our own: see tests/wasi. Named among all, as the tests of all are built: alone it would
    # have another choice of features, and wasmtime be built twice.
    env -u RUSTC_BOOTSTRAP cargo build -q --workspace --bin wasi-runner
    # Cargo splits the runner's path at blanks: a short one of our own has none, wherever the tree lies.
    mkdir -p target/wasm
    cp -f -- "$target/debug/wasi-runner" target/wasm/
    export CARGO_TARGET_WASM32_WASIP1_RUNNER=target/wasm/wasi-runner
fi
if [ $# -gt 0 ]; then
    run "$@"
    exit
fi

place() { # built-file name
    mkdir -p target/wasm
    cmp -s "$1" "target/wasm/$2" && return
    cp -- "$1" "target/wasm/.$2.$$"
    mv -- "target/wasm/.$2.$$" "target/wasm/$2"
}

run build --release -p filter -p null-filter -p probe-filter -p steps-filter --target-dir "$target"
place "$target/$triple/release/filter.wasm" filter.wasm
place "$target/$triple/release/null_filter.wasm" null.wasm
place "$target/$triple/release/probe_filter.wasm" probe.wasm
place "$target/$triple/release/steps_filter.wasm" steps.wasm
# The trapping build has a directory of its own: in a shared one the two would overwrite each other and link anew every time.
run build --release -p filter --features trap --target-dir "$target/trap"
place "$target/trap/$triple/release/filter.wasm" filter-trap.wasm
