#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""receiver.py - takes what spoold forwards: verifies signatures, keeps events and documents.

    receiver.py FOLDER SECRET-FILE [PORT [CERTIFICATE KEY]]

Without a certificate it listens for plain HTTP on this machine only; put a web server with
TLS before it, or give it a certificate.  The contract is integration.md.

FOLDER/events/ACCOUNT.ID.json and FOLDER/documents/SHA256 appear complete or not at all, and a
repeat changes nothing.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import ssl
import sys
import threading
import time

TOLERANCE = 300  # seconds a timestamp may be off: a captured request is of no use later
BODY_MAX = 64 << 20
DOCUMENT_MAX = 4 << 30


def read_secrets(path):
    """One a line; "whsec_" means base64, anything else the bytes as they are."""
    out = []
    with open(path, "rb") as f:
        for line in f.read().splitlines():
            line = line.rstrip(b" \t\r")
            if line.startswith(b"whsec_"):
                out.append(base64.b64decode(line[6:], validate=True))
            elif line:
                out.append(line)
    return out


def verify(secrets, headers, payload, now=None):
    """Is it signed by one of our secrets, and of now?  payload: the signed bytes."""
    ident = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not ident or not re.fullmatch(r"[0-9]{1,12}", stamp):
        return False
    if abs((time.time() if now is None else now) - int(stamp)) > TOLERANCE:
        return False
    message = ("%s.%s." % (ident, stamp)).encode() + payload
    want = [b"v1," + base64.b64encode(hmac.new(s, message, hashlib.sha256).digest())
            for s in secrets]
    # Every pair is compared, in constant time each.
    return any([hmac.compare_digest(w, g.encode()) for w in want
                for g in headers.get("webhook-signature", "").split(" ")])


def keep(path, write):
    """A file that is there complete or not at all."""
    tmp = "%s.%d.%d" % (path, os.getpid(), threading.get_ident())
    with open(tmp, "wb") as f:
        write(f)
        f.flush()
        os.fsync(f.fileno())
    os.rename(tmp, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def answer(self, status, text=""):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("Connection", "close")  # the body was perhaps not read
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def length(self, most):
        text = self.headers.get("Content-Length", "")
        return int(text) if re.fullmatch(r"[0-9]{1,12}", text) and int(text) <= most else None

    def do_POST(self):
        """An event with its record."""
        n = self.length(BODY_MAX)
        if n is None:
            return self.answer(413, "a length is needed, and not this one")
        body = self.rfile.read(n)
        if len(body) != n or not verify(read_secrets(self.server.secrets), self.headers, body):
            return self.answer(401, "not signed by us, or too old")
        try:
            data = json.loads(body)["data"]
            name = "%s.%s" % (data["account"], data["id"])
        except (ValueError, KeyError, TypeError):
            return self.answer(422, "no event that we can use")  # never: a person looks
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,150}", name):
            return self.answer(422, "no name that we can use")
        path = os.path.join(self.server.folder, "events", name + ".json")
        if os.path.exists(path):
            return self.answer(200, "had it before")
        try:
            keep(path, lambda f: f.write(body))
        except OSError as why:
            return self.answer(503, why.strerror)  # spoold waits, and counts nothing
        return self.answer(201, "taken")

    def do_PUT(self):
        """A document.  What is signed is its digest, so that nobody's bytes are even read."""
        n = self.length(DOCUMENT_MAX)
        field = self.headers.get("Content-Digest", "")
        m = re.fullmatch(r"sha-256=:([A-Za-z0-9+/]{43}=):", field)
        if n is None or not m or not verify(read_secrets(self.server.secrets), self.headers,
                                            field.encode()):
            return self.answer(401, "not signed by us, or too old")
        want = base64.b64decode(m.group(1))
        path = os.path.join(self.server.folder, "documents", want.hex())

        def copy(f):
            left, digest = n, hashlib.sha256()
            while left > 0:
                block = self.rfile.read(min(left, 1 << 20))
                if not block:
                    raise ConnectionError("the document broke off")
                digest.update(block)
                f.write(block)
                left -= len(block)
            if digest.digest() != want:
                raise ValueError("another digest")

        try:
            keep(path, copy)
        except ValueError as why:
            return self.answer(408, str(why))  # again
        except OSError as why:
            return self.answer(503, str(why))
        return self.answer(201, "taken")

    def log_message(self, format, *args):
        print("%s %s" % (self.address_string(), format % args), file=sys.stderr, flush=True)


def main():
    if not 3 <= len(sys.argv) <= 6 or len(sys.argv) == 5:
        print(__doc__, file=sys.stderr)
        return 64
    folder, secrets = sys.argv[1:3]
    for name in ("events", "documents"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    read_secrets(secrets)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 8080), Handler)
    server.daemon_threads = True
    server.folder, server.secrets = folder, secrets
    if len(sys.argv) == 6:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[4], sys.argv[5])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening on port %d" % server.server_address[1], flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
