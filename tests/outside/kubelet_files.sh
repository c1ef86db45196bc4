#!/usr/bin/env bash
# Configurations and keys that change as the kubelet changes them in the folders of a ConfigMap and of a Secret: the
# files are links to a folder that is exchanged as a whole. A running gateway takes up a new configuration and a new key
# by itself. A configuration that names a key which is not there yet is refused and the old one stays; once the Secret
# arrives, the new one is in force.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl
build
vendor 100

# published FOLDER FILE=TEXT...: what the kubelet's atomic writer does: a new folder with every file, a link to it that
# takes the place of the one before in a single step, and links of the files' names; then what is old is removed. A
# folder holds exactly the files that were named last.
generation=0
published() {
    local mount=$work/$1 pair name before
    shift
    generation=$((generation + 1))
    mkdir -p "$mount"
    before=$(readlink "$mount/..data" || true)
    local now=..2026_12_01_$generation
    mkdir "$mount/$now"
    for pair in "$@"; do
        printf '%s' "${pair#*=}" >"$mount/$now/${pair%%=*}"
    done
    ln -s "$now" "$mount/..data_tmp"
    mv -T "$mount/..data_tmp" "$mount/..data"
    for pair in "$@"; do
        name=${pair%%=*}
        [ -L "$mount/$name" ] || ln -s "..data/$name" "$mount/$name"
    done
    for name in "$mount"/*; do
        [ ! -L "$name" ] || [ -e "$name" ] || rm "$name"
    done
    [ -z "$before" ] || rm -r "${mount:?}/$before"
}

digest() { printf %s "$1" | "$tieline" key digest; }

# text CALLER=KEYFILE...: a configuration of these callers; the legacy key of each is its name and -key.
text() {
    local pair
    printf '[log]\nlevel = "%s"\n' "$level"
    printf '[upstream.ams]\ndialect = "voiso-v4"\nbase_url = "http://%s"\n' "$vendor"
    for pair in "$@"; do
        printf '[[caller]]\nname = "%s"\nlegacy_key = { digest = "%s" }\n' "${pair%%=*}" "$(digest "${pair%%=*}-key")"
        printf 'upstream = "ams"\nsees = "everything"\nupstream_key = { file = "%s/%s" }\n' "$work" "${pair#*=}"
    done
}

# answers CALLER STATUS: what a list of users is for it.
answers() {
    local status
    status=$(curl --silent --max-time 20 -o /dev/null -w '%{http_code}' -H "authorization: Bearer $1-key" "http://$gateway$users")
    [ "$status" = "$2" ] || fail "$1 gets $status, not $2, $step"
}

# in_force NUMBER: waits until this many configurations were in force, and says so in the log.
in_force() {
    until_ok 20 grep -qE "\"epoch\":$1.*the new configuration is in force|the new configuration is in force.*\"epoch\":$1" "$work/gateway.log"
    ! grep -qE "the new configuration is in force.*\"epoch\":$(($1 + 1))" "$work/gateway.log" || fail "one epoch too many, $step"
}

# refused TEXT: waits until the log says that a configuration was refused for this. The folder is not exchanged in one
# instant, so a look in between may refuse it for something else first; each refusal is counted.
refusals=0
refused() {
    until_ok 20 has_new_refusal "$1"
    until_ok 20 counts_refusals
    refusals=$(refusals_so_far | wc -l)
}
refusals_so_far() { grep 'was not reloaded' "$work/gateway.log" || true; }
has_new_refusal() { grep -qF "$1" < <(refusals_so_far | tail -n +"$((refusals + 1))"); }
counts_refusals() {
    local counted
    counted=$(curl --silent --fail "http://$admin/metrics" | sed -nE 's/^tieline_config_reload_total\{[^}]*refused[^}]*\} //p')
    [ "$counted" -eq "$(refusals_so_far | wc -l)" ]
}

level=info
step="at the start"
published keys voiso=v4-demo-key
published config tieline.toml="$(text old=keys/voiso)"
# An optional Secret that is not there is an empty folder.
published later
free_port && gateway=127.0.0.1:$port
free_port && admin=127.0.0.1:$port
export TIELINE_SERVER__LISTEN=$gateway TIELINE_ADMIN__LISTEN=$admin
start gateway "$tieline" serve --config "$work/config/tieline.toml" --log-format json
until_ok 30 is_up "http://$admin/readyz"
answers old 200
answers new 401

step="after a new ConfigMap"
published config tieline.toml="$(text old=keys/voiso new=keys/voiso)"
in_force 2
answers old 200
answers new 200

step="with a key that is not in the Secret yet"
published config tieline.toml="$(text old=keys/voiso late=keys/second)"
refused keys/second
answers old 200
answers new 200
answers late 401
step="once the Secret has the key"
published keys voiso=v4-demo-key second=v4-demo-key
in_force 3
answers late 200
answers new 401

step="with a Secret that is not there yet"
published config tieline.toml="$(text old=keys/voiso later=later/voiso)"
refused later/voiso
answers old 200
answers later 401
step="once there is the Secret"
published later voiso=v4-demo-key
in_force 4
answers later 200

step="after a wrong key came with the Secret"
published keys voiso=a-wrong-key second=v4-demo-key
in_force 5
answers old 502
answers later 200
step="after the right one came"
published keys voiso=v4-demo-key second=v4-demo-key
in_force 6
answers old 200

step="with a setting that needs a start"
level=warn
published config tieline.toml="$(text old=keys/voiso)"
refused log.level
answers later 200
step="without it again"
level=info
published config tieline.toml="$(text old=keys/voiso)"
in_force 7
answers old 200
answers later 401

step="after a key left the Secret"
published keys second=v4-demo-key
refused keys/voiso
answers old 200
echo "kubelet's files: 2 ConfigMaps and 4 Secrets taken up; 4 configurations refused, and the one before stayed"
