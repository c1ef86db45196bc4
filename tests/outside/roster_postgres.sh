#!/usr/bin/env bash
# The roster in PostgreSQL 15, with replicas of this program, with PgBouncer in between, and with everything that may
# happen to a database. The letters and numbers are rows of docs/ERRORS.md. ROSTER_HISTORIES=100000 takes many minutes.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh
source tests/outside/support/postgres.sh

printf 'canary-%s\n' "$RANDOM$RANDOM" >"$work/password"
postgres_tools
build
need curl=curl
clocks
export ROSTER_PASSWORD=$work/password ROSTER_AUTHORITIES=$work/server.crt ROSTER_FOLDER=$work
[ ! -w /dev/shm ] || export ROSTER_FOLDER=/dev/shm

server one
server_pid=$pid
one=$(cat "$work/one.port")

# R05: eight processes start at once, on a database that is empty.
eight_starts() {
    local starter starting=()
    for _ in 1 2 3 4 5 6 7 8; do
        "$check" prepare >>"$work/starts.log" 2>&1 &
        starting+=("$!")
    done
    for starter in "${starting[@]}"; do wait "$starter" || fail "R05: a start failed"; done
}
database starts
eight_starts
[ "$(as_admin one starts 'SELECT count(*) FROM tieline_roster')" = 1 ] || fail "R05: the tables were made twice"
echo "R05: eight starts at once make the tables once"
# From the layout before the present one: by its owner alone, by eight at once as well; its rows stay.
as_admin one starts "INSERT INTO tieline_roster_scopes (caller, upstream, doubts) VALUES ('crm', 'ams', 0)" \
    'ALTER TABLE tieline_roster_scopes DROP COLUMN steps, DROP COLUMN steps_to' \
    'UPDATE tieline_roster SET schema = 1' \
    'GRANT ALL ON ALL TABLES IN SCHEMA public TO tieline' \
    'ALTER TABLE tieline_roster_scopes OWNER TO postgres'
as_admin one starts 'GRANT ALL ON tieline_roster_scopes TO tieline'
refused 'R05 older tables of another owner' 'does not own them' prepare
as_admin one starts 'ALTER TABLE tieline_roster_scopes OWNER TO tieline'
eight_starts
[ "$(as_admin one starts 'SELECT schema, (SELECT count(*) FROM tieline_roster_scopes WHERE steps_to IS NULL) FROM tieline_roster')" = '2|1' ] ||
    fail "R05: older tables were not brought to the present layout"
echo "R05: eight starts at once bring older tables to the present layout once"
as_admin one starts 'UPDATE tieline_roster SET schema = 7'
refused 'R05 newer schema' 'has schema 7' prepare

database histories
checked 'R01 two replicas' histories "${ROSTER_HISTORIES:-1500}"
database quiet
checked 'R01 record_every' quiet
database killed
# Without TLS, so that its messages can be counted.
ROSTER_ADDRESS="$ROSTER_ADDRESS?sslmode=disable" checked 'R02 killed at each statement' killed
database clocks
checked 'R03 clocks 5 s apart' clocks
echo +3600 >"$work/clock"
stamp=$(LD_PRELOAD=$wrong_clock CLOCK_OFFSET=$work/clock "$check" stamp) || fail "R03: no sweep with a wrong clock"
off=$(($(date +%s) - stamp))
[ "${off#-}" -le 10 ] || fail "R03: a replica whose clock is wrong records its own time: $off s off"
echo "R03: a replica whose clock is an hour wrong records the database's time"
database many
checked 'R08 four replicas' many "${ROSTER_USERS:-50000}"

# R04 full: the users' table is on a disk of a few MiB.
database filled
checked 'R04 tables' prepare
install -d -o postgres -g postgres -m 700 "$work/disk"
mount -t tmpfs -o size=12m tmpfs "$work/disk" || fail "no small disk"
trap 'umount -l "$work/disk" 2>/dev/null || true; clean_up' EXIT
install -d -o postgres -g postgres -m 700 "$work/disk/space"
as_admin one filled "CREATE TABLESPACE small LOCATION '$work/disk/space'" \
    'ALTER TABLE tieline_roster_users SET TABLESPACE small'
checked 'R04 disk full' full
as_admin one postgres 'DROP DATABASE filled WITH (FORCE)' 'DROP TABLESPACE small'
umount "$work/disk"

