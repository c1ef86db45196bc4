#!/usr/bin/env python3
"""What wallboards cost that poll a whole list each second; a row of docs/PERFORMANCE.md.

  cargo build --profile dist --features dist
  tests/bench/pollers.py [--users 10000] [--seconds 20] [--fresh-for 5s]

Starts the pretend vendor and the gateway with `cache.fresh_for`, and, where nginx is installed, nginx that sends the
same bytes from a file. First one client and then eight of one caller poll the whole list once a second. Prints the
calls to the vendor in that time, by the gateway's own count, and the CPU time per poll, by the kernel's account.

Python's standard library only. Every loop is bounded, all traffic is loopback, and only processes started here are
stopped.
"""
import argparse, concurrent.futures, http.client, os, re, shutil, sys, tempfile, time

import loopback
from loopback import KEY, LIST, TIELINE, cpu_seconds, free_port, start, wait_for, with_children

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--users", type=int, default=10_000)
ap.add_argument("--seconds", type=int, default=20)
ap.add_argument("--fresh-for", default="5s")
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()

def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=KEY)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"{answer.status} {body[:100]!r} for {path}")
    return body


def calls(admin):
    """The gateway's attempts at its upstream so far."""
    text = get(admin, "/metrics").decode()
    counts = re.findall(r"^tieline_upstream_requests_total\{[^}]*\} (\d+)", text, re.M)
    return sum(map(int, counts))


def poll(port, path, seconds, begins):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for second in range(seconds):
        time.sleep(max(0, begins + second - time.monotonic()))
        connection.request("GET", path, headers=KEY)
        answer = connection.getresponse()
        while answer.read(1 << 20):
            pass
        if answer.status != 200:
            sys.exit(f"{answer.status} for a poll")
    connection.close()


def polled(process, port, path, clients):
    pids = with_children(process.pid)
    before, begins = cpu_seconds(pids), time.monotonic() + 0.2
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        # Wallboards do not ask in step.
        turns = [pool.submit(poll, port, path, args.seconds, begins + n / clients) for n in range(clients)]
        [turn.result() for turn in turns]
    return (cpu_seconds(pids) - before) / (clients * args.seconds)


def main():
    with tempfile.TemporaryDirectory() as folder:
        vendor, files = loopback.vendor(args.tieline, args.users), free_port()
        config, kept = os.path.join(folder, "tieline.toml"), f'[cache]\nfresh_for = "{args.fresh_for}"'
        gateway, admin, tieline = loopback.gateway(args.tieline, config, f"http://127.0.0.1:{vendor}", kept)
        body = get(gateway, LIST)
        of_nginx = None
        if shutil.which("nginx"):
            open(os.path.join(folder, "list.json"), "wb").write(body)
            os.chmod(folder, 0o755)
            conf = os.path.join(folder, "nginx.conf")
            temps = "".join(f"{n}_temp_path {folder}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            open(conf, "w").write(
                f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;\n"
                f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {temps}\n"
                f"server {{ listen 127.0.0.1:{files}; root {folder}; }} }}\n")
            nginx = start(["nginx", "-p", folder, "-c", conf])
            wait_for(files)
            of_nginx = polled(nginx, files, "/list.json", 8)
        print(f"{args.users:,} users, {len(body):,} bytes a poll, fresh for {args.fresh_for}, "
              f"{args.seconds} s each\n")
        print("| pollers | calls to the vendor | CPU per poll | ratio to nginx sending a file |")
        print("|---:|---:|---:|---:|")
        for clients in (1, 8):
            before = calls(admin)
            each = polled(tieline, gateway, LIST, clients)
            ratio = f"{each / of_nginx:.2f}" if of_nginx else "nginx is not installed"
            print(f"| {clients} | {calls(admin) - before:,} | {each * 1e3:.2f} ms | {ratio} |", flush=True)


loopback.run(main)
