#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_handover - does the firm's own system get every event, whatever it answers and whoever dies?"""
import base64
import hashlib
import hmac
import http.server
import importlib.util
import json
import os
import random
import re
import select
import shutil
import signal
import sqlite3
import sys
import threading

import tap
from chain import (Chain, DAEMON_USER, Failure, IS_ROOT, Process, SECRET, TOP, WAIT, guid,
                   wait_until)

TESTS = []
FAST = "tries = 2\nretry_min = 100ms\nretry_max = 100ms\nstop_grace = 0\n"
EXAMPLES = os.path.join(TOP, "docs/examples")


def test(f):
    TESTS.append(f)
    return f


# ---- a chain with a hook ----

class Hooked(Chain):
    """A chain whose hook is a script of the test; it works in the folder crm."""

    def __init__(self, name, script=None, conf="", daemon=FAST, hook=None, **more):
        self.script, self.conf_lines, self.hook = script, conf, hook
        super().__init__("handover-" + name, receiver=more.pop("receiver", "listen"),
                         daemon=daemon, **more)

    def _start(self):
        self.crm = self.folder("crm", DAEMON_USER)
        if self.script is not None:
            self.hook_is(self.script)
            self.hook = self.hook or "{crm}/hook"
        if self.hook is not None:
            self.hook = self.hook.format(crm=self.crm, examples=self.crm)
        hook = "hook = %s\n" % self.hook if self.hook else ""
        self.extra["account"] = hook + self.conf_lines
        super()._start()

    def hook_is(self, script):
        """Replace the hook; one that runs is not disturbed."""
        path = self.write("crm/.hook", "#!/bin/sh\nset -u\ncd %s\n%s\n" % (self.crm, script),
                          0o755)
        os.rename(path, self.crm + "/hook")

    def send(self, n, client=None, kind="Client.Delete"):
        """An event that needs no call back; returns its name."""
        body = {"eventId": guid(n), "eventType": kind, "clientHashId": client or "c%d" % n}
        tap.same(self.post(json.dumps(body).encode())[0], 200, "answer")
        return "acme.%s.%s" % (guid(n), kind)

    def crm_text(self, name):
        try:
            with open(os.path.join(self.crm, name)) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def crm_has(self, name, lines=1):
        """Until a file of the hook has so many lines."""
        wait_until(lambda: self.crm_text(name).count("\n") >= lines, [self.crm],
                   lambda: "%d lines in %s: %r" % (lines, name, self.crm_text(name)))
        return self.crm_text(name)

    def wait_note(self, name, **want):
        """Until the daemon's note of an event says this and the try is over."""
        def there():
            note = self.retry(name) or {}
            return note.get("state") in ("waiting", "failed") and \
                all(w in note.get(k, "") for k, w in want.items()) and note
        return wait_until(there, [os.path.join(self.spool, "retry")],
                          lambda: "%r of %s; it is %r" % (want, name, self.retry(name)))


