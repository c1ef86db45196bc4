#!/usr/bin/env bash
# A newcomer's first minute: start `tieline demo`, paste every curl line it prints, stop it.
#
# Each printed line is run exactly as printed and must exit 0; at least one answer must be a
# non-empty JSON array of users in the legacy shape; SIGTERM must end the demo with exit code 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

missing=()
for tool in curl jq; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing ${missing[*]} (apt-get)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
echo "tools: $(curl --version | head -n 1 | cut -d' ' -f1-2), $(jq --version)"

cargo build --release --locked --quiet
tieline=${CARGO_TARGET_DIR:-target}/release/tieline

work=$(mktemp -d)
demo=
clean_up() {
    if [ -n "$demo" ] && kill -0 "$demo" 2>/dev/null; then
        kill -KILL "$demo" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "demo_curl: $*" >&2
    for stream in out err; do
        echo "--- the demo's std$stream" >&2
        head -c 4000 "$work/$stream" >&2 || true
    done
    exit 1
}

# Port 0: the lines must name the ports that were really bound.
"$tieline" demo --users 250 --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
    >"$work/out" 2>"$work/err" </dev/null &
demo=$!

# Ready when there are curl lines and one second brought no more.
lines=0
ready=
for _ in $(seq 60); do
    sleep 1
    kill -0 "$demo" 2>/dev/null || fail "the demo ended before it printed its curl lines"
    now=$(grep -c '^curl ' "$work/out" || true)
    if [ "$now" -gt 0 ] && [ "$now" -eq "$lines" ]; then
        ready=yes
        break
    fi
    lines=$now
done
[ -n "$ready" ] || fail "no line that begins with 'curl ' within 60 s"
if grep '^curl ' "$work/out" | grep -E '127\.0\.0\.1:0([^0-9]|$)'; then
    fail "a curl line names port 0 instead of the port that was bound"
fi

ran=0
users=0
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
        users=$((users + 1))
    fi
done < <(grep '^curl ' "$work/out")

[ "$ran" -eq "$lines" ] || fail "ran $ran of $lines lines"
[ "$users" -gt 0 ] || fail "no answer is a JSON array of users with \"assigned_teams\""

kill -TERM "$demo"
for _ in $(seq 300); do
    kill -0 "$demo" 2>/dev/null || break
    sleep 0.1
done
if kill -0 "$demo" 2>/dev/null; then
    fail "still running 30 s after SIGTERM"
fi
code=0
wait "$demo" || code=$?
demo=
[ "$code" -eq 0 ] || fail "exit code $code after SIGTERM, expected 0"
echo "demo_curl: $ran curl lines answered, $users with users; exit code 0 after SIGTERM"
