#!/usr/bin/env bash
# Four gateways behind HAProxy in front of one vendor, with one pace on a real Redis and Valkey (J07, J13, J15, J16): no
# window at the vendor's door sees more than the settings say, while at least 95 percent of the rate is used. Then the
# engine is flushed, is killed and comes back empty, and is stopped and continued: the law holds, no request fails, and
# most of the rate is used meanwhile. SECONDS_CALM=75 watches a whole minute.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

calm=${SECONDS_CALM:-20}
per_minute=6000 burst=1
need curl=curl haproxy=haproxy
build
engines
vendor 250
simulator=${vendor##*:}

# four: a door, an engine's group and four gateways of its own; the door's notes are in $notes.
runs=0
four() {
    runs=$((runs + 1))
    notes=$work/notes-$runs
    free_port
    door=$port
    start "door-$runs" python3 tests/outside/support/commons_pace.py relay "$door" "$simulator" "$notes"
    door_pid=$pid
    disown "$pid"
    until_ok 10 curl --silent --output /dev/null "http://127.0.0.1:$door/"
    gateways=() admins=() pids=()
    for one in 1 2 3 4; do
        free_port
        gateways+=("127.0.0.1:$port")
        free_port
        admins+=("127.0.0.1:$port")
        cat >"$work/gateway-$runs-$one.toml" <<TOML
[server]
listen = "${gateways[-1]}"
[admin]
listen = "${admins[-1]}"
[commons]
valkey = ["valkey://127.0.0.1:$engine_port"]
name = "run-$runs"
seal_key = { file = "$work/seal_key" }
replicas_max = 4
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:$door"
requests_per_minute_max = $per_minute
pace_counts = "every_minute"
pace_burst = "${burst}s"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
TOML
        LEGACY=legacy-demo-key V4=v4-demo-key start "gateway-$runs-$one" \
            "$tieline" serve --config "$work/gateway-$runs-$one.toml"
        pids+=("$pid")
        disown "$pid"
    done
    free_port
    front=127.0.0.1:$port
    {
        printf 'defaults\n    mode http\n    retries 0\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n'
        printf 'frontend front\n    bind %s\n    default_backend gateways\nbackend gateways\n    balance roundrobin\n' "$front"
        for one in 0 1 2 3; do
            printf '    server %s %s\n' "$one" "${gateways[one]}"
        done
    } >"$work/haproxy-$runs.cfg"
    start "haproxy-$runs" haproxy -db -f "$work/haproxy-$runs.cfg"
    pids+=("$pid")
    disown "$pid"
    for admin in "${admins[@]}"; do
        # Each counts four from the start, as many as there may be; that they have met is told by the list of them.
        until_ok 20 shows "http://$admin/metrics" '^tieline_commons_replicas 4'
        until_ok 20 shows "http://$admin/replicas" '"alone":false.*"members":\[\({[^}]*},\)\{3\}{[^}]*}\]'
        until_ok 20 shows "http://$admin/replicas" '"configurations":1'
    done
}

# greedy SECONDS: clients that always ask, in the background, until asked waits for them.
greedy() {
    : >"$work/load.log"
    start load timeout 120 python3 tests/outside/support/commons_pace.py load "$1" "$front" "$front" "$front" "$front"
    load_pid=$pid
}

# asked LABEL FROM TO USED_MIN: fails if a window saw too much; false if too little of the rate was used.
asked() {
    code=0
    wait "$load_pid" || code=$?
    [ "$code" -eq 0 ] || fail "$1: $(tail -n 1 "$work/load.log")"
    python3 tests/outside/support/commons_pace.py judge "$notes" "$per_minute" "$burst" "$2" "$3" "$4" \
        >"$work/judged.log" 2>&1 || code=$?
    sed "s/^/$1: /" "$work/judged.log"
    for one in "${pids[@]}" "$door_pid"; do kill -KILL "$one"; done
    case $code in
    0) ;;
    2) return 1 ;;
    *) fail "$1: a window saw too much" ;;
    esac
}

# enough LABEL FROM TO USED_MIN: the same, and fails in both cases.
enough() {
    asked "$@" || fail "$1: too little of the rate was used"
}

paces() {
    engine=$(basename "$1")
    "$tieline" key seal >"$work/seal_key"
    server "$1"
    engine_port=$port engine_pid=$pid

    # A machine that is busy with something else leaves the clients too little time to use the rate, so that is looked at
    # again. What a window may see holds each time.
    for round in 1 2 3; do
        four
        greedy "$calm"
        ! asked "$engine, J13 calm" 2 "$((calm - 1))" 95 || break
        [ "$round" -lt 3 ] || fail "$engine, J13 calm: too little of the rate was used, three times"
    done

    four
    greedy 12
    sleep 5
    for _ in 1 2 3 4 5; do
        ask_server "$engine_port" FLUSHALL >/dev/null
        sleep 0.5
    done
    enough "$engine, J07 flushed five times" 2 11 80

    four
    greedy 20
    sleep 5
    kill -KILL "$engine_pid"
    sleep 6
    for admin in "${admins[@]}"; do
        curl --silent --fail "http://$admin/readyz" >/dev/null || fail "not ready without its engine"
        until_ok 3 shows "http://$admin/metrics" '^tieline_commons_alone 1'
    done
    server_at "$engine_port" "$1"
    engine_pid=$pid
    enough "$engine, J15 killed for 6 s" 6 11 80

    four
    greedy 20
    sleep 5
    kill -STOP "$engine_pid"
    sleep 5
    kill -CONT "$engine_pid"
    enough "$engine, J16 stopped for 5 s" 6 10 80
    kill -KILL "$engine_pid"
}

both paces
