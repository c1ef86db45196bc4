#!/usr/bin/env python3
"""What the console costs while somebody watches it; a table of docs/PERFORMANCE.md.

  cargo build --profile dist --features dist
  tests/bench/watched.py [--requests 400] [--polls 20]

Runs the gateway under callgrind, with some requests passed through, with twice as many, and with the first ones and
polls of the console as its page makes them. The differences leave the start out: instructions in user space for each
request and for each poll, by the number of callers in the configuration. The page polls every 5 s, so a poll divided by
the requests of 5 s is what a watched gateway spends more. The kernel and the vendor are not counted, and other work on
the machine changes nothing.

Needs valgrind; else Python's standard library only. Every loop is bounded, all traffic is loopback, and only processes
started here are stopped.
"""
import argparse, hashlib, json, os, shutil, sys, tempfile

import loopback
from loopback import TIELINE, ask

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--requests", type=int, default=400)
ap.add_argument("--polls", type=int, default=20)
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()

PASSED = "/api/v4/users?limit=1&offset=5"
POLL, EVERY = "/api/v1/view", 5
CALLERS = (1, 100, 1_000)
RATES = (10, 100, 1_000)


def others(callers):
    """Callers beside the first one, who ask nothing."""
    digest = lambda number: hashlib.sha256(f"key {number}".encode()).hexdigest()
    return "".join(
        f'[[caller]]\nname = "caller-{number}"\nlegacy_key = {{ digest = "sha256:{digest(number)}" }}\n'
        'upstream = "v"\nupstream_key = { env = "BENCH_V4_KEY" }\nsees = "everything"\n'
        for number in range(1, callers))


def instructions(folder, vendor, callers, requests, polls):
    """Of one run of the gateway, its start included."""
    profile = os.path.join(folder, "profile")
    # One worker, so that no other one looks for work meanwhile; and no wait at the end.
    env = {"TOKIO_WORKER_THREADS": "1", "TIELINE_LIMITS__DRAIN_DELAY": "0s"}
    under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
    more = "[passthrough]\nenabled = true\n"
    gateway, admin, process = loopback.gateway(
        args.tieline, os.path.join(folder, "tieline.toml"), f"http://127.0.0.1:{vendor}", more, others(callers), env, under)
    ask(gateway, PASSED, requests)
    if polls:
        panels = json.loads(ask(admin, POLL, polls))["panels"]
        if not any(panel["id"] == "requests" and panel["rows"] for panel in panels):
            sys.exit("the console shows no request")
    process.terminate()
    process.wait(60)
    for line in open(profile):
        if line.startswith("totals:"):
            return int(line.split()[1])
    sys.exit("callgrind wrote no total")


def main():
    if not shutil.which("valgrind"):
        sys.exit("valgrind is needed")
    rates = [f"{rate:,}/s" for rate in RATES]
    print(f"| callers | a request passed through | a poll of the console | more at {' | '.join(rates)} |")
    print("|---:|---:|---:|" + "---:|" * len(RATES))
    with tempfile.TemporaryDirectory() as folder:
        vendor = loopback.vendor(args.tieline, 100)
        for callers in CALLERS:
            run = lambda times, polls: instructions(folder, vendor, callers, times * args.requests, polls)
            once = run(1, 0)
            request = (run(2, 0) - once) / args.requests
            poll = (run(1, args.polls) - once) / args.polls
            shares = [f"{poll / (EVERY * rate * request):.2%}" for rate in RATES]
            print(f"| {callers:,} | {request:,.0f} | {poll:,.0f} | {' | '.join(shares)} |", flush=True)


loopback.run(main)
