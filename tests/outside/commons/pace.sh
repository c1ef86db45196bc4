#!/usr/bin/env bash
# Four greedy replicas in one pace, on Redis and on Valkey: whatever happens to the server, no second and no six
# seconds see more than the law allows, and nobody waits for it.
set -euo pipefail
source "$(dirname "$0")/../support/common.sh"
source tests/outside/support/commons.sh

commons_tools

# group: replicas of an earlier run count for some seconds, so that each run has a group of its own.
runs=0
group() {
    runs=$((runs + 1))
    export COMMONS_NAME=run-$runs
}

for program in "$redis" "$valkey"; do
    name=$(basename "$program")
    server "$program"
    server_pid=$pid
    for replicas in 1 2 8; do
        group
        checked "$name, calm" pace "$replicas" 7 95
    done

    group
    begun "$name, flushed five times" pace 4 10 90
    sleep 5
    for _ in 1 2 3 4 5; do
        ask_server "$port" FLUSHALL >/dev/null
        sleep 0.5
    done
    ended

    group
    begun "$name, stopped for 5 s" pace 4 14 80
    sleep 6
    kill -STOP "$server_pid"
    sleep 5
    kill -CONT "$server_pid"
    ended

    group
    begun "$name, killed, back empty after 5 s" pace 4 14 80
    sleep 6
    kill -KILL "$server_pid"
    sleep 5
    server_at "$port" "$program"
    server_pid=$pid
    ended

    # Another user of the server writes what is no number, and numbers an hour ahead.
    group
    begun "$name, written to" pace 4 10 60
    sleep 5
    for text in nan -1 99999999999999999 "$(date +%s)000000" 9000000000000000; do
        for key in $(ask_server "$port" --scan --pattern '*:n'); do
            ask_server "$port" SET "$key" "$text" >/dev/null
        done
        sleep 0.3
    done
    ended

    kill -KILL "$server_pid"
    # Nobody met the others: each keeps to a quarter, as the setting says.
    group
    checked "$name, never there" pace 4 7 80
done
