#!/usr/bin/env bash
# The console in a real browser, headless Chromium: planted states, hostile names, wide and narrow, light and dark, by
# keyboard and without its script; a request that is tried; pages of another site that try to read it, one of them under a name that was
# made to lead to it; 10,000 callers.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need python3=python3 chromium=chromium chromedriver=chromium-driver
build

vendor 250
digest() { printf '%s' "$1" | "$tieline" key digest; }

# Ten thousand callers on a second gateway, which takes a while to start.
printf v4-demo-key >"$work/v4.key"
free_port; crowd=127.0.0.1:$port
free_port; crowd_gateway=127.0.0.1:$port
python3 - "$work/crowd.toml" "$crowd_gateway" "$crowd" "$vendor" <<'PYTHON'
import hashlib
import sys

file, gateway, admin, vendor = sys.argv[1:]
with open(file, "w") as out:
    out.write(f'[server]\nlisten = "{gateway}"\n[admin]\nlisten = "{admin}"\n')
    out.write(f'[upstream.ams]\ndialect = "voiso-v4"\nbase_url = "http://{vendor}"\n')
    for number in range(10_000):
        digest = hashlib.sha256(f"key-{number}".encode()).hexdigest()
        out.write(f'[[caller]]\nname = "caller-{number}"\nlegacy_key = {{ digest = "sha256:{digest}" }}\n'
                  'upstream = "ams"\nupstream_key = { file = "v4.key" }\nsees = "everything"\n')
PYTHON
start crowd "$tieline" serve --config "$work/crowd.toml" --log-format json
crowded=$pid

# Names that would be markup, a refused key, a path that nothing answers.
free_port; gateway=127.0.0.1:$port
free_port; admin=127.0.0.1:$port
printf 'a-key-that-nobody-knows' >"$work/bad.key"
{
    printf '[server]\nlisten = "%s"\n[admin]\nlisten = "%s"\ntry_requests = true\n' "$gateway" "$admin"
    printf '[upstream."</script><img src=x onerror=alert(1)>"]\ndialect = "voiso-v4"\nbase_url = "http://%s"\n' "$vendor"
    for caller in crm payroll; do
        key=v4.key
        [ "$caller" = crm ] || key=bad.key
        printf '[[caller]]\nname = "%s"\nlegacy_key = { digest = "%s" }\n' "$caller" "$(digest "$caller-key")"
        printf 'upstream = "</script><img src=x onerror=alert(1)>"\nupstream_key = { file = "%s" }\n' "$key"
        if [ "$caller" = crm ]; then
            printf 'sees = "everything"\n'
        else
            printf 'sees = { groups = ["\\u202E<b onclick=alert(2)>"] }\n'
        fi
    done
} >"$work/console.toml"
start gateway "$tieline" serve --config "$work/console.toml" --log-format json
console=$pid
until_ok 30 is_up "http://$admin/readyz"
ask() { curl --silent --output /dev/null --max-time 20 -H "authorization: Bearer $1" "http://$gateway$2" || true; }
ask crm-key "$users?sag=Agent"
ask crm-key /api/v2/cdr
ask payroll-key "$users"
# A configuration that is refused: its names are in the reason.
cp "$work/console.toml" "$work/good.toml"
printf '\n[limits]\n"</script><i>" = 1\n' >>"$work/console.toml"
kill -HUP "$console"
refused() { grep -q '"configuration refused"' < <(curl --silent "http://$admin/api/v1/overview"); }
until_ok 20 refused

free_port
start chromedriver chromedriver --port="$port" --log-level=WARNING
driver=$pid
until_ok 30 python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/status', timeout=5)"
python3 tests/outside/support/console_browser.py "http://127.0.0.1:$port" "http://$admin" "http://$crowd" \
    2>&1 | tee "$work/browser.log" || fail "the console is not as it should be"
for pid in "$driver" "$console" "$crowded"; do
    kill "$pid"
    stopped "$pid"
done
