#!/usr/bin/env bash
# The HTML report in a real browser, headless Chromium, from its file: wide and narrow, light and dark,
# by keyboard, as a screen reader is told of it, and with hostile text in it. The reports are made up
# (crates/report/examples/sample_report.rs), so nothing of the release build is needed. SAMPLE_REPORT
# names the program that makes them, if it is built already.
#
# SCREENSHOTS=FOLDER keeps a picture of the first screen of every combination.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need python3=python3 chromium=chromium chromedriver=chromium-driver

sample=${SAMPLE_REPORT:-}
if [ -z "$sample" ]; then
    # Of the whole workspace, so that what its tests were built with is used again.
    cargo build --workspace --example sample_report --locked --quiet
    sample=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/examples/sample_report
fi
for kind in rich agreeing empty crowded hostile; do
    "$sample" "$kind" html "$work/$kind.html"
    [ -s "$work/$kind.html" ] || fail "no report of the kind $kind"
done

free_port
start chromedriver chromedriver --port="$port" --log-level=WARNING
until_ok 30 python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/status', timeout=5)"

mkdir -p "${SCREENSHOTS:=$work/screenshots}"
python3 tests/outside/support/report_browser.py "http://127.0.0.1:$port" "$work" "$SCREENSHOTS" \
    2>&1 | tee "$work/browser.log" || fail "the report is not as it should be"
kill "$pid"
stopped "$pid"
