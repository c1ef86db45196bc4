#!/usr/bin/env bash
# Load from outside: wrk over HTTP/1.1 and h2load over HTTP/2, plain and over TLS. Every answer must be
# a whole list; the figures (docs/RELIABILITY.md) are printed and never judged.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

requests=${REQUESTS:-2000}
need curl=curl wrk=wrk h2load=nghttp2-client openssl=openssl
build
vendor 250
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null

# figures WHAT REQUESTS CPU_MS
figures() { awk -v w="$1" -v n="$2" -v ms="$3" 'BEGIN { printf "%-44s %6d requests, %.2f ms of processor each\n", w, n, ms / n }'; }

# with_wrk WHAT
with_wrk() {
    local before
    expect_list "$gateway"
    before=$(cpu "$pid")
    EXPECTED=$work/expected wrk --threads 2 --connections 16 --duration 5s --timeout 30s \
        --script tests/outside/support/load.lua "http://$gateway$users" >"$work/wrk.log" 2>&1
    all_whole wrk
    figures "$1" "$whole" "$(($(cpu "$pid") - before))"
}

# with_h2load WHAT SCHEME
with_h2load() {
    local before
    before=$(cpu "$pid")
    h2load --requests "$requests" --clients 4 --max-concurrent-streams 8 \
        --header 'authorization: Bearer legacy-demo-key' "$2://$gateway$users" >"$work/h2load.log" 2>&1
    grep -E '^(finished|requests|status codes)' "$work/h2load.log"
    grep -q "^requests: $requests total, $requests started, $requests done, $requests succeeded, 0 failed, 0 errored, 0 timeout" \
        "$work/h2load.log" || fail "h2load: not every request succeeded"
    grep -q "^status codes: $requests 2xx" "$work/h2load.log" || fail "h2load: not every answer is 200"
    figures "$1" "$requests" "$(($(cpu "$pid") - before))"
}

gateway plain
with_wrk "HTTP/1.1, 250 users, read each time"
with_h2load "HTTP/2, the same" http
kill -TERM "$pid"
stopped "$pid"

gateway kept 'compression = []' '[cache]' 'fresh_for = "60s"'
with_wrk "HTTP/1.1, 250 users, kept"
with_h2load "HTTP/2, the same" http
kill -TERM "$pid"
stopped "$pid"

free_port
gateway=127.0.0.1:$port
free_port
admin=127.0.0.1:$port
configuration "$work/tls.toml" "$gateway" "$admin" 'tls = { cert = "tls.crt", key = "tls.key" }'
start tls "$tieline" serve --config "$work/tls.toml" --log-format json
until_ok 30 is_up "http://$admin/readyz"
with_h2load "HTTP/2 over TLS, read each time" https
kill -TERM "$pid"
stopped "$pid"
echo "load: every answer was whole"
