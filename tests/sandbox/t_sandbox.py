#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_sandbox - does the stand-in Arken keep its own contract?  Prints TAP.

usage: t_sandbox.py [PROGRAM]     (standard library only; never sleeps)
"""
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import traceback
import urllib.parse

BUILT = os.path.join(os.environ.get("ARKEN_BUILD", "."), "tests/sandbox/arken-sandbox")
PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else BUILT)
KINDS = [c + "." + t for c, ts in (
    ("Account", ["Update"]), ("Client", ["Create", "Update", "Delete"]),
    ("DocumentData", ["Create", "Update", "Delete"]),
    ("User", ["Create", "Update", "Delete"]), ("FileStore", ["Upload", "Download"]))
    for t in ts]
SHAPES = ["feed", "split", "direct", "properties", "lower", "upper", "getfiledetail",
          "noid", "notime", "array", "unknown", "mixed"]
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def same(got, want, what=""):
    assert got == want, "%s: got %r, want %r" % (what, got, want)


class Hook(http.server.ThreadingHTTPServer):
    """Receives webhooks; statuses are answered in turn, the last for ever."""
    daemon_threads = True
    request_queue_size = 128
    scheme = "http"

    def __init__(self, statuses=(200,)):
        self.got, self.statuses, self.lock = [], list(statuses), threading.Lock()
        self.tokens, self.asked, self.token_life, self.token_status = 0, [], 3600, 200
        super().__init__(("127.0.0.1", 0), HookRequest)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return "%s://127.0.0.1:%d/arken" % (self.scheme, self.server_address[1])

    def handle_error(self, request, client_address):
        pass

    def bodies(self):
        with self.lock:
            return [json.loads(g["body"]) for g in self.got]

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.shutdown()
        self.server_close()


class HookRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            out = b""
            while True:
                n = int(self.rfile.readline().strip() or b"0", 16)
                out += self.rfile.read(n)
                self.rfile.readline()
                if n == 0:
                    return out
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_POST(self):
        body = self.body()
        if self.path == "/issuer":
            self.server.tokens += 1
            self.server.asked.append((self.headers["Content-Type"], body.decode()))
            self.answer(self.server.token_status, json.dumps({
                "access_token": "tok%d" % self.server.tokens, "token_type": "Bearer",
                "expires_in": self.server.token_life}).encode())
            return
        want = self.headers.get("Content-Length")
        with self.server.lock:
            self.server.got.append({"headers": self.headers, "body": body, "whole":
                                    want is None or int(want) == len(body)})
            status = self.server.statuses[0]
            if len(self.server.statuses) > 1:
                self.server.statuses.pop(0)
        self.answer(status, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Sandbox:
    def __init__(self, *args, hook=None, plain=True):
        self.tmp = tempfile.TemporaryDirectory()
        d = self.tmp.name
        cmd = [PROGRAM, "--dir", d, "--quiet"] + list(args)
        if plain:
            cmd.append("--plain")
        if hook:
            with open(d + "/secret", "w") as f:
                f.write("s3cret\n")
            cmd += ["--webhook", hook.url, "--header", "X-Arken-Secret",
                    "--secret-file", d + "/secret"]
        self.p = subprocess.Popen(cmd, stdout=subprocess.PIPE, text=True)
        same(self.p.stdout.readline(), "arken-sandbox: ready\n", "first line")
        self.env = {}
        with open(d + "/sandbox.env") as f:
            for line in f:
                k, v = line.rstrip("\n").split("=", 1)
                self.env[k] = v.strip("'")
        self.account = self.env["ACCOUNT_HASH"]
        self.bearer = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *args):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
        code = self.p.wait(30)
        self.p.stdout.close()
        self.tmp.cleanup()
        if kind is None:
            same(code, 0, "exit code")

    def http(self, method, url, body=None, headers=None):
        u = urllib.parse.urlsplit(url)
        if u.scheme == "https":
            ctx = ssl.create_default_context(cafile=self.env["CA_FILE"])
            c = TLS(u.hostname, u.port, ctx)
        else:
            c = http.client.HTTPConnection("127.0.0.1", u.port, timeout=30)
        try:
            h = {"Host": u.netloc}
            h.update(headers or {})
            c.request(method, (u.path or "/") + ("?" + u.query if u.query else ""), body, h)
            r = c.getresponse()
            return r.status, r.read(), r.headers
        finally:
            c.close()

    def admin(self, method, path, body=None, want=200):
        if isinstance(body, dict):
            body = json.dumps(body)
        s, b, _ = self.http(method, self.env["ADMIN_URL"] + path, body)
        same(s, want, path + " " + b[:200].decode(errors="replace"))
        return json.loads(b)

    def emit(self, kind, **kw):
        q = urllib.parse.urlencode(dict(kw, kind=kind))
        return self.admin("POST", "/admin/emit?" + q)["events"]

    def fault(self, **kw):
        kw = {("do" if k == "do_" else k): v for k, v in kw.items()}
        return self.admin("POST", "/admin/fault", kw)["fault"]

    def stats(self):
        return self.admin("GET", "/admin/stats")

    def quiet(self, what="pending=0"):
        return self.admin("GET", "/admin/wait?timeout_ms=20000&" + what)

    def token_ask(self, **kw):
        body = {"client_id": self.env["CLIENT_ID"], "client_secret": self.env["CLIENT_SECRET"],
                "audience": self.env["AUDIENCE"], "grant_type": "client_credentials"}
        body.update(kw)
        return self.http("POST", self.env["TOKEN_URL"], json.dumps(body),
                         {"Content-Type": "application/json"})

    def api(self, method, path, body=None, auth=True, **q):
        if auth and not self.bearer:
            s, b, _ = self.token_ask()
            same(s, 200, "token")
            self.bearer = json.loads(b)["access_token"]
        q.setdefault("accountHashId", self.account)
        url = self.env["API_URL"] + path + "?" + urllib.parse.urlencode(q)
        return self.http(method, url, json.dumps(body) if body is not None else None,
                         {"Authorization": "Bearer " + self.bearer} if auth else {})

    def get(self, path, want=200, **q):
        s, b, _ = self.api("GET", path, **q)
        same(s, want, path)
        return json.loads(b) if b else None

    def subscription(self, hook, oidc=False):
        body = {"accountHashId": self.account, "callbackUrl": hook.url}
        if oidc:
            body["openIdConnect"] = {"authUrl": hook.url.replace("/arken", "/issuer"),
                                     "clientId": "a &", "clientSecret": "b=ä",
                                     "audience": "https://hook.test/"}
        else:
            body["secretHeader"] = {"name": "X-Other", "value": "other"}
        return body


class TLS(http.client.HTTPSConnection):
    """*.localhost is 127.0.0.1, whatever the resolver thinks."""
    def __init__(self, host, port, ctx):
        super().__init__(host, port, timeout=30, context=ctx)
        self._create_connection = lambda a, *b: __import__("socket").create_connection(
            ("127.0.0.1", a[1]), 30)


def link_of(sb, doc):
    return sb.get("/filestore", documentHashId=doc)["location"]


def broken(f, *args):
    """Does the connection fail, or bring less than it announced?"""
    try:
        f(*args)
    except (http.client.HTTPException, OSError):
        return True
    return False


def cut_head(f):
    """Some clients fail then, some see an answer without a body."""
    try:
        return f()[1] == b""
    except (http.client.HTTPException, OSError):
        return True


@test
def options():
    with tempfile.TemporaryDirectory() as d:
        for bad in ([], ["--nope"], ["--dir"], ["--dir", d, "--seed", "x"],
                    ["--dir", d, "--port-api", "65536"], ["--dir", d, "--shape", "round"],
                    ["--dir", d, "--prefix", "pre"], ["--dir", d, "--plain=1"],
                    ["--dir", d, "--account", "a/b"], ["--dir", d, "--webhook", "http://x/"],
                    ["--dir", d, "--document-size", "5"], ["--dir", d, "extra"],
                    ["--dir", d, "--fault", "{"], ["--dir", d, "--fault", '{"on":"api"}'],
                    ["--dir", d, "--attempts", "0"], ["--dir", d, "--filestore", "x"],
                    ["--dir", d, "--issuer-request", "xml"]):
            r = subprocess.run([PROGRAM] + bad, capture_output=True, text=True, timeout=30)
            same(r.returncode, 64, bad)
            assert r.stderr.startswith("arken-sandbox: "), r.stderr
    for good in ("--help", "--version"):
        r = subprocess.run([PROGRAM, good], capture_output=True, text=True, timeout=30)
        same((r.returncode, r.stderr), (0, ""), good)
        assert "arken-sandbox" in r.stdout


@test
def environment_and_tls():
    with Sandbox("--prefix", "/pre", plain=False) as sb:
        assert sb.env["API_URL"].startswith("https://api.localhost:")
        assert sb.env["API_URL"].endswith("/pre")
        assert re.fullmatch(r"documents\.localhost:\d+", sb.env["DOCUMENT_HOST"])
        assert re.fullmatch(r"[0-9A-Za-z]{22}", sb.account)
        same(int(sb.env["PID"]), sb.p.pid, "PID")
        same(sb.get("/account")["hashId"], sb.account)
        doc = sb.emit("FileStore.Upload")[0]
        s, b, _ = sb.http("GET", link_of(sb, doc["documentHashId"]))
        same((s, hashlib.sha256(b).hexdigest()), (200, doc["sha256"]))
        same(oct(os.stat(sb.tmp.name + "/server.key").st_mode & 0o777), "0o600")


@test
def stop_by_admin():
    with Sandbox() as sb:
        sb.admin("POST", "/admin/stop")
        same(sb.p.wait(30), 0)


@test
def tokens():
    with Sandbox("--token-life", "77") as sb:
        s, b, _ = sb.token_ask()
        t = json.loads(b)
        same((s, t["token_type"], t["expires_in"]), (200, "Bearer", 77))
        s, b, _ = sb.token_ask(client_secret="no")
        same((s, json.loads(b)["error"]), (401, "access_denied"))
        same(sb.token_ask(audience="no")[0], 403)
        same(sb.token_ask(grant_type="password")[0], 403)
        same(sb.http("POST", sb.env["TOKEN_URL"], "{nonsense")[0], 400)
        form = urllib.parse.urlencode({"client_id": "sandbox-client", "client_secret":
                                       "sandbox-secret", "audience": sb.env["AUDIENCE"],
                                       "grant_type": "client_credentials"})
        same(sb.http("POST", sb.env["TOKEN_URL"], form,
                     {"Content-Type": "application/x-www-form-urlencoded"})[0], 200)
        st = sb.stats()
        same((st["tokens"], st["token_refused"]), (6, 4))
        s, b, _ = sb.api("GET", "/account", auth=False)
        same((s, json.loads(b)), (401, {"message": "Unauthorized"}))
        sb.bearer = t["access_token"][:-1] + "x"
        same(sb.api("GET", "/account")[0], 401)
        sb.bearer = t["access_token"]
        same(sb.api("GET", "/account")[0], 200)
        s, b, _ = sb.api("GET", "/nowhere", auth=False)
        same((s, json.loads(b)), (403, {"message": "Missing Authentication Token"}))
        st = sb.stats()
        same((st["api_401"], st["api_403"], st["api_total"]), (2, 1, 4))


@test
def callbacks():
    with Sandbox() as sb:
        ev = {e["kind"]: e for e in sb.emit("all")}
        same(sorted(ev), sorted(KINDS), "all twelve")
        c = ev["Client.Create"]["clientHashId"]
        d = ev["DocumentData.Create"]["documentHashId"]
        u = ev["User.Create"]["userHashId"]
        account = sb.get("/account")
        for m in ("name", "businessType", "address", "trustEmail", "createdOn", "updatedOn"):
            assert m in account, m
        before = sb.get("/client", clientHashId=c)
        same(before["hashId"], c)
        assert before["application"] in ("ARKEN", "CRM") and "extensionData" in before
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", before["updatedOn"])
        sb.emit("Client.Update", client=c)
        assert sb.get("/client", clientHashId=c)["updatedOn"] != before["updatedOn"]
        same(sb.get("/documentdata", documentHashId=d)["clientHashId"], c)
        same(sb.get("/user", userHashId=u)["hashId"], u)
        f = sb.get("/filestore", documentHashId=d)
        same((f["hashId"], f["size"], f["version"]), (d, ev["FileStore.Upload"]["size"], 1))
        for key in (urllib.parse.quote(f["fileName"]), f["fileName"].replace(" ", "+")):
            url = "%s/filestore?accountHashId=%s&clientHashId=%s&key=%s" % (
                sb.env["API_URL"], sb.account, c, key)
            s, b, _ = sb.http("GET", url, headers={"Authorization": "Bearer " + sb.bearer})
            same((s, json.loads(b)["hashId"]), (200, d), key)
        sb.get("/filestore", want=404, key="other pack 1.pdf")
        sb.get("/client", want=404, clientHashId="nobody")
        sb.get("/client", want=400)
        sb.get("/client", want=404, clientHashId=c, accountHashId="other")
        for kind, path, name in (("Client", "/client", "clientHashId"),
                                 ("DocumentData", "/documentdata", "documentHashId"),
                                 ("User", "/user", "userHashId")):
            sb.get(path, want=404, **{name: ev[kind + ".Delete"][name]})
        same(sb.api("DELETE", "/documentdata", documentHashId=d)[0], 204)
        sb.get("/documentdata", want=404, documentHashId=d)
        sb.get("/filestore", want=404, documentHashId=d)
        extra = sb.emit("FileStore.Upload", client=c, count=2)
        same(sb.api("DELETE", "/documentdata/account/client", clientHashId=c)[0], 204)
        for e in extra:
            sb.get("/documentdata", want=404, documentHashId=e["documentHashId"])
        same(sb.api("DELETE", "/client", clientHashId=c)[0], 204)
        sb.get("/client", want=404, clientHashId=c)
        kinds = [e["kind"] for e in sb.admin("GET", "/admin/events")]
        same((kinds[-1], kinds.count("DocumentData.Delete")), ("Client.Delete", 4))
        st = sb.stats()
        assert st["api_404"] == 11 and st["api_user"] == 2, st


@test
def documents():
    with Sandbox() as sb:
        e = sb.emit("FileStore.Upload")[0]
        link = link_of(sb, e["documentHashId"])
        s, b, h = sb.http("GET", link)
        same((s, len(b), hashlib.sha256(b).hexdigest()), (200, e["size"], e["sha256"]))
        same(h["ETag"], '"%s"' % hashlib.md5(b).hexdigest())
        assert b.startswith(b"%PDF-1.4") and b.endswith(b"%%EOF\n")
        same(int(b[b.rindex(b"startxref") + 10:].split()[0]), b.rindex(b"xref\n0 "), "xref")
        s, part, h = sb.http("GET", link, headers={"Range": "bytes=100-199"})
        same((s, part), (206, b[100:200]))
        same(h["Content-Range"], "bytes 100-199/%d" % len(b))
        same(sb.http("GET", link, headers={"Range": "bytes=-10"})[1], b[-10:])
        s, rest, _ = sb.http("GET", link, headers={"Range": "bytes=1000-",
                                                   "If-Range": '"%s"' % hashlib.md5(b).hexdigest()})
        same((s, rest), (206, b[1000:]))
        same(sb.http("GET", link, headers={"Range": "bytes=1-", "If-Range": '"x"'})[0], 200)
        same(sb.http("GET", link, headers={"Range": "bytes=999999-"})[0], 416)
        s, body, _ = sb.http("GET", link, headers={"Authorization": "Bearer x"})
        same((s, b"InvalidArgument" in body), (400, True))
        same(sb.http("GET", link, headers={"x-amz-meta-a": "1"})[0], 403)
        same(sb.http("HEAD", link)[0], 403, "signed for GET")
        at = link.index("X-Amz-Signature=") + len("X-Amz-Signature=")
        flip = "0" if link[at] != "0" else "1"
        for bad in (link[:at] + flip + link[at + 1:], link.replace("X-Amz-Expires=300", "X-Amz-Expires=301"),
                    link.replace(".pdf", ".pdx"), link.split("?")[0]):
            assert bad != link
            same(sb.http("GET", bad)[0], 403, "tampered")
        sb.fault(on="api", match="/filestore", do_="expire")
        s, body, _ = sb.http("GET", link_of(sb, e["documentHashId"]))
        same((s, b"Request has expired" in body), (403, True))
        sb.quiet("documents=4")
        st = sb.stats()
        same((st["documents"], st["document_authorization"], st["document_expired"]),
             (4, 1, 1))
        sb.emit("FileStore.Upload", document=e["documentHashId"])
        f = sb.get("/filestore", documentHashId=e["documentHashId"])
        same(f["version"], 2)
        assert hashlib.sha256(sb.http("GET", f["location"])[1]).hexdigest() != e["sha256"]


@test
def document_size_and_answers():
    with Sandbox("--document-size", "3000001", "--filestore", "redirect",
                 "--download-events") as sb:
        e = sb.emit("FileStore.Upload")[0]
        s, _, h = sb.api("GET", "/filestore", documentHashId=e["documentHashId"])
        same(s, 302)
        b = sb.http("GET", h["Location"])[1]
        same((len(b), hashlib.sha256(b).hexdigest()), (3000001, e["sha256"]))
        sb.quiet("events=2")
        same(sb.admin("GET", "/admin/events")[-1]["kind"], "FileStore.Download")
    with Sandbox("--filestore", "bytes", "--feed-envelope", "object") as sb:
        e = sb.emit("FileStore.Upload")[0]
        b = sb.api("GET", "/filestore", documentHashId=e["documentHashId"])[1]
        same(hashlib.sha256(b).hexdigest(), e["sha256"])
        same(len(sb.get("/event")["entries"]), 1)


@test
def feed():
    with Sandbox() as sb:
        sb.get("/event/info", want=204)
        sb.get("/event", want=204)
        ev = sb.emit("mixed", count=120, deliver=0)
        info = sb.get("/event/info")
        same((info["lastEventNumber"], info["lastEntryFeed"]["eventId"]),
             (120, ev[-1]["eventId"]))
        assert "feedLink" in info
        seen, at = [], 120
        while True:
            s, b, _ = sb.api("GET", "/event", eventPositionFrom=at, rowsReturned=50,
                             direction="backward")
            if s == 204:
                break
            page = json.loads(b)
            assert len(page) <= 50
            seen += page
            at = page[-1]["eventNumber"] - 1
        same([x["eventId"] for x in seen], [e["eventId"] for e in reversed(ev)])
        same([x["eventType"] for x in seen], [e["kind"] for e in reversed(ev)])
        page = sb.get("/event", eventPositionFrom=118, direction="forward", rowsReturned=99)
        same([x["eventNumber"] for x in page], [118, 119, 120])
        sb.get("/event", want=204, eventPositionFrom=121, direction="forward")
        same(len(sb.get("/event", rowsReturned=1000)), 50)
        sb.get("/event", want=400, direction="up")
        links = [x["link"] for x in seen]
        assert any(" " in x for x in links), "no raw space"
        assert any(re.match(r"http://[^/]*\?", x) for x in links), "all with a path"
        same(set(e["state"] for e in sb.admin("GET", "/admin/events")), {"abandoned"})


@test
def subscription():
    with Hook() as hook, Sandbox() as sb:
        path = "/Event/Subscription"
        same(sb.api("GET", path)[0], 404)
        same(sb.api("DELETE", path)[0], 404)
        same(sb.api("PUT", path, sb.subscription(hook))[0], 404)
        same(sb.api("POST", path, {"accountHashId": sb.account})[0], 400)
        same(sb.api("POST", path, dict(sb.subscription(hook), accountHashId="x"))[0], 404)
        s, b, _ = sb.api("POST", path, sb.subscription(hook))
        same(s, 201)
        assert "other" not in b.decode(), "a secret came back"
        same(sb.api("POST", path, sb.subscription(hook))[0], 409)
        same(json.loads(sb.api("GET", path.lower())[1])["callbackUrl"], hook.url)
        sb.emit("Client.Create")
        sb.quiet()
        same(hook.got[0]["headers"]["X-Other"], "other")
        same(sb.api("PUT", path, sb.subscription(hook, oidc=True))[0], 200)
        sb.emit("Client.Create", count=5)
        sb.quiet()
        same([g["headers"]["Authorization"] for g in hook.got[1:]], ["Bearer tok1"] * 5)
        same((hook.tokens, sb.stats()["subscriptions"]), (1, 1))
        same(hook.asked, [("application/x-www-form-urlencoded",
                           "grant_type=client_credentials&client_id=a%20%26&client_secret=b%3D%C3%A4"
                           "&audience=https%3A%2F%2Fhook.test%2F")])
        same(sb.api("DELETE", path)[0], 204)
        sb.emit("Client.Create")
        st = sb.quiet()
        same((len(hook.got), st["subscriptions"], st["abandoned"]), (6, 0, 1))


@test
def bearer():
    """The issuer's token: kept while it is good, fetched anew when it is not."""
    path = "/Event/Subscription"
    with Hook() as hook, Sandbox("--issuer-request", "json", "--parallel", "1") as sb:
        same(sb.api("POST", path, sb.subscription(hook, oidc=True))[0], 201)
        assert "b=" not in sb.api("GET", path)[1].decode(), "the secret came back"

        def sent(events=1):
            del hook.got[:]
            sb.emit("Client.Create", count=events)
            sb.quiet()
            return [g["headers"]["Authorization"] for g in hook.got]

        same(sent(3), ["Bearer tok1"] * 3)
        same(hook.asked[0][0], "application/json")
        same(json.loads(hook.asked[0][1]), {
            "grant_type": "client_credentials", "client_id": "a &", "client_secret": "b=ä",
            "audience": "https://hook.test/"})
        # refused once: the attempt after it has a new one
        hook.statuses = [401, 200]
        same(sent(), ["Bearer tok1", "Bearer tok2"])
        # a subscription that changes is no use for the old one
        same(sb.api("PUT", path, sb.subscription(hook, oidc=True))[0], 200)
        hook.token_life = 1
        same(sent(), ["Bearer tok3"])
        hook.token_life = 3600
        same(sent(2), ["Bearer tok4"] * 2)
        same((sb.stats()["issuer_tokens"], sb.stats()["issuer_refused"]), (4, 0))
        # no token, no delivery
        same(sb.api("PUT", path, sb.subscription(hook, oidc=True))[0], 200)
        hook.token_status = 400
        same(sent(), [])
        same((hook.tokens, sb.stats()["issuer_refused"]), (7, 3))


