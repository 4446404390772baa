#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_servers_nginx - the receiver behind nginx, as www/ configures it.

Only nginx can keep connections to the receiver, so what may go wrong on them is
tested here: bodies that nobody wants, more connections than threads, a
receiver that is killed in the middle.
"""
import json
import os
import random
import signal
import sys
import threading

import server_tests
import tap
from answers_table import event
from chain import Failure, SECRET, guid
from server_tests import SEED, Senders
from servers import MAX_BODY, Site

TESTS = []
server_tests.add(TESTS, ["nginx", "nginx-keep"], server_tests.answers,
                 server_tests.nobody_else_connects, server_tests.the_receiver_dies,
                 server_tests.slow_senders_hold_nobody_up)


def test(f):
    TESTS.append(f)
    return f


def good_ones(s, first, count, answered):
    """So many events, each answered with 200 as accepted."""
    for n in range(first, first + count):
        status, _, body = s.post(event(n))
        if status != 200:
            raise Failure("event %d: %r %r" % (n, status, body[:200]))
        answered.append(json.loads(body)["id"])


@test
def bodies_that_nobody_wants():
    """unauthenticated, 0 to 10 MiB, on kept connections: a good request never hears of them"""
    tap.note("SEED=%d" % SEED)
    sizes = [0, 1, 1000, 16384, 70000, 1 << 20, MAX_BODY - 1, MAX_BODY]
    junk, answers, accepted = b"x" * MAX_BODY, [], []

    def strangers(s, seed):
        rng = random.Random(seed)
        for size in rng.sample(sizes, len(sizes)) + [rng.randrange(MAX_BODY)]:
            answers.append(s.post(junk[:size], secret=rng.choice([None, SECRET + "x"]),
                                  chunked=rng.random() < 0.3)[0])
    with Site("nginx-keep", threads=4) as s:
        senders = Senders()
        for i in range(6):
            senders.start(strangers, s, SEED + i)
        for i in range(4):
            senders.start(good_ones, s, 1000 * (i + 1), 60, accepted)
        senders.join()
        tap.same(answers, [401] * (6 * (len(sizes) + 1)), "answers to strangers")
        tap.same(len(s.names("new")), 240)
        tap.same(len(set(accepted)), 240)
        tap.same(s.names("rejected"), [])


def sockets_of(pid):
    """How many sockets a process has open."""
    folder, n = "/proc/%d/fd" % pid, 0
    for fd in os.listdir(folder):
        try:
            n += os.readlink(os.path.join(folder, fd)).startswith("socket:")
        except OSError:
            continue
    return n


@test
def more_kept_connections_than_threads():
    """64 senders at a time, 4 threads: all are answered, again and again"""
    with Site("nginx-keep", threads=4) as s:
        kept = 0
        accepted = []
        for turn in range(20):
            senders, gate = Senders(), threading.Barrier(64)

            def one(n):
                c = s.connect()
                gate.wait()
                body = event(n)
                c.sendall(("POST /arken/acme HTTP/1.1\r\nHost: webhook.example.com\r\n"
                           "Connection: close\r\nX-Arken-Secret: %s\r\nContent-Type: "
                           "application/json\r\nContent-Length: %d\r\n\r\n" % (
                               SECRET, len(body))).encode() + body)
                accepted.append(c.recv(65536).split(b" ")[1])
                c.close()
            for i in range(64):
                senders.start(one, turn * 64 + i + 1)
            senders.join()
            kept = max(kept, sockets_of(s.fcgi[0].pid))
            if turn >= 2 and kept > 16:
                break
        tap.note("%d sockets open in the receiver after %d turns" % (kept, turn + 1))
        tap.same(set(accepted), {b"200"})
        tap.same(len(s.names("new")), len(accepted))
        if kept <= 8:
            raise Failure("nginx kept no more than %d connections" % kept)


def killed_under_load(way):
    """killed in the middle of requests and started again: every request is answered 200"""
    with Site(way, threads=4) as s:
        accepted, senders = [], Senders()
        for i in range(8):
            senders.start(good_ones, s, 1000 * (i + 1), 50, accepted)
        for kill in range(6):
            while len(accepted) < 50 * kill + 20 and not senders.errors:
                s.web.pause()
            s.fcgi[0].end(signal.SIGKILL)
            s.start_receiver()
        senders.join()
        tap.same(sorted(accepted), sorted(guid(1000 * (i + 1) + n) for i in range(8)
                                          for n in range(50)))
        tap.same(sorted(n.split(".")[1] for n in s.names("new")), sorted(accepted))


server_tests.add(TESTS, ["nginx", "nginx-keep"], killed_under_load)

if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
