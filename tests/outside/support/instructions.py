"""User-space instructions per request, held to the recorded ones. See tests/outside/instructions.sh.

instructions.py TIELINE CONFIG GATEWAY RECORD BUILD PROFILES: the program, its configuration, the address where it then
listens, the file with the record, the name of the build, and a folder for callgrind's profiles.

Each cell is two runs of the gateway under callgrind, with N and with 2 N requests one after the other on one
connection. The difference divided by N leaves the start out. The kernel and the vendor are not counted, and other work
on the machine changes nothing. RECORD=1 in the environment writes the record anew.
"""

import http.client
import os
import signal
import subprocess
import sys
import time

PROGRAM, CONFIG, GATEWAY, RECORD, BUILD, PROFILES = sys.argv[1:]
# A count may be so much of the recorded one.
MOST, LEAST = 1.10, 0.90
USERS = "/api/user_management/v1/users"
# Path, key, status, requests, and how many records a count is divided by.
CELLS = {
    "passed through, 1 kB": ("/api/v4/users?limit=1&offset=5", "legacy-demo-key", 200, 200, 1),
    "look-up by e-mail": (USERS + "?email=agent.10009@cc1.example.com", "legacy-demo-key", 200, 200, 1),
    "list of 1,000, per user": (USERS, "legacy-demo-key", 200, 4, 1000),
    "wrong key": (USERS, "no-key-of-anybody", 401, 400, 1),
}
HELP = """\
PROFILES=DIR tests/outside/instructions.sh keeps the profiles, and
  callgrind_annotate --inclusive=yes 'DIR/{cell}.2' | head -n 60
shows which functions spend them."""


def recorded():
    """The build and the counts of the record."""
    rows = [line.rstrip("\n").split("\t") for line in open(RECORD) if not line.startswith("#")]
    (name, build), *counts = rows
    if name != "build":
        sys.exit(f"{RECORD}: the first row must be `build`")
    return build, {cell: int(count) for cell, count in counts}


def run(cell, times):
    """The instructions of the gateway for `times` times the requests of a cell, its start included."""
    path, key, status, requests, _ = CELLS[cell]
    profile = os.path.join(PROFILES, f"{cell}.{times}")
    # One worker, so that no other one looks for work meanwhile; and no wait at the end.
    environment = dict(os.environ, TOKIO_WORKER_THREADS="1", TIELINE_LIMITS__DRAIN_DELAY="0s")
    with open(profile + ".log", "w") as log:
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
             PROGRAM, "serve", "--config", CONFIG, "--log-format", "json"],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    connection = http.client.HTTPConnection(GATEWAY, timeout=30)

    def ask():
        connection.request("GET", path, headers={"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != status:
            sys.exit(f"{cell}: {answer.status} {body[:200]!r}, not {status}")

    try:
        for attempt in range(300):
            try:
                ask()
                break
            except ConnectionError:
                connection.close()
                if attempt == 299 or process.poll() is not None:
                    sys.exit(f"no gateway under valgrind:\n{open(profile + '.log').read()[-2000:]}")
                time.sleep(0.1)
        for _ in range(times * requests):
            ask()
        connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for line in open(profile):
        if line.startswith("totals:"):
            return int(line.split()[1])
    sys.exit(f"{profile} has no total")


def count(cell):
    requests, records = CELLS[cell][3:]
    return round((run(cell, 2) - run(cell, 1)) / requests / records)


def main():
    if os.environ.get("RECORD"):
        counts = {cell: count(cell) for cell in CELLS}
        with open(RECORD, "w") as file:
            file.write("# User-space instructions per request. RECORD=1 tests/outside/instructions.sh writes this file.\n"
                       "# `debug` is the build of .ci/run, with .ci/profile.toml.\n")
            file.write(f"build\t{BUILD}\n")
            file.writelines(f"{cell}\t{number}\n" for cell, number in counts.items())
        print(open(RECORD).read(), end="")
        return
    build, record = recorded()
    if build != BUILD:
        sys.exit(f"{RECORD} was recorded with {build}; this is {BUILD}. Counts of two builds do not compare. With a new "
                 "compiler, record them with RECORD=1 before any other change, so that only the compiler differs.")
    if record.keys() != CELLS.keys():
        sys.exit(f"{RECORD} has other cells than this check: RECORD=1 writes it anew")
    grown = []
    for cell, before in record.items():
        now = count(cell)
        print(f"{cell}: {now:,} instructions, recorded {before:,} ({now / before - 1:+.1%})", flush=True)
        if now > before * MOST:
            grown.append(cell)
            print(f"{cell}: more than 10 % over its record", file=sys.stderr)
        elif now < before * LEAST:
            print(f"{cell}: lower the record, so that it guards what was gained: RECORD=1 writes it anew")
    if grown:
        sys.exit(HELP.format(cell=grown[0]))


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()
