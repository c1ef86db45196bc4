#!/usr/bin/env bash
# Spans of a real gateway, read with the official protobuf classes of OTLP: every key and every form must
# be one that they know, ids, kinds, parents, flags and attributes must be right, and a collector that
# speaks gRPC on the same port must be named in the log.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

proto_version=1.45.2
protobuf_version=7.36.2
need curl=curl python3=python3
python3 -c 'import ensurepip' 2>/dev/null || need python3-venv-is-missing=python3-venv
build
python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || fail "no virtual environment"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "opentelemetry-proto==$proto_version" \
    "protobuf==$protobuf_version" >"$work/pip.log" 2>&1 || fail "pip cannot install opentelemetry-proto"
collector=("$work/venv/bin/python3" tests/outside/support/otlp_collector.py)

free_port
endpoint=http://127.0.0.1:$port/collect
start collector "${collector[@]}" serve "$port" "$work/spans.json"
until_ok 30 grep -q listening "$work/collector.log"
vendor 250
export OTEL_SERVICE_NAME=otlp-check OTEL_RESOURCE_ATTRIBUTES='check.note=a%2Cb%3D%C3%A4'
export OTEL_EXPORTER_OTLP_HEADERS='x-check=one%20two'
gateway gateway '[traces]' "otlp_endpoint = \"$endpoint\"" 'sampled = 0.0' '[limits]' 'drain_delay = "0s"'

trace=4bf92f3577b34da6a3ce929d0e0e4736
parent=00f067aa0ba902b7
ask() {
    curl --silent --output "$work/answer" --write-out '%{http_code}\n' "$@" "http://$gateway$users"
}
key='authorization: Bearer legacy-demo-key'
[ "$(ask -H "$key" -H "traceparent: 00-$trace-$parent-01")" = 200 ] || fail "no list of users"
[ "$(ask -H "$key" -H "traceparent: 00-$trace-$parent-00")" = 200 ] || fail "no list of users"
[ "$(ask -H 'authorization: Bearer wrong' -H "traceparent: 00-$trace-$parent-01")" = 401 ] || fail "not refused"
kill -TERM "$pid"
stopped "$pid"
[ "$code" -eq 0 ] || fail "the gateway ended with $code"
"${collector[@]}" check "$work/spans.json" "$trace" "$parent" 3 || fail "the spans are not as they should be"
! grep -q 'spans are dropped' "$work/gateway.log" || fail "the gateway says that spans were dropped"

# Port 4317 speaks another protocol: said at the start, whether or not somebody listens there.
gateway grpc '[traces]' 'otlp_endpoint = "http://127.0.0.1:4317"'
grep -q 'port 4317 usually takes OTLP over gRPC' "$work/grpc.log" || fail "no word on port 4317"
echo "otlp: the official classes read every span"
