#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_feed - spoolctl replay and reconcile, in the real chain."""
import fcntl
import json
import os
import subprocess
import sys

import tap
from chain import DAEMON_USER, HEADER, SECRET, SPOOLCTL, Chain, WAIT, files_below, wait_until
from issuer import AUDIENCE, Issuer
from tap import has, lacks

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def shell(command, want=0):
    """What a command prints, run by a shell as the one who pastes it would."""
    r = subprocess.run(["sh", "-c", command], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=WAIT, env={
                           "PATH": os.path.dirname(SPOOLCTL) + ":/usr/bin:/bin"})
    tap.same(r.returncode, want, command + r.stdout)
    return r.stdout


# ---- replay ----


@test
def a_replayed_event_is_a_duplicate():
    """the printed command posts the very bytes, by the web server, and keeps the secret quiet"""
    with Chain("replay") as c:
        c.write("etc/acme.secret", "\n  \t%s \r\nsecond-secret-1234\n" % SECRET, 0o640, 0)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        before = c.event_file("done", name_of(e))
        command = c.ctl("replay", "--url", c.url, e["eventId"][:8])
        lacks(command, SECRET, "second-secret", e["documentHashId"])
        has(command, "-H @/dev/fd/3", c.dir + "/etc/acme.secret")
        tap.same(json.loads(shell(command))["status"], "duplicate")
        tap.same(c.event_file("done", name_of(e)), before)
        c.wait_state(done=1)
        assert [x for x in c.story(name_of(e)) if "step=duplicate" in x]
        # the same, for programs
        j = json.loads(c.ctl("replay", "--json", "--url", c.url, e["eventId"]))
        tap.same(j, {"event": name_of(e), "url": c.url, "command": command})
        # without its file in the spool the event is new again: the body is whole
        os.unlink(c.box("done") + "/" + name_of(e) + ":2,S")
        copy = c.write("body", before.partition(b"\n\n")[2].decode())
        again = command.replace(command[command.index("spoolctl "):command.index(" |\n  curl")],
                                "cat " + copy)
        tap.same(json.loads(shell(again))["status"], "accepted")
        c.wait_state(done=1)
        tap.same(c.event_file("done", name_of(e)).partition(b"\n\n")[2],
                 before.partition(b"\n\n")[2])
        # a wrong secret is seen: the exit status says so
        c.write("etc/acme.secret", "not-the-secret-that-it-knows\n", 0o640, 0)
        c.configure(account="public_url = " + c.url)
        other = c.write("etc/other.secret", "another-secret-987654\n", 0o640, 0)
        command = c.ctl("replay", name_of(e))
        has(command, c.url)
        has(shell(command.replace("acme.secret", os.path.basename(other)), want=22), "401")


@test
def a_bearer_token_from_a_file():
    """--bearer FILE of replay and send-test, for an account that takes tokens only"""
    with Issuer() as i:
        ca = "issuer = %s\naudience = %s\nissuer_ca_file = %s\n" % (i.url, AUDIENCE, i.ca)
        with Chain("replaybearer", account=ca) as c:
            e = c.sandbox.emit("Client.Update")[0]
            c.wait_state(done=1)
            text = c.read(c.conf).decode()
            for key in "secret_header", "secret_file":
                text = "\n".join(line for line in text.splitlines() if not
                                 line.startswith(key + " ")) + "\n"
            c.conf = c.write("etc/bearer.conf", text)
            has(c.ctl("replay", "--url", c.url, e["eventId"], want=78), "--bearer FILE")
            token = i.token()
            c.write("etc/token", token + "\n", 0o640, 0)
            command = c.ctl("replay", "--bearer", c.dir + "/etc/token", "--url", c.url,
                            e["eventId"])
            lacks(command, token, HEADER)
            tap.same(json.loads(shell(command))["status"], "duplicate")
            # send-test takes the same file
            has(c.ctl("send-test", "--url", c.url, want=78), "--bearer FILE")
            c.write("etc/mine", token + "\n", 0o600, DAEMON_USER)
            args = ["send-test", "--url", c.url, "--bearer", c.dir + "/etc/mine"]
            dry, said = c.ctl(*args, "--dry-run"), c.ctl(*args)
            has(dry, "Authorization: Bearer ********")
            has(said, "verified by bearer:", "gone at the vendor")
            lacks(dry + said, token)
            c.write("etc/mine", token[:-6] + "AAAAAA\n", 0o600, DAEMON_USER)
            has(c.ctl(*args, want=77), "401", "credential is refused")


