#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_chain - does every event go the whole way, whatever its kind, shape and carrier?"""
import json
import os
import stat
import sys

import tap
from chain import (Chain, DAEMON_USER, GROUP, IS_ROOT, RECEIVER_USER, SECRET)

TESTS = []
KINDS = ["Account.Update", "Client.Create", "Client.Delete", "Client.Update",
         "DocumentData.Create", "DocumentData.Delete", "DocumentData.Update",
         "FileStore.Download", "FileStore.Upload", "User.Create", "User.Delete",
         "User.Update"]


def test(f):
    TESTS.append(f)
    return f


def all_done(c, events, attempts=1):
    """Every event is done, delivered by so many attempts, and its object is stored."""
    c.sandbox.quiet()
    c.wait_state(done=len(events), failed=0, held=0, rejected=0)
    now = {e["eventNumber"]: e for e in c.sandbox.events()}
    for e in events:
        e = now[e["eventNumber"]]
        tap.same((e["state"], e["attempts"], e["status"]), ("delivered", attempts, 200), e["kind"])
        c.check_stored(e)
    c.wait_no_notes()


@test
def every_kind():
    """record.json is the API's answer byte for byte, documents have the sender's digest,
    one token request over a restart, no token ever at the document host"""
    with Chain("kinds") as c:
        first = c.sandbox.emit("all")
        tap.same(sorted(e["kind"] for e in first), KINDS)
        c.sandbox.quiet()
        c.wait_state(done=12)
        c.stop_daemon()
        second = c.sandbox.emit("all")
        c.sandbox.quiet()
        c.wait_state(new=12, done=12)  # accepted without the daemon
        c.start_daemon()
        c.wait_state(done=24)
        st = c.sandbox.stats()
        tap.same((st["tokens"], st["token_refused"]), (1, 0), "token requests")
        tap.same(st["document_authorization"], 0, "tokens sent to the document host")
        tap.same((st["api_401"], st["api_403"]), (0, 0))
        # a Download that is worked on before its Upload fetches what is not there yet
        assert 2 <= st["documents"] <= 4, st
        all_done(c, first + second)
        names = c.names("done")
        tap.same(names, sorted("acme.%s.%s" % (e["eventId"], e["kind"])
                               for e in first + second))


@test
def files_on_disk():
    """an event is an RFC 5322 message whose body is the request body, byte for byte;
    owner, group and modes are as docs/spool.md says"""
    import email
    import hashlib
    body = b'{ "eventId":"0B0F6A2E-5a51-4c0d-9a3e-6f2f5d1c7e10",\n"eventType" : ' \
        b'"Account.Update", "x\\u00e9":"\xc3\xa9\\u0041" }\n'
    with Chain("disk") as c:
        tap.same(c.post(body)[0], 200)
        c.wait_state(done=1)
        name = "acme.0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10.Account.Update"
        raw = c.event_file("done", name)
        head, _, kept = raw.partition(b"\n\n")
        tap.same(kept, body)
        m = email.message_from_bytes(raw)
        tap.same((m["Arken-Spool"], m["Arken-Account"], m["Arken-Source"], m["Arken-Auth"],
                  m["Content-Length"], m["Content-Type"], m["Arken-SHA256"]),
                 ("1", "acme", "webhook", "secret:line2", str(len(body)), "application/json",
                  hashlib.sha256(body).hexdigest()))
        assert SECRET.encode() not in head and b"\r" not in head, head
        st = os.stat(c.box("done") + "/" + name + ":2,S")
        tap.same((stat.S_IMODE(st.st_mode), st.st_nlink), (0o640, 1))
        shared = ["", "/tmp", "/new", "/rejected/tmp", "/rejected/new", "/log", "/ask"]
        for folder in shared + ["/cur", "/done/cur", "/failed/cur", "/held/cur", "/retry"]:
            s = os.stat(c.spool + folder)
            want = 0o2770 if folder in shared[1:] else 0o2750
            tap.same(stat.S_IMODE(s.st_mode), want, folder)
            if IS_ROOT:
                tap.same((s.st_uid, s.st_gid), (DAEMON_USER, GROUP), folder)
        if IS_ROOT:
            tap.same((st.st_uid, st.st_gid), (RECEIVER_USER, GROUP), "owner of the event")
        for base, _, files in os.walk(c.dir):
            for f in files:
                if "/etc" in base or "/sandbox" in base or "/bin" in base or \
                        not os.path.isfile(os.path.join(base, f)):
                    continue
                with open(os.path.join(base, f), "rb") as text:
                    assert SECRET.encode() not in text.read(), os.path.join(base, f)


