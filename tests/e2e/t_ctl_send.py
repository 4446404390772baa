#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_send - spoolctl send-test: a test event through lighttpd and arken.fcgi to its end.

Each flag and each exit status; the credential is never in what is printed, nor in an argument.
Bearer tokens of a real issuer are in t_ctl_feed.
"""
import http.server
import json
import os
import re
import select
import subprocess
import sys
import threading

import tap
from chain import DAEMON_USER, HEADER, IS_ROOT, SECRET, SPOOLCTL, WAIT, Chain, Failure, listen_tcp
from tap import has, lacks

TESTS = []
OFF = "reconcile = off\n"


def test(f):
    TESTS.append(f)
    return f


def send(c, *args, want=0, conf=None):
    """stdout and stderr together, without the secret."""
    r = subprocess.run([SPOOLCTL, "-c", conf or c.conf, "send-test"] + list(args), text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=WAIT, cwd="/")
    if r.returncode != want:
        raise Failure("send-test %s: exit %d, want %d: %s" % (" ".join(args), r.returncode,
                                                              want, r.stdout))
    lacks(r.stdout, SECRET)
    return r.stdout


def other_conf(c, name, **keys):
    """The configuration with other values."""
    text = c.read(c.conf).decode()
    for key, value in keys.items():
        text, n = re.subn("(?m)^%s = .*$" % key, "%s = %s" % (key, value), text)
        tap.same(n, 1, "lines of " + key)
    return c.write("etc/" + name, text)


def steps(lines):
    return [x["step"] for x in lines if "step" in x]


class Running:
    """A send-test whose event does not end by itself; read up to its first lines."""

    def __init__(self, c, *args):
        self.p = subprocess.Popen([SPOOLCTL, "-c", c.conf, "send-test", "--json"] + list(args),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0,
                                  stderr=subprocess.STDOUT, cwd="/")
        self.text, self.name = "", None
        while "in the queue as " not in self.text:
            if not select.select([self.p.stdout], [], [], WAIT)[0]:
                raise Failure("send-test said only %r" % self.text)
            more = os.read(self.p.stdout.fileno(), 65536).decode()
            if not more:
                raise Failure("send-test ended: %r" % self.text)
            self.text += more
        self.name = re.search(r"in the queue as ([^ ,\"]+)", self.text).group(1)

    def arguments(self):
        out = b""
        for part in "cmdline", "environ":
            with open("/proc/%d/%s" % (self.p.pid, part), "rb") as f:
                out += f.read()
        return out.decode()

    def end(self, want):
        self.text += self.p.communicate(timeout=WAIT)[0].decode()
        tap.same(self.p.returncode, want, self.text)
        lacks(self.text, SECRET)
        return self.text


class Other(http.server.BaseHTTPRequestHandler):
    """A web server that is not ours: the path says how it answers, and the body all it got."""

    def do_POST(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = json.dumps({"detail": "%s %s" % (self.headers, self.rfile.read(n))}).encode()
        status = int(self.path.strip("/")[:3])
        self.send_response_only(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/" + SECRET)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@test
def to_its_end():
    """the made-up object is gone at the vendor; a client that is there is handed over; a
    record that the API refuses has failed; a dry run sends nothing"""
    with Chain("sendtest", account=OFF) as c:
        has(send(c, want=78), "public_url", "--url")
        c.configure(account=OFF + "public_url = " + c.url)
        dry = send(c, "--dry-run")
        has(dry, "POST " + c.url, HEADER + ": ********", '"eventType":"Client.Update"',
            c.sandbox.account, '"clientHashId":"spoolctlTest')
        dry = json.loads(send(c, "-n", "--json", "--kind", "FileStore.GetFileDetail"))
        tap.same((dry["url"], dry["dry_run"], dry["header"]), (c.url, True, HEADER))
        assert dry["event"].endswith(".FileStore.Download"), dry
        tap.same(dry["event"].split(".")[1], dry["body"]["eventId"])
        has(dry["body"]["documentHashId"], "spoolctlTest")
        assert "userHashId" in json.loads(send(c, "-n", "--json", "--kind",
                                               "User.Update"))["body"]
        tap.same(sum(c.counts().values()), 0, "events after dry runs")

        said = send(c)
        has(said, "posted    answered 200", "accepted  in the queue as acme.",
            "verified by secret:line2", "taken ", "callback  status 404, which means gone",
            "done      gone at the vendor", "The whole way works, up to the API")
        tap.same(c.counts()["done"], 1)
        lines = [json.loads(x) for x in send(c, "--json", "--account", "acme").splitlines()]
        tap.same(steps(lines), ["posted", "accepted", "taken", "callback", "done"])
        assert all(x["ms"] >= 0 for x in lines), lines
        end = lines[-1]
        tap.same((end["result"], end["exit"], end["reason"]), ("done", 0, "gone at the vendor"))
        assert end["event"] in c.names("done"), end
        tap.same(len(os.listdir(c.store + "/acme/Client"))
                 if os.path.isdir(c.store + "/acme/Client") else 0, 0, "objects in the store")

        event = c.sandbox.emit("Client.Update")[0]
        c.wait_state(done=3)
        record = c.place(event) + "/record.json"
        os.unlink(record)
        said = send(c, "--client", event["clientHashId"], "--kind", "Client.Update",
                    "--timeout", "50s")
        has(said, "status 200", "record ", "The whole way works.\n")
        lacks(said, "gone at the vendor", "made up")
        assert os.path.exists(record)

        c.sandbox.fault(on="api", match="/client", do="status", status=400, times=1)
        said = send(c, want=65)
        has(said, "failed    the API answered 400", "it arrived, but failed", "explain acme.")
        tap.same(c.counts()["failed"], 1)
        has(send(c, "--kind", "Strange.Thing", want=65), "failed ")


@test
def not_in_time():
    """spoold down, a target paused, an operator's hold and drop; nothing in the arguments"""
    with Chain("sendlate", account=OFF, daemon_starts=False) as c:
        c.configure(account=OFF + "public_url = " + c.url)
        said = send(c, want=75)
        has(said, "posted ", "accepted ", "waits for spoold", "explain acme.")
        lacks(said, "taken ")
        c.start_daemon()
        c.wait_state(done=1)
        c.ctl("pause", "api:acme")
        said = send(c, "--timeout", "1s", want=75)
        has(said, "taken ", "accepted, but not done in", "it goes on", "explain acme.")
        end = json.loads([x for x in send(c, "--timeout", "1s", "--json", want=75).splitlines()
                          if x.startswith('{"result"')][0])
        tap.same((end["result"], end["exit"]), ("waiting", 75))
        r = Running(c, "--timeout", "50s")
        lacks(r.arguments(), SECRET)
        c.ctl("hold", r.name, "--reason", "a look")
        has(r.end(75), '"result":"held"', "spoolctl release")
        r = Running(c, "--timeout", "50s")
        c.ctl("drop", r.name, "--reason", "only a test")
        has(r.end(65), '"result":"dropped"', "gave it up", "only a test")
        c.ctl("resume", "api:acme")
        c.ctl("release", "ALL")
        c.wait_state(done=5)


