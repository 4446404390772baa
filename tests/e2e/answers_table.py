# SPDX-License-Identifier: ISC
"""answers_table - every row of the receiver's answer table, through a web server.

One table for all of them.  A row says what is sent, what has to come back and
what then lies in new and rejected.  Where a web server may answer by itself
instead, the row names which and with what; then nothing is kept either.
"""
import json
import os

import tap
from chain import HEADER, IS_ROOT, SECRET, guid
from servers import BEARER, HOST, MAX_BODY, SERVER_BODY

REJECTED_LIMIT = 5  # so many rows below are kept in rejected
QUEUE_LIMIT = 13    # and so many in new
SPOOL = "rejected_limit = %d\nqueue_limit = %d" % (REJECTED_LIMIT, QUEUE_LIMIT)


def event(n, **more):
    return json.dumps(dict({"eventId": guid(n), "eventType": "Account.Update"}, **more)).encode()


def of_size(n, size):
    return event(n, x="y" * (size - len(event(n, x=""))))


def ok(status, n):
    return {"status": status, "id": guid(n)}


class Row:
    """
    what: its name.  status: of the receiver, or the beginning of a way -> status where it is
    not the same for all, or None: the request is cut off.  json: of the
    answer to a success.  new, rejected: so many more files there.  itself: way, or its
    beginning, -> statuses that the web server may answer with before it asks the receiver.
    bearer: makes the token to send.  The rest is what is asked of Site.post, or head, raw lines.
    """

    def __init__(self, what, status, body, json=None, new=0, rejected=0, itself=None,
                 before=None, after=None, head=None, bearer=None, **request):
        self.what, self.status, self.body, self.json = what, status, body, json
        self.new, self.rejected, self.itself = new, rejected, itself or {}
        self.before, self.after, self.head, self.bearer = before, after, head, bearer
        self.request = request

    def send(self, site):
        if self.head is not None:
            return site.talk([h.format(n=len(self.body)) for h in self.head], self.body)
        if self.bearer is not None:
            token = {"Authorization": "Bearer " + self.bearer(site.issuer)}
            return site.post(self.body, headers=token, **self.request)
        return site.post(self.body, **self.request)


def twice(second, name=HEADER):
    """A credential in two header lines; the web server makes of it what it does."""
    return ["%s: %s" % (name, second)]


def lock_spool(site):
    """The receiver may not write any more."""
    os.chmod(site.spool + "/tmp", 0o2750)


def open_spool(site):
    os.chmod(site.spool + "/tmp", 0o2770)


GOOD = event(1)
ALL = ("lighttpd", "nginx", "apache", "caddy")

