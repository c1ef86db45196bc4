"""A relay between the commons and its server, for faults on the wire.

relay.py LISTEN SERVER FILE: two ports of the loopback, and the file whose word says what it does with what comes:
pass, hole (nothing gets through, nothing ends), slow (each piece waits 15 ms), cut (every connection ends).
"""

import pathlib
import socket
import sys
import threading
import time

listen, server, file = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])


def mode():
    return file.read_text().strip()


def pump(source, sink):
    try:
        while piece := source.recv(65536):
            while mode() == "hole":
                time.sleep(0.02)
            if mode() == "cut":
                break
            if mode() == "slow":
                time.sleep(0.015)
            sink.sendall(piece)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


door = socket.create_server(("127.0.0.1", listen), backlog=64)
while True:
    client, _ = door.accept()
    while mode() == "hole":
        time.sleep(0.02)
    try:
        upstream = socket.create_connection(("127.0.0.1", server), timeout=5)
    except OSError:
        client.close()
        continue
    upstream.settimeout(None)
    for end in (client, upstream):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for pair in ((client, upstream), (upstream, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