def gone(pids):
    """Wait until processes have ended."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([fd], [], [], WAIT)[0]:
                raise Failure("process %d is still there" % pid)
        finally:
            os.close(fd)


# ---- hooks ----

@test
def every_exit_status():
    """0 done, 65 failed at once, anything else but 69 and 78 counted until it is given up;
    the step and the reason are kept, the end of the output with it"""
    script = 'echo "said $ARKEN_TRY" >&2\ncase $ARKEN_OBJECT in\n' \
        'exit*) exit ${ARKEN_OBJECT#exit};;\nkill*) kill -${ARKEN_OBJECT#kill} $$;;\nesac'
    with Hooked("status", script) as c:
        cases = {"exit%d" % n: ("exit status %d" % n) for n in
                 (0, 1, 2, 64, 65, 66, 70, 75, 77, 100, 126, 127, 128, 255)}
        cases.update(killKILL="killed by signal 9", killSEGV="killed by signal 11")
        names = {case: c.send(i, case) for i, case in enumerate(cases)}
        c.wait_until_settled(len(cases))
        for case, name in names.items():
            if case == "exit0":
                tap.same(name in c.names("done"), True, case)
                continue
            tap.same(name in c.names("failed"), True, case)
            note = c.retry(name)
            tries = 1 if case == "exit65" else 2
            tap.same((note["tries"], note["step"]), (str(tries), "hook"), case)
            want = "hook: %s: said %d" % (cases[case], tries)
            if tries == 2:
                want = "given up after 2 tries: " + want
            tap.same(note["reason"], want, case)
            c.wait_story(name, "hook: %s: said %d" % (cases[case], tries))
        assert "said" in c.ctl("explain", names["exit70"])
        tap.same(c.ctl("targets").count("down"), 1)  # "none is down or paused"


@test
def what_a_hook_is_told():
    """The environment is exactly as documented, stdin is the event byte for byte, no secret
    is in environment or arguments, no descriptor but three is open"""
    script = 'cat > "stdin.$ARKEN_TYPE"; tr "\\0" "\\n" < /proc/$$/environ > "env.$ARKEN_TYPE"\n' \
        'tr "\\0" " " < /proc/$$/cmdline > "args.$ARKEN_TYPE"\n' \
        'ls /proc/$$/fd > "fds.$ARKEN_TYPE"; pwd > "pwd.$ARKEN_TYPE"\n' \
        'cat "${ARKEN_RECORD:-/dev/null}" > "record.$ARKEN_TYPE"\n' \
        'cat "${ARKEN_DOCUMENT:-/dev/null}" > "document.$ARKEN_TYPE"'
    with open(os.path.join(TOP, "docs/integration.md")) as f:
        documented = set(re.findall(r"^\| `(ARKEN_[A-Z0-9_]+)` \|", f.read(), re.M))
    with Hooked("env", script, hook="{crm}/hook one $(id) two") as c:
        upload = c.sandbox.emit("FileStore.Upload")[0]
        c.sandbox.quiet()
        c.wait_state(done=1)
        tap.same(c.post(b'{"eventType":"Client.Delete", "eventId":"d-1",\n'
                        b'"clientHashId":"$(id)"}')[0], 200)
        c.wait_state(done=2)

        def env(kind):
            rows = [r.split("=", 1) for r in c.crm_text("env." + kind).splitlines()]
            got = dict(rows)
            tap.same(len(got), len(rows), "variables twice")
            return got

        up, down = env("Upload"), env("Delete")
        seen = set(up) | set(down)
        for got in (up, down):
            # what a shell makes of itself
            for name in ("PWD", "OLDPWD", "_", "SHLVL"):
                got.pop(name, None)
        home = "/"
        try:
            import pwd
            home = pwd.getpwuid(DAEMON_USER if IS_ROOT else os.geteuid()).pw_dir
        except KeyError:
            pass
        for got in (up, down):
            tap.same(got.pop("PATH"),
                     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            tap.same(got.pop("LANG"), "C.UTF-8")
            tap.same(got.pop("HOME"), home)
        place = c.place(upload)
        doc, meta = c.document(upload)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", up.pop("ARKEN_RECEIVED"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                            down.pop("ARKEN_RECEIVED"))
        want = {
            "ARKEN_EVENT_ID": upload["eventId"], "ARKEN_ACCOUNT": "acme",
            "ARKEN_EVENT": "acme.%s.FileStore.Upload" % upload["eventId"],
            "ARKEN_CATEGORY": "FileStore", "ARKEN_TYPE": "Upload", "ARKEN_SOURCE": "webhook",
            "ARKEN_TRY": "1", "ARKEN_OBJECT": upload["documentHashId"],
            "ARKEN_ACCOUNT_HASH": c.sandbox.account,
            "ARKEN_CLIENT_HASH": upload["clientHashId"],
            "ARKEN_DOCUMENT_HASH": upload["documentHashId"], "ARKEN_STORE": c.store,
            "ARKEN_FOLDER": place, "ARKEN_RECORD": place + "/record.json",
            "ARKEN_DOCUMENT": place + "/" + meta["file"],
            "ARKEN_DOCUMENT_JSON": place + "/document.json",
            "ARKEN_DOCUMENT_SIZE": str(len(doc)), "ARKEN_DOCUMENT_SHA256": meta["sha256"],
            "ARKEN_DOCUMENT_MEDIA_TYPE": meta["mediaType"]}
        tap.same(up, {k: v for k, v in want.items() if k in up or k != "ARKEN_ACCOUNT_HASH"})
        folder = down["ARKEN_FOLDER"]
        assert re.fullmatch(re.escape(c.store) + r"/acme/Client/x-[0-9a-f]{32}", folder), folder
        tap.same(down, {
            "ARKEN_EVENT_ID": "d-1", "ARKEN_ACCOUNT": "acme",
            "ARKEN_EVENT": "acme.d-1.Client.Delete", "ARKEN_CATEGORY": "Client",
            "ARKEN_TYPE": "Delete", "ARKEN_SOURCE": "webhook", "ARKEN_TRY": "1",
            "ARKEN_OBJECT": "$(id)", "ARKEN_CLIENT_HASH": "$(id)", "ARKEN_STORE": c.store,
            "ARKEN_FOLDER": folder, "ARKEN_TOMBSTONE": folder + "/deleted.json"})
        undocumented = {n for n in seen if n.startswith("ARKEN_")} - documented
        tap.same(undocumented, set(), "variables that are not in integration.md")
        tap.same(documented - seen, {"ARKEN_USER_HASH"}, "documented, not seen here")
        tap.same(c.crm_text("stdin.Delete"), '{"eventType":"Client.Delete", "eventId":"d-1",\n'
                 '"clientHashId":"$(id)"}')
        tap.same(json.loads(c.crm_text("stdin.Upload"))["eventId"], upload["eventId"])
        tap.same(c.crm_text("args.Upload"), "/bin/sh %s/hook one $(id) two " % c.crm)
        tap.same(c.crm_text("record.Upload").encode(), c.read(place + "/record.json"))
        tap.same(c.read(c.crm + "/document.Upload"), doc)
        for kind in ("Upload", "Delete"):
            fds = c.crm_text("fds." + kind).split()
            # a shell keeps its script open beyond 9
            tap.same([f for f in fds if int(f) < 10], ["0", "1", "2"], "descriptors")
            everything = c.crm_text("env." + kind) + c.crm_text("args." + kind)
            for secret in (SECRET, c.sandbox.env["CLIENT_SECRET"], "Bearer"):
                assert secret not in everything, secret


@test
def a_time_limit():
    """SIGTERM, then SIGKILL, to all that the hook started; a failure that counts"""
    script = "trap '' TERM; echo $$ >> pids\n(trap '' TERM; exec tail -f /dev/null > /dev/null 2>&1) &\n" \
        "echo $! >> pids; echo waiting; exec tail -f /dev/null"
    with Hooked("limit", script, "hook_timeout = 300ms\n", daemon="tries = 1\n") as c:
        name = c.send(1)
        c.wait_state(failed=1)
        tap.same(c.retry(name)["reason"],
                 "given up after 1 tries: hook: ended after its time limit: waiting")
        pids = [int(p) for p in c.crm_text("pids").split()]
        tap.same(len(pids), 2)
        gone(pids)


# Nothing of it writes to the hook's output: it would end with the pipe.
TREE = """\
[ ! -e quick ] || exit 0
tail -f /dev/null > /dev/null 2>&1 & echo $! >> pids
setsid sh -c 'trap "" TERM HUP; echo $$ >> pids; echo 1 >> ready; exec tail -f /dev/null > /dev/null 2>&1' &
(setsid sh -c 'tail -f /dev/null > /dev/null 2>&1 & echo $! >> pids; echo 1 >> ready') &
echo $$ >> pids; echo 1 >> ready
trap '' TERM HUP
exec tail -f /dev/null > /dev/null 2>&1"""


def processes_end(sig):
    with Hooked("end-%d" % sig, TREE) as c:
        name = c.send(1)
        c.crm_has("ready", 3)
        pids = [int(p) for p in c.crm_text("pids").split()]
        tap.same(len(pids), 4)
        before = c.retry(name)
        tap.same((before["state"], before["tries"], before["step"]), ("running", "1", "hook"))
        c.stop_daemon(sig)
        gone(pids)
        c.crm_text("pids")
        after = c.retry(name)
        if sig == signal.SIGTERM:  # uncounted; the step is kept
            tap.same((after["state"], after["step"], after["tries"]), ("waiting", "hook", "0"))
        c.write("crm/quick", "")
        c.start_daemon()
        c.wait_state(done=1)


@test
def a_hook_ends_with_the_daemon():
    """A stop ends a hook, its children and those that left its group; it is not counted"""
    processes_end(signal.SIGTERM)


@test
def a_hook_ends_with_a_killed_daemon():
    """SIGKILL to the daemon leaves nothing behind either"""
    processes_end(signal.SIGKILL)


@test
def a_stop_waits_for_a_hook():
    """Within stop_grace a hook that runs may end by itself, and that is what counts"""
    script = "echo 1 >> ready; read x < go; echo $x >> done"
    with Hooked("grace", script, daemon="stop_grace = 60s\n") as c:
        os.mkfifo(c.crm + "/go")
        os.chmod(c.crm + "/go", 0o666)
        c.send(1)
        c.crm_has("ready")
        c.daemon.p.send_signal(signal.SIGTERM)
        fd = os.open(c.crm + "/go", os.O_WRONLY)
        os.write(fd, b"now\n")
        os.close(fd)
        tap.same(c.daemon.p.wait(WAIT), 0)
        tap.same(c.crm_text("done"), "now\n")
        tap.same(len(c.names("done")), 1)
        c.daemon.end()


@test
def a_hook_that_is_down():
    """69: the events wait, none is counted, others do not ask; then all are handed over"""
    script = 'echo "$ARKEN_EVENT_ID $ARKEN_TRY" >> calls; [ -e well ] || { echo no CRM; exit 69; }'
    with Hooked("down", script) as c:
        names = [c.send(i) for i in range(5)]
        for name in names:
            note = c.wait_note(name, reason="exit status 69")
            tap.same(note["tries"], "0", "tries")
        tap.same(c.counts()["failed"], 0)
        listed = json.loads(c.ctl("targets", "--json"))
        tap.same((listed["target"], listed["state"], listed["by"]),
                 ("hook:acme", "down", "spoold"))
        assert "no CRM" in listed["reason"], listed
        calls = c.crm_text("calls").count("\n")
        assert calls <= 5 + 4, calls  # each once, then one for all, now and then
        c.crm_has("calls", calls + 1)  # it is tried out by itself
        tap.same(c.counts()["failed"], 0)
        c.write("crm/well", "")
        c.wait_state(done=5, failed=0)
        assert all(row.split()[1] == "1" for row in c.crm_text("calls").splitlines())
        assert "none is down" in c.ctl("targets")


@test
def a_hook_that_has_to_be_mended():
    """78, or no program at all: paused, uncounted, over a restart, until it is resumed"""
    script = 'echo 1 >> calls; echo "no database is set"; exit 78'
    with Hooked("config", script) as c:
        names = [c.send(i) for i in range(3)]
        for name in names:
            tap.same(c.wait_note(name, reason="no database is set")["tries"], "0")
        calls = c.crm_text("calls")
        assert "until it is resumed" in c.ctl("targets")
        c.stop_daemon()
        c.start_daemon()
        for name in names:
            c.wait_note(name, reason="hook:acme is paused: hook: exit status 78")
        tap.same(c.crm_text("calls"), calls, "calls while paused")
        c.hook_is("exit 0")
        c.ctl("resume", "hook:acme")
        c.wait_state(done=3, failed=0)
        # A program that is not there, and one that may not be run.
        for mode in (None, 0o644):
            os.unlink(c.crm + "/hook")
            if mode is not None:
                c.write("crm/hook", "#!/bin/sh\n", mode)
            name = c.send(10 + (mode or 0))
            tap.same(c.wait_note(name, reason="cannot be started")["tries"], "0")
            c.stop_daemon()
            c.hook_is("exit 0")
            c.ctl("resume", "hook:acme")  # no daemon is needed
            c.start_daemon()
            c.wait_state(new=0, cur=0)
        c.wait_state(done=5, failed=0)


@test
def an_operator_pauses():
    """spoolctl pause holds a target, over a restart; resume lets its events go"""
    with Hooked("pause", "echo $ARKEN_EVENT_ID >> calls") as c:
        c.ctl("pause", "hook:acme", "--reason", "the CRM moves")
        name = c.send(1)
        c.wait_note(name, reason="hook:acme is paused: the CRM moves")
        c.stop_daemon()
        c.start_daemon()
        c.wait_note(name, reason="the CRM moves")
        tap.same(c.crm_text("calls"), "")
        c.ctl("resume", "hook:acme")
        c.wait_state(done=1)
        tap.same(c.crm_text("calls").count("\n"), 1)
        # The API is a target like any other.
        c.ctl("pause", "api:acme")
        event = c.sandbox.emit("Client.Update")[0]
        name = "acme.%s.Client.Update" % event["eventId"]
        tap.same(c.wait_note(name, reason="api:acme is paused")["tries"], "0")
        c.ctl("resume", "api:acme")
        c.wait_state(done=2)


UNRELIABLE = """\
n=0; [ ! -e "n.$ARKEN_EVENT_ID" ] || read n < "n.$ARKEN_EVENT_ID"
n=$((n + 1)); echo $n > "n.$ARKEN_EVENT_ID"
set -- $(echo "{seed} $ARKEN_EVENT_ID $n" | cksum)
luck=$(($1 / 7 % 10))
case $luck in 0) exit 75;; 1) exit 1;; 2) kill -9 $$;; esac
mkdir -p "effect/$ARKEN_EVENT_ID"
case $luck in 3) exit 75;; 4) kill -9 $$;; esac
exit 0"""


@test
def each_effect_at_least_once_recorded_once():
    """200 events, half of all tries fail before or after their effect, the daemon is stopped
    and killed in between: every event has its effect and is done, once"""
    seed = random.SystemRandom().randrange(2 ** 32)
    tap.note("seed %d" % seed)
    with Hooked("random", UNRELIABLE.replace("{seed}", str(seed)), receivers=2,
                daemon="tries = 1000\nretry_min = 100ms\nretry_max = 200ms\nstop_grace = 0\n"
                "concurrency = 8\n") as c:
        c.folder("crm/effect", DAEMON_USER)
        names = sorted(c.send(i) for i in range(200))
        for turn, sig in enumerate([signal.SIGTERM, signal.SIGKILL, signal.SIGTERM,
                                    signal.SIGTERM, signal.SIGKILL], 1):
            want = 25 * turn
            wait_until(lambda: len(os.listdir(c.box("done"))) >= want, [c.box("done")],
                       "%d events done" % want)
            c.stop_daemon(sig)
            c.start_daemon()
        c.wait_state(done=200, failed=0, held=0, rejected=0, seconds=120)
        tap.same(c.names("done"), names)
        tap.same(sorted(os.listdir(c.crm + "/effect")), sorted(n.split(".")[1] for n in names))
        calls = sum(int(c.crm_text(n)) for n in os.listdir(c.crm) if n.startswith("n."))
        tap.note("%d calls of hooks for 200 events" % calls)
        assert calls > 200, "no try failed"
        c.stop_daemon()  # then the log is complete, but for lines that a SIGKILL cut off
        done = [row for row in c.story() if " step=done " in row]
        for name in names:
            assert sum(name in row for row in done) <= 1, name
        assert len(done) >= 200 - 2 * 8, len(done)


# ---- a forward ----

FORWARD_SECRETS = ["whsec_" + base64.b64encode(b"a new secret of 32 bytes or more.").decode(),
                   "an-older-secret-that-is-still-good"]


class CRM:
    """
    What events are forwarded to.  It keeps every request, checks each signature with code of
    its own, and answers as the path or the test says.
    """

    def __init__(self):
        crm = self
        self.requests, self.answers, self.changed = [], {}, threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = {"method": self.command, "path": self.path, "body": body,
                           "headers": {k.lower(): v for k, v in self.headers.items()}}
                with crm.changed:
                    status, more = crm.answer(request)
                    request["status"] = status
                    crm.requests.append(request)
                    crm.changed.notify_all()
                if status == 0:  # hang up
                    self.close_connection = True
                    return
                text = b"said %d" % status
                self.send_response(status)
                for k, v in more.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(text) if status != 204 else 0))
                self.end_headers()
                if status != 204:
                    self.wfile.write(text)

            do_PUT = do_POST

            def log_message(self, format, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        """Status and headers: what the client's hash id asks for, else 200."""
        if request["method"] == "PUT":
            return self.answers.get("PUT", 201), {}
        data = json.loads(request["body"])["data"]
        m = re.fullmatch(r"s(\d+)", data["object"] or "")
        if m:
            return int(m.group(1)), {"Location": self.url + "/elsewhere"}
        status = self.answers.get("POST", 200)
        return status, {"Retry-After": "1"} if status == 503 else {}

    def wait(self, count, what=lambda r: True):
        """The requests that are so, once there are so many."""
        def there():
            return [r for r in self.requests if what(r)]
        with self.changed:
            if not self.changed.wait_for(lambda: len(there()) >= count, WAIT):
                raise Failure("waited for %d requests, there are %d" % (count, len(there())))
            return there()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.server.shutdown()
        self.server.server_close()


