#!/usr/bin/env bash
# As in a hardened container, without one: the gateway runs as nobody, in a tree that is read-only and
# holds nothing but the program, the libraries it was linked to, its configuration and a key. There is no
# /tmp, no /proc, no /etc/passwd. Lists must be answered, a reload must work, and SIGTERM must end it
# with exit code 0. Needs root, for the tree; TIELINE names another binary than the release build's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "$(id -u)" != 0 ]; then
    echo "read_only: needs root to make the tree" >&2
    exit 1
fi
if [ -z "${TIELINE:-}" ]; then
    cargo build --release --locked --quiet
    TIELINE=${CARGO_TARGET_DIR:-target}/release/tieline
fi

work=$(mktemp -d)
vendor=
gateway=
clean_up() {
    for process in $gateway $vendor; do
        kill -KILL "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "read_only: $*" >&2
    for log in "$work"/*.log; do
        echo "--- $log" >&2
        head -c 4000 "$log" >&2 || true
    done
    exit 1
}

# The first http://HOST:PORT behind a text, as soon as a file has it.
address() {
    local found
    for _ in $(seq 200); do
        found=$(grep -o "$2" "$1" 2>/dev/null | grep -o '127.0.0.1:[0-9]*' | head -n 1 || true)
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        sleep 0.1
    done
    fail "no address in $1"
}

"$TIELINE" simulate --users 120 --listen 127.0.0.1:0 >"$work/vendor.log" 2>&1 &
vendor=$!
upstream=$(address "$work/vendor.log" 'is at http://127.0.0.1:[0-9]*')

tree=$work/tree
mkdir -p "$tree/etc/tieline"
cp "$TIELINE" "$tree/tieline"
ldd "$TIELINE" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$tree$(dirname "$library")"
    cp "$library" "$tree$library"
done
printf 'v4-demo-key\n' >"$tree/etc/tieline/key"
cat >"$tree/etc/tieline/tieline.toml" <<TOML
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[limits]
drain_delay = "500ms"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://$upstream"
[[caller]]
name = "crm"
legacy_key = { digest = "$(printf legacy-demo-key | "$TIELINE" key digest)" }
upstream = "ams"
upstream_key = { file = "key" }
sees = "everything"
TOML
chmod -R a+rX "$work"

unshare --mount sh -c '
    mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
    exec chroot --userspec=65532:65532 "$1" /tieline serve --config /etc/tieline/tieline.toml
' sh "$tree" >"$work/gateway.log" 2>&1 &
gateway=$!
listen=$(address "$work/gateway.log" '"address":"127.0.0.1:[0-9]*"')
admin=$(address "$work/gateway.log" '"admin":"127.0.0.1:[0-9]*"')

[ "$(awk '/^Uid:/ { print $2 }' "/proc/$gateway/status")" = 65532 ] || fail "not nobody"
[ "$(readlink "/proc/$gateway/root")" = "$tree" ] || fail "not in the tree"
for folder in tmp proc dev; do
    [ ! -e "$tree/$folder" ] || fail "/$folder is there"
done
ask() {
    curl -sS --max-time 20 -H 'Authorization: Bearer legacy-demo-key' "http://$1$2"
}
[ "$(ask "$listen" /api/user_management/v1/users | jq length)" -gt 50 ] || fail "no list"
[ "$(ask "$admin" /readyz)" = ready ] || fail "not ready"
ask "$admin" /metrics | grep -q '^tieline_log_dropped_total 0$' || fail "lost log lines, or no metrics"

echo '# changed' >>"$tree/etc/tieline/tieline.toml"
kill -HUP "$gateway"
for _ in $(seq 100); do
    grep -q 'new configuration is in force' "$work/gateway.log" && break
    sleep 0.1
done
grep -q 'new configuration is in force' "$work/gateway.log" || fail "no reload"

kill -TERM "$gateway"
code=0
wait "$gateway" || code=$?
[ "$code" = 0 ] || fail "exit code $code"
gateway=
echo "read_only: nobody, read-only, without /tmp and /proc: a list, a reload, exit 0"
