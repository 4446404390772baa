#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_check - does spoolctl check find what is planted, name it, and say what to do?

One installation that is well; each plant makes one thing wrong, is found, and is taken away.
Receiver and daemon are two users, so it needs root.
"""
import contextlib
import email.utils
import http.server
import json
import os
import subprocess
import sys
import threading
import time

import tap
from chain import (DAEMON_USER, GROUP, IS_ROOT, RECEIVER_USER, SECRET, SPOOLCTL, WAIT, Chain,
                   Failure)

TESTS = []
HOOK = """#!/bin/sh
[ "$ARKEN_TEST" = 1 ] && grep -q Account.Update && [ "$ARKEN_ACCOUNT" = acme ] || exit 78
id -u; umask
"""


def test(f):
    TESTS.append(f)
    return f


class Other(http.server.BaseHTTPRequestHandler):
    """A web server that is not as it should be: the path says how."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        word = self.path.split("?")[0].strip("/").split("/")[0]
        status = int(word) if word.isdigit() else 200
        body = b'{"hashId":"%s","keys":7}' % self.server.account.encode()
        self.send_response_only(status)
        self.send_header("Date", email.utils.formatdate(
            time.time() - (3600 if word == "late" else 0), usegmt=True))
        if status == 302:
            self.send_header("Location", "https://elsewhere.example/hook")
        self.send_header("Content-Type", "text/html" if status != 200 else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Place:
    """The installation, and what is done to it."""

    def __init__(self, c):
        self.c = c
        self.spool, self.state, self.etc = c.spool, c.dir + "/var/state", c.dir + "/etc"
        self.conf = c.conf
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
        self.server.account = c.sandbox.account
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.other = "http://127.0.0.1:%d" % self.server.server_address[1]

    def check(self, *args, receiver=RECEIVER_USER):
        """The findings, by level; what is not ok has something to do about it."""
        r = subprocess.run([SPOOLCTL, "-c", self.conf, "check", "--json", "--receiver",
                            str(receiver)] + list(args), text=True, capture_output=True,
                           timeout=WAIT, cwd="/")
        found = [json.loads(line) for line in r.stdout.splitlines()]
        bad = [f for f in found if f["level"] == "failure"]
        tap.same(r.returncode, 78 if bad else 0, "exit status; %s%s" % (r.stdout, r.stderr))
        for f in found:
            assert (f["level"] == "ok") == ("remedy" not in f), f
        for secret in (SECRET, self.c.sandbox.env["CLIENT_SECRET"]):
            assert secret not in r.stdout + r.stderr, "a secret is shown"
        return found

    # Each is undone when its with ends.

    @contextlib.contextmanager
    def mode(self, path, mode):
        old = os.stat(path).st_mode & 0o7777
        os.chmod(path, mode)
        yield
        os.chmod(path, old)

    @contextlib.contextmanager
    def owner(self, path, uid, gid=-1):
        old = os.stat(path)
        os.chown(path, uid, gid)
        os.chmod(path, old.st_mode & 0o7777)
        yield
        os.chown(path, old.st_uid, old.st_gid)
        os.chmod(path, old.st_mode & 0o7777)

    @contextlib.contextmanager
    def without(self, path):
        os.rename(path, path + ".away")
        yield
        if os.path.islink(path):
            os.unlink(path)
        os.rename(path + ".away", path)

    @contextlib.contextmanager
    def link(self, path):
        with self.without(path):
            os.symlink(path + ".away", path)
            yield

    @contextlib.contextmanager
    def content(self, path, text):
        old = self.c.read(path)
        with open(path, "w") as f:
            f.write(text)
        yield
        with open(path, "wb") as f:
            f.write(old)

    @contextlib.contextmanager
    def line(self, old, new):
        """A line of the configuration that begins with old is this one instead."""
        text = self.c.read(self.conf).decode()
        lines = text.splitlines()
        at = [i for i, x in enumerate(lines) if x.startswith(old)]
        if not at:
            raise Failure("no line %r in %s" % (old, text))
        lines[at[0]] = new
        with self.content(self.conf, "\n".join(lines) + "\n"):
            yield

    @contextlib.contextmanager
    def stopped(self):
        self.c.stop_daemon()
        yield
        self.c.start_daemon()

    @contextlib.contextmanager
    def no_token(self):
        path = self.state + "/token/acme"
        with self.without(path):
            yield
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def plants(p):
    """name, what is done, options of check, level, check, what it is about, what is said."""
    e, s, t = p.etc, p.spool, p.state
    done = s + "/done/cur/" + os.listdir(s + "/done/cur")[0]
    store = t + "/store"
    record = [os.path.join(d, n) for d, _, names in os.walk(store) for n in names][0]
    fail = "failure"
    return [
        ("a value that is none", p.line("min_free", "min_free = lots"), [], fail,
         "configuration", p.conf, "min_free"),
        ("a key that is none", p.line("min_free", "min_fee = 1M"), [], fail, "configuration",
         p.conf, ":4: "),
        ("no configuration", p.without(p.conf), [], fail, "configuration", p.conf, "No such"),
        ("a group that is none", p.line("group", "group = nosuchgroup"), [], fail,
         "configuration", p.conf, "nosuchgroup"),
        ("a configuration others may write", p.mode(p.conf, 0o666), [], fail, "configuration",
         p.conf, "0666"),
        ("a configuration the receiver cannot read", p.mode(p.conf, 0o600), [], fail,
         "configuration", p.conf, "arken.fcgi (user 64012) cannot read"),
        ("an account without client_id", p.line("client_id", ""), [], fail, "account", None,
         "client_id"),
        ("no hash_id", p.line("hash_id", ""), [], "warning", "account", None, "hash_id"),
        ("a secret for everybody", p.mode(e + "/acme.secret", 0o644), [], fail, "secret_file",
         e + "/acme.secret", "everybody"),
        ("a secret its group may write", p.mode(e + "/acme.secret", 0o660), [], fail,
         "secret_file", e + "/acme.secret", "0660"),
        ("no file of secrets", p.without(e + "/acme.secret"), [], fail, "secret_file",
         e + "/acme.secret", "No such"),
        ("an empty file of secrets", p.content(e + "/acme.secret", ""), [], fail,
         "secret_file", e + "/acme.secret", "found"),
        ("a short secret", p.content(e + "/acme.secret", "short\n"), [], fail, "secret_file",
         e + "/acme.secret", "5 bytes"),
        ("a secret the receiver cannot read", p.mode(e + "/acme.secret", 0o600), [], fail,
         "secret_file", e + "/acme.secret", "arken.fcgi (user 64012) cannot read"),
        ("a client secret the receiver can read", p.mode(e + "/acme.client", 0o640), [], fail,
         "client_secret_file", e + "/acme.client", "can read it"),
        ("a client secret spoold cannot read", p.owner(e + "/acme.client", 0, 0), [], fail,
         "client_secret_file", e + "/acme.client", "spoold (user 64011) cannot read"),
        ("no client secret", p.without(e + "/acme.client"), [], fail, "client_secret_file",
         e + "/acme.client", "No such"),
        ("new/ with another mode", p.mode(s + "/new", 0o2755), [], fail, "spool", s + "/new",
         "expected 2770"),
        ("done/cur of another owner", p.owner(s + "/done/cur", 0), [], fail, "spool",
         s + "/done/cur", "belongs to 0:64010"),
        ("a folder of another group", p.owner(s + "/held", -1, 0), [], fail, "spool",
         s + "/held", "expected 64011:64010"),
        ("a folder that is missing", p.without(s + "/held/cur"), [], fail, "spool",
         s + "/held/cur", "No such"),
        ("a folder that is a link", p.link(s + "/rejected/new"), [], fail, "spool",
         s + "/rejected/new", "link"),
        ("no spool", p.line("directory", "directory = /nonexistent/spool"), [], fail, "spool",
         "/nonexistent/spool", "No such"),
        ("a spool on a memory file system", p.line("directory", "directory = /dev/shm"), [],
         fail, "spool", "/dev/shm", ""),
        ("an event for everybody", p.mode(done, 0o644), [], fail, "spool", done, "0644"),
        ("a store for everybody", p.mode(store, 0o755), [], fail, "store", store, "0755"),
        ("a record of root's", p.owner(record, 0), [], fail, "store", record, "user 0"),
        ("a token for everybody", p.mode(t + "/token/acme", 0o644), [], fail, "token",
         t + "/token/acme", "0644"),
        ("a state others may write", p.mode(t, 0o770), [], fail, "state", t, "0770"),
        ("no room", p.line("min_free", "min_free = 65536G"), [], fail, "spool", s,
         "no event is taken"),
        ("no inodes", p.line("min_inodes", "min_inodes = 1000000000"), [], fail, "spool", s,
         "inodes"),
        ("no hook", p.without(e + "/hook"), [], fail, "hook", e + "/hook", "No such"),
        ("a hook that cannot be run", p.mode(e + "/hook", 0o644), [], fail, "hook",
         e + "/hook", "cannot run it"),
        ("a hook others may write", p.mode(e + "/hook", 0o777), [], fail, "hook", e + "/hook",
         "0777"),
        ("a hook that fails", p.content(e + "/hook", "#!/bin/sh\necho broken; exit 3\n"),
         ["--hook"], fail, "hook", e + "/hook", "exit status 3: broken"),
        ("a hook that hangs", p.content(e + "/hook", "#!/bin/sh\nexec tail -f /dev/null\n"),
         ["--hook"], fail, "hook", e + "/hook", "did not end"),
        ("a hook without its interpreter", p.content(e + "/hook", "#!/nonexistent\n"),
         ["--hook"], fail, "hook", e + "/hook", "cannot be started"),
        ("no program for alarms", p.line("retry_min", "retry_min = 1s\nalarm_command = "
                                         "/nonexistent/alarm"), [], fail, "alarm_command",
         "/nonexistent/alarm", "No such"),
        ("a certificate that ends soon", p.line("retry_min", "retry_min = 1s\n"
                                                "certificate_limit = 3650d"), ["--online"],
         "warning", "api", p.c.sandbox.env["API_URL"], "certificate ends in"),
        ("spoold does not run", p.stopped(), [], fail, "spoold", None, "does not run"),
        ("nobody at the API", p.line("api =", "api = http://127.0.0.1:1"), ["--online"], fail,
         "api", "http://127.0.0.1:1", "no connection"),
        ("an authority that is another", p.line("ca_file", "ca_file = %s/other.pem" % e),
         ["--online"], fail, "api", p.c.sandbox.env["API_URL"], "TLS"),
        ("an API that is none", p.line("api =", "api = " + p.other + "/404"), ["--online"],
         fail, "api", p.other + "/404", "cannot be seen"),
        ("a clock that is wrong", p.line("api =", "api = " + p.other + "/late"), ["--online"],
         fail, "clock", None, "ahead of"),
        ("another account", p.line("hash_id", "hash_id = 0000000000000000000000"),
         ["--online"], fail, "api", p.c.sandbox.env["API_URL"], "cannot be seen"),
        ("a wrong client secret", wrong_secret(p), ["--online"], fail, "token",
         p.c.sandbox.env["TOKEN_URL"], "access_denied"),
        ("subscribed to another URL", p.line("public_url", "public_url = " + p.c.url + "/"),
         ["--online"], "warning", "subscription", None, "somewhere else"),
        ("a public URL nobody has", public(p, p.c.url + "x"), ["--online"], fail, "public_url",
         p.c.url + "x", "404"),
        ("a public URL nobody listens at", public(p, "http://127.0.0.1:1/"), ["--online"],
         fail, "public_url", "http://127.0.0.1:1/", "no connection"),
        ("a redirect", public(p, p.other + "/302"), ["--online"], fail, "public_url",
         p.other + "/302", "elsewhere.example"),
        ("GET only", public(p, p.other + "/405"), ["--online"], fail, "public_url",
         p.other + "/405", "lets no POST"),
        ("no receiver behind it", public(p, p.other + "/502"), ["--online"], fail,
         "public_url", p.other + "/502", "does not reach arken.fcgi"),
        ("a password in front of it", public(p, p.other + "/401"), ["--online"], fail,
         "public_url", p.other + "/401", "password"),
        ("another program behind it", public(p, p.other + "/200"), ["--online"], fail,
         "public_url", p.other + "/200", "not arken.fcgi"),
        ("keys that are none", p.line("hash_id", "hash_id = %s\nissuer = %s\naudience = a\n"
                                      "jwks_url = %s/keys" % (p.c.sandbox.account, p.other,
                                                              p.other)),
         ["--online"], fail, "issuer", p.other + "/keys", "no keys"),
        ("an issuer nobody asked", p.line("hash_id", "hash_id = %s\nissuer = %s\naudience = a"
                                          % (p.c.sandbox.account, p.other)), [], fail, "keys",
         p.other, "none were ever fetched"),
    ]


@contextlib.contextmanager
def wrong_secret(p):
    with p.no_token(), p.content(p.etc + "/acme.client", "wrong\n"):
        yield


def public(p, url):
    return p.line("public_url", "public_url = " + url)


def well(p, *args):
    found = p.check(*args)
    bad = [f for f in found if f["level"] != "ok"]
    tap.same(bad, [], "what is wrong with what is well")
    return found


@contextlib.contextmanager
def installation(name):
    if not IS_ROOT:
        raise tap.Skip("needs root: receiver and daemon are two users")
    with Chain(name) as c:
        c.write("etc/hook", HOOK, 0o755)
        c.configure(account="public_url = %s\nhook = %s/etc/hook\nhook_timeout = 500ms" % (
            c.url, c.dir))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=other", "-keyout", "/dev/null", "-out",
                        c.dir + "/etc/other.pem"], check=True, capture_output=True)
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        p = Place(c)
        try:
            yield p
        finally:
            p.server.shutdown()
            p.server.server_close()


