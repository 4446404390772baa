#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_reload - the receiver is reloaded, stopped and killed while events come in.

Senders post through lighttpd or nginx all the while, a bounded number of events each.
Whatever was answered 200 is in the spool afterwards, whole; a reload and a stop
cost nobody an answer.
"""
import json
import os
import shutil
import signal
import sys
import threading

import fcgi_client
import tap
from chain import Chain, Process, RECEIVER_USER, SECRET, WAIT, guid, wait_until

TESTS = []
SENDERS, EVENTS = 6, 60


def test(f):
    TESTS.append(f)
    return f


def event(n, **more):
    return json.dumps(dict({"eventId": guid(n), "eventType": "Account.Update"}, **more)).encode()


NGINX = """\
daemon off;
worker_processes 1;
pid {dir}/run/nginx.pid;
error_log {dir}/nginx.log notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/run/body;
    proxy_temp_path {dir}/run/proxy;
    fastcgi_temp_path {dir}/run/fastcgi;
    uwsgi_temp_path {dir}/run/uwsgi;
    scgi_temp_path {dir}/run/scgi;
    upstream arken {{
        {backends}
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location /arken/ {{
            fastcgi_pass arken;
            fastcgi_keep_conn on;
            fastcgi_next_upstream error timeout non_idempotent;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_ADDR $remote_addr;
        }}
    }}
}}
"""


class NginxChain(Chain):
    """With nginx before the receivers: it asks another of them when one is gone."""

    def start_web(self):
        if shutil.which("nginx") is None:
            raise tap.Skip("nginx is not installed")
        conf = self.write("etc/nginx.conf", NGINX.format(
            dir=self.dir, port=self.port, backends="\n        ".join(
                "server unix:%s max_fails=0;" % self.sock(i) for i in range(self.receivers))))
        fd = self.listener.fileno()  # inherited, so that there is no port to race for
        self.web = Process("nginx", ["nginx", "-e", self.dir + "/nginx.log", "-c", conf],
                           self.write("nginx.log", "", 0o664, RECEIVER_USER), RECEIVER_USER,
                           env={"NGINX": "%d;" % fd}, fds=(fd,))


class Senders:
    """So many threads that post so many events each; what was answered, by event."""

    def __init__(self, c, events=EVENTS):
        self.c, self.events = c, events
        self.answers, self.errors = {}, []
        self.some = threading.Condition()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(SENDERS)]
        for t in self.threads:
            t.start()

    def _run(self, i):
        for n in range(i * self.events + 1, (i + 1) * self.events + 1):
            try:
                status = self.c.post(event(n))[0]
            except (OSError, ValueError) as e:  # the web server is never touched here
                self.errors.append(e)
                status = None
            with self.some:
                self.answers[n] = status
                self.some.notify_all()

    def wait(self, n):
        """Until so many are answered, or all."""
        with self.some:
            if not self.some.wait_for(lambda: len(self.answers) >= n, WAIT):
                raise AssertionError("only %d answers" % len(self.answers))

    def join(self):
        for t in self.threads:
            t.join(2 * WAIT)
        tap.same(self.errors, [])
        return {n for n, status in self.answers.items() if status == 200}


def check_kept(c, accepted):
    """Each accepted event is in new, whole, and nothing else is but what nobody heard of."""
    names = {int(n.split(".")[1].replace("-", "")[-12:], 16): n for n in c.names("new")}
    missing = accepted - set(names)
    assert not missing, "answered 200 and lost: %r" % sorted(missing)[:20]
    for n, name in names.items():
        head, _, body = c.event_file("new", name).partition(b"\n\n")
        tap.same(body, event(n), name)
        assert b"\nContent-Length: %d" % len(body) in head, head
    return len(names)


@test
def killed_under_load():
    """kill -9 again and again, started again at once: every 2xx is in the spool"""
    with NginxChain("kill", receiver="listen", receivers=2, daemon_starts=False) as c:
        s = Senders(c)
        for kills in range(1, 11):
            s.wait(kills * SENDERS * EVENTS // 12)
            i = kills % 2
            c.fcgi[i].end(signal.SIGKILL)
            c.start_receiver(i)
        accepted = s.join()
        tap.note("%d of %d answered 200 around 10 kills" % (len(accepted), len(s.answers)))
        assert len(accepted) > len(s.answers) // 2, s.answers
        assert set(s.answers.values()) <= {200, 500, 502, 503, 504}, set(s.answers.values())
        kept = check_kept(c, accepted)
        assert kept <= len(s.answers)
        # sent again as Arken does, all are there, once
        for n in sorted(set(s.answers) - accepted):
            tap.same(c.post(event(n))[0], 200)
        tap.same(check_kept(c, set(s.answers)), SENDERS * EVENTS)


@test
def reloaded_under_load():
    """SIGHUP with a changed configuration: nobody gets anything but 200"""
    with Chain("reload", receiver="listen", daemon_starts=False) as c:
        s = Senders(c)
        for n in range(20):
            s.wait(n * SENDERS * EVENTS // 24)
            c.configure(spool="retention = %dd" % (30 + n), more="[status]\npath = /p%d" % n)
            os.kill(c.fcgi[0].pid, signal.SIGHUP)
            wait_until(lambda: c.fcgi[0].said().count("what=reloaded") >= n + 1,
                       [c.fcgi[0].log], "a reload")
            tap.same(c.post(b"", path="/arken/x", method="GET")[0], 404)
        accepted = s.join()
        tap.same(set(s.answers.values()), {200})
        tap.same(check_kept(c, accepted), SENDERS * EVENTS)
        assert c.fcgi[0].alive()


@test
def stopped_under_load():
    """SIGTERM to one after the other: nobody gets anything but 200"""
    with NginxChain("stop", receiver="listen", receivers=2, daemon_starts=False) as c:
        s = Senders(c)
        for stops in range(1, 7):
            s.wait(stops * SENDERS * EVENTS // 8)
            i = stops % 2
            tap.same(c.fcgi[i].end(signal.SIGTERM), 0)
            assert "what=stopped" in c.fcgi[i].said()
            c.start_receiver(i)
        accepted = s.join()
        tap.same({a for a in s.answers.values()}, {200})
        tap.same(check_kept(c, accepted), SENDERS * EVENTS)


@test
def a_body_that_is_coming_when_it_stops():
    """it is read to its end, kept and answered; new connections are not taken any more"""
    with Chain("coming", receiver="listen", daemon_starts=False) as c:
        body = event(1, fill="x" * 300000)
        one = fcgi_client.Connection(c.sock())
        one.request(fcgi_client.params("/arken/acme", len(body), SECRET), body[:200000],
                    end=False)
        tap.same(c.post(event(2))[0], 200)
        os.kill(c.fcgi[0].pid, signal.SIGTERM)
        for at in range(200000, len(body), 30000):
            one.s.sendall(fcgi_client.record(fcgi_client.STDIN, body[at:at + 30000]))
        one.s.sendall(fcgi_client.record(fcgi_client.STDIN, b""))
        tap.same(one.answer()[0], 200)
        one.wait_closed()
        tap.same(c.fcgi[0].p.wait(WAIT), 0)
        tap.same(c.counts()["new"], 2)


@test
def a_body_that_is_coming_when_it_reloads():
    """it is for the account as it was when the request began"""
    with Chain("before", receiver="listen", daemon_starts=False) as c:
        ours = c.sandbox.account
        body = event(1, accountHashId=ours, fill="x" * 300000)
        one = fcgi_client.Connection(c.sock())
        one.request(fcgi_client.params("/arken/acme", len(body), SECRET), body[:200000],
                    end=False)
        conf = c.read(c.conf).decode()
        # the request is under way once its thread has asked for more than it was sent
        tap.same(c.post(event(2, accountHashId=ours))[0], 200)
        c.write("etc/arkenspool.conf", conf.replace("hash_id = " + ours, "hash_id = ELSE"))
        os.kill(c.fcgi[0].pid, signal.SIGHUP)
        c.fcgi[0].wait_said("what=reloaded")
        tap.same(c.post(event(3, accountHashId=ours))[0], 403)
        for at in range(200000, len(body), 30000):
            one.s.sendall(fcgi_client.record(fcgi_client.STDIN, body[at:at + 30000]))
        one.s.sendall(fcgi_client.record(fcgi_client.STDIN, b""))
        tap.same(one.answer()[0], 200)
        one.close()
        tap.same((c.counts()["new"], c.counts()["rejected"]), (2, 1))


@test
def a_broken_configuration():
    """the old stays in use, and the log names file and line; mended, it is taken"""
    with Chain("broken", receiver="listen", daemon_starts=False) as c:
        good = c.read(c.conf).decode()

        def reload(text, sign):
            c.write("etc/arkenspool.conf", text)
            before = c.fcgi[0].said().count(sign)
            os.kill(c.fcgi[0].pid, signal.SIGHUP)
            wait_until(lambda: c.fcgi[0].said().count(sign) > before, [c.fcgi[0].log], sign)
        line = good.count("\n") + 1
        reload(good + "frobnicate = 1\n", "%s:%d: " % (c.conf, line))
        assert "not reloaded, the old configuration stays" in c.fcgi[0].said()
        tap.same(c.post(event(1))[0], 200)
        reload(good.replace("path = /arken/acme", "path = /arken/new\nhash = x"), "(did you mean")
        tap.same(c.post(event(2), path="/arken/new")[0], 404)
        tap.same(c.post(event(2))[0], 200)
        secret = c.read(c.dir + "/etc/acme.secret").decode()
        c.write("etc/acme.secret", "x\n", 0o640, 0)
        reload(good, "account acme: ")
        tap.same(c.post(event(3))[0], 200)
        c.write("etc/acme.secret", secret, 0o640, 0)
        reload(good.replace("path = /arken/acme", "path = /arken/new"), "what=reloaded")
        tap.same(c.post(event(4))[0], 404)
        tap.same(c.post(event(4), path="/arken/new")[0], 200)
        tap.same(c.counts()["new"], 4)
        assert SECRET not in c.fcgi[0].said()


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
