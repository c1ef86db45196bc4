#!/usr/bin/env bash
# The recipes of deploy, as far as a machine without systemd and Docker allows: the unit is verified and its exposure judged
# by systemd-analyze; Compose reads compose.yaml; and the program runs as the image and compose.yaml say, alone in an
# otherwise empty folder, as user 65532, with the key's file made by the printed command; and it takes sockets that
# systemd-socket-activate opened. Needs root.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl python3=python3 systemd-analyze=systemd
docker compose version >/dev/null 2>&1 || need docker-compose=docker-compose
build

# verified FILE: systemd has nothing to say about a unit.
verified() {
    systemd-analyze verify --man=no "$1" >"$work/verify.log" 2>&1 || fail "systemd refuses ${1##*/}"
    [ ! -s "$work/verify.log" ] || fail "systemd complains about ${1##*/}"
}
mkdir "$work/unit"
sed "s#/usr/local/bin/tieline#$tieline#" deploy/tieline.service >"$work/unit/tieline.service"
verified "$work/unit/tieline.service"
for socket in tieline tieline-admin; do
    cp "deploy/$socket.socket" "$work/unit/"
    verified "$work/unit/$socket.socket"
done
exposure=$(systemd-analyze security --no-pager --offline=true --threshold=15 "$work/unit/tieline.service" |
    sed -n 's/.*Overall exposure level[^:]*: \([0-9.]*\).*/\1/p') || fail "the unit exposes more than 1.5"
[ -n "$exposure" ] || fail "systemd-analyze does not tell the unit's exposure"

# The example, with what its comments and the unit's say, is a good configuration.
mkdir "$work/credentials"
printf v4-demo-key >"$work/credentials/voiso_v4_key"
sed -e '/^upstream_key = { env = "VOISO_V4_KEY" }$/d' -e 's/^# \(upstream_key = { file = "\/run\/credentials\)/\1/' \
    -e "s#/run/credentials/tieline.service/#$work/credentials/#" deploy/tieline.example.toml >"$work/example.toml"
"$tieline" config check --config "$work/example.toml" >"$work/example.log" 2>&1 ||
    fail "tieline.example.toml as the unit's comment wants it is refused"

compose=(docker compose)
docker compose version >/dev/null 2>&1 || compose=(docker-compose)
"${compose[@]}" --file deploy/compose.yaml config >"$work/compose.yaml" 2>"$work/compose.log" ||
    fail "Compose refuses deploy/compose.yaml"
for line in 'user: 65532:65532' 'read_only: true' /etc/tieline/tieline.toml 'source: voiso_v4_key'; do
    grep -qF -- "$line" "$work/compose.yaml" || fail "Compose does not read of compose.yaml: $line"
done

# The empty folder: the program, and the libraries that a program of the tests needs. A release is static.
root=$work/root
mkdir -p "$root/etc/tieline" "$root/run/secrets"
install -m 0755 "$tieline" "$root/tieline"
for library in $(ldd "$tieline" 2>/dev/null | grep -o '/[^ ]*'); do
    install -D "$library" "$root$library"
done
vendor 250
free_port && gateway=127.0.0.1:$port
free_port && admin=127.0.0.1:$port
configuration "$root/etc/tieline/tieline.toml" 127.0.0.1:1 127.0.0.1:1
sed -i 's#"v4.key"#"/run/secrets/voiso_v4_key"#' "$root/etc/tieline/tieline.toml"

# contained LOG WORD...: the program as the image runs it. The addresses are variables there, too.
contained() {
    start "$1" env --ignore-environment "TIELINE_SERVER__LISTEN=$gateway" "TIELINE_ADMIN__LISTEN=$admin" \
        setpriv --no-new-privs "$(command -v chroot)" --userspec=65532:65532 "$root" /tieline "${@:2}"
}
serve=(serve --config /etc/tieline/tieline.toml)

install -m 0600 "$work/v4.key" "$root/run/secrets/voiso_v4_key"
contained unreadable "${serve[@]}"
stopped "$pid"
[ "$code" = 78 ] || fail "with a key that 65532 cannot read the exit code was $code"
rm "$root/run/secrets/voiso_v4_key"
recipe=$(sed -n 's/^#     \(install .* voiso_v4_key\) .*/\1/p' deploy/compose.yaml)
[ -n "$recipe" ] || fail "compose.yaml has no command for the key"
(cd "$root/run/secrets" && bash -c "$recipe" <"$work/v4.key") || fail "not run: $recipe"

find "$root" -printf '%P %s %m\n' | sort >"$work/before"
contained tieline "${serve[@]}"
gateway_pid=$pid
until_ok 30 is_up "http://$admin/readyz"
expect_list "$gateway"
contained healthcheck healthcheck
stopped "$pid"
[ "$code" = 0 ] || fail "tieline healthcheck ended with $code"
kill -TERM "$gateway_pid"
stopped "$gateway_pid"
[ "$code" = 0 ] || fail "the gateway ended with $code"
find "$root" -printf '%P %s %m\n' | sort | cmp - "$work/before" || fail "the gateway wrote into its folder"
contained healthcheck healthcheck
stopped "$pid"
[ "$code" = 1 ] || fail "tieline healthcheck of a gateway that has ended is $code"

# Ports that systemd opens: a connection that came before the program is answered by it.
configuration "$work/sockets.toml" "$gateway" "$admin"
start sockets systemd-socket-activate --listen="$gateway" --listen="$admin" --fdname=server:admin \
    "$tieline" serve --config "$work/sockets.toml"
sockets_pid=$pid
# The first connection starts the program.
until_ok 30 is_up "http://$admin/readyz"
expect_list "$gateway"
kill -TERM "$sockets_pid"
stopped "$sockets_pid"
[ "$code" = 0 ] || fail "the gateway over sockets of systemd ended with $code"
echo "recipes: the units are verified (exposure $exposure); Compose reads compose.yaml; the program runs alone as 65532 and over sockets of systemd"