# R06: behind PgBouncer in transaction mode, where the next statement may run on another connection.
pooler
database pooled
export ROSTER_ADDRESS="postgresql://tieline@localhost:$pooled/pooled?sslmode=disable"
checked 'R06 through PgBouncer' histories 200
checked 'R06 through PgBouncer' clocks
checked 'R06 through PgBouncer' many 5000
left=$(as_admin one pooled "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled' AND state <> 'idle' AND pid <> pg_backend_pid()")
[ "$left" = 0 ] || fail "R06: $left transactions are left behind PgBouncer"
for setting in statement_timeout lock_timeout idle_in_transaction_session_timeout; do
    [ "$(PGPASSWORD=$(cat "$work/password") psql -XAtq -h 127.0.0.1 -p "$pooled" -U tieline -c "SHOW $setting" pooled)" = 0 ] ||
        fail "R06: $setting stays on a connection of the pooler"
done

# What a gateway answers: lists of live users always, deleted agents as a whole or not at all.
vendor 300
roster_lines() {
    printf '%s\n' '[roster]' "postgres = \"$1\"" "password = { file = \"$work/password\" }" \
        "ca_file = \"$work/server.crt\"" 'record_every = "0s"'
}
address="postgresql://tieline@localhost:$one/tieline"
mapfile -t lines < <(roster_lines "$address")
gateway first "${lines[@]}"
first=$gateway first_pid=$pid
deleted=/api/v2/cdr/deleted_agents
asked() {
    curl --silent --max-time 30 --output "$work/body" --write-out '%{http_code} %header{x-tieline-error}' \
        -H 'authorization: Bearer legacy-demo-key' "http://$1$2"
}
answers() { [ "$(asked "$1" "$2")" = "$3" ]; }
is_away() { answers "$1" $users '200 ' && answers "$1" $deleted '503 roster_failed'; }
is_whole() { answers "$1" $users '200 ' && answers "$1" $deleted '200 ' && cmp --silent "$work/body" "$work/deleted.json"; }
remembered() { as_admin one tieline 'SELECT count(*) FROM tieline_roster_users'; }

answers "$first" $users '200 ' || fail "no list of users"
[ "$(remembered)" -gt 250 ] || fail "$(remembered) users are remembered"
printf '[{"id":900001,"name":"Gone Before"},{"id":900002,"name":null}]' >"$work/legacy.json"
"$tieline" roster import --config "$work/first.toml" "$work/legacy.json" >"$work/import.log" 2>&1 || fail "no import"
grep -q '2 added' "$work/import.log" || fail "nothing was imported"
answers "$first" $deleted '200 ' || fail "no list of deleted users"
grep -q 900001 "$work/body" || fail "an imported user is missing"
cp "$work/body" "$work/deleted.json"
curl --silent --fail --output "$work/metrics" "http://$admin/metrics" || fail "no metrics"
grep -q '^tieline_roster_users{state="imported"} 2$' "$work/metrics" || fail "not counted"

# Several replicas tell one list.
gateway second "${lines[@]}"
second=$gateway second_pid=$pid
is_whole "$second" || fail "the other replica tells another list"

for how in stopped killed; do
    signal=$([ $how = stopped ] && echo -INT || echo -KILL)
    kill "$signal" "$server_pid"
    stopped "$server_pid"
    until_ok 10 is_away "$first"
    until_ok 10 is_away "$second"
    # One that starts meanwhile answers as well.
    if [ $how = killed ]; then
        gateway third "${lines[@]}"
        third=$gateway third_pid=$pid
        is_away "$third" || fail "R04: a gateway that starts without its database"
    fi
    server_at one "$one"
    server_pid=$pid
    until_ok 15 is_whole "$first"
    until_ok 15 is_whole "$second"
    echo "R04: $how: live users are listed, deleted ones are 503 until the database is back"
done
until_ok 15 is_whole "$third"
kill -TERM "$third_pid"

# Frozen: connections stay open and nobody answers.
kill -STOP "$server_pid"
for child in $(pgrep -P "$server_pid"); do kill -STOP "$child"; done
is_away "$first" || fail "R04: a database that does not answer"
took=$(curl --silent --output "$work/body" --write-out '%{time_total}' -H 'authorization: Bearer legacy-demo-key' "http://$first$users")
for child in $(pgrep -P "$server_pid"); do kill -CONT "$child"; done
kill -CONT "$server_pid"
until_ok 15 is_whole "$first"
echo "R04: frozen: live users are listed (a later list in $took s), deleted ones are 503"

as_admin one postgres 'ALTER SYSTEM SET default_transaction_read_only = on' 'SELECT pg_reload_conf()' >/dev/null
until_ok 10 is_away "$first"
(PGOPTIONS='-c default_transaction_read_only=off' as_admin one postgres 'ALTER SYSTEM RESET default_transaction_read_only' \
    'SELECT pg_reload_conf()') >/dev/null
