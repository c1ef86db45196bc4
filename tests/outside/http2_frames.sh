#!/usr/bin/env bash
# HTTP/2 and HPACK frame by frame: what RFC 9113 and RFC 7541 demand of a server, in the cases that h2spec knows
# (support/http2_frames.py), without TLS and with it.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl openssl=openssl python3=python3
build
vendor 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
for tls in '' 'tls = { cert = "tls.crt", key = "tls.key" }'; do
    free_port
    gateway=127.0.0.1:$port
    free_port
    admin=127.0.0.1:$port
    configuration "$work/gateway.toml" "$gateway" "$admin" "$tls"
    printf '[passthrough]\nenabled = true\n' >>"$work/gateway.toml"
    start gateway "$tieline" serve --config "$work/gateway.toml" --log-format json
    until_ok 30 is_up "http://$admin/readyz"
    python3 tests/outside/support/http2_frames.py "$gateway" ${tls:+"$work/tls.crt"} || fail "not every case"
    [ "$(curl --silent --max-time 5 "http://$admin/metrics" | awk '$1 == "tieline_panics_total" { print $2 }')" = 0 ] || fail "something panicked"
done
