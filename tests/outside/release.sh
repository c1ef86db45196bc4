#!/usr/bin/env bash
# A release but for its build, which takes minutes: the program of the tests is packed as deploy/release.sh packs a static
# one. Archive, image and sums belong together; every crate that the program shows to contain is in the notices with a
# text of its licence and in the bill of materials; a second run gives the same papers. A tag that is not ready is
# refused.
set -euo pipefail
source "$(dirname "$0")/support/common.sh"

need python3=python3 git=git strip=binutils
build
target=$(uname -m)-unknown-linux-musl
# Of the tests' program: other crates of the workspace ask for a feature that brings it along.
export SOURCE_DATE_EPOCH=1700000000 ONLY_IN_TESTS=allocator-api2-0.2.21 GZIP_LEVEL=1
# Half of it are symbols, which a release does not have either.
strip -o "$work/tieline" "$tieline"
deploy/release/pack.sh "$work/tieline" "$target" 0123456789abcdef "$work/packed" >"$work/pack.log" 2>&1 || fail "pack.sh failed"
(cd "$work/packed" && sha256sum --check --quiet SHA256SUMS) || fail "a sum is wrong"
mkdir "$work/archive"
tar -x -f "$work"/packed/*.tar.gz -C "$work/archive" --strip-components 1
cmp "$work/tieline" "$work/archive/tieline" || fail "the archive has another program"

# A panic's place names the crate's folder.
grep -aoE 'registry/src/[^/]+/[A-Za-z0-9_+.-]+/' "$tieline" | sed 's#/$##; s#.*/##' | sort -u >"$work/crates" || true
deploy/release/third_party.py notices --target "$target" | cmp - "$work/archive/THIRD-PARTY.txt" ||
    fail "a second run gives other notices"
python3 tests/outside/support/release_papers.py "$work/archive" "$work"/packed/*.cdx.json "$work"/packed/*.oci.tar "$work/crates" ||
    fail "the papers do not fit Cargo.lock"

# refused TAG WORDS: deploy/release.sh says them about a tag, before it builds.
refused() {
    ! "$work/clone/deploy/release.sh" "$1" >"$work/refused.log" 2>&1 || fail "a release of $1 was made"
    grep -qF "$2" "$work/refused.log" || fail "not said of $1: $2"
}
git clone --quiet --no-hardlinks --depth 1 "file://$PWD" "$work/clone"
cp deploy/release.sh "$work/clone/deploy/"
version=$("$tieline" --version | sed 's/^tieline //; s/ .*//')
refused v9.9.9 "there is no tag v9.9.9"
git -C "$work/clone" tag v9.9.9
refused v9.9.9 "another version"
sed '/^## Unreleased$/d' CHANGELOG.md >"$work/clone/CHANGELOG.md"
commit() { git -C "$work/clone" -c user.name=x -c user.email=x@localhost -c commit.gpgsign=false commit --quiet --all -m x; }
{ printf '## Unreleased\n' && sed "s/^## $version\$/## 0.0.0/" "$work/clone/CHANGELOG.md"; } >"$work/changes"
cp "$work/changes" "$work/clone/CHANGELOG.md"
commit
git -C "$work/clone" tag "v$version"
refused "v$version" "has no part '## $version'"
echo "## $version" >>"$work/clone/CHANGELOG.md"
commit
git -C "$work/clone" tag --force "v$version" >"$work/tag.log" 2>&1
refused "v$version" "still has '## Unreleased'"
echo "release: packed as it would be published; a tag that is not ready is refused"
