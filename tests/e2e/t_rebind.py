#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_rebind - a name server that lies cannot lead a download to a private address.

In a network namespace of its own, with a name server of its own: names of allowed hosts lead to
private addresses at once, after a public one, beside one, by an alias, or written as IPv6.
Listeners on the private addresses count who connects: nobody.
"""
import os
import shutil
import subprocess
import sys

INSIDE = "--inside"


def outside():
    """Run again in namespaces of our own."""
    why = None
    if os.geteuid() != 0:
        why = "needs root"
    elif not shutil.which("unshare") or not shutil.which("ip"):
        why = "unshare or ip is not installed"
    elif subprocess.run(["unshare", "--net", "--mount", "true"], stderr=subprocess.DEVNULL,
                        check=False).returncode != 0:
        why = "no namespaces"
    if why:
        print("1..1\nok 1 - rebinding # SKIP " + why)
        sys.exit(0)
    os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private",
                          sys.executable, "-B", os.path.abspath(__file__), INSIDE] + sys.argv[1:])


if __name__ == "__main__" and INSIDE not in sys.argv[1:]:
    outside()  # before anything else is started

import itertools  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402

import tap  # noqa: E402
from chain import wait_until  # noqa: E402
from t_documents import Docs, name_of, pdf  # noqa: E402

TESTS = []
PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1::34"
PRIVATE = ["127.0.0.1", "10.0.0.7", "172.16.0.7", "192.168.0.7", "169.254.169.254", "100.64.0.7",
           "198.18.0.7", "::1", "fd00::7", "2002:a00:7::1", "64:ff9b::a00:7", "2001:0:a00:7::1"]


def test(f):
    TESTS.append(f)
    return f


class Names(threading.Thread):
    """
    A name server on 127.0.0.1:53.  Each name has a list of answers, one for each phase (the last
    one stays): a list of addresses, or the name it is an alias of.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.names, self.phase, self.asked = {}, 0, set()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 53))

    def run(self):
        while True:
            query, who = self.sock.recvfrom(512)
            try:
                self.sock.sendto(self.answer(query), who)
            except (OSError, IndexError, struct.error):
                pass

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        name, question = ".".join(labels), query[12:at + 5]
        self.asked.add(name)
        records = self.records(name, kind)
        code = 0 if name in self.names else 3
        return (query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0) +
                question + b"".join(records))

    def records(self, name, kind):
        steps = self.names.get(name)
        if not steps:
            return []
        step = steps[min(self.phase, len(steps) - 1)]
        owner = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"

        def record(rtype, data):
            return owner + struct.pack(">HHIH", rtype, 1, 0, len(data)) + data

        if isinstance(step, str):
            to = b"".join(bytes([len(p)]) + p.encode() for p in step.split(".")) + b"\0"
            return [record(5, to)] + self.records(step, kind)
        out = []
        for a in step:
            six = ":" in a
            if kind == (28 if six else 1):
                out.append(record(kind, socket.inet_pton(
                    socket.AF_INET6 if six else socket.AF_INET, a)))
        return out


class Traps:
    """Listeners on the private addresses that are there; whoever connects is found."""

    def __init__(self, port):
        self.socks = {}
        for a in PRIVATE:
            s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET)
            if ":" in a:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((a, port))
            s.listen(64)
            s.setblocking(False)
            self.socks[a] = s

    def sprung(self):
        out = []
        for a, s in self.socks.items():
            try:
                s.accept()
                out.append(a)
            except BlockingIOError:
                pass
        return out


def prepare():
    """Addresses and a resolver of our own; nothing of it is outside this namespace."""
    def run(*argv):
        subprocess.run(argv, check=True)
    run("ip", "link", "set", "lo", "up")
    for a in [PUBLIC, PUBLIC6] + PRIVATE:
        if a not in ("127.0.0.1", "::1"):
            run("ip", "addr", "add", a + ("/128" if ":" in a else "/32"), "dev", "lo",
                *(["nodad"] if ":" in a else []))
    folder = tempfile.mkdtemp(prefix="arken-rebind.")
    for path, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2\n"),
                       ("/etc/nsswitch.conf", "hosts: files dns\npasswd: files\ngroup: files\n")):
        mine = os.path.join(folder, os.path.basename(path))
        with open(mine, "w") as f:
            f.write(text)
        os.chmod(mine, 0o644)
        if not os.path.exists(path):
            raise tap.Skip(path + " is not there")
        run("mount", "--bind", os.path.realpath(mine), os.path.realpath(path))
    os.chmod(folder, 0o755)
    return folder


