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
import argparse, concurrent.futures, glob, hashlib, http.client, os, re, shutil, signal
import socket, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = "/api/user_management/v1/users"
TICK = os.sysconf("SC_CLK_TCK")

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--users", type=int, default=10_000)
ap.add_argument("--seconds", type=int, default=20)
ap.add_argument("--fresh-for", default="5s")
ap.add_argument("--tieline", default=os.path.join(ROOT, "target", "dist", "tieline"))
args = ap.parse_args()

started = []


def start(command, **more):
    started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more))
    return started[-1].pid


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing listens on {port}")


def cpu_seconds(pid):
    """Of a process and its children."""
    pids = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        pids += open(path).read().split()
    ticks = 0
    for one in pids:
        fields = open(f"/proc/{one}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def get(port, path, key="legacy-demo-key"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"authorization": "Bearer " + key})
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
        connection.request("GET", path, headers={"authorization": "Bearer legacy-demo-key"})
        answer = connection.getresponse()
        while answer.read(1 << 20):
            pass
        if answer.status != 200:
            sys.exit(f"{answer.status} for a poll")
    connection.close()


def polled(pid, port, path, clients):
    before, begins = cpu_seconds(pid), time.monotonic() + 0.2
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        # Wallboards do not ask in step.
        turns = [pool.submit(poll, port, path, args.seconds, begins + n / clients) for n in range(clients)]
        [turn.result() for turn in turns]
    return (cpu_seconds(pid) - before) / (clients * args.seconds)


def main():
    with tempfile.TemporaryDirectory() as folder:
        vendor, gateway, admin, files = (free_port() for _ in range(4))
        start([args.tieline, "simulate", "--users", str(args.users), "--listen", f"127.0.0.1:{vendor}"])
        digest = hashlib.sha256(b"legacy-demo-key").hexdigest()
        config = os.path.join(folder, "tieline.toml")
        open(config, "w").write(
            f'[server]\nlisten = "127.0.0.1:{gateway}"\n[admin]\nlisten = "127.0.0.1:{admin}"\n'
            f'[cache]\nfresh_for = "{args.fresh_for}"\n'
            f'[upstream.v]\ndialect = "voiso-v4"\nbase_url = "http://127.0.0.1:{vendor}"\n'
            f'[[caller]]\nname = "bench"\nlegacy_key = {{ digest = "sha256:{digest}" }}\n'
            'upstream = "v"\nupstream_key = { env = "BENCH_V4_KEY" }\nsees = "everything"\n')
        wait_for(vendor)
        tieline = start([args.tieline, "serve", "--config", config], env=dict(os.environ, BENCH_V4_KEY="v4-demo-key"))
        wait_for(gateway), wait_for(admin)
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


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    main()
finally:
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
