#!/usr/bin/env bash
# Three Sentinels whose primary is killed, and a cluster of six whose owner is killed: the replica keeps to its own
# share meanwhile, no call waits longer than its budget, and it shares again by itself.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

commons_tools

# owners: the nodes of the cluster that own slots, each as its index in $nodes.
owners() {
    local index at role
    for index in "${!nodes[@]}"; do
        at=${nodes[$index]#*:}
        role=$(ask_server "${at%@*}" ROLE)
        [[ $role != master* ]] || echo "$index"
    done
}

# emptied: the cluster forgets every pace of the checks before, so that the only one is the watched one.
emptied() {
    local index at
    for index in $(owners); do
        at=${nodes[$index]#*:}
        ask_server "${at%@*}" FLUSHALL >/dev/null
    done
}

# paced INDEX: whether the node has a pace.
paced() {
    local at=${nodes[$1]#*:}
    [ -n "$(ask_server "${at%@*}" --scan --pattern '*:n')" ]
}

# shared_again: alone after the kill, and shared at the end.
shared_again() {
    ended
    grep 'ms: ' "$said"
    grep -q 'at the end shared' "$said" || fail "not shared again"
    [ "$(grep -c 'ms: shared' "$said")" -ge 2 ] || fail "the kill was not noticed"
}

failovers() {
    local name primary primary_pid sentinels nodes pids owner bus at index id moving onto
    name=$(basename "$1")
    unset COMMONS_MODE
    server "$1"
    primary=$port primary_pid=$pid
    for _ in 1 2; do
        server "$1" --replicaof 127.0.0.1 "$primary"
    done
    sentinels=()
    for _ in 1 2 3; do
        free_port
        printf 'port %s\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %s 2\n' "$port" "$primary" >"$work/sentinel-$port.conf"
        printf 'sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n' >>"$work/sentinel-$port.conf"
        start "sentinel-$port" "$1" "$work/sentinel-$port.conf" --sentinel
        disown "$pid"
        until_ok 10 ask_server "$port" PING
        sentinels+=("redis://127.0.0.1:$port")
    done
    # Every Sentinel knows the two others and the two replicas.
    until_ok 30 sh -c "redis-cli -p $port SENTINEL MASTER main | tr '\n' ' ' | grep -q 'num-slaves 2 num-other-sentinels 2'"
    export COMMONS_MODE=sentinel
    COMMONS_ADDRESSES=$(IFS=,; echo "${sentinels[*]}")
    export COMMONS_ADDRESSES
    begun "$name, J30 Sentinel, primary killed" watch 18
    until_ok 10 grep -q shared "$said"
    kill -KILL "$primary_pid"
    shared_again
    checked "$name, after the failover" share

    nodes=() pids=()
    for _ in 1 2 3 4 5 6; do
        # The port that nodes use among themselves; the usual one is in the range that the system gives out itself.
        free_port
        bus=$port
        server "$1" --cluster-enabled yes --cluster-node-timeout 2000 --cluster-port "$bus" \
            --cluster-allow-replica-migration no
        nodes+=("127.0.0.1:$port@$bus") pids+=("$pid")
    done
    redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$work/create.log" 2>&1 || fail "no cluster"
    until_ok 30 sh -c "redis-cli -p $port CLUSTER INFO | grep -q cluster_state:ok"
    export COMMONS_MODE=cluster
    COMMONS_ADDRESSES=redis://${nodes[0]%@*},redis://${nodes[3]%@*},redis://${nodes[5]%@*}
    checked "$name, cluster" share
    # As a user with the rights that docs/OPERATING.md names.
    printf 'first\n' >"$work/password"
    for index in 0 1 2 3 4 5; do
        at=${nodes[$index]#*:}
        ask_server "${at%@*}" ACL SETUSER tieline on '>first' resetkeys '~tieline:*' nocommands '+eval' '+evalsha' '+role' \
            '+info' '+time' '+get' '+set' '+del' '+pttl' '+pexpire' '+hget' '+hset' '+hstrlen' '+zadd' '+zrem' '+zcard' \
            '+zrange' '+zremrangebyscore' '+xadd' '+xrange' '+xrevrange' '+ping' '+cluster|slots' >/dev/null
    done
    export COMMONS_USER=tieline COMMONS_PASSWORD_FILE=$work/password
    checked "$name, J34 cluster, few rights" share
    unset COMMONS_USER COMMONS_PASSWORD_FILE
    # All slots of the owner move to another node while a replica asks.
    emptied
    begun "$name, J31 slots move" watch 14
    until_ok 10 grep -q shared "$said"
    moving='' onto=''
    for index in $(owners); do
        at=${nodes[$index]#*:}
        at=${at%@*}
        id=$(ask_server "$at" CLUSTER MYID)
        if paced "$index"; then moving=$id; else onto=$id; fi
    done
    [ -n "$moving" ] || fail "no node has the watched pace"
    redis-cli --cluster reshard "127.0.0.1:$at" --cluster-from "$moving" --cluster-to "$onto" \
        --cluster-slots 5461 --cluster-yes >"$work/reshard.log" 2>&1 || fail "the slots do not move"
    ended
    grep -q 'at the end shared' "$said" || fail "not shared after the slots moved"
    # Two nodes alone could not agree on the end of a third one.
    until_ok 20 redis-cli --cluster reshard "127.0.0.1:$at" --cluster-from "$onto" --cluster-to "$moving" \
        --cluster-slots 4000 --cluster-yes

    emptied
    begun "$name, J31 cluster, owner killed" watch 20
    until_ok 10 grep -q shared "$said"
    # The owner of the watched pace, which is where its key is.
    owner=
    for index in $(owners); do
        ! paced "$index" || owner=$index
    done
    [ -n "$owner" ] || fail "no node has the watched pace"
    kill -KILL "${pids[$owner]}"
    shared_again
    checked "$name, after the failover" share
}

both failovers
