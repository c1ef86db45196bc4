#!/usr/bin/env bash
# The papers of a release, made anew from Cargo.lock: every crate that the program shows to contain is in the notices with a
# text of its licence and in the bill of materials, both name only crates of Cargo.lock, and a second run gives the same
# bytes.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need python3=python3
build
target=$(rustc -vV | sed -n 's/^host: //p')
target=${target/-gnu/-musl}
for run in 1 2; do
    for what in notices sbom; do
        deploy/release/third_party.py "$what" --target "$target" >"$work/$what-$run" 2>"$work/third-party.log" ||
            fail "third_party.py $what ended with an error"
    done
done
cmp "$work/notices-1" "$work/notices-2" && cmp "$work/sbom-1" "$work/sbom-2" || fail "a second run gives other papers"

# A panic's place names the crate's folder.
grep -aoE 'registry/src/[^/]+/[A-Za-z0-9_+.-]+/' "$tieline" | sed 's#/$##; s#.*/##' | sort -u >"$work/crates" || true
python3 tests/outside/support/release_papers.py "$work/notices-1" "$work/sbom-1" "$work/crates" ||
    fail "the papers do not fit Cargo.lock"
