#!/usr/bin/env bash
# The proxies of deploy/proxy as they are printed, but for names, ports and folders: real Caddy, nginx and HAProxy with
# TLS in front of a gateway. Lists are the same bytes as without a proxy, errors and 304 come through, a body is streamed,
# and no log of a proxy has a key. Traefik cannot be installed here: only its file is read.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl openssl=openssl nginx=nginx haproxy=haproxy caddy=caddy python3=python3
build
vendor 250
gateway tieline 'trusted_proxies = ["127.0.0.1", "::1"]'
expect_list "$gateway"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=legacy.example.com \
    -addext 'subjectAltName=DNS:legacy.example.com' -keyout "$work/tls.key" -out "$work/tls.crt" 2>"$work/openssl.log"
cat "$work/tls.crt" "$work/tls.key" >"$work/tls.pem"

# recipe FILE: its text with this run's addresses; the proxy's port is $front.
recipe() {
    free_port && front=$port
    sed -e "s#/etc/tieline/#$work/#g" -e "s#127.0.0.1:8080#$gateway#" -e "s#port 9090#port ${admin##*:}#" \
        -e "s#^legacy.example.com {#https://legacy.example.com:$front {#" \
        -e "s#listen 443 ssl#listen 127.0.0.1:$front ssl#" -e "s#bind :443#bind 127.0.0.1:$front#" \
        -e "s#/var/log/nginx/#$work/#" "deploy/proxy/$1"
}

# through ARGUMENT...: a request through the proxy.
through() {
    curl --silent --show-error --max-time 30 --cacert "$work/tls.crt" --resolve "legacy.example.com:$front:127.0.0.1" "$@"
}

# right NAME: what a caller sees through the proxy is what it sees without.
right() {
    local url=https://legacy.example.com:$front bearer='authorization: Bearer legacy-demo-key' version status tag
    until_ok 30 through --fail --output /dev/null -H "$bearer" "$url$users"
    for version in --http1.1 --http2; do
        through "$version" --fail --output "$work/answer" -H "$bearer" "$url$users" || fail "$1 $version: no list"
        cmp -s "$work/answer" "$work/expected" || fail "$1 $version: another list"
        through "$version" --fail --output "$work/answer" "$url$users?key=legacy-demo-key" || fail "$1 $version: ?key="
        cmp -s "$work/answer" "$work/expected" || fail "$1 $version: another list for ?key="
    done
    # Paths as clients of old write them.
    through --fail --output "$work/answer" -H "$bearer" "$url/api//user_management/v1/users/" || fail "$1: two slashes"
    cmp -s "$work/answer" "$work/expected" || fail "$1: another list for two slashes"
    status=$(through --output "$work/answer" --write-out '%{http_code}' "$url$users?key=canary-of-$1")
    [ "$status" = 401 ] && grep -q '"error"' "$work/answer" || fail "$1: a wrong key got $status"
    tag=$(through --output /dev/null --dump-header - -H "$bearer" "$url$users" | tr -d '\r' | sed -n 's/^etag: //Ip')
    status=$(through --output /dev/null --write-out '%{http_code}' -H "$bearer" -H "if-none-match: $tag" "$url$users")
    [ "$status" = 304 ] || fail "$1: an unchanged list got $status"
    through --head --output "$work/head" -H "$bearer" "$url$users" || fail "$1: HEAD"
    grep -qi '^x-request-id: ' "$work/head" || fail "$1: no x-request-id"
    ! grep -rqE 'legacy-demo-key|canary-of' "$work"/proxy-*.log "$work/tieline.log" || fail "$1: a key is in a log"
    echo "$1: lists, both forms of the key, HTTP/1.1 and HTTP/2, errors, 304 and HEAD come through; no key is in a log"
}

recipe haproxy.cfg >"$work/haproxy.cfg"
haproxy -c -f "$work/haproxy.cfg" >"$work/proxy-haproxy-c.log" 2>&1 || fail "HAProxy refuses deploy/proxy/haproxy.cfg"
start proxy-haproxy haproxy -db -f "$work/haproxy.cfg"
right haproxy

mkdir "$work/nginx"
{
    printf 'daemon off;\npid %s/nginx/pid;\nerror_log %s/proxy-nginx-all.log info;\nevents {}\nhttp {\n' "$work" "$work"
    for kind in client_body proxy fastcgi uwsgi scgi; do
        printf '%s_temp_path %s/nginx/%s;\n' "$kind" "$work" "$kind"
    done
} >"$work/nginx.conf"
recipe nginx.conf >>"$work/nginx.conf"
echo '}' >>"$work/nginx.conf"
nginx -t -c "$work/nginx.conf" >"$work/proxy-nginx-t.log" 2>&1 || fail "nginx refuses deploy/proxy/nginx.conf"
start proxy-nginx nginx -c "$work/nginx.conf"
nginx_pid=$pid
right nginx
kill -TERM "$nginx_pid"
stopped "$nginx_pid"

recipe Caddyfile >"$work/Caddyfile"
# Its admin port and the redirect from port 80 belong to a machine of its own.
sed -i '1i {\n\tadmin off\n\tauto_https disable_redirects\n}' "$work/Caddyfile"
export XDG_DATA_HOME=$work/caddy XDG_CONFIG_HOME=$work/caddy
caddy validate --adapter caddyfile --config "$work/Caddyfile" >"$work/proxy-caddy-c.log" 2>&1 || fail "Caddy refuses deploy/proxy/Caddyfile"
start proxy-caddy caddy run --adapter caddyfile --config "$work/Caddyfile"
right caddy

python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || fail "no virtual environment"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyyaml==6.0.2 >"$work/pip.log" 2>&1 || fail "pip cannot install pyyaml"
"$work/venv/bin/python3" - deploy/proxy/traefik.yaml <<'PY' || fail "deploy/proxy/traefik.yaml does not hold together"
import sys
import yaml

tree = yaml.safe_load(open(sys.argv[1]))
http = tree["http"]
assert http["routers"]["legacy"]["service"] in http["services"]
balancer = http["services"]["tieline"]["loadBalancer"]
assert balancer["serversTransport"] in http["serversTransports"]
assert balancer["servers"] == [{"url": "http://127.0.0.1:8080"}]
PY
echo "proxies: HAProxy, nginx and Caddy as printed; Traefik's file is read, not run"
