#!/usr/bin/env bash
# Packs a binary: the last step of deploy/release.sh, which also says where the files go.
#
#     deploy/release/pack.sh BINARY TARGET COMMIT FOLDER
#
# It writes an archive, an image, a bill of materials and SHA256SUMS into FOLDER. SOURCE_DATE_EPOCH is the time that they
# all bear. It stops if the binary names a crate that the notices lack.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

binary=$1 target=$2 commit=$3 folder=$4
time=${SOURCE_DATE_EPOCH:?}
# Of compression; tests choose the fastest.
level=${GZIP_LEVEL:-9}
version=$("$binary" --version | sed 's/^tieline //; s/ .*//')
name=tieline-$version-$target
tree=$folder/$name
mkdir -p "$tree/completions"

install -m 0755 "$binary" "$tree/tieline"
install -m 0644 README.md CHANGELOG.md LICENSE-* deploy/tieline.service deploy/tieline.socket deploy/tieline-admin.socket \
    deploy/tieline.example.toml "$tree"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$tree/completions/tieline.$shell"
done
deploy/release/third_party.py notices --target "$target" >"$tree/THIRD-PARTY.txt"
deploy/release/third_party.py sbom --target "$target" --time "$(date -u -d "@$time" +%FT%TZ)" >"$folder/$name.cdx.json"

# A panic's place names the crate's folder.
grep -aoE 'registry/src/[^/]+/[A-Za-z0-9_+.-]+/' "$binary" | sed 's#/$##; s#.*/##' | sort -u >"$folder/crates"
deploy/release/third_party.py names --target "$target" | sort >"$folder/names"
missing=$(comm -23 "$folder/crates" "$folder/names")
rm "$folder/crates" "$folder/names"
# The program of the tests has one crate more (ONLY_IN_TESTS).
if [ -n "$missing" ] && [ "$missing" != "${ONLY_IN_TESTS:-}" ]; then
    echo "pack: in the binary, but not in the notices: $missing" >&2
    exit 1
fi

image=$folder/image
mkdir -p "$image/licenses"
install -m 0755 "$binary" "$image/tieline"
install -m 0644 LICENSE-* "$tree/THIRD-PARTY.txt" "$image/licenses"
deploy/release/image.py --tree "$image" --target "$target" --version "$version" --revision "$commit" --time "$time" \
    --level "$level" --out "$folder/$name.oci.tar"
rm -r "$image"

tar --create --directory "$folder" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=go-w "$name" |
    gzip --no-name "-$level" >"$folder/$name.tar.gz"
rm -r "$tree"
(cd "$folder" && sha256sum "$name".* >SHA256SUMS && cat SHA256SUMS)
