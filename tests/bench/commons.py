#!/usr/bin/env python3
"""What `[commons]` costs a list: latency and CPU time beside a gateway without it; a row of docs/RELIABILITY.md.

  cargo build --profile dist --features dist
  tests/bench/commons.py [--users 250] [--lists 4000] [--tieline target/dist/tieline]

Starts the pretend vendor, Redis (`redis-server`, which must be installed), a gateway without `[commons]` and one with
it, and asks both in turn for the same list over one connection each. Prints the median and the 99th percentile of
both, and the CPU time of each gateway's process by the kernel's account. Python's standard library only. Every loop
is bounded, all traffic is loopback, and only processes started here are stopped.
"""
import argparse, base64, http.client, os, shutil, sys, tempfile, time

import loopback
from loopback import KEY, LIST, TIELINE, cpu_seconds, free_port, start, wait_for

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--users", type=int, default=250)
ap.add_argument("--lists", type=int, default=4000)
ap.add_argument("--pace", type=int, default=1_000_000, help="requests_per_minute_max of both; 0: none")
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()


class Gateway:
    def __init__(self, folder, name, vendor, more):
        pace = f"requests_per_minute_max = {args.pace}" if args.pace else ""
        config = os.path.join(folder, f"{name}.toml")
        port, _, process = loopback.gateway(args.tieline, config, f"http://127.0.0.1:{vendor}", more, pace)
        self.name, self.pid, self.times, self.spent = name, process.pid, [], 0.0
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self):
        began = time.perf_counter()
        self.connection.request("GET", LIST, headers=KEY)
        answer = self.connection.getresponse()
        body = answer.read()
        self.times.append(time.perf_counter() - began)
        if answer.status != 200:
            sys.exit(f"{self.name}: {answer.status} {body[:100]!r}")
        return body

    def part(self, of):
        times = sorted(self.times)
        return times[min(len(times) - 1, len(times) * of // 100)] * 1e3


def main():
    if not shutil.which("redis-server"):
        sys.exit("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder:
        vendor, engine = loopback.vendor(args.tieline, args.users), free_port()
        start(["redis-server", "--port", str(engine), "--bind", "127.0.0.1", "--save", "", "--dir", folder])
        wait_for(engine)
        with open(os.path.join(folder, "seal.key"), "wb") as file:
            file.write(base64.b64encode(os.urandom(32)))
        commons = (f'[commons]\nvalkey = ["redis://127.0.0.1:{engine}"]\nreplicas_max = 2\n'
                   'seal_key = { file = "seal.key" }')
        # Pages that did not change would make both cheaper, and nothing else alike.
        off = "[cache]\nrevalidate = false\n"
        both = [Gateway(folder, "without", vendor, off), Gateway(folder, "with", vendor, off + commons)]
        # Until the second one has met the server.
        time.sleep(1.5)
        for gateway in both:
            expected = gateway.ask()
        for gateway in both:
            gateway.times.clear()
        # In turns of a hundred, since the kernel counts CPU time in hundredths of a second.
        for _ in range(args.lists // 100):
            for gateway in both:
                before = cpu_seconds([gateway.pid])
                for _ in range(100):
                    if gateway.ask() != expected:
                        sys.exit(f"{gateway.name}: another list")
                gateway.spent += cpu_seconds([gateway.pid]) - before
        print(f"{args.users:,} users, {len(both[0].times):,} lists each\n")
        print("| `[commons]` | p50 | p99 | CPU per list |\n|---|---:|---:|---:|")
        for gateway in both:
            each = gateway.spent / len(gateway.times)
            print(f"| {gateway.name} | {gateway.part(50):.2f} ms | {gateway.part(99):.2f} ms | {each * 1e3:.3f} ms |")
        without, shared = both
        print(f"\nadded: p50 {shared.part(50) - without.part(50):.2f} ms, p99 {shared.part(99) - without.part(99):.2f} ms, "
              f"CPU {100 * (shared.spent / without.spent - 1):+.1f} %")


loopback.run(main)
