#!/usr/bin/env bash
# As in a hardened container, without one: the gateway runs as nobody, in a tree that is read-only and
# holds nothing but the program, the libraries it was linked to, its configuration and a key. There is no
# /tmp, no /proc, no /etc/passwd. Lists must be answered, a reload must work, and SIGTERM must end it
# with exit code 0. Needs root, for the tree.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

[ "$(id -u)" = 0 ] || fail "needs root to make the tree"
need curl=curl jq=jq unshare=util-linux
build

# The first address behind a text, as soon as a log has it.
address() {
    until_ok 20 grep -q "$2" "$work/$1.log"
    grep -o "$2" "$work/$1.log" | grep -o '127.0.0.1:[0-9]*' | head -n 1
}

vendor 120

tree=$work/tree
mkdir -p "$tree/etc/tieline"
cp "$tieline" "$tree/tieline"
ldd "$tieline" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
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
base_url = "http://$vendor"
[[caller]]
name = "crm"
legacy_key = { digest = "$(printf legacy-demo-key | "$tieline" key digest)" }
upstream = "ams"
upstream_key = { file = "key" }
sees = "everything"
TOML
chmod -R a+rX "$work"

start gateway unshare --mount sh -c '
    mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
    exec chroot --userspec=65532:65532 "$1" /tieline serve --config /etc/tieline/tieline.toml
' sh "$tree"
gateway=$pid
listen=$(address gateway '"address":"127.0.0.1:[0-9]*"')
admin=$(address gateway '"admin":"127.0.0.1:[0-9]*"')

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
# Whole into a file: curl fails when its reader has seen enough.
ask "$admin" /metrics >"$work/metrics" || fail "no metrics"
grep -q '^tieline_log_dropped_total 0$' "$work/metrics" || fail "lost log lines"

echo '# changed' >>"$tree/etc/tieline/tieline.toml"
kill -HUP "$gateway"
until_ok 10 grep -q 'new configuration is in force' "$work/gateway.log"

kill -TERM "$gateway"
stopped "$gateway"
[ "$code" = 0 ] || fail "exit code $code"
echo "read_only: nobody, read-only, without /tmp and /proc: a list, a reload, exit 0"
