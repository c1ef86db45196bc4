#!/usr/bin/env bash
# Two gateways, one vendor, a real Redis: a 429 that one of them got holds both from the next second on (J19), and a 401
# that one of them got empties what the other keeps (J20).
set -euo pipefail
source "$(dirname "$0")/support/common.sh"
source tests/outside/support/commons.sh

need curl=curl python3=python3 redis-cli=redis-tools
build
# Debian's redis-server is a link to a program of redis-tools.
ln -s "$(command -v redis-check-rdb)" "$work/redis-server"
vendor 250
simulator=${vendor##*:}
notes=$work/notes
free_port
vendor=127.0.0.1:$port
start door python3 tests/outside/support/commons_pace.py relay "$port" "$simulator" "$notes"
until_ok 10 curl --silent --output /dev/null "http://$vendor/"
server "$work/redis-server"
engine=$port
"$tieline" key seal >"$work/seal_key"
for one in a b; do
    gateway "$one"
    kill -KILL "$pid"
    printf '[cache]\nfresh_for = "60s"\n[commons]\nvalkey = ["valkey://127.0.0.1:%s"]\nseal_key = { file = "seal_key" }\nreplicas_max = 2\n' \
        "$engine" >>"$work/$one.toml"
    start "$one" "$tieline" serve --config "$work/$one.toml" --log-format json
    disown "$pid"
    eval "$one=$gateway"
    until_ok 30 shows "http://$admin/metrics" '^tieline_commons_alone 0'
done

# get ADDRESS QUERY: status, error and cache of an answer, in $said.
get() {
    said=$(curl --silent --output /dev/null --max-time 30 \
        --write-out '%{http_code} %header{x-tieline-error} %header{x-tieline-cache}' \
        -H 'authorization: Bearer legacy-demo-key' "http://$1$users$2")
}
now() { python3 -c 'import time; print(time.monotonic())'; }

printf 'HTTP/1.1 429 Too Many Requests\nretry-after: 4\ncontent-length: 0\n\n' >"$notes.tell"
from=$(now)
get "$a" '?name=first' &
asker=$!
disown "$asker"
sleep 1.2
before=$(wc -l <"$notes")
get "$b" '?name=second'
[ "$said" = '200  ' ] || fail "after the pause: $said"
[ "$before" -ge 1 ] || fail "the 429 was not given"
python3 - "$notes" "$from" "$before" <<'PYTHON' || fail "the other replica did not wait"
import sys
notes, since, before = sys.argv[1:]
times = [float(line) for line in open(notes, encoding="ascii")]
later = times[int(before)]
print(f"J19: the other replica asked {later - float(since):.2f} s after the 429 that said 4 s")
sys.exit(later - float(since) < 3.9)
PYTHON

get "$b" ''
get "$b" ''
[ "$said" = '200  hit' ] || fail "nothing is kept: $said"
printf 'HTTP/1.1 401 Unauthorized\ncontent-length: 0\n\n' >"$notes.tell"
get "$a" '?name=third'
[ "$said" = '502 mapped_key_refused ' ] || fail "after the 401: $said"
sleep 1
get "$b" ''
[ "$said" = '502 mapped_key_refused ' ] || fail "the other replica still shows what it keeps: $said"
sleep 5
get "$b" ''
[ "$said" = '200  ' ] || fail "5 s after the 401: $said"
echo 'J20: the other replica showed nothing of what it kept, a second after the 401'