def signatures(request, payload, secrets=FORWARD_SECRETS):
    """What a receiver computes by the specification."""
    h = request["headers"]
    message = ("%s.%s." % (h["webhook-id"], h["webhook-timestamp"])).encode() + payload
    out = []
    for s in secrets:
        key = base64.b64decode(s[6:]) if s.startswith("whsec_") else s.encode()
        out.append("v1," + base64.b64encode(
            hmac.new(key, message, hashlib.sha256).digest()).decode())
    return " ".join(out)


class Forwarded(Hooked):
    def __init__(self, name, crm, conf="", secrets=FORWARD_SECRETS, script=None, **more):
        self.secrets = secrets
        lines = "forward = %s/events\nforward_secret_file = {crm}/secret\n%s" % (crm.url, conf)
        super().__init__(name, script, lines, **more)

    def folder(self, name, uid=None, mode=0o755):
        path = super().folder(name, uid, mode)
        if name == "crm":
            self.conf_lines = self.conf_lines.replace("{crm}", path)
            self.put_secrets(self.secrets)
        return path

    def put_secrets(self, secrets):
        self.write("crm/secret", "".join(s + "\n" for s in secrets), 0o600, DAEMON_USER)


@test
def what_a_receiver_gets():
    """Event and record byte for byte, document by PUT before it, each signed by every live
    secret as Standard Webhooks; the bearer token goes nowhere"""
    with CRM() as crm, Forwarded(
            "post", crm, "forward_document = put\nforward_document_url = %s/documents/"
            "{documentHashId}{suffix}?client={clientHashId}&digest={sha256}\n" % crm.url) as c:
        event = c.sandbox.emit("FileStore.Upload")[0]
        c.sandbox.quiet()
        c.wait_state(done=1)
        name = "acme.%s.FileStore.Upload" % event["eventId"]
        put, post = crm.wait(2)
        doc, meta = c.document(event)
        tap.same((put["method"], put["path"]), ("PUT", "/documents/%s%s?client=%s&digest=%s" % (
            event["documentHashId"], meta["suffix"], event["clientHashId"], meta["sha256"])))
        tap.same(put["body"], doc)
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(doc).digest()).decode()
        h = put["headers"]
        tap.same((h["content-digest"], h["content-type"], h["content-length"], h["arken-event"],
                  h["webhook-id"]), (digest, meta["mediaType"], str(len(doc)), name,
                                     event["eventId"] + "-document"))
        tap.same(h["webhook-signature"], signatures(put, digest.encode()))
        tap.same((post["method"], post["path"]), ("POST", "/events"))
        h = post["headers"]
        tap.same((h["webhook-id"], h["content-type"]), (event["eventId"], "application/json"))
        tap.same(h["webhook-signature"], signatures(post, post["body"]))
        tap.same(len(h["webhook-signature"].split()), 2)
        body = json.loads(post["body"])
        raw = c.event_file("done", name).partition(b"\n\n")[2]
        record = c.read(c.place(event) + "/record.json")
        assert raw in post["body"] and record in post["body"]
        data = body["data"]
        tap.same((body["type"], data["id"], data["account"], data["name"], data["source"],
                  data["object"], data["deleted"]),
                 ("FileStore.Upload", event["eventId"], "acme", name, "webhook",
                  event["documentHashId"], False))
        tap.same(data["event"], json.loads(raw))
        tap.same(data["record"], json.loads(record))
        tap.same({k: data["document"][k] for k in ("size", "sha256", "mediaType")},
                 {k: meta[k] for k in ("size", "sha256", "mediaType")})
        for r in (put, post):
            assert "authorization" not in r["headers"] and "cookie" not in r["headers"]
        # A secret less, without a reload.
        c.put_secrets(FORWARD_SECRETS[:1])
        c.send(1)
        c.wait_state(done=2)
        r = crm.wait(3)[2]
        tap.same(r["headers"]["webhook-signature"], signatures(r, r["body"],
                                                               FORWARD_SECRETS[:1]))
        data = json.loads(r["body"])["data"]
        tap.same((data["deleted"], data["record"], data["document"]), (True, None, None))
        with open(c.dir + "/spoold.log") as f:
            log = f.read()
        for s in FORWARD_SECRETS:
            assert s not in log and s not in "".join(c.story())


