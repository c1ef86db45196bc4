"""Runs the commands of the pages as a reader would, terminal by terminal. See tests/outside/pages.sh.

pages.py TIELINE FOLDER LISTEN VENDOR ADMIN: the program, a folder, and three free ports of the loopback.

A page's commands run in its order, in a folder of its own. One that goes on (`tieline serve`) keeps its
terminal; the next block is run in another one. README.md begins with nothing; the other pages begin where it
ends: with its tieline.toml, its variables, and the pretend vendor at work. Only addresses are replaced (the
three ports that the pages print, the vendor's by the pretend vendor's, folders of the system by the page's), and
the pretend vendor is asked without a pace.

Configurations of other programs are left to tests/outside/balancing.sh. A text right behind commands is what they say, but for times; JSON there has the members of what they say. A
part of a configuration in docs/OPERATING.md is added to the file of the running gateway, which has to take it up.
"""

import atexit
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

# Programs that a page's command may begin with to be run here; `cargo` and `tieline` have stand-ins below.
RUN = {"cargo", "curl", "export", "install", "printf", "sqlite3", "tieline"}
# Commands that are not run here, by their beginning, and why.
NOT_RUN = {
    "cargo test --workspace": ".ci/run runs it",
    "cargo build --profile dist --features dist": "minutes of building; deploy/Dockerfile does it",
    "cargo build --release": "only CONTRIBUTING.md's; README.md's has a stand-in",
    "bash .ci/run": "this check is a part of it",
    "tests/bench/cpu.py": "measures for minutes, with the build of the line above it",
    "tests/bench/pollers.py": "measures for a minute, with the build of the line above it",
    "tests/bench/unchanged.py": "measures for a minute, with the build of the line above it",
    "tests/bench/memory.py": "measures with the build of a page before it",
    "cargo rustc --profile dist ": "minutes of building, for the line below it",
    "tests/bench/order.py": "writes into the tree, with the build of the line above it",
    "rustup component add llvm-tools": "needs the network, for the line below it",
    "tests/bench/record_profile.py": "writes into the tree, after minutes of building",
    "cargo clean --profile dist": "throws away a build that takes minutes",
    "cargo bench ": "measures, with a build of its own",
    "cargo run --release --locked --manifest-path tests/bench/readers": "builds crates that nothing else needs",
    "tests/bench/pictures.py": "writes into the tree; pages.sh runs it with --check",
    "RECORD=1 tests/outside/instructions.sh": "writes into the tree; .ci/run runs the check itself",
    "PROFILES=profiles tests/outside/instructions.sh": "the same check, which .ci/run runs",
    "tests/fuzz/run": "fuzzes for minutes, with a build of its own",
    "sqlite3 roster.sqlite \"DELETE": "needs a roster in which somebody is to be forgotten",
    "tieline roster move ": "needs a database; roster_postgres.sh moves from one to a file and back",
    "deploy/release.sh": "builds for minutes; release.sh packs the same files",
    "docker ": "needs Docker and the network",
    "systemctl ": "needs systemd as the first process",
    "helm ": "needs a cluster; chart.sh renders the same",
    "kubectl ": "needs a cluster",
}
PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "deploy/*"]
LANGUAGES = {"sh", "console", "text", "json", "toml", "haproxy", "nginx", "sql", "yaml"}
GOES_ON = {
    "tieline simulate": "_simulator/stats",
    "tieline serve": "listening",
    "cargo run --release -- demo": "Ctrl-C ends",
}
# How the pretend vendor must be where a page promises something of it: all answers agree.
SIMULATED = {"docs/VALIDATION.md": " --users 60 --teams-list"}
SYSTEM = ["/usr/local/bin/", "/etc/systemd/system/", "/etc/tieline/", "/var/lib/tieline/", "/var/backups/"]
KEYS = {
    "VOISO_V4_KEY": "v4-demo-key",
    "LEGACY_KEY": "legacy-demo-key",
    "LEGACY_USER_KEY": "legacy-demo-key",
}
WAIT = 60

PROGRAM, FOLDER, *PORTS = sys.argv[1:]
LISTEN, VENDOR, ADMIN = (f"127.0.0.1:{port}" for port in PORTS)
ROOT = pathlib.Path.cwd()
used = set()