@test
def what_replay_refuses():
    """each refusal names the remedy"""
    with Chain("replayno", receiver=None) as c:
        has(c.ctl("replay", "--help"), "usage: spoolctl replay", "example:")
        has(c.ctl("replay", want=64), "ID is missing")
        has(c.ctl("replay", "--url", "ftp://x/", "x", want=64), "expected https")
        has(c.ctl("replay", "--what", "x", want=64), "no option")
        has(c.ctl("replay", "nothing", want=66), "no such event", "spoolctl ls all")
        has(c.ctl("-s", c.spool, "replay", "x", want=64), "leave out -s")
        name = "acme.n-1.Client.Update"
        open(c.box("held") + "/" + name + ":2,", "w").close()
        has(c.ctl("replay", "--url", c.url, name, want=65), "damaged")
        os.unlink(c.box("held") + "/" + name + ":2,")
        body = b"{}"
        for account in "acme", "zebra":
            name = account + ".n-2.Client.Update"
            rec = c.read(os.path.join(os.path.dirname(__file__), "../data/spool-v1.eml"))
            head, _, _ = rec.partition(b"\n\n")
            lines = []
            for line in head.decode().splitlines():
                key = line.split(": ")[0]
                line = {"Arken-Account": "%s: %s" % (key, account),
                        "Arken-Event": "%s: %s" % (key, name),
                        "Content-Length": "%s: %d" % (key, len(body))}.get(key, line)
                lines.append(line)
            with open(c.box("held") + "/" + name + ":2,", "wb") as f:
                f.write("\n".join(lines).encode() + b"\n\n" + body)
        has(c.ctl("replay", "--url", c.url, "zebra.n-2.Client.Update", want=78), "zebra")
        has(c.ctl("replay", "acme.n-2.Client.Update", want=78), "--url", "public_url")
        has(c.ctl("replay", "--bearer", "x", "--url", c.url, "acme.n-2.Client.Update", want=78),
            "no issuer")


# ---- reconcile ----

SOON = "reconcile_grace = 1s"


def state(c):
    try:
        return json.loads(c.read(c.dir + "/var/state/feed/acme"))
    except FileNotFoundError:
        return {}


def begun(c):
    wait_until(lambda: state(c).get("begun"), [c.dir + "/var/state/feed"], "the first start")


def until_missing(c, n, *args):
    """The report of the first pass that finds so many missing: they have to be old enough."""
    for _ in range(200):
        r = json.loads(c.ctl("reconcile", "--json", *args).splitlines()[-1])
        if r["missing"] == n:
            return r
    raise AssertionError("never missing %d: %r" % (n, r))


@test
def spoold_is_asked_and_answers():
    """what the webhook missed: a dry run only says it, then spoold takes it, and it is done"""
    with Chain("ctlfeed", daemon=SOON) as c:
        begun(c)
        e = c.sandbox.emit("Client.Update", deliver=0)[0]
        r = until_missing(c, 1, "--dry-run")
        tap.same(r, {"account": "acme", "from": 1, "to": 1, "seen": 0, "missing": 1,
                     "recovered": 0, "dry_run": True})
        before = files_below(c.spool), state(c)
        has(c.ctl("reconcile", "-n"), "acme  events 1 to 1  seen 0  missing 1  recovered 0"
            "  (dry run)")
        tap.same((files_below(c.spool), state(c)), before, "after a dry run")
        has(c.ctl("reconcile", "--account", "acme"), "missing 1  recovered 1\n")
        c.wait_state(done=1)
        tap.same(c.names("done"), [name_of(e)])
        has(c.ctl("explain", e["eventId"]), "Arken's event feed: the webhook had missed it")
        has(c.ctl("reconcile"), "acme  nothing above event 1: everything is known")
        r = json.loads(c.ctl("reconcile", "--since", "1", "--json"))
        tap.same((r["from"], r["to"], r["seen"], r["missing"]), (1, 1, 1, 0))
        tap.same(state(c)["recovered_all"], 1)