@test
def every_kind_of_answer():
    """2xx done; what no repeat mends failed at once; what may be better counted; redirects
    are not followed"""
    with CRM() as crm, Forwarded("answers", crm) as c:
        never = [400, 406, 411, 413, 415, 418, 422, 431, 451]
        later = [408, 409, 423, 425, 500, 501, 505, 507]
        names = {s: c.send(s, "s%d" % s) for s in [200, 201, 202, 204] + never + later}
        c.wait_until_settled(len(names))
        for s, name in names.items():
            if s < 300:
                assert name in c.names("done"), s
                continue
            note = c.retry(name)
            tap.same((note["state"], note["step"], note["tries"]),
                     ("failed", "forward", "1" if s in never else "2"), s)
            assert "forward: answered %d: said %d" % (s, s) in note["reason"], note


@test
def a_receiver_that_is_down():
    """No connection, a hang-up, 401, 404, a redirect, 503 with Retry-After: down; whoever
    finds it down waits uncounted, and all is handed over when it is well"""
    with CRM() as crm, Forwarded("away", crm, daemon="tries = 3\nretry_min = 100ms\n"
                                 "retry_max = 200ms\nstop_grace = 0\n") as c:
        for n, status in enumerate([0, 401, 404, 302, 503]):
            before = len(crm.requests)
            crm.answers["POST"] = status
            names = [c.send(100 * n + i) for i in range(4)]
            crm.wait(before + 5)
            wait_until(lambda: "forward:acme" in c.ctl("targets"), [c.spool + "/targets"],
                       "a target that is down")
            tap.same(c.counts()["failed"], 0, "failed while %d" % status)
            for name in names:
                note = c.retry(name) or {"tries": 0, "state": ""}  # a try is counted before
                assert int(note["tries"]) - (note["state"] == "running") <= 1, note
            crm.answers["POST"] = 200
            c.wait_state(done=4 * (n + 1), failed=0)
        assert not [r for r in crm.requests if r["path"] != "/events"], "a redirect followed"


