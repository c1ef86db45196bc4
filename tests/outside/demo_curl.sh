#!/usr/bin/env bash
# A newcomer's first minute: start `tieline demo`, paste every curl line it prints, stop it.
#
# Each printed line is run exactly as printed and must exit 0; at least one answer must be a
# non-empty JSON array of users in the legacy shape; SIGTERM must end the demo with exit code 0.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl jq=jq
echo "tools: $(curl --version | head -n 1 | cut -d' ' -f1-2), $(jq --version)"
build

# Port 0: the lines must name the ports that were really bound.
start demo "$tieline" demo --users 250 --listen 127.0.0.1:0 --admin 127.0.0.1:0
demo=$pid
printed=$work/demo.log

# Ready when there are curl lines and one second brought no more.
lines=0
ready=
for _ in $(seq 60); do
    sleep 1
    kill -0 "$demo" 2>/dev/null || fail "the demo ended before it printed its curl lines"
    now=$(grep -c '^curl ' "$printed" || true)
    if [ "$now" -gt 0 ] && [ "$now" -eq "$lines" ]; then
        ready=yes
        break
    fi
    lines=$now
done
[ -n "$ready" ] || fail "no line that begins with 'curl ' within 60 s"
if grep '^curl ' "$printed" | grep -E '127\.0\.0\.1:0([^0-9]|$)'; then
    fail "a curl line names port 0 instead of the port that was bound"
fi

ran=0
with_users=0
while IFS= read -r line; do
    ran=$((ran + 1))
    timeout 60 bash -c "$line" >"$work/answer" 2>"$work/curl_err" </dev/null || {
        code=$?
        cat "$work/curl_err" >&2
        fail "exit code $code from: $line"
    }
    # 0 for whatever is not one JSON array of users: headers, metrics, an error, an empty list.
    rows=$(jq -rs 'if length == 1 and (.[0] | type == "array" and all(.[]; has("assigned_teams")))
                   then .[0] | length else 0 end' "$work/answer" 2>/dev/null || echo 0)
    echo "ok, $(wc -c <"$work/answer") bytes, $rows users: $line"
    if [ "$rows" -gt 0 ]; then
        with_users=$((with_users + 1))
    fi
done < <(grep '^curl ' "$printed")

[ "$ran" -eq "$lines" ] || fail "ran $ran of $lines lines"
[ "$with_users" -gt 0 ] || fail "no answer is a JSON array of users with \"assigned_teams\""

kill -TERM "$demo"
stopped "$demo"
[ "$code" -eq 0 ] || fail "exit code $code after SIGTERM, expected 0"
echo "demo_curl: $ran curl lines answered, $with_users with users; exit code 0 after SIGTERM"
