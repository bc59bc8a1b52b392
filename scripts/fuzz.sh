#!/usr/bin/env bash
# Looks for bytes that break a law: scripts/fuzz.sh TARGET [SECONDS], run as ./just fuzz. The targets are those of tests/inputs.
# What it learns stays beside the build; what is worth keeping is put into fuzz/corpus by hand, small, and is replayed by
# every ./just test from then on.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
name=${1:-}
seconds=${2:-60}

if [ -z "$name" ] || [ ! -f "fuzz/fuzz_targets/$name.rs" ]; then
    [ -z "$name" ] || printf 'just: there is no target %s.\n' "$name" >&2
    printf 'just: ./just fuzz TARGET [SECONDS], where TARGET is one of\n' >&2
    for file in fuzz/fuzz_targets/*.rs; do
        printf '  %s\n' "$(basename -- "$file" .rs)" >&2
    done
    exit 2
fi
case $seconds in
    '' | *[!0-9]*)
        printf 'just: how long is a whole number of seconds, not %s.\n' "$seconds" >&2
        exit 2
        ;;
esac
scripts/setup.sh cxx nightly fuzz

target=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
learnt=$target/fuzz-corpus/$name
mkdir -p "$learnt"
printf 'just: %s for %s s; it began with fuzz/corpus/%s and learns in %s\n' "$name" "$seconds" "$name" "$learnt" >&2
rustup run nightly cargo fuzz run --fuzz-dir fuzz --target-dir "$target/fuzz" "$name" "$learnt" "fuzz/corpus/$name" -- \
    -max_total_time="$seconds" -max_len=4096 -timeout=20
