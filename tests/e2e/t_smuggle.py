#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_smuggle - requests that contradict themselves, through the web servers as www/ has them.

Each case is the bytes of a client.  What carries no valid credential, or hides a
second request in the body of a first, must not become an event; the good request
after each case gets its own answer, on kept connections too; every connection
ends in bounded time.
"""
import json
import os
import select
import ssl
import sys
import time

import tap
from chain import Failure, HEADER, SECRET, guid
from servers import BEARER, HOST, Site

TESTS = []
ANSWER = 3   # seconds for an answer, before a case is left to the server's own time limits
BOUND = 50   # seconds until each connection has to have ended
NO, MAY = "no", "may"  # must not be accepted; may be, as it is
CANARIES = (SECRET.encode(), BEARER.split(".")[1].encode())
OTHER = "a-secret-that-is-none"

CRED = "%s: %s" % (HEADER, SECRET)
TYPE = "Content-Type: application/json"
HOSTED = "Host: " + HOST


def body_of(n):
    return json.dumps({"eventId": guid(n), "eventType": "Client.Delete",
                       "clientHashId": "c"}).encode()


def raw(lines, body=b"", first="POST /arken/acme HTTP/1.1", host=HOSTED, end="\r\n"):
    head = [first] + ([host] if host else []) + lines + ["Connection: close"]
    return end.join(head + ["", ""]).encode("latin-1") + body


def length(body):
    return "Content-Length: %d" % len(body)


def inner(n):
    """A whole request with the right credential, to be hidden in the body of another."""
    b = body_of(n)
    return raw([CRED, TYPE, length(b)], b)


def chunk(b, size=None, after=b"\r\n"):
    return (b"%x" % len(b) if size is None else size) + b"\r\n" + b + after


def framing(n):
    """The length of the body is said twice, or wrongly: the rest of it would be a request."""
    hidden = inner(n)
    zero = b"0\r\n\r\n"
    b = zero + hidden
    te = "Transfer-Encoding: "
    both = {
        "length and chunked": [length(b), te + "chunked"],
        "chunked and length": [te + "chunked", length(b)],
        "length 0 and chunked": ["Content-Length: 0", te + "chunked"],
        "chunked in capitals": [length(b), te + "CHUNKED"],
        "chunked after a vertical tab": [length(b), "Transfer-Encoding:\x0bchunked"],
        "chunked before a colon and space": [length(b), "Transfer-Encoding : chunked"],
        "chunked folded": [length(b), "Transfer-Encoding:\r\n chunked"],
        "chunked after junk": [length(b), te + "xchunked"],
        "chunked before junk": [length(b), te + "chunked, identity"],
        "gzip, chunked": [length(b), te + "gzip, chunked"],
        "chunked twice": [length(b), te + "chunked", te + "chunked"],
        "identity and chunked": [length(b), te + "identity", te + "chunked"],
        "chunked in quotes": [length(b), te + '"chunked"'],
        "chunked with a NUL": [length(b), te + "chunked\0"],
        "bare CR before chunked": [length(b), "X: y\rTransfer-Encoding: chunked"],
        "bare LF before chunked": [length(b), "X: y\nTransfer-Encoding: chunked"],
        "underscore in the name": [length(b), "Transfer_Encoding: chunked"],
    }
    out = [(name, NO, raw([TYPE] + lines, b)) for name, lines in both.items()]
    out.append(("chunked in HTTP/1.0", NO, raw([TYPE, length(b), te + "chunked"], b,
                                               "POST /arken/acme HTTP/1.0")))
    lengths = {
        "two lengths": [length(hidden), "Content-Length: 0"],
        "two lengths, the other way": ["Content-Length: 0", length(hidden)],
        "a list of lengths": ["Content-Length: 0, %d" % len(hidden)],
        "a length with a sign": ["Content-Length: +%d" % len(hidden)],
        "a negative length": ["Content-Length: -%d" % len(hidden)],
        "a hexadecimal length": ["Content-Length: 0x%x" % len(hidden)],
        "a length with a space in it": ["Content-Length: 0 %d" % len(hidden)],
        "an exponent": ["Content-Length: 1e3"],
        "a length no memory has": ["Content-Length: 99999999999999999999999"],
        "a length of 2^64": ["Content-Length: 18446744073709551616"],
        "an empty length": ["Content-Length:"],
        "a length with a NUL": ["Content-Length: 0\0%d" % len(hidden)],
        "a length folded": ["Content-Length: 0\r\n %d" % len(hidden)],
        "a space before the colon": ["Content-Length : %d" % len(hidden)],
        "an underscore": ["Content_Length: 0", length(hidden)],
    }
    out += [(name, NO, raw([TYPE] + lines, hidden)) for name, lines in lengths.items()]
    return out


def own_framing(n):
    """The credential is right, but the body is not what it is said to be."""
    b = body_of(n)
    good = [CRED, TYPE]
    te = good + ["Transfer-Encoding: chunked"]
    half = b[:10], b[10:]
    return [
        ("shorter than announced", NO, raw(good + ["Content-Length: %d" % (len(b) + 5)], b)),
        ("cut off", NO, raw(good + [length(b)], b[:-1])),
        ("a length with a sign", NO, raw(good + ["Content-Length: +%d" % len(b)], b)),
        ("no end of the chunks", NO, raw(te, chunk(b))),
        ("a chunk with a sign", NO, raw(te, chunk(b, b"+%x" % len(b)) + b"0\r\n\r\n")),
        ("a negative chunk", NO, raw(te, chunk(b, b"-%x" % len(b)) + b"0\r\n\r\n")),
        ("a chunk with 0x", NO, raw(te, chunk(b, b"0x%x" % len(b)) + b"0\r\n\r\n")),
        ("a chunk no memory has", NO, raw(te, chunk(b, b"f" * 20) + b"0\r\n\r\n")),
        ("a chunk of 2^64", NO, raw(te, chunk(b, b"1" + b"0" * 16) + b"0\r\n\r\n")),
        ("a chunk longer than its size", NO, raw(te, chunk(b, b"5") + b"0\r\n\r\n")),
        ("nothing after a chunk", NO, raw(te, chunk(half[0], None, b"") + chunk(half[1]) +
                                         b"0\r\n\r\n")),
        ("chunks with extensions", MAY, raw(te, b"%x;a=b\r\n" % len(b) + b + b"\r\n0\r\n\r\n")),
        ("chunks with line feeds alone", MAY, raw(te, b"%x\n" % len(b) + b + b"\n0\n\n")),
        ("two equal lengths", MAY, raw(good + [length(b), length(b)], b)),
        ("another type beside it", MAY, raw(good + [length(b), "Content-Type: text/plain"], b)),
        ("expects to go on", MAY, raw(good + [length(b), "Expect: 100-continue"], b)),
        ("expects something else", MAY, raw(good + [length(b), "Expect: x"], b)),
        ("upgrades", MAY, raw(good + [length(b), "Upgrade: h2c"], b)),
    ]


def credentials(n):
    """The credential in a form that is none."""
    b = body_of(n)
    rest = [TYPE, length(b)]
    name, wrong = HEADER, "%s: %s" % (HEADER, OTHER)
    forms = {
        "none": [], "twice": [CRED, CRED], "right and wrong": [CRED, wrong],
        "wrong and right": [wrong, CRED], "in another case, twice": [CRED, CRED.lower()],
        "as a list": ["%s: %s, %s" % (name, SECRET, SECRET)],
        "as a list with a wrong one": ["%s: %s, %s" % (name, OTHER, SECRET)],
        "an alias beside a wrong one": [wrong, "%s: %s" % (name.replace("-", "_"), SECRET)],
        "an alias before a wrong one": ["%s: %s" % (name.replace("-", "_"), SECRET), wrong],
        "a space before the colon": ["%s : %s" % (name, SECRET)],
        "a tab before the colon": ["%s\t: %s" % (name, SECRET)],
        "a NUL after the name": ["%s\0: %s" % (name, SECRET)],
        "a NUL in the value": ["%s: %s\0" % (name, SECRET)],
        "a NUL and more": ["%s: %s\0x" % (name, SECRET)],
        "an equals sign for the colon": ["%s=%s" % (name, SECRET)],
        "an equals sign in the name": ["%s=%s:" % (name, SECRET)],
        "behind a bare CR": ["X: y\r%s" % CRED], "with HTTP_ before it": ["HTTP_" + CRED],
        "with the parameter's name": ["HTTP_X_ARKEN_SECRET: " + SECRET],
        "in Authorization": ["Authorization: Bearer " + SECRET],
        "in two Authorizations": ["Authorization: x", "Authorization: " + SECRET],
        "in a cookie": ["Cookie: %s=%s" % (name, SECRET)],
        "in capitals": ["%s: %s" % (name, SECRET.upper())],
        "with a space in it": ["%s: %s %s" % (name, SECRET[:5], SECRET[5:])],
        "folded in the middle": ["%s: %s\r\n %s" % (name, SECRET[:5], SECRET[5:])],
        "an empty one": [name + ":"],
    }
    out = [(k, NO, raw(v + rest, b)) for k, v in forms.items()]
    te = [TYPE, "Transfer-Encoding: chunked"]
    end = ("0\r\n%s\r\n\r\n" % CRED).encode()
    bearer = "POST /arken/bearer HTTP/1.1"
    auth = "Authorization: " + BEARER
    return out + [
        ("a bearer", MAY, raw([auth] + rest, b, bearer)),
        ("a bearer twice", NO, raw([auth, auth] + rest, b, bearer)),
        ("a bearer for another account", NO, raw([auth] + rest, b)),
        ("a bearer in the query", NO, raw(rest, b, "POST /arken/bearer?access_token=x HTTP/1.1")),
        ("in the trailer", NO, raw(te + ["Trailer: " + name], chunk(b) + end)),
        ("in the query", NO, raw(rest, b, "POST /arken/acme?%s=%s HTTP/1.1" % (name, SECRET))),
        ("an alias alone", MAY, raw(["%s: %s" % (name.replace("-", "_"), SECRET)] + rest, b)),
        ("folded after the name", MAY, raw(["%s:\r\n %s" % (name, SECRET)] + rest, b)),
        ("with a proxy beside it", MAY, raw([CRED, "Proxy: http://127.0.0.1:1"] + rest, b)),
        ("with the names of parameters", MAY, raw([CRED, "Remote-Addr: x", "Request-Method: GET",
                                                   "Content-Length_: 0"] + rest, b)),
        ("with another method to take", MAY, raw([CRED, "X-HTTP-Method-Override: GET"] + rest,
                                                 b)),
    ]


def sizes(n):
    """More of everything than anybody needs; without a credential, then after it."""
    b = body_of(n)
    out = []
    for name, lines in (("a header of 20 KB", ["X: " + "y" * 20000]),
                        ("a header of 200 KB", ["X: " + "y" * 200000]),
                        ("a name of 20 KB", ["X" * 20000 + ": y"]),
                        ("2000 headers", ["X%d: y" % i for i in range(2000)]),
                        ("60 headers of 1 KB", ["X%d: %s" % (i, "y" * 1000)
                                                for i in range(60)])):
        out.append((name, NO, raw(lines + [TYPE, length(b)], b)))
        out.append((name + ", then the credential", MAY, raw(lines + [CRED, TYPE, length(b)],
                                                              b)))
    out.append(("a path of 20 KB", NO, raw([CRED, TYPE, length(b)], b,
                                           "POST /arken/%s HTTP/1.1" % ("a" * 20000))))
    out.append(("a query of 20 KB", MAY, raw([CRED, TYPE, length(b)], b,
                                             "POST /arken/acme?%s HTTP/1.1" % ("a" * 20000))))
    return out


def paths(n):
    """Ways to write a path that is not the account's; the credential is right."""
    b = body_of(n)
    good = [CRED, TYPE, length(b)]
    no = ["/arken//acme", "//arken/acme", "/arken/acme/", "/arken/acme//", "/arken/acme/.",
          "/arken/acme;x", "/arken;x/acme", "/ARKEN/acme", "/arken/ACME", "/arken/acme%00",
          "/arken/acme%20", "/arken/acme%0a", "/arken%5cacme", "/arken\\acme", "/arken/acme.",
          "/arken/acme%2f", "/arken/acme%3f", "/arken/acme%23", "/arken/%2561cme",
          "/arken/acme%", "/arken/acme%zz", "/arken/", "/arken", "/", "*", "arken/acme",
          "/arken/other", "/arken/bearer"]
    # the same place by RFC 3986, or what a server may make of it before it asks
    may = ["/arken/%61cme", "/%61rken/acme", "/arken%2facme", "/arken/./acme",
           "/arken/x/../acme", "/x/../arken/acme", "/arken/%2e/acme", "/arken/x/%2e%2e/acme",
           "/arken/acme?/../other", "/arken/acme#x", "/arken/acme?a=b?c",
           "http://%s/arken/acme" % HOST, "https://%s/arken/acme" % HOST]
    out = [(p, NO, raw(good, b, "POST %s HTTP/1.1" % p)) for p in no]
    out += [(p, MAY, raw(good, b, "POST %s HTTP/1.1" % p)) for p in may]
    lines = {
        "a method in small letters": "post /arken/acme HTTP/1.1",
        "another method": "PUT /arken/acme HTTP/1.1", "GET with a body":
        "GET /arken/acme HTTP/1.1", "a method nobody knows": "XPOST /arken/acme HTTP/1.1",
        "HTTP/0.9": "POST /arken/acme", "HTTP/9.9": "POST /arken/acme HTTP/9.9",
        "a tab for a space": "POST\t/arken/acme\tHTTP/1.1", "CONNECT": "CONNECT %s:443 HTTP/1.1"
        % HOST, "a NUL in the path": "POST /arken/acme\0 HTTP/1.1",
        "http in small letters": "POST /arken/acme http/1.1",
        "a path in the middle of the version": "POST /arken/acme HTTP/1.1/arken",
    }
    out += [(k, NO, raw(good, b, v)) for k, v in lines.items()]
    out += [
        ("no host", MAY, raw(good, b, host=None)),
        ("two hosts", MAY, raw(["Host: other.example"] + good, b)),
        ("another host", MAY, raw(good, b, host="Host: other.example")),
        ("a host with a path", MAY, raw(good, b, host="Host: %s/x" % HOST)),
        ("line feeds alone", MAY, raw(good, b, end="\n")),
        ("empty lines before it", MAY, b"\r\n\r\n" + raw(good, b)),
        ("two spaces", MAY, raw(good, b, "POST  /arken/acme  HTTP/1.1")),
    ]
    return out


