#!/usr/bin/env bash
# A thousand slow clients of each kind (slowhttptest: heads, bodies, reading) while others list users:
# every slow connection is closed, everybody else is answered, and memory comes back.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

clients=${CLIENTS:-1000}
need curl=curl wrk=wrk slowhttptest=slowhttptest
ulimit -n 8192
build
vendor 2000
gateway gateway
gateway_pid=$pid
expect_list "$gateway"
is_same() { curl --silent -H 'authorization: Bearer legacy-demo-key' "http://$gateway$users" | cmp -s - "$work/expected"; }
is_same || fail "two lists differ"
# What one good client costs, before anything is slow.
EXPECTED=$work/expected DELAY_MS=80 wrk --threads 1 --connections 4 --duration 5s --timeout 30s \
    --script tests/outside/support/load.lua "http://$gateway$users" >"$work/quiet.log" 2>&1
echo "quiet:"
all_whole quiet
quiet=$(memory "$gateway_pid" VmRSS)

# connections: those of clients that the gateway has now. What a slow reader sees of its end may be behind
# an hour of bytes that it has not read, so that only the gateway can tell.
connections() { curl --silent "http://$admin/metrics" | awk '$1 == "tieline_connections" { print $2 }'; }

# attack NAME FLAG...: the slow connections must all be gone before the attack's 60 s are over.
attack() {
    local name=$1 load slow now most=0 gone=
    shift
    EXPECTED=$work/expected DELAY_MS=80 start "$name-load" wrk --threads 1 --connections 4 --duration 600s \
        --timeout 30s --script tests/outside/support/load.lua "http://$gateway$users"
    load=$pid
    start "$name" slowhttptest -c "$clients" -r 200 -l 60 -p 5 "$@"
    slow=$pid
    for second in $(seq 59); do
        sleep 1
        now=$(connections)
        [ "$now" -le "$most" ] || most=$now
        if [ "$second" -gt $((clients / 200 + 3)) ] && [ "$now" -le 8 ]; then
            gone=$second
            break
        fi
    done
    kill -TERM "$slow" 2>/dev/null || true
    kill -INT "$load"
    stopped "$load"
    [ "$most" -ge $((clients * 9 / 10)) ] || fail "$name: only $most connections were open at once"
    [ -n "$gone" ] || fail "$name: $now slow connections are still open"
    echo "$name: $most connections at once, all gone after $gone s"
    all_whole "$name-load"
    [ "$whole" -gt 20 ] || fail "$name: only $whole requests of others"
}

attack heads -H -i 5 -u "http://$gateway$users?key=legacy-demo-key"
attack bodies -B -i 5 -s 4096 -t GET -u "http://$gateway$users?key=legacy-demo-key"
attack reads -X -w 1024 -y 2048 -n 5 -z 32 -k 1 -u "http://$gateway$users?key=legacy-demo-key"

sleep 10
echo "slow_clients: memory $quiet MiB before, $(memory "$gateway_pid" VmHWM) MiB at most, $(memory "$gateway_pid" VmRSS) MiB ten seconds after"
awk -v before="$quiet" -v after="$(memory "$gateway_pid" VmRSS)" 'BEGIN { exit !(after <= 1.5 * before + 16) }' ||
    fail "memory did not come back"
