"""What requests of many kinds cost a gateway, each held to its bound. See tests/outside/costs.sh.

costs.py GATEWAY ADMIN VENDOR FAR PID: addresses of the loopback and the gateway's process. FAR is a port that this
program listens on, as an upstream with answers of any length.

CPU is the processor time of the whole process, as a multiple of what a request with a wrong key costs right before it:
the least of a few rounds of both, since other work on the machine can only add to it. What is held is the most memory
during requests at the same time, without what was held before; nobody reads an answer until all have asked. Calls
upstream are counted by the upstreams. ROUNDS is how often each kind is measured; FIGURES=1 prints a table for a page.
"""

import contextlib
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
import urllib.request

from http2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, TABLE, WINDOW,
    WINDOW_MAX, WINDOW_UPDATE, Connection, block, frame, integer, literal, number, settings,
)

GATEWAY, ADMIN, VENDOR, FAR, PID = sys.argv[1:]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
FIGURES = os.environ.get("FIGURES")
# Requests at the same time, where bytes held are measured.
TOGETHER = 64
USERS = "/api/user_management/v1/users"
KEY = ("authorization", "Bearer legacy-demo-key")
WRONG = ("authorization", "Bearer no-key-of-anybody")
GZIP = ("accept-encoding", "gzip")
JSON = ("content-type", "application/json")
MIB = 1 << 20
# The clock of another process's processor time (clock_getcpuclockid).
CLOCK = (~int(PID) << 3) | 2

far_calls = 0
fresh = iter(range(10**7, 10**8))


class Far(socketserver.StreamRequestHandler):
    """Answers /far/N with N bytes, once the request has come whole."""

    def handle(self):
        with contextlib.suppress(OSError):
            self.answer()

    def answer(self):
        global far_calls
        while line := self.rfile.readline():
            far_calls += 1
            length, chunked = 0, False
            while (field := self.rfile.readline().lower().strip()):
                if field.startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
                chunked = chunked or field == b"transfer-encoding: chunked"
            self.rfile.read(length)
            while chunked and (size := int(self.rfile.readline(), 16)):
                self.rfile.read(size + 2)
            if chunked:
                self.rfile.readline()
            bytes_wanted = int(re.match(rb"\w+ /far/(\d+)", line).group(1))
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % bytes_wanted + b"x" * bytes_wanted)


class Upstream(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 256


def calls():
    with urllib.request.urlopen(f"http://{VENDOR}/_simulator/stats", timeout=20) as answer:
        return json.load(answer)["requests"] + far_calls


def memory(what):
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))


def cpu():
    return time.clock_gettime(CLOCK)


