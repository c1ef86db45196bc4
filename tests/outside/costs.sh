#!/usr/bin/env bash
# What requests of many kinds cost the gateway, with and without a key, over HTTP/1 and HTTP/2: processor time, bytes
# held, calls upstream, each within its bound (support/costs.py). Needs root, to ask the system for the most memory
# since a moment. FIGURES=1 measures longer and prints the table of docs/RELIABILITY.md.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl python3=python3
build
vendor "${USERS:-1000}"
free_port
gateway=127.0.0.1:$port
free_port
admin=127.0.0.1:$port
free_port
far=127.0.0.1:$port
configuration "$work/gateway.toml" "$gateway" "$admin"
{
    printf '[upstream.far]\ndialect = "voiso-v4"\nbase_url = "http://%s"\n' "$far"
    # Thousands of wrong keys from one address would wait for seconds.
    printf '[limits]\nwrong_key_delay_max = "0s"\n'
    printf '[passthrough]\nenabled = true\n'
    printf '[[passthrough.route]]\nprefix = "/far"\nupstream = "far"\ncredential = "keep"\n'
} >>"$work/gateway.toml"
start gateway "$tieline" serve --config "$work/gateway.toml" --log-format json
until_ok 30 is_up "http://$admin/readyz"
ROUNDS=${ROUNDS:-$([ -n "${FIGURES:-}" ] && echo 10 || echo 3)} \
    python3 tests/outside/support/costs.py "$gateway" "$admin" "$vendor" "$far" "$pid"
