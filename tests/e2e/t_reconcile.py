#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_reconcile - what the webhook missed is found in the vendor's feed, and done once."""
import json
import os
import re
import sys

import tap
from chain import Chain, Failure, GROUP, IS_ROOT, DAEMON_USER, wait_until

TESTS = []
SOON = "reconcile_grace = 1s"


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def state(c):
    try:
        with open(c.dir + "/var/state/feed/acme") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def ask(c, since=None):
    """As spoolctl does: a file in ask/ says that the feed is to be read."""
    path = c.spool + "/ask/reconcile.acme" + ("" if since is None else ".%d" % since)
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o660)
    if IS_ROOT:
        os.fchown(fd, DAEMON_USER, GROUP)
    os.close(fd)


def passes(c):
    return [dict(re.findall(r"(\w+)=(\"[^\"]*\"|\S+)", line)) for line in
            c.daemon.said().splitlines() if "window=" in line]


def one_pass(c, since=None):
    """The report of a new pass over the feed."""
    n = len(passes(c))
    while len(passes(c)) == n:
        failures = c.daemon.said().count("feed not read")
        ask(c, since)
        wait_until(lambda: len(passes(c)) > n or
                   c.daemon.said().count("feed not read") > failures,
                   [c.daemon.log], "a pass over the feed")
    return passes(c)[n]


def until_done(c, total):
    """Pass after pass, until all that is old enough is done."""
    for _ in range(200):
        one_pass(c)
        if c.counts()["done"] == total:
            return
    raise Failure("%d events are done, not %d" % (c.counts()["done"], total))


def begun(c):
    wait_until(lambda: state(c).get("begun"), [c.dir + "/var/state/feed"], "the first start")


@test
def the_first_start_looks_forward():
    """the first start: what was before it is not fetched; --since N fetches it"""
    with Chain("feedfirst", daemon=SOON, daemon_starts=False) as c:
        old = c.sandbox.emit("Client.Create", count=5, deliver=0)
        c.start_daemon()
        begun(c)
        tap.same(state(c)["cursor"], 5)
        r = one_pass(c)
        tap.same((r["seen"], r["missing"]), ("0", "0"))
        tap.same(c.counts()["done"], 0)
        for _ in range(50):
            r = one_pass(c, since=3)
            if r["missing"] != "0":
                break
        c.wait_state(done=3)
        tap.same(sorted(c.names("done")), sorted(name_of(e) for e in old[2:]))
        tap.same(state(c)["cursor"], 5, "the cursor does not go back")


@test
def missed_events_come_back():
    """dropped for good by the sender: every one is done, its story says so, and only once"""
    with Chain("feedmissed", daemon=SOON) as c:
        begun(c)
        c.sandbox.fault(on="webhook", match="", do_="drop", percent=40, times=-1)
        events = [e for kind in ("Client.Create", "User.Update", "DocumentData.Create",
                                 "FileStore.Upload") for e in c.sandbox.emit(kind, count=10)]
        c.sandbox.quiet()
        until_done(c, 40)
        lost = [e for e in c.sandbox.events() if e["state"] == "abandoned"]
        tap.note("%d of %d were dropped" % (len(lost), len(events)))
        assert lost
        tap.same(state(c)["recovered_all"], len(lost))
        tap.same(state(c)["cursor"], 40)
        assert "the webhook missed events" in c.daemon.said()
        story = c.ctl("explain", lost[0]["eventId"])
        assert "Arken's event feed: the webhook had missed it" in story, story
        # the webhook brings one of them later: it is a repeat
        body = c.event_file("done", name_of(lost[0])).partition(b"\n\n")[2]
        status, _, answer = c.post(body)
        tap.same((status, json.loads(answer)["status"]), (200, "duplicate"))
        r = one_pass(c)
        tap.same((r["missing"], r["recovered"]), ("0", "0"))
        tap.same(c.counts()["done"], 40)


TOKEN = "a-token-of-the-monitor"


def told_late(c):
    """The counter of late webhooks as a monitor reads it."""
    status, _, text = c.post(None, "/arken/status/metrics", "GET", secret=None,
                             content_type=None, headers={"Authorization": "Bearer " + TOKEN})
    tap.same(status, 200)
    return int(re.search(r"^arkenspool_events_late_total (\d+)$", text.decode(), re.M).group(1))


