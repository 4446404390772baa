#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_faults - whatever goes wrong at the other end, does every event come to its right end?

An outage does not use up tries, a failure does; what fails for good waits in
failed/ with its reason; no document comes from where it may not.
"""
import hashlib
import json
import os
import re
import signal
import socket
import sys

import tap
from chain import Chain, IS_ROOT, DAEMON_USER, GROUP, Failure, Sandbox, guid, wait_until

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def name_of(e):
    return "acme.%s.%s" % (e["eventId"], e["kind"])


def reasons(c, name):
    """Why an event was put off, in order."""
    return [re.search(r'reason=("(?:[^"\\]|\\.)*"|\S+)', line).group(1).strip('"')
            for line in c.story(name) if " step=later " in line]


def wait_note(c, name, what, true):
    """Until the daemon's note of an event is as wanted; the note."""
    def there():
        note = c.retry(name)
        return note if note and true(note) else None
    return wait_until(there, [c.spool + "/retry"], lambda: "the note of %s to say %s: %r" % (
        name, what, c.retry(name)))


def wait_put_off(c, events, true=lambda n: n["puts_off"] != "0"):
    """
    Until one of them is put off; the notes of all that have one.  Those that wait in memory
    for another one's call, or for a target, have none yet.
    """
    def there():
        notes = [n for n in (c.retry(name_of(e)) for e in events) if n]
        return notes if any(true(n) for n in notes) else None
    return wait_until(there, [c.spool + "/retry"], "an event to be put off")


def one_after_the_other(on, match, kind, faults, **chain):
    """For each fault an event that meets it once: put off with a reason, then done."""
    with Chain("faults", **chain) as c:
        for i, (fault, reason) in enumerate(faults, 1):
            c.sandbox.fault(on=on, match=match, **fault)
            e = c.sandbox.emit(kind)[0]
            c.sandbox.quiet()
            c.wait_state(done=i)
            why = reasons(c, name_of(e))
            # libcurl repeats by itself what a kept connection lost without an answer, and a
            # document that broke off is gone on with at once
            mended = fault["do_"] == "reset" or fault.get("at") == "head" or \
                on == "document" and fault["do_"] in ("cut", "short")
            assert not why and mended or len(why) == 1 and re.search(reason, why[0]), (fault, why)
            c.check_stored(e)
            tap.same(c.sandbox.stats()["faults"], i, "faults that were met")
        tap.same(c.counts()["failed"], 0)
        tap.same(os.listdir(c.store + "/.tmp") if os.path.isdir(c.store + "/.tmp") else [], [],
                 "left in the store")


@test
def api_fails_once():
    one_after_the_other("api", "/client", "Client.Update", [
        (dict(do_="status", status=500), "answered 500"),
        (dict(do_="status", status=502), "answered 502"),
        (dict(do_="status", status=503, retry_after="1"), "answered 503"),
        (dict(do_="status", status=429, retry_after="1"), "answered 429"),
        (dict(do_="status", status=408), "answered 408"),
        (dict(do_="status", status=204), "answered 204"),
        (dict(do_="reset"), "."),
        (dict(do_="cut"), "."),
        (dict(do_="cut", at="head"), "."),
        (dict(do_="short"), "."),
        (dict(do_="html"), "not JSON"),
        (dict(do_="garbage"), "not JSON"),
        (dict(do_="delay", ms=8000), "."),
    ], daemon="api_timeout = 1s")


@test
def document_fails_once():
    one_after_the_other("document", "", "FileStore.Upload", [
        (dict(do_="status", status=500), "answered 500"),
        (dict(do_="status", status=503, retry_after="1"), "answered 503"),
        (dict(do_="reset"), "."),
        (dict(do_="cut"), "."),
        (dict(do_="cut", at="head"), "."),
        (dict(do_="short"), "."),
        (dict(do_="html"), "."),
        (dict(do_="garbage"), "."),
        (dict(do_="drip", bytes=16, ms=10000), "."),
    ], daemon="stall_timeout = 1s")


@test
def slow_but_moving():
    """a document that drips but does not stall is waited for"""
    with Chain("drip", sandbox=["--document-size", "4096"]) as c:
        c.sandbox.fault(on="document", do_="drip", bytes=512, ms=300)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        tap.same(reasons(c, name_of(e)), [])
        c.check_stored(e)


@test
def longer_than_announced():
    """bytes after the announced length are not part of the document"""
    with Chain("long") as c:
        c.sandbox.fault(on="document", do_="long")
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        c.check_stored(e)


