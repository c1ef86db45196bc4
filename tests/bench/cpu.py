#!/usr/bin/env python3
"""CPU per request of the gateway, of its parts and of others, in one run; the figures of docs/PERFORMANCE.md.

  cargo build --profile dist --features dist
  tests/bench/cpu.py [--rounds 5] [--requests N] [NAME=URL ...]

Builds and runs crates/domain/benches/parts/main.rs first: reading a page, writing its records and both, beside
serde_json. Then starts the pretend vendor and the gateway from target/dist on loopback ports, and, where
nginx is installed, nginx as a plain proxy in front of the same vendor. Asks each of them the same things in
turn, and prints the CPU time their processes used, by the kernel's own account, per request, and as a
ratio to the gateway's. Wall time comes second: other work on the machine moves it first.

NAME=URL adds another process on this machine that answers /api/user_management/v1/users for the key
`legacy-demo-key`; it is found by its listening port. Python's standard library only. Every loop is
bounded, all traffic is loopback, and only processes started here are stopped.
"""
import argparse, concurrent.futures, glob, http.client, json, os, shutil, statistics, subprocess, sys, tempfile
import time, urllib.parse

import loopback
from loopback import LIST, ROOT, TIELINE, cpu_seconds, free_port, start, with_children

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("others", nargs="*", metavar="NAME=URL")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--requests", type=int, default=0, help="per cell and round; 0 chooses by the cell")
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()

def pids_listening(port):
    """Processes with a listening socket on the port."""
    inodes = set()
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        part = line.split()
        if part[3] == "0A" and int(part[1].split(":")[1], 16) == port:
            inodes.add(f"socket:[{part[9]}]")
    found = set()
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                found.add(int(link.split("/")[2]))
        except OSError:
            continue
    return found


class Target:
    def __init__(self, name, url, pages):
        self.name, self.pages = name, pages
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.pids = pids_listening(self.port) or sys.exit(f"{name}: nobody listens on {url}")
        self.pids = {one for pid in self.pids for one in with_children(pid)}

    def run(self, paths, connections):
        """Sends every request of `paths`, some at a time over kept connections; CPU and wall."""
        def one(share):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
            for path in share:
                headers = {"authorization": "Bearer " + ("v4-demo-key" if self.pages else "legacy-demo-key")}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{self.name}: {answer.status} {body[:100]!r} for {path}")
            connection.close()
        shares = [paths[i::connections] for i in range(connections)]
        before, wall = cpu_seconds(self.pids), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            list(pool.map(one, shares))
        return cpu_seconds(self.pids) - before, time.monotonic() - wall


def cells(users, emails):
    """(name, gateway paths per request, the v4 pages a plain proxy would pass for it, requests)"""
    v4 = "/api/v4/users?limit=100&offset="
    pages = [v4 + str(offset) for offset in range(0, users, 99)]
    lists = max(4, 100_000 // users)
    yield f"list of {users:,}", [[LIST]], [pages], args.requests or lists
    if emails:
        one = [[LIST + "?email=" + urllib.parse.quote(e)] for e in emails]
        raw = [[v4 + "0&email=" + urllib.parse.quote(e)] for e in emails]
        yield "look-up by e-mail", one, raw, args.requests or 4000


def world(users, folder):
    vendor, proxy = loopback.vendor(args.tieline, users), free_port()
    config = os.path.join(folder, f"{users}.toml")
    gateway, _, _ = loopback.gateway(args.tieline, config, f"http://127.0.0.1:{vendor}")
    targets = [("tieline", gateway, False)]
    if shutil.which("nginx"):
        conf = os.path.join(folder, f"nginx-{users}.conf")
        paths = "".join(f"{n}_temp_path {folder}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        open(conf, "w").write(
            f"daemon off; worker_processes 1; pid {folder}/nginx-{users}.pid; error_log /dev/null;\n"
            f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {paths}\n"
            f"upstream v {{ server 127.0.0.1:{vendor}; keepalive 64; }}\n"
            f"server {{ listen 127.0.0.1:{proxy}; location / {{ proxy_pass http://v; proxy_http_version 1.1;"
            ' proxy_set_header Connection ""; proxy_buffers 64 16k; } } }\n')
        start(["nginx", "-p", folder, "-c", conf])
        targets.append(("nginx, passing the pages on", proxy, True))
    for _, port, _ in targets:
        loopback.wait_for(port)
    connection = http.client.HTTPConnection("127.0.0.1", vendor)
    connection.request("GET", "/api/v4/users?limit=100", headers={"authorization": "Bearer v4-demo-key"})
    emails = [u["email"] for u in json.load(connection.getresponse())["users"] if u["email"]]
    return [Target(name, f"http://127.0.0.1:{port}", pages) for name, port, pages in targets], emails


def main():
    # The parts of one page; everything below is a whole path.
    parts = ["cargo", "bench", "--profile", "dist", "--locked", "--package", "domain", "--bench", "parts"]
    subprocess.run(parts, cwd=ROOT, check=True)
    print()
    print("| cell | target | CPU per request | ratio to tieline | wall per request |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for users, with_lookup in ((1_000, False), (10_000, True)):
            targets, emails = world(users, folder)
            targets += [Target(*other.split("=", 1), False) for other in args.others]
            for name, ours, passed, count in cells(users, emails if with_lookup else []):
                costs = {target.name: [] for target in targets}
                walls = {target.name: [] for target in targets}
                for _ in range(args.rounds):
                    for target in targets:
                        kinds = passed if target.pages else ours
                        paths = [path for i in range(count) for path in kinds[i % len(kinds)]]
                        cpu, wall = target.run(paths, 8)
                        costs[target.name].append(cpu / count)
                        walls[target.name].append(wall / count)
                for target in targets:
                    ratio = statistics.median(
                        c / max(t, 1e-9) for c, t in zip(costs[target.name], costs["tieline"]))
                    cpu = statistics.median(costs[target.name]) * 1e6
                    wall = statistics.median(walls[target.name]) * 1e6
                    print(f"| {name} | {target.name} | {cpu:,.0f} us | {ratio:.2f} | {wall:,.0f} us |", flush=True)


loopback.run(main)
