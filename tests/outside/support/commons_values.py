"""Clients of several gateways, for commons/values.sh.

ask COUNT [--leave SECONDS] [--for SECONDS] [--no-cache] URL...: sends COUNT requests to each URL at the same time, or
one behind the other for so long, and says in one line of JSON what came back: how often each status, error and source,
how many different bodies, and the slowest answer. With --leave the clients go away after that time.
"""

import argparse
import collections
import hashlib
import http.client
import json
import threading
import time
import urllib.parse


def one(url, options):
    """One request: status, error, source, digest of the body, seconds."""
    parts = urllib.parse.urlsplit(url)
    headers = {"authorization": "Bearer legacy-demo-key"}
    if options.no_cache:
        headers["cache-control"] = "no-cache"
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=options.leave or 60)
        connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        status, slug = str(answer.status), answer.getheader("x-tieline-error")
        source = answer.getheader("x-tieline-cache", "read")
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, None, None, None, time.monotonic() - began
    finally:
        connection.close()
    return status, slug, source, hashlib.sha256(body).hexdigest(), time.monotonic() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--leave", type=float)
    parser.add_argument("--for", dest="lasts", type=float, default=0)
    parser.add_argument("--no-cache", action="store_true")
    options = parser.parse_args()
    answers = []
    until = time.monotonic() + options.lasts

    def client(url):
        while True:
            answers.append(one(url, options))
            if time.monotonic() >= until:
                return
            time.sleep(0.05)

    clients = [threading.Thread(target=client, args=(url,)) for url in options.urls for _ in range(options.count)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    statuses, slugs, sources, bodies, seconds = zip(*answers)
    count = lambda values: dict(collections.Counter(value for value in values if value is not None))
    print(json.dumps({
        "statuses": count(statuses),
        "slugs": count(slugs),
        "sources": count(sources),
        "bodies": len(set(bodies) - {None}),
        "seconds_max": round(max(seconds), 2),
    }))


main()
