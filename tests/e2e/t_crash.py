#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_crash - receiver and daemon die at any moment: is every acknowledged event done once?

The moments are drawn from a seed (environment SEED; printed).  A death comes
after so many events were accepted or done, and a few thousand steps of this
program later; nothing is waited for by the clock.
"""
import os
import random
import signal
import sys
import threading

import tap
from chain import Chain, guid, wait_until

TESTS = []
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


def test(f):
    TESTS.append(f)
    return f


def dawdle(rng):
    """A moment of no particular length."""
    for _ in range(rng.randrange(60000)):
        pass


def once_each(c, events):
    """Every delivered event is done, once; its object is stored; nothing else is anywhere."""
    done = c.names("done")
    tap.same(len(done), len(set(done)))
    now = {e["eventNumber"]: e for e in c.sandbox.events()}
    for e in events:
        e = now[e["eventNumber"]]
        name = "acme.%s.%s" % (e["eventId"], e["kind"])
        if e["state"] == "delivered" or name in done:
            assert name in done, (e, c.counts())
            if e["kind"] != "FileStore.Download":
                c.check_stored(e)
    tap.same({b: n for b, n in c.counts().items() if n and b != "done"}, {}, "elsewhere")
    c.wait_no_notes()
    tap.same(c.ctl("count", "--json").count('"done":%d' % len(done)), 1)


def interrupted(c):
    """How often the most unlucky event was interrupted so far: three times are the end of it."""
    most = 0
    for name in os.listdir(c.spool + "/retry"):
        try:
            with open(c.spool + "/retry/" + name) as f:
                for line in f:
                    if line.startswith("interruptions="):
                        most = max(most, int(line.split("=")[1]))
        except FileNotFoundError:
            pass
    return most


def wait_recovered(c, done, most):
    """Until so many are done, and no event was interrupted more often."""
    wait_until(lambda: c.counts()["done"] >= done and interrupted(c) <= most,
               [c.box("done"), c.spool + "/retry"],
               lambda: "%d done: %r" % (done, c.counts()))


class Deaths:
    """Ends a program again and again until it is told to stop, and starts it anew."""

    def __init__(self, rng, once):
        self.rng, self.once, self.stop, self.n, self.error = rng, once, False, 0, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stop:
                self.once(self.rng)
                self.n += 1
        except Exception as e:  # told by the test's own thread
            self.error = e

    def end(self):
        self.stop = True
        self.thread.join()
        if self.error:
            raise self.error


def daemon_dies(c, sig, total):
    """After each start some progress, then death; never the third for the same event."""
    def once(rng):
        have = c.counts()["done"]
        want = min(total, have + rng.randrange(1, 25))
        twice = rng.random() < 0.3  # once more while it is only just starting
        wait_recovered(c, want, 0 if twice else 1)
        dawdle(rng)
        c.daemon.end(sig)
        if twice:
            p = c.start_daemon(wait=False)
            dawdle(rng)
            p.end(sig)
        c.start_daemon(wait=rng.random() < 0.5)
    return once


def kinds_of_calm(c, n, **more):
    """Events of several kinds; nothing is deleted, so that all can be compared in the end."""
    out = []
    for kind in ("Client.Create", "DocumentData.Create", "User.Create", "Client.Update",
                 "DocumentData.Update", "FileStore.Upload"):
        out += c.sandbox.emit(kind, count=n // 6, **more)
    return out


@test
def daemon_is_killed():
    tap.note("SEED=%d" % SEED)
    rng = random.Random(SEED)
    with Chain("kill", sandbox=["--document-size", "20000"]) as c:
        deaths = Deaths(rng, daemon_dies(c, signal.SIGKILL, 300))
        events = []
        try:
            for _ in range(3):
                events += kinds_of_calm(c, 100)
                c.sandbox.quiet()
            events += kinds_of_calm(c, 30)
            wait_until(lambda: c.counts()["done"] >= 300 or deaths.error, [c.box("done")],
                       lambda: "300 done: %r" % c.counts())
        finally:
            deaths.end()
        c.wait_state(done=len(events), failed=0, rejected=0)
        tap.note("%d deaths" % deaths.n)
        assert deaths.n >= 5, deaths.n
        # one; another only if a death fell into the first request
        assert c.sandbox.stats()["tokens"] <= 2, c.sandbox.stats()
        once_each(c, events)


@test
def daemon_is_stopped():
    """SIGTERM at any moment: nothing is lost, and no try is counted for it"""
    tap.note("SEED=%d" % SEED)
    rng = random.Random(SEED + 1)
    with Chain("term", daemon="tries = 1", sandbox=["--document-size", "20000"]) as c:
        deaths = Deaths(rng, daemon_dies(c, signal.SIGTERM, 180))
        try:
            events = kinds_of_calm(c, 200)
            c.sandbox.quiet()
            wait_until(lambda: c.counts()["done"] >= 180 or deaths.error, [c.box("done")],
                       lambda: "180 done: %r" % c.counts())
        finally:
            deaths.end()
        c.wait_state(done=len(events), failed=0, rejected=0)
        tap.note("%d stops" % deaths.n)
        assert deaths.n >= 3, deaths.n
        once_each(c, events)
        story = c.story()
        tap.same([s for s in story if "step=interrupted" in s or "step=later" in s], [],
                 "interruptions by a clean stop")


@test
def stopped_in_the_middle_of_a_call():
    """SIGTERM while the API does not answer: it ends at once, uncounted"""
    with Chain("midcall", daemon="tries = 1\napi_timeout = 60s") as c:
        c.sandbox.fault(on="api", match="/client", do_="delay", ms=60000, times=-1)
        e = c.sandbox.emit("Client.Update")[0]
        name = "acme.%s.Client.Update" % e["eventId"]
        for n in range(1, 5):
            c.sandbox.wait("api_client=%d" % n)
            c.daemon.end(signal.SIGTERM, seconds=10)
            tap.same(c.daemon.p.returncode, 0)
            note = c.retry(name)
            assert note is None or (note["tries"], note["interruptions"]) == ("0", "0"), note
            if n == 4:
                c.sandbox.no_faults()
            c.start_daemon()
        c.wait_state(done=1, failed=0)


@test
def receiver_is_killed():
    """under a stream of events that are repeated three times, each as often as it takes"""
    tap.note("SEED=%d" % SEED)
    rng = random.Random(SEED + 2)
    with Chain("receiver", receiver="listen", sandbox=["--retry-after", "200", "--attempts",
                                                       "200"]) as c:
        def once(r):
            want = sum(c.counts().values()) + r.randrange(1, 30)
            wait_until(lambda: os.path.exists(c.dir + "/www/stop") or
                       sum(c.counts().values()) >= want,
                       [c.box("new"), c.box("done"), c.dir + "/www"], "events to come")
            dawdle(r)
            c.fcgi[0].end(signal.SIGKILL if r.random() < 0.8 else signal.SIGTERM)
            c.start_receiver()
        deaths = Deaths(rng, once)
        try:
            events = []
            for _ in range(4):
                events += kinds_of_calm(c, 60)
                c.sandbox.quiet()
        finally:
            deaths.stop = True
            c.write("www/stop", "")
            deaths.end()
        c.wait_state(done=len(events), failed=0, rejected=0)
        tap.note("%d deaths, %d refused attempts" % (deaths.n, c.sandbox.stats()["refused"]))
        assert deaths.n >= 3, deaths.n
        for e in c.sandbox.events():
            tap.same(e["state"], "delivered", e["kind"])
        once_each(c, events)


@test
def receiver_is_spawned_again():
    """killed under lighttpd, which starts it again"""
    with Chain("again", sandbox=["--retry-after", "200", "--attempts", "50"]) as c:
        for n in range(3):
            c.sandbox.emit("Account.Update", count=5)
            c.sandbox.quiet()
            children = "/proc/%d/task/%d/children" % (c.web.pid, c.web.pid)
            with open(children) as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
        c.sandbox.emit("Account.Update", count=5)
        c.sandbox.quiet()
        c.wait_state(done=20)
        for e in c.sandbox.events():
            tap.same(e["state"], "delivered")


@test
def everything_is_killed():
    """both at once, several times, with a repeat of everything at the end"""
    tap.note("SEED=%d" % SEED)
    rng = random.Random(SEED + 3)
    with Chain("both", receiver="listen", sandbox=["--retry-after", "200", "--attempts",
                                                   "200"]) as c:
        events = []
        for _ in range(5):
            events += kinds_of_calm(c, 30, duplicate=1)
            wait_recovered(c, c.counts()["done"] + 1, 1)
            dawdle(rng)
            for p in rng.sample([c.fcgi[0], c.daemon], 2):
                p.end(signal.SIGKILL)
            c.start_receiver()
            c.start_daemon()
        c.sandbox.quiet()
        c.wait_state(done=len(events), failed=0, rejected=0)
        once_each(c, events)


@test
def poisonous_event():
    """an event that kills the daemon each time ends in failed, its neighbours do not"""
    with Chain("poison", daemon="api_timeout = 60s") as c:
        c.sandbox.fault(on="api", match="/user", do_="delay", ms=60000, times=-1)
        poison = c.sandbox.emit("User.Update")[0]
        good = c.sandbox.emit("Client.Update", count=20)
        name = "acme.%s.User.Update" % poison["eventId"]
        c.sandbox.quiet()
        for n in range(1, 4):
            c.sandbox.wait("api_user=%d" % n)
            c.daemon.end(signal.SIGKILL)
            c.start_daemon()
        c.wait_state(done=20, failed=1)
        tap.same(c.names("failed"), [name])
        assert "ended 3 times" in c.retry(name)["reason"], c.retry(name)
        c.sandbox.no_faults()
        c.ctl("retry", name)
        c.wait_state(done=21)
        once_each(c, good + [poison])


@test
def what_a_crash_leaves():
    """a name in two boxes, half-written files, foreign flags, broken notes: no repair step"""
    with Chain("left") as c:
        events = c.sandbox.emit("Client.Update", count=4)
        c.sandbox.quiet()
        c.wait_state(done=4)
        c.stop_daemon()
        names = ["acme.%s.Client.Update" % e["eventId"] for e in events]
        me = os.stat(c.spool)

        def put(path, data, mode=0o640):
            with open(c.spool + "/" + path, "wb") as f:
                f.write(data)
            os.chmod(c.spool + "/" + path, mode)
            os.chown(c.spool + "/" + path, me.st_uid, me.st_gid)
        whole = c.event_file("done", names[0])
        # repeats of what is done already, in new and in cur: the later box rules
        put("new/" + names[0], whole)
        put("cur/" + names[1] + ":2,", c.event_file("done", names[1]))
        put("failed/cur/" + names[2] + ":2,F", c.event_file("done", names[2]))
        # a writer that died, or lives: too young to be swept
        put("tmp/%s.123.456" % names[0], whole[:50])
        # an accepted event that is not as it was written: it cannot be taken for one
        put("new/acme.%s.Client.Update" % guid(5), whole[:-3])
        # notes of what is done, and one that was being written
        put("retry/" + names[3], b"tries=1\ninterruptions=0\nputs_off=0\nfirst=1\ndue=0\n"
            b"step=callback\nstate=running\nreason=\n")
        put("retry/." + names[3] + ".0123456789abcdef", b"tries=")
        # one with a note that says nothing
        fresh = c.sandbox.emit("User.Update")[0]
        c.sandbox.quiet()
        put("retry/acme.%s.User.Update" % fresh["eventId"], b"\0\0garbage")
        c.start_daemon()
        c.wait_state(done=5, failed=0)
        tap.same(os.listdir(c.spool + "/tmp"), ["%s.123.456" % names[0]])
        c.wait_no_notes()
        left = os.listdir(c.spool + "/rejected/cur") + os.listdir(c.spool + "/rejected/new")
        tap.same([n.split(":")[0] for n in left], ["acme.%s.Client.Update" % guid(5)])


@test
def second_daemon():
    """on the same spool it ends with 75 and names the first; the first goes on"""
    with Chain("second") as c:
        first = c.daemon
        c.daemon = None
        p = c.start_daemon(wait=False)
        tap.same(p.p.wait(30), 75)
        assert str(first.pid) in p.said(), p.said()
        p.end()
        c.daemon = first
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        first.end(signal.SIGKILL)
        c.start_daemon()
        c.sandbox.emit("Client.Update")
        c.wait_state(done=2)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