KINDS = (framing, own_framing, credentials, sizes, paths)


class Case:
    def __init__(self, kind, i, n):
        self.n = n
        name, self.want, self.data = kind(n)[i]
        self.name = "%s: %s" % (kind.__name__, name)
        self.c, self.out, self.since = None, b"", 0.0

    def send(self, s):
        self.c, self.since = s.connect(), time.monotonic()
        self.c.settimeout(ANSWER)
        try:
            self.c.sendall(self.data)
        except OSError:
            pass  # refused before all was sent
        self.c.setblocking(False)

    def hear(self, until):
        """Whatever comes until the connection ends.  false: it has not yet."""
        try:
            while True:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                if not self.c.pending() and not select.select([self.c], [], [], left)[0]:
                    return False
                try:
                    part = self.c.recv(65536)
                except ssl.SSLWantReadError:
                    continue  # a record of TLS itself
                if not part:
                    break
                self.out += part
        except (ssl.SSLError, OSError):
            pass
        self.c.close()
        return True


def kept(s):
    return {name.split(".")[1] for name in s.names("new")}


def good(s, n, after):
    """A good request gets its own answer."""
    status, _, body = s.post(body_of(n))
    if status != 200 or json.loads(body)["id"] != guid(n):
        raise Failure("after %s a good request got %r %r" % (after, status, body[:200]))


