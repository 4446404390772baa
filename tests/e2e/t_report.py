#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_report - status.json: every field is documented, every documented field is there."""
import json
import os
import re
import signal
import stat
import sys
import time

import chain
import tap
from chain import Chain, wait_until

TESTS = []
SCHEMA = os.path.join(chain.TOP, "docs", "status.md")
TYPES = {"number": (int,), "string": (str,), "boolean": (bool,), "array": (list,),
         "object": (dict,), "object or null": (dict, type(None))}


def test(f):
    TESTS.append(f)
    return f


def schema():
    """{path: type} of the table in docs/status.md"""
    out = {}
    with open(SCHEMA) as f:
        for line in f:
            m = re.match(r"\| `([^`]+)` \| ([a-z ]+?) \|", line)
            if m:
                assert m.group(1) not in out, "%s is there twice" % m.group(1)
                out[m.group(1)] = m.group(2)
    assert len(out) > 80, out
    return out


def paths(value, at=""):
    """(path, value) of everything in a document, but of objects that are elements"""
    if at and not (at.endswith("[]") and isinstance(value, dict)):
        yield at, value
    if isinstance(value, dict):
        for k, v in value.items():
            yield from paths(v, at + "." + k if at else k)
    elif isinstance(value, list):
        for v in value:
            yield from paths(v, at + "[]")


def differences(doc, want):
    """What is in one of the two only, or of another type."""
    out, seen = [], set()
    for path, value in paths(doc):
        seen.add(path)
        kind = want.get(path)
        if kind is None:
            out.append("not documented: " + path)
        elif type(value) not in TYPES[kind]:
            out.append("%s is %r, documented as %s" % (path, value, kind))
    return out + ["not in the file: " + p for p in want if p not in seen]


def status_path(c):
    return os.path.join(c.spool, "status.json")


def status(c):
    """The file as it is now; None: there is none yet."""
    try:
        with open(status_path(c)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def wait_status(c, condition, what):
    def there():
        doc = status(c)
        return doc if doc and condition(doc) else None
    return wait_until(there, [c.spool], lambda: "%s; it is %s" % (
        what, json.dumps(status(c))[:3000]), 30)


@test
def the_schema():
    """both ways, against a daemon that has something of everything"""
    want = schema()
    with Chain("report", daemon="rescan = 1s\nstatus_every = 1s",
               account="issuer = https://localhost:9/\naudience = me") as c:
        c.sandbox.emit("FileStore.Upload")
        c.wait_state(done=1)
        c.sandbox.fault(on="api", match="/client", do_="status", status=400, times=1)
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1, failed=1)
        c.sandbox.fault(on="document", do_="drip", bytes=512, ms=300, times=-1)
        c.sandbox.emit("FileStore.Upload")
        doc = wait_status(c, lambda d: d["transfers"] and d["certificates"]
                          and d["counts"]["failed"] == 1
                          and "failed" in [a["key"] for a in d["alarms"]],
                          "alarms, transfers, certificates")
        tap.same(differences(doc, want), [], "docs/status.md and the file")
        # the comparison itself finds what was planted
        extra = dict(doc, secret=1)
        tap.same(differences(extra, want), ["not documented: secret"], "a field too many")
        less = dict(doc)
        del less["pid"]
        tap.same(differences(less, want), ["not in the file: pid"], "a field too few")
        tap.same(differences(dict(doc, pid="1"), want),
                 ["pid is '1', documented as number"], "a field of another type")

        st = os.stat(status_path(c))
        tap.same(stat.S_IMODE(st.st_mode), 0o640, "its mode")
        tap.same(st.st_gid, os.stat(c.spool).st_gid, "its group")
        now = time.time() * 1000
        assert now - 30000 < doc["written"] <= now < doc["stale_after"], doc["written"]
        tap.same(doc["pid"], c.daemon.pid, "pid")
        assert not doc["well"] and "failed" in doc["sentence"], doc["sentence"]
        tap.same([a["key"] for a in doc["alarms"] if a["key"] == "failed"], ["failed"])
        tap.same(doc["today"]["documents"], 1, "documents today")
        account, = doc["accounts"]
        day = account["token"]["expires"] - account["token"]["fetched"]
        assert day > 3600000 and account["last_event"] > 0, account
        tap.same({t["name"]: t["state"] for t in doc["targets"]}["api:acme"], "up")
        tap.same(sum(sum(k["counts"]) for k in doc["hours"]["kinds"]), 3, "events taken")
        tap.same({k["kind"]: k["counts"][-1] + k["counts"][-2] for k in
                  doc["hours"]["kinds"]}, {"FileStore.Upload": 2, "Client.Update": 1})
        tap.same((doc["times"]["done"]["n"], doc["times"]["document"]["n"]), (1, 1))
        tap.same(sorted(e["state"] for e in doc["latest"]), ["done", "failed", "working"])
        text = json.dumps(doc)
        for secret in (chain.SECRET, c.sandbox.env["CLIENT_SECRET"], "X-Amz", "Signature"):
            assert secret not in text, secret


@test
def restarts():
    """what happened is known after a restart and a kill, and a stop is said"""
    with Chain("reportagain", daemon="status_every = 1s") as c:
        for kind in ("Client.Update", "User.Update", "FileStore.Upload"):
            c.sandbox.emit(kind)
        c.wait_state(done=3)
        before = wait_status(c, lambda d: d["today"]["done"] == 3, "three done")
        c.stop_daemon(signal.SIGKILL)
        left = ".status.json.0123456789abcdef"
        with open(os.path.join(c.spool, left), "w"):
            pass  # as a crash between write and rename leaves it
        c.start_daemon()
        after = wait_status(c, lambda d: d["pid"] == c.daemon.pid, "the new pid")
        for k in ("today", "hours", "latest", "times"):
            tap.same(after[k], before[k], k)
        assert left not in os.listdir(c.spool)
        c.stop_daemon()
        end = status(c)
        tap.same((end["state"], end["well"]), ("stopped", False), "after a stop")
        assert "stopped" in end["sentence"], end
        with open(status_path(c), "w") as f:
            f.write("{nonsense")
        c.start_daemon()
        wait_status_written(c)
        assert "status.json begun anew" in c.daemon.said()


def wait_status_written(c):
    def there():
        try:
            return status(c)
        except ValueError:
            return None
    wait_until(there, [c.spool], "a status.json that can be read", 30)


@test
def idle():
    """while nothing happens nothing is written, and every event is written once it is time"""
    with Chain("reportidle", daemon="status_every = 1s") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        first = wait_status(c, lambda d: d["today"]["done"] == 1, "one done")
        try:
            wait_until(lambda: status(c)["written"] > first["written"], [c.spool],
                       "a second", 4)
        except chain.Failure:
            pass
        else:
            # what was under way may have been written once more, then it rests
            again = status(c)["written"]
            try:
                wait_until(lambda: status(c)["written"] > again, [c.spool], "a third", 4)
            except chain.Failure:
                pass
            else:
                raise AssertionError("an idle daemon writes and writes")
        c.sandbox.emit("Client.Update")
        wait_status(c, lambda d: d["today"]["done"] == 2, "two done")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