@test
def attempts():
    with Hook([500, 302, 200]) as hook, Sandbox("--retry-after", "20", hook=hook) as sb:
        e = sb.emit("Client.Create")[0]
        sb.quiet()
        e = sb.admin("GET", "/admin/events?id=" + e["eventId"])
        same((e["state"], e["attempts"], e["status"]), ("delivered", 3, 200))
        same(len(set(g["body"] for g in hook.got)), 1, "every attempt the same bytes")
        same(hook.got[0]["headers"]["X-Arken-Secret"], "s3cret")
    with Hook([503]) as hook, Sandbox("--retry-after", "20", hook=hook) as sb:
        sb.emit("all")
        sb.quiet()
        same(len(hook.got), 36)
        st = sb.stats()
        same((st["abandoned"], st["delivered"], st["deliveries"], st["refused"]),
             (12, 0, 36, 36))
        same(set((e["state"], e["attempts"], e["status"])
                 for e in sb.admin("GET", "/admin/events")), {("abandoned", 3, 503)})


@test
def lengths():
    for args, chunked in (([], False), (["--chunked"], True)):
        with Hook() as hook, Sandbox(*args, hook=hook) as sb:
            ev = sb.emit("all")
            same(sb.quiet()["delivered"], 12)
            for g in hook.got:
                same("Content-Length" in g["headers"], not chunked)
                same(g["headers"].get("Transfer-Encoding"), "chunked" if chunked else None)
            same(sorted(b["eventId"] for b in hook.bodies()), sorted(e["eventId"] for e in ev))
            same(sorted(b["eventType"] for b in hook.bodies()), sorted(KINDS))