@test
def late_webhooks():
    """what the feed had brought is brought by the webhook at last: counted, and not done again"""
    with Chain("feedlate", receiver="cgi", daemon=SOON) as c:
        c.write("etc/status.token", TOKEN + "\n", 0o640, 0)
        c.configure(more="[status]\npath = /arken/status\ntoken_file = %s/etc/status.token" %
                    c.dir)
        begun(c)
        c.sandbox.fault(on="webhook", match="", do_="drop", times=-1)
        missed = c.sandbox.emit("Client.Update")[0]
        c.sandbox.quiet()
        c.sandbox.no_faults()
        kept = c.sandbox.emit("User.Update")[0]
        c.sandbox.quiet()
        tap.same([e["state"] for e in c.sandbox.events()], ["abandoned", "delivered"])
        until_done(c, 2)
        calls = c.sandbox.stats()
        for e, late in (kept, 0), (missed, 1), (kept, 1):
            body = c.event_file("done", name_of(e)).partition(b"\n\n")[2]
            status, _, answer = c.post(body)
            tap.same((status, json.loads(answer)["status"]), (200, "duplicate"))
            tap.same(told_late(c), late, "late")
        assert "the feed had brought it before" in c.ctl("explain", missed["eventId"])
        assert "the feed had brought it before" not in c.ctl("explain", kept["eventId"])
        one_pass(c)
        tap.same(c.counts(), dict(c.counts(), new=0, cur=0, done=2, failed=0))
        for e in missed, kept:
            tap.same(len([s for s in c.story(name_of(e)) if " step=done " in s]), 1)
        for k in "api_client", "api_user":
            tap.same(c.sandbox.stats()[k], calls[k], k)
        c.stop_daemon()
        tap.same(json.loads(c.read(c.spool + "/status.json"))["late"], 1, "status.json")


@test
def many_pages():
    """an outage of the webhook: several pages, across a kill of the daemon"""
    with Chain("feedpages", daemon=SOON + "\nconcurrency = 32") as c:
        begun(c)
        c.sandbox.emit("Client.Update", count=230, deliver=0)
        ask(c)
        c.stop_daemon(9)
        c.start_daemon()
        until_done(c, 230)
        tap.same(state(c)["cursor"], 230)


@test
def numbered_events():
    """webhooks that carry a number and no id: one name for both ways"""
    with Chain("feednumber", daemon=SOON, sandbox=["--shape", "noid"]) as c:
        begun(c)
        c.sandbox.emit("User.Update", count=2)
        c.wait_state(done=2)
        while one_pass(c)["seen"] != "2":
            pass
        wait_until(lambda: state(c)["numbered"], [c.dir + "/var/state/feed"],
                   "the state to say so")
        c.sandbox.emit("User.Update", deliver=0)
        until_done(c, 3)
        assert "acme.n-3.User.Update" in c.names("done"), c.names("done")


@test
def a_feed_that_is_not_there():
    """404 and 403 switch it off with a warning; other faults are tried again"""
    for status in 404, 403:
        with Chain("feedoff", daemon=SOON) as c:
            begun(c)
            c.sandbox.fault(on="feed", match="", do_="status", status=status, times=-1)
            ask(c)
            c.daemon.wait_said("feed is not asked any more")
            n = c.sandbox.stats()["api_feed"]
            c.sandbox.emit("Client.Update")
            c.wait_state(done=1)
            tap.same(c.sandbox.stats()["api_feed"], n)
            assert str(status) in state(c)["off"]
            c.sandbox.no_faults()
            c.stop_daemon()
            c.start_daemon()
            wait_until(lambda: state(c)["off"] == "", [c.dir + "/var/state/feed"], "a new start")


@test
def faults_pass_nothing_over():
    """each fault once, on the first call and on the page: nothing is lost, nothing twice"""
    with Chain("feedfaults", daemon=SOON) as c:
        begun(c)
        total = 0
        for match in "/event/info", "/event?":
            for fault in ({"do_": "status", "status": 500}, {"do_": "status", "status": 401},
                          {"do_": "cut"}, {"do_": "reset"}, {"do_": "html"},
                          {"do_": "garbage"}, {"do_": "short"}):
                c.sandbox.emit("Client.Update", deliver=0)
                total += 1
                c.sandbox.fault(on="feed", match=match, times=1, **fault)
                until_done(c, total)
        tap.same(len(c.names("done")), total)


@test
def off_by_configuration():
    """reconcile = off, and an account without hash_id: not a single call"""
    with Chain("feednone", account="reconcile = off") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        tap.same(c.sandbox.stats()["api_feed"], 0)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
