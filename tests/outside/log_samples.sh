#!/usr/bin/env bash
# The samples of deploy/logs take the lines that a real gateway writes: a list, a wrong key, a legacy path that is not
# translated, a start, a refused reload, a failed request. Vector's program is run by Vector's own compiler. Fluent
# Bit and Alloy cannot be installed here: their files are read, and every field that they name occurs in the lines.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl python3=python3
build

# The compiler is a program of somebody else, so its digest is pinned.
echo 'vrl-python==0.1.0 --hash=sha256:b84144c5337e60ab89751cef56025000b861d4983e3d94f517f8de046ec65787' >"$work/compiler"
for what in "--require-hashes --requirement $work/compiler" pyyaml==6.0.2; do
    # shellcheck disable=SC2086
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work/python" $what \
        >"$work/pip.log" 2>&1 || fail "pip cannot install pyyaml and vrl-python"
done

vendor 250
gateway tieline
gateway_pid=$pid
expect_list "$gateway"
for path in "$users?key=wrong" "/api/v2/cdr?key=legacy-demo-key" "/nowhere"; do
    curl --silent --output /dev/null "http://$gateway$path" || fail "no answer for $path"
done
cp "$work/tieline.toml" "$work/good.toml"
echo 'no configuration' >>"$work/tieline.toml"
kill -HUP "$gateway_pid"
until_ok 10 grep -q 'was not reloaded' "$work/tieline.log"
cp "$work/good.toml" "$work/tieline.toml"

PYTHONPATH=$work/python python3 tests/outside/support/log_samples.py deploy/logs "$work/tieline.log" ||
    fail "a sample of deploy/logs does not take the lines of a gateway"
