#!/usr/bin/env python3
"""Peak memory of the gateway: idle, and while it answers one list of users; the figures of docs/PERFORMANCE.md.

  cargo build --profile dist --features dist
  tests/bench/memory.py [--tieline PATH] [--users 10000,100000] [--rounds 3] [--vendor COMMAND]

For each length of list and round a new gateway is started, asked for the list once, and read as fast as it sends.
The peak is what the kernel counts (`VmHWM` in /proc/PID/status); the median of the rounds is printed, in MB of
1,000,000 bytes, with the bytes of the answer and the time it took. "idle" is a gateway that was asked for nothing.

Without --vendor the pretend vendor of the same binary answers. COMMAND is another one, with {port} and {users} in
place of its port and number of users, and answers `/api/v4/users` for any key. --streamed N streams answers of
more than N bytes. Python's standard library only; all traffic is loopback; only processes started here are ended.
"""
import argparse, http.client, os, shlex, statistics, sys, tempfile, time

import loopback
from loopback import KEY, LIST, TIELINE, end, free_port, start, wait_for

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--tieline", default=TIELINE)
ap.add_argument("--users", default="10000,100000")
ap.add_argument("--rounds", type=int, default=3)
ap.add_argument("--vendor", metavar="COMMAND")
ap.add_argument("--streamed", type=int, metavar="BYTES")
ap.add_argument("--workers", type=int, default=1, help="worker threads of the gateway")
ap.add_argument("--conf", default="", help="settings of jemalloc to try, as in _RJEM_MALLOC_CONF")
args = ap.parse_args()


def status_mb(process, name):
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    sys.exit(f"no {name} in the status of {process.pid}")


def gateway(folder, base):
    streamed = f'[answer]\nstream = true\nbuffer_max = "{args.streamed}B"\n' if args.streamed is not None else ""
    env = {"TOKIO_WORKER_THREADS": str(args.workers)}
    if args.conf:
        env["_RJEM_MALLOC_CONF"] = args.conf
    more = streamed + '[limits]\nrequest_deadline = "600s"\ndrain_delay = "0s"'
    config = os.path.join(folder, "gateway.toml")
    port, _, process = loopback.gateway(args.tieline, config, base, more, "rows_max = 2000000", env)
    return port, process


def ask(port):
    """Reads the list and drops it. Returns its bytes and the seconds."""
    began, size, last = time.monotonic(), 0, b""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", LIST, headers=KEY)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"{answer.status} {answer.read(200)!r}")
    while piece := answer.read1(1 << 20):
        size, last = size + len(piece), piece
    connection.close()
    declared = answer.getheader("content-length")
    if last[-1:] != b"]" or declared not in (None, str(size)):
        sys.exit(f"no whole list: {size} bytes of {declared}, which end with {last[-20:]!r}")
    return size, time.monotonic() - began


def measure(folder, users):
    if users:
        port = free_port()
        command = args.vendor.format(port=port, users=users) if args.vendor else \
            f"{shlex.quote(args.tieline)} simulate --users {users} --listen 127.0.0.1:{port}"
        vendor = start(shlex.split(command))
        wait_for(port, vendor)
        base = f"http://127.0.0.1:{port}"
    else:
        base = "http://127.0.0.1:9"
    port, process = gateway(folder, base)
    size, took = ask(port) if users else (0, 0.0)
    if not users:
        time.sleep(1)
    peak = status_mb(process, "VmHWM:")
    time.sleep(2 if users else 0)
    after = status_mb(process, "VmRSS:")
    end()
    return peak, after, size, took


def main():
    with tempfile.TemporaryDirectory() as folder:
        for users in [0] + [int(users) for users in args.users.split(",") if users]:
            rounds = [measure(folder, users) for _ in range(args.rounds)]
            peak, after, size, took = (statistics.median(column) for column in zip(*rounds))
            cell = f"list of {users:,}" if users else "idle"
            print(f"{cell:18} peak {peak:7.1f} MB, two seconds later {after:7.1f} MB, "
                  f"answer {size / 1e6:6.1f} MB, {took:6.2f} s", flush=True)


loopback.run(main)
