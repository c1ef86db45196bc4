"""A vendor's door that notes when requests come, clients that ask replicas greedily, and the judge of what came.

relay PORT VENDOR NOTES: hands requests on to the vendor and notes the time of each; where there is a file NOTES.tell,
    its text answers one request in the vendor's place.
load SECONDS GATEWAY...: clients that always ask; fails if an answer is neither 200 nor 429.
judge NOTES PER_MINUTE BURST FROM TO USED_MIN: between two times of the notes, in seconds after the first request. Exit
    code 1 if a window saw too much, 2 if less of the rate was used than that.
"""

import asyncio
import collections
import pathlib
import sys
import time

CLIENTS = 24


async def piped(reader, writer, note=None, back=None):
    try:
        while data := await reader.read(65536):
            if note and data.startswith(b"GET "):
                note.write(f"{time.monotonic():.6f}\n")
                note.flush()
                tell = pathlib.Path(f"{note.name}.tell")
                if tell.exists():
                    back.write(tell.read_bytes().replace(b"\n", b"\r\n"))
                    tell.unlink()
                    continue
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def relay(port, vendor, notes):
    with open(notes, "w", encoding="ascii") as note:

        async def connected(reader, writer):
            theirs, ours = await asyncio.open_connection("127.0.0.1", int(vendor))
            await asyncio.gather(piped(reader, ours, note, writer), piped(theirs, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", int(port))
        async with server:
            await server.serve_forever()


async def client(address, name, until, seen):
    host, port = address.split(":")
    reader, writer = None, None
    count = 0
    while time.monotonic() < until:
        if writer is None:
            reader, writer = await asyncio.open_connection(host, int(port))
        # Each question is another one, or replicas would answer several with one reading.
        count += 1
        path = f"/api/user_management/v1/users?name=x{name}-{count}"
        writer.write(
            f"GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer legacy-demo-key\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 40)
        lines = head.decode().lower().split("\r\n")
        length = [line for line in lines if line.startswith("content-length:")]
        await reader.readexactly(int(length[0].split(":")[1]))
        status = lines[0].split(" ")[1]
        seen[status] += 1
        if status == "429":
            # Others wait for the same places; asking without a pause would only keep the machine busy.
            await asyncio.sleep(0.05)
        if "connection: close" in lines:
            writer.close()
            writer = None


async def load(seconds, gateways):
    seen = collections.Counter()
    until = time.monotonic() + float(seconds)
    every = [(address, f"{number}-{at}") for number in range(CLIENTS) for at, address in enumerate(gateways)]
    await asyncio.gather(
        *(client(address, name, until, seen) for address, name in every)
    )
    print(dict(seen))
    if set(seen) - {"200", "429"} or not seen["200"]:
        sys.exit(f"wrong: {dict(seen)}")


def judge(notes, per_minute, burst, since, until, used_min):
    with open(notes, encoding="ascii") as lines:
        times = [float(line) for line in lines]
    per_minute, burst = int(per_minute), float(burst)
    since, until = times[0] + float(since), times[0] + float(until)
    interval = (60 + burst) / (per_minute - 1)
    wrong = []
    for window in (1, 5, 15, 60):
        # With jitter between gateway and door, a twentieth of a second of requests may come late.
        allowed = min((window + burst + 0.05) / interval + 1, per_minute if window == 60 else 1e9)
        most, first = 0, 0
        for last, at in enumerate(times):
            while at - times[first] >= window:
                first += 1
            most = max(most, last - first + 1)
        print(f"at most {most} in {window} s, {allowed:.0f} allowed")
        if most > allowed:
            wrong.append(f"{most} in {window} s")
    count = sum(1 for at in times if since <= at < until)
    used = 100 * count / ((until - since) * per_minute / 60)
    print(f"used {used:.1f} % of {per_minute} a minute")
    if wrong:
        sys.exit(f"wrong: {', '.join(wrong)}")
    if used < float(used_min):
        print(f"too little used: {used:.1f} %, {used_min} % wanted", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["relay", port, vendor, notes]:
            asyncio.run(relay(port, vendor, notes))
        case ["load", seconds, *gateways]:
            asyncio.run(load(seconds, gateways))
        case ["judge", *words]:
            judge(*words)
        case _:
            sys.exit(__doc__)
