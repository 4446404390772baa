#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_erase - spoolctl erase: everything about a client goes, nothing else does, nothing returns.
"""
import fcntl
import glob
import json
import os
import pty
import stat
import subprocess
import sys

import tap
from chain import BOXES, DAEMON_USER, GROUP, IS_ROOT, SPOOLCTL, WAIT, Chain, files_below, wait_until
from tap import has

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def mentions(c, word):
    """The files of spool, store and state that contain the word, or are named by it."""
    found = []
    for base, dirs, files in os.walk(c.dir + "/var"):
        found += [os.path.join(base, d) for d in dirs if word in d]
        for name in files:
            path = os.path.join(base, name)
            with open(path, "rb") as f:
                if word in name or word.encode() in f.read():
                    found.append(path)
    return sorted(found)


def two_clients(c, n=1):
    """Events of every kind about two clients, done: those of the first, and of the second."""
    first = c.sandbox.emit("Client.Create")[0]
    second = c.sandbox.emit("Client.Create")[0]
    out = []
    for e in first, second:
        mine = [e]
        for kind in "Client.Update", "FileStore.Upload", "DocumentData.Create":
            mine += c.sandbox.emit(kind, client=e["clientHashId"], count=n)
        out.append(mine)
    c.wait_state(done=sum(len(x) for x in out))
    c.wait_no_notes()
    return out


def receipts(c):
    return sorted(glob.glob(c.dir + "/var/state/erase/receipt-*.json"))


def receipt_of(text):
    return json.loads(text[text.index("{"):])


@test
def everything_goes_and_nothing_else():
    """events, records, documents, log; the other client keeps all; a receipt without a name"""
    with Chain("erase") as c:
        mine, other = two_clients(c)
        client, document = mine[0]["clientHashId"], mine[2]["documentHashId"]
        stranger = [e for e in other if e["documentHashId"]][0]["documentHashId"]
        words = [client] + [e["documentHashId"] for e in mine if e["documentHashId"]]
        told = c.spool + "/status.json"
        wait_until(lambda: client.encode() in c.read(told) and document.encode() in c.read(told),
                   [c.spool], "status.json to tell of them")
        kept = [[p for p in mentions(c, w) if p != told] for w in
                (other[0]["clientHashId"], stranger)]
        bytes_kept = [c.read(p) for p in kept[0] if os.path.isfile(p) and "/log/" not in p]
        before = files_below(c.dir + "/var")
        text = c.ctl("erase", "--client", client, "--dry-run")
        has(text, "dry run of erase: 4 events, 3 objects", "event   " + name_of(mine[1]) +
            "  (done)", "object  acme/FileStore/" + document)
        j = json.loads(c.ctl("erase", "--client", client, "-n", "--json").splitlines()[0])
        tap.same(sorted(j["events"]), sorted(name_of(e) for e in mine))
        tap.same(len(j["objects"]), 3)
        has(c.ctl("erase", "--client", client, want=64), "--yes", "nothing was changed")
        after = [x for x in files_below(c.dir + "/var") if not x[0].startswith("state")]
        tap.same(after, [x for x in before if not x[0].startswith("state")])
        r = receipt_of(c.ctl("erase", "--client", client, "--yes", "--account", "acme"))
        tap.same((sorted(r["events"]), r["objects"]), (sorted(name_of(e) for e in mine), 3))
        assert r["files"] >= 5 and r["bytes"] > 2000 and r["logLines"] >= 4, r
        tap.same(len(receipts(c)), 1)
        tap.same(stat.S_IMODE(os.stat(receipts(c)[0]).st_mode), 0o640)
        tap.same(json.loads(c.read(receipts(c)[0])), r)
        for word in words + [mine[2]["fileName"], "document xx"]:
            tap.same(mentions(c, word), [], word)
        tap.same(os.listdir(c.dir + "/var/state/erase"), [os.path.basename(receipts(c)[0])])
        tap.same([[p for p in mentions(c, w) if p != told] for w in
                  (other[0]["clientHashId"], stranger)], kept)
        # the daemon tells of the others still, and of these without ids
        latest = {e["event"]: e for e in json.loads(c.read(told))["latest"]}
        tap.same((latest[name_of(mine[2])]["client"], latest[name_of(mine[2])]["document"]),
                 ("", ""))
        tap.same(latest[name_of(other[0])]["client"], other[0]["clientHashId"])
        tap.same([c.read(p) for p in kept[0] if os.path.isfile(p) and "/log/" not in p],
                 bytes_kept)
        # what is left verifies, and says that it was erased
        tap.same(c.counts()["done"], 8)
        for e in mine:
            head, _, body = c.event_file("done", name_of(e)).partition(b"\n\n")
            tap.same(body, b"")
            has(head.decode(), "Subject: erased\n", "Arken-Erased: ", "Arken-Erased-Ids: ")
            has(c.ctl("show", name_of(e)), "(erased: there is no body any more)")
            has(c.ctl("explain", name_of(e)), "  erased    ", "an operator erased it")
            has(c.ctl("replay", "--url", c.url, name_of(e), want=65), "erased")
        has(c.ctl("erase", "--client", client, "--yes", want=66), "nothing is here")


@test
def nothing_comes_back():
    """a repeat is a duplicate and is not processed; the feed finds each one known"""
    with Chain("eraseback", daemon="reconcile_grace = 1s") as c:
        feed = c.dir + "/var/state/feed"
        wait_until(lambda: os.path.exists(feed + "/acme"), [feed], "the feed")
        mine, other = two_clients(c)
        bodies = [c.event_file("done", name_of(e)).partition(b"\n\n")[2] for e in mine]
        client = mine[0]["clientHashId"]
        c.ctl("erase", "--client", client, "--yes")
        left = files_below(c.box("done"))
        calls = c.sandbox.stats()
        for body in bodies:
            status, _, answer = c.post(body)
            tap.same((status, json.loads(answer)["status"]), (200, "duplicate"))
        until_seen(c, 8)
        tap.same(files_below(c.box("done")), left)
        tap.same(mentions(c, client), [])
        now, feeds = c.sandbox.stats(), ("api_feed", "api_total")
        tap.same({k: now[k] for k in now if k.startswith("api_") and k not in feeds},
                 {k: calls[k] for k in calls if k.startswith("api_") and k not in feeds})


@test
def nothing_anonymous_comes_back():
    """events that the webhook sends without id and number are found by what is left of them"""
    with Chain("eraseanon", daemon="reconcile_grace = 1s", shape="notime") as c:
        feed = c.dir + "/var/state/feed"
        wait_until(lambda: os.path.exists(feed + "/acme"), [feed], "the feed")
        e = c.sandbox.emit("Client.Create")[0]
        o = c.sandbox.emit("Client.Create")[0]
        c.wait_state(done=2)
        c.wait_no_notes()
        until_seen(c, 2)
        c.ctl("erase", "--client", e["clientHashId"], "--yes")
        until_seen(c, 2)
        tap.same(c.counts()["done"], 2)
        tap.same(mentions(c, e["clientHashId"]), [])
        assert mentions(c, o["clientHashId"])


def until_seen(c, n):
    """A pass over the whole feed that finds so many events, and none missing."""
    for _ in range(200):
        r = json.loads(c.ctl("reconcile", "--since", "1", "--json").splitlines()[-1])
        tap.same((r["missing"], r["recovered"]), (0, 0))
        if r["seen"] == n:
            return
    raise AssertionError("not seen %d: %r" % (n, r))


def spread(c, mine):
    """Move done events, as they are, into other boxes, with the daemon's flags."""
    for e, box, flags in zip(mine, ("new", "cur", "held", "failed"), ("", ":2,", ":2,", ":2,F")):
        os.rename(c.box("done") + "/" + name_of(e) + ":2,S",
                  c.box(box) + "/" + name_of(e) + flags)


