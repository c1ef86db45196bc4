"""A client of HTTP/2 that writes and reads frames by hand, for everything a well-behaved one cannot say.

Header blocks are literals without indexing and without Huffman codes. The server is told to keep no table, so that
every status can be read by itself. Every wait is bounded.
"""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
# SETTINGS: the table for answers, pushes, streams, the window of each stream, the size of frames.
TABLE, PUSH, STREAMS, WINDOW, FRAME_SIZE = 1, 2, 3, 4, 5
WINDOW_MAX = 2**31 - 1


def frame(kind, flags, stream, payload=b""):
    """The bytes of a frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(number, bits, first=0):
    """A number behind the upper bits of its first byte (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([first | number])
    parts, number = [first | most], number - most
    while number >= 128:
        parts.append(number % 128 | 128)
        number //= 128
    return bytes([*parts, number])


def literal(name, value, how=0):
    """A field with its name in full; `how` is 0, 0x10 for never indexed, 0x40 for added to the table."""
    name, value = (text if isinstance(text, bytes) else text.encode() for text in (name, value))
    return bytes([how]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(*fields):
    return b"".join(literal(name, value) for name, value in fields)


def settings(*pairs):
    return b"".join(struct.pack(">HI", name, value) for name, value in pairs)


def number(value):
    return struct.pack(">I", value)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    def code(self):
        """The error of RST_STREAM and GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    def last_stream(self):
        """The last stream of GOAWAY."""
        return struct.unpack(">I", self.payload[:4])[0] & WINDOW_MAX

    def status(self):
        """The status of HEADERS, which is their first field."""
        rest = self.payload.lstrip(b"\x20")
        fixed = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
        if rest[0] & 0x80:
            return fixed[rest[0] & 0x7F]
        coded, text = rest[1] & 0x80, rest[2 : 2 + (rest[1] & 0x7F)]
        return int(digits(text) if coded else text)


def digits(coded):
    """Digits in Huffman's code: 0, 1 and 2 have five bits, 3 to 9 six (RFC 7541, appendix B)."""
    bits, found = "".join(f"{byte:08b}" for byte in coded), ""
    while len(bits) >= 5 and not (len(bits) < 8 and "0" not in bits):
        five, six = int(bits[:5], 2), int(bits[:6], 2)
        found, bits = (found + str(five), bits[5:]) if five < 3 else (found + str(six - 0x16), bits[6:])
    return found


class Connection:
    """A client's end. Where the server has closed, frames that are sent are lost and none comes any more."""

    def __init__(self, address, opening=None, tls=None, wait=5):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=wait)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.read, self.is_reset = b"", False
        self.say(PREFACE + frame(SETTINGS, 0, 0, settings((TABLE, 0))) if opening is None else opening)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *frames):
        try:
            self.socket.sendall(b"".join(frames))
        except OSError:
            self.is_reset = True

    def bytes(self, length):
        while len(self.read) < length:
            more = self.socket.recv(1 << 16)
            if not more:
                return None
            self.read += more
        found, self.read = self.read[:length], self.read[length:]
        return found

    def next(self):
        """The next frame; `None` at the end of the connection. Raises TimeoutError where nothing comes."""
        try:
            head = self.bytes(9)
            if head is None:
                return None
            payload = self.bytes(int.from_bytes(head[:3], "big"))
            stream = int.from_bytes(head[5:], "big") & WINDOW_MAX
            return payload if payload is None else Frame(head[3], head[4], stream, payload)
        except TimeoutError:
            raise
        except OSError:
            self.is_reset = True
            return None

    def until(self, is_it):
        while (found := self.next()) is not None and not is_it(found):
            pass
        return found

    def answer(self, stream):
        """Status and body of a stream. What ends it otherwise is told in place of the status."""
        status, body = None, []
        while (found := self.next()) is not None:
            if found.kind == GOAWAY and found.code():
                return f"GOAWAY {found.code()}", b""
            if found.stream != stream:
                continue
            if found.kind == RST_STREAM:
                return f"RST_STREAM {found.code()}", b""
            if found.kind == HEADERS and status is None:
                status = found.status()
            if found.kind == DATA:
                body.append(found.payload)
            if found.kind in (HEADERS, DATA) and found.flags & END_STREAM:
                return status, b"".join(body)
        return "closed", b""
