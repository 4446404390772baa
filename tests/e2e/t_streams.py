#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_streams - ten thousand mutated FastCGI dialogues straight into the receiver's socket.

SEED replays a run (it is printed), ONLY=N stream N of it, STREAMS is how many.
What has no credential is never accepted; descriptors and memory do not grow. A
process that ends is started again and counted, as systemd or a web server would
do; since libfcgi is given nothing that was not checked, none does.
"""
import collections
import os
import random
import select
import socket
import sys
import threading

import streams
import tap
from chain import Failure
from lone import Lone, SECRETS, event

TESTS = []
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
STREAMS = int(os.environ.get("STREAMS") or 10000)
ONLY = os.environ.get("ONLY")
SENDERS = 4
TRIES = 50
ENOUGH = 10  # streams that went wrong, before it is given up
GROWTH = 1024  # KiB of memory that a process may grow once it is warm
BOUND = 20  # seconds until a connection whose peer has ended its side has to end


def test(f):
    TESTS.append(f)
    return f


class Supervisor(threading.Thread):
    """Starts the receiver again whenever it ends by itself, and counts how."""

    def __init__(self, s):
        super().__init__(daemon=True)
        self.s, self.ends, self.stop = s, collections.Counter(), False
        self.up = threading.Event()
        s.start()
        self.up.set()
        self.start()

    def run(self):
        while True:
            status = self.s.p.p.wait()
            if self.stop:
                return
            self.up.clear()
            self.ends[status] += 1
            self.s.p.end()
            self.s.start()
            self.up.set()


def figures(pid):
    """Open descriptors and resident KiB of a process."""
    with open("/proc/%d/status" % pid) as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    return len(os.listdir("/proc/%d/fd" % pid)), rss


def talk(s, up, data):
    """All that comes back for one stream; None: the receiver ended meanwhile."""
    while True:
        up.wait()
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(BOUND)
        try:
            c.connect(s.sock)
            break
        except (ConnectionRefusedError, FileNotFoundError):
            c.close()
    out = b""
    try:
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
    except ConnectionError:
        pass  # refused in the middle: what was said is still to be read
    try:
        while part := c.recv(65536):
            out += part
    except ConnectionError:
        pass
    finally:
        c.close()
    return out


def deliver(s, supervisor, tally, stream):
    """As a sender does: a good request without an answer is repeated."""
    for _ in range(TRIES):
        out = talk(s, supervisor.up, stream.data)
        if not stream.valid or streams.answers(out):
            break
        with tally.lock:
            tally.unanswered += 1
    return out


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.status = collections.Counter()
        self.accepted = self.unanswered = 0
        self.wrong = []

    def add(self, stream, out):
        got = streams.answers(out)
        with self.lock:
            for status, body in got:
                self.status[status] += 1
                self.accepted += status == 200 and b'"accepted"' in body
                if any(secret.encode() in body for secret in SECRETS):
                    self.wrong.append("an answer to stream %d has a secret" % stream.n)
                if status == 200 and not stream.has_credential:
                    self.wrong.append("stream %d was accepted without a credential" % stream.n)
            if stream.valid and [status for status, _ in got] != [200]:
                self.wrong.append("stream %d is valid, answers %r" % (stream.n, got))
            self.status["none"] += not got


def run(s, supervisor, numbers, tally):
    """Send streams from several threads at a time."""
    left = iter(numbers)
    lock = threading.Lock()

    def sender():
        while True:
            with lock:
                n = next(left, None)
            if n is None or len(tally.wrong) >= ENOUGH:
                return
            stream = streams.Stream(SEED, n)
            try:
                tally.add(stream, deliver(s, supervisor, tally, stream))
            except Exception as e:
                with tally.lock:
                    tally.wrong.append("stream %d: %r" % (n, e))
    senders = [threading.Thread(target=sender) for _ in range(SENDERS)]
    for t in senders:
        t.start()
    for t in senders:
        t.join()


def settled(s, fds):
    """The receiver's figures, when its connections have ended or a few requests later."""
    for _ in range(200):
        tap.same(s.ask(event(1)), 200, "a good request")
        got = figures(s.p.pid)
        if got[0] <= fds:
            break
        select.select([], [], [], 0.02)
    return got


def check_spool(s, tally, restarts):
    """What lies in the spool is what was accepted, whole, and of streams with a credential."""
    names = s.names("new")
    for name in names:
        body = s.body_of("new", name)
        if body is None:
            raise Failure("%s is torn" % name)
    for path, data in s.everything_written().items():
        if path.startswith(s.spool) and streams.MARK.encode() in data:
            raise Failure("%s is of a stream without a credential" % path)
    # an answer may be lost when the process ends
    if restarts == 0:
        tap.same(len(names), tally.accepted + 1, "events kept (accepted, and the good one)")
    assert len(names) >= tally.accepted + 1, (len(names), tally.accepted)
    left = os.listdir(s.spool + "/tmp")  # by a writer that ended; the daemon sweeps it
    assert len(left) <= restarts * SENDERS, "left in tmp: %r" % left


@test
def mutated_streams():
    tap.note("SEED=%d STREAMS=%d" % (SEED, STREAMS))
    with Lone("streams", receiver="threads = 4") as s:
        supervisor = Supervisor(s)
        tally = Tally()
        if ONLY:
            run(s, supervisor, [int(ONLY)], tally)
            tap.note("%r, ends %r, %r" % (dict(tally.status), dict(supervisor.ends),
                                          tally.wrong))
            return
        warm = STREAMS // 5
        tap.same(s.ask(event(1)), 200, "a good request")
        idle = figures(s.p.pid)[0]
        run(s, supervisor, range(2, warm), tally)
        before, pid = settled(s, idle), s.p.pid
        run(s, supervisor, range(warm, STREAMS + 2), tally)
        after = settled(s, idle)
        supervisor.stop = True
        restarts = sum(supervisor.ends.values())
        tap.note("%d streams: answers %r, %d accepted, restarts %r, descriptors %d -> %d, "
                 "resident %d -> %d KiB" % (STREAMS, dict(tally.status), tally.accepted, dict(
                     supervisor.ends), idle, after[0], before[1], after[1]))
        tap.same(tally.wrong[:10], [], "streams that went wrong")
        tap.same(dict(supervisor.ends), {}, "how the receiver ended")
        assert tally.unanswered <= restarts * SENDERS, "%d good requests without an answer" % \
            tally.unanswered
        check_spool(s, tally, restarts)
        assert after[0] <= idle, "descriptors: %d -> %d" % (idle, after[0])
        if pid == s.p.pid:
            assert after[1] - before[1] < GROWTH, "memory: %d -> %d KiB" % (before[1], after[1])
        s.check_no_secret()


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