@test
def a_receiver_that_wants_no_more():
    """410, or a secret that cannot be used: paused until it is resumed"""
    with CRM() as crm, Forwarded("gone", crm) as c:
        name = c.send(1, "s410")
        tap.same(c.wait_note(name, reason="answered 410")["tries"], "0")
        other = c.send(2)
        c.wait_note(other, reason="forward:acme is paused: forward: answered 410")
        tap.same(len(crm.requests), 1)
        c.ctl("drop", name, "--reason", "a test")
        c.put_secrets(["short"])
        c.ctl("resume", "forward:acme")
        note = c.wait_note(other, reason="line 1: expected a secret of at least 16 bytes")
        tap.same(note["tries"], "0")
        c.put_secrets(FORWARD_SECRETS)
        c.ctl("resume", "forward:acme")
        c.wait_state(done=2, failed=0)


@test
def hook_and_forward():
    """Both are set: the hook first, each once; a retry begins at the one that failed, over
    restarts too"""
    script = "echo $ARKEN_EVENT_ID >> calls"
    with CRM() as crm, Forwarded(
            "both", crm, "forward_document = put\nforward_document_url = %s/{object}\n" %
            crm.url, script=script, daemon="tries = 100\nretry_min = 100ms\nretry_max = 100ms\n"
            "stop_grace = 0\n") as c:
        crm.answers.update(POST=500, PUT=500)
        event = c.sandbox.emit("FileStore.Upload")[0]
        name = "acme.%s.FileStore.Upload" % event["eventId"]
        c.wait_note(name, step="document-put")
        crm.wait(2)
        c.stop_daemon()
        c.start_daemon()
        n = len(crm.requests)
        crm.wait(n + 2)
        crm.answers["PUT"] = 201
        c.wait_note(name, step="forward")
        c.stop_daemon()
        c.start_daemon()
        crm.wait(2, lambda r: r["method"] == "POST")
        crm.answers["POST"] = 200
        c.wait_state(done=1)
        tap.same(c.crm_text("calls"), event["eventId"] + "\n")
        ok = [r["method"] for r in crm.requests if r["status"] in (200, 201)]
        tap.same(ok, ["PUT", "POST"])
        tap.same({r["headers"]["webhook-id"] for r in crm.requests if r["method"] == "POST"},
                 {event["eventId"]})
        tap.same(c.sandbox.stats()["documents"], 1, "downloads")


