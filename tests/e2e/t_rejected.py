#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_rejected - several accounts in one installation, and what becomes of a rejected body.

The path picks the account; what is for another one is kept in rejected/, looked
at with spoolctl, and read again after a change of the configuration.
"""
import json
import re
import sys

import tap
from chain import Chain, SECRET, files_below, guid

TESTS = []
BETA = "a-secret-of-account-beta"
SECOND = """\
[account beta]
path = /arken/beta
hash_id = {hash}
secret_header = X-Beta
secret_file = {dir}/etc/beta.secret
"""


def test(f):
    TESTS.append(f)
    return f


def event(n, kind="Account.Update", **more):
    return dict({"eventId": guid(n), "eventType": kind}, **more)


def text(*events):
    return json.dumps(list(events) if len(events) != 1 else events[0]).encode()


def two(c, theirs="BETAHASH"):
    """Configure both accounts; the programs read it when they start."""
    c.write("etc/beta.secret", BETA + "\n", 0o640, 0)
    c.configure(more=SECOND.format(dir=c.dir, hash=theirs))


def to_beta(c, body):
    return c.post(body, path="/arken/beta", secret=None, headers={"X-Beta": BETA})


def fields(raw):
    return dict(line.split(": ", 1) for line in raw.partition(b"\n\n")[0].decode().split("\n"))


@test
def the_path_picks_the_account():
    """each has its own path, secret and names; the same event id in both is two events"""
    with Chain("accounts", receiver="cgi", daemon_starts=False) as c:
        two(c)
        tap.same(c.post(text(event(1)))[0], 200)
        tap.same(to_beta(c, text(event(1)))[0], 200)
        tap.same(c.names("new"), ["%s.%s.Account.Update" % (a, guid(1))
                                  for a in ("acme", "beta")])
        for n, name in enumerate(c.names("new"), 1):
            head = fields(c.event_file("new", name))
            tap.same(head["Arken-Account"], ("acme", "beta")[n - 1])
            tap.same(head["Arken-Auth"], ("secret:line2", "secret:line1")[n - 1])
        # the secret of one does not open the other, whatever header it comes in
        tap.same(c.post(text(event(2)), secret=BETA)[0], 401)
        tap.same(c.post(text(event(2)), path="/arken/beta")[0], 401)
        tap.same(c.post(text(event(2)), path="/arken/beta", secret=None,
                        headers={"X-Beta": SECRET})[0], 401)
        tap.same(c.counts()["new"], 2)


@test
def an_event_of_another_account():
    """403, kept, counted; read again when the configuration names it, and not before"""
    with Chain("other", receiver="cgi", daemon_starts=False) as c:
        two(c)
        for n, body in enumerate((
                text(event(1, accountHashId="ELSE")),
                text(event(2), event(3, accountHashId="ELSE"), {"accountHashId": "ELSE"})), 1):
            tap.same(to_beta(c, body)[0], 403)
            tap.same(c.counts()["rejected"], n)
        tap.same(c.counts()["new"], 0)
        names = c.names("rejected")
        assert all(re.fullmatch(r"beta\.t-[0-9TZ]+-[0-9a-f]+\.Rejected\.OtherAccount", n)
                   for n in names), names
        listed = [json.loads(row) for row in c.ctl("ls", "rejected", "--json").splitlines()]
        tap.same(sorted(row["name"] for row in listed), names)
        tap.same({row["state"] for row in listed}, {"rejected"})
        for name in names:
            said = c.ctl("explain", name)
            for sign in ("the event is for another account", "secret:line1", " retry " + name,
                         " drop " + name):
                assert sign in said, (sign, said)
            assert "ELSE" in c.ctl("show", name)
        # nothing was changed: it stays
        said = c.ctl("retry", *names, want=65)
        assert said.count("it stays rejected (OtherAccount)") == 2, said
        tap.same(c.names("rejected"), names)
        two(c, "ELSE")
        before = files_below(c.spool)
        said = c.ctl("retry", "--dry-run", *names)
        tap.same((said.count("would take"), files_below(c.spool)), (4, before))
        said = c.ctl("retry", *names)
        tap.same(said.count("  taken  "), 4, said)
        tap.same({b: n for b, n in c.counts().items() if n}, {"new": 4, "done": 2})
        tap.same(c.names("done"), names)
        for name in c.names("new"):
            head = fields(c.event_file("new", name))
            tap.same((head["Arken-Source"], head["Arken-Auth"], head["Arken-Account"]),
                     ("operator", "secret:line1", "beta"))
            assert head["Arken-Remote"].startswith("127."), head
            assert [row for row in c.story(name) if "step=accepted" in row and
                    "source=operator" in row and "from=beta.t-" in row], c.story(name)
        assert "had it read again" in c.ctl("explain", names[0])
        # delivered by Arken once more, it is a repeat
        answer = json.loads(to_beta(c, text(event(1, accountHashId="ELSE")))[2])
        tap.same(answer["status"], "duplicate")


@test
def what_can_never_be_read():
    """an operator looks at it and drops it"""
    with Chain("odd", receiver="cgi", daemon_starts=False) as c:
        tap.same(c.post(b'{"a":1,}')[0], 400)
        name, = c.names("rejected")
        assert name.endswith(".Rejected.NotJson"), name
        assert "it stays rejected (NotJson): not JSON at offset 7" in \
            c.ctl("retry", name, want=65)
        assert '{"a":1,}' in c.ctl("show", name)
        c.ctl("drop", name, "--reason", "a test of ours")
        tap.same({b: n for b, n in c.counts().items() if n}, {"done": 1})


@test
def its_account_is_gone():
    """the file stays, and the command says what is missing"""
    with Chain("gone", receiver="cgi", daemon_starts=False) as c:
        two(c)
        tap.same(to_beta(c, text(event(1, accountHashId="ELSE")))[0], 403)
        c.configure(more="")
        name, = c.names("rejected")
        assert "there is no [account beta]" in c.ctl("retry", name, want=78)
        two(c, "ELSE")
        c.ctl("retry", name)
        tap.same({b: n for b, n in c.counts().items() if n}, {"new": 1, "done": 1})


@test
def read_again_it_is_processed():
    """the daemon takes it as any other, and looks at nothing of the rejected file"""
    with Chain("whole") as c:
        good = c.sandbox.account
        c.configure(account="", more="")
        e = c.sandbox.emit("Client.Update")[0]
        c.wait_state(done=1)
        body = c.event_file("done", "acme.%s.Client.Update" % e["eventId"]).partition(b"\n\n")[2]
        other = dict(json.loads(body), eventId=guid(77), accountHashId="ELSE")
        tap.same(c.post(text(other))[0], 403)
        conf = c.read(c.conf).decode()
        c.write("etc/arkenspool.conf", conf.replace("hash_id = " + good, "hash_id = ELSE"))
        name, = c.names("rejected")
        c.ctl("retry", name)
        c.wait_state(done=3, failed=0, rejected=0)
        c.wait_story("acme.%s.Client.Update" % guid(77), "step=done")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
