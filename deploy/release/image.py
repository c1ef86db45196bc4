#!/usr/bin/env python3
"""Makes the image of a release from a folder, without Docker: one layer, run as the last stage of deploy/Dockerfile says.

    deploy/release/image.py --tree FOLDER --target TARGET --version V --revision COMMIT --time SECONDS ...

The file is an OCI layout in a tar, which `docker load`, `podman load` and `skopeo copy oci-archive:FILE` take. The same
folder and time give the same bytes. An instruction that this program does not know is an error, never skipped.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import re
import shlex
import sys
import tarfile

DOCKERFILE = pathlib.Path(__file__).resolve().parents[1] / "Dockerfile"
NANOSECONDS = {"s": 10**9, "m": 60 * 10**9}


def instructions(text):
    """Those of the last stage, as (name, rest)."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    last = max(at for at, (name, _) in enumerate(lines) if name == "FROM")
    if lines[last][1] != "scratch":
        sys.exit("image: the last stage of the Dockerfile does not begin with nothing")
    return lines[last + 1 :]


def pairs(rest, values):
    """KEY=VALUE ..., with the build's arguments put in."""
    found = {}
    for word in shlex.split(rest):
        key, value = word.split("=", 1)
        found[key] = re.sub(r"\$(\w+)", lambda name: values[name.group(1)], value)
    return found


def settings(text, values):
    """The configuration of the image, in OCI's words. `Healthcheck` is Docker's."""
    config, named = {"Env": [], "ExposedPorts": {}, "Labels": {}}, set()
    for name, rest in instructions(text):
        if name == "COPY":
            pass
        elif name == "ARG":
            named.add(rest.split("=")[0])
        elif name == "USER":
            config["User"] = rest
        elif name == "ENV":
            config["Env"] += [f"{key}={value}" for key, value in pairs(rest, values).items()]
        elif name == "LABEL":
            config["Labels"] |= pairs(rest, values)
        elif name == "EXPOSE":
            config["ExposedPorts"] |= {f"{port}/tcp": {} for port in rest.split()}
        elif name in ("ENTRYPOINT", "CMD"):
            config[name.capitalize()] = json.loads(rest)
        elif name == "HEALTHCHECK":
            flags, command = rest.split("CMD ", 1)
            times = re.findall(r"--([a-z-]+)=(\d+)([sm])", flags)
            check = {"".join(part.capitalize() for part in flag.split("-")): int(count) * NANOSECONDS[unit]
                     for flag, count, unit in times}
            config["Healthcheck"] = {"Test": ["CMD", *json.loads(command)], **check}
        else:
            sys.exit(f"image: {name} of the Dockerfile is unknown here")
    if named != values.keys():
        sys.exit(f"image: the Dockerfile has the arguments {sorted(named)}, not {sorted(values)}")
    return config


def packed(entries, time):
    """A tar of (name, bytes or None for a folder, mode), owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, mode in entries:
            member = tarfile.TarInfo(name)
            member.mode, member.mtime = mode, time
            if data is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data or b""))
    return out.getvalue()


def main():
    options = argparse.ArgumentParser(description="Makes the image of a release from a folder.")
    for name in ["tree", "target", "version", "revision", "time", "level", "out"]:
        options.add_argument(f"--{name}", required=True)
    given = options.parse_args()
    time, tree = int(given.time), pathlib.Path(given.tree)
    created = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    files = [(file.relative_to(tree).as_posix(), None if file.is_dir() else file.read_bytes(),
              0o755 if file.is_dir() or file.stat().st_mode & 0o100 else 0o644) for file in sorted(tree.rglob("*"))]
    layer = packed(files, time)
    zipped = gzip.compress(layer, compresslevel=int(given.level), mtime=0)
    blobs = {}

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def text(tree):
        return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()

    values = {"VERSION": given.version, "REVISION": given.revision, "CREATED": created}
    config = blob(text({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[given.target.split("-")[0]],
        "os": "linux",
        "created": created,
        "config": settings(DOCKERFILE.read_text(), values),
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": created, "created_by": "deploy/release/image.py"}],
    }), "application/vnd.oci.image.config.v1+json")
    layers = [blob(zipped, "application/vnd.oci.image.layer.v1.tar+gzip")]
    manifest = blob(text({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                          "config": config, "layers": layers}), "application/vnd.oci.image.manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": f"docker.io/library/tieline:{given.version}",
                               "org.opencontainers.image.ref.name": given.version}

    def place(part):
        return "blobs/sha256/" + part["digest"].removeprefix("sha256:")

    entries = [
        ("oci-layout", text({"imageLayoutVersion": "1.0.0"}), 0o644),
        ("index.json", text({"schemaVersion": 2, "manifests": [manifest]}), 0o644),
        # For a Docker that does not read OCI layouts yet.
        ("manifest.json", text([{"Config": place(config), "RepoTags": [f"tieline:{given.version}"],
                                 "Layers": [place(part) for part in layers]}]), 0o644),
        ("blobs", None, 0o755), ("blobs/sha256", None, 0o755),
        *((name, blobs[name], 0o644) for name in sorted(blobs)),
    ]
    pathlib.Path(given.out).write_bytes(packed(entries, time))


main()