def unknown_kinds(c, events):
    """
    An unknown category waits in failed for a person.  An unknown type of a known category is
    taken as an update, and fails only if the API does not know the object.
    """
    c.sandbox.quiet()
    c.wait_until_settled(len(events))
    categories = {k.split(".")[0] for k in KINDS}
    done, failed = c.names("done"), c.names("failed")
    for e in c.sandbox.events():
        tap.same(e["state"], "delivered", e["kind"])
        mine = [n for n in done if n.endswith("." + e["kind"])]
        if e["kind"].split(".")[0] not in categories:
            assert not mine, mine
        elif e["kind"] in KINDS:
            assert not [n for n in failed if n.endswith("." + e["kind"])], e["kind"]
    for name in failed:
        assert c.retry(name)["reason"], name


def shape(name):
    def run():
        with Chain("shape-" + name, shape=name, daemon="tries = 2") as c:
            events = c.sandbox.emit("all")
            if name in ("unknown", "mixed"):
                unknown_kinds(c, events)
            else:
                all_done(c, events)
    run.__name__ = "shape_" + name
    TESTS.append(run)


for _name in ("feed", "split", "direct", "properties", "lower", "upper", "getfiledetail",
              "noid", "notime", "array", "unknown", "mixed"):
    shape(_name)


@test
def repeats():
    """the same event delivered again, at once and later, is done once"""
    with Chain("repeats") as c:
        first = c.sandbox.emit("all", duplicate=3)
        c.sandbox.quiet()
        c.wait_state(done=12)
        body = c.event_file("done", "acme.%s.%s" % (first[0]["eventId"], first[0]["kind"]))
        status, _, text = c.post(body.partition(b"\n\n")[2])
        tap.same((status, json.loads(text)), (200, {"status": "duplicate",
                                                    "id": first[0]["eventId"]}))
        all_done(c, first, attempts=4)


@test
def documents_of_all_sorts():
    """details, a redirect, the bytes themselves; Download events of our own make no loop"""
    for how in ("details", "redirect", "bytes"):
        with Chain("file-" + how, sandbox=["--filestore", how, "--download-events",
                                           "--document-size", "300001"]) as c:
            e = c.sandbox.emit("FileStore.Upload")[0]
            events = 1 if how == "bytes" else 2
            c.sandbox.wait("events=%d" % events)
            c.sandbox.quiet()
            c.wait_state(done=events)
            tap.same(len(c.sandbox.events()), events, how + ": events")
            body, meta = c.document(e)
            tap.same((len(body), meta["sha256"]), (300001, e["sha256"]), how)


@test
def new_version_of_a_document():
    with Chain("version") as c:
        one = c.sandbox.emit("FileStore.Upload")[0]
        c.sandbox.quiet()
        c.wait_state(done=1)
        old, _ = c.document(one)
        two = c.sandbox.emit("FileStore.Upload", document=one["documentHashId"])[0]
        c.sandbox.quiet()
        c.wait_state(done=2)
        body, meta = c.document(two)
        tap.same(meta["sha256"], two["sha256"])
        versions = os.listdir(c.place(two) + "/versions")
        kept = [c.read(os.path.join(c.place(two), "versions", v)) for v in versions]
        assert old in kept and body != old, versions


@test
def chunked():
    """without Content-Length, under lighttpd and as plain CGI"""
    for receiver in ("spawned", "cgi"):
        with Chain("chunked", receiver=receiver, sandbox=["--chunked"]) as c:
            all_done(c, c.sandbox.emit("all"))


@test
def receiver_listens():
    with Chain("listen", receiver="listen") as c:
        tap.same(stat.S_IMODE(os.stat(c.sock()).st_mode), 0o660, "mode of the socket")
        all_done(c, c.sandbox.emit("all", count=3))
        tap.same(c.fcgi[0].end(), 0, "status after SIGTERM")
        assert not os.path.exists(c.sock()), "the socket's file stays behind"


@test
def receiver_as_plain_cgi():
    with Chain("cgi", receiver="cgi") as c:
        all_done(c, c.sandbox.emit("all"))


@test
def webhooks_over_tls():
    with Chain("tls", tls=True) as c:
        all_done(c, c.sandbox.emit("all"))


@test
def api_with_a_path_prefix():
    with Chain("prefix", sandbox=["--prefix", "/pre"]) as c:
        all_done(c, c.sandbox.emit("all"))


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