# ---- the examples ----

def example(c, name):
    shutil.copy(os.path.join(EXAMPLES, name), c.crm)


@test
def the_sample_in_sh():
    with Hooked("sh", hook="{examples}/hook.sh {crm}/inbox", daemon_starts=False,
                daemon="retry_min = 1h\nretry_max = 1h\n") as c:
        example(c, "hook.sh")
        c.start_daemon()
        name = c.send(1)
        c.wait_note(name, reason="exit status 69")
        inbox = c.folder("crm/inbox", DAEMON_USER)
        c.ctl("resume", "hook:acme", want=None)  # 66 if it was found well already
        c.wait_state(done=1)
        events = c.sandbox.emit("FileStore.Upload", count=3)
        c.sandbox.quiet()
        c.wait_state(done=4)
        for e in events:
            folder = "%s/acme.%s" % (inbox, e["eventId"])
            doc, meta = c.document(e)
            tap.same(sorted(os.listdir(folder)), sorted(["event.json", "record.json",
                                                        meta["file"]]))
            tap.same(c.read(folder + "/" + meta["file"]), doc)
            tap.same(json.loads(c.read(folder + "/event.json"))["eventId"], e["eventId"])
        tap.same(sorted(os.listdir("%s/acme.%s" % (inbox, guid(1)))),
                 ["deleted.json", "event.json"])
        assert not [n for n in os.listdir(inbox) if n.startswith(".")]
        # Once more, as after a crash between its success and spoold's knowledge of it.
        before = sorted(os.listdir(inbox))
        os.rename(os.path.join(c.box("done"), name + ":2,S"),
                  os.path.join(c.box("failed"), name + ":2,F"))
        c.ctl("retry", name)
        c.wait_state(done=4)
        tap.same(sorted(os.listdir(inbox)), before)


