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

# attack NAME FLAG...: the attack lasts 60 s if nobody ends it; it must end earlier.
attack() {
    local name=$1 load
    shift
    EXPECTED=$work/expected DELAY_MS=80 start "$name-load" wrk --threads 1 --connections 4 --duration 600s \
        --timeout 30s --script tests/outside/support/load.lua "http://$gateway$users"
    load=$pid
    slowhttptest -c "$clients" -r 200 -l 60 -p 5 "$@" >"$work/$name.log" 2>&1 || true
    kill -INT "$load"
    stopped "$load"
    sed 's/\x1b\[[0-9;]*m//g' "$work/$name.log" >"$work/$name.txt"
    echo "$name: $(grep -aE 'Test ended|Exit status' "$work/$name.txt" | tr -s ' \n' ' ')"
    all_whole "$name-load"
    [ "$whole" -gt 20 ] || fail "$name: only $whole requests of others"
    grep -qa 'No open connections left' "$work/$name.txt" || fail "$name: slow connections are still open"
}

attack heads -H -i 5 -u "http://$gateway$users?key=legacy-demo-key"
attack bodies -B -i 5 -s 100000 -t POST -u "http://$gateway$users?key=legacy-demo-key"
attack reads -X -w 1024 -y 2048 -n 5 -z 32 -k 1 -u "http://$gateway$users?key=legacy-demo-key"

sleep 10
echo "slow_clients: memory $quiet MiB before, $(memory "$gateway_pid" VmHWM) MiB at most, $(memory "$gateway_pid" VmRSS) MiB ten seconds after"
awk -v before="$quiet" -v after="$(memory "$gateway_pid" VmRSS)" 'BEGIN { exit !(after <= 1.5 * before + 16) }' ||
    fail "memory did not come back"