def repeat(c, e):
    """The event's file once more, in new."""
    path = c.spool + "/tmp/" + name_of(e)
    with open(path, "wb") as f:
        f.write(c.event_file("done", name_of(e)))
    os.chmod(path, 0o640)
    if IS_ROOT:
        os.chown(path, DAEMON_USER, GROUP)
    os.rename(path, c.box("new") + "/" + name_of(e))


def rejected(c, word):
    """A body that is no JSON, of this account, in rejected."""
    status, _, _ = c.post(b'{"clientHashId":"%s",}' % word.encode())
    tap.same(status, 400)
    return c.names("rejected")[0]


@test
def in_every_box_without_a_daemon():
    """waiting, held, failed, rejected, a repeat beside the done one, notes, parts of documents"""
    with Chain("eraseboxes") as c:
        mine, other = two_clients(c)
        client = mine[0]["clientHashId"]
        bad = rejected(c, client)
        c.stop_daemon()
        repeat(c, mine[3])
        spread(c, mine[:3])
        with open(c.spool + "/retry/" + name_of(mine[1]), "w") as f:
            f.write("tries=1\nreason=about %s\n" % client)
        with open(c.store + "/.tmp/part." + name_of(mine[2]), "w") as f:
            f.write(client)
        with open(c.store + "/.tmp/part." + name_of(mine[2]) + ".json", "w") as f:
            f.write("{}")
        r = receipt_of(c.ctl("erase", "--client", client, "--yes"))
        tap.same(sorted(r["events"]), sorted([bad] + [name_of(e) for e in mine]))
        tap.same(mentions(c, client), [])
        tap.same(c.counts(), dict.fromkeys(BOXES, 0) | {"done": 9})
        # a start finds nothing to do, and nothing damaged
        calls = c.sandbox.stats()["api_client"] if "api_client" in c.sandbox.stats() else None
        c.start_daemon()
        e = c.sandbox.emit("User.Update")[0]
        c.wait_state(done=10)
        has(c.ctl("explain", e["eventId"]), "done")
        tap.same(mentions(c, client), [])
        assert calls is None or c.sandbox.stats()["api_client"] == calls


