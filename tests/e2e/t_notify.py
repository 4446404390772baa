#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_notify - what spoold tells the service manager, heard on a real socket."""
import os
import select
import signal
import socket
import sys
import time

import chain
import tap
from chain import Chain

TESTS = []


def test(f):
    TESTS.append(f)
    return f


class Manager:
    def __init__(self, name):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(name)
        if name[0] == "/":
            os.chmod(name, 0o777)

    def hear(self, seconds=30):
        """The next message as a dict."""
        if not select.select([self.s], [], [], seconds)[0]:
            raise chain.Failure("spoold told nothing for %d s" % seconds)
        return dict(line.split("=", 1) for line in self.s.recv(4096).decode().split("\n"))

    def hear_of(self, key):
        while True:
            m = self.hear()
            if key in m:
                return m


def start(c, name, **env):
    c.daemon = chain.Process("spoold", [chain.SPOOLD, "-c", c.conf], c.dir + "/spoold.log",
                             chain.DAEMON_USER, env=dict(env, NOTIFY_SOCKET=name))


@test
def a_life():
    """ready when it serves, reloading and ready again, a mistake too, stopping at the end"""
    with Chain("notify", receiver=None, daemon_starts=False) as c:
        name = c.dir + "/notify"
        m = Manager(name)
        start(c, name)
        first = m.hear()
        tap.same(first["READY"], "1", "the first message")
        assert "what=started" in c.daemon.said()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        c.daemon.p.send_signal(signal.SIGHUP)
        again = m.hear_of("RELOADING")
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert before <= int(again["MONOTONIC_USEC"]) <= now, (before, again, now)
        tap.same(m.hear_of("READY")["READY"], "1", "after a reload")
        with open(c.conf, "a") as f:
            f.write("[nonsense]\n")
        c.daemon.p.send_signal(signal.SIGHUP)
        m.hear_of("RELOADING")
        assert "mistake" in m.hear_of("READY")["STATUS"]
        c.daemon.p.send_signal(signal.SIGTERM)
        tap.same(m.hear_of("STOPPING")["STOPPING"], "1", "at the end")


@test
def signs_of_life():
    """an idle daemon tells an abstract name that it lives, twice as often as wanted"""
    with Chain("notifydog", receiver=None, daemon_starts=False) as c:
        name = "\0arken-notify-%d" % os.getpid()
        m = Manager(name)
        start(c, "@" + name[1:], WATCHDOG_USEC="1000000")
        m.hear_of("READY")
        m.hear_of("WATCHDOG")
        times = []
        while len(times) < 4:
            m.hear_of("WATCHDOG")
            times.append(time.monotonic())
        took = times[-1] - times[0]
        assert took >= 1.2, "three pauses of half a second took %.2f s" % took


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
