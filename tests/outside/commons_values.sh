#!/usr/bin/env bash
# Several gateways, one vendor that counts, and a real server between them: one reading for all, values that outlive
# a restart, and nothing that a reader of the server could use. The rows of the fault table stand in brackets.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

need curl=curl
COMMONS_CHECK=none commons_tools
build

digest=$(printf legacy-demo-key | "$tieline" key digest)

# vendor_of LATENCY ARGUMENT...: another pretend vendor in the place of the one before.
vendor_of() {
    local latency=$1
    shift
    if [ -n "${vendor_pid:-}" ]; then
        kill -KILL "$vendor_pid"
        until_ok 10 test ! -e "/proc/$vendor_pid"
    fi
    : >"$work/vendor.log"
    start vendor "$tieline" simulate --listen "$vendor" --latency "$latency" "$@"
    vendor_pid=$pid
    disown "$pid"
    until_ok 30 grep -q "_simulator/stats" "$work/vendor.log"
}

# replica NAME LINE...: a gateway; its address in $NAME, its id in $pid_NAME. The lines stand at the end, below
# the caller; $cache, $upstream and $sees are settings of their places.
replica() {
    local name=$1 file=$work/$1.toml
    shift
    free_port
    local listen=127.0.0.1:$port
    free_port
    local admin=127.0.0.1:$port
    {
        printf '[server]\nlisten = "%s"\n[admin]\nlisten = "%s"\n' "$listen" "$admin"
        printf '[cache]\nfresh_for = "%s"\n' "$cache"
        printf '[upstream.one]\nbase_url = "http://%s"\n%s\n' "$vendor" "$upstream"
        printf '[[caller]]\nname = "crm-canary"\nlegacy_key = { digest = "%s" }\n' "$digest"
        printf 'upstream = "one"\nsees = %s\n' "$sees"
        printf 'upstream_key = { file = "%s" }\n' "$key"
        if [ "$group" != none ]; then
            printf '[commons]\nvalkey = ["redis://127.0.0.1:%s"]\nname = "%s"\nreplicas_max = 4\n' "$server_port" "$group"
            # A busy machine is not what is tried here.
            printf 'seal_key = { file = "seal.key" }\ncall_timeout = "500ms"\n'
        fi
        printf '%s\n' "$@"
    } >"$file"
    start "$name" "$tieline" serve --config "$file" --log-format json
    disown "$pid"
    until_ok 30 is_up "http://$admin/readyz"
    eval "$name=$listen pid_$name=$pid admin_$name=$admin"
    replicas+=("$pid")
}

# replicas_end: all of them are killed.
replicas_end() {
    local pid
    for pid in ${replicas[@]+"${replicas[@]}"}; do kill -KILL "$pid" 2>/dev/null || true; done
    replicas=()
}
replicas=()

# replicas_of GROUP: four gateways of one group.
replicas_of() {
    group=$1
    replicas_end
    for one in a b c d; do replica "$one"; done
    # Until all have met the server.
    sleep 0.5
}