@test
def expired_link():
    """a fresh one is asked for within the same try, at most three times, then in the next"""
    with Chain("expired") as c:
        c.sandbox.fault(on="api", match="/filestore", do_="expire", times=3)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        story = c.story(name_of(e))
        tap.same(len([s for s in story if "step=relink" in s]), 3, "fresh links")
        tap.same(reasons(c, name_of(e)), [])
        c.check_stored(e)
        c.sandbox.fault(on="api", match="/filestore", do_="expire", times=5)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=2)
        tap.same(len(reasons(c, name_of(e))), 1)
        c.check_stored(e)
        st = c.sandbox.stats()
        tap.same((st["document_expired"], st["document_authorization"]), (8, 0))


@test
def refused_link():
    """403 and 404 of the document host mean a new link, not the old one again"""
    with Chain("denied") as c:
        c.sandbox.fault(on="document", do_="deny")
        c.sandbox.fault(on="document", do_="status", status=404)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        tap.same(c.sandbox.stats()["api_filestore"], 3)
        tap.same(reasons(c, name_of(e)), [])
        c.check_stored(e)


def outage(kind, **fault):
    """As long as it lasts no event fails, though each may be tried but twice."""
    # The feed is asked at the start; a token endpoint that is to be down has to be met first.
    feed = "reconcile = off" if fault["on"] == "token" else ""
    with Chain("outage", daemon="tries = 2", account=feed) as c:
        c.sandbox.fault(times=-1, **fault)
        events = c.sandbox.emit(kind, count=12)
        c.sandbox.quiet()
        # the first calls, and the probe after the first pause
        c.sandbox.wait("faults=4")
        notes = wait_put_off(c, events)
        tap.same(c.counts()["failed"], 0)
        counted = sum(int(n["tries"]) - (n["state"] == "running") for n in notes)
        assert counted <= 1, notes
        assert "target is down" in c.daemon.said() or fault["on"] == "token", c.daemon.said()
        # new webhooks are accepted all the while
        more = c.sandbox.emit(kind)
        c.sandbox.quiet()
        tap.same(c.sandbox.events()[-1]["status"], 200)
        c.sandbox.no_faults()
        c.wait_state(done=13, failed=0)
        for e in events + more:
            c.check_stored(e)


@test
def api_is_down():
    outage("Client.Update", on="api", do_="status", status=503)


@test
def api_wants_less():
    outage("User.Update", on="api", do_="status", status=429, retry_after="1")


@test
def document_host_is_down():
    outage("FileStore.Upload", on="document", do_="status", status=503)


@test
def token_endpoint_is_down():
    outage("Client.Update", on="token", do_="status", status=500)


@test
def everything_hangs():
    """the vendor's machine answers no more, and then does"""
    with Chain("hang", daemon="tries = 2\napi_timeout = 1s") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        c.stop_daemon()
        events = c.sandbox.emit("Client.Update", count=5) + c.sandbox.emit("FileStore.Upload")
        c.sandbox.quiet()
        os.kill(c.sandbox.process.pid, signal.SIGSTOP)
        try:
            c.start_daemon()
            wait_put_off(c, events, lambda n: n["puts_off"] != "0" or
                         n["tries"] == "1" and n["state"] == "waiting")
        finally:
            os.kill(c.sandbox.process.pid, signal.SIGCONT)
        c.wait_state(done=7, failed=0)
        for e in events:
            c.check_stored(e)


@test
def nobody_listens():
    """connection refused, over a restart of the daemon; then somebody does"""
    ports = []
    for _ in range(3):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        ports.append(s)
    args = []
    for option, s in zip(("--port-api", "--port-documents", "--port-admin"), ports):
        args += [option, str(s.getsockname()[1])]
        s.close()
    with Chain("refused", daemon="tries = 2", sandbox=args) as c:
        c.sandbox.process.end()
        for n in range(1, 6):
            tap.same(c.post(json.dumps({"eventId": guid(n), "eventType": "Account.Update"})
                            .encode())[0], 200)
        wait_until(lambda: os.listdir(c.spool + "/retry"), [c.spool + "/retry"],
                   "an event to be put off")
        c.wait_state(cur=5)
        c.stop_daemon()
        c.start_daemon()
        tap.same({b: n for b, n in c.counts().items() if n}, {"cur": 5})
        again = Sandbox(c.dir + "/sandbox", args)
        c.sandbox = again
        c.wait_state(done=5, failed=0)


@test
def token_refused_once():
    """a 401 to a token of some age makes one renewal, and the event goes on in the same try"""
    with Chain("renew") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        path = c.dir + "/var/state/token/acme"
        token = json.loads(c.read(path))
        token["fetched"] -= 11 * 60 * 1000
        c.write("var/state/token/acme", json.dumps(token), 0o600, DAEMON_USER)
        c.sandbox.fault(on="api", do_="deny")
        e = c.sandbox.emit("Client.Update")[0]
        c.wait_state(done=2)
        tap.same(c.sandbox.stats()["tokens"], 2, "token requests")
        tap.same(reasons(c, name_of(e)), [])
        assert json.loads(c.read(path))["access_token"] != token["access_token"]


