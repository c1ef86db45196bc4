#!/usr/bin/env python3
"""What the binary is made of, from Cargo.lock and the sources of the crates: notices of their licences, or a bill of
materials (CycloneDX 1.6).

    deploy/release/third_party.py notices --target x86_64-unknown-linux-musl >THIRD-PARTY.txt
    deploy/release/third_party.py sbom --target x86_64-unknown-linux-musl >tieline.cdx.json

`names` prints NAME-VERSION only. All list the crates that are linked into `cargo build --features dist` for the target:
no tests, build scripts or procedural macros. The same sources give the same bytes. It ends with 1, and names the crate,
if a crate has no text of its licence. It never asks a registry: the sources are those that cargo has unpacked.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Files that hold terms. Below the top of a crate they are looked for where C code is brought along.
TERMS = re.compile(r"(?i)^(licen[cs]e|copying|copyright|notice|unlicense)")
# The other choice of a double licence: zstd is under BSD-3-Clause or GPL-2.0, and we take the first.
NOT_CHOSEN = {"zstd-sys": {"zstd/COPYING"}}
# What no crate brings along, but a binary has.
ALSO_LINKED = """\
The Rust standard library is under the MIT licence or the Apache License, Version 2.0. The notices of its parts come
with every Rust toolchain, as share/doc/rust/COPYRIGHT-library.html. SQLite, which the crate libsqlite3-sys brings along,
is in the public domain. A binary for musl has the C library musl:

musl as a whole is licensed under the following standard MIT license:

Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def cargo(*words):
    done = subprocess.run(["cargo", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"third_party: cargo {words[0]}: {done.stderr}")
    return done.stdout


def linked(target):
    """The packages that are linked, by name and version, each with what cargo knows of it and its checksum."""
    tree = cargo("tree", "--locked", "--offline", "--package", "tieline", "--features", "dist", "--target", target,
                 "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    known = json.loads(cargo("metadata", "--locked", "--offline", "--format-version", "1", "--features", "tieline/dist",
                             "--filter-platform", target))
    sums = {(lock["name"], lock["version"]): lock.get("checksum")
            for lock in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    packages = {package["id"]: package for package in known["packages"]
                if (package["name"], "v" + package["version"]) in names}
    if len(packages) != len(names):
        sys.exit("third_party: cargo tree and cargo metadata disagree")
    for package in packages.values():
        package["checksum"] = sums[package["name"], package["version"]]
        # Old manifests write a slash where SPDX has OR.
        package["terms"] = re.sub(r" ?/ ?", " OR ", package["license"] or "")
    edges = {node["id"]: [edge["pkg"] for edge in node["deps"] if edge["pkg"] in packages
                          and any(kind["kind"] is None for kind in edge["dep_kinds"])]
             for node in known["resolve"]["nodes"] if node["id"] in packages}
    return packages, edges


def foreign(packages):
    """Those of others, in the order of their names."""
    found = (package for package in packages.values() if package["source"])
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(package):
    """The texts of the terms that a crate brings along, by file."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = folder.rglob("*") if package["name"].endswith("-sys") else folder.iterdir()
    found = {}
    for file in sorted(files):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and TERMS.match(file.name) and name not in NOT_CHOSEN.get(package["name"], ()):
            found[name] = file.read_text(errors="replace").strip()
    return found


def notices(packages):
    """The list of crates, then each text once, with the crates that it belongs to."""
    crates = foreign(packages)
    by_repository = {}
    for package in crates:
        by_repository.setdefault(package["repository"], {}).update(texts(package))
    lines, users, missing = [], {}, []
    for package in crates:
        crate = f"{package['name']} {package['version']}"
        lines.append(f"{crate}  {package['terms']}  {package['repository'] or ''}".rstrip())
        # A crate without a text is part of a repository, where another crate has it.
        found = texts(package) or by_repository[package["repository"]]
        if not found or not package["terms"]:
            missing.append(crate)
        for text in found.values():
            # The same text with other line ends and indents is the same.
            users.setdefault(" ".join(text.split()), (text, []))[1].append(crate)
    if missing:
        sys.exit(f"third_party: no terms, or no text of them: {', '.join(missing)}")
    rule = "-" * 119
    parts = [f"Tieline contains {len(crates)} crates of others. This list and the texts behind it are made from their\n"
             "sources by deploy/release/third_party.py. Where a crate offers a choice of licences, any of them may be\n"
             "chosen.\n\n" + "\n".join(lines), ALSO_LINKED.strip()]
    for text, owners in users.values():
        parts.append("\n".join([", ".join(dict.fromkeys(owners)), "", text]))
    return f"\n\n{rule}\n".join(parts) + "\n"


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version'].replace('+', '%2B')}"


def sbom(packages, edges, time):
    """A bill of materials. Our own crates are parts of one component, the binary."""
    own = {key for key, package in packages.items() if not package["source"]}
    program = next(packages[key] for key in own if packages[key]["name"] == "tieline")
    components = []
    for package in foreign(packages):
        component = {"type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"],
                     "description": " ".join((package["description"] or "").split()), "scope": "required",
                     "hashes": [{"alg": "SHA-256", "content": package["checksum"]}],
                     "licenses": [{"expression": package["terms"]}], "purl": purl(package)}
        if package["repository"]:
            component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        components.append(component)
    needs = {purl(program): sorted({purl(packages[to]) for key in own for to in edges[key] if to not in own})}
    needs |= {purl(packages[key]): sorted(purl(packages[to]) for to in edges[key]) for key in edges if key not in own}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": purl(program), "name": "tieline",
                          "version": program["version"], "licenses": [{"expression": program["terms"]}],
                          "purl": purl(program)},
            "tools": {"components": [{"type": "application", "name": "third_party.py", "version": program["version"]}]},
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": needs[ref]} for ref in sorted(needs)],
    }
    if time:
        bill["metadata"]["timestamp"] = time
    # The same contents have the same number.
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True)).urn
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"


def main():
    options = argparse.ArgumentParser(description="Notices, or a bill of materials, of what is linked into the binary.")
    options.add_argument("what", choices=["notices", "sbom", "names"])
    options.add_argument("--target", required=True, help="for instance x86_64-unknown-linux-musl")
    options.add_argument("--time", help="of the bill, such as 2026-12-01T00:00:00Z")
    given = options.parse_args()
    packages, edges = linked(given.target)
    if given.what == "names":
        print("\n".join(f"{package['name']}-{package['version']}" for package in foreign(packages)))
    else:
        sys.stdout.write(notices(packages) if given.what == "notices" else sbom(packages, edges, given.time))


main()