@test
def webhook_over_tls():
    with Sandbox() as other, Hook() as hook:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(other.tmp.name + "/server.pem", other.tmp.name + "/server.key")
        hook.socket = ctx.wrap_socket(hook.socket, server_side=True)
        hook.scheme = "https"
        with Sandbox("--webhook-ca", other.env["CA_FILE"], hook=hook) as sb:
            sb.emit("all")
            same(sb.quiet()["delivered"], 12)
        with Sandbox("--retry-after", "1", hook=hook) as sb:
            e = sb.emit("Client.Create")[0]
            same(sb.quiet()["abandoned"], 1, "an unknown authority")
            same(sb.admin("GET", "/admin/events?id=" + e["eventId"])["status"], 0)
        same(len(hook.got), 12)


@test
def shapes():
    for shape in SHAPES:
        with Hook() as hook, Sandbox("--shape", shape, hook=hook) as sb:
            ev = sb.emit("all", count=2)
            same(sb.quiet()["delivered"], 24, shape)
            got = hook.bodies()
            flat = [x for b in got for x in (b if isinstance(b, list) else [b])]
            same(len(flat), 24, shape)
            text = json.dumps(got)
            if shape not in ("unknown", "mixed"):
                for e in ev:
                    for k in ("clientHashId", "userHashId", "documentHashId"):
                        assert e[k] is None or e[k] in text, (shape, e)
            first = flat[0]
            if shape == "split":
                same(sorted(x["eventCategory"] + "." + x["eventType"] for x in flat),
                     sorted(KINDS * 2))
            elif shape == "direct":
                assert "link" not in first and first["accountHashId"] == sb.account
            elif shape == "properties":
                assert {"Key": "AccountHashId", "Value": sb.account} in first["properties"]
                assert "link" not in first and "accountHashId" not in first
            elif shape == "upper":
                assert all(k[0].isupper() for x in flat for k in x)
            elif shape == "lower":
                assert all(k in ("key", "value") for x in flat for p in x["properties"]
                           for k in p)
            elif shape == "getfiledetail":
                same(sum(x["eventType"] == "FileStore.GetFileDetail" for x in flat), 2)
            elif shape == "noid":
                assert all("eventId" not in x and "eventNumber" in x for x in flat)
            elif shape == "notime":
                assert all(not {"eventId", "eventNumber", "eventDateTimeUtc"} & set(x)
                           for x in flat)
            elif shape == "array":
                assert all(isinstance(b, list) for b in got) and len(got) == 5
            elif shape == "unknown":
                assert all("trace" in x for x in flat)
                assert any(x["eventType"] not in KINDS for x in flat)
                same(sorted(x["eventType"] for x in flat), sorted(e["kind"] for e in ev))
            elif shape == "feed":
                same(set(first), {"eventId", "eventType", "eventNumber", "eventDateTimeUtc",
                                  "link", "properties"})


