#!/usr/bin/env python3
"""What polls of an unchanged list cost the gateway, beside first readings; a table of docs/PERFORMANCE.md.

  cargo build --profile dist --features dist
  tests/bench/unchanged.py [--users 10000] [--polls 20] [--rounds 5] [--tieline target/dist/tieline]

Takes the users of the pretend vendor and serves them itself, on a loopback port, with a tag for each page as
Rails does, so that it can change a part of the pages between two polls and count every byte that it sends. The
figures are the CPU time of the gateway's process, by the kernel's own account, and the bytes from the upstream:
of a gateway that keeps no pages, of one whose pages have not changed, and of one of whose pages 5 % have. Each
answer is compared with that of the gateway that keeps none. Python's standard library only. Every loop is
bounded, all traffic is loopback, and only processes started here are stopped.
"""
import argparse, hashlib, http.client, http.server, json, os, statistics, sys, tempfile, threading, urllib.parse

import loopback
from loopback import KEY, LIST, TIELINE, cpu_seconds

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--users", type=int, default=10_000)
ap.add_argument("--polls", type=int, default=20, help="lists per case and round")
ap.add_argument("--rounds", type=int, default=5)
ap.add_argument("--tieline", default=TIELINE)
args = ap.parse_args()

def get(port, path, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"{answer.status} {body[:200]!r} for {path}")
    return body


def users():
    port, rows = loopback.vendor(args.tieline, args.users), []
    for offset in range(0, args.users, 100):
        path = f"/api/v4/users?limit=100&offset={offset}"
        rows += json.loads(get(port, path, {"authorization": "Bearer v4-demo-key"}))["users"]
    loopback.end()
    return rows


class Upstream:
    """The list, page by page, with a tag for each."""

    def __init__(self, rows):
        self.rows = [json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows]
        self.pages, self.sent, self.lock = {}, 0, threading.Lock()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                tag, body = upstream.page(int(query["offset"][0]), int(query["limit"][0]))
                head = f"etag: {tag}\r\ncontent-type: application/json\r\ncache-control: max-age=0, private, must-revalidate\r\n"
                if self.headers.get("if-none-match") == tag:
                    answer = f"HTTP/1.1 304 Not Modified\r\n{head}\r\n".encode()
                else:
                    answer = f"HTTP/1.1 200 OK\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body
                self.wfile.write(answer)
                with upstream.lock:
                    upstream.sent += len(answer)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, offset, limit):
        if (offset, limit) not in self.pages:
            rows = ",".join(self.rows[offset:offset + limit])
            body = f'{{"users":[{rows}],"metadata":{{"total":{len(self.rows)}}}}}'.encode()
            self.pages[offset, limit] = (f'W/"{hashlib.md5(body).hexdigest()}"', body)
        return self.pages[offset, limit]

    def change(self, part, turn):
        """Renames a user in the middle of every so many pages."""
        offsets = sorted(offset for offset, limit in self.pages)
        count = max(1, round(len(offsets) * part))
        for number in range(count):
            offset, limit = offsets[(number * len(offsets) // count + turn) % len(offsets)], 100
            row = min(offset + limit // 2, len(self.rows) - 1)
            user = json.loads(self.rows[row])
            user["name"] = f"Renamed {turn}"
            self.rows[row] = json.dumps(user, separators=(",", ":"), ensure_ascii=False)
            self.pages.pop((offset, limit), None)


class Gateway:
    def __init__(self, folder, name, upstream, cache):
        config, base = os.path.join(folder, f"{name}.toml"), f"http://127.0.0.1:{upstream.port}"
        self.port, _, self.process = loopback.gateway(args.tieline, config, base, f"[cache]\n{cache}")
        get(self.port, LIST, KEY)

    def cpu(self):
        return cpu_seconds([self.process.pid])


def main():
    upstream = Upstream(users())
    with tempfile.TemporaryDirectory() as folder:
        plain = Gateway(folder, "plain", upstream, "revalidate = false")
        keeps = Gateway(folder, "keeps", upstream, 'revalidate = true\nrevalidate_max = "1h"')
        cases = [("every page read", plain, 0), ("no page changed", keeps, 0), ("5 % of the pages changed", keeps, 0.05)]
        cpu, sent, turn = {case[0]: [] for case in cases}, {case[0]: [] for case in cases}, 0
        for _ in range(args.rounds):
            for name, gateway, part in cases:
                spent = bytes_sent = 0
                for _ in range(args.polls):
                    turn += 1
                    if part:
                        upstream.change(part, turn)
                    before, was_sent = gateway.cpu(), upstream.sent
                    answer = get(gateway.port, LIST, KEY)
                    spent += gateway.cpu() - before
                    bytes_sent += upstream.sent - was_sent
                cpu[name].append(spent / args.polls)
                sent[name].append(bytes_sent / args.polls)
                if answer != get(plain.port, LIST, KEY):
                    sys.exit(f"{name}: another answer than that of a gateway that keeps no pages")
                # The case that follows begins with pages that are kept.
                get(keeps.port, LIST, KEY)
        print("| list of {:,} | CPU per list | ratio | bytes from the upstream | ratio |".format(args.users))
        print("|---|---:|---:|---:|---:|")
        first = cases[0][0]
        for name, _, _ in cases:
            ratio = statistics.median(c / max(t, 1e-9) for c, t in zip(cpu[name], cpu[first]))
            of_bytes = statistics.median(sent[name]) / statistics.median(sent[first])
            print(f"| {name} | {statistics.median(cpu[name]) * 1e3:,.1f} ms | {ratio:.2f} "
                  f"| {statistics.median(sent[name]) / 1e3:,.0f} kB | {of_bytes:.3f} |")


loopback.run(main)