# stats FIELD: a count of the vendor.
stats() {
    curl --silent --fail "http://$vendor/_simulator/stats" |
        python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
forget() { curl --silent --fail -X POST -o /dev/null "http://$vendor/_simulator/reset"; }

ask() { python3 tests/outside/support/commons_values.py "$@"; }

# said FILE EXPRESSION WHAT: what the clients in a file say holds.
said() {
    python3 -c 'import json,sys; said = json.load(open(sys.argv[1])); sys.exit(0 if eval(sys.argv[2], said) else 1)' \
        "$work/$1" "$2" || fail "$3: $(cat "$work/$1")"
}

voiso='dialect = "voiso-v4"
requests_per_minute_max = 0'
all='"everything"'

# leaders: what happens to the others when the replica that reads stops.
leaders() {
    # [J24] The leader's client leaves: another replica reads, and nobody else fails.
    vendor_of 500ms --users 2000
    ask 1 --leave 0.5 "http://$a$users" >"$work/J24-left" &
    left=$!
    sleep 0.2
    ask 5 "http://$b$users" "http://$c$users" "http://$d$users" >"$work/J24"
    wait "$left"
    said J24-left 'statuses == {"TimeoutError": 1} or statuses == {"timeout": 1}' "[J24] $engine, who leaves"
    said J24 'statuses == {"200": 15} and bodies == 1 and seconds_max < 6' "[J24] $engine"
    pages=$(stats users_pages)
    [ "$pages" -le $((2 * sweep)) ] || fail "[J24] $engine: $pages pages"
    echo "[J24] $engine: the leader's client left, $pages pages: $(cat "$work/J24")"

    # [J22] The leader is killed: one successor within 3.5 s, and nobody else fails.
    forget
    ask 1 "http://$a$users" >"$work/J22-killed" &
    killed=$!
    sleep 0.3
    ask 5 "http://$b$users" "http://$c$users" "http://$d$users" >"$work/J22" &
    others=$!
    sleep 0.5
    kill -KILL "$pid_a"
    forget
    wait "$killed" "$others"
    said J22-killed '"200" not in statuses' "[J22] $engine, the leader's client"
    # Half a second before the kill, 3.5 s until somebody takes over, then a sweep.
    said J22 'statuses == {"200": 15} and bodies == 1 and seconds_max < 0.5 + 3.5 + 3' "[J22] $engine"
    pages=$(stats users_pages)
    [ "$pages" -eq "$sweep" ] || fail "[J22] $engine: $pages pages after the kill, one sweep is $sweep"
    echo "[J22] $engine: the leader was killed, $pages pages after it: $(cat "$work/J22")"
}

# configurations: two of them at once, and answers that are kept.
configurations() {
    # [J26] Two configurations at once: none shows a row of the other's, although answers are kept.
    vendor_of 0ms --users 2000
    replicas_end
    cache=60s group=j26
    ids=$(python3 -c 'import json,sys; print([row["id"] for row in json.load(open(sys.argv[1]))[:7]])' "$work/expected.json")
    replica a
    replica b
    sees="{ users = $ids }" replica c
    sees="{ users = $ids }" replica d
    sleep 0.5
    forget
    for round in 1 2 3; do
        ask 5 "http://$a$users" "http://$b$users" >"$work/J26-wide"
        ask 5 "http://$c$users" "http://$d$users" >"$work/J26-narrow"
        said J26-wide 'statuses == {"200": 10} and bodies == 1' "[J26] $engine"
        said J26-narrow 'statuses == {"200": 10} and bodies == 1' "[J26] $engine"
    done
    all_rows=$(python3 -c 'import json,sys; print(len(json.load(open(sys.argv[1]))))' "$work/expected.json")
    for one in "a:$all_rows" "b:$all_rows" c:7 d:7; do
        at=${one%%:*}
        rows=$(curl --silent --fail -H 'authorization: Bearer legacy-demo-key' "http://${!at}$users" |
            python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')
        [ "$rows" -eq "${one##*:}" ] || fail "[J26] $engine: $rows rows at $at"
    done
    pages=$(stats users_pages)
    [ "$pages" -eq $((2 * sweep)) ] || fail "[J26] $engine: $pages pages for two configurations"
    echo "[J26] $engine: two configurations, 0 foreign rows, $pages pages for 64 lists"
    # A restart finds the kept answers.
    forget
    kill -KILL "$pid_b"
    replica b
    ask 1 "http://$b$users" >"$work/restart"
    said restart 'sources == {"replica": 1}' "$engine: a kept answer does not outlive a restart"
    ask 1 --no-cache "http://$b$users" >"$work/fresh"
    said fresh 'sources == {"read": 1}' "$engine: a client that will not have it got a kept answer"

    # [J20] The vendor refuses the key: one replica hears it, and no other one shows what was read with it.
    vendor_of 0ms --users 2000 --v4-key another-key
    ask 1 --no-cache "http://$a$users" >"$work/J20-heard"
    said J20-heard 'statuses == {"502": 1}' "[J20] $engine, who hears it"
    sleep 1
    ask 5 "http://$a$users" "http://$b$users" >"$work/J20"
    said J20 'statuses == {"502": 10}' "[J20] $engine"
    # Taken again, it is read anew: what was kept before is not believed any more.
    vendor_of 0ms --users 2000
    sleep 5
    ask 1 "http://$b$users" >"$work/J20-again"
    said J20-again 'sources == {"read": 1}' "[J20] $engine, afterwards"
    echo "[J20] $engine: a refusal at one replica, 0 of 10 lists at both; then one is read anew"
}

shares() {
    engine=$(basename "$1")
    head -c 32 /dev/urandom | base64 >"$work/seal.key"
    printf v4-demo-key >"$work/v4.key"
    printf demo-client:demo-secret >"$work/client.key"
    free_port
    vendor=127.0.0.1:$port
    server "$1"
    server_port=$port server_pid=$pid
    start monitor redis-cli -p "$server_port" MONITOR
    disown "$pid"
    cache=0s upstream=$voiso sees=$all key=v4.key

    # What one sweep costs, without others.
    vendor_of 100ms --users 2000
    group=none
    replica alone
    curl --silent --fail -o "$work/expected.json" -H 'authorization: Bearer legacy-demo-key' "http://$alone$users"
    sweep=$(stats users_pages)
    [ "$sweep" -ge 20 ] || fail "a sweep of $sweep pages shows nothing"

    # [J21] 4 x 50 equal requests make one sweep, and the next poll another one.
    vendor_of 300ms --users 2000
    replicas_of j21
    for round in 1 2; do
        forget
        ask 50 "http://$a$users" "http://$b$users" "http://$c$users" "http://$d$users" >"$work/J21"
        said J21 'statuses == {"200": 200} and bodies == 1' "[J21] $engine"
        said J21 'sources.get("replica", 0) == 3 and sources.get("read", 0) == 1' "[J21] $engine, sources"
        pages=$(stats users_pages)
        [ "$pages" -eq "$sweep" ] || fail "[J21] $engine, poll $round: $pages pages in place of $sweep"
    done
    echo "[J21] $engine: 4 x 50 equal requests, $pages pages = one sweep: $(cat "$work/J21")"

    leaders

    # [J25] The leader fails: the same error for all, and one new reading a second.
    vendor_of 0ms --users 2000 --fail 500
    upstream="$voiso
attempts_max = 1" replicas_of j25
    ask 3 --for 5 "http://$a$users" "http://$b$users" "http://$c$users" "http://$d$users" >"$work/J25"
    said J25 'statuses == {"502": sum(statuses.values())} and list(slugs) == ["upstream_5xx"]' "[J25] $engine"
    requests=$(stats requests)
    [ "$requests" -le 7 ] || fail "[J25] $engine: $requests requests in 5 s"
    echo "[J25] $engine: $requests requests in 5 s: $(cat "$work/J25")"

    configurations

    # [J28] A rolling restart over Vonage: one token, and no joined listing is read anew.
    replicas_end
    cache=0s group=j28 key=client.key
    upstream="dialect = \"vonage-v4\"
token_url = \"http://$vendor/Auth/connect/token\"
requests_per_minute_max = 0"
    vendor_of 0ms --users 300 --dialect vonage-v4
    export TIELINE_LOG=trace
    for one in a b c; do replica "$one"; done
    sleep 0.5
    ask 1 "http://$a$users" >"$work/J28"
    first=$(stats requests)
    forget
    for one in a b c; do
        id=pid_$one
        kill -TERM "${!id}"
        until_ok 10 test ! -e "/proc/${!id}"
        replica "$one"
        sleep 0.5
        ask 1 "http://${!one}$users" >"$work/J28-$one"
        said "J28-$one" 'statuses == {"200": 1}' "[J28] $engine"
    done
    requests=$(stats requests) pages=$(stats users_pages) tokens=$(stats token_requests)
    [ "$requests" -eq "$pages" ] || fail "[J28] $engine: $((requests - pages)) requests beside $pages pages of users"
    echo "[J28] $engine: first list $first requests; 3 restarts, $pages pages, $tokens tokens, 0 joined listings"

    # [J29] The vendor forgets all tokens: refused ones are replaced once for all.
    vendor_of 0ms --users 300 --dialect vonage-v4
    ask 1 "http://$a$users" "http://$b$users" "http://$c$users" >"$work/J29"
    said J29 'statuses == {"200": 3}' "[J29] $engine"
    tokens=$(stats token_requests)
    [ "$tokens" -eq 1 ] || fail "[J29] $engine: $tokens tokens fetched for 3 replicas"
    echo "[J29] $engine: every token was refused, $tokens new one for 3 replicas"

    # [J37] Every key has a time to live. [J09] [J38] A reader of the server finds nothing of ours.
    keys=0
    for kept in $(ask_server "$server_port" --scan); do
        ttl=$(ask_server "$server_port" PTTL "$kept")
        [ "$ttl" != -1 ] || fail "[J37] $engine: $kept has no time to live"
        [[ $kept =~ ^j[0-9]+:1:\{(roll|[0-9a-f]{32})\}:[a-z](:[0-9a-f]{32})?$ ]] || fail "$kept is no name of ours"
        ask_server "$server_port" DUMP "$kept" >>"$work/dump"
        keys=$((keys + 1))
    done
    [ "$keys" -ge 10 ] || fail "$engine: only $keys keys"
    python3 - "$work" <<'PY' || fail "[J38] $engine: the server holds what it could read"
import json, sys
work = sys.argv[1]
rows = json.load(open(work + "/expected.json"))
canaries = {str(row[name]) for row in rows for name in ("name", "email", "sip_account") if row.get(name)}
canaries = {text for text in canaries if len(text) >= 5}
canaries |= {"demo-key", "demo-client", "demo-secret", "crm-canary", "Bearer", open(work + "/seal.key").read().strip()}
assert len(canaries) > 1000, len(canaries)
for name in ("dump", "monitor.log", "a.log", "b.log", "c.log"):
    held = open(work + "/" + name, "rb").read()
    assert len(held) > 10_000, (name, len(held))
    if name in ("a.log", "b.log", "c.log"):
        canaries -= {"crm-canary", "Bearer"}
    found = [text for text in canaries if text.encode() in held]
    assert not found, (name, found[:3])
PY
    echo "[J37] [J09] [J38] $engine: $keys keys, each with a time to live; 0 canaries in a dump, in MONITOR and in logs"
    unset TIELINE_LOG

    # [J01] The server is killed, and a replica starts without it: each reads by itself, and nothing fails.
    kill -KILL "$server_pid"
    replica d
    ask 5 "http://$a$users" "http://$b$users" "http://$c$users" "http://$d$users" >"$work/J01"
    said J01 'statuses == {"200": 20} and bodies == 1' "[J01] $engine"
    said J01 'sources.get("replica", 0) == 0' "[J01] $engine, sources"
    echo "[J01] $engine: killed, and not there at a start: $(cat "$work/J01")"
    replicas_end
}

both shares
echo "values: one reading for all, warm restarts, and nothing for a reader of the server"