ROWS = [
    Row("accepted", 200, GOOD, ok("accepted", 1), new=1),
    Row("a duplicate", 200, GOOD, ok("duplicate", 1)),
    # early, so that what comes of them late is counted with the rows below
    Row("shorter than announced", None, event(10)[:-1],
        head=["POST /arken/acme HTTP/1.1", "Host: " + HOST, HEADER + ": " + SECRET,
              "Content-Type: application/json", "Content-Length: %d" % len(event(10))]),
    Row("a chunk cut off", None, b"400\r\n" + event(10),
        head=["POST /arken/acme HTTP/1.1", "Host: " + HOST, HEADER + ": " + SECRET,
              "Content-Type: application/json", "Transfer-Encoding: chunked"]),
    # chunks
    Row("chunked", 200, event(2), ok("accepted", 2), new=1, chunked=True),
    Row("chunked, a duplicate", 200, event(2), ok("duplicate", 2), chunked=True),
    Row("an array", 200, b"[" + event(3) + b"," + event(1) + b"]",
        {"status": "accepted", "events": [ok("accepted", 3), ok("duplicate", 1)]}, new=1),
    Row("a type with parameters", 200, GOOD, ok("duplicate", 1),
        content_type="application/json; charset=utf-8"),
    Row("with a query", 200, GOOD, ok("duplicate", 1), path="/arken/acme?a=b&c=%2F"),
    Row("a header in Authorization", 200, event(4), ok("accepted", 4), new=1,
        path="/arken/bearer", secret=None, headers={"Authorization": BEARER}),
    Row("a bearer token", 200, event(8), ok("accepted", 8), new=1, path="/arken/oidc",
        secret=None, bearer=lambda issuer: issuer.token()),
    Row("a bearer token of nearly 8 KiB", 200, event(8), ok("duplicate", 8),
        path="/arken/oidc", secret=None, bearer=lambda issuer: issuer.token(more="x" * 5500)),
    # credentials
    Row("a bearer token, its signature changed", 401, GOOD, path="/arken/oidc", secret=None,
        bearer=lambda issuer: issuer.token()[:-8] + "AAAAAAAA"),
    Row("a bearer token for somebody else", 401, GOOD, path="/arken/oidc", secret=None,
        bearer=lambda issuer: issuer.token(aud="https://elsewhere.example.com/")),
    Row("no bearer token", 401, GOOD, path="/arken/oidc", secret=None),
    Row("no credentials", 401, GOOD, secret=None),
    Row("wrong credentials", 401, GOOD, secret=SECRET + "x"),
    Row("an empty credential", 401, GOOD, secret=""),
    Row("twice, in two lines", 401, GOOD, more=twice(SECRET)),
    Row("twice, the second one wrong", 401, GOOD, more=twice("another-secret-of-16")),
    Row("twice, the first one wrong", 401, GOOD, secret="another-secret-of-16",
        more=twice(SECRET)),
    Row("twice, in one line", 401, GOOD, secret=SECRET + ", " + SECRET),
    Row("twice, in another case", 401, GOOD, more=twice(SECRET, HEADER.upper())),
    Row("with underscores only", 401, GOOD, secret=None,
        more=twice(SECRET + "x", HEADER.replace("-", "_"))),
    # only lighttpd passes a name with underscores beside the other one
    Row("twice, once with underscores", {"lighttpd": 401, "": 200}, GOOD, ok("duplicate", 1),
        more=twice(SECRET, HEADER.replace("-", "_"))),
    Row("Authorization, wrong", 401, GOOD, path="/arken/bearer", secret=None,
        headers={"Authorization": BEARER[:-1]}),
    Row("Authorization twice", 401, GOOD, path="/arken/bearer", secret=None,
        headers={"Authorization": BEARER}, more=["Authorization: " + BEARER],
        itself={"nginx": (400,)}),
    Row("Authorization of 8 KiB", 401, GOOD, path="/arken/bearer", secret=None,
        headers={"Authorization": "Bearer " + "x" * 8192}),
    Row("no credentials, 10 MiB", 401, b"x" * MAX_BODY, secret=None),
    Row("no credentials, 10 MiB chunked", 401, b"x" * MAX_BODY, secret=None, chunked=True),
    # route and method
    Row("an unknown path", 404, GOOD, path="/arken/other"),
    Row("a path in another case", 404, GOOD, path="/arken/ACME"),
    Row("a longer path", 404, GOOD, path="/arken/acme/x"),
    Row("not Arken's: the web server's own", 0, GOOD, path="/other/acme",
        itself={way: (404, 405) for way in ALL}),
    Row("GET", 405, None, method="GET"),
    Row("HEAD", 405, None, method="HEAD"),
    Row("PUT", 405, GOOD, method="PUT"),
    Row("DELETE", 405, None, method="DELETE"),
    Row("PATCH", 405, GOOD, method="PATCH"),
    Row("OPTIONS", 405, None, method="OPTIONS"),
    Row("is it well", 200, None, {"status": "well"}, method="GET", secret=None,
        path="/arken/status/healthz"),
    # type and size
    Row("no content type", 415, GOOD, content_type=None),
    Row("not JSON by its type", 415, GOOD, content_type="text/plain"),
    Row("10 MiB", 200, of_size(5, MAX_BODY), ok("accepted", 5), new=1),
    Row("10 MiB, chunked", 200, of_size(6, MAX_BODY), ok("accepted", 6), new=1, chunked=True),
    Row("10 MiB and a byte", 413, of_size(7, MAX_BODY + 1)),
    Row("10 MiB and a byte, chunked", 413, of_size(7, MAX_BODY + 1), chunked=True),
    # only mod_proxy_fcgi asks the receiver before it has the body
    Row("over the web server's limit", {"apache-proxy": 413, "": 0}, of_size(7, SERVER_BODY + 1),
        itself={way: (413,) for way in ALL}),
    Row("over the web server's limit, chunked", {"apache-proxy": 413, "": 0},
        of_size(7, SERVER_BODY + 1), chunked=True,
        # mod_fcgid has no other word for it
        itself=dict({way: (413,) for way in ALL}, **{"apache-fcgid": (413, 500)})),
    # what a body is
    Row("not strict JSON", 400, b'{"a":1,}', rejected=1),
    Row("nothing", 400, b"", rejected=1),
    Row("no object", 400, b"7", rejected=1),
    Row("one of an array no object", 400, b"[" + event(8) + b",7]", rejected=1),
    Row("for another account", 403, event(9, accountHashId="someoneElses"), rejected=1),
    Row("without a kind", 200, b'{"hello":"world"}', new=1),
    # 503
    Row("rejected is full", 503, b"not JSON"),
    Row("the spool may not be written", 503, event(11), before=lock_spool, after=open_spool),
    Row("and may again", 200, event(11), ok("accepted", 11), new=1),
]


