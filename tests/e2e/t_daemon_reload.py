#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_daemon_reload - SIGHUP: spoold takes a new configuration, keeps the old one over a broken."""
import os
import signal
import sys

import tap
from chain import Chain, wait_until

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def change(c, old, new):
    with open(c.conf) as f:
        text = f.read()
    assert old in text, old
    with open(c.conf, "w") as f:
        f.write(text.replace(old, new))


def reload(c, said):
    n = c.daemon.said().count(said)
    c.daemon.p.send_signal(signal.SIGHUP)
    wait_until(lambda: c.daemon.said().count(said) > n, [c.daemon.log], said)


@test
def a_new_configuration():
    """a hook that was added is run for the next event; the process is the same"""
    with Chain("hup") as c:
        hook = c.write("etc/hook", "#!/bin/sh\necho ran >&2\nexit 65\n", 0o755)
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        change(c, "document_hosts =", "hook = %s\ndocument_hosts =" % hook)
        reload(c, "what=reloaded")
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1, failed=1)
        change(c, "hook = %s\n" % hook, "")
        reload(c, "what=reloaded")
        c.ctl("retry", "ALL")
        c.wait_state(done=2, failed=0)
        assert c.daemon.alive()


@test
def a_broken_one():
    """a mistake is named with file and line, and the old configuration stays"""
    with Chain("hupbad") as c:
        c.sandbox.emit("FileStore.Upload")
        c.wait_state(done=1)    # the receiver runs, too, with the file as it was
        change(c, "document_hosts =", "no_such_key = 1\ndocument_hosts =")
        reload(c, "not reloaded, the old configuration stays")
        assert c.conf + ":" in c.daemon.said() and "no_such_key" in c.daemon.said()
        c.sandbox.emit("FileStore.Upload")
        c.wait_state(done=2)
        change(c, "no_such_key = 1\n", "")
        reload(c, "what=reloaded")
        c.sandbox.emit("FileStore.Upload")
        c.wait_state(done=3)


@test
def one_that_cannot_be_served():
    """a store that is not to be had: the configuration before it is served again"""
    with Chain("hupstore") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        c.write("etc/file", "")
        with open(c.conf) as f:
            line = [x for x in f if x.startswith("store")]
        new = "store = %s/etc/file/x\n" % c.dir
        change(c, line[0], new)
        reload(c, "not reloaded, the old configuration stays")
        c.sandbox.emit("Client.Update")
        c.wait_state(done=2)


@test
def what_waited_for_it():
    """a hook that says 78 is left alone until a reload: then its events go on, uncounted"""
    with Chain("hup78") as c:
        hook = c.write("etc/hook", "#!/bin/sh\nexit 78\n", 0o755)
        change(c, "document_hosts =", "hook = %s\ndocument_hosts =" % hook)
        reload(c, "what=reloaded")
        c.sandbox.emit("Client.Update", count=3)
        wait_until(lambda: "hook:acme" in c.ctl("targets"), [c.spool + "/targets"], "the pause")
        tap.same(c.counts()["done"], 0)
        c.write("etc/hook", "#!/bin/sh\nexit 0\n", 0o755)
        reload(c, "what=reloaded")
        c.wait_state(done=3, failed=0)
        assert "hook:acme" not in c.ctl("targets")


@test
def in_the_middle_of_work():
    """twenty reloads while 150 events are worked on: each is done once, none has failed"""
    with Chain("hupwork", daemon="concurrency = 16") as c:
        c.sandbox.fault(on="api", match="", do_="delay", ms=20, times=-1)
        events = c.sandbox.emit("Client.Create", count=150)
        for i in range(20):
            reload(c, "what=reloaded")
            wait_until(lambda: c.counts()["done"] >= 7 * i, [c.box("done")], "work to go on")
        c.wait_state(done=150)
        c.wait_no_notes()
        tap.same(len(set(c.names("done"))), len(events))
        assert "what=interrupted" not in c.daemon.said()
        tap.same(len(os.listdir("/proc/%d/task" % c.daemon.pid)) < 40, True, "threads")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
