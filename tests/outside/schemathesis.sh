#!/usr/bin/env bash
# Schemathesis against /openapi.json: requests made from the description, good and bad ones, and every
# answer held to it. The key is given here, once: a second one beside it is a 400 by design, and answers
# without one are other tests' business.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

version=4.32.5
need curl=curl python3=python3
python3 -c 'import ensurepip' 2>/dev/null || need python3-venv-is-missing=python3-venv
build
vendor 250
gateway gateway
# Its caller may place calls, which the pretend vendor only counts. The gateway takes the file up by itself.
printf 'effects = ["call"]\n' >>"$work/gateway.toml"
until_ok 30 shows "http://$admin/metrics" '^tieline_config_reload_total.*applied.* 1$'
python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || fail "no virtual environment"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >"$work/pip.log" 2>&1 ||
    fail "pip cannot install schemathesis"
cd "$work"
# Paths that a key stands in take it there, and none beside it.
printf '[parameters]\n"path.key" = "legacy-demo-key"\n' >"$work/keyed.toml"
: >"$work/plain.toml"
covered() {
    local config=$1 unchecked=$2
    shift 2
    venv/bin/schemathesis --config-file "$config" run "http://$gateway/openapi.json" "$@" \
        --checks all --exclude-checks "$unchecked" --generation-with-security-parameters=false \
        --phases coverage,fuzzing --max-examples "${EXAMPLES:-50}" --seed 1 --no-color >"$work/schemathesis.log" 2>&1 || {
        tail -n 80 "$work/schemathesis.log" >&2
        fail "answers do not fit the description"
    }
    grep -aE 'generated|No issues found' "$work/schemathesis.log"
}
covered plain.toml ignored_auth --header 'authorization: Bearer legacy-demo-key' --exclude-path-regex '/\{key\}/'
covered keyed.toml ignored_auth --include-path-regex '/\{key\}/agents_status'
# Whether a call is placed is a matter of the data: hardly any generated text is an agent.
covered keyed.toml ignored_auth,positive_data_acceptance --include-path-regex '/\{key\}/click2call'
# What was generated has reached the endpoints behind the key.
for endpoint in v1_agents_status v1_click2call; do
    shows "http://$admin/metrics" "^tieline_requests_total{caller=\"crm\",endpoint=\"$endpoint\"" ||
        fail "no request with the key in its path came to $endpoint"
done
echo "schemathesis: every answer fits the description"