@test
def planted():
    """each of more than fifty mistakes is found and named, and only while it is there"""
    with installation("ctl-check") as p:
        found = well(p, "--online", "--hook")
        said = {(f["check"], f.get("text")) for f in found}
        assert ("hook", "takes a test event: %d 0027" % DAEMON_USER) in said, said
        assert any(c == "api" and "certificate ends in" in t for c, t in said), said
        count, missed = 0, []
        for name, plant, args, level, check, subject, text in plants(p):
            with plant:
                found = p.check(*args)
            hits = [f for f in found if f["level"] == level and f["check"] == check and
                    f.get("subject") == subject and text in f["text"]]
            if not hits:
                missed.append("%s: not found in %s" % (name, json.dumps(
                    [f for f in found if f["level"] != "ok"], indent=1)))
            count += 1
        if missed:
            raise Failure("\n".join(missed))
        tap.note("%d plants found" % count)
        assert count >= 20
        well(p, "--online", "--hook")


@test
def others():
    """what stands in the spool is said; the receiver as another user; text for people"""
    with installation("ctl-checks") as p:
        c = p.c
        hits = [f for f in p.check(receiver=DAEMON_USER) if f["level"] == "failure"]
        tap.same([f["check"] for f in hits], ["receiver"])
        hits = [f for f in p.check(receiver=0) if f["level"] == "failure"]
        assert "receiver" in [f["check"] for f in hits], hits
        tap.same([f["check"] for f in p.check(receiver="nosuchuser")], ["receiver"])
        # An event with neither id nor number, one that fails, one that cannot be read.
        tap.same(c.post(b'{"eventType":"User.Update","userHashId":"u"}')[0], 200)
        tap.same(c.post(b'{"eventId":"x-1","eventType":"Unheard.Of"}')[0], 200)
        tap.same(c.post(b"no json")[0], 400)
        c.ctl("pause", "hook:acme", "--reason", "the CRM moves")
        c.wait_state(failed=1, rejected=1, done=2)
        found = {f["check"]: f for f in p.check() if f["level"] == "warning"}
        tap.same(sorted(found), ["failed", "identity", "rejected", "target"])
        assert "the CRM moves" in found["target"]["text"], found
        c.ctl("resume", "hook:acme")
        # For people.
        r = subprocess.run([SPOOLCTL, "-c", p.conf, "check", "--receiver", str(RECEIVER_USER)],
                           text=True, capture_output=True, cwd="/", timeout=WAIT)
        tap.same((r.returncode, r.stderr), (0, ""))
        assert "\nwarning failed: 1 need a person\n        -> \"spoolctl ls" in r.stdout, r.stdout
        assert r.stdout.splitlines()[-1].endswith(", 0 failures"), r.stdout
        # Without root's rights: what cannot be looked at is said, nothing else is wrong.
        c.ctl("check", "--receiver", str(RECEIVER_USER))
        # Usage.
        c.ctl("check", "more", want=64)
        r = subprocess.run([SPOOLCTL, "-s", p.spool, "check"], capture_output=True, cwd="/")
        tap.same(r.returncode, 64)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
