#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_documents - whatever a document host does, is what is in the store what it has?

The host is one of our own, with TLS, that breaks off, changes its mind, lies about lengths, sends
pages, redirects and endless bodies.  The stand-in's API redirects to it.
"""
import gzip
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import tap
from chain import Chain, Failure, WAIT, wait_until

TESTS = []
LARGE = 300000  # more than what is worth being put aside


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def pdf(n, seed=b"x"):
    """A PDF of n bytes, another one for each seed."""
    head, tail = b"%PDF-1.7\n", b"\n%%EOF\n"
    block = hashlib.sha512(seed).digest()
    fill = (block * (n // len(block) + 1))[:n - len(head) - len(tail)]
    return head + fill + tail


def reasons(c, name):
    return [re.search(r'reason=("(?:[^"\\]|\\.)*"|\S+)', line).group(1).strip('"')
            for line in c.story(name) if " step=later " in line]


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Host:
    """A document host with TLS.  Each path has a function that gets the request and answers it."""

    def __init__(self, folder, name="docs.localhost", at="127.0.0.1"):
        self.cert, key = folder + "/host.pem", folder + "/host.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=docs", "-addext", "subjectAltName=DNS:" + name,
                        "-keyout", key, "-out", self.cert], check=True, capture_output=True)
        self.paths, self.seen, self.lock = {}, [], threading.Condition()
        self.now = self.most = 0
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                with host.lock:
                    host.seen.append((path, {k.lower(): v for k, v in self.headers.items()}))
                    nth = sum(p == path for p, _ in host.seen)
                    host.now += 1
                    host.most = max(host.most, host.now)
                    host.lock.notify_all()
                try:
                    host.paths[path](self, nth)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    pass
                finally:
                    with host.lock:
                        host.now -= 1
                self.close_connection = True

            def log_message(self, *_):
                pass

            def answer(self, status, headers, body=b""):
                self.send_response_only(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def whole(self, body, etag=None, **more):
                h = {"Content-Length": str(len(body)), "Content-Type": "application/pdf"}
                if etag:
                    h["ETag"] = etag
                h.update({k.replace("_", "-"): v for k, v in more.items()})
                self.answer(200, h, body)

            def part(self, body, etag, start=None, shift=0):
                """The rest that was asked for; shift: it is another one."""
                start = int(re.match(r"bytes=(\d+)-$", self.headers["Range"]).group(1)) + shift
                self.answer(206, {"Content-Length": str(len(body) - start), "ETag": etag,
                                  "Content-Range": "bytes %d-%d/%d" % (
                                      start, len(body) - 1, len(body))}, body[start:])

            def cut(self, body, n, etag=None):
                h = {"Content-Length": str(len(body)), "Content-Type": "application/pdf"}
                if etag:
                    h["ETag"] = etag
                self.answer(200, h, body[:n])

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

            def finish_request(self, sock, who):
                with ctx.wrap_socket(sock, server_side=True) as tls:
                    super().finish_request(tls, who)

        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(self.cert, key)
        self.server = Server((at, 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path):
        return "https://docs.localhost:%d%s?X-Amz-Signature=secret" % (self.port, path)

    def requests(self, path):
        with self.lock:
            return [h for p, h in self.seen if p == path]

    def wait_for(self, n, seconds=WAIT):
        """Until so many requests have been under way at once."""
        with self.lock:
            if not self.lock.wait_for(lambda: self.most >= n, seconds):
                raise Failure("%d requests at once, wanted %d" % (self.most, n))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Docs(Chain):
    """A chain whose documents come from a host of ours."""

    host_name, host_at = "docs.localhost", "127.0.0.1"

    def __init__(self, name, **kw):
        super().__init__("docs-" + name, daemon_starts=False, **kw)
        self.host = None

    def _start(self):
        super()._start()
        self.host = Host(self.dir + "/etc", self.host_name, self.host_at)
        both = self.write("etc/both.pem", self.read(self.sandbox.env["CA_FILE"]).decode() +
                          self.read(self.host.cert).decode())
        self.sandbox.env["CA_FILE"] = both
        self.sandbox.env["DOCUMENT_HOST"] += " %s:%d" % (self.host_name, self.host.port)
        self.configure()
        self.start_daemon()

    def __exit__(self, *args):
        if self.host:
            self.host.stop()
        return super().__exit__(*args)

    def upload(self, path, serve, count=1):
        """
        Events whose documents are at that path of the host, the first is returned.  The API
        says so of each document by itself and before its event is sent: whatever is still
        under way, or comes next, has its own.
        """
        self.host.paths[path] = serve
        made = [e["documentHashId"] for e in
                self.sandbox.emit("FileStore.Upload", deliver=0, count=count)]
        for document in made:
            self.sandbox.fault(on="api", match=document, do_="redirect",
                               to=self.host.url(path), times=-1)
        events = [self.sandbox.emit("FileStore.Upload", document=d, shape="direct")[0]
                  for d in made]
        self.sandbox.quiet()
        return events[0]

    def check(self, e, body):
        got, meta = self.document(e)
        tap.same(sha(got), sha(body), "document")
        tap.same((meta["sha256"], meta["size"]), (sha(body), len(body)), "its description")
        return meta

    def leftovers(self):
        return os.listdir(self.store + "/.tmp")


# ---- what breaks off ----

@test
def gone_on_with():
    """cut in the middle: the rest is asked for, and only the rest is sent"""
    body = pdf(LARGE)
    with Docs("rest") as c:
        def serve(q, nth):
            if nth == 1:
                q.cut(body, 200000, '"v1"')
            else:
                q.part(body, '"v1"')
        e = c.upload("/a.pdf", serve)
        c.wait_state(done=1)
        c.check(e, body)
        tap.same(reasons(c, name_of(e)), [])
        first, second = c.host.requests("/a.pdf")
        tap.same((first.get("range"), second["range"], second["if-range"]),
                 (None, "bytes=200000-", '"v1"'))
        for h in (first, second):
            assert "authorization" not in h and not [k for k in h if k.startswith("x-amz")], h
            tap.same(h["accept-encoding"], "identity")
        tap.same(c.leftovers(), [])


@test
def not_gone_on_with():
    """another object, a wrong part, a weak ETag or none: from the beginning, nothing mixed"""
    old, new = pdf(LARGE, b"old"), pdf(LARGE, b"new")
    with Docs("anew") as c:
        def changed(q, nth):
            q.cut(old, 200000, '"v1"') if nth == 1 else q.whole(new, '"v2"')

        def liar(q, nth):
            if nth == 1:
                q.cut(new, 200000, '"v1"')
            elif nth == 2:
                q.part(new, '"v1"', shift=-1)
            else:
                q.whole(new, '"v1"')

        def other_tag(q, nth):
            if nth == 1:
                q.cut(old, 200000, '"v1"')
            elif nth == 2:
                q.part(new, '"v2"')
            else:
                q.whole(new, '"v2"')

        def other_length(q, nth):
            if nth == 1:
                q.cut(old, 200000, '"v1"')
            elif nth == 2:
                q.part(new + b"more", '"v1"')
            else:
                q.whole(new, '"v1"')

        def weak(q, nth):
            q.cut(old, 200000, 'W/"v1"') if nth == 1 else q.whole(new, 'W/"v1"')

        def none(q, nth):
            q.cut(old, 200000) if nth == 1 else q.whole(new)

        for i, serve in enumerate((changed, liar, other_tag, other_length, weak, none), 1):
            path = "/%s.pdf" % serve.__name__
            e = c.upload(path, serve)
            c.wait_state(done=i)
            c.check(e, new)
            seen = c.host.requests(path)
            if serve in (weak, none):
                assert not [h for h in seen if "range" in h], seen
        tap.same(c.leftovers(), [])


@test
def over_a_restart():
    """stopped in the middle: the next daemon asks for the rest; killed, it begins anew"""
    body = pdf(LARGE)
    with Docs("restart", daemon="stall_timeout = 60s") as c:
        go = threading.Event()

        def serve(q, nth):
            if "Range" in q.headers:
                q.part(body, '"v1"')
            elif go.is_set():
                q.whole(body, '"v1"')
            else:
                q.cut(body, 200000, '"v1"')
                go.wait(60)  # the connection stays, and nothing comes

        e = c.upload("/a.pdf", serve)
        wait_until(lambda: any(os.path.getsize(os.path.join(c.store, ".tmp", n)) >= 200000
                               for n in c.leftovers()), [c.store + "/.tmp"], "the first part")
        c.stop_daemon()
        tap.same(sorted(n.rpartition(".")[2] == "json" for n in c.leftovers()), [False, True])
        c.start_daemon()
        c.wait_state(done=1)
        c.check(e, body)
        tap.same([h.get("range") for h in c.host.requests("/a.pdf")], [None, "bytes=200000-"])
        tap.same(reasons(c, name_of(e)), [])
        tap.same(c.leftovers(), [])

        e = c.upload("/b.pdf", serve)
        wait_until(lambda: any(os.path.getsize(os.path.join(c.store, ".tmp", n)) >= 200000
                               for n in c.leftovers()), [c.store + "/.tmp"], "the first part")
        c.stop_daemon(signal.SIGKILL)
        go.set()
        c.start_daemon()
        c.wait_state(done=2)
        c.check(e, body)
        tap.same([h.get("range") for h in c.host.requests("/b.pdf")], [None, None])
        tap.same(c.leftovers(), [])


@test
def stalled():
    """nothing comes any more: given up after stall_timeout, and the rest is asked for"""
    body = pdf(LARGE)
    with Docs("stall", daemon="stall_timeout = 1s") as c:
        over = threading.Event()
        begun = []

        def serve(q, nth):
            begun.append(time.monotonic())
            if nth > 1:
                q.part(body, '"v1"')
                return
            q.cut(body, 200000, '"v1"')
            over.wait(60)  # the connection stays, and nothing comes
        try:
            e = c.upload("/a.pdf", serve)
            c.wait_state(done=1)
        finally:
            over.set()
        c.check(e, body)
        tap.same([h.get("range") for h in c.host.requests("/a.pdf")], [None, "bytes=200000-"])
        tap.note("asked for the rest after %.1f s" % (begun[1] - begun[0]))
        assert begun[1] - begun[0] > 0.9, begun
        tap.same(c.leftovers(), [])


@test
def dripping():
    """slow, but never still for stall_timeout: one transfer, which takes longer than that"""
    body = pdf(LARGE)
    with Docs("drip", daemon="stall_timeout = 2s\napi_timeout = 2s") as c:
        took = []

        def serve(q, _):
            begun = time.monotonic()
            q.cut(body, 1000, '"v1"')
            for at in range(1000, LARGE, LARGE // 12):
                threading.Event().wait(0.3)
                q.wfile.write(body[at:at + LARGE // 12])
                q.wfile.flush()
            took.append(time.monotonic() - begun)
        e = c.upload("/a.pdf", serve)
        c.wait_state(done=1)
        c.check(e, body)
        tap.same([h.get("range") for h in c.host.requests("/a.pdf")], [None])
        tap.note("it took %.1f s" % took[0])
        assert took[0] > 2, took
        tap.same(reasons(c, name_of(e)), [])


@test
def over_tries():
    """it breaks off so often that the try ends: what came is kept for the next one"""
    body = pdf(LARGE)
    with Docs("tries") as c:
        def serve(q, nth):
            at = int((q.headers["Range"] or "bytes=0-")[6:-1])
            if nth == 1:
                q.cut(body, 100000, '"v1"')
            elif nth < 9:
                q.answer(206, {"Content-Length": str(len(body) - at), "ETag": '"v1"',
                               "Content-Range": "bytes %d-%d/%d" % (
                                   at, len(body) - 1, len(body))}, body[at:at + 1000])
            else:
                q.part(body, '"v1"')
        e = c.upload("/a.pdf", serve)
        c.wait_state(done=1)
        c.check(e, body)
        tap.same(len(reasons(c, name_of(e))), 1)
        starts = [int(h.get("range", "bytes=0-")[6:-1]) for h in c.host.requests("/a.pdf")]
        tap.same(starts, [0] + [100000 + 1000 * i for i in range(8)])


# ---- what came ----

@test
def no_document():
    """pages, messages, wrong lengths and digests, compressed bodies: never stored as a document"""
    good = pdf(5000)
    bomb = gzip.compress(b"%PDF-1.7\n" + b"\0" * (64 << 20))
    with Docs("odd", daemon="tries = 20") as c:
        wrong = {
            "page": lambda q: q.whole(b"<!DOCTYPE html><title>Sign in</title>",
                                      Content_Type="text/html"),
            "page as PDF": lambda q: q.whole(b"<html>Sign in</html>"),
            "XML": lambda q: q.whole(b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>',
                                     Content_Type="application/xml"),
            "JSON": lambda q: q.whole(b'{"message":"Forbidden"}', Content_Type="application/json"),
            "nothing": lambda q: q.whole(b""),
            "short": lambda q: q.answer(200, {"Content-Length": "9000"}, good),
            "digest": lambda q: q.whole(good, '"%s"' % hashlib.md5(b"x").hexdigest()),
            "Content-MD5": lambda q: q.whole(good, Content_MD5="1B2M2Y8AsgTpgAmY7PhCfg=="),
            "compressed": lambda q: q.whole(bomb, Content_Encoding="gzip"),
        }
        for i, (what, bad) in enumerate(wrong.items(), 1):
            # a name that says nothing, so that the bytes have to speak
            path = "/%d" % i
            e = c.upload(path, lambda q, nth: bad(q) if nth == 1 else q.whole(good))
            c.wait_state(done=i)
            c.check(e, good)
            tap.same(len(reasons(c, name_of(e))), 1, what)
        tap.same(c.leftovers(), [])


@test
def looks_cut():
    """a PDF without an end: once more; if the very same comes, or is proven, kept with a warning"""
    half = pdf(5000)[:4000]
    whole = pdf(5000)
    with Docs("cut") as c:
        e = c.upload("/a.pdf", lambda q, nth: q.whole(half if nth == 1 else whole))
        c.wait_state(done=1)
        assert "warning" not in c.check(e, whole)
        e = c.upload("/b.pdf", lambda q, nth: q.whole(half))
        c.wait_state(done=2)
        assert "EOF" in c.check(e, half)["warning"]
        tap.same(len(c.host.requests("/b.pdf")), 2)
        e = c.upload("/c.pdf", lambda q, nth: q.whole(half, '"%s"' % hashlib.md5(half).hexdigest()))
        c.wait_state(done=3)
        assert "EOF" in c.check(e, half)["warning"]
        tap.same(len(c.host.requests("/c.pdf")), 1)
        assert "an odd document" in c.daemon.said()


@test
def too_large():
    """announced or endless: failed at once, and nothing of it stays on the disk"""
    with Docs("large", daemon="max_document = 100K") as c:
        def endless(q, nth):
            q.answer(200, {"Transfer-Encoding": "chunked"})
            for _ in range(10000):
                q.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

        for i, serve in enumerate((lambda q, nth: q.whole(pdf(LARGE)), endless), 1):
            e = c.upload("/%d.pdf" % i, serve)
            c.wait_state(failed=i)
            assert "too long" in c.retry(name_of(e))["reason"], c.retry(name_of(e))
            tap.same(len(c.host.requests("/%d.pdf" % i)), 1)
        # the event is in its box a moment before its file is gone
        wait_until(lambda: not c.leftovers(), [c.store + "/.tmp"], c.leftovers)


# ---- where it comes from ----

@test
def redirects():
    """followed a few times, each hop looked at; to somewhere else nobody connects"""
    body = pdf(5000)
    trap = socket.socket()
    trap.bind(("127.0.0.1", 0))
    trap.listen(16)
    trap.setblocking(False)
    port = trap.getsockname()[1]
    with Docs("hops", daemon="tries = 1") as c:
        def hop(to):
            return lambda q, nth: q.answer(302, {"Location": to, "Content-Length": "0"})

        c.host.paths["/2"] = hop("/3")
        c.host.paths["/3"] = hop(c.host.url("/end.pdf"))
        c.host.paths["/end.pdf"] = lambda q, nth: q.whole(body)
        e = c.upload("/1", hop(c.host.url("/2")))
        c.wait_state(done=1)
        c.check(e, body)
        e = c.upload("/loop", hop(c.host.url("/loop")))
        c.wait_state(done=1, failed=1)
        tap.same(len(c.host.requests("/loop")), 4, "the link and three hops")
        wrong = ["https://127.0.0.1:%d/x" % port, "https://localhost:%d/x" % port,
                 "https://[::ffff:127.0.0.1]:%d/x" % port, "https://2130706433:%d/x" % port,
                 "https://0x7f.1:%d/x" % port, "https://docs.localhost:%d/x" % port,
                 "https://docs.localhost.:%d/x" % c.host.port,
                 "https://x@docs.localhost:%d/x" % c.host.port,
                 "https://docs.localhost%%2e:%d/x" % c.host.port,
                 "http://docs.localhost:%d/x" % c.host.port, "//127.0.0.1:%d/x" % port,
                 "file:///etc/passwd", "gopher://docs.localhost/x", "javascript:x", ""]
        c.host.paths["/x"] = lambda q, nth: q.whole(body)
        for i, to in enumerate(wrong):
            c.upload("/w%d" % i, hop(to))
            c.wait_state(done=1, failed=2 + i)
        tap.same(c.host.requests("/x"), [])
        try:
            trap.accept()
            raise Failure("somebody connected")
        except BlockingIOError:
            pass
    trap.close()


@test
def refused_link():
    """403: a fresh link, three times in a try, and never the old one again"""
    body = pdf(5000)
    with Docs("refused") as c:
        c.host.paths.update({"/%d.pdf" % i: (lambda q, nth: q.answer(403, {"Content-Length": "0"}))
                             for i in range(3)})
        c.host.paths["/3.pdf"] = lambda q, nth: q.whole(body)
        c.sandbox.no_faults()
        for i in range(4):
            c.sandbox.fault(on="api", match="/filestore", do_="redirect",
                            to=c.host.url("/%d.pdf" % i))
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        c.check(e, body)
        tap.same(reasons(c, name_of(e)), [])
        tap.same([p for p, _ in c.host.seen], ["/%d.pdf" % i for i in range(4)])
        # the API repeats itself: the same link is not asked twice in a try
        e = c.upload("/same.pdf", lambda q, nth: q.whole(body) if nth > 1 else
                     q.answer(410, {"Content-Length": "0"}))
        c.wait_state(done=2)
        tap.same(len(reasons(c, name_of(e))), 1)
        assert "again" in reasons(c, name_of(e))[0]


# ---- how many, how fast ----

@test
def so_many_at_once():
    """in all and at one host; what is no document is not held up by them"""
    body = pdf(5000)
    for daemon, most in (("downloads = 2", 2), ("downloads = 8\ndownloads_per_host = 3", 3)):
        with Docs("many", daemon=daemon + "\nstall_timeout = 60s") as c:
            gate = threading.Event()

            def serve(q, nth):
                gate.wait(60)
                q.whole(body)

            c.upload("/a.pdf", serve, count=12)
            c.host.wait_for(most)
            c.sandbox.emit("Client.Update")
            # the documents stand still, the record comes through
            wait_until(lambda: len(c.names("done")) == 1, [c.box("done")], "the record")
            tap.same(c.host.most, most)
            gate.set()
            c.wait_state(done=13)


@test
def bandwidth():
    """two downloads together keep to it"""
    body = pdf(150000)
    with Docs("slow", daemon="bandwidth = 200000") as c:
        begun = time.monotonic()
        events = [c.upload("/a.pdf", lambda q, nth: q.whole(body))]
        events.append(c.upload("/b.pdf", lambda q, nth: q.whole(body)))
        c.wait_state(done=2)
        took = time.monotonic() - begun
        for e in events:
            c.check(e, body)
            tap.same(reasons(c, name_of(e)), [])
        assert took > 1.2, took  # 300,000 bytes at 200,000 a second, less a first burst


@test
def constant_memory():
    """a download of 256 MiB, and one from the API itself, leave the daemon as small as it was"""
    size = 256 << 20

    def peak(c):
        with open("/proc/%d/status" % c.daemon.pid) as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1))

    for how in ("details", "bytes"):
        with Chain("docs-memory", daemon="api_timeout = 60s\nstall_timeout = 60s",
                   sandbox=["--document-size", str(size), "--filestore", how]) as c:
            c.sandbox.emit("Client.Update")
            c.wait_state(done=1)
            before = peak(c)
            begun = time.monotonic()
            e = c.sandbox.emit("FileStore.Upload")[0]
            c.wait_state(done=2, seconds=300)
            took = time.monotonic() - begun
            grown = peak(c) - before
            digest = hashlib.sha256()
            with open(c.place(e) + "/document.pdf", "rb") as f:
                for block in iter(lambda: f.read(1 << 20), b""):
                    digest.update(block)
            tap.same(digest.hexdigest(), e["sha256"])
            tap.note("%s: peak %d KiB before, %d KiB more; %.1f s" % (how, before, grown, took))
            if "asan" not in os.environ.get("ARKEN_BUILD", ""):
                assert grown < 8192, grown


# ---- events about downloads ----

@test
def our_own_downloads():
    """each of our fetches raises an event: done without a fetch, and there is an end"""
    with Chain("docs-loop", sandbox=["--download-events"]) as c:
        events = c.sandbox.emit("FileStore.Upload", count=10)
        c.sandbox.wait("events=20")
        c.sandbox.quiet()
        c.wait_state(done=20)
        tap.same((len(c.sandbox.events()), c.sandbox.stats()["documents"]), (20, 10))
        for e in events:
            c.check_stored(e)
        # a Download long after our own: the host is asked, and says that nothing is new
        e = events[0]
        path = c.place(e) + "/document.json"
        meta = json.loads(c.read(path))
        meta["fetched"] = "2020-01-01T00:00:00Z"
        with open(path, "w") as f:
            json.dump(meta, f)
        requests = c.sandbox.stats()["document_requests"]
        c.sandbox.emit("FileStore.Download", document=e["documentHashId"])
        c.sandbox.quiet()
        c.wait_state(done=21)
        st = c.sandbox.stats()
        tap.same((st["document_requests"] - requests, st["documents"], st["events"]), (1, 10, 21))
        assert json.loads(c.read(path))["fetched"] > "2021"
        # and one of a version that no Upload told of
        c.sandbox.emit("FileStore.Upload", document=e["documentHashId"], deliver=0)
        meta["fetched"] = "2020-01-01T00:00:00Z"
        with open(path, "w") as f:
            json.dump(meta, f)
        new = c.sandbox.emit("FileStore.Download", document=e["documentHashId"])[0]
        c.sandbox.wait("documents=11")
        c.sandbox.wait("events=24")
        c.sandbox.quiet()
        c.wait_state(done=23)
        tap.same((c.sandbox.stats()["documents"], c.sandbox.stats()["events"]), (11, 24))
        body, meta = c.document(new)
        assert meta["event"] == name_of(new) and sha(body) == meta["sha256"], meta
        tap.same(len(os.listdir(c.place(e) + "/versions")), 2, "the old one and its description")


@test
def deleted():
    """on_delete: kept beside a tombstone, or removed but for it"""
    for value, left in (("keep", 4), ("remove", 1)):
        with Chain("docs-delete", account="on_delete = " + value) as c:
            e = c.sandbox.emit("FileStore.Upload")[0]
            c.sandbox.quiet()
            c.wait_state(done=1)
            c.sandbox.emit("DocumentData.Delete", document=e["documentHashId"])
            c.sandbox.quiet()
            c.wait_state(done=2)
            tap.same(len(os.listdir(c.place(e))), left, value)
            tap.same(os.listdir(os.path.join(c.store, "acme", "DocumentData",
                                             e["documentHashId"])), ["deleted.json"])


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
