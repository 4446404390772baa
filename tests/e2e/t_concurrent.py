#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_concurrent - eight receivers, the same 1,000 events in each, twice, all at once.

Meanwhile spoold drains, every fifth call to the API fails, and an operator
holds, releases and requeues what he gets hold of.  Exactly 1,000 are done in
the end, and none is lost.
"""
import collections
import json
import os
import random
import sys
import threading

import fcgi_client
import tap
from chain import Chain, Failure, SECRET, guid, wait_until

TESTS = []
EVENTS, RECEIVERS, TIMES = 1000, 8, 2
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


def test(f):
    TESTS.append(f)
    return f


def bodies(c):
    """name -> body, about objects that the vendor has."""
    clients = c.sandbox.emit("Client.Create", count=150, deliver=0)
    users = c.sandbox.emit("User.Create", count=50, deliver=0)
    files = c.sandbox.emit("FileStore.Upload", count=40, deliver=0)
    out = {}
    for n in range(1, EVENTS + 1):
        kind, member, of = random.Random(n).choice([
            ("Client.Update", "clientHashId", clients), ("User.Update", "userHashId", users),
            ("FileStore.Upload", "documentHashId", files)])
        out["acme.%s.%s" % (guid(n), kind)] = json.dumps({
            "eventId": guid(n), "eventType": kind, "eventNumber": n,
            member: of[n % len(of)][member]}).encode()
    return out


class Sender(threading.Thread):
    """Everything, TIMES times, each time in another order, to one receiver."""

    def __init__(self, c, i, events, gate):
        super().__init__()
        self.path, self.events, self.gate = c.sock(i), events, gate
        self.rng = random.Random(SEED + i)
        self.answers, self.error = collections.Counter(), None

    def run(self):
        try:
            s = fcgi_client.Connection(self.path)
            self.gate.wait()
            for _ in range(TIMES):
                for name in self.rng.sample(sorted(self.events), len(self.events)):
                    body = self.events[name]
                    s.request(fcgi_client.params("/arken/acme", len(body), SECRET), body)
                    status, _, text = s.answer()
                    self.answers[status, json.loads(text)["status"]] += 1
            s.close()
        except Exception as e:  # told by the test's own thread
            self.error = e


class Operator(threading.Thread):
    def __init__(self, c):
        super().__init__()
        self.c, self.rng, self.stop = c, random.Random(SEED - 1), False
        self.done, self.error = collections.Counter(), None

    def some(self, *boxes):
        names = [n for b in boxes for n in self.c.names(b)]
        return self.rng.sample(names, min(len(names), 15))

    def run(self):
        try:
            while not self.stop:
                for verb, boxes in (("hold", ("cur", "new", "failed")), ("retry", ("failed",)),
                                    ("release", ("held",)), ("retry", ("held", "cur"))):
                    names = self.some(*boxes)
                    # what moved away meanwhile is refused, busy or gone: 65, 66, 75
                    text = self.c.ctl(verb, "-", stdin="\n".join(names), want=None) \
                        if names else ""
                    self.done[verb] += text.count("(was ")
        except Exception as e:
            self.error = e


@test
def thousand_events():
    tap.note("SEED=%d" % SEED)
    with Chain("concurrent", receiver="listen", receivers=RECEIVERS, daemon="tries = 2",
               receiver_conf="threads = 4") as c:
        events = bodies(c)
        c.sandbox.fault(on="api", do_="status", status=500, percent=20, times=-1)
        gate = threading.Event()
        senders = [Sender(c, i, events, gate) for i in range(RECEIVERS)]
        operator = Operator(c)
        for t in senders + [operator]:
            t.start()
        gate.set()
        for t in senders:
            t.join()
        operator.stop = True
        operator.join()
        for t in senders + [operator]:
            if t.error:
                raise t.error
        answers = sum((t.answers for t in senders), collections.Counter())
        tap.note("answers %r, operator %r, then %r" % (dict(answers), dict(operator.done),
                                                       c.counts()))
        tap.same(sum(answers.values()), EVENTS * RECEIVERS * TIMES)
        tap.same({status for status, _ in answers}, {200}, "statuses")
        assert answers[200, "accepted"] >= EVENTS, answers
        # the operator ends with everything released and tried again
        c.sandbox.no_faults()
        while c.names("held"):
            c.ctl("release", "-", stdin="\n".join(c.names("held")))
        wait_until(lambda: not c.names("cur") and not c.names("new"),
                   [c.box("cur"), c.box("new")], lambda: "the queue to drain: %r" % c.counts())
        c.ctl("retry", "ALL")
        c.wait_state(done=EVENTS, failed=0, held=0, rejected=0)
        tap.same(c.names("done"), sorted(events), "done")
        tap.same(os.listdir(c.spool + "/tmp"), [], "left in tmp")
        c.wait_no_notes()
        for name in random.Random(SEED).sample(sorted(events), 50):
            if c.event_file("done", name).partition(b"\n\n")[2] != events[name]:
                raise Failure("%s is not what was sent" % name)
        for e in c.sandbox.events():
            if os.path.exists(c.place(e)):
                c.check_stored(e)
        assert operator.done["hold"] and operator.done["release"] and operator.done["retry"], \
            operator.done


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
