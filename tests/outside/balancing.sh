#!/usr/bin/env bash
# The configurations of docs/SCALING.md for HAProxy and nginx as they are printed, but for addresses: four gateways
# behind each, eight callers. Each caller has one replica, whether its key comes as Bearer, as ?key= or in the path; when a
# replica ends, its callers move and no others do. No request fails.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl haproxy=haproxy nginx=nginx
build
vendor 50

callers=8
replicas="a b c d"
for one in $replicas; do
    free_port && listen=127.0.0.1:$port
    free_port && admin=127.0.0.1:$port
    # The gateway of common.sh has one caller; here are more, each with a key of its own.
    configuration "$work/$one.toml" "$listen" "$admin"
    for caller in $(seq "$callers"); do
        digest=$(printf 'legacy-key-%d' "$caller" | "$tieline" key digest)
        printf '[[caller]]\nname = "caller-%d"\nlegacy_key = { digest = "%s" }\nupstream = "ams"\n' "$caller" "$digest"
        printf 'upstream_key = { file = "v4.key" }\nsees = "everything"\n'
    done >>"$work/$one.toml"
    start "$one" "$tieline" serve --config "$work/$one.toml" --log-format json
    eval "pid_$one=$pid listen_$one=$listen admin_$one=$admin"
    until_ok 30 is_up "http://$admin/readyz"
done

# printed LANGUAGE: the page's configuration, with the addresses of this run.
printed() {
    awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' docs/SCALING.md |
        sed -e "s/port 9090//" \
            -e "s/10.0.0.11:8080/$listen_a port_of_a/" -e "s/10.0.0.12:8080/$listen_b port_of_b/" \
            -e "s/10.0.0.13:8080/$listen_c port_of_c/" -e "s/10.0.0.14:8080/$listen_d port_of_d/"
}

# asked FRONT NAME: every caller lists its users five times with each form of its key; 200 each time.
asked() {
    local caller key form
    for caller in $(seq "$callers"); do
        key=legacy-key-$caller
        for _ in 1 2 3 4 5; do
            for form in bearer parameter path; do
                case $form in
                bearer) set -- "$1" "$2" "http://$1$users" -H "authorization: Bearer $key" ;;
                parameter) set -- "$1" "$2" "http://$1$users?key=$key" ;;
                path) set -- "$1" "$2" "http://$1/api/v1/$key/agents_status" ;;
                esac
                curl --silent --fail --max-time 30 --output "$work/answer" "${@:3}" ||
                    fail "$2: caller $caller, $form"
                grep -q '"email"' "$work/answer" || fail "$2: caller $caller got no list"
            done
        done
    done
}

# homes: for each caller, the replicas that answered it since the marks, as "caller-1 a".
homes() {
    local one mark
    for one in $replicas; do
        mark=mark_$one
        tail -c "+$((${!mark:-0} + 1))" "$work/$one.log" | grep -o '"caller":"caller-[0-9]*"' |
            sed "s/.*:\"\(.*\)\"/\1 $one/" || true
    done | sort -u
}

marked() {
    sleep 0.5
    for one in $replicas; do
        eval "mark_$one=$(wc -c <"$work/$one.log")"
    done
}

# affine NAME FRONT: see above; the homes stand in $work/homes.NAME.
affine() {
    marked
    asked "$2" "$1"
    sleep 0.5
    homes >"$work/homes.$1"
    [ "$(wc -l <"$work/homes.$1")" -eq "$callers" ] || fail "$1: a caller has several replicas: $(tr '\n' ';' <"$work/homes.$1")"
    [ "$(cut -d' ' -f2 "$work/homes.$1" | sort -u | wc -l)" -ge 2 ] || fail "$1: all callers have one replica"
}

free_port && front=127.0.0.1:$port
printed haproxy | sed -e "s/0.0.0.0:80\$/$front/" \
    -e "s/port_of_a/port ${admin_a##*:}/" -e "s/port_of_b/port ${admin_b##*:}/" \
    -e "s/port_of_c/port ${admin_c##*:}/" -e "s/port_of_d/port ${admin_d##*:}/" >"$work/haproxy.cfg"
haproxy -c -f "$work/haproxy.cfg" >"$work/haproxy-c.log" 2>&1 || fail "HAProxy refuses the page's configuration"
start haproxy haproxy -db -f "$work/haproxy.cfg"
until_ok 30 is_up "http://$front$users?key=legacy-key-1"
sleep 2
affine haproxy "$front"

# A replica drains: its callers move, and no others.
gone=$(head -n 1 "$work/homes.haproxy" | cut -d' ' -f2)
old=pid_$gone old=${!old}
kill -TERM "$old"
sleep 2
cp "$work/homes.haproxy" "$work/before"
affine haproxy "$front"
! grep -q " $gone\$" "$work/homes.haproxy" || fail "haproxy: a replica that drains was asked"
grep -v " $gone\$" "$work/before" >"$work/stayed" || true
[ "$(grep -cxFf "$work/stayed" "$work/homes.haproxy")" -eq "$(wc -l <"$work/stayed")" ] ||
    fail "haproxy: a caller of another replica moved"
moved=$(grep -c " $gone\$" "$work/before")
stopped "$old"
start "$gone" "$tieline" serve --config "$work/$gone.toml" --log-format json
gone_admin=admin_$gone
until_ok 30 is_up "http://${!gone_admin}/readyz"

free_port && front=127.0.0.1:$port
mkdir -p "$work/nginx"
{
    printf 'daemon off;\npid %s/nginx/pid;\nerror_log stderr;\nevents {}\nhttp {\n' "$work"
    for kind in client_body proxy fastcgi uwsgi scgi; do
        printf '%s_temp_path %s/nginx/%s;\n' "$kind" "$work" "$kind"
    done
    printed nginx | sed -e "s/ port_of_[abcd]//" -e "s/listen 80;/listen $front;/"
    printf '}\n'
} >"$work/nginx.conf"
nginx -t -c "$work/nginx.conf" >"$work/nginx-t.log" 2>&1 || fail "nginx refuses the page's configuration"
start nginx nginx -c "$work/nginx.conf"
nginx_pid=$pid
until_ok 30 is_up "http://$front$users?key=legacy-key-1"
affine nginx "$front"
kill -TERM "$nginx_pid"
stopped "$nginx_pid"

echo "balancing: $callers callers, 4 replicas, Bearer, ?key= and paths alike: one replica for each caller behind HAProxy and nginx; $moved moved when their replica drained, no other did"
