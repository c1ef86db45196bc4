#!/usr/bin/env bash
# Makes the files of a release from a tag, and publishes nothing:
#
#     deploy/release.sh v0.2.0
#
# It builds what the tag holds, whatever the folder holds, for musl and the processor of this machine. The folder
# target/release-v0.2.0 then has the archive, the image, the bill of materials and SHA256SUMS. The same tag and compiler
# give the same bytes. docs/VERSIONING.md has the steps before and after.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stop() {
    echo "release: $*" >&2
    exit 1
}

tag=${1:?usage: deploy/release.sh TAG}
version=${tag#v}
target=$(uname -m)-unknown-linux-musl
folder=$PWD/target/release-$tag
source=$folder/source

commit=$(git rev-parse --verify --quiet "refs/tags/$tag^{commit}") || stop "there is no tag $tag"
rm -rf "$folder"
mkdir -p "$source"
git archive "$commit" | tar -x -C "$source"
cd "$source"
grep -qx "version = \"$version\"" Cargo.toml || stop "Cargo.toml of $tag has another version"
grep -qx "## $version" CHANGELOG.md || stop "CHANGELOG.md of $tag has no part '## $version'"
! grep -qx '## Unreleased' CHANGELOG.md || stop "CHANGELOG.md of $tag still has '## Unreleased'"
# For the compiler that rust-toolchain.toml of the tag names.
rustup target add "$target" || stop "the target $target is missing, and cannot be installed"
command -v musl-gcc >/dev/null || stop "musl-gcc is missing (Debian: musl-tools)"

# The time of the commit, not of the build; and no folder of this machine in the binary.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
# The folder that is built is no checkout, so its commit is told.
TIELINE_REVISION=$(git rev-parse --short=12 "$commit")
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export SOURCE_DATE_EPOCH TIELINE_REVISION CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$folder/build}
export "CC_${target//-/_}=musl-gcc" CFLAGS="-g0 -ffile-prefix-map=$cargo_home=/cargo"
export RUSTFLAGS="--remap-path-prefix=$cargo_home=/cargo"
cargo build --profile dist --features dist --locked --package tieline --target "$target"

binary=$CARGO_TARGET_DIR/$target/dist/tieline
readelf --file-header "$binary" >/dev/null || stop "there is no binary"
# An image from scratch has no loader and no library.
! readelf --program-headers "$binary" | grep INTERP || stop "the binary is not static"
! readelf --dynamic "$binary" | grep NEEDED || stop "the binary is not static"
[ "$("$binary" --version)" = "tieline $version ($TIELINE_REVISION)" ] || stop "the binary tells another version"
! grep -aqF "$HOME/" "$binary" || stop "the binary names folders of this machine"

deploy/release/pack.sh "$binary" "$target" "$commit" "$folder"
rm -rf "$source"
cat <<END

$folder is ready. Nothing is published. What is left to its owner:
    git push origin $tag
    docker load --input $folder/tieline-$version-$target.oci.tar
    docker tag tieline:$version REGISTRY/tieline:$version && docker push REGISTRY/tieline:$version
and to put the other files beside the tag, with a signature of SHA256SUMS.
END
