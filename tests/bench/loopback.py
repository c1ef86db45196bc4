"""What the measurements of this folder share: processes on loopback ports, their ends and their CPU time. Python's
standard library only; only processes that were started here are stopped."""
import glob, hashlib, http.client, os, signal, socket, subprocess, sys, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIELINE = os.path.join(ROOT, "target", "dist", "tieline")
LIST = "/api/user_management/v1/users"
KEY = {"authorization": "Bearer legacy-demo-key"}
TICK = os.sysconf("SC_CLK_TCK")

started = []


def start(command, **more):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    started.append(process)
    return process


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process=None, seconds=20):
    """Until somebody listens on the port; gives up if the process ends."""
    for _ in range(20 * seconds):
        if process is not None and process.poll() is not None:
            sys.exit(f"{process.args[0]} ended at once")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on {port}")


def with_children(pid):
    """The process and its children: nginx's master listens as well, its workers do the work."""
    pids = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        pids += map(int, open(path).read().split())
    return pids


def cpu_seconds(pids):
    """User and system time so far, by the kernel's account."""
    ticks = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def vendor(tieline, users, *options):
    """The port of a pretend vendor."""
    port = free_port()
    process = start([tieline, "simulate", "--users", str(users), "--listen", f"127.0.0.1:{port}", *options])
    wait_for(port, process)
    return port


def gateway(tieline, config, base, more="", upstream="", env=None, under=(), server="", dialect="voiso-v4"):
    """A gateway in front of `base`, with its configuration in the file `config`: `more` are tables of it, `upstream`
    and `server` lines of those tables, `under` the command that runs it. Its port, its admin port, its process."""
    port, admin = free_port(), free_port()
    digest = hashlib.sha256(b"legacy-demo-key").hexdigest()
    with open(config, "w") as file:
        file.write(
            f'[server]\nlisten = "127.0.0.1:{port}"\n{server}\n[admin]\nlisten = "127.0.0.1:{admin}"\n{more}\n'
            f'[upstream.v]\ndialect = "{dialect}"\nbase_url = "{base}"\n{upstream}\n'
            f'[[caller]]\nname = "bench"\nlegacy_key = {{ digest = "sha256:{digest}" }}\n'
            'upstream = "v"\nupstream_key = { env = "BENCH_V4_KEY" }\nsees = "everything"\n')
    environment = {**os.environ, "BENCH_V4_KEY": "v4-demo-key", **(env or {})}
    process = start([*under, tieline, "serve", "--config", config], env=environment)
    # Under valgrind all takes many times as long.
    wait_for(port, process, 120 if under else 20)
    wait_for(admin, process)
    return port, admin, process


def ask(port, path, times, headers=KEY, status=200, connection=None):
    """Asks so many times, on one connection. The bytes of the last answer, which must have this status."""
    connection, body = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60), b""
    for _ in range(times):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != status:
            sys.exit(f"{answer.status} {body[:200]!r} for {path}")
    connection.close()
    return body


def end():
    """Ends all that was started."""
    for process in started:
        process.terminate()
    while started:
        process = started.pop()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(main):
    """Runs it, and ends what it started, however it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main()
    finally:
        end()
