#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_token - one token for all who need one, over restarts and processes, and no storm without."""
import os
import stat
import sys

import tap
from chain import Chain, DAEMON_USER, Process, SPOOLD, SPOOLCTL, wait_until

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


@test
def restarts_and_kills_keep_it():
    """one request, whatever the daemon goes through; and nobody else reads the file"""
    with Chain("kept") as c:
        for n in range(1, 7):
            c.sandbox.emit("Client.Update", count=2)
            c.wait_state(done=2 * n)
            c.stop_daemon(9 if n % 2 else 15)
            c.start_daemon()
        tap.same(c.sandbox.stats()["tokens"], 1, "tokens")
        path = c.dir + "/var/state/token/acme"
        tap.same(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode of the token's file")
        tap.same(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) & 0o077, 0, "its folder")


@test
def many_daemons_ask_once():
    """four daemons of four queues share their state, and begin at the same moment"""
    with Chain("shared", daemon_starts=False) as c:
        with open(c.conf) as f:
            text = f.read()
        confs, others = [], []
        for i in range(3):
            confs.append(c.write("etc/other%d.conf" % i, text.replace(
                "%s/var/spool" % c.dir, "%s/var/spool%d" % (c.dir, i))))
            Process("spoolctl", [SPOOLCTL, "-c", confs[i], "make-spool"],
                    c.dir + "/ctl.log", DAEMON_USER).p.wait(30)
        events = c.sandbox.emit("Client.Update", count=4)
        c.sandbox.quiet()
        for i, e in enumerate(events[1:]):  # three of them to the other queues
            os.rename(os.path.join(c.box("new"), name_of(e)),
                      "%s/var/spool%d/new/%s" % (c.dir, i, name_of(e)))
        c.sandbox.fault(on="token", do_="delay", ms=700)
        try:
            for conf in confs:
                others.append(Process("spoold", [SPOOLD, "-c", conf], conf + ".log",
                                      DAEMON_USER))
            c.start_daemon()
            c.wait_state(done=1)
            for i in range(3):
                done = "%s/var/spool%d/done/cur" % (c.dir, i)
                wait_until(lambda d=done: len(os.listdir(d)) == 1, [done], done)
        finally:
            for p in others:
                tap.same(p.end(), 0, "status of another daemon")
        tap.same(c.sandbox.stats()["tokens"], 1, "tokens")


@test
def renewed_before_it_expires():
    """of short life: a new one in time, no call with an old one"""
    with Chain("renewed", sandbox=["--token-life", "4"]) as c:
        n = 0
        while c.sandbox.stats()["tokens"] < 3:
            c.sandbox.emit("Client.Update")
            n += 1
            c.wait_state(done=n)
        st = c.sandbox.stats()
        tap.same((st["api_401"], st["tokens"]), (0, 3), "401s, tokens")


@test
def credentials_mended():
    """wrong ones are used once; mended, the events go on without a restart"""
    with Chain("mended", daemon="rescan = 1s", account="reconcile = off") as c:
        secret = c.read(c.dir + "/etc/acme.client").decode()
        c.write("etc/acme.client", "wrong\n", 0o600, DAEMON_USER)
        c.sandbox.emit("Client.Update", count=20)
        c.sandbox.quiet()
        c.daemon.wait_said("our credentials are refused")
        c.sandbox.emit("User.Update", count=20)
        c.sandbox.quiet()
        tap.same(c.sandbox.stats()["token_refused"], 1, "requests with wrong credentials")
        tap.same(c.counts()["failed"], 0)
        c.write("etc/acme.client", secret, 0o600, DAEMON_USER)
        c.wait_state(done=40, failed=0)
        st = c.sandbox.stats()
        tap.same((st["tokens"] - st["token_refused"], st["token_refused"]), (1, 1), "tokens")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