@test
def fresh_token_refused():
    """no storm of renewals: the target is paused with an alarm, and nothing is counted"""
    with Chain("refuses") as c:
        c.sandbox.fault(on="api", do_="deny", times=-1)
        events = c.sandbox.emit("Client.Update", count=20)
        c.sandbox.quiet()
        notes = wait_put_off(c, events, lambda n: n["puts_off"] != "0" and
                             n["state"] == "waiting")
        assert all(n["tries"] == "0" or n["state"] == "running" for n in notes), notes
        st = c.sandbox.stats()
        assert st["tokens"] <= 2, st
        assert "refuses" in c.daemon.said() and "level=error" in c.daemon.said()
        c.sandbox.no_faults()
        # a person has put it right: a restart tries it out
        c.stop_daemon()
        c.start_daemon()
        c.wait_state(done=20, failed=0)


@test
def client_refused_by_the_token_endpoint():
    """wrong client secret: events wait uncounted, the log says why"""
    with Chain("client", account="reconcile = off") as c:
        secret = c.read(c.dir + "/etc/acme.client").decode()
        c.write("etc/acme.client", "wrong\n", 0o600, DAEMON_USER)
        e = c.sandbox.emit("Client.Update")[0]
        note = wait_note(c, name_of(e), "put off", lambda n: n["puts_off"] != "0")
        tap.same(note["tries"], "0")
        assert "access_denied" in note["reason"], note
        for log in [c.daemon.said(), "".join(c.story())]:
            assert secret.strip() not in log
        c.write("etc/acme.client", secret, 0o600, DAEMON_USER)
        c.stop_daemon()
        c.start_daemon()
        c.wait_state(done=1)


@test
def always_fails():
    """after the limit it waits in failed/ with its reason; retry brings it to done"""
    with Chain("always", daemon="tries = 3") as c:
        c.sandbox.fault(on="api", match="/client", do_="status", status=500, times=-1)
        e = c.sandbox.emit("Client.Update")[0]
        other = c.sandbox.emit("User.Update")[0]
        c.wait_state(done=1, failed=1)
        tap.same(c.names("failed"), [name_of(e)])
        tap.same(len(reasons(c, name_of(e))), 2)
        note = c.retry(name_of(e))
        tap.same((note["tries"], note["state"]), ("3", "failed"))
        tap.same(note["reason"], "given up after 3 tries: the API answered 500")
        tap.same(c.sandbox.stats()["api_client"], 3)
        assert "the API answered 500" in c.ctl("explain", e["eventId"])
        assert "given up after 3 tries" in c.ctl("ls", "failed")
        # delivered again it is a duplicate, and stays where it is
        body = c.event_file("failed", name_of(e)).partition(b"\n\n")[2]
        tap.same(json.loads(c.post(body)[2])["status"], "duplicate")
        c.ctl("retry", name_of(e))
        c.wait_state(done=1, failed=1)
        tap.same(c.sandbox.stats()["api_client"], 6, "counted anew")
        c.sandbox.no_faults()
        c.ctl("retry", "ALL")
        c.wait_state(done=2, failed=0)
        c.check_stored(e)
        c.check_stored(other)
        c.wait_no_notes()


@test
def flushed():
    """flush makes what waits for its next try due now, and keeps what was counted"""
    with Chain("flush", daemon="retry_min = 1h\nretry_max = 1h") as c:
        c.sandbox.fault(on="api", match="/client", do_="status", status=500, times=1)
        e = c.sandbox.emit("Client.Update")[0]
        wait_note(c, name_of(e), "that it waits", lambda n: n["state"] == "waiting" and
                  int(n["due"]) > 0 and n["tries"] == "1")
        assert "1 waiting event made due" in c.ctl("flush")
        c.wait_state(done=1)
        tap.same(c.sandbox.stats()["api_client"], 2)
        c.check_stored(e)


@test
def hopeless():
    """what no repeat can mend goes to failed at once: an unknown kind, a 400, no object"""
    with Chain("hopeless") as c:
        c.sandbox.fault(on="api", match="/client", do_="status", status=400, times=-1)
        c.sandbox.emit("Client.Update")
        for n, body in enumerate((
                {"eventType": "Nobody.Knows"}, {"some": "thing"},
                {"eventType": "Client.Update", "eventId": guid(9)},
                {"eventType": "FileStore.Upload", "link": "https://elsewhere.example/x"})):
            tap.same(c.post(json.dumps(body).encode())[0], 200, str(body))
        c.wait_state(failed=5)
        for name in c.names("failed"):
            note = c.retry(name)
            assert note["tries"] == "1" and note["reason"], (name, note)
            tap.same(reasons(c, name), [])