def fail(text):
    sys.exit(f"pages: {text}")


class Block:
    """A piece of a page: its language, its text, and the paragraph that stands before it."""

    def __init__(self, language, code, paragraph, follows):
        self.language, self.before, self.follows = language, " ".join(paragraph), follows
        self.text = textwrap.dedent("\n".join(code)) + "\n"

    def commands(self):
        if self.language not in ("sh", "console"):
            return []
        whole = re.sub(r"\\\n *", "", self.text)
        return [re.sub(r"\s{2,}# .*", "", line) for line in whole.splitlines()]


def blocks(name):
    """Every block of a page, in its order."""
    lines = (ROOT / name).read_text().splitlines()
    if name.startswith("deploy/"):
        # What a comment prints stands four spaces further in.
        lines = ["", *(line[1:].removeprefix(" ") if line.startswith("#     ") else "" for line in lines)]
    paragraph, code, language, follows = [], [], None, False
    for line in [*lines, ""]:
        fence = re.fullmatch(r" *```(\w*)", line)
        if language == "    " and not line.startswith("    "):
            setting = re.match(r" +[\w.]+ ?= ?", code[0])
            yield Block("toml" if setting else "sh", code, paragraph, follows)
            paragraph, code, language, follows = [], [], None, True
        if language is None and fence:
            language = fence.group(1)
            if language not in LANGUAGES:
                fail(f"{name}: a block is {language!r}, which is none of {sorted(LANGUAGES)}")
        elif fence:
            yield Block(language, code, paragraph, follows)
            paragraph, code, language, follows = [], [], None, True
        elif language is not None:
            code.append(line)
        elif line.startswith("    ") and paragraph[-1:] in ([], [""]) and not is_list(paragraph):
            language, code = "    ", [line]
        else:
            if line and paragraph[-1:] == [""]:
                paragraph = []
            paragraph.append(line)
            follows = follows and not line


def is_list(paragraph):
    return bool(re.match(r" *([-*]|\d+\.) ", (paragraph or [""])[0]))


class Terminal:
    """A shell. What it is told is awaited; what goes on is left running."""

    def __init__(self, world, number):
        self.log = world.folder / f".terminal-{number}"
        self.world, self.running, self.read = world, None, 0
        self.shell = subprocess.Popen(
            ["bash", "--norc"], cwd=world.folder, env=world.environment, text=True,
            stdin=subprocess.PIPE, stdout=self.log.open("w"), stderr=subprocess.STDOUT, start_new_session=True,
        )
        atexit.register(self.kill)

    def tell(self, line, done):
        self.shell.stdin.write(line + "\n")
        self.shell.stdin.flush()
        return self.hear(line, done)

    def hear(self, line, done):
        """Waits until the terminal shows `done`; what stands before it, and the match."""
        for _ in range(WAIT * 20):
            said = self.log.read_text(errors="replace")[self.read :]
            found = re.search(done, said)
            if found:
                self.read += found.end()
                return said[: found.start()], found
            time.sleep(0.05)
        fail(f"{self.world.page}: no end of: {line}\n{said}")

    def run(self, command):
        ready = next((ready for begin, ready in GOES_ON.items() if command.startswith(begin)), None)
        typed = self.world.replaced(command)
        if ready:
            self.running = command
            _, found = self.tell(f"{typed} <.typed & echo @pid $!; wait $!; echo @end $?", r"@pid (\d+)\n")
            self.pid = int(found.group(1))
            said, found = self.hear(command, rf"{ready}|@end \d+\n")
            if "@end" in found.group(0):
                fail(f"{self.world.page}: {command}: ended\n{said}")
            return said
        # What is pasted where a command reads the terminal is the v4 key.
        said, found = self.tell(f"{{ {typed}\n}} <.typed; echo @end $?", r"@end (\d+)\n")
        if found.group(1) != "0":
            fail(f"{self.world.page}: exit code {found.group(1)} from: {command}\n{said}")
        return said

    def stop(self):
        """Ctrl-C, where something runs."""
        if self.running:
            os.kill(self.pid, signal.SIGINT)
            said, found = self.tell("", r"@end (\d+)\n")
            if found.group(1) != "0":
                fail(f"{self.world.page}: exit code {found.group(1)} after Ctrl-C: {self.running}\n{said}")
            self.running = None

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(WAIT)

    def kill(self):
        """Where the check ends early: the shell, and what it started."""
        if self.shell.poll() is None:
            os.killpg(self.shell.pid, signal.SIGKILL)


