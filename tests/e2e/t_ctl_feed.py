#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_feed - spoolctl replay, in the real chain: what it prints works, and gives nothing away."""
import json
import os
import subprocess
import sys

import tap
from chain import HEADER, SECRET, SPOOLCTL, Chain, WAIT
from issuer import AUDIENCE, Issuer

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def has(text, *parts):
    for part in parts:
        assert part in text, "%r is not in:\n%s" % (part, text)


def lacks(text, *parts):
    for part in parts:
        assert part not in text, "%r is in:\n%s" % (part, text)


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
    """--bearer FILE, for an account that takes tokens only"""
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


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
