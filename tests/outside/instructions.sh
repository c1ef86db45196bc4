#!/usr/bin/env bash
# User-space instructions per request, counted by callgrind: no more than 10 % over the recorded ones
# (support/instructions.tsv). RECORD=1 writes the record anew; PROFILES=DIR keeps callgrind's profiles.
#
# The record belongs to one build, the one that the other checks of .ci/run use, and to the compiler that
# rust-toolchain.toml pins. With another compiler the check fails instead of recording by itself: somebody has to
# see how much of a difference the compiler makes, or growth would hide in it.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need valgrind=valgrind python3=python3
# The shared `build` makes another profile.
if [ -z "${TIELINE:-}" ]; then
    cargo test --config .ci/profile.toml --workspace --locked --quiet --no-run
    TIELINE=${CARGO_TARGET_DIR:-target}/debug/tieline
fi
build
vendor 1000
free_port
gateway=127.0.0.1:$port
free_port
configuration "$work/gateway.toml" "$gateway" "127.0.0.1:$port"
# Four hundred wrong keys from one address would wait for seconds.
printf '[passthrough]\nenabled = true\n[limits]\nwrong_key_delay_max = "0s"\n' >>"$work/gateway.toml"
profiles=${PROFILES:-$work/profiles}
mkdir -p "$profiles"
folder=$(basename "$(dirname "$tieline")")
rust=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
python3 tests/outside/support/instructions.py "$tieline" "$work/gateway.toml" "$gateway" \
    tests/outside/support/instructions.tsv "$folder, Rust $rust, $(uname -m)" "$profiles"