def check_problem(row, answer):
    status, headers, body = answer
    tap.same(headers["Content-Type"], "application/problem+json", row.what)
    if row.request.get("method") == "HEAD":
        return
    p = json.loads(body)
    tap.same((sorted(p), p["status"], p["type"]),
             (["detail", "status", "title", "type"], status, "about:blank"), row.what)
    for said in (SECRET, "/var", "spool/"):
        if said in body.decode():
            raise AssertionError("%s: the answer tells %r" % (row.what, said))


def check_headers(row, answer):
    status, headers, _ = answer
    tap.same(headers["Cache-Control"], "no-store", row.what)
    if status == 401 and not headers["WWW-Authenticate"]:
        raise AssertionError("%s: no WWW-Authenticate" % row.what)
    if status == 405:
        tap.same(headers["Allow"], "POST", row.what)
    if status == 503 and int(headers["Retry-After"]) <= 0:
        raise AssertionError("%s: Retry-After %s" % (row.what, headers["Retry-After"]))


def status_of(row, way):
    if not isinstance(row.status, dict):
        return row.status
    return next(s for prefix, s in row.status.items() if way.startswith(prefix))


def own_statuses(row, way):
    return [s for prefix, statuses in row.itself.items() if way.startswith(prefix)
            for s in statuses]


def check_answer(row, way, answer):
    """True: it was the receiver's; False: the web server's own, as the row has it."""
    status, headers, body = answer
    ours = "json" in (headers["Content-Type"] or "") if status else False
    if not ours:
        if status not in own_statuses(row, way):
            raise AssertionError("%s: the web server said %r: %r" % (row.what, status,
                                                                    body[:300]))
        return False
    tap.same(status, status_of(row, way), "%s: %r" % (row.what, body[:200]))
    check_headers(row, answer)
    if status != 200:
        check_problem(row, answer)
    elif row.json is not None:
        tap.same(json.loads(body), row.json, row.what)
    return True


def kept(site):
    counts = site.counts()
    return counts["new"], counts["rejected"]


def cut_off(row, site):
    """The sender breaks off, with and without a word; what was kept of it shows later."""
    for polite in (False, True):
        s = site.connect()
        s.sendall(("\r\n".join(row.head) + "\r\n\r\n").encode() + row.body)
        s.setblocking(False)
        try:
            if polite:
                s.unwrap()
        except OSError:
            pass  # the peer's part of it is not waited for
        s.close()


def run(site, way):
    """The whole table; answers of the web server's own are noted."""
    new = rejected = 0
    for row in ROWS:
        if row.before is not None and not IS_ROOT:
            continue
        if row.status is None:
            cut_off(row, site)
            continue
        if row.before:
            row.before(site)
        answer = row.send(site)
        if row.after:
            row.after(site)
        if check_answer(row, way, answer):
            new, rejected = new + row.new, rejected + row.rejected
        else:
            tap.note("%s: the web server's own %d" % (row.what, answer[0]))
        tap.same(kept(site), (new, rejected), "new, rejected after: " + row.what)
    fill_queue(site, new)


def fill_queue(site, new):
    """Events up to the limit of the queue; the next one is for later."""
    for n in range(new, QUEUE_LIMIT):
        tap.same(site.post(event(100 + n))[0], 200, "event %d of the queue" % n)
    full = Row("the queue is full", 503, event(99))
    answer = full.send(site)
    if not check_answer(full, "", answer):
        raise AssertionError("the queue is full: no answer of the receiver's")
    tap.same(kept(site)[0], QUEUE_LIMIT, "new, when the queue is full")
    cut = [n for n in site.names("new") + site.names("rejected") if guid(10) in n]
    tap.same(cut, [], "kept, though cut off")
    tap.same(os.listdir(site.spool + "/tmp"), [], "left in tmp")
    tap.same(os.listdir(site.spool + "/rejected/tmp"), [], "left in rejected/tmp")
