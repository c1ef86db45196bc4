#!/usr/bin/env python3
"""Two gateways behind HAProxy, restarted in turn under load: no request may fail or be cut short.

HAProxy asks /readyz of the admin ports, repeats nothing and sends nothing anywhere else. ROUNDS is the
number of restarts, CLIENTS how many ask, TIELINE another binary than the release build's.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LIST = "/api/user_management/v1/users"
CLIENTS = int(os.environ.get("CLIENTS", "6"))
WAIT = 30


def binary():
    if "TIELINE" in os.environ:
        return os.path.abspath(os.environ["TIELINE"])
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    return os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"), "release", "tieline")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ready(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def until(what, holds):
    for _ in range(WAIT * 50):
        if holds():
            return
        time.sleep(0.02)
    sys.exit(f"rolling_restarts: not within {WAIT} s: {what}")


class Gateway:
    """One of the two: its ports stay the same, its process does not."""

    def __init__(self, tieline, folder, name, vendor, digest):
        self.tieline, self.listen, self.admin = tieline, free_port(), free_port()
        self.log = open(os.path.join(folder, f"{name}.log"), "wb")
        self.file = os.path.join(folder, f"{name}.toml")
        with open(self.file, "w") as file:
            file.write(
                f'[server]\nlisten = "127.0.0.1:{self.listen}"\n'
                f'[admin]\nlisten = "127.0.0.1:{self.admin}"\n[limits]\ndrain_delay = "1s"\n'
                f'[upstream.ams]\ndialect = "voiso-v4"\nbase_url = "{vendor}"\n'
                f'[[caller]]\nname = "crm"\nlegacy_key = {{ digest = "{digest}" }}\n'
                'upstream = "ams"\nupstream_key = { env = "V4" }\nsees = "everything"\n'
            )
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.tieline, "serve", "--config", self.file],
            stderr=self.log,
            env={**os.environ, "V4": "v4-demo-key"},
        )
        until("ready", lambda: ready(self.admin))

    def restart(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT)
        if code != 0:
            sys.exit(f"rolling_restarts: exit code {code}")
        self.start()


class Client(threading.Thread):
    """Asks without a pause; half of them over one connection as long as it lasts."""

    def __init__(self, port, keeps, length):
        super().__init__(daemon=True)
        self.port, self.keeps, self.length = port, keeps, length
        self.stop, self.answered, self.failures = False, 0, []

    def run(self):
        connection = None
        while not self.stop:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
                connection.request("GET", LIST, headers={"authorization": "Bearer legacy-demo-key"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or len(body) != self.length:
                    self.failures.append(f"{answer.status}, {len(body)} bytes of {self.length}")
                if not self.keeps or answer.will_close:
                    connection.close()
                    connection = None
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None


def seen_up(folder):
    """How many of the two HAProxy would send requests to."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(os.path.join(folder, "haproxy.sock"))
        asking.sendall(b"show stat\n")
        lines = asking.makefile().read().splitlines()
    rows = [line.split(",") for line in lines if line.startswith("both,g")]
    return sum(row[17] == "UP" for row in rows)


def main():
    rounds = int(os.environ.get("ROUNDS", "6"))
    if shutil.which("haproxy") is None:
        print("installing haproxy (apt-get)")
        subprocess.run("apt-get update -qq && apt-get install -y -qq haproxy", shell=True, check=True)
    tieline = binary()
    with tempfile.TemporaryDirectory() as folder:
        children = []
        try:
            run(tieline, folder, rounds, children)
        finally:
            for child in children:
                child.kill()
                child.wait()


def run(tieline, folder, rounds, children):
    vendor = subprocess.Popen(
        [tieline, "simulate", "--users", "250", "--latency", "20ms", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    children.append(vendor)
    base = next(m.group(1) for line in vendor.stdout if (m := re.search(r"is at (http://[\d.:]+\d)", line)))
    digest = subprocess.run(
        [tieline, "key", "digest"], input="legacy-demo-key", capture_output=True, text=True, check=True
    ).stdout.strip()
    gateways = []
    for name in ("a", "b"):
        gateways.append(Gateway(tieline, folder, name, base, digest))
        children.append(gateways[-1].process)
    port = free_port()
    with open(os.path.join(folder, "haproxy.cfg"), "w") as file:
        file.write(
            f"global\n stats socket {folder}/haproxy.sock\n"
            "defaults\n mode http\n timeout check 10s\n timeout connect 2s\n timeout client 30s\n timeout server 30s\n retries 0\n"
            f"frontend in\n bind 127.0.0.1:{port}\n default_backend both\n"
            "backend both\n option httpchk GET /readyz\n http-reuse safe\n"
            + "".join(
                f" server g{n} 127.0.0.1:{g.listen} check port {g.admin} inter 100ms fall 1 rise 1\n"
                for n, g in enumerate(gateways)
            )
        )
    children.append(subprocess.Popen(["haproxy", "-db", "-f", file.name], stderr=subprocess.DEVNULL))
    length = []

    def answers():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
            connection.request("GET", LIST, headers={"authorization": "Bearer legacy-demo-key"})
            answer = connection.getresponse()
            length[:] = [len(answer.read())]
            return answer.status == 200
        except OSError:
            return False

    until("answers through HAProxy", answers)
    clients = [Client(port, n % 2 == 0, length[0]) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    until("HAProxy sees both", lambda: seen_up(folder) == 2)
    for number in range(rounds):
        gateway = gateways[number % 2]
        gateway.restart()
        children.append(gateway.process)
        until("HAProxy sees both", lambda: seen_up(folder) == 2)
    for client in clients:
        client.stop = True
    for client in clients:
        client.join(WAIT)
    answered = sum(client.answered for client in clients)
    failures = [failure for client in clients for failure in client.failures]
    print(f"rolling_restarts: {rounds} restarts, {answered} requests, {len(failures)} failed")
    if failures or answered < rounds:
        sys.exit("\n".join(sorted(set(failures))[:20]) or "too few requests")


main()
