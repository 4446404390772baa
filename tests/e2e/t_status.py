#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_status - healthz and metrics as a monitor sees them, through a real web server.

Several receiver processes add into one counter file; promtool, where it is
installed, reads what they say.
"""
import json
import os
import re
import shutil
import subprocess
import sys

import fcgi_client
import tap
from chain import Chain, SECRET, guid

TESTS = []
TOKEN = "a-token-of-the-monitor"
BEARER = {"Authorization": "Bearer " + TOKEN}
HEALTH, METRICS = "/arken/status/healthz", "/arken/status/metrics"


def test(f):
    TESTS.append(f)
    return f


def event(n, kind="Account.Update"):
    return json.dumps({"eventId": guid(n), "eventType": kind}).encode()


def watched(c, path="/arken/status"):
    c.write("etc/status.token", TOKEN + "\n", 0o640, 0)
    c.configure(more="[status]\npath = %s\ntoken_file = %s/etc/status.token" % (path, c.dir))


def get(c, path, method="GET", headers=None, body=None):
    return c.post(body, path=path, method=method, headers=headers, secret=None,
                  content_type=None)


def samples(text):
    """Name and labels to value."""
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.decode().splitlines()
                                     if not line.startswith("#"))}


def healthz(how):
    def run():
        with Chain("health", receiver=how, daemon_starts=False) as c:
            status, headers, body = get(c, HEALTH)
            tap.same((status, body, headers["Content-Type"], headers["Cache-Control"]),
                     (200, b'{"status":"well"}\n', "application/json", "no-store"))
            status, headers, body = get(c, HEALTH, "HEAD")
            tap.same((status, body, headers["Content-Length"]), (200, b"", "18"))
            for method in ("POST", "PUT", "DELETE"):
                status, headers, _ = get(c, HEALTH, method)
                tap.same((status, headers["Allow"]), (405, "GET, HEAD"))
            # nothing of it without a token, and nowhere else may anything be read
            tap.same(get(c, METRICS, headers=BEARER)[0], 404)
            tap.same(get(c, "/arken/status")[0], 404)
            tap.same(get(c, "/arken/acme")[0], 405)
    run.__name__ = "healthz_" + how
    TESTS.append(run)


healthz("spawned")
healthz("cgi")


@test
def what_a_token_opens():
    """metrics, and what is lacking; as bearer or basic; a wrong one opens nothing"""
    with Chain("token", receiver="cgi", daemon_starts=False) as c:
        watched(c, "/arken/-")
        health, metrics = "/arken/-/healthz", "/arken/-/metrics"
        basic = {"Authorization": "Basic cHJvbTphLXRva2VuLW9mLXRoZS1tb25pdG9y"}
        for headers in (BEARER, basic):
            status, answer, text = get(c, metrics, headers=headers)
            tap.same((status, answer["Content-Type"]),
                     (200, "text/plain; version=0.0.4; charset=utf-8"))
            tap.same(samples(text)["arkenspool_healthy"], 1)
            tap.same(json.loads(get(c, health, headers=headers)[2])["problems"], [])
        for headers in (None, {"Authorization": "Bearer " + TOKEN + "x"},
                        {"Authorization": "Bearer " + TOKEN[:-1]},
                        {"Authorization": TOKEN}):
            status, answer, text = get(c, metrics, headers=headers)
            tap.same(status, 401)
            assert "Bearer realm=" in answer["WWW-Authenticate"], answer
            assert b"arkenspool_" not in text
            tap.same(get(c, health, headers=headers)[2], b'{"status":"well"}\n')
        tap.same(get(c, HEALTH)[0], 404, "the path is another one")
        after = samples(get(c, metrics, headers=BEARER)[2])
        tap.same(after['arkenspool_requests_total{answer="status_denied"}'], 4)
        # the secret of the webhook is no token, and the other way round
        tap.same(get(c, metrics, headers={"Authorization": "Bearer an-older-secret-0"})[0], 401)
        tap.same(c.post(event(1), secret=TOKEN)[0], 401)


@test
def something_is_lacking():
    """503, what it is only for those who may know, and room again is 200 again"""
    with Chain("lack", receiver="cgi", daemon_starts=False,
               spool="queue_limit = 2\nrejected_limit = 1") as c:
        watched(c)
        for n in (1, 2):
            tap.same(c.post(event(n))[0], 200)
        tap.same(c.post(event(3))[0], 503)
        status, headers, body = get(c, HEALTH)
        tap.same((status, body), (503, b'{"status":"unwell"}\n'))
        assert int(headers["Retry-After"]) > 0
        status, _, body = get(c, HEALTH, headers=BEARER)
        health = json.loads(body)
        tap.same((status, health["problems"], health["queue"]),
                 (503, ["queue"], {"waiting": 2, "limit": 2}))
        c.configure(spool="queue_limit = 3\nrejected_limit = 1")
        tap.same(get(c, HEALTH)[0], 200)
        tap.same(c.post(b"no json")[0], 400)
        tap.same(json.loads(get(c, HEALTH, headers=BEARER)[2])["problems"], ["rejected"])
        c.configure(spool="queue_limit = 3\nrejected_limit = 9\nmin_free = 60000G")
        tap.same(json.loads(get(c, HEALTH, headers=BEARER)[2])["problems"], ["disk"])
        got = samples(get(c, METRICS, headers=BEARER)[2])
        for sample, value in (("healthy", 0), ('unavailable_total{reason="queue"}', 1),
                              ('requests_total{answer="unavailable"}', 1),
                              ('faults_total{fault="NotJson"}', 1), ("events_waiting", 2),
                              ('files{folder="new"}', 2), ('files{folder="rejected"}', 1)):
            tap.same(got["arkenspool_" + sample], value, sample)


@test
def several_processes_one_sum():
    """two receivers and an operator count into one file; every request is one answer"""
    with Chain("sum", receiver="listen", receivers=2, daemon_starts=False) as c:
        watched(c)
        c.fcgi[0].end()
        c.fcgi[1].end()
        c.start_receiver(0)
        c.start_receiver(1)
        asked = 0
        for n in range(40):
            env = fcgi_client.params("/arken/acme", len(event(n)), SECRET)
            tap.same(fcgi_client.ask(c.sock(n % 2), env, event(n))[0], 200)
            tap.same(c.post(event(n), secret="wrong" * 4)[0], 401)
            asked += 2
        tap.same(c.post(b"[%s,%s]" % (event(0), event(100)))[0], 200)
        got = samples(get(c, METRICS, headers=BEARER)[2])
        took = got['arkenspool_requests_total{answer="accepted"}']
        tap.same(took, 41)
        tap.same(got['arkenspool_events_accepted_total{source="webhook"}'], 41)
        tap.same(got["arkenspool_events_duplicate_total"], 1)
        tap.same(got["arkenspool_accept_duration_seconds_count"], took)
        assert got["arkenspool_accept_duration_seconds_sum"] > 0
        answers = sum(v for k, v in got.items() if k.startswith("arkenspool_requests_total"))
        tap.same(answers, asked + 2)  # the array, and this one
        for p in c.fcgi:
            assert p.said().count("what=accepted") >= 20, p.said()[-500:]


@test
def promtool_reads_it():
    """and finds nothing to complain of"""
    if shutil.which("promtool") is None:
        raise tap.Skip("promtool (package prometheus) is not installed")
    with Chain("prom") as c:
        watched(c)
        c.web.end()
        c.start_web()
        for n in range(3):
            c.post(event(n))
        c.wait_state(done=3)
        text = get(c, METRICS, headers=BEARER)[2]
        r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                           timeout=60, env=dict(os.environ, GOMAXPROCS="1"))
        tap.same((r.returncode, r.stderr, r.stdout), (0, b"", b""))
        assert re.search(rb'^arkenspool_build_info{version="[0-9.]+"} 1$', text, re.M), text


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
