#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_coalesce - many events of one record make few calls, and every event its own end."""
import json
import os
import sys

import tap
from chain import Chain, DAEMON_USER

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def all_done(c, events):
    """Each of them is in done, with a story of its own that ends there, and nothing is left."""
    done = set(c.names("done"))
    for e in events:
        assert name_of(e) in done, e
        c.wait_story(name_of(e), " step=done event=%s " % name_of(e))
        ends = [s for s in c.story(name_of(e)) if
                " step=done event=%s " % name_of(e) in s]
        tap.same(len(ends), 1, "ends of %s" % name_of(e))
    c.wait_no_notes()


def hook_of(c, script):
    """The account's hook is that script; it works in a folder of its own."""
    c.folder("crm", DAEMON_USER)
    path = c.write("crm/hook", "#!/bin/sh\nset -eu\ncd %s/crm\n%s\n" % (c.dir, script), 0o755)
    c.configure(account="hook = " + path)


def many_of_one(c, n):
    """n updates of one client that wait, the stamps of their files being in order."""
    first = c.sandbox.emit("Client.Update")[0]
    events = [first] + c.sandbox.emit("Client.Update", client=first["clientHashId"],
                                      count=n - 1)
    c.sandbox.quiet()
    tap.same(c.counts()["new"], n)
    return events


@test
def waiting_events_make_one_call():
    """500 updates of one client that wait when the daemon starts, and four may run"""
    with Chain("one-call", daemon="concurrency = 4", daemon_starts=False) as c:
        events = many_of_one(c, 500)
        c.start_daemon()
        c.wait_state(done=500)
        tap.same(c.sandbox.stats()["api_client"], 1, "calls")
        tap.same(c.sandbox.stats()["tokens"], 1, "tokens")
        all_done(c, events)
        c.check_stored(events[0])


@test
def each_is_handed_over():
    """one call for 50 of them, and 50 hand-overs, each with its own event and the record"""
    with Chain("handed", daemon="concurrency = 4", daemon_starts=False) as c:
        hook_of(c, 'echo "$ARKEN_EVENT_ID $(grep -c hashId "$ARKEN_RECORD")" >> handed')
        events = many_of_one(c, 50)
        c.start_daemon()
        c.wait_state(done=50)
        tap.same(c.sandbox.stats()["api_client"], 1, "calls")
        handed = c.read(c.dir + "/crm/handed").decode().splitlines()
        tap.same(sorted(handed), sorted(e["eventId"] + " 1" for e in events), "hand-overs")
        all_done(c, events)


@test
def also_those_that_are_not_in_memory():
    """room for ten of 200: those that were not looked at when the call was made are served too"""
    with Chain("no-room", daemon="concurrency = 4\nactive_limit = 10", daemon_starts=False) as c:
        events = many_of_one(c, 200)
        c.start_daemon()
        c.wait_state(done=200)
        # A file whose stamp has no fraction of a second may be younger: a call more, perhaps.
        calls = c.sandbox.stats()["api_client"]
        assert 1 <= calls <= 3, calls
        all_done(c, events)
        c.check_stored(events[0])


@test
def what_comes_after_the_call_is_asked_for():
    """one event after the other: each has its own call, and the newest record stays"""
    with Chain("after", daemon="concurrency = 4") as c:
        e = c.sandbox.emit("Client.Update")[0]
        for n in range(1, 11):
            c.wait_state(done=n)
            c.check_stored(e)  # which makes a call of its own
            tap.same(c.sandbox.stats()["api_client"], 2 * n, "calls")
            c.sandbox.admin("POST", "/admin/emit?kind=Client.Update&client=" +
                            e["clientHashId"])


@test
def an_operator_gets_a_call():
    """what is tried again by hand is asked for anew, though a call for its record is remembered"""
    with Chain("by-hand", daemon="tries = 1") as c:
        c.sandbox.fault(on="api", match="/client", do_="status", status=400)
        e = c.sandbox.emit("Client.Update")[0]
        c.wait_state(failed=1)
        c.ctl("retry", e["eventId"])
        c.wait_state(done=1, failed=0)
        tap.same(c.sandbox.stats()["api_client"], 2, "calls")
        all_done(c, [e])
        c.check_stored(e)


@test
def those_that_come_meanwhile_share_the_next():
    """a call under way does not serve what came after it was made; one more does"""
    with Chain("meanwhile") as c:
        c.sandbox.fault(on="api", match="/client", do_="delay", ms=1500)
        first = c.sandbox.emit("Client.Update")[0]
        c.sandbox.wait("api_client=1")
        later = c.sandbox.emit("Client.Update", client=first["clientHashId"], count=40)
        c.sandbox.quiet()
        c.wait_state(done=41)
        calls = c.sandbox.stats()["api_client"]
        assert 2 <= calls <= 3, calls
        all_done(c, [first] + later)
        c.check_stored(later[-1])


@test
def documents_are_shared_too():
    """uploads of one document that wait: its details are asked for once, it is fetched once"""
    with Chain("uploads", daemon_starts=False) as c:
        first = c.sandbox.emit("FileStore.Upload")[0]
        events = [first] + c.sandbox.emit("FileStore.Upload",
                                          document=first["documentHashId"], count=19)
        c.sandbox.quiet()
        c.start_daemon()
        c.wait_state(done=20)
        st = c.sandbox.stats()
        tap.same((st["api_filestore"], st["document_requests"]), (1, 1), "calls, downloads")
        all_done(c, events)
        c.check_stored(events[-1])


@test
def a_failure_is_shared_too():
    """the record's call fails until it is given up: not once for each of its events"""
    with Chain("shared-failure", daemon="tries = 3\nretry_min = 100ms\nretry_max = 200ms",
               daemon_starts=False) as c:
        first = c.sandbox.emit("Client.Update")[0]
        events = [first] + c.sandbox.emit("Client.Update", client=first["clientHashId"],
                                          count=99)
        other = c.sandbox.emit("User.Update")[0]
        c.sandbox.quiet()
        c.sandbox.fault(on="api", match="/client", do_="status", status=500, times=-1)
        c.start_daemon()
        c.wait_state(failed=100, done=1)
        calls = c.sandbox.stats()["api_client"]
        # three for those there from the first; who was looked at later joins later
        assert 3 <= calls <= 5, calls
        for e in events:
            assert "given up after 3 tries" in c.retry(name_of(e))["reason"]
        c.sandbox.no_faults()
        c.ctl("retry", "ALL")
        c.wait_state(done=101, failed=0)
        all_done(c, events + [other])


@test
def restarts_lose_no_event():
    """those that waited for another one's call are tried after a restart"""
    with Chain("shared-restart") as c:
        c.sandbox.fault(on="api", match="/client", do_="delay", ms=20000)
        first = c.sandbox.emit("Client.Update")[0]
        c.sandbox.wait("api_client=1")
        events = [first] + c.sandbox.emit("Client.Update", client=first["clientHashId"],
                                          count=30)
        c.sandbox.quiet()
        c.stop_daemon()
        tap.same(os.listdir(c.spool + "/retry"), [])
        c.sandbox.no_faults()
        c.start_daemon()
        c.wait_state(done=31)
        all_done(c, events)
        status, text = c.sandbox.record(first)
        tap.same((status, json.loads(text)["hashId"]), (200, first["clientHashId"]))


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
