#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_answers - the receiver's answers, row by row of the table in docs/design.md.

Through a real lighttpd, by FastCGI and as plain CGI; what no web server would
say goes straight into the FastCGI socket.
"""
import http.client
import json
import os
import socket
import sys
import threading

import fcgi_client
import tap
from chain import Chain, HEADER, SECRET, WAIT, guid

TESTS = []
MAX_BODY = 65536


def test(f):
    TESTS.append(f)
    return f


def event(n, **more):
    return dict({"eventId": guid(n), "eventType": "Account.Update"}, **more)


def text(*events):
    return json.dumps(list(events) if len(events) != 1 else events[0]).encode()


def problem(answer, status, title=None):
    """The answer is that refusal: status, RFC 9457 body, headers; nothing else is told."""
    got, headers, body = answer
    tap.same(got, status)
    tap.same(headers["Content-Type"], "application/problem+json", str(status))
    p = json.loads(body)
    tap.same(sorted(p), ["detail", "status", "title", "type"], str(status))
    tap.same((p["status"], p["type"]), (status, "about:blank"), str(status))
    tap.same(headers["Content-Length"], str(len(body)), str(status))
    if title:
        tap.same(p["title"], title)
    for said in (SECRET, "/var", "spool/", "lib/"):
        assert said not in body.decode(), body
    tap.same(headers["Cache-Control"], "no-store")
    return p


def kept(c, **want):
    """What lies in the spool, with the daemon not running."""
    counts = {b: n for b, n in c.counts().items() if n}
    tap.same(counts, want, "kept")
    tap.same(os.listdir(c.spool + "/tmp"), [], "left in tmp")
    tap.same(os.listdir(c.spool + "/rejected/tmp"), [], "left in rejected/tmp")


def both(f):
    """The test by FastCGI and by plain CGI."""
    for how in ("spawned", "cgi"):
        def run(how=how):
            with Chain("answers", receiver=how, daemon_starts=False,
                       spool="max_body = 64K") as c:
                f(c)
        run.__name__ = "%s_%s" % (f.__name__, "fastcgi" if how == "spawned" else "cgi")
        run.__doc__ = f.__doc__
        TESTS.append(run)
    return f


@both
def accepted_and_duplicate(c):
    for status in ("accepted", "duplicate", "duplicate"):
        got, headers, body = c.post(text(event(1)))
        tap.same((got, headers["Content-Type"]), (200, "application/json"))
        tap.same(json.loads(body), {"status": status, "id": guid(1)})
    # an id in another case is the same event; white space does not matter either
    got, _, body = c.post(b"\n " + text(event(0xabc)).replace(b"abc", b"ABC") + b" ")
    tap.same(json.loads(body), {"status": "accepted", "id": guid(0xabc)})
    got, _, body = c.post(text(event(0xabc)))
    tap.same(json.loads(body)["status"], "duplicate")
    for kind in ("application/json; charset=utf-8", "application/vnd.arken+json",
                 "Application/JSON"):
        tap.same(c.post(text(event(1)), content_type=kind)[0], 200, kind)
    kept(c, new=2)


@both
def credentials(c):
    """missing, wrong, twice, in another form: 401, and nothing is written"""
    body = text(event(1))
    for secret in (None, "", "wrong-secret-of-tests", SECRET + "x", SECRET[:-1],
                   SECRET + ", " + SECRET, SECRET.upper(), "Bearer " + SECRET):
        answer = c.post(body, secret=secret)
        problem(answer, 401, "Unauthorized")
        assert answer[1]["WWW-Authenticate"], secret
    # twice, as two header lines: the web server makes one of them
    for second in (SECRET, "other"):
        s = socket.create_connection(("127.0.0.1", c.port), WAIT)
        s.sendall(("POST /arken/acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s: %s\r\n"
                   "%s: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
                       HEADER, SECRET, HEADER, second, len(body))).encode() + body)
        r = http.client.HTTPResponse(s)
        r.begin()
        problem((r.status, r.headers, r.read()), 401)
        s.close()
    problem(c.post(body, secret=None, headers={"Authorization": "Basic " + SECRET}), 401)
    # without credentials, size, type and content decide nothing
    problem(c.post(b"x" * 200000, secret=None), 401)
    problem(c.post(b"{", secret=None, content_type="text/plain"), 401)
    kept(c)
    tap.same(c.post(body, secret="an-older-secret-0")[0], 200, "the other valid secret")


@both
def route_and_method(c):
    for path in ("/arken/other", "/arken/acme/", "/arken/ACME", "/arken/", "/arken/acme/x",
                 "/arken/%61cme%00"):
        got = c.post(text(event(1)), path=path)
        if got[1].get("Content-Type") == "application/problem+json":
            problem(got, 404, "Not Found")
        else:  # lighttpd itself had something to say
            assert got[0] in (400, 404), (path, got)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = c.post(text(event(1)) if method in ("PUT", "PATCH") else None, method=method)
        problem(answer, 405, "Method Not Allowed")
        tap.same(answer[1]["Allow"], "POST")
    # which of it is wrong first: path, method, credentials, size, type
    problem(c.post(None, path="/arken/other", method="GET", secret=None), 404)
    problem(c.post(None, method="GET", secret=None), 405)
    problem(c.post(b"x" * 200000, content_type="text/plain"), 413)
    tap.same(c.post(text(event(1)), path="/arken/acme?x=1")[0], 200, "with a query")
    kept(c, new=1)


@both
def content_type(c):
    for kind in (None, "", "text/plain", "application/x-www-form-urlencoded", "json",
                 "application/jsonx", "text/json; application/json"):
        problem(c.post(text(event(1)), content_type=kind), 415, "Unsupported Media Type")
    kept(c)


@both
def too_large(c):
    """announced or found out: 413; exactly max_body is taken; the connection goes on"""
    fill = len(text(event(1, x="")))
    exact = text(event(1, x="y" * (MAX_BODY - fill)))
    tap.same(len(exact), MAX_BODY)
    problem(c.post(exact + b" "), 413, "Content Too Large")
    problem(c.post(exact + b" ", chunked=True), 413)
    problem(c.post(b" " * (3 * MAX_BODY), chunked=True), 413)
    problem(c.post(b" " * (100 * MAX_BODY)), 413)
    kept(c)
    tap.same(c.post(exact)[0], 200)
    tap.same(json.loads(c.post(exact, chunked=True)[2])["status"], "duplicate")
    kept(c, new=1)


@both
def not_an_event(c):
    """authenticated, but not strict JSON, or no object: 400, and the bytes are kept"""
    bad = [b"", b" ", b"{", b'{"a":1,}', b"null", b"1", b'"x"', b"[1]", b"[[]]", b"[]",
           b'{"a":1} {"b":2}', b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b'{"a":"\xff"}',
           b"\xef\xbb\xbf{}", b"{'a':1}", b'{"a":01}', b'{"a":NaN}',
           b'{"a":"\\ud800"}', b"[" * 40 + b"]" * 40, b'[{"eventId":"a"},{]',
           b"<html></html>"]
    for n, body in enumerate(bad, 1):
        problem(c.post(body), 400, "Bad Request")
        tap.same(len(c.names("rejected")), n, "rejected after %r" % body)
    stored = [c.event_file("rejected", n).partition(b"\n\n")[2] for n in c.names("rejected")]
    tap.same(sorted(stored), sorted(bad), "the bytes")
    problem(c.post(b"[" + b",".join([text(event(i)) for i in range(1001)]) + b"]"),
            413 if len(text(event(0))) * 1001 > MAX_BODY else 400)
    kept(c, rejected=len(c.names("rejected")))


@both
def other_account(c):
    for ev in (event(1, accountHashId="2xLbJcTzZVvHdBgyMHkQZ0"),
               event(2, properties=[{"Key": "AccountHashId", "Value": "other"}]),
               event(3, link="https://api.example.invalid/account?accountHashId=other")):
        problem(c.post(text(ev)), 403, "Forbidden")
    tap.same(c.post(text(event(4, accountHashId=c.sandbox.account)))[0], 200)
    problem(c.post(text(event(5), event(6, accountHashId="other"))), 403)
    kept(c, rejected=4, new=1)


@both
def unknown_kind(c):
    """an object whose kind cannot be found is taken, as Other.Other"""
    for body in (b"{}", b'{"hello":"world"}', text({"eventId": guid(1)}),
                 text(event(2, eventType="")), text(event(3, eventType="../../etc/x"))):
        tap.same(c.post(body)[0], 200, repr(body))
    names = c.names("new")
    tap.same(len(names), 5)
    tap.same([n for n in names if not n.endswith(".Other.Other")], [])
    kept(c, new=5)


@both
def arrays(c):
    """all are parsed first: one bad, none written"""
    five = [event(n) for n in range(1, 6)]
    for spoiled in (b"7", b'{"a":}', b"null"):
        problem(c.post(text(*five)[:-1] + b"," + spoiled + b"]"), 400)
        kept(c, rejected=len(c.names("rejected")))
    rejected = len(c.names("rejected"))
    got, _, body = c.post(text(*five))
    tap.same((got, json.loads(body)), (200, {"status": "accepted", "events": [
        {"status": "accepted", "id": e["eventId"]} for e in five]}))
    kept(c, new=5, rejected=rejected)
    got, _, body = c.post(text(*five, event(6)))
    answer = json.loads(body)
    tap.same((got, answer["status"], [e["status"] for e in answer["events"]]),
             (200, "accepted", ["duplicate"] * 5 + ["accepted"]))
    tap.same(json.loads(c.post(text(*five))[2])["status"], "duplicate")
    # one element of an array is the event itself, twice in one array is once
    tap.same(json.loads(c.post(b"[" + text(event(7)) + b"]")[2])["events"],
             [{"status": "accepted", "id": guid(7)}])
    tap.same([e["status"] for e in json.loads(c.post(text(event(8), event(8)))[2])["events"]],
             ["accepted", "duplicate"])
    kept(c, new=8, rejected=rejected)


@test
def duplicates_in_every_box():
    """an event in cur, done, failed or held is known as such"""
    with Chain("boxes", daemon="concurrency = 1") as c:
        c.sandbox.fault(on="api", match="/client", do_="delay", ms=20000, times=-1)
        c.post(text(event(1)))
        c.wait_state(done=1)
        c.post(text(event(2, eventType="Nothing.Known")))
        c.wait_state(done=1, failed=1)
        c.post(text(event(3, eventType="Client.Update", clientHashId="abc")))
        c.wait_state(done=1, failed=1, cur=1)
        c.stop_daemon()
        c.post(text(event(4)))
        c.ctl("hold", guid(4))
        tap.same({b: n for b, n in c.counts().items() if n}, {"cur": 1, "done": 1, "failed": 1,
                                                               "held": 1})
        for n, kind in ((1, "Account.Update"), (2, "Nothing.Known"), (3, "Client.Update"),
                        (4, "Account.Update")):
            got, _, body = c.post(text(event(n, eventType=kind)))
            tap.same((got, json.loads(body)["status"]), (200, "duplicate"), kind)
        tap.same(c.counts()["new"], 0)


def unavailable(c, body):
    answer = c.post(body)
    problem(answer, 503, "Service Unavailable")
    assert int(answer[1]["Retry-After"]) > 0
    return answer


@test
def disk_nearly_full():
    """503 with Retry-After, and nothing is kept; so for inodes, a full queue, rejected/"""
    for setting in ("min_free = 60000G", "min_inodes = 1000000000"):
        with Chain("full", daemon_starts=False, spool=setting) as c:
            for body in (text(event(1)), b"not json"):
                unavailable(c, body)
            problem(c.post(text(event(1)), secret=None), 401)
            problem(c.post(text(event(1)), content_type="text/plain"), 415)
            kept(c)


@test
def queue_and_rejected_full():
    with Chain("limits", daemon_starts=False, spool="queue_limit = 3\nrejected_limit = 2") as c:
        for n in range(1, 4):
            tap.same(c.post(text(event(n)))[0], 200)
        unavailable(c, text(event(4)))
        kept(c, new=3)
        c.start_daemon()
        c.wait_state(done=3)
        for body in (b"one", b"two"):
            problem(c.post(body), 400)
        unavailable(c, b"three")
        tap.same(len(c.names("rejected")), 2)
        tap.same(c.post(text(event(4)))[0], 200, "a good event still")
        c.wait_state(done=4, rejected=2)


@test
def no_spool():
    """a folder of the spool is gone while the receiver runs: 503, and 200 when it is back"""
    with Chain("gone", receiver="listen", daemon_starts=False) as c:
        tap.same(c.post(text(event(1)))[0], 200)
        os.rename(c.spool, c.spool + ".away")
        os.rename(c.spool + ".away", c.spool)
        tap.same(c.post(text(event(2)))[0], 200)
        mode = os.stat(c.spool + "/tmp").st_mode & 0o7777
        if os.geteuid() == 0:
            os.chmod(c.spool + "/tmp", 0o2750)
            unavailable(c, text(event(3)))
            os.chmod(c.spool + "/tmp", mode)
        tap.same(c.post(text(event(3)))[0], 200)
        kept(c, new=3)


@test
def bodies_that_lie_about_their_length():
    """straight into the FastCGI socket: shorter, longer, none, cut off"""
    with Chain("short", receiver="listen", daemon_starts=False, spool="max_body = 64K") as c:
        body = text(event(1))
        n = len(body)

        def ask(length, content, secret=SECRET):
            return fcgi_client.ask(c.sock(), fcgi_client.params(
                "/arken/acme", length, secret), content)
        for length, content in ((n + 1, body), (n + 1000, body), (n, body[:-1]), (n, b""),
                                (n - 1, body), (0, body)):
            problem_cgi(ask(length, content), 400)
        problem_cgi(ask("-2", body), 400)
        problem_cgi(ask("1 ", body), 400)
        problem_cgi(ask("99999999999999999999999", body), 413)
        problem_cgi(ask(n + 1, body, secret=None), 401)
        kept(c)
        # none, and as Caddy says that there is none
        for length, said in ((None, "accepted"), ("-1", "duplicate")):
            status, _, answer = ask(length, body)
            tap.same((status, json.loads(answer)["status"]), (200, said))
        kept(c, new=1)
        # connections that end in the middle leave nothing, and hold nobody up
        for i in range(100):
            broken = fcgi_client.Connection(c.sock())
            broken.request(fcgi_client.params("/arken/acme", 5000, SECRET), b"{" * (i * 40),
                           end=False)
            broken.close()
        tap.same(ask(len(text(event(2))), text(event(2)))[0], 200)
        kept(c, new=2)


def problem_cgi(answer, status):
    got, fields, body = answer
    tap.same((got, fields["content-type"], json.loads(body)["status"]),
             (status, "application/problem+json", status))


@test
def credential_given_twice_as_two_parameters():
    """as nginx passes a repeated header"""
    with Chain("twice", receiver="listen", daemon_starts=False) as c:
        body = text(event(1))
        for second in (SECRET, "x", ""):
            problem_cgi(fcgi_client.ask(c.sock(), fcgi_client.params(
                "/arken/acme", len(body), SECRET, more=[("HTTP_X_ARKEN_SECRET", second)]),
                body), 401)
        problem_cgi(fcgi_client.ask(c.sock(), fcgi_client.params(
            "/arken/acme", len(body), SECRET, more=[("CONTENT_LENGTH", str(len(body) + 1))]),
            body), 400)
        kept(c)


@test
def a_refused_body_is_read_all_the_same():
    """on a kept connection the next request is answered for itself"""
    with Chain("kept", receiver="listen", daemon_starts=False, spool="max_body = 64K") as c:
        s = fcgi_client.Connection(c.sock())
        good, much = text(event(1)), b"x" * 60000
        for secret, length, body, want in (
                (None, 60000, much, 401), (SECRET, len(good), good, 200),
                (SECRET, 60000, much, 400), (SECRET, len(good), good, 200),
                ("nonsense", 60000, much, 401), (SECRET, len(good), good, 200)):
            s.request(fcgi_client.params("/arken/acme", length, secret), body)
            tap.same(s.answer()[0], want)
        # more than max_body is not read for ever: answered, then the connection may end
        s.request(fcgi_client.params("/arken/acme", 70000, SECRET), b"x" * 70000)
        tap.same(s.answer()[0], 413)
        s.close()
        kept(c, new=1, rejected=1)


@test
def more_connections_than_threads():
    """kept connections that are idle do not keep others waiting"""
    with Chain("many", receiver="listen", daemon_starts=False,
               receiver_conf="threads = 4") as c:
        answers, body = [], text(event(1))

        def hold():
            s = fcgi_client.Connection(c.sock())
            s.request(fcgi_client.params("/arken/acme", len(body), SECRET), body)
            answers.append(s.answer()[0])
            s.wait_closed()  # as a web server does: kept until the receiver ends it
        holders = [threading.Thread(target=hold) for _ in range(30)]
        for t in holders:
            t.start()
        for n in range(2, 20):
            tap.same(c.post(text(event(n)))[0], 200)
        c.fcgi[0].end()
        for t in holders:
            t.join(WAIT)
        tap.same(answers, [200] * 30)
        kept(c, new=19)


@test
def a_new_secret_needs_no_gap():
    """the file of secrets is read again while the receiver runs"""
    with Chain("secrets", receiver="cgi", daemon_starts=False) as c:
        problem(c.post(text(event(1)), secret="a-newer-secret-2"), 401)
        c.write("etc/acme.secret", SECRET + "\na-newer-secret-2\n", 0o640, 0)
        tap.same(c.post(text(event(1)), secret="a-newer-secret-2")[0], 200)
        tap.same(c.post(text(event(2)))[0], 200)
        c.write("etc/acme.secret", "a-newer-secret-2\n", 0o640, 0)
        problem(c.post(text(event(3))), 401)
        c.write("etc/acme.secret", "a-newer-secret-2\n", 0o644, 0)
        unavailable(c, text(event(4)))
        kept(c, new=2)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
