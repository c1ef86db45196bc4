#!/usr/bin/env python3
"""Writes crates/tieline/order.txt: the functions that a start and common requests run, for the linker to place them
next to each other.

  cargo rustc --profile dist --features dist --locked --bin tieline -- -C strip=none
  tests/bench/order.py [--tieline PATH]

Runs the gateway in front of the pretend vendor under valgrind's callgrind, and asks it for requests passed through,
look-ups, lists and metrics, so often and then twice as often. What runs more often the second time comes first, then
what runs at the start. The program must have its symbols, hence `strip=none`; `nm` of binutils reads them.

A line is a symbol with `*` in place of each hash, so that it fits every build. If that takes along more than SPARE
bytes that did not run, each instance that ran has a line with its hash instead, which fits only builds of the same
compiler, dependencies, target and profile. Traffic is loopback only, and only processes started here are ended.
"""
import argparse, collections, os, re, subprocess, sys, tempfile

import loopback
from loopback import LIST, ROOT, TIELINE

ORDER = os.path.join(ROOT, "crates", "tieline", "order.txt")
SPARE = 8192
# Path, and how often it is asked for in the first of two runs.
REQUESTS = [("/api/v4/users?limit=1&offset=5", 40), (LIST + "?email=agent.10009@cc1.example.com", 40), (LIST, 3)]
HEAD = """\
# The functions that the linker places next to each other in a `dist` build, in this order: build.rs hands them to it.
# tests/bench/order.py writes this file. A name that is not there any more does no harm.
"""

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()


def sizes():
    """The bytes of each function of the program."""
    found = {}
    for line in subprocess.run(["nm", "-S", args.tieline], capture_output=True, text=True, check=True).stdout.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwW":
            found[parts[3]] = int(parts[1], 16)
    return found or sys.exit(f"{args.tieline} has no symbols: see --help")


def instructions(profile):
    """The instructions that each function ran itself."""
    names, counts, function, is_call = {}, collections.Counter(), None, False
    for line in open(profile):
        if found := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line):
            is_callee, number, name = found.groups()
            # Recursive calls have a name of their own.
            names.setdefault(number, name and name.split("'")[0])
            if not is_callee:
                function = names[number]
        elif line.startswith("calls="):
            is_call = True
        elif line[0].isdigit() or line[0] in "+-*":
            if not is_call:
                counts[function] += int(line.split()[-1])
            is_call = False
    return counts


def run(folder, vendor, times):
    """The gateway asked so many times as often."""
    profile = os.path.join(folder, f"profile.{times}")
    under = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={profile}"]
    more = '[log]\nformat = "json"\n[passthrough]\nenabled = true\n[limits]\ndrain_delay = "0s"\n'
    port, admin, process = loopback.gateway(args.tieline, os.path.join(folder, "gateway.toml"),
                                            f"http://127.0.0.1:{vendor}", more,
                                            env={"TOKIO_WORKER_THREADS": "1"}, under=under)
    for path, count in REQUESTS:
        loopback.ask(port, path, times * count)
    loopback.ask(admin, "/metrics", 1)
    process.terminate()
    if process.wait(60):
        sys.exit(f"the gateway ended with {process.returncode}")
    return instructions(profile)


def main():
    sized = sizes()
    vendor = loopback.vendor(args.tieline, 1000)
    with tempfile.TemporaryDirectory() as folder:
        once, twice = run(folder, vendor, 1), run(folder, vendor, 2)
    # What the start runs may differ by chance, by a little.
    often = {name for name in twice if twice[name] - once[name] >= 30}
    # Of each name: its bytes, those that ran, and what ran.
    total, ran, instances = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    for symbol, size in sized.items():
        name = re.sub(r"17h[0-9a-f]{16}E(\.llvm\.\d+)?$", "17h*", symbol)
        # The standard library's names have a hash for each crate in them.
        if name.startswith("_R"):
            name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)
        total[name] += size
        if symbol in twice:
            ran[name] += size
            instances[name].append(symbol)
    lines = []
    for name, symbols in instances.items():
        is_often = any(symbol in often for symbol in symbols)
        if total[name] - ran[name] <= SPARE:
            lines.append((not is_often, re.sub(r"\.llvm\.\d+$", "", name)))
        else:
            lines += [(symbol not in often, re.sub(r"\.llvm\.\d+$", "", symbol)) for symbol in symbols]
    lines = sorted(set(lines))
    with open(ORDER, "w") as file:
        file.write(HEAD + "".join(f"{line}\n" for _, line in lines))
    requests = sum(not is_rare for is_rare, _ in lines)
    print(f"{len(lines)} lines, {requests} of them for requests; {sum(ran.values()):,} bytes ran")


loopback.run(main)