class Rebind(Docs):
    """A chain in which no private network is allowed, with a name server that is told what to say."""

    host_name, host_at = "*.example.test", PUBLIC
    names_server = None

    def configure(self, **extra):
        super().configure(**extra)
        with open(self.conf) as f:
            text = f.read()
        self.write("etc/arkenspool.conf",
                   text.replace("document_networks = 127.0.0.0/8 ::1/128\n", ""))

    def told(self, event):
        """How often an event came to an end of a try in which its host was looked up."""
        return sum("answered 503" in line or " step=failed " in line
                   for line in self.story(name_of(event)))

    def wait_told(self, events, before):
        """Until each of them is further than before."""
        wait_until(lambda: all(self.told(e) > n for e, n in zip(events, before)),
                   [self.spool + "/log"], lambda: "each event to be tried: %r" % [
                       self.told(e) for e in events])

    def wait_refused(self, event):
        """Until its note says so: an operator's retry may just have taken the note away."""
        wait_until(lambda: "not an address that is allowed" in
                   (self.retry(name_of(event)) or {}).get("reason", ""),
                   [self.spool + "/retry"], lambda: "a refusal of %s; its note is %r" % (
                       name_of(event), self.retry(name_of(event))))

    def send(self, name, path="/a.pdf"):
        """An event whose document the API says to be on that host; it keeps on saying so."""
        made = self.sandbox.emit("FileStore.Upload", deliver=0)[0]["documentHashId"]
        self.sandbox.fault(on="api", match=made, do_="redirect", times=-1,
                           to="https://%s.example.test:%d%s" % (name, self.host.port, path))
        return self.sandbox.emit("FileStore.Upload", document=made, shape="direct")[0]


@test
def private_from_the_start():
    """every kind of private address, by A, AAAA, CNAME, alone or beside others"""
    with Rebind("rebind-at-once", daemon="tries = 1") as c:
        body = pdf(5000)
        c.host.paths["/a.pdf"] = lambda q, nth: q.whole(body)
        traps = Traps(c.host.port)
        n = c.names_server.names
        good = {"public": [[PUBLIC]], "mixed": [[PUBLIC, "::1"]],
                "both": [["10.0.0.7", PUBLIC]], "alias": ["public.example.test"],
                "four-six": [[PUBLIC, "fd00::7", "2002:a00:7::1"]]}
        bad = {"p%d" % i: [[a]] for i, a in enumerate(PRIVATE)}
        bad.update({"mapped": [["::ffff:10.0.0.7"]], "compatible": [["::10.0.0.7"]],
                    "nothing": [["0.0.0.0"]], "any": [["::"]],
                    "two": [["10.0.0.7", "fd00::7"]], "inner": ["intra.internal"]})
        n["intra.internal"] = [["10.0.0.7"]]
        n.update({k + ".example.test": v for k, v in list(good.items()) + list(bad.items())})
        done = {k: c.send(k) for k in good}
        failed = {k: c.send(k) for k in bad}
        c.wait_state(done=len(good), failed=len(bad))
        tap.same(c.names("failed"), sorted(name_of(e) for e in failed.values()))
        for e in failed.values():
            assert "not an address that is allowed" in c.retry(name_of(e))["reason"], \
                c.retry(name_of(e))
        for e in done.values():
            c.check(e, body)
        assert {k + ".example.test" for k in bad} <= c.names_server.asked, "all were looked up"
        tap.same(traps.sprung(), [], "connections to private addresses")
        tap.same(len(c.host.requests("/a.pdf")), len(good))


@test
def rebound_in_each_order():
    """public, loopback, private, in all orders; the name is looked up anew each time"""
    with Rebind("rebind-orders") as c:
        c.host.paths["/a.pdf"] = lambda q, nth: q.answer(503, {"Content-Length": "0"})
        traps = Traps(c.host.port)
        orders = list(itertools.permutations((PUBLIC, "127.0.0.1", "10.0.0.7")))
        for i, order in enumerate(orders):
            c.names_server.names["o%d.example.test" % i] = [[a] for a in order]
        events = [c.send("o%d" % i) for i in range(len(orders))]
        before = [0] * len(orders)
        for phase in range(3):
            if phase > 0:
                c.stop_daemon()  # libcurl remembers names for a while
                before = [c.told(e) for e in events]
                c.names_server.phase = phase
                c.start_daemon()
                # one that is being tried already is refused, and needs no retry
                c.ctl("retry", "-", stdin="".join(name_of(e) + "\n" for e in events),
                      want=None)
            c.wait_told(events, before)
            for e, order in zip(events, orders):
                if order[phase] != PUBLIC:
                    c.wait_refused(e)
            tap.same(traps.sprung(), [], "connections to private addresses")
        assert len(c.host.requests("/a.pdf")) >= 6, "the public address was reached each time"


def inside():
    folder = prepare()
    names = Names()
    names.start()
    Rebind.names_server = names
    try:
        tap.main(TESTS, [a for a in sys.argv[1:] if a != INSIDE])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    inside()