class World:
    """A page's folder and terminals."""

    def __init__(self, page):
        self.page, self.terminals, self.path = page, [], None
        self.folder = pathlib.Path(FOLDER) / page.replace("/", "-")
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / ".typed").write_text("v4-demo-key\n")
        (self.folder / ".curlrc").write_text("fail-with-body\nmax-time = 60\n")
        for folder in SYSTEM:
            (self.folder / "system" / folder[1:]).mkdir(parents=True, exist_ok=True)
        self.program("cargo", CARGO)
        self.environment = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "CURL_HOME": str(self.folder),
            "TIELINE_SERVER__LISTEN": LISTEN, "TIELINE_ADMIN__LISTEN": ADMIN, "LC_ALL": "C.UTF-8",
        }

    def program(self, name, text):
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def replaced(self, text):
        for printed, real in [
            ("https://cc-ams03.voiso.com", f"http://{VENDOR}"), ("127.0.0.1:8080", LISTEN),
            ("127.0.0.1:8081", VENDOR), ("127.0.0.1:9090", ADMIN),
        ]:
            text = text.replace(printed, real)
        for folder in SYSTEM:
            text = text.replace(folder, f"{self.folder}/system{folder}")
        for host in re.findall(r"https?://([^/\s\"':]+)", text):
            if host != "127.0.0.1":
                fail(f"{self.page}: a command asks {host}, which is no pretend vendor: {text}")
        return text

    def terminal(self, wants_another=False):
        """The last one that is free, or a new one."""
        free = [terminal for terminal in self.terminals if not terminal.running]
        if wants_another or not free:
            self.terminals.append(Terminal(self, len(self.terminals)))
            if self.path:
                self.terminals[-1].run(self.path)
            return self.terminals[-1]
        return free[-1]

    def begin(self):
        """Where README.md ends: its configuration, its variables, and the pretend vendor at work."""
        self.program("tieline", TIELINE)
        self.environment |= KEYS | {"TIELINE_UPSTREAM__AMS__BASE_URL": f"http://{VENDOR}"}
        saved = next(block for block in blocks("README.md") if "`tieline.toml`" in block.before)
        (self.folder / "tieline.toml").write_text(saved.text + "\nexplain = true\n")
        self.terminal().run("tieline simulate" + SIMULATED.get(self.page, ""))
        for name in ["tieline", "tieline.example.toml", "tieline.service", "tieline.socket", "tieline-admin.socket"]:
            source = pathlib.Path(PROGRAM) if name == "tieline" else ROOT / "deploy" / name
            (self.folder / name).write_bytes(source.read_bytes())
        if self.page.endswith("example.toml"):
            (self.folder / "tieline.toml").write_bytes((ROOT / self.page).read_bytes())
        self.terminal().run(
            'curl -sS -o deleted.json "http://127.0.0.1:8081/api/v2/cdr/deleted_agents?key=legacy-demo-key"'
        )

    def append(self, text):
        """A part of a configuration: the running gateway takes it up by itself."""
        count = 'curl -sS http://127.0.0.1:9090/metrics | sed -n "s/^tieline_config_reload_total.*applied.* //p"'
        before = self.terminal().run(count)
        with (self.folder / "tieline.toml").open("a") as file:
            file.write("\n" + self.replaced(text))
        for _ in range(WAIT * 5):
            if self.terminal().run(count) != before:
                return
            time.sleep(0.2)
        fail(f"{self.page}: the gateway does not take up:\n{text}")

    def end(self):
        for terminal in reversed(self.terminals):
            terminal.stop()
            terminal.close()