def through(way):
    with Site(way, threads=4) as s:
        cases, waiting, n = [], [], 1
        for kind in KINDS:
            for i in range(len(kind(0))):
                case = Case(kind, i, n)
                n += 2
                case.send(s)
                if not case.hear(time.monotonic() + (ANSWER if case.want == MAY else 0.3)):
                    waiting.append(case)  # for the rest of a request, as far as the server goes
                cases.append(case)
                good(s, case.n + 1, case.name)
        slow = len(waiting)
        for case in waiting:
            if not case.hear(case.since + BOUND):
                raise Failure("%s: the connection did not end in %d s" % (case.name, BOUND))
        events = kept(s)
        wrong = [c.name for c in cases if c.want == NO and guid(c.n) in events]
        tap.note("%d cases, %d without a credential or broken, %d of the others accepted, %d "
                 "waited for the server's time limit" % (
                     len(cases), len([c for c in cases if c.want == NO]),
                     len([c for c in cases if c.want == MAY and guid(c.n) in events]), slow))
        tap.same(wrong, [], "accepted")
        tap.same({guid(c.n + 1) for c in cases} - events, set(), "good ones that are missing")
        tap.same(len(s.names("rejected")) <= len(cases), True)
        for c in cases:
            assert not any(secret in c.out for secret in CANARIES), c.name
        if not s.fcgi[0].alive():
            raise Failure("the receiver ended")
        check_logs(s)


def check_logs(s):
    """No secret in what was written; the server's log of errors shows lines of requests."""
    for path in (s.dir + "/receiver.log", s.dir + "/access.log"):
        if os.path.exists(path):
            with open(path, "rb") as f:
                data = f.read()
            # one case has it in its query, which an access log shows
            assert path.endswith("access.log") or CANARIES[0] not in data, path
            assert CANARIES[1] not in data, path
    for base, _, names in os.walk(s.spool):
        for name in names:
            with open(os.path.join(base, name), "rb") as f:
                data = f.read()
            assert not any(secret in data for secret in CANARIES), name


def test(way):
    def run():
        through(way)
    run.__name__ = way.replace("-", "_")
    TESTS.append(run)


test("lighttpd-socket")
test("nginx")
test("nginx-keep")

if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
