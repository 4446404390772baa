#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_many - a long queue: the daemon starts in seconds, and its memory stays bounded.

ARKEN_MANY_EVENTS: how many wait (5,000; make many: 100,000, which takes some minutes).
"""
import hashlib
import json
import os
import re
import sys
import time

import tap
from chain import Chain, Failure, GROUP, IS_ROOT, RECEIVER_USER, guid, wait_until

EVENTS = int(os.environ.get("ARKEN_MANY_EVENTS", "5000"))
START = 30.0  # seconds to the first event that is done, on a busy machine
RECORD = "many%04d"
RECORDS = 500  # that the events are about
MEMORY = 64 << 10  # KiB


def pattern(c):
    """An event as the receiver wrote it: header and body, to be made many of."""
    body = {"eventId": guid(0), "eventType": "Client.Update", "clientHashId": RECORD % 0,
            "accountHashId": c.sandbox.account}
    tap.same(c.post(json.dumps(body).encode())[0], 200)
    name = c.names("new")[0]
    with open(os.path.join(c.box("new"), name), "rb") as f:
        head, _, body = f.read().partition(b"\n\n")
    os.unlink(os.path.join(c.box("new"), name))
    return name, head, body


def lay(c, n):
    """n events in new, number 1 the oldest."""
    name, head, body = pattern(c)
    old, digest = guid(0).encode(), hashlib.sha256(body).hexdigest().encode()
    for i in range(1, n + 1):
        new = guid(i).encode()
        record = (RECORD % (i % RECORDS)).encode()
        text = body.replace(old, new).replace((RECORD % 0).encode(), record)
        top = head.replace(old, new).replace((RECORD % 0).encode(), record).replace(digest, hashlib.sha256(text).hexdigest().encode())
        path = os.path.join(c.box("new"), name.replace(guid(0), guid(i)))
        with open(path, "wb") as f:
            f.write(top + b"\n\n" + text)
            os.fchmod(f.fileno(), 0o640)
            if IS_ROOT:
                os.fchown(f.fileno(), RECEIVER_USER, GROUP)


def status(c, key):
    with open("/proc/%d/status" % c.daemon.pid) as f:
        return int(re.search(r"^%s:\s+(\d+)" % key, f.read(), re.M).group(1))


def many():
    """the oldest first, in bounded memory, from the first seconds on, and every one done"""
    with Chain("many", daemon="active_limit = 2000\nconcurrency = 16",
               daemon_starts=False) as c:
        lay(c, EVENTS)
        tap.same(c.counts()["new"], EVENTS)
        begun = time.monotonic()
        c.start_daemon()
        started = time.monotonic() - begun
        wait_until(lambda: os.listdir(c.box("done")), [c.box("done")], "the first to be done",
                   START)
        first = time.monotonic() - begun
        c.wait_state(done=EVENTS, seconds=max(540, EVENTS // 20))
        whole = time.monotonic() - begun
        tap.note("%d events: started after %.1f s, first done after %.1f s, all after %.1f s, "
                 "%d KiB at most" % (EVENTS, started, first, whole, status(c, "VmHWM")))
        assert first < START, first
        assert status(c, "VmHWM") < MEMORY, status(c, "VmHWM")
        # taken in their order, but for those of one moment of the file system's clock
        taken = [int(m.group(1), 16) for m in re.finditer(
            r" step=taken event=acme\.[0-9a-f-]{24}([0-9a-f]{12})\.", "".join(c.story()))]
        tap.same(sorted(taken), list(range(1, EVENTS + 1)), "taken")
        early = sum(1 for at, i in enumerate(taken) if abs(i - 1 - at) > EVENTS // 20)
        if early:
            raise Failure("%d of %d events were taken out of their turn" % (early, EVENTS))
        c.wait_no_notes()


def told_done(c):
    try:
        with open(os.path.join(c.spool, "status.json")) as f:
            return json.load(f)["today"]["done"] == 1
    except FileNotFoundError:
        return False


def cpu(c):
    """Seconds that the daemon has worked."""
    with open("/proc/%d/stat" % c.daemon.pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def begun_with(n):
    """
    n wait: from the start to the first call, seconds and those of them that the daemon worked;
    and KiB at most once memory is full.
    """
    with Chain("begin", daemon_starts=False) as c:
        lay(c, n)
        # what comes after the first call is not what is measured
        c.sandbox.fault(on="api", match="/client", do_="delay", ms=600000, times=-1)
        begun = time.monotonic()
        c.start_daemon(wait=False)
        c.sandbox.wait("api_client=1")
        first, worked = time.monotonic() - begun, cpu(c)
        taken = min(n, 20000)  # the default of active_limit
        wait_until(lambda: len(os.listdir(c.box("cur"))) == taken, [c.box("cur")],
                   "%d in memory" % taken)
        memory = status(c, "VmHWM")
        c.daemon.end(9)
        c.daemon = None
        return first, worked, memory


def begins_at_once():
    """a long queue is no reason to wait for the first call, nor for much memory"""
    for n in 1, 1000, EVENTS:
        first, worked, memory = begun_with(n)
        tap.note("%d events: first call after %.2f s, of which the daemon worked %.2f s, "
                 "%d KiB at most" % (n, first, worked, memory))
        # on a machine that has nothing else to do there is little difference
        assert worked < 1 and first < START, (n, first, worked)
        assert memory < MEMORY, memory


def idle():
    """nothing to do: no wake-ups but the timers' own"""
    with Chain("idle", daemon="rescan = 1h\nstatus_every = 1s") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        c.wait_no_notes()
        c.daemon.wait_said("what=reconciled")  # some time after the start
        wait_until(lambda: told_done(c), [c.spool], "the last status.json for a minute")
        before = status(c, "voluntary_ctxt_switches")
        c.ctl("ls", "done")
        # a window of some seconds in which nothing happens to the folder that is watched
        try:
            wait_until(lambda: False, [c.box("new")], "nothing", 6.0)
        except Failure:
            pass
        slept = status(c, "voluntary_ctxt_switches") - before
        tap.note("%d wake-ups in 6 s" % slept)
        assert slept <= 3, slept


if __name__ == "__main__":
    tap.main([idle, begins_at_once, many], sys.argv[1:])
