"""Whether the files of a release fit each other, Cargo.lock and the program. See tests/outside/release.sh.

release_papers.py ARCHIVE SBOM IMAGE CRATES: the unpacked archive, the bill of materials, the image, and a file that has
NAME-VERSION of the crates seen in the program, a line each.
"""

import hashlib
import io
import json
import pathlib
import sys
import tarfile
import tomllib

# In the program of the tests only, by features that other crates of the workspace ask for.
OF_TESTS = {"allocator-api2"}
# Licences that notices must have a text of, by words of it.
WORDS = {
    "Apache-2.0": "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy",
    "BSD-3-Clause": "Redistributions of source code must retain the above copyright notice",
    "ISC": "Permission to use, copy, modify, and/or distribute this software for any",
    "Zlib": "This software is provided 'as-is'",
    "BSL-1.0": "Boost Software License",
    "Unicode-3.0": "UNICODE LICENSE V3",
    "CDLA-Permissive-2.0": "Community Data License Agreement",
    "Unlicense": "This is free and unencumbered software",
}


def check(holds, text):
    if not holds:
        sys.exit(f"release_papers: {text}")


def image(file, archive):
    """The image has the archive's program and licences, and runs as deploy/Dockerfile says."""
    tar = tarfile.open(file)

    def part(name):
        data = tar.extractfile(name).read()
        check(not name.startswith("blobs/") or name.endswith(hashlib.sha256(data).hexdigest()), f"{name}: another digest")
        return data

    def blob(entry):
        data = part("blobs/sha256/" + entry["digest"].removeprefix("sha256:"))
        check(len(data) == entry["size"], "a blob has another size")
        return data

    manifest = json.loads(blob(json.loads(part("index.json"))["manifests"][0]))
    config = json.loads(blob(manifest["config"]))
    layer = tarfile.open(fileobj=io.BytesIO(blob(manifest["layers"][0])), mode="r:gz")
    files = {member.name: layer.extractfile(member).read() for member in layer if member.isfile()}
    names = {"tieline", "licenses/THIRD-PARTY.txt", "licenses/LICENSE-MIT", "licenses/LICENSE-APACHE"}
    check(files.keys() == names, f"the image has {sorted(files)}")
    for name, data in files.items():
        check(data == (archive / pathlib.Path(name).name).read_bytes(), f"{name} is another one in the archive")
    check(layer.getmember("tieline").mode == 0o755, "the image's program cannot be run")
    run, labels = config["config"], config["config"]["Labels"]
    check(run["Entrypoint"] + run["Cmd"] == ["/tieline", "serve", "--config", "/etc/tieline/tieline.toml"], "another command")
    check(run["User"] == "65532:65532" and len(run["Env"]) == 2, "another user or environment")
    check(run["Healthcheck"] == {"Test": ["CMD", "/tieline", "healthcheck"], "Interval": 10 * 10**9, "Timeout": 5 * 10**9,
                                 "StartPeriod": 10 * 10**9}, "another health check")
    check(labels["org.opencontainers.image.revision"] == "0123456789abcdef" and all(labels.values()), f"labels: {labels}")


def main():
    archive, *_ = files = [pathlib.Path(name) for name in sys.argv[1:]]
    notices, bill, crates = (file.read_text() for file in (archive / "THIRD-PARTY.txt", files[1], files[3]))
    image(files[2], archive)
    lock = {(package["name"], package["version"]): package.get("checksum")
            for package in tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]}
    rule = "-" * 119 + "\n"
    head, _, *sections = notices.split(rule)
    listed = {tuple(line.split()[:2]): line.split("  ")[1] for line in head.split("\n\n")[1].splitlines()}
    check(len(listed) > 100, f"only {len(listed)} crates in the notices")
    check(listed.keys() <= lock.keys(), f"not in Cargo.lock: {sorted(listed.keys() - lock.keys())}")

    texts = {}
    for section in sections:
        owners, text = section.split("\n\n", 1)
        for owner in owners.split(", "):
            texts.setdefault(tuple(owner.split()), []).append(" ".join(text.split()))
    check(texts.keys() == listed.keys(), f"no text: {sorted(listed.keys() ^ texts.keys())}")
    known = [words.casefold() for words in WORDS.values()]
    for crate, found in texts.items():
        check(any(words in text.casefold() for text in found for words in known), f"{crate}: a text of no known licence")

    bill = json.loads(bill)
    check((bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6"), "no CycloneDX 1.6")
    parts = {(part["name"], part["version"]): part for part in bill["components"]}
    check(parts.keys() == listed.keys(), f"bill and notices differ: {sorted(parts.keys() ^ listed.keys())}")
    for crate, part in parts.items():
        check(part["hashes"][0]["content"] == lock[crate], f"{crate}: another checksum than in Cargo.lock")
        check(part["licenses"][0]["expression"] == listed[crate], f"{crate}: another licence than in the notices")
    refs = {part["bom-ref"] for part in parts.values()} | {bill["metadata"]["component"]["bom-ref"]}
    edges = {edge["ref"]: edge["dependsOn"] for edge in bill["dependencies"]}
    check(edges.keys() == refs, f"no edges: {sorted(edges.keys() ^ refs)}")
    reached, next_ones = set(), {bill["metadata"]["component"]["bom-ref"]}
    while next_ones:
        reached |= next_ones
        next_ones = {to for ref in next_ones for to in edges[ref]} - reached
    check(reached == refs, f"nothing needs {sorted(refs - reached)}")

    names = {f"{name}-{version}": name for name, version in lock}
    seen = [crate for crate in crates.split() if crate in names]
    check(len(seen) > 50, f"only {len(seen)} crates seen in the program")
    written = {f"{name}-{version}" for name, version in listed}
    missing = [crate for crate in seen if crate not in written and names[crate] not in OF_TESTS]
    check(not missing, f"in the program, but not in the notices: {missing}")
    print(f"notices and bill of materials: {len(listed)} crates, {len(seen)} of them seen in the program")


main()
