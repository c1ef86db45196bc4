#!/usr/bin/env bash
# The law of places. It is written twice, in Rust and as the script that the server runs: a hundred thousand generated
# histories, with lost, foreign and absurd numbers and clocks that jump, have the same answers from both. Then greedy
# replicas in one pace: whatever happens to the server, no second and no six seconds see more than the law allows, and
# nobody waits for it. The letters and numbers are rows of docs/ERRORS.md.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

commons_tools
clocks

# group: replicas of an earlier run count for some seconds, so that each run has a group of its own.
runs=0
group() {
    runs=$((runs + 1))
    export COMMONS_NAME=run-$runs
}

# all_came: waits until the group's server counts four replicas. The last one has counted all of them a moment ago, the
# others fewer.
all_came() {
    local members
    for _ in $(seq 500); do
        members=$(ask_server "$port" --scan --pattern "$COMMONS_NAME:*:m" || true)
        if [ -n "$members" ] && [ "$(ask_server "$port" ZCARD "$members")" -eq 4 ]; then
            return
        fi
        sleep 0.01
    done
    fail "$label: four replicas have not come"
}

laws() {
    local name clock clocked
    name=$(basename "$1")
    server "$1"
    server_pid=$pid
    checked "$name" law "${HISTORIES:-100000}"

    # What is the same on both servers is done on one of them each.
    local counts="2 8" faults="hole slow"
    [ "$1" = "$redis" ] && counts="1 4" faults="hole cut"
    for replicas in $counts; do
        group
        checked "$name, J13 calm" pace "$replicas" 7 95
    done

    group
    begun "$name, J07 J14 flushed each half second" pace 4 10 90
    sleep 5
    for _ in 1 2 3 4 5; do
        ask_server "$port" FLUSHALL >/dev/null
        sleep 0.5
    done
    ended

    # Another user of the server writes what is no number, and numbers an hour ahead.
    group
    begun "$name, written to" pace 4 9 60
    sleep 5
    for text in nan -1 99999999999999999 "$(date +%s)000000" 9000000000000000; do
        for key in $(ask_server "$port" --scan --pattern '*:n'); do
            ask_server "$port" SET "$key" "$text" >/dev/null
        done
        sleep 0.3
    done
    ended

    group
    COMMONS_REPLICAS_MAX=8 checked "$name, J18 four, eight, two" scale 5 70

    group
    begun "$name, J03 no answer for 3 s (CLIENT PAUSE)" pace 4 12 70
    sleep 5
    ask_server "$port" CLIENT PAUSE 3000 ALL >/dev/null
    ended

    group
    begun "$name, J02 J16 stopped for 4 s" pace 4 13 75
    sleep 5
    kill -STOP "$server_pid"
    sleep 4
    kill -CONT "$server_pid"
    ended

    group
    begun "$name, J01 J15 killed, back empty after 4 s" pace 4 13 80
    sleep 5
    kill -KILL "$server_pid"
    sleep 4
    server_at "$port" "$1"
    server_pid=$pid
    ended

    # Half of the replicas cannot reach the server: they keep to their own shares, so that at most half of the rate
    # is added; and they share again when they can.
    local direct=$port
    free_port
    echo pass >"$work/relay.mode"
    start relay python3 tests/outside/support/relay.py "$port" "$direct" "$work/relay.mode"
    until_ok 10 ask_server "$port" PING
    export COMMONS_RELAYED=redis://127.0.0.1:$port
    for fault in $faults; do
        group
        begun "$name, J32 half of them behind a relay: $fault" pace 4 12 80 100 150
        sleep 5
        echo "$fault" >"$work/relay.mode"
        sleep 4
        echo pass >"$work/relay.mode"
        ended
    done
    unset COMMONS_RELAYED
    port=$direct

    # The server goes away when the last of four replicas has come, and most of them have counted fewer: at the start,
    # and after it was away for longer than a silent replica counts. Together they keep to the rate all the same.
    group
    begun "$name, J17 stopped when four have come one after the other" apart 7 75
    all_came
    kill -STOP "$server_pid"
    ended
    kill -KILL "$server_pid"
    server_at "$port" "$1"
    server_pid=$pid
    group
    begun "$name, J17 away for 6 s, back until four have come, twice" apart 22 75
    sleep 3
    for _ in 1 2; do
        kill -KILL "$server_pid"
        sleep 6
        server_at "$port" "$1"
        server_pid=$pid
        all_came
    done
    kill -KILL "$server_pid"
    ended

    # Nobody met the others: each keeps to a quarter, as the setting says.
    group
    checked "$name, J17 never there" pace 4 7 80
    group
    COMMONS_REPLICAS_MAX=8 checked "$name, J18 four, eight, two, each alone" scale 4 30

    # The server's clock jumps: an hour ahead, and far back, after which the number lies hours ahead.
    clock=$work/clock
    echo 0 >"$clock"
    clocked=$1
    server_with_clock() { LD_PRELOAD=$wrong_clock CLOCK_OFFSET=$clock exec "$clocked" "$@"; }
    server server_with_clock
    server_pid=$pid
    group
    begun "$name, J35 the server's clock an hour ahead" pace 4 9 80 100 125
    sleep 5
    echo +3600 >"$clock"
    ended
    group
    begun "$name, J35 the server's clock two hours back" pace 4 9 60
    sleep 5
    echo -3600 >"$clock"
    ended
    kill -KILL "$server_pid"
}

both laws
