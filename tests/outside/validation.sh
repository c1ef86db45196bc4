#!/usr/bin/env bash
# The proof from outside, with the program as it is shipped: validate, calibrate, record, replay without
# either API, and 50,000 users a side within bounded memory.
#
# FIGURES=1 prints time and memory of the large run for docs/VALIDATION.md.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl jq=jq time=time
build
export LEGACY_KEY=legacy-demo-key
# What a validation of 50,000 users may use, in MiB; see docs/VALIDATION.md.
memory_max=320

# validate REPORT ARGUMENT...: runs it; its exit code in $code, its output in $work/REPORT.log.
validate() {
    local report=$1
    shift
    code=0
    "$tieline" validate --config "$work/tieline.toml" --report "$work/$report" "$@" \
        >"$work/$report.log" 2>&1 </dev/null || code=$?
}

# verdict REPORT: what the JSON report says.
verdict() {
    jq -r .verdict "$work/$1/report.json"
}

vendor 250
configuration "$work/tieline.toml" 127.0.0.1:0 127.0.0.1:0
live=(--control "http://$vendor" --control-key env:LEGACY_KEY --rate 1000)

validate live "${live[@]}"
[ "$code" -eq 0 ] && [ "$(verdict live)" = agree ] || fail "no agreement with the vendor's own legacy face"
asked=$(jq .totals.control_requests "$work/live/report.json")
extra=$(jq .totals.control_requests_extra "$work/live/report.json")
[ "$((extra * 20))" -le "$asked" ] || fail "$extra of $asked requests were extra"
for file in report.html report.json report.junit.xml; do
    [ -s "$work/live/$file" ] || fail "no $file"
done
! grep -rqE 'legacy-demo-key|v4-demo-key|@cc1\.example\.com' "$work/live" || fail "a secret is in a report"
echo "live: $(jq -r .because "$work/live/report.json"); $asked requests, $extra of them extra"

validate alone --rate 100000
[ "$code" -eq 0 ] || fail "candidate alone does not hold"
echo "alone: $(jq -r .because "$work/alone/report.json")"

"$tieline" calibrate --config "$work/tieline.toml" "${live[@]}" >"$work/quirks.toml" 2>"$work/calibrate.log" ||
    [ $? -eq 1 ] || fail "calibrate failed"
! grep -q '^\[' "$work/quirks.toml" || fail "calibrate would change a setting though all agree"

"$tieline" record --config "$work/tieline.toml" "${live[@]}" --out "$work/corpus" >"$work/record.log" 2>&1 ||
    fail "record failed"
! grep -qE 'legacy-demo-key|v4-demo-key|@cc1\.example\.com' "$work/corpus" || fail "a secret is in the corpus"
kill "$pid"
stopped "$pid"

validate replay --control "$work/corpus"
[ "$code" -eq 0 ] && [ "$(verdict replay)" = agree ] || fail "the replay does not agree"
same='{compared: .totals.compared, matched: .totals.matched, causes: .totals.causes}'
[ "$(jq -c "$same" "$work/live/report.json")" = "$(jq -c "$same" "$work/replay/report.json")" ] ||
    fail "the replay is not what was seen live"
printf '\n[legacy.v1_users]\nemployee_id = "number"\n' >>"$work/tieline.toml"
validate changed --control "$work/corpus"
[ "$(jq '[.findings[] | select(.field == "employee_id" and .cause == "quirk")] | length' \
    "$work/changed/report.json")" -gt 0 ] || fail "the replay does not see a changed setting"
echo "replay: $(jq -r .because "$work/replay/report.json"), without either API"

vendor 50000
configuration "$work/tieline.toml" 127.0.0.1:0 127.0.0.1:0 
printf '[limits]\nrequest_deadline = "120s"\n' >>"$work/tieline.toml"
code=0
/usr/bin/time -f '%M %e %U' -o "$work/used" "$tieline" validate --config "$work/tieline.toml" \
    --report "$work/large" --control "http://$vendor" --control-key env:LEGACY_KEY --rate 1000 \
    --values 1 --no-pairs >"$work/large.log" 2>&1 </dev/null || code=$?
[ "$code" -eq 0 ] && [ "$(verdict large)" = agree ] || fail "no agreement over 50,000 users"
read -r kib seconds processor <"$work/used"
echo "50,000 users: $(jq -r .because "$work/large/report.json"); $seconds s, $processor s of processor, \
$((kib / 1024)) MiB at most"
[ "$((kib / 1024))" -le "$memory_max" ] || fail "$((kib / 1024)) MiB, more than $memory_max"
