#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_hostile - idle, slow and deaf peers on the receiver's socket: everybody else is answered.

Peers that no web server would be.  What takes a minute is shown with a clock
that jumps, in tests/unit/t_serve.c.
"""
import random
import resource
import sys
import threading
import time

import fcgi_client
import tap
from chain import Failure, WAIT
from lone import Lone, PATH, event, good_params

TESTS = []
SERVE_CONNECTIONS, SERVE_STALL = 1024, 30  # fcgi/serve.h
SOON = 10  # seconds within which a good request is answered whatever else goes on


def test(f):
    TESTS.append(f)
    return f


def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


def all_good(s, numbers):
    """Good requests, each on a connection of its own: the longest that one took."""
    longest = 0.0
    for n in numbers:
        start = time.monotonic()
        tap.same(s.ask(event(n)), 200, "event %d" % n)
        longest = max(longest, time.monotonic() - start)
    if longest > SOON:
        raise Failure("a good request took %.1f s" % longest)
    return longest


def refused(c):
    """A request on a kept connection that costs no disk."""
    c.request(fcgi_client.params(PATH, 0), b"")
    return c.answer()[0]


@test
def a_thousand_idle_connections():
    """kept after a request, or silent from the start; then more than there are places for"""
    many_descriptors()
    with Lone("idle", receiver="threads = 2") as s:
        s.start()
        kept = [fcgi_client.Connection(s.sock) for _ in range(700)]
        for c in kept:
            tap.same(refused(c), 401)
        idle = kept + [fcgi_client.Connection(s.sock) for _ in range(300)]
        took = all_good(s, range(1, 51))
        for c in random.Random(1).sample(kept, 100):  # they are still good for a request
            tap.same(refused(c), 401, "on a kept connection")
        workers = [threading.Thread(target=all_good, args=(s, range(100 * i, 100 * i + 20)))
                   for i in range(1, 9)]
        for t in workers:
            t.start()
        for t in workers:
            t.join()
        more = [fcgi_client.Connection(s.sock) for _ in range(SERVE_CONNECTIONS)]
        took2 = all_good(s, range(2000, 2010))
        tap.note("longest answer %.2f s, with no place left %.2f s" % (took, took2))
        tap.same(len(s.names("new")), 50 + 8 * 20 + 10, "events")
        for c in idle + more:
            c.close()


def half(n, cut):
    """The first bytes of a good request."""
    body = event(n)
    whole = fcgi_client.record(fcgi_client.BEGIN, b"\0\1\0\0\0\0\0\0") + \
        fcgi_client.record(fcgi_client.PARAMS, fcgi_client.pairs(good_params(body))) + \
        fcgi_client.record(fcgi_client.PARAMS, b"") + fcgi_client.record(
            fcgi_client.STDIN, body) + fcgi_client.record(fcgi_client.STDIN, b"")
    return whole[:max(1, int(len(whole) * cut))]


@test
def half_a_request():
    """many peers stop anywhere in a request; no thread waits for them"""
    with Lone("half", receiver="threads = 2") as s:
        s.start()
        peers = []
        for i in range(200):
            c = fcgi_client.Connection(s.sock)
            c.s.sendall(half(5000 + i, (i + 1) / 202))
            peers.append(c)
        took = all_good(s, range(1, 30))
        tap.note("longest answer %.2f s" % took)
        for c in peers:
            c.close()
        all_good(s, range(30, 40))
        tap.same(len(s.names("new")), 39, "events")


@test
def large_bodies_that_stall():
    """more of a body came than is kept ahead: a thread has it, and gives it up in time"""
    with Lone("stall", receiver="threads = 2") as s:
        s.start()
        body = event(1, fill="f" * 200000)
        peers = []
        for _ in range(2):
            c = fcgi_client.Connection(s.sock)
            c.request(good_params(body), body[:100000], end=False)
            peers.append(c)
        start = time.monotonic()
        # It waits for a turn, briefly; then it is told to come again.
        while s.ask(event(2), seconds=SERVE_STALL + WAIT) == 503:
            if time.monotonic() - start > SERVE_STALL + 10:
                break
        took = time.monotonic() - start
        if took > SERVE_STALL + 10:
            raise Failure("a good request waited %.0f s for peers that stalled" % took)
        tap.note("both threads had a stalled peer; another request was answered after %.1f s"
                 % took)
        tap.same([c.answer()[0] for c in peers], [400, 400], "the answers of those that stalled")
        all_good(s, range(3, 10))
        tap.same(s.names("new") != [], True)
        tap.same(len(s.names("new")), 8, "events")


@test
def answers_that_nobody_reads():
    """requests upon requests, and not one answer is read"""
    with Lone("deaf", receiver="threads = 2") as s:
        s.start()
        peers = []
        for i in range(8):
            c = fcgi_client.Connection(s.sock, seconds=0.5)
            try:
                for _ in range(5000):
                    c.request(fcgi_client.params(PATH, 0), b"")
            except OSError:
                pass  # it was closed, or takes no more
            peers.append(c)
        took = all_good(s, range(1, 20))
        tap.note("longest answer %.2f s" % took)
        for c in peers:
            c.close()
        tap.same(len(s.names("new")), 19, "events")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
