#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_alarm - alarms of the whole chain: each begins once and ends once, restarts included."""
import json
import os
import signal
import sys

import chain
import tap
from chain import Chain, wait_until

TESTS = []
FIELDS = {"version", "alarm", "state", "since", "time", "text", "todo", "host", "spool"}


def test(f):
    TESTS.append(f)
    return f


class Bell:
    """alarm_command: a program that keeps what it is told, a file a message."""

    def __init__(self, c):
        self.c = c
        self.dir = c.folder("bell", chain.DAEMON_USER)
        self.script = c.write("etc/bell", "#!/bin/sh\ncat > %s/.part && exec mv %s/.part "
                              "%s/$(date +%%s%%N)\n" % ((self.dir,) * 3), 0o755)

    def messages(self):
        out = []
        for name in sorted(n for n in os.listdir(self.dir) if n[0] != "."):
            with open(os.path.join(self.dir, name)) as f:
                text = f.read()
            m = json.loads(text)
            tap.same(set(m), FIELDS, "the members of a message")
            assert text.endswith("}\n") and text.count("\n") == 1, text
            out.append(m)
        return out

    def told(self):
        return [(m["alarm"], m["state"]) for m in self.messages()]

    def wait(self, *want):
        """Until all that was told is this, in any order; of one alarm begin comes first."""
        wait_until(lambda: len(self.told()) >= len(want), [self.dir],
                   lambda: "%r; it is %r" % (want, self.told()), 30)
        tap.same(sorted(self.told()), sorted(want), "what was told")
        for key in {k for k, _ in want}:
            states = [s for k, s in self.told() if k == key]
            assert states == ["begin", "end"][:len(states)] or len(states) > 2, states


def alarm_chain(name, daemon="", **kw):
    """A chain whose alarm_command is a bell, looked at every second."""
    c = Chain(name, daemon_starts=False, daemon="rescan = 1s\n" + daemon, **kw)
    return c


def ring(c, **extra):
    bell = Bell(c)
    c.configure(daemon=c.extra["daemon"] + "\nalarm_command = %s\n" % bell.script, **extra)
    c.start_daemon()
    return bell


def scanned(c, times=2):
    """So many looks later: each look removes what is asked for."""
    ask = os.path.join(c.spool, "ask")
    for i in range(times):
        c.ctl("flush")
        wait_until(lambda: not os.listdir(ask), [ask], "an empty ask/")


@test
def failed_and_rejected():
    """begin with the first, end with the last; restarts and kills tell nothing again"""
    with alarm_chain("alarmbox") as c:
        bell = ring(c)
        c.sandbox.fault(on="api", match="/client", do_="status", status=400,
                        times=1)
        event, = c.sandbox.emit("Client.Update")
        c.wait_state(failed=1)
        bell.wait(("failed", "begin"))
        m, = bell.messages()
        tap.same(m["spool"], c.spool, "the spool of a message")
        assert m["text"].startswith("1 event "), m
        tap.same(c.post(b"[1")[0], 400, "a body that is no JSON")
        bell.wait(("failed", "begin"), ("rejected", "begin"))
        c.stop_daemon()
        c.start_daemon()
        scanned(c)
        c.stop_daemon(signal.SIGKILL)
        c.start_daemon()
        scanned(c)
        c.daemon.p.send_signal(signal.SIGHUP)
        c.daemon.wait_said("what=reloaded")
        scanned(c)
        bell.wait(("failed", "begin"), ("rejected", "begin"))
        c.ctl("retry", "ALL")
        c.wait_state(done=1, failed=0, rejected=1)
        bell.wait(("failed", "begin"), ("rejected", "begin"), ("failed", "end"))
        tap.same(c.daemon.said().count("state=begin"), 0, "begins since the last start")


@test
def an_outage():
    """an API that is down for longer than target_limit, and up again"""
    with alarm_chain("alarmdown", "target_limit = 1s\n") as c:
        bell = ring(c)
        c.sandbox.fault(on="api", match="/client", do_="status", status=503, times=-1)
        c.sandbox.emit("Client.Update")
        bell.wait(("target:api:acme", "begin"))
        c.stop_daemon()
        c.start_daemon()
        scanned(c)
        c.sandbox.no_faults()
        c.wait_state(done=1)
        bell.wait(("target:api:acme", "begin"), ("target:api:acme", "end"))


@test
def a_hook_that_needs_somebody():
    """exit status 78 is an alarm at once; what the hook wrote is not told"""
    with alarm_chain("alarmhook") as c:
        hook = c.write("etc/hook", "#!/bin/sh\necho Jane Doe; exit 78\n", 0o755)
        bell = ring(c, account="hook = %s" % hook)
        c.sandbox.emit("Client.Update")
        bell.wait(("target:hook:acme", "begin"))
        m, = bell.messages()
        assert "Jane" not in json.dumps(m) and "78" in m["text"], m
        c.write("etc/hook", "#!/bin/sh\nexit 0\n", 0o755)
        c.ctl("resume", "hook:acme")
        c.wait_state(done=1)
        bell.wait(("target:hook:acme", "begin"), ("target:hook:acme", "end"))


@test
def silence_refusals_and_certificates():
    """an account that is silent, a burst of 401, a certificate that ends too soon"""
    with alarm_chain("alarmmany", "refused_limit = 3\nrefused_window = 1s\n"
                     "certificate_limit = 3650d\n", account="silence_limit = 2s") as c:
        bell = ring(c)
        wait_until(lambda: ("silence:acme", "begin") in bell.told(), [bell.dir],
                   lambda: "silence in %r" % bell.told(), 30)
        for _ in range(5):
            tap.same(c.post(b"{}", secret="wrong")[0], 401, "a wrong secret")
        wait_until(lambda: ("refused", "end") in bell.told(), [bell.dir],
                   lambda: "the end of refused in %r" % bell.told(), 30)
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        wait_until(lambda: ("silence:acme", "end") in bell.told(), [bell.dir],
                   lambda: "the end of silence in %r" % bell.told(), 30)
        said = bell.told()
        tap.same(said.count(("refused", "begin")), said.count(("refused", "end")), "refused")
        hosts = [k for k, s in said if k.startswith("certificate:") and s == "begin"]
        assert hosts and len(hosts) == len(set(hosts)), said
        assert not [k for k, s in said if k.startswith("certificate:") and s == "end"], said


@test
def a_command_that_fails():
    """is logged once, and stops nothing"""
    with alarm_chain("alarmbad") as c:
        script = c.write("etc/bad", "#!/bin/sh\necho no mail today >&2\nexit 9\n", 0o755)
        c.configure(daemon=c.extra["daemon"] + "\nalarm_command = %s\n" % script)
        c.start_daemon()
        c.sandbox.fault(on="api", match="/client", do_="status", status=400,
                        times=1)
        c.sandbox.emit("Client.Update")
        c.wait_state(failed=1)
        c.daemon.wait_said('what="alarm_command failed" alarm=failed how="exit status" status=9')
        assert "no mail today" in c.daemon.said()
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1, failed=1)
        scanned(c)
        tap.same(c.daemon.said().count("alarm_command failed"), 1, "failures logged")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