@test
def while_somebody_works_on_it():
    """an event in work and a repeat that the daemon has not seen: 75, all else goes, then these"""
    with Chain("erasebusy") as c:
        mine, other = two_clients(c)
        client = mine[0]["clientHashId"]
        c.daemon.p.send_signal(19)  # SIGSTOP: it holds its lock, and takes nothing
        repeat(c, mine[0])
        fd = os.open(c.box("done") + "/" + name_of(mine[2]) + ":2,S", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        text = c.ctl("erase", "--client", client, "--yes", want=75)
        has(text, "2 events not erased yet", "run the same command again")
        tap.same(receipts(c), [])
        os.close(fd)
        c.daemon.p.send_signal(18)
        c.wait_state(done=8)
        r = receipt_of(c.ctl("erase", "--client", client, "--yes"))
        tap.same(sorted(r["events"]), sorted(name_of(e) for e in mine))
        tap.same(mentions(c, client), [])
        # one at a time
        fd = os.open(c.dir + "/var/state/erase", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        has(c.ctl("erase", "--client", other[0]["clientHashId"], "-y", want=75), "another")
        os.close(fd)


@test
def killed_at_any_moment():
    """at each system call that changes something; the same command then does the rest"""
    if not os.path.exists("/usr/bin/strace"):
        raise tap.Skip("strace is not installed")
    with Chain("erasekill") as c:
        mine, other = [c.sandbox.emit("Client.Create")[0]], [c.sandbox.emit("Client.Create")[0]]
        client = mine[0]["clientHashId"]
        mine += c.sandbox.emit("FileStore.Upload", client=client)
        words = [client, mine[1]["documentHashId"]]
        c.wait_state(done=3)
        c.wait_no_notes()
        c.stop_daemon()
        spread(c, mine[:1])
        subprocess.run(["cp", "-a", c.dir + "/var", c.dir + "/saved"], check=True)
        who = {"user": DAEMON_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
        for n in range(1, 400):
            killed = subprocess.run(
                ["strace", "-qq", "-o", "/dev/null", "-e", "trace=all", "-e",
                 "inject=renameat,renameat2,unlinkat,pwrite64,fsync,fdatasync,ftruncate:"
                 "signal=KILL:when=%d" % n, SPOOLCTL, "-c", c.conf, "erase", "--client",
                 client, "--yes"], stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT,
                cwd="/", **who).returncode
            if killed == 0:
                break
            tap.same(killed, -9, "killed at call %d" % n)
            everywhere = [x for b in BOXES for x in c.names(b)]
            tap.same(sorted(set(everywhere)), sorted(name_of(e) for e in mine + other))
            tap.same(len(everywhere), 3)
            r = receipt_of(c.ctl("erase", "--client", client, "--yes"))
            tap.same(sorted(r["events"]), sorted(name_of(e) for e in mine), "killed at %d" % n)
            for word in words:
                tap.same(mentions(c, word), [], "killed at call %d" % n)
            tap.same(c.counts(), dict.fromkeys(BOXES, 0) | {"done": 3})
            subprocess.run(["rm", "-rf", c.dir + "/var"], check=True)
            subprocess.run(["cp", "-a", c.dir + "/saved", c.dir + "/var"], check=True)
        tap.note("killed at %d calls" % (n - 1))
        assert n > 15, n


@test
def asked_at_a_terminal_and_usage():
    """no and yes at a terminal; whom is wanted; each mistake says what to do"""
    with Chain("eraseask", receiver=None) as c:
        has(c.ctl("erase", "--help"), "usage: spoolctl erase", "example:")
        for args in ([], ["--client", ""], ["--client", "a b"], ["--client", "x", "y"]):
            has(c.ctl("erase", *args, want=64), "--client HASH")
        has(c.ctl("erase", "--odd", want=64), "no option")
        has(c.ctl("erase", "--client", "x", "--account", "zebra", want=78), "no account zebra")
        has(c.ctl("-s", c.spool, "erase", "--client", "x", want=64), "leave -s out")
        has(c.ctl("erase", "--client", "NoSuchClient", want=66), "nothing is here")
        folder = c.store + "/acme/Client/AClient"
        for answer, status in (b"n\n", 75), (b"y\n", 0):
            os.makedirs(folder, exist_ok=True)
            with open(folder + "/record.json", "w") as f:
                f.write("{}")
            if IS_ROOT:
                for at in folder, os.path.dirname(folder), os.path.dirname(
                        os.path.dirname(folder)):
                    os.chown(at, DAEMON_USER, GROUP)
            master, slave = pty.openpty()
            who = {"user": DAEMON_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
            p = subprocess.Popen([SPOOLCTL, "-c", c.conf, "erase", "--client", "AClient"],
                                 stdin=slave, stdout=slave, stderr=slave, cwd="/", **who)
            os.write(master, answer)
            tap.same(p.wait(WAIT), status)
            has(os.read(master, 65536).decode(), "This cannot be undone. Go on? [y/N]")
            os.close(master)
            os.close(slave)
            tap.same(os.path.exists(folder), status != 0)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
