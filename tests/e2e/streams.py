# SPDX-License-Identifier: ISC
"""streams - FastCGI dialogues as a web server has them, and everything that is not.

Stream n of a seed is always the same bytes.  A stream either carries a valid
credential of the account or no byte of one, so whatever mutation makes of it,
what may be accepted is known.
"""
import random
import struct

import fcgi_client
from lone import OTHER_SECRET, PATH, SECRET, event

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
MARK = "carries-no-credential"  # in the event of each stream that has none
WRONG = (None, "", "nonsense", SECRET[::-1], SECRET.upper(), "Bearer x", "\xe4" * 20)
LENGTHS = ("-1", "+5", " 5", "5 ", "0x5", "", "0", "1e3", "18446744073709551616",
           "99999999999999999999999", "4294967296", "2147483648", "5,5")


class Record:
    """One record whose fields may lie: length and padding are what the header says."""

    def __init__(self, kind, content=b"", rid=1, padding=0):
        self.version, self.kind, self.rid, self.content = 1, kind, rid, content
        self.length, self.padding = len(content), padding
        self.tail = bytes(padding)

    def bytes(self):
        return struct.pack("!BBHHBB", self.version, self.kind, self.rid & 0xffff,
                           self.length & 0xffff, self.padding & 0xff, 0) + \
            self.content + self.tail


def number(n, wide=False):
    return bytes([n]) if n < 128 and not wide else struct.pack("!I", n | 0x80000000)


def pair(name, value, wide=False):
    name, value = (t if isinstance(t, bytes) else t.encode("latin-1") for t in (name, value))
    return number(len(name), wide) + number(len(value), wide) + name + value


def begin(rid=1, role=1, flags=0):
    return Record(BEGIN, struct.pack("!HB5x", role, flags), rid)


def some_params(rng, body, secret):
    out = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", PATH), ("SCRIPT_NAME", PATH),
           ("CONTENT_TYPE", "application/json"), ("REMOTE_ADDR", "127.0.0.1")]
    if rng.random() < 0.9:
        out.append(("CONTENT_LENGTH", str(len(body))))
    if secret is not None:
        out.append(("HTTP_X_ARKEN_SECRET", secret))
    for i in range(rng.choice((0, 0, 3, 20))):
        out.append(("HTTP_X_%d" % i, "y" * rng.choice((0, 1, 127, 128, 300))))
    rng.shuffle(out)
    return out


def request(rng, n, secret, rid=1, flags=0):
    """The records of one valid dialogue."""
    more = {} if secret in (SECRET, OTHER_SECRET) else {"mark": MARK}
    body = event(n, fill="z" * rng.choice((0, 0, 10, 5000, 70000)), **more)
    wide = rng.random() < 0.1
    text = b"".join(pair(k, v, wide) for k, v in some_params(rng, body, secret))
    out = [begin(rid, flags=flags)]
    for kind, data in ((PARAMS, text), (STDIN, body)):
        step = rng.choice((7, 100, 32768, 65535) if len(data) < 2000 else (8192, 65535))
        for at in range(0, len(data), step):
            out.append(Record(kind, data[at:at + step], rid, rng.choice((0, 0, 0, 1, 7, 255))))
        out.append(Record(kind, b"", rid))
    return out


# ---- mutations of records: each takes and gives a list of records ----

def _one(rng, records):
    return rng.randrange(len(records))


def lie_length(rng, r):
    x = r[_one(rng, r)]
    x.length = rng.choice((0, 1, x.length + 1, max(0, x.length - 1), x.length + 8, 0xffff,
                           rng.randrange(65536)))
    return r


def lie_padding(rng, r):
    x = r[_one(rng, r)]
    x.padding = rng.choice((0, 1, 7, 255))
    if rng.random() < 0.5:
        x.tail = bytes(x.padding)
    return r


def lie_kind(rng, r):
    r[_one(rng, r)].kind = rng.choice(list(range(13)) + [255, rng.randrange(256)])
    return r


def lie_id(rng, r):
    r[_one(rng, r)].rid = rng.choice((0, 2, 255, 256, 0xffff, rng.randrange(65536)))
    return r


def lie_version(rng, r):
    r[_one(rng, r)].version = rng.choice((0, 2, 255))
    return r


def drop(rng, r):
    del r[_one(rng, r)]
    return r


def double(rng, r):
    i = _one(rng, r)
    return r[:i + 1] + r[i:]


def swap(rng, r):
    i, j = _one(rng, r), _one(rng, r)
    r[i], r[j] = r[j], r[i]
    return r