@test
def refused():
    """wrong secret, account, path, server and spool, with the remedy; usage"""
    with Chain("sendno", account=OFF, daemon_starts=False) as c:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = "http://127.0.0.1:%d/" % server.server_address[1]
        c.write("etc/other.secret", "not-the-secret-that-it-knows\n", 0o600, 0)
        conf = other_conf(c, "a.conf", secret_file=c.dir + "/etc/other.secret")
        said = send(c, "--url", c.url, want=77, conf=conf)
        has(said, "401", "the credential is refused", "log")
        lacks(said, "not-the-secret")
        conf = other_conf(c, "b.conf", hash_id="anotherAccountOfArken1")
        has(send(c, "--url", c.url, want=78, conf=conf), "403", "another hash_id", "restart")
        has(send(c, "--url", c.url + "/nothing", want=78), "404", "/arken/acme")
        tap.same(c.counts()["new"], 0, "accepted")
        conf = other_conf(c, "c.conf", directory=c.dir + "/var/second")
        subprocess.run([SPOOLCTL, "-c", conf, "make-spool"] + (
            ["-u", str(DAEMON_USER)] if IS_ROOT else []), check=True,
                       stdout=subprocess.DEVNULL)
        has(send(c, "--url", c.url, want=78, conf=conf), "not into this spool", "second")
        for status, want, word in ((200, 78, "not the answer of arken.fcgi"),
                                   (302, 78, "does not follow"), (401, 77, "password"),
                                   (403, 77, "lets no POST through"), (404, 78, "path"),
                                   (413, 78, "not accepted"), (500, 69, "not accepted"),
                                   (502, 69, "does not reach arken.fcgi"),
                                   (503, 69, "no event is taken")):
            has(send(c, "--url", there + str(status), want=want), str(status), word)
        server.shutdown()
        server.server_close()
        s = listen_tcp()
        port = s.getsockname()[1]
        s.close()
        said = send(c, "--json", "--url", "http://127.0.0.1:%d/" % port, want=69)
        has(said, "nothing was accepted", "check --online", '"result":"unreachable"')
        has(send(c, "--account", "other", want=78), "no account other")
        has(send(c, "--bearer", "/etc/hostname", "--url", c.url, want=78), "leave out --bearer")
        for args, word in ((["--kind", "Update"], "Category.Type"),
                           (["--kind", "Client.Up/date"], "Category.Type"),
                           (["--client", "a b"], "hash id"),
                           (["--client", "abc", "--kind", "Client.Delete"], "Delete"),
                           (["--url", "http://example.com/"], "https"),
                           (["--timeout", "soon"], "90s"), (["x"], "no arguments"),
                           (["--what"], "no option")):
            has(send(c, *args, want=64), word, "send-test --help")
        has(send(c, "--help"), "usage: spoolctl send-test", "--bearer FILE", "example:")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
