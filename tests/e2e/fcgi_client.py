# SPDX-License-Identifier: ISC
"""fcgi_client - one FastCGI request straight into the receiver's socket.

Says what no web server would: a body shorter than announced, a connection cut
in the middle.  Knows as much of the FastCGI 1.0 specification as that takes.
"""
import socket
import struct

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
CHUNK = 32768


def record(kind, content):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pairs(params):
    out = b""
    for name, value in params:
        for text in (name, value):
            n = len(text)
            out += bytes([n]) if n < 128 else struct.pack("!I", n | 0x80000000)
        out += name.encode() + value.encode()
    return out


def params(path, length, secret=None, header="HTTP_X_ARKEN_SECRET", more=()):
    out = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", path), ("SCRIPT_NAME", path),
           ("CONTENT_TYPE", "application/json"), ("REMOTE_ADDR", "127.0.0.1"),
           ("SERVER_PROTOCOL", "HTTP/1.1"), ("GATEWAY_INTERFACE", "CGI/1.1")]
    if length is not None:
        out.append(("CONTENT_LENGTH", str(length)))
    if secret is not None:
        out.append((header, secret))
    return out + list(more)


def _exactly(s, n):
    out = b""
    while len(out) < n:
        part = s.recv(n - len(out))
        if not part:
            raise EOFError("the receiver closed the connection")
        out += part
    return out


def _answer(s):
    """The whole of stdout, up to the end of the request."""
    out = b""
    while True:
        _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", _exactly(s, 8))
        content = _exactly(s, length)
        _exactly(s, padding)
        if kind == STDOUT:
            out += content
        elif kind == END:
            return out


def parse(out):
    """Status, header fields in lower case, body of a CGI answer."""
    head, _, body = out.partition(b"\r\n\r\n")
    fields = {}
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return int(fields.get("status", "200 OK").split()[0]), fields, body


class Connection:
    def __init__(self, path, keep=True, seconds=60):
        self.keep = keep
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(seconds)
        self.s.connect(path)

    def request(self, env, body, end=True):
        """Send one request; end False: the stream of its body is not ended."""
        flags = 1 if self.keep else 0
        out = record(BEGIN, struct.pack("!HB5x", 1, flags)) + record(PARAMS, pairs(env)) + \
            record(PARAMS, b"")
        for at in range(0, len(body), CHUNK):
            out += record(STDIN, body[at:at + CHUNK])
        self.s.sendall(out + (record(STDIN, b"") if end else b""))

    def answer(self):
        return parse(_answer(self.s))

    def wait_closed(self):
        """Until the receiver ends the connection; then so do we."""
        try:
            while self.s.recv(4096):
                pass
        except ConnectionError:
            pass
        self.s.close()

    def close(self):
        self.s.close()


def ask(path, env, body):
    c = Connection(path, keep=False)
    try:
        c.request(env, body)
        return c.answer()
    finally:
        c.close()
