#!/usr/bin/env bash
# Walks the pages: every command that README.md, CONTRIBUTING.md, docs/ and deploy/ print is run as printed
# in a temporary folder, over the pretend vendor, or stands in the table of what cannot be run here, with the
# reason. A new command that does neither fails; so does a printed answer that the program does not give, and a
# picture of docs/ that is not drawn from its table.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need curl=curl sqlite3=sqlite3 python3=python3
tests/bench/pictures.py --check || fail "a picture of docs/ is not drawn from its table"
build
free_port && listen=$port
free_port && vendor_port=$port
free_port && admin=$port
python3 tests/outside/support/pages.py "$tieline" "$work" "$listen" "$vendor_port" "$admin"
