"""One caller asks for many lists at once while another one looks users up.

neighbours.py HOST:PORT quiet|ids|readers REQUESTS EMAIL: prints one line of figures, `name=value`, for the shell.
The other caller looks one user up again and again; its median and 99th percentile are in milliseconds. Waits are
bounded; nothing is judged here.
"""

import asyncio
import collections
import multiprocessing
import socket
import sys
import time

PATH = "/api/user_management/v1/users"
SECONDS_MAX = 35


def request(key, query):
    return f"GET {PATH}?{query} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\n\r\n".encode()


async def connect(address, own):
    host, port = address.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port), local_addr=(own, 0))


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    return int(head.split(" ")[1]), body


async def other(address, email, until):
    """Looks a user up until it is told to end; how long each took, and how many failed."""
    times, failed = [], 0
    reader, writer = await connect(address, "127.0.0.1")
    while not until.is_set():
        began = time.monotonic()
        writer.write(request("legacy-other-key", f"email={email}"))
        status, body = await answer(reader)
        times.append((time.monotonic() - began) * 1000)
        failed += status != 200 or email.encode() not in body
        await asyncio.sleep(0.01)
    writer.close()
    return times, failed


def others(address, email, until, found):
    """Four connections of the other caller, in a process that has nothing else to do."""

    async def all_of_them():
        return await asyncio.gather(*(other(address, email, until) for _ in range(4)))

    looks = asyncio.run(all_of_them())
    found.put((sorted(sum((times for times, _ in looks), [])), sum(failed for _, failed in looks)))


async def one(address, query, statuses):
    try:
        # The gateway limits connections per address.
        reader, writer = await connect(address, "127.0.0.2")
        writer.write(request("legacy-demo-key", query))
        status, _ = await answer(reader)
        statuses[status] += 1
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        statuses[type(error).__name__] += 1


async def reads_nothing(address, query, statuses):
    """Takes the head of an answer, and then nothing for ten seconds."""
    host, port = address.rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (host, int(port)))
        await loop.sock_sendall(connection, request("legacy-demo-key", query))
        head = await loop.sock_recv(connection, 12)
        statuses[int(head.split(b" ")[1]) if head else "none"] += 1
        await asyncio.sleep(10)
    except OSError:
        statuses["none"] += 1
    finally:
        connection.close()


def queries(mode, requests):
    if mode == "ids":
        # Others each time: that there is no such user is believed for a while.
        first = 10**6 + int(time.time()) % 10**6 * 1000
        return [f"id={first + number}" for number in range(requests)]
    # Names with these three letters: up to thousands of users each, and no two questions are equal.
    letters = "aeionrlstdmgkuvhcbpj"
    return [f"name={letters[number % 20]}&name={letters[number // 20 % 20]}&name=k" for number in range(requests)]


async def main(address, mode, requests, email):
    until, found, statuses = multiprocessing.Event(), multiprocessing.Queue(), collections.Counter()
    looks = multiprocessing.Process(target=others, args=(address, email, until, found), daemon=True)
    looks.start()
    await asyncio.sleep(1)
    began = time.monotonic()
    if mode == "quiet":
        await asyncio.sleep(5)
    else:
        ask = one if mode == "ids" else reads_nothing
        asked = []
        for query in queries(mode, int(requests)):
            asked.append(asyncio.create_task(ask(address, query, statuses)))
            # A thousand a second.
            await asyncio.sleep(max(0, began + len(asked) / 1000 - time.monotonic()))
        done, late = await asyncio.wait(asked, timeout=SECONDS_MAX)
        statuses["late"] += len(late)
        for task in late:
            task.cancel()
    took = time.monotonic() - began
    until.set()
    times, failed = found.get(timeout=30)
    shown = {
        "seconds": f"{took:.1f}",
        "looks": len(times),
        "failed": failed,
        "median": f"{times[len(times) // 2]:.1f}",
        "p99": f"{times[len(times) * 99 // 100]:.1f}",
        "ok": statuses[200],
        "refused": statuses[429] + statuses[503],
        "rest": sum(statuses.values()) - statuses[200] - statuses[429] - statuses[503],
    }
    print(dict(statuses), file=sys.stderr)
    print(" ".join(f"{name}={value}" for name, value in shown.items()))


asyncio.run(main(*sys.argv[1:]))
