#!/usr/bin/env bash
# J28: rolling deploys of four replicas over Vonage behind HAProxy, which sends nothing twice, while clients list users:
# no request fails, every answer is whole and equal, and no joined listing and no token is read anew. DEPLOYS says how
# many deploys there are; docs/RELIABILITY.md has fifty.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

deploys=${DEPLOYS:-4}
need curl=curl haproxy=haproxy wrk=wrk python3=python3
COMMONS_CHECK=none commons_tools
build
server "$redis"
engine=$port

free_port
vendor=127.0.0.1:$port
start vendor "$tieline" simulate --dialect vonage-v4 --users 250 --listen "$vendor"
until_ok 30 grep -q "_simulator/stats" "$work/vendor.log"

head -c 32 /dev/urandom | base64 >"$work/seal.key"
printf demo-client:demo-secret >"$work/client.key"
replicas="a b c d"
for one in $replicas; do
    free_port && listen=127.0.0.1:$port
    free_port && admin=127.0.0.1:$port
    configuration "$work/$one.toml" "$listen" "$admin" '[limits]' 'drain_delay = "300ms"'
    sed -i -e "s#^dialect = .*#dialect = \"vonage-v4\"\ntoken_url = \"http://$vendor/Auth/connect/token\"\nrequests_per_minute_max = 0\nrelated_fresh_for = \"1h\"\nrelated_stale_max = \"2h\"#" \
        -e 's/v4.key/client.key/' "$work/$one.toml"
    # What is tried is not how fast a busy machine answers.
    printf '[commons]\nvalkey = ["redis://127.0.0.1:%s"]\nreplicas_max = 5\nseal_key = { file = "seal.key" }\ncall_timeout = "500ms"\n' \
        "$engine" >>"$work/$one.toml"
    start "$one" "$tieline" serve --config "$work/$one.toml" --log-format json
    eval "pid_$one=$pid listen_$one=$listen admin_$one=$admin"
    until_ok 30 is_up "http://$admin/readyz"
done

free_port && front=127.0.0.1:$port
free_port && states=127.0.0.1:$port
{
    printf 'defaults\n    mode http\n    retries 0\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    timeout check 5s\n'
    printf 'frontend front\n    bind %s\n    default_backend gateways\n' "$front"
    printf 'backend gateways\n    balance roundrobin\n    option httpchk GET /readyz\n    default-server check inter 50ms fall 1 rise 1\n'
    for one in $replicas; do
        listen=listen_$one admin=admin_$one
        printf '    server %s %s port %s\n' "$one" "${!listen}" "${!admin##*:}"
    done
    printf 'listen states\n    bind %s\n    stats enable\n    stats uri /\n' "$states"
} >"$work/haproxy.cfg"
start haproxy haproxy -db -f "$work/haproxy.cfg"
is_in_service() { shows "http://$states/;csv" "^gateways,$1,.*,UP,"; }
for one in $replicas; do until_ok 30 is_in_service "$one"; done

expect_list "$listen_a"
for one in b c d; do
    listen=listen_$one
    curl --silent --fail -o "$work/same" -H 'authorization: Bearer legacy-demo-key' "http://${!listen}$users" || fail "no list of $one"
    cmp -s "$work/same" "$work/expected" || fail "replica $one answers another list"
done

# read_beside: what was read beside pages of users since the vendor started: joined listings and tokens.
read_beside() {
    curl --silent --fail "http://$vendor/_simulator/stats" | python3 -c '
import json, sys
print(sum(n for path, n in json.load(sys.stdin)["by_path"].items() if path.split("?")[0] != "/useradmin/users"))'
}
before=$(read_beside)
[ "$before" -gt 10 ] || fail "only $before joined listings and tokens were read at all"

EXPECTED=$work/expected DELAY_MS=60 start wrk wrk --threads 2 --connections 8 --duration 1800s \
    --timeout 30s --script tests/outside/support/load.lua "http://$front$users"
load=$pid
for deploy in $(seq "$deploys"); do
    for one in $replicas; do
        old=pid_$one old=${!old}
        kill -TERM "$old"
        stopped "$old"
        [ "$code" -eq 0 ] || fail "deploy $deploy: exit code $code of replica $one"
        start "$one" "$tieline" serve --config "$work/$one.toml" --log-format json
        eval "pid_$one=$pid"
        until_ok 30 is_in_service "$one"
        kill -0 "$load" 2>/dev/null || fail "the load ended early"
    done
done
kill -INT "$load"
stopped "$load"
all_whole wrk
after=$(read_beside)
[ "$after" -eq "$before" ] || fail "$((after - before)) joined listings or tokens were read anew"
echo "commons_deploys: $deploys deploys of 4 replicas over Vonage: $whole answers whole and equal, 0 failed, 0 cut; $before joined listings and tokens were read before, 0 after"