def request(method, target, *fields, body=b"", host="gateway.example", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", f"host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def connect(address=None):
    host, port = (address or GATEWAY).rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer1(file, is_head=False):
    """Status of the next answer, once it has come whole; `closed` where none comes."""
    line = file.readline()
    if not line:
        return "closed"
    length = 0
    while (field := file.readline().lower()) not in (b"\r\n", b""):
        if field.startswith(b"content-length:"):
            length = int(field.split(b":")[1])
    status = int(line.split()[1])
    file.read(0 if is_head or status == 304 else length)
    return status


class Http1:
    """Requests over HTTP/1, one after another over one connection, or each over its own."""

    def __init__(self, make, wanted, address=None, closes=False, pieces=0):
        self.make, self.wanted, self.address, self.closes, self.pieces = make, wanted, address, closes, pieces

    def open(self):
        connection = connect(self.address)
        return connection, connection.makefile("rb")

    def ask(self, opened):
        text = self.make() if callable(self.make) else self.make
        step = self.pieces or len(text)
        for at in range(0, len(text), step):
            opened[0].sendall(text[at : at + step])
            if self.pieces:
                time.sleep(0.0002)
        self.is_head = text.startswith(b"HEAD")
        return len(text)

    def hear(self, opened):
        expect(answer1(opened[1], self.is_head), self.wanted)

    def close(self, opened):
        opened[1].close()
        opened[0].close()

    def run(self, count):
        sent, opened = 0, None
        for _ in range(count):
            opened = opened or self.open()
            sent += self.ask(opened)
            self.hear(opened)
            if self.closes:
                self.close(opened)
                opened = None
        if opened:
            self.close(opened)
        return sent


class Http2:
    """Requests over HTTP/2: `first` fills the table of a connection, `more` are the frames of each request."""

    def __init__(self, head, wanted, first=b"", more=lambda stream: b""):
        self.head, self.wanted, self.first, self.more = head, wanted, first, more

    def open(self):
        opening = PREFACE + frame(SETTINGS, 0, 0, settings((TABLE, 0), (WINDOW, WINDOW_MAX)))
        opened = Connection(GATEWAY, opening + frame(WINDOW_UPDATE, 0, 0, number(WINDOW_MAX - 65535)), wait=20)
        opened.stream = -1
        if self.first:
            self.say(opened, self.first, b"")
            self.hear(opened)
        return opened

    def say(self, opened, head, more):
        opened.stream += 2
        flags = END_HEADERS if more else END_HEADERS | END_STREAM
        text = frame(HEADERS, flags, opened.stream, head) + more
        opened.say(text)
        return len(text)

    def ask(self, opened):
        return self.say(opened, self.head, self.more(opened.stream + 2))

    def hear(self, opened):
        expect(opened.answer(opened.stream)[0], self.wanted)

    def close(self, opened):
        opened.socket.close()

    def run(self, count):
        opened, sent = self.open(), 0
        for _ in range(count):
            sent += self.ask(opened)
            self.hear(opened)
        self.close(opened)
        return sent


class Flood(Http2):
    """A connection of many equal frames, up to the GOAWAY that ends it."""

    def __init__(self, again, frames, wanted="GOAWAY 11"):
        self.again, self.frames, self.wanted = again, frames, wanted

    def open(self):
        return Connection(GATEWAY, wait=20)

    def ask(self, opened):
        text = b"".join(self.again(number) for number in range(self.frames))
        opened.say(text)
        return len(text)

    def hear(self, opened):
        expect(opened.answer(0)[0], self.wanted)

    def run(self, count):
        sent = 0
        for _ in range(count):
            opened = self.open()
            sent += self.ask(opened)
            self.hear(opened)
            self.close(opened)
        return sent


class Held(Http1):
    """A head that never ends: nothing is answered."""

    def hear(self, opened):
        pass


def expect(found, wanted):
    if found not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        raise SystemExit(f"costs: {current}: {found}, not {wanted}")


def fields2(method, path, *more):
    head = ((":method", method), (":scheme", "http"), (":authority", "gateway.example"), (":path", path))
    return block(*head, *more)


def get1(target, *fields, **more):
    return request("GET", target, *fields, **more)


def get2(target, *more):
    return fields2("GET", target, *more)


# Fills the table: an authority of one letter, then a path that takes the rest of its 4,096 bytes.
LONG = USERS + "?" + "x=1&" * 975
INDEX = b"\x82\x86" + literal(":authority", "a", 0x40) + literal(":path", LONG, 0x40)
REFERENCE = Http1(request("GET", USERS, WRONG), 401)
NAMES = "&".join(f"n{name}" for name in range(1500))
NAMES2 = "&".join(f"n{name}" for name in range(2000))
RESET = number(8)


def stream(number):
    return 2 * number + 1


def taken_back(*fields):
    def again(count):
        head = frame(HEADERS, END_HEADERS | END_STREAM, stream(count), get2("/far/1", *fields))
        return head + frame(RST_STREAM, 0, stream(count), RESET)

    return again


def header_bomb():
    """One long field in the table, named again and again by a byte."""
    return get2("/x") + literal("a", "x" * 3900, 0x40) + b"\xbe" * 10_000


def endless(count):
    first = frame(HEADERS, END_STREAM, 1, get2("/x")) if count == 0 else b""
    return first + frame(CONTINUATION, 0, 1, literal("a", "b"))


def endless_trailers(_):
    """A frame that says it is as large as can be, and has changes of the table's size alone."""
    head = frame(HEADERS, END_HEADERS, 1, fields2("POST", "/x"))
    return head + b"\xff\xff\xff\x01\x05\0\0\0\x01" + b"\x20" * (2 * MIB)


def chunks(count):
    return request("POST", "/far/1", KEY, ("transfer-encoding", "chunked")) + b"1\r\nx\r\n" * count + b"0\r\n\r\n"


def pieces2(count):
    return lambda stream: frame(DATA, 0, stream, b"x") * count + frame(DATA, END_STREAM, stream)


def nobody():
    return get1(f"{USERS}?id={next(fresh)}", KEY)


def kinds(email, pages):
    """(who, what, how, requests, most CPU, most KiB held for each, calls upstream); calls as a pair are a range."""
    bad = ("content-length", "5, 5")
    upgrade = (("connection", "upgrade"), ("upgrade", "websocket"))
    far = str(MIB)
    return [
        ("no key", "HTTP/1, the list of users", Http1(get1(USERS), 401), 200, 3, 192, 0),
        ("no key", "HTTP/2, the list of users", Http2(get2(USERS), 401), 200, 5, 192, 0),
        ("no key", "HTTP/1, an unknown path", Http1(get1("/nobody/knows"), 401), 200, 3, 192, 0),
        ("no key", "HTTP/1, 1,500 parameters", Http1(get1(f"{USERS}?{NAMES}"), 401), 100, 10, 192, 0),
        ("no key", "HTTP/2, 2,000 parameters", Http2(get2(f"{USERS}?{NAMES2}"), 401), 100, 8, 192, 0),
        ("no key", "HTTP/2, a query of 3,900 bytes by its index", Http2(b"\x82\x86\xbe\xbf", 401, INDEX), 200, 8, 192, 0),
        ("no key", "HTTP/1, `openapi.json`", Http1(get1("/openapi.json"), 200), 50, 8, 192, 0),
        ("no key", "HTTP/1, `openapi.json` in gzip", Http1(get1("/openapi.json", GZIP), 200), 50, 6, 192, 0),
        ("no key", "HTTP/2, `openapi.json`", Http2(get2("/openapi.json"), 200), 50, 10, 192, 0),
        ("wrong key", "HTTP/2, the list of users", Http2(get2(USERS, WRONG), 401), 200, 6, 192, 0),
        ("refused", "HTTP/1, a bad `Host`, a connection each", Http1(get1(USERS, host="a b"), 400, closes=True), 50, 16, 192, 0),
        ("refused", "HTTP/1, two lengths, a connection each", Http1(get1(USERS, bad), 400, closes=True), 50, 16, 192, 0),
        ("refused", "HTTP/1, 33 KiB of headers, a connection each",
         Http1(get1(USERS, *[("x", "y" * 3000)] * 12), 431, closes=True), 50, 25, 192, 0),
        ("refused", "HTTP/1, `CONNECT`, a connection each", Http1(request("CONNECT", "h:443"), 405, closes=True), 50, 16, 192, 0),
        ("refused", "HTTP/1, a head of 120 bytes, a byte a packet", Http1(get1(USERS + "?x=" + "y" * 60), 401, pieces=1), 2, 250, 192, 0),
        ("refused", "HTTP/1, heads of 31 KiB that never end",
         Held(get1(USERS, *[("x", "y" * 3000)] * 10)[:-2], 0, closes=True), 20, 16, 256, 0),
        ("flood", "HTTP/2, a connection of 2,000 pings", Flood(lambda _: frame(PING, 0, 0, b"12345678"), 2000), 5, 80, 192, 0),
        ("flood", "HTTP/2, a connection of 2,000 settings", Flood(lambda _: frame(SETTINGS, 0, 0), 2000), 5, 80, 192, 0),
        ("flood", "HTTP/2, a connection of 2,000 windows",
         Flood(lambda _: frame(WINDOW_UPDATE, 0, 0, number(1)), 2000), 5, 80, 192, 0),
        ("flood", "HTTP/2, 500 requests without a key, taken back", Flood(taken_back(), 500), 3, 120, 256, 0),
        ("flood", "HTTP/2, 500 requests that go through, taken back", Flood(taken_back(KEY), 500), 3, 120, 256, (0, 101)),
        ("flood", "HTTP/2, a header block without end", Flood(endless, 2000), 5, 40, 192, 0),
        ("flood", "HTTP/2, trailers of 2 MiB without a field", Flood(endless_trailers, 1, ("GOAWAY 6", "closed")), 3, 80, 256, 0),
        ("flood", "HTTP/2, 10,000 fields by their index", Flood(lambda _: frame(HEADERS, END_HEADERS | END_STREAM, 1, header_bomb()), 1), 20, 15, 192, 0),
        ("good key", "HTTP/1, `POST` to the list", Http1(request("POST", USERS, KEY, JSON, body=b"{}"), 405), 100, 5, 192, 0),
        ("good key", "HTTP/1, an upgrade", Http1(get1("/far/1", KEY, *upgrade), 501, closes=True), 50, 15, 192, 0),
        ("good key", "HTTP/1, a bad value of a filter", Http1(get1(f"{USERS}?id=x", KEY), (200, 400)), 100, 6, 192, 0),
        ("good key", "HTTP/1, one user by e-mail", Http1(get1(f"{USERS}?email={email}", KEY), 200), 50, 30, 192, 1),
        ("good key", "HTTP/2, one user by e-mail", Http2(get2(f"{USERS}?email={email}", KEY), 200), 50, 30, 192, 1),
        ("good key", "HTTP/2, the same and 2,000 parameters",
         Http2(get2(f"{USERS}?email={email}&{NAMES2}", KEY), 200), 50, 120, 512, 1),
        ("good key", "HTTP/1, the whole list of users", Http1(get1(USERS, KEY), 200), 5, 600, 512, pages),
        ("good key", "HTTP/1, the same in gzip", Http1(get1(USERS, KEY, GZIP), 200), 5, 3000, 512, pages),
        ("good key", "HTTP/2, the same", Http2(get2(USERS, KEY), 200), 5, 600, 512, pages),
        ("good key", "HTTP/1, `HEAD` of the same", Http1(request("HEAD", USERS, KEY), 200), 5, 600, 512, pages),
        ("good key", "HTTP/1, an `id` of nobody, another each time", Http1(nobody, 200), 5, 600, 512, pages),
        ("good key", "HTTP/1, an `id` of nobody, again", Http1(get1(f"{USERS}?id=77777777", KEY), 200), 50, 10, 192, 0),
        ("good key", "HTTP/1, users of one group", Http1(get1(f"{USERS}?sag=Agent", KEY), 200), 5, 600, 512, pages),
        ("good key", "HTTP/1, users of no group", Http1(get1(f"{USERS}?sag=no+such+group", KEY), 200), 50, 10, 192, 0),
        ("good key", "HTTP/1, teams", Http1(get1("/api/v2/cdr/teams", KEY), 200), 5, 600, 512, pages + 2),
        ("good key", "HTTP/1, passthrough of a byte", Http1(get1("/far/1", KEY), 200), 50, 16, 192, 1),
        ("good key", "HTTP/2, passthrough of a byte", Http2(get2("/far/1", KEY), 200), 50, 20, 192, 1),
        ("good key", "HTTP/1, passthrough of an answer of 1 MiB", Http1(get1(f"/far/{far}", KEY), 200), 5, 80, 1536, 1),
        ("good key", "HTTP/2, passthrough of an answer of 1 MiB", Http2(get2(f"/far/{far}", KEY), 200), 5, 140, 1536, 1),
        ("good key", "HTTP/1, passthrough of a body of 1 MiB",
         Http1(request("POST", "/far/1", KEY, body=b"x" * MIB), 200), 5, 80, 1536, 1),
        ("good key", "HTTP/1, passthrough of 1,000 chunks of a byte", Http1(chunks(1000), 200), 5, 1000, 512, 1),
        ("good key", "HTTP/2, passthrough of 1,000 frames of a byte",
         Http2(fields2("POST", "/far/1", KEY), 200, more=pieces2(1000)), 5, 160, 1024, 1),
        ("operator", "HTTP/1, `/healthz`", Http1(get1("/healthz", host="localhost"), 200, ADMIN), 200, 4, 192, 0),
        ("operator", "HTTP/1, `/metrics`", Http1(get1("/metrics", host="localhost"), 200, ADMIN), 20, 40, 256, 0),
        ("operator", "HTTP/1, `/healthz` of another host", Http1(get1("/healthz", host="evil.example"), 421, ADMIN, closes=True), 50, 16, 192, 0),
    ]


def spent(way, count):
    """Processor time of each request and its bytes."""
    before = cpu()
    sent = way.run(count)
    # What a connection leaves to do.
    time.sleep(0.005)
    return (cpu() - before) / count, sent / count


def spent_least(way, count):
    """The same and what a request with a wrong key takes: the least of a few rounds."""
    rounds = [(spent(REFERENCE, 50)[0], *spent(way, count)) for _ in range(ROUNDS)]
    return min(unit for unit, _, _ in rounds), min(took for _, took, _ in rounds), rounds[-1][2]


def settled(count):
    """A count once it stands still: a request of the kind before may be on its way upstream."""
    now = count()
    for _ in range(20):
        time.sleep(0.05)
        before, now = now, count()
        if before == now:
            break
    return now


def held(way):
    """KiB of memory for each of many requests at the same time, at most."""
    before = memory("VmRSS")
    for _ in range(10):
        # What was freed goes back to the system within a second.
        time.sleep(0.1)
        last, before = before, memory("VmRSS")
        if before > last - 256:
            break
    with open(f"/proc/{PID}/clear_refs", "w") as peak:
        peak.write("5")
    open_ones = [way.open() for _ in range(TOGETHER)]
    way.pieces = 0
    for opened in open_ones:
        way.ask(opened)
    time.sleep(0.1)
    for opened in open_ones:
        way.hear(opened)
        way.close(opened)
    return max(0, memory("VmHWM") - before) / TOGETHER


def main():
    global current
    host, port = FAR.rsplit(":", 1)
    server = Upstream((host, int(port)), Far)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = urllib.request.Request(f"http://{VENDOR}/api/v4/users?limit=1&offset=77")
    ask.add_header("authorization", "Bearer v4-demo-key")
    with urllib.request.urlopen(ask, timeout=20) as answer:
        page = json.load(answer)
    email, total = page["users"][0]["email"], page["metadata"]["total"]
    # Pages of 100 that overlap by a row.
    pages = 1 + -(-(total - 100) // 99)

    current = "a wrong key"
    # Its first requests have lines in the log.
    spent(REFERENCE, 100)
    broken, rows = [], []
    for who, what, way, count, cpu_max, held_max, calls_wanted in kinds(email, pages):
        current = f"{who}, {what}"
        way.run(1)
        before = settled(calls)
        unit, took, sent = spent_least(way, count)
        made = (calls() - before) / (count * ROUNDS)
        kept = held(way)
        low, high = calls_wanted if isinstance(calls_wanted, tuple) else (calls_wanted, calls_wanted)
        ratio = took / unit
        rows.append((who, what, ratio, cpu_max, took * 1e9 / sent, kept, held_max, made, calls_wanted))
        print(f"costs: {current}: {ratio:.2f} of {cpu_max}, {took * 1e6:.0f} us, {took * 1e9 / sent:.0f} ns a byte of {sent:.0f},"
              f" {kept:.0f} KiB of {held_max}, {made:g} calls", flush=True)
        if ratio > cpu_max:
            broken.append(f"{current}: processor time of {ratio:.1f} requests with a wrong key, {cpu_max} at most")
        if kept > held_max:
            broken.append(f"{current}: {kept:.0f} KiB held, {held_max} at most")
        if not low <= made <= high:
            broken.append(f"{current}: {made:g} calls upstream, not {calls_wanted}")
    if FIGURES:
        print("| who | what | CPU | at most | CPU a byte sent | held | at most | calls upstream |")
        print("|---|---|---|---|---|---|---|---|")
        for who, what, ratio, cpu_max, byte, kept, held_max, made, wanted in rows:
            most = f"at most {wanted[1]}" if isinstance(wanted, tuple) else f"{made:g}"
            print(f"| {who} | {what} | {ratio:.1f} | {cpu_max} | {byte:.0f} ns | {kept:.0f} KiB | {held_max} KiB | {most} |")
    for text in broken:
        print(f"costs: {text}", file=sys.stderr)
    if broken:
        sys.exit(1)
    print(f"costs: {len(rows)} kinds of requests within their bounds")


main()