@test
def the_sample_in_python():
    with Hooked("py", hook="{examples}/hook.py {crm}/db/arken.db", daemon_starts=False) as c:
        example(c, "hook.py")
        c.folder("crm/db", DAEMON_USER)
        c.start_daemon()
        events = c.sandbox.emit("all")
        c.sandbox.quiet()
        c.wait_state(done=len(events), failed=0)
        name = c.names("done")[0]
        os.rename(os.path.join(c.box("done"), name + ":2,S"),
                  os.path.join(c.box("failed"), name + ":2,F"))
        c.ctl("retry", name)
        c.wait_state(done=len(events), failed=0)
        c.wait_story(name, "step=done")
        db = sqlite3.connect("file:%s/db/arken.db?mode=ro" % c.crm, uri=True)
        rows = db.execute("SELECT account, id, category || '.' || type FROM event").fetchall()
        tap.same(sorted(rows), sorted(("acme", e["eventId"], e["kind"]) for e in events))
        for (path, digest) in db.execute("SELECT document, sha256 FROM object "
                                         "WHERE category = 'FileStore'"):
            tap.same(json.loads(c.read(os.path.dirname(path) + "/document.json"))["sha256"],
                     digest)
        db.close()


@test
def the_sample_receiver():
    """Takes what is signed, refuses what is not, keeps events and documents once"""
    spec = importlib.util.spec_from_file_location("receiver", EXAMPLES + "/receiver.py")
    receiver = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(receiver)
    # The vector of the specification.
    vector = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
              "webhook-signature": "v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
    keys = [base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    payload = b'{"test": 2432232314}'
    assert receiver.verify(keys, vector, payload, 1614265330 + 299)
    assert not receiver.verify(keys, vector, payload, 1614265330 + 301)
    assert not receiver.verify(keys, vector, payload + b" ", 1614265330)
    assert not receiver.verify([b"x" * 24], vector, payload, 1614265330)
    assert not receiver.verify(keys, {}, payload, 1614265330)

    class Sampled(Forwarded):
        def _start(self):
            super()._start()
            self.folder("crm/kept", DAEMON_USER)
            self.sample = Process("receiver.py", [sys.executable, "-B",
                                                  EXAMPLES + "/receiver.py", self.crm + "/kept",
                                                  self.crm + "/secret", str(crm.port)],
                                  self.dir + "/receiver.py.log")
            self.sample.wait_said("listening")

        def __exit__(self, *why):
            if hasattr(self, "sample"):
                self.sample.end()
            return super().__exit__(*why)

    with CRM() as crm:
        crm.server.shutdown()
        crm.server.server_close()  # its port, for the sample
        with Sampled("sample", crm, "forward_document = put\nforward_document_url = %s/"
                     "documents/{documentHashId}\n" % crm.url, daemon_starts=False) as c:
            c.start_daemon()
            events = c.sandbox.emit("all")
            c.sandbox.quiet()
            c.wait_state(done=len(events), failed=0)
            tap.same(sorted(os.listdir(c.crm + "/kept/events")),
                     sorted("acme.%s.json" % e["eventId"] for e in events))
            for e in events:
                if e["kind"] == "FileStore.Upload":
                    doc, meta = c.document(e)
                    tap.same(c.read(c.crm + "/kept/documents/" + meta["sha256"]), doc)
            # Once more: had it before.  With a secret that it does not know: refused.
            name = "acme.%s.%s" % (events[0]["eventId"], events[0]["kind"])
            os.rename(os.path.join(c.box("done"), name + ":2,S"),
                      os.path.join(c.box("failed"), name + ":2,F"))
            c.ctl("retry", name)
            c.wait_state(done=len(events), failed=0)
            status = [int(x) for x in re.findall(r'" (\d+) -', c.sample.said())]
            assert set(status) == {200, 201}, status
            c.sample.end()
            other = c.write("crm/other", "another-secret-of-16-bytes\n", 0o600)
            c.sample = Process("receiver.py", [sys.executable, "-B", EXAMPLES + "/receiver.py",
                                               c.crm + "/kept", other, str(crm.port)],
                               c.dir + "/receiver.py.log")
            c.sample.wait_said("listening")
            refused = c.send(1)
            c.wait_note(refused, reason="answered 401: not signed by us, or too old")
            tap.same(len(os.listdir(c.crm + "/kept/events")), len(events))


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