@test
def server_faults():
    with Sandbox() as sb:
        e = sb.emit("FileStore.Upload")[0]
        doc = e["documentHashId"]
        sb.get("/account")
        link = link_of(sb, doc)

        def document():
            s, b, h = sb.http("GET", link)
            return s, b

        def feed_info():
            return sb.api("GET", "/event/info")[:2]

        def account():
            return sb.api("GET", "/account")[:2]

        def token():
            return sb.token_ask()[:2]
        fired = 0
        for on, f in (("token", token), ("api", account), ("feed", feed_info),
                      ("document", document)):
            good = f()
            same(good[0], 200)
            sb.fault(on=on, do_="status", status=503, retry_after="2")
            same(f()[0], 503, on)
            same(f()[0], 200, on + " once only")
            for bad in ("cut", "reset", "short"):
                sb.fault(on=on, do_=bad)
                assert broken(f), (on, bad)
            sb.fault(on=on, do_="cut", at="head")
            assert cut_head(f), (on, "cut head")
            sb.fault(on=on, do_="long")
            same(len(f()[1]), len(good[1]), "long: no more is read than was announced")
            sb.fault(on=on, do_="drip", ms=1, bytes=64)
            same(f()[0], 200)
            sb.fault(on=on, do_="delay", ms=30)
            same(f()[0], 200)
            sb.fault(on=on, do_="html")
            s, b = f()
            assert s == 200 and b"<html>" in b
            sb.fault(on=on, do_="garbage")
            s, b = f()
            assert s == 200
            try:
                json.loads(b)
                raise AssertionError("garbage is JSON")
            except ValueError:
                pass
            sb.fault(on=on, do_="redirect", to="http://127.0.0.1/x")
            same(f()[0], 302)
            sb.fault(on=on, do_="deny")
            same(f()[0], 403 if on == "document" else 401)
            same(f()[0], 200, "all spent")
            fired += 12
        same(sb.stats()["faults"], fired)
        # match, skip, for ever, clear, percent
        sb.fault(on="api", match="/user", do_="status", status=500, times=-1)
        sb.fault(on="api", match="/account", do_="status", status=502, skip=2)
        same([account()[0] for _ in range(4)], [200, 200, 502, 200])
        same([sb.api("GET", "/user", userHashId="x")[0] for _ in range(3)], [500] * 3)
        same(len(sb.admin("GET", "/admin/fault")["faults"]), 50)
        sb.admin("DELETE", "/admin/fault")
        same(sb.api("GET", "/user", userHashId="x")[0], 404)
        sb.fault(on="api", do_="status", status=500, times=-1, percent=50)
        n = [account()[0] for _ in range(60)].count(500)
        assert 10 < n < 50, n
        for bad in ({"on": "api", "do": "drop"}, {"on": "webhook", "do": "html"}, {"on": "x"},
                    {"on": "api", "do": "redirect"}, {"on": "api", "do": "cut", "tmies": 2},
                    {"on": "api", "do": "cut", "times": "2"}):
            sb.admin("POST", "/admin/fault", bad, want=400)


