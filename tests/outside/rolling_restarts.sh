#!/usr/bin/env bash
# Two gateways behind HAProxy, stopped and started again in turn, 200 times, while clients list users:
# no request fails and no answer is another than the first.
#
# HAProxy sends nothing twice (`retries 0`): what a gateway refused or cut would be seen.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

restarts=${RESTARTS:-200}
need curl=curl haproxy=haproxy wrk=wrk
build
vendor 250

for one in a b; do
    gateway "$one" '[limits]' 'drain_delay = "300ms"'
    eval "pid_$one=$pid admin_$one=$admin listen_$one=$gateway"
done
expect_list "$listen_a"

free_port
front=127.0.0.1:$port
free_port
stats=127.0.0.1:$port
cat >"$work/haproxy.cfg" <<CFG
global
    maxconn 1000
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 5s
frontend front
    bind $front
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 50ms fall 1 rise 1
    server a $listen_a port ${admin_a##*:}
    server b $listen_b port ${admin_b##*:}
listen stats
    bind $stats
    stats enable
    stats uri /
CFG
start haproxy haproxy -db -f "$work/haproxy.cfg"
is_in_service() { shows "http://$stats/;csv" "^gateways,$1,.*,UP,"; }
for one in a b; do until_ok 30 is_in_service "$one"; done

EXPECTED=$work/expected DELAY_MS=60 start wrk wrk --threads 2 --connections 16 --duration 1800s \
    --timeout 30s --script tests/outside/support/load.lua "http://$front$users"
load=$pid

ended=0
for round in $(seq "$restarts"); do
    one=$([ $((round % 2)) -eq 0 ] && echo a || echo b)
    old=pid_$one old=${!old}
    kill -TERM "$old"
    stopped "$old"
    [ "$code" -eq 0 ] || fail "restart $round: exit code $code after SIGTERM"
    ended=$((ended + 1))
    start "$one" "$tieline" serve --config "$work/$one.toml" --log-format json
    eval "pid_$one=$pid"
    until_ok 30 is_in_service "$one"
    kill -0 "$load" 2>/dev/null || fail "the load ended early"
done

kill -INT "$load"
stopped "$load"
all_whole wrk
[ "$whole" -gt $((restarts * 10)) ] || fail "only $whole requests: too little load to show anything"

echo "rolling_restarts: $ended restarts, each with exit code 0; $whole answers whole and equal, 0 failed"
