#!/usr/bin/env python3
"""Writes crates/tieline/profile/*.profdata: what requests were seen to run, for the compiler of a `dist` build.

  rustup component add llvm-tools
  tests/bench/record_profile.py [--only host|musl]

It builds the program with counters (in target/recorded, for ten minutes on two cores), runs gateways in front of
pretend vendors, asks them for what customers ask for, and merges the counts. The names of functions depend on the
target: `host` is for this machine, without `--target`, and `musl` for images. A function that nothing ran is compiled
as if there were no profile.

`.cargo/rustc-wrapper` hands the file to the compiler. Cargo does not see that it changed, so the next build has to be
from the beginning: `cargo clean --profile dist`. Then write the order of functions anew (order.py). Traffic is loopback
only, and only processes started here are ended.
"""
import argparse, glob, http.client, os, re, ssl, subprocess, sys, tempfile

import loopback
from loopback import KEY, LIST, ROOT

PROFILES = os.path.join(ROOT, "crates", "tieline", "profile")
TARGETS = {"host": None, "musl": "x86_64-unknown-linux-musl"}
BUILD = os.path.join(ROOT, "target", "recorded")
EMAIL = LIST + "?email=agent.10009@cc1.example.com"
V4 = "/api/v4/users?limit=1&offset=5"
# Options of the vendor, tables of the gateway, and paths with how often each is asked for. Each path runs about as many
# instructions in all as the others: what a small request runs must not look rare beside lists.
VOISO = [
    ([1000], "", [(V4, 8000), (EMAIL, 6000), (LIST + "?id=10009", 1000), (LIST + "?extension=2009", 500),
                  (LIST + "?sag=Agent", 20), (LIST, 80), ("/api/v3/cdr/users", 10), ("/api/v2/cdr/teams", 50)]),
    ([100], "", [(LIST, 600)]),
    ([10000], "", [(LIST, 8)]),
    ([1000, "--tags", "weak"], "", [(LIST, 60)]),
    ([1000], "[answer]\nstream = true\n", [(LIST, 40)]),
]
MORE_HEADERS = {**KEY, "accept": "*/*", "accept-encoding": "gzip", "user-agent": "legacy-sync/1.0"}
TABLES = '[log]\nformat = "json"\n[passthrough]\nenabled = true\n[limits]\ndrain_delay = "0s"\n'

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--only", choices=TARGETS, help="one target instead of both")
args = ap.parse_args()


def rustc(*arguments):
    """What the compiler of the project says."""
    return subprocess.run(["rustc", *arguments], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


def merger():
    """llvm-profdata of this compiler."""
    found = glob.glob(os.path.join(rustc("--print", "sysroot"), "lib/rustlib/*/bin/llvm-profdata"))
    return found[0] if found else sys.exit("llvm-profdata is missing: rustup component add llvm-tools")


def build(target, folder):
    """The program with counters."""
    command = ["cargo", "build", "--profile", "dist", "--features", "dist", "--locked", "--package", "tieline",
               "--target-dir", BUILD, *(["--target", target] if target else [])]
    environment = dict(os.environ, TIELINE_RECORD_PROFILE=folder)
    if target:
        environment[f"CC_{target.replace('-', '_')}"] = "musl-gcc"
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    return os.path.join(BUILD, target or "", "dist", "tieline")


class Recorder:
    """Gateways whose counts go to one folder."""

    def __init__(self, tieline, folder):
        self.tieline, self.folder, self.gateways = tieline, folder, 0

    def vendor(self, users, *options):
        """Its counts are thrown away."""
        os.environ["LLVM_PROFILE_FILE"] = os.devnull
        return f"http://127.0.0.1:{loopback.vendor(self.tieline, users, *options)}"

    def gateway(self, base, more="", env=None, **options):
        self.gateways += 1
        config = os.path.join(self.folder, f"{self.gateways}.toml")
        environment = {"TOKIO_WORKER_THREADS": "1", "LLVM_PROFILE_FILE": self.counts()[-1], **(env or {})}
        return loopback.gateway(self.tieline, config, base, TABLES + more, env=environment, **options)

    def counts(self):
        """The file of each gateway."""
        return [os.path.join(self.folder, f"{number + 1}.profraw") for number in range(self.gateways)]

    def end(self):
        """Ends all gateways; each writes its counts then."""
        loopback.end()
        for file in self.counts():
            if not (os.path.exists(file) and os.path.getsize(file)):
                sys.exit(f"{file} was not written")


def over_voiso(recorder):
    for vendor, tables, requests in VOISO:
        port, admin, _ = recorder.gateway(recorder.vendor(*vendor), tables)
        for path, times in requests:
            # A connection now and then, too.
            for _ in range(0, times, 500):
                loopback.ask(port, path, min(times, 500))
        loopback.ask(port, LIST, 10, MORE_HEADERS)
        loopback.ask(port, EMAIL, 500, MORE_HEADERS)
        # More of them would be answered slowly.
        loopback.ask(port, LIST, 10, {"authorization": "Bearer wrong"}, status=401)
        loopback.ask(port, "/nothing/here", 200, status=404)
        loopback.ask(admin, "/metrics", 20, {})


def over_vonage(recorder):
    base = recorder.vendor(1000, "--dialect", "vonage-v4")
    upstream = f'token_url = "{base}/Auth/connect/token"\nrequests_per_minute_max = 0\n'
    port, _, _ = recorder.gateway(base, upstream=upstream, dialect="vonage-v4",
                                  env={"BENCH_V4_KEY": "demo-client:demo-secret"})
    loopback.ask(port, LIST, 40)
    loopback.ask(port, EMAIL, 200)


def with_tls(recorder):
    """A gateway before another one, which passes all through: both ends of TLS."""
    certificate, key = (os.path.join(recorder.folder, name) for name in ("server.pem", "server.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    server = f'tls = {{ cert = "{certificate}", key = "{key}" }}'
    behind, _, _ = recorder.gateway(recorder.vendor(1000), server=server)
    port, _, _ = recorder.gateway(f"https://localhost:{behind}", server=server, upstream=f'ca_file = "{certificate}"',
                                  env={"BENCH_V4_KEY": "legacy-demo-key"})
    trust = ssl.create_default_context(cafile=certificate)
    for path, times in ((V4, 100), (EMAIL, 100), (LIST, 2)):
        for _ in range(20):
            loopback.ask(port, path, times, connection=http.client.HTTPSConnection("localhost", port, context=trust))


def stamp(name):
    """Says what the profile was recorded with: another version or compiler gives functions other names."""
    manifest = open(os.path.join(ROOT, "Cargo.toml")).read()
    version = re.search(r'^version = "(.+)"$', manifest, re.M).group(1)
    compiler = rustc("--version").split()[1]
    with open(os.path.join(PROFILES, f"{name}.txt"), "w") as file:
        file.write(f"tieline {version}, rustc {compiler}\n")


def record(name, merge):
    """Writes the profile of one target."""
    profile = os.path.join(PROFILES, f"{name}.profdata")
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(build(TARGETS[name], folder), folder)
        for ask in (over_voiso, over_vonage, with_tls):
            ask(recorder)
        recorder.end()
        # Counts of zero are left out: those functions would be compiled as ones that hardly ever run.
        subprocess.run([merge, "merge", "--sparse", "--output", profile, *recorder.counts()], check=True)
    stamp(name)
    print(f"{profile}: {os.path.getsize(profile):,} bytes")


def main():
    merge = merger()
    for name in [args.only] if args.only else TARGETS:
        record(name, merge)


loopback.run(main)