until_ok 15 is_whole "$first"
echo "R04: read-only: as stopped"

# No standby of that name is there, so that reads are answered and no commit ends.
as_admin one postgres "ALTER SYSTEM SET synchronous_standby_names = 'nobody'" 'SELECT pg_reload_conf()' >/dev/null
stalls() { [ "$(as_admin one postgres "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" != 0 ]; }
began_to_stall() { asked "$first" $users >"$work/code" && stalls; }
until_ok 10 began_to_stall
[ "$(cat "$work/code")" = '200 ' ] || fail "R09: a list of live users while no commit ends: $(cat "$work/code")"
answers "$first" $users '200 ' || fail "R09: the next list of live users"
as_admin one postgres 'ALTER SYSTEM RESET synchronous_standby_names' 'SELECT pg_reload_conf()' >/dev/null
until_ok 15 is_whole "$first"
echo "R09: no commit ends: live users are listed"

as_admin one postgres 'ALTER ROLE tieline CONNECTION LIMIT 0' \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tieline'" >/dev/null
until_ok 10 is_away "$first"
as_admin one postgres 'ALTER ROLE tieline CONNECTION LIMIT -1'
until_ok 15 is_whole "$first"
echo "R04: no connection left: as stopped"

as_admin one tieline 'REVOKE UPDATE ON tieline_roster_scopes FROM tieline'
until_ok 10 is_away "$first"
! "$tieline" check --config "$work/first.toml" >"$work/check.log" 2>&1 || fail "check does not miss a right"
grep -q 'FAILED        the user lacks the right UPDATE ON tieline_roster_scopes' "$work/check.log" || fail "check names no right"
as_admin one tieline 'GRANT UPDATE ON tieline_roster_scopes TO tieline'
until_ok 15 is_whole "$first"

# Tables that are gone must not be made anew under a gateway: the list would be empty and seem whole.
as_admin one tieline 'ALTER TABLE tieline_roster_users RENAME TO elsewhere'
until_ok 10 is_away "$first"
as_admin one tieline 'ALTER TABLE elsewhere RENAME TO tieline_roster_users'
until_ok 15 is_whole "$first"
echo "R04: a right or a table that is gone: as stopped"

# Failed over: a standby that becomes the primary, and the address names both.
as_admin one postgres "CREATE ROLE copy LOGIN REPLICATION PASSWORD 'copy'"
install -d -o postgres -g postgres -m 700 "$work/two"
(export PGPASSWORD=copy && as_postgres pg_basebackup -h 127.0.0.1 -p "$one" -U copy -D "$work/two/data" -R -X stream \
    -c fast >"$work/basebackup.log" 2>&1) || fail "no standby"
sed -i "s|^unix_socket_directories.*|unix_socket_directories = '$work/two'|" "$work/two/data/postgresql.conf"
free_port
two=$port
server_at two "$two"
both_hosts="postgresql://tieline@localhost:$two,localhost:$one/tieline"
mapfile -t lines < <(roster_lines "$both_hosts")
gateway fourth "${lines[@]}"
fourth=$gateway fourth_pid=$pid
until_ok 15 is_whole "$fourth"
"$tieline" check --config "$work/fourth.toml" >"$work/check.log" 2>&1 || fail "check: $(cat "$work/check.log")"
grep -q 'a standby, or told to take no writes' "$work/check.log" || fail "check does not see the standby"
caught_up() {
    [ "$(as_admin one postgres 'SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()')" = 1 ]
}
until_ok 10 caught_up
kill -KILL "$server_pid"
stopped "$server_pid"
until_ok 10 is_away "$fourth"
as_admin two postgres 'SELECT pg_promote()' >/dev/null
until_ok 20 is_whole "$fourth"
echo "R04: failed over: as stopped until the standby takes writes, then the same list"
kill -TERM "$fourth_pid"
kill -QUIT "$(head -n 1 "$work/two/data/postmaster.pid")"
server_at one "$one"
server_pid=$pid
until_ok 15 is_whole "$first"

# R06: the gateway behind PgBouncer.
mapfile -t lines < <(roster_lines "postgresql://tieline@localhost:$pooled/tieline?sslmode=disable" | grep -v ca_file)
gateway pooled "${lines[@]}"
until_ok 15 is_whole "$gateway"
"$tieline" check --config "$work/pooled.toml" >"$work/check.log" 2>&1 || fail "check: $(cat "$work/check.log")"
grep -q 'in between    a pooler such as PgBouncer' "$work/check.log" || fail "check does not see PgBouncer"
echo "R06: a gateway behind PgBouncer tells the same list"
kill -TERM "$pid"

# R05: a newer schema is a bad configuration, and no port is bound.
as_admin one tieline 'UPDATE tieline_roster SET schema = 3'
code=0
"$tieline" serve --config "$work/second.toml" >"$work/newer.log" 2>&1 || code=$?
[ "$code" = 78 ] || fail "R05: a newer schema ends with $code"
grep -q 'roster.postgres: the roster has schema 3' "$work/newer.log" || fail "R05: the reason is missing"
# Before an older one is changed, check says by whom.
as_admin one tieline 'UPDATE tieline_roster SET schema = 1' 'ALTER TABLE tieline_roster_scopes OWNER TO postgres' \
    'GRANT ALL ON tieline_roster_scopes TO tieline'
! "$tieline" check --config "$work/first.toml" >"$work/check.log" 2>&1 || fail "check does not miss the owner"
grep -q 'FAILED  .*does not own them' "$work/check.log" || fail "check: $(cat "$work/check.log")"
as_admin one tieline 'ALTER TABLE tieline_roster_scopes OWNER TO tieline' 'UPDATE tieline_roster SET schema = 2'
echo "R05: a newer schema is exit code 78, and check says who may change an older one"

# R07: from the database to a file, to another database, and back to a file.
kill -TERM "$first_pid" "$second_pid"
stopped "$first_pid"
stopped "$second_pid"
"$tieline" roster export --config "$work/first.toml" >"$work/export.json" || fail "no export"
"$tieline" roster move --config "$work/first.toml" --to-file "$work/moved.sqlite" >"$work/move.log" 2>&1 || fail "not moved"
grep -qE '^crm \(ams\): [0-9]+ users, 2 imported$' "$work/move.log" || fail "R07: not said what was moved"
! "$tieline" roster move --config "$work/first.toml" --from-file "$work/moved.sqlite" >"$work/again.log" 2>&1 ||
    fail "R07: moved over a roster that is there"
grep -q 'is not empty' "$work/again.log" || fail "R07: the reason is missing"
database back
sed "s|^postgres = .*|postgres = \"$ROSTER_ADDRESS\"|" "$work/first.toml" >"$work/back.toml"
"$tieline" roster move --config "$work/back.toml" --from-file "$work/moved.sqlite" >>"$work/move.log" 2>&1 || fail "not moved back"
"$tieline" roster export --config "$work/back.toml" | cmp - "$work/export.json" || fail "R07: the exports differ"
"$tieline" roster move --config "$work/back.toml" --to-file "$work/again.sqlite" >>"$work/move.log" 2>&1 || fail "not moved again"
checked 'R07 file to database and back' same "$work/moved.sqlite" "$work/again.sqlite"
gateway back '[roster]' "file = \"$work/again.sqlite\""
is_whole "$gateway" || fail "R07: a gateway with the file tells another list"
kill -TERM "$pid"

# TLS of somebody else, plain text where TLS is asked for, and a wrong password.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=other \
    -keyout "$work/other.key" -out "$work/other.crt" 2>>"$work/openssl.log"
ROSTER_AUTHORITIES=$work/other.crt refused 'a certificate of somebody else' 'no TLS that can be trusted' prepare
ROSTER_ADDRESS="postgresql://tieline@localhost:$pooled/back" refused 'no TLS' 'no TLS that can be trusted' prepare
printf 'wrong\n' >"$work/wrong"
ROSTER_PASSWORD=$work/wrong refused 'a wrong password' 'refuses the user' prepare

# The password is in nothing that was printed, logged, or can be shown; and no user's name in the server's log.
"$tieline" config show --config "$work/first.toml" >"$work/shown.log" 2>&1 || fail "config show: $(cat "$work/shown.log")"
grep -q 'roster.password = {file' "$work/shown.log" || fail "config show does not say where the password is"
mapfile -t lines < <(roster_lines "$address")
export TIELINE_LOG=trace
gateway trace "${lines[@]}"
is_whole "$gateway" || fail "no whole list"
kill -TERM "$pid"
stopped "$pid"
! grep -aqF "$(cat "$work/password")" "$work"/*.log || fail "the password is in a log: $(grep -laF "$(cat "$work/password")" "$work"/*.log)"
for log in first second third fourth pooled back trace; do
    ! grep -q 'internal_error\|panicked' "$work/$log.log" || fail "$log: $(grep 'internal_error\|panicked' "$work/$log.log")"
done
kill -QUIT "$server_pid"
stopped "$server_pid"
echo "roster: one roster for all replicas, whole or not at all"