# What stands on the path in place of programs. `cargo` builds nothing: it has the program already.
TIELINE = f"""#!/bin/sh
case "$1" in
simulate) exec '{PROGRAM}' "$@" --listen {VENDOR} ;;
demo) exec '{PROGRAM}' "$@" --listen {LISTEN} --admin {ADMIN} ;;
validate | calibrate | record)
    # The pace is for a legacy API that others use.
    case "$*" in *"--control http"*) set -- "$@" --rate 1000 ;; esac
    exec '{PROGRAM}' "$@"
    ;;
*) exec '{PROGRAM}' "$@" ;;
esac
"""
CARGO = f"""#!/bin/sh
case "$*" in
"build --release" | "run --release -- "*)
    mkdir -p target/release
    cat >target/release/tieline <<'SH'
{TIELINE}SH
    chmod +x target/release/tieline
    [ "$1" = build ] || {{ shift 3 && exec target/release/tieline "$@"; }}
    ;;
*) echo "no stand-in for: cargo $*" >&2 && exit 1 ;;
esac
"""


def walk(page):
    """Runs a page, and returns how many commands that were."""
    todo, world, said, ran = [], World(page), [], 0
    for block in blocks(page):
        commands = []
        for command in block.commands():
            reason = reason_not_to(page, command)
            print(f"{page}: {f'not run, {reason}' if reason else 'run'}: {command}", flush=True)
            commands += [] if reason else [command]
        todo.append((block, commands))
    if not any(commands for _, commands in todo):
        return 0
    if page != "README.md":
        world.begin()
    for block, commands in todo:
        if re.search(r"Stop the processes", block.before):
            for terminal in world.terminals:
                terminal.stop()
        saved = re.search(r"Save this as `([\w.]+)`", block.before)
        if saved:
            (world.folder / saved.group(1)).write_text(block.text)
        elif block.language == "toml" and page == "docs/OPERATING.md":
            world.append(block.text)
        elif block.follows and block.language in ("text", "json"):
            compare(page, block, said)
        wants_another = re.search(r"terminal", block.before)
        for command in commands:
            terminal = world.terminal(wants_another)
            wants_another = False
            if command.startswith("export PATH"):
                world.path = command
            started = time.monotonic()
            said = (said if command != commands[0] else []) + [terminal.run(command)]
            ran += 1
            took = time.monotonic() - started
            if took > 5:
                print(f"{page}: took {took:.0f} s: {command}")
            if "demo" in command.split():
                terminal.stop()
    world.end()
    return ran


def reason_not_to(page, command):
    if page == "README.md" and command == "cargo build --release":
        return None
    for begin, reason in NOT_RUN.items():
        if command.startswith(begin):
            used.add(begin)
            return reason
    first = command.split()[0]
    if first not in RUN and not re.fullmatch(r"[A-Z_]+=\S*", command):
        fail(f"{page}: may this be run here? Put it into RUN, or into NOT_RUN with a reason: {command}")
    return None


def compare(page, block, said):
    """What is printed behind a command is what the program says, but for times; of JSON the names of members."""
    if block.language == "text":
        plain = [re.sub(r"\d+\.\d s", "N s", text).strip() for text in [block.text, *said]]
        if plain[0] not in plain[1:]:
            fail(f"{page}: printed is\n{block.text}\nbut it says\n" + "\n".join(said))
        return
    sample = json.loads(block.text)
    answers = []
    for line in "\n".join(said).splitlines():
        start = re.search(r"[\[{]", line)
        try:
            answers.append(json.loads(line[start.start() :]) if start else None)
        except json.JSONDecodeError:
            pass
    if not any(answer is not None and is_like(sample, answer) for answer in answers):
        fail(f"{page}: no answer has the members of\n{block.text}\nbut it says\n" + "\n".join(said)[:5000])


def is_like(sample, answer):
    if not sample or not answer:
        return type(sample) is type(answer) or None in (sample, answer)
    if isinstance(sample, dict):
        return isinstance(answer, dict) and sample.keys() == answer.keys() and all(
            is_like(sample[name], answer[name]) for name in sample
        )
    if isinstance(sample, list):
        return isinstance(answer, list) and is_like(sample[0], answer[0])
    return type(sample) is type(answer)


pages = sorted(
    str(path.relative_to(ROOT)) for pattern in PAGES for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix != ".json"
)
ran = sum(walk(page) for page in pages)
for begin in NOT_RUN.keys() - used:
    fail(f"no page prints {begin!r} any more: take it out of NOT_RUN")
print(f"pages: {ran} commands run, of {len(pages)} pages")