@test
def gone():
    """what is no longer at the vendor is done, and says so"""
    with Chain("gone") as c:
        c.sandbox.fault(on="api", match="/client", do_="status", status=404)
        c.sandbox.fault(on="api", match="/user", do_="status", status=410)
        events = c.sandbox.emit("Client.Update") + c.sandbox.emit("User.Update")
        c.wait_state(done=2)
        for e in events:
            c.wait_story(name_of(e), 'step=done event=%s by=spoold reason="gone' % name_of(e))
            assert not os.path.exists(c.place(e) + "/record.json")


@test
def early():
    """an object that the API does not know yet is asked for again"""
    with Chain("early") as c:
        c.sandbox.fault(on="api", match="/filestore", do_="status", status=404, times=3)
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        tap.same(reasons(c, name_of(e)), ["the API answered 404"] * 3)
        c.check_stored(e)


@test
def documents_from_elsewhere():
    """a link or a redirect to a host that is not allowed is not followed, not even connected"""
    trap = socket.socket()
    trap.bind(("127.0.0.1", 0))
    trap.listen(16)
    trap.setblocking(False)
    with Chain("elsewhere") as c:
        for i, (on, to) in enumerate((
                ("document", "https://127.0.0.1:%d/x"), ("document", "http://127.0.0.1:%d/x"),
                ("document", "https://documents.localhost:%d/x"),
                ("document", "https://user@documents.localhost:%d/x"),
                ("document", "file:///etc/passwd"),
                ("api", "https://other.localhost:%d/x"), ("api", "file:///etc/passwd")), 1):
            if "%d" in to:
                to = to % trap.getsockname()[1]
            c.sandbox.fault(on=on, match="/filestore" if on == "api" else "", do_="redirect",
                            to=to, times=-1)
            e = c.sandbox.emit("FileStore.Upload")[0]
            c.sandbox.quiet()
            c.wait_state(failed=i)
            assert c.retry(name_of(e))["reason"], to
            c.sandbox.no_faults()
        try:
            trap.accept()
            raise Failure("somebody connected")
        except BlockingIOError:
            pass
        tap.same(c.sandbox.stats()["document_authorization"], 0)
    trap.close()


@test
def redirects_to_the_document():
    with Chain("redirect") as c:
        e = c.sandbox.emit("FileStore.Upload", deliver=0)[0]
        _, text = c.sandbox.record(e)
        c.sandbox.fault(on="document", do_="redirect", to=json.loads(text)["location"], times=2)
        e = c.sandbox.emit("FileStore.Upload", document=e["documentHashId"])[0]
        c.wait_state(done=1)
        body, meta = c.document(e)
        tap.same(hashlib.sha256(body).hexdigest(), meta["sha256"])


@test
def webhooks_go_wrong():
    """cut, doubled, reordered, late: what the sender holds for delivered is done once"""
    with Chain("webhook", sandbox=["--retry-after", "50"]) as c:
        for fault in (dict(do_="cut"), dict(do_="cut", times=2), dict(do_="duplicate", times=5),
                      dict(do_="reorder", ms=300), dict(do_="delay", ms=200)):
            c.sandbox.fault(on="webhook", **fault)
        events = c.sandbox.emit("all", count=3)
        c.sandbox.quiet()
        c.wait_state(done=36, failed=0, rejected=0)
        for e in c.sandbox.events():
            tap.same(e["state"], "delivered", e["kind"])
        for e in events:
            c.check_stored(e)


@test
def foreign_flags_and_files():
    """a mail program's flags are put back, what is no event is left alone"""
    if not IS_ROOT:
        raise tap.Skip("needs root")
    with Chain("foreign", daemon="rescan = 1s") as c:
        e = c.sandbox.emit("Client.Update")[0]
        c.wait_state(done=1)
        c.sandbox.fault(on="api", match="/client", do_="status", status=500, times=2)
        stray = c.spool + "/new/some-file"
        with open(stray, "w") as f:
            f.write("no event\n")
        os.chown(stray, DAEMON_USER, GROUP)
        later = c.sandbox.emit("Client.Update")[0]
        wait_note(c, name_of(later), "put off", lambda n: n["state"] == "waiting")
        path = c.box("cur") + "/" + name_of(later)
        os.rename(path + ":2,", path + ":2,RS")
        wait_until(lambda: name_of(later) in c.names("done"), [c.box("done")], "done")
        tap.same(os.listdir(c.box("new")), ["some-file"])
        os.unlink(stray)
        c.check_stored(e)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=6)