@test
def fault_from_the_start():
    with Sandbox("--fault", '{"on":"token","do":"status","status":429,"times":2}') as sb:
        same([sb.token_ask()[0] for _ in range(3)], [429, 429, 200])


@test
def webhook_faults():
    with Hook() as hook, Sandbox("--retry-after", "20", "--parallel", "1", hook=hook) as sb:
        sb.fault(on="webhook", do_="drop", match="Client.Create")
        e = sb.emit("Client.Create")[0]
        sb.quiet()
        e = sb.admin("GET", "/admin/events?id=" + e["eventId"])
        same((e["state"], e["attempts"], len(hook.got)), ("abandoned", 0, 0))
        sb.fault(on="webhook", do_="duplicate")
        sb.emit("User.Create")
        sb.quiet()
        same([b["eventNumber"] for b in hook.bodies()], [2, 2])
        sb.fault(on="webhook", do_="reorder", ms=20000)
        sb.emit("User.Update", count=3)
        sb.quiet()
        same([b["eventNumber"] for b in hook.bodies()][2:], [4, 3, 5])
        sb.fault(on="webhook", do_="reorder", ms=20)
        sb.emit("User.Update")
        sb.quiet()
        same(hook.bodies()[-1]["eventNumber"], 6)
        sb.fault(on="webhook", do_="delay", ms=30)
        sb.emit("User.Update")
        sb.quiet()
        same(hook.bodies()[-1]["eventNumber"], 7)
        sb.fault(on="webhook", do_="cut")
        e = sb.emit("User.Update")[0]
        sb.quiet()
        e = sb.admin("GET", "/admin/events?id=" + e["eventId"])
        same((e["state"], e["attempts"]), ("delivered", 2))
        same([g["whole"] for g in hook.got[-2:]].count(True) >= 1, True)
        assert any(not g["whole"] for g in hook.got), "nothing was cut"
        same(sb.stats()["faults"], 6)


