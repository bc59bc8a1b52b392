# The recipes of this repository. Run them through ./just, which first gets what they need.

# Each of these may be set from outside, to try another Envoy or another Redis.
export ENVOY_BIN := env("ENVOY_BIN", justfile_directory() / ".tools/bin/envoy")
export REDIS_SERVER := env("REDIS_SERVER", justfile_directory() / ".tools/bin/redis-server")
export FILTER_WASM := justfile_directory() / "target/wasm/filter.wasm"
export FILTER_TRAP_WASM := justfile_directory() / "target/wasm/filter-trap.wasm"
export NULL_WASM := justfile_directory() / "target/wasm/null.wasm"
export PROBE_WASM := justfile_directory() / "target/wasm/probe.wasm"
export STEPS_WASM := justfile_directory() / "target/wasm/steps.wasm"
target := absolute_path(env("CARGO_TARGET_DIR", "target"))
export CACHE_SERVICE_BIN := env("CACHE_SERVICE_BIN", target / "debug/cache-service")
export PROCESSOR_BIN := env("PROCESSOR_BIN", target / "debug/processor")

# List the recipes
default:
    @{{ just_executable() }} --list

# Get everything the other recipes need (they also do so themselves)
setup:
    @scripts/setup.sh envoy redis
    @echo "Ready: Rust, just, Envoy and Redis are in place."

# Build the cache-service, the demo's programs and filter.wasm
build:
    cargo build -p cache-service -p e2e --bins
    scripts/wasm.sh

# Start the whole stack, make payments through failing processors, tell what happens, stop
demo: _envoy build
    cargo run -q -p e2e --bin demo -- story

# Start the demo's stack and leave it running until Ctrl-C
up: _envoy build
    cargo run -q -p e2e --bin demo -- up

# Run every check and every test, the end-to-end ones and the demo included; the first failure stops it
test: _envoy _redis
    @scripts/test.sh

# Check the formatting and let clippy read everything, for both targets
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    scripts/wasm.sh clippy -p filter -p null-filter -p probe-filter -p steps-filter -- -D warnings

# Format the code
fmt:
    cargo fmt --all

# Say whether a configuration is valid: of Envoy (YAML, JSON), of the filter, or its routing (switchyard check --help)
check *args:
    @cargo run -q -p cli -- check {{ args }}

# Say why a request would go where it would go: ./just explain CONFIG REQUEST.json (switchyard explain --help)
explain *args:
    @cargo run -q -p cli -- explain {{ args }}

# Replay one simulated run of workers, processors and faults, from its seed
sim seed="1":
    SIM_SEED={{ quote(seed) }} cargo test -q -p decision --test it sim::replay -- --nocapture --exact

# Look for bytes that break a parser or a law, for so many seconds (without a target: which there are)
fuzz target="" seconds="60":
    @scripts/fuzz.sh {{ quote(target) }} {{ quote(seconds) }}

# Play every probe and scenario on the real Envoy and in the test world, and say where they differ (conformance --help)
conformance *args: _envoy
    cargo build --workspace --bins
    scripts/wasm.sh
    {{ quote(target / "debug/conformance") }} {{ args }}

# Measure what the filter costs beside plain Envoy; `bench host`: the test world; `bench decide`: a decision, native and wasm (--help: how long)
bench *args: _envoy
    @scripts/bench.sh {{ args }}

# Compare with what others use for the same: `breaker` (Envoy's outlier detection), `balance` (tower); compare --help says more
compare what *args: _envoy
    @scripts/compare.sh {{ quote(what) }} {{ args }}

# Record again which peers the real NGINX and the real Envoy pick: what the tests of the balancer replay
golden: _envoy
    @python3 scripts/golden.py

# Check the dependencies: licences, sources, bans, known vulnerabilities
audit:
    @scripts/setup.sh deny
    @scripts/audit.sh

_envoy:
    @scripts/setup.sh envoy

_redis:
    @scripts/setup.sh redis