def put_in(rng, r):
    """A record that does not belong there: management, abort, another request, an answer."""
    values = b"".join(pair(rng.choice((b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS",
                                       b"X", b"\0", b"")), b"")
                      for _ in range(rng.choice((1, 3, 4, 8, 60))))
    x = rng.choice((
        Record(GET_VALUES, values, 0), Record(GET_VALUES, b"\x7f", 0), Record(GET_VALUES, b"", 0),
        Record(GET_VALUES, b"\xff\xff\xff\xff" * 2, 0), Record(11, b"x" * 8, 0),
        Record(200, b"x" * 20, 0), Record(GET_VALUES, values, 1), Record(ABORT), begin(1),
        begin(2), begin(0), Record(ABORT, b"", 2), Record(END, bytes(8)), Record(STDOUT, b"x"),
        Record(DATA, b"x" * 20), Record(DATA), Record(PARAMS, b"\x01\x01ab"),
        Record(STDIN, b"{}"), Record(BEGIN, b"\0\1"), Record(STDIN, b"", 2)))
    i = rng.randrange(len(r) + 1)
    return r[:i] + [x] + r[i:]


def lie_role(rng, r):
    r[0].content = struct.pack("!HB5s", rng.choice((0, 2, 3, 99, 65535)),
                               rng.choice((0, 1, 2, 255)), rng.randbytes(5))
    return r


def interleave(rng, r):
    """Records of another request, of the same kind, in between."""
    other = [Record(x.kind, x.content, 2, x.padding) for x in r]
    out = []
    while r or other:
        of = r if not other or r and rng.random() < 0.5 else other
        out.append(of.pop(0))
    return out


def _params(r):
    return [x for x in r if x.kind == PARAMS and x.content]


def lie_param_length(rng, r):
    big = struct.pack("!I", rng.choice((0x80000000, 0xffffffff, 0xfffffffe, 0x80010000,
                                        0xff000000, 0xbfffffff, 0x80000001)))
    lie = rng.choice((big, big + big, b"\x7f", b"\x00" + big, big + b"\x00", b"\x80", b"\xff" * 3))
    for x in _params(r)[:1]:
        at = rng.choice((0, len(x.content), rng.randrange(len(x.content) + 1)))
        x.content = x.content[:at] + lie + x.content[at:]
        x.length = len(x.content)
    return r


def more_params(rng, r):
    extra = rng.choice((pair("X", "y" * rng.choice((60000, 65000))), pair("", ""),
                        pair("A=B", "c"), pair("A\0B", "c\0d"), pair("HTTP_PROXY", "x:1"),
                        b"".join(pair("P%d" % i, "") for i in range(3000)),
                        pair("CONTENT_LENGTH", rng.choice(LENGTHS)),
                        pair("REQUEST_METHOD", "GET"), pair("REQUEST_URI", "/x")))
    i = next((i for i, x in enumerate(r) if x.kind == PARAMS and not x.content), 0)
    return r[:i] + [Record(PARAMS, extra[at:at + 32768]) for at in
                    range(0, len(extra), 32768)] + r[i:]


RECORDS = (lie_length, lie_padding, lie_kind, lie_id, lie_version, drop, double, swap, put_in,
           put_in, lie_role, interleave, lie_param_length, lie_param_length, more_params)


# ---- mutations of bytes ----

def mutate_bytes(rng, data):
    how = rng.randrange(6)
    at = rng.randrange(len(data) + 1)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + rng.randbytes(rng.choice((1, 8, 300))) + data[at:]
    if how == 2:
        return data[:at] + data[at + rng.choice((1, 8, 100)):]
    if how == 3:
        return data + rng.randbytes(rng.choice((1, 7, 8, 3000)))
    if how == 4:
        return data[:at] + data[at // 2:]
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        out[rng.randrange(min(len(out), 600))] ^= 1 << rng.randrange(8)
    return bytes(out)


class Stream:
    def __init__(self, seed, n):
        rng = random.Random("%s:%d" % (seed, n))
        kind = rng.random()
        self.n = n
        self.valid = kind < 0.03  # as it should be: has to be accepted
        self.has_credential = self.valid or kind < 0.2
        secret = rng.choice((SECRET, OTHER_SECRET) if self.has_credential else WRONG)
        if kind > 0.97:
            self.data = rng.randbytes(rng.choice((0, 1, 8, 100, 5000)))
            return
        keep = rng.random() < 0.3
        records = request(rng, n, secret, rng.choice((1, 1, 7, 65535)), flags=int(keep))
        if not self.valid:
            for _ in range(rng.choice((0, 1, 1, 2, 4))):
                if records:
                    records = rng.choice(RECORDS)(rng, records)
        self.data = b"".join(r.bytes() for r in records)
        if not self.valid and rng.random() < 0.4:
            self.data = mutate_bytes(rng, self.data)
        if keep and not self.valid and rng.random() < 0.3:
            self.data *= 2


def answers(data):
    """The statuses of the answers in what came back, and whether it says accepted."""
    out, at, parts = [], 0, {}
    while at + 8 <= len(data):
        _, kind, rid, length, padding, _ = struct.unpack_from("!BBHHBB", data, at)
        content = data[at + 8:at + 8 + length]
        at += 8 + length + padding
        if kind == STDOUT:
            parts[rid] = parts.get(rid, b"") + content
        elif kind == END and rid in parts:
            status, _, body = fcgi_client.parse(parts.pop(rid))
            out.append((status, body))
    return out