@test
def duplicates_and_volume():
    with Hook() as hook, Sandbox(hook=hook) as sb:
        sb.emit("Client.Create", duplicate=3)
        st = sb.quiet()
        same((len(hook.got), st["delivered"], st["events"]), (4, 1, 1))
        sb.emit("mixed", count=600, shape="mixed")
        st = sb.quiet("delivered=601")
        same((st["events"], st["pending"]), (601, 0))
        same(len(sb.admin("GET", "/admin/events?from=600&rows=9")), 2)
        sb.admin("GET", "/admin/wait?delivered=602&timeout_ms=50", want=504)
        sb.admin("GET", "/admin/wait?nonsense=1", want=400)
        sb.admin("POST", "/admin/emit?kind=No.Such", want=400)
        sb.admin("POST", "/admin/emit?kind=Client.Create&count=x", want=400)
        sb.admin("GET", "/admin/nothing", want=404)


@test
def limits():
    with Sandbox("--max-events", "10") as sb:
        sb.admin("POST", "/admin/emit?kind=all", want=507)
        sb.emit("Client.Create", count=10)
        sb.admin("POST", "/admin/emit?kind=Client.Create", want=507)
        s, _, _ = sb.http("POST", sb.env["TOKEN_URL"], "x" * 1100000)
        same(s, 413)


