#!/usr/bin/env bash
# Readings, values and news between replicas, on Redis and on Valkey: over TLS, as a user with few rights, with a
# leader that sleeps, with a demoted primary, and with servers that answer badly.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

commons_tools
need openssl=openssl
clocks
checked 'J05 J06 J33 servers that answer badly' hostile
checked 'J04 forged values' values "${VALUES:-50000}"

shares() {
    local name sent monitor hour server_pid key ttl leader leader_pid rights right beside turn
    name=$(basename "$1")
    server "$1"
    server_pid=$pid
    # Somebody listens to all that is sent.
    start monitor redis-cli -h 127.0.0.1 -p "$port" MONITOR
    monitor=$pid
    until_ok 10 grep -q OK "$work/monitor.log"
    checked "$name, J12 J19 J20 J22 J24 J25" share
    kill "$monitor"
    mv "$work/monitor.log" "$work/monitored"
    [ "$(wc -l <"$work/monitored")" -gt 50 ] || fail "the monitor saw little"
    [ "$(grep -acE '"EVALSHA" .*:n" "[0-9]+" "[0-9]+" "17" ' "$work/monitored")" -eq 1 ] ||
        fail "places that were asked for together were not given by one call"
    ! grep -aqE 'agents|groups|teams|caller|forbidden' "$work/monitored" || fail "J38: what is sent can be read"

    checked "$name, J39" reloads 1000

    # What a reader of the server sees: no text of ours, and a time to live on every key.
    for key in $(ask_server "$port" --scan); do
        ttl=$(ask_server "$port" PTTL "$key")
        [ "$ttl" -gt 0 ] || fail "J37: $key has no time to live: $ttl"
        [[ $key =~ ^tieline:1:\{(roll|[0-9a-f]{32})\}:[a-z](:[0-9a-f]{32})?$ ]] || fail "$key is no name of ours"
        ask_server "$port" DUMP "$key" >>"$work/dump"
    done
    [ -s "$work/dump" ] || fail "nothing is kept"
    ! grep -aqE 'agents|groups|caller|forbidden' "$work/dump" || fail "J09: the server holds what it could read"

    # J23: a leader sleeps while another one leads and stores: it must overwrite nothing.
    start leader timeout 120 "$check" lead "sleeper on $name" old 2
    leader_pid=$pid
    until_ok 10 grep -q leading "$work/leader.log"
    leader=$(pgrep -P "$leader_pid")
    kill -STOP "$leader"
    sleep 4
    checked "$name, another leader" lead "sleeper on $name" new 0
    kill -CONT "$leader"
    stopped "$leader_pid"
    grep -q 'finished old' "$work/leader.log" || fail "the leader did not go on"
    : >"$work/leader.log"
    checked "$name, J23 J28 sleeping leader" read "sleeper on $name" new

    # J04: a stored value that somebody changed is a miss, and so is the value of another question.
    for key in $(ask_server "$port" --scan --pattern '*:v:*'); do
        ask_server "$port" HSET "$key" e "$(printf '\001%063d' 0)" >/dev/null
    done
    ! "$check" read "sleeper on $name" new >"$work/forged.log" 2>&1 || fail "a forged value was believed"
    grep -q 'lead in place of kept' "$work/forged.log" || fail "a forged value is not read anew"

    # J40: the clock of a replica is an hour ahead, or back: its values are misses elsewhere.
    for hour in 3600 -3600; do
        echo "$hour" >"$work/clock"
        LD_PRELOAD=$wrong_clock CLOCK_OFFSET=$work/clock "$check" lead "clock $hour on $name" far 0 \
            >"$work/far.log" 2>&1 || fail "J40: $(tail -n 3 "$work/far.log")"
        ! "$check" read "clock $hour on $name" far >"$work/near.log" 2>&1 || fail "J40: another hour's value was believed"
        grep -q 'lead in place of kept' "$work/near.log" || fail "J40: $(tail -n 3 "$work/near.log")"
    done
    echo "$name, J40: a replica whose clock is an hour off stores what nobody else believes"

    # Demoted under the replica: it looks for another primary, and there is the same one again soon.
    begun "$name, J30 demoted" watch 8
    until_ok 10 grep -q shared "$said"
    ask_server "$port" REPLICAOF 127.0.0.1 1 >/dev/null
    sleep 2
    grep -q 'ms: alone' "$said" || fail "a demoted primary was not noticed"
    ask_server "$port" REPLICAOF NO ONE >/dev/null
    ended
    [ "$(grep -c 'ms: shared' "$said")" -ge 2 ] || fail "the primary was not found again"

    # A user with the rights that the pages name, and with a password from a file, which changes.
    printf 'first\n' >"$work/password"
    ask_server "$port" ACL SETUSER tieline on '>first' resetkeys '~tieline:*' nocommands '+eval' '+evalsha' '+time' \
        '+get' '+set' '+del' '+pttl' '+pexpire' '+hget' '+hset' '+hstrlen' '+zadd' '+zcard' '+zrange' '+zrem' '+zremrangebyscore' \
        '+xadd' '+xrange' '+xrevrange' '+role' '+info' >/dev/null
    export COMMONS_USER=tieline COMMONS_PASSWORD_FILE=$work/password
    checked "$name, J34 few rights" share
    ask_server "$port" ACL SETUSER tieline resetpass '>second' >/dev/null
    "$check" watch 2 >"$work/denied.log" 2>&1 || fail "$(tail -n 3 "$work/denied.log")"
    grep -q '"denied"' "$work/denied.log" || fail "a wrong password is not counted"
    ! grep -q 'ms: shared' "$work/denied.log" || fail "a wrong password was accepted"
    printf 'second\n' >"$work/password"
    checked "$name, J11 new password" share
    # Each right taken away: the pace is kept alone, and nothing fails. Replicas of the checks before still count.
    # Half of them on each server: it makes no difference which.
    rights=(get evalsha xadd hset role info)
    [ "$1" != "$redis" ] || rights=(get eval zadd set time)
    for right in "${rights[@]}"; do
        ask_server "$port" ACL SETUSER tieline "-$right" >/dev/null
        checked "$name, J34 without $right" pace 2 3 10
        ask_server "$port" ACL SETUSER tieline "+$right" >/dev/null
    done
    unset COMMONS_USER COMMONS_PASSWORD_FILE

    # J08: the server is full and drops nothing: writes are refused, nothing fails, each keeps to its own share.
    ask_server "$port" CONFIG SET maxmemory-policy noeviction >/dev/null
    ask_server "$port" CONFIG SET maxmemory 1 >/dev/null
    checked "$name, J08 full" pace 2 4 10
    ask_server "$port" CONFIG SET maxmemory 0 >/dev/null

    # J36: values of a mebibyte are read beside, one behind the other as fast as they come. Several at a time would take
    # the processors that the replicas need, which is another fault than a server that is busy with large values: the
    # two servers take turns, and the one that reads has what the others leave.
    exec {turn}>"$work/../large-values.turn"
    flock "$turn"
    redis-benchmark -h 127.0.0.1 -p "$port" -t set -n 64 -c 4 -d 1048576 -r 4 -q >"$work/beside.log" ||
        fail "J36: no large values"
    start beside nice -n 5 timeout 60 redis-benchmark -h 127.0.0.1 -p "$port" -t get -n 100000 -c 1 -r 4 -q
    beside=$pid
    disown "$beside"
    checked "$name, J36 large values beside" pace 4 10 90
    sent=$(ask_server "$port" INFO stats | sed -n 's/^total_net_output_bytes:\([0-9]*\).*/\1/p')
    [ "$sent" -gt 1000000000 ] || fail "J36: only $sent bytes were read beside"
    kill "$beside" || fail "J36: the reading beside ended early"
    flock --unlock "$turn"
    kill -KILL "$server_pid"
}

both shares

# TLS: with the right authority, and with another one.
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$work/leaf.ext"
for who in right wrong; do
    openssl req -x509 "${key[@]}" -days 365 -subj "/CN=$who authority" -keyout "$work/$who-authority.key" \
        -out "$work/$who-authority.crt" 2>>"$work/openssl.log"
    openssl req "${key[@]}" -subj /CN=localhost -keyout "$work/$who.key" -out "$work/$who.csr" 2>>"$work/openssl.log"
    openssl x509 -req -in "$work/$who.csr" -CA "$work/$who-authority.crt" -CAkey "$work/$who-authority.key" \
        -CAcreateserial -days 365 -extfile "$work/leaf.ext" -out "$work/$who.crt" 2>>"$work/openssl.log"
done
free_port
mkdir -p "$work/tls"
start tls "$redis" --port 0 --tls-port "$port" --bind 127.0.0.1 --save '' --dir "$work/tls" \
    --tls-cert-file "$work/right.crt" --tls-key-file "$work/right.key" --tls-ca-cert-file "$work/right-authority.crt" \
    --tls-auth-clients no
until_ok 10 redis-cli -p "$port" --tls --cacert "$work/right-authority.crt" PING
export COMMONS_ADDRESSES=rediss://localhost:$port COMMONS_AUTHORITIES=$work/right-authority.crt
checked "J11 TLS" share
COMMONS_AUTHORITIES=$work/wrong-authority.crt "$check" watch 3 >"$work/wrong.log" 2>&1 || fail "$(tail -n 3 "$work/wrong.log")"
! grep -q 'ms: shared' "$work/wrong.log" || fail "a certificate of somebody else was accepted"
COMMONS_ADDRESSES=redis://localhost:$port "$check" watch 3 >"$work/plain.log" 2>&1 || fail "$(tail -n 3 "$work/plain.log")"
! grep -q 'ms: shared' "$work/plain.log" || fail "plain text was answered"
echo "share: everything is shared as it should be, and nothing else"