@test
def without_spoold_it_is_done_here():
    """the same pass, the same state: what is found waits for spoold, which finds it known"""
    with Chain("ctlfeedhere", daemon=SOON, daemon_starts=False) as c:
        old = c.sandbox.emit("Client.Create", count=120, deliver=0)
        text = c.ctl("reconcile")
        has(text, "spoold is not running", "acme  nothing above event 120")
        tap.same((state(c)["cursor"], state(c)["begun"]), (120, True))
        e = c.sandbox.emit("User.Update", deliver=0)[0]
        until_missing(c, 1)
        tap.same(c.names("new"), [name_of(e)])
        assert [x for x in c.story(name_of(e)) if "source=reconcile" in x], c.story()
        # several pages, by the number; what is too young for one pass is found by another
        for _ in range(200):
            text = c.ctl("reconcile", "--since", "1", "--account", "acme")
            if len(c.names("new")) == 121:
                break
        tap.same(len(c.names("new")), 121, text)
        c.start_daemon()
        c.wait_state(done=121)
        tap.same(sorted(c.names("done")), sorted(name_of(x) for x in old + [e]))
        tap.same(state(c)["recovered_all"], 121)


@test
def what_reconcile_refuses():
    """no feed, a failing feed, reconcile = off, a silent spoold, nonsense: said with the remedy"""
    with Chain("ctlfeedno", daemon=SOON, receiver=None) as c:
        begun(c)
        has(c.ctl("reconcile", "--help"), "usage: spoolctl reconcile", "example:")
        for args, say in ((["--since", "0"], "from 1 on"), (["--since", "x"], "from 1 on"),
                          (["--timeout", "x"], "90s"), (["x"], "no arguments"),
                          (["--odd"], "no option")):
            has(c.ctl("reconcile", *args, want=64), say)
        has(c.ctl("-s", c.spool, "reconcile", want=64), "leave -s out")
        has(c.ctl("reconcile", "--account", "zebra", want=78), "no account zebra")
        c.sandbox.fault(on="feed", match="", do_="status", status=500, times=2)
        has(c.ctl("reconcile", want=75), "acme: the feed answered 500")
        has(c.ctl("reconcile", "--dry-run", want=75), "500")
        has(c.ctl("reconcile"), "everything is known")
        c.sandbox.fault(on="feed", match="", do_="status", status=404, times=2)
        has(c.ctl("reconcile", want=78), "acme: the feed answered 404")
        has(c.ctl("reconcile", "-n", want=78), "reconcile = off")
        has(c.ctl("reconcile"), "everything is known")
        tap.same((state(c)["off"], state(c)["failed"]), ("", ""))
        c.daemon.p.send_signal(19)  # SIGSTOP
        has(c.ctl("reconcile", "--timeout", "1s", want=75), "has not answered in 1 s")
        c.daemon.p.send_signal(18)
        c.configure(account="reconcile = off")
        has(c.ctl("reconcile", want=78), "reconcile is off", "[account ...]")
        has(c.ctl("reconcile", "--account", "acme", want=78), "[account acme]")
        # one wish at a time
        fd = os.open(c.dir + "/var/state/feed", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        has(c.ctl("reconcile", want=75), "another spoolctl reconcile")
        os.close(fd)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