@test
def seeds():
    def ids(seed):
        with Sandbox("--seed", seed) as sb:
            a = sb.emit("mixed", count=60, shape="mixed")
            return [(e["eventId"], e["kind"], e["shape"], e["clientHashId"], e["sha256"])
                    for e in a]
    same(ids("7"), ids("7"))
    assert ids("7") != ids("8")


@test
def stop_while_waiting():
    with Hook([500]) as hook, Sandbox("--retry-after", "3600000", hook=hook) as sb:
        sb.fault(on="token", do_="delay", ms=3600000)
        threads = [threading.Thread(target=broken, args=a, daemon=True) for a in (
            (sb.token_ask,), (sb.admin, "GET", "/admin/wait?pending=0&timeout_ms=3600000"))]
        sb.emit("Client.Create")
        sb.quiet("deliveries=1")
        threads[0].start()
        sb.quiet("tokens=1")
        sb.admin("POST", "/admin/stop")
        same(sb.p.wait(30), 0)
        threads[0].join(30)
        assert not threads[0].is_alive()


def main():
    print("1..%d" % len(TESTS))
    failed = 0
    for i, t in enumerate(TESTS, 1):
        try:
            t()
            print("ok %d - %s" % (i, t.__name__), flush=True)
        except Exception:
            failed += 1
            print("not ok %d - %s" % (i, t.__name__))
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
