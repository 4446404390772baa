#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_oidc - do bearer tokens of a real OpenID Connect provider open the door, and no others?

The provider is oidc-provider over TLS; the tokens are client-credentials tokens, posted through
lighttpd into arken.fcgi; spoold brings the keys.
"""
import json
import os
import statistics
import sys
import threading
import time

import tap
from chain import HEADER, SECRET, Chain, Failure, ask, guid, wait_until
from issuer import ALGORITHMS, AUDIENCE, SECRET as CLIENT_SECRET, Issuer, claims

TESTS = []
PATIENCE = 60.0  # seconds for what takes well under one

# An account for secrets only, to see that it never notices.
PLAIN = """\
[account plain]
path = /arken/plain
secret_header = {header}
secret_file = {dir}/etc/acme.secret
api = {api}
token_url = {token}
client_id = {client}
client_secret_file = {dir}/etc/acme.client
token_audience = {audience}
ca_file = {ca}
"""


def test(f):
    TESTS.append(f)
    return f


class Door(Chain):
    """A chain whose account acme takes tokens of an issuer, and secrets too."""

    def __init__(self, name, url, ca, account="", **kw):
        super().__init__(name, account="issuer = %s\naudience = %s\nissuer_ca_file = %s\n%s" % (
            url, AUDIENCE, ca, account), sandbox=["--webhook-ca", ca], **kw)
        self.n = 0

    def configure(self, **extra):
        env = self.sandbox.env
        super().configure(more=PLAIN.format(
            dir=self.dir, header=HEADER, api=env["API_URL"], token=env["TOKEN_URL"],
            client=env["CLIENT_ID"], audience=env["AUDIENCE"], ca=env["CA_FILE"]), **extra)

    def body(self):
        """An event that was never sent before."""
        self.n += 1
        return json.dumps({"eventId": guid(int(time.time() * 1000) << 20 | self.n),
                           "eventType": "Account.Update"}).encode()

    def bear(self, token, body=None, path="/arken/acme"):
        """Post with a token: status, headers, body."""
        return self.post(body or self.body(), path, secret=None,
                         headers={"Authorization": "Bearer " + token})

    def bear_until_taken(self, token):
        """As Arken does, again after a 503; how often it was."""
        body, deadline = self.body(), time.monotonic() + PATIENCE
        for n in range(1, 1000):
            status, headers, text = self.bear(token, body)
            if status != 503:
                tap.same(status, 200, text)
                return n
            assert int(headers["Retry-After"]) > 0, dict(headers)
            if time.monotonic() > deadline:
                raise Failure("never taken: %r" % text)
        raise Failure("503 a thousand times")

    def keys(self, account="acme"):
        """What is in an account's file of keys; None: there is none."""
        try:
            with open("%s/keys/%s.json" % (self.spool, account)) as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def wait_keys(self, condition=lambda k: k["fetched"] > 0):
        folder = self.spool + "/keys"
        return wait_until(lambda: self.keys() and condition(self.keys()) and self.keys(),
                          [folder], lambda: "keys; there is %r" % (self.keys(),))

    def age_keys(self, seconds):
        """
        As if the last fetch had been so long ago.  spoold is away meanwhile, and with it what
        it remembers.
        """
        self.stop_daemon()
        k = self.keys()
        for t in ("fetched", "tried"):
            k[t] -= seconds * 1000
        name = self.spool + "/keys/acme"
        with open(name + ".asked") as f:
            when, url = f.read().split()
        for path, text in ((name + ".json", json.dumps(k, separators=(",", ":"))),
                           (name + ".asked", "%d %s" % (int(when) - seconds * 1000, url))):
            owner = os.stat(path)
            with open(path + ".new", "w") as f:
                f.write(text + "\n")
            os.chmod(path + ".new", 0o640)
            os.chown(path + ".new", owner.st_uid, owner.st_gid)
            os.rename(path + ".new", path)
        self.started = time.time() * 1000
        self.start_daemon()


def refused(c, token, why):
    status, headers, text = c.bear(token)
    tap.same(status, 401, "%s: %r" % (why, text))
    challenge = headers["WWW-Authenticate"]
    assert challenge and challenge.startswith("Bearer"), "%s: %r" % (why, dict(headers))
    tap.same(headers["Content-Type"], "application/problem+json", why)
    for word in token.split("."):
        assert not word or word not in text.decode(), "the token is in the answer"


@test
def every_algorithm():
    """RS256, PS256 and ES256 tokens of the provider: 200, and the events are done, by one
    fetch of the keys"""
    with Issuer() as i, Door("oidc", i.url, i.ca) as c:
        c.wait_keys()
        for alg in ALGORITHMS:
            token = i.token(alg)
            tap.same((claims(token, 0)["alg"], claims(token, 0)["typ"], claims(token)["aud"]),
                     (alg, "at+jwt", AUDIENCE))
            tap.same(c.bear(token)[0], 200, alg)
        c.wait_state(done=3, failed=0)
        tap.same(i.fetches(), 1, "fetches")
        events = [c.event_file("done", n).decode() for n in c.names("done")]
        for alg in ALGORITHMS:
            assert any("one-" + alg in e.partition("\n\n")[0] for e in events), alg
        # Either credential suffices, and a token is no key to an account without an issuer.
        tap.same(c.post(c.body())[0], 200, "with the secret")
        tap.same(c.bear(i.token(), path="/arken/plain")[0], 401, "at the other account")
        log = c.daemon.said()
        assert "one-RS256" in log and "keys of an issuer changed" in log, log
        for word in i.token().split("."):
            assert word not in log


@test
def sender_with_tokens():
    """the stand-in Arken, subscribed with openIdConnect, gets a token and delivers all kinds"""
    with Issuer() as i, Door("oidc-sender", i.url, i.ca) as c:
        c.wait_keys()
        c.sandbox.api("/account")
        body = {"accountHashId": c.sandbox.account, "callbackUrl": c.url, "openIdConnect": {
            "authUrl": i.url + "/token", "clientId": "arken-ES256",
            "clientSecret": CLIENT_SECRET, "audience": AUDIENCE}}
        status, _, text = ask(c.sandbox.env["API_URL"] + "/Event/Subscription", "PUT",
                              json.dumps(body), {"Authorization": "Bearer " + c.sandbox.bearer,
                                                 "Content-Type": "application/json"},
                              c.sandbox.env["CA_FILE"])
        tap.same(status, 200, text)
        events = c.sandbox.emit("all")
        c.sandbox.quiet()
        c.wait_state(done=len(events), failed=0)
        st = c.sandbox.stats()
        tap.same((st["issuer_tokens"], st["issuer_refused"], st["refused"]), (1, 0, 0))
        for n in c.names("done"):
            assert b"one-ES256" in c.event_file("done", n), n


@test
def refusals():
    """wrong aud, expired, not yet valid, without exp, of another issuer, unsigned: 401 with
    WWW-Authenticate, and nothing in the spool"""
    now = int(time.time())
    with Issuer() as i, Door("oidc-no", i.url, i.ca) as c:
        c.wait_keys()
        with Issuer("foreign") as foreign:
            refused(c, foreign.token(), "a token of another issuer")
            refused(c, foreign.mint(iss=i.url), "forged with the key of another issuer")
        tap.same(claims(i.token(resource="urn:other"))["aud"], "urn:other")
        refused(c, i.token(resource="urn:other"), "aud")
        for why, said in (("expired", {"exp": now - 3600, "iat": now - 7200}),
                          ("without exp", {"exp": None}), ("without aud", {"aud": None}),
                          ("not yet", {"nbf": now + 3600}), ("iat", {"iat": now + 3600}),
                          ("iss", {"iss": i.url + "/"}), ("no iss", {"iss": None}),
                          ("aud list", {"aud": ["urn:a", "urn:b"]}),
                          ("too long a life", {"exp": now + 40 * 86400})):
            refused(c, i.mint(**said), why)
        refused(c, i.mint(typ="secevent+jwt"), "typ")
        good = i.mint(aud=["urn:a", AUDIENCE])
        head, payload, signature = good.split(".")
        none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
        refused(c, "%s.%s." % (none, payload), "alg none")
        refused(c, "%s.%s.%s" % (head, payload, signature[::-1]), "signature")
        refused(c, "%s.%s" % (head, payload), "no signature")
        refused(c, "x" * 7000, "far too long")
        tap.same(c.post(c.body(), secret=None)[0], 401, "no credential")
        tap.same(c.counts(), dict.fromkeys(c.counts(), 0), "events")
        tap.same(c.bear(good)[0], 200, "the good one")
        tap.same(i.fetches(), 1, "fetches")


@test
def rotation():
    """new keys at the provider: the first token of theirs makes spoold fetch them and is taken;
    one of the old keys no more"""
    with Issuer() as i, Door("oidc-rotate", i.url, i.ca) as c:
        c.wait_keys()
        old = i.token()
        tap.same(c.bear(old)[0], 200)
        i.rotate("two")
        c.age_keys(600)
        tap.same(i.fetches(), 1, "fetches, after a restart with keys of ten minutes ago")
        tap.note("taken at post no. %d" % c.bear_until_taken(i.token()))
        tap.same(i.fetches(), 2, "fetches")
        c.wait_keys(lambda k: "two-RS256" in json.dumps(k))
        assert "removed=" in c.daemon.said()
        refused(c, old, "a key that was withdrawn")
        tap.same(i.fetches(), 2, "fetches, for the withdrawn key")


@test
def issuer_down():
    """while the issuer is down, receiver and daemon are started again: tokens are taken with
    the keys on disk"""
    with Issuer() as i, Door("oidc-down", i.url, i.ca, receiver="listen") as c:
        c.wait_keys()
        token = i.mint(exp=int(time.time()) + 3600)
        i.stop()
        fetched = c.keys()["fetched"]
        c.age_keys(2 * 3600)  # older than keys_refresh: spoold tries at once, and fails
        c.wait_keys(lambda k: k["tried"] > fetched)
        tap.same(c.keys()["fetched"], fetched - 2 * 3600 * 1000)
        c.fcgi[0].end()
        c.start_receiver()
        c.stop_daemon()
        c.start_daemon()
        tap.same(c.bear(token)[0], 200)
        c.wait_state(done=1)
        # A day of it, and still; longer than keys_max_age, and no more.
        c.age_keys(86400)
        tap.same(c.bear(token)[0], 200, "after a day")
        c.age_keys(7 * 86400)
        c.fcgi[0].end()
        c.start_receiver()
        status, headers, _ = c.bear(token)
        tap.same(status, 503, "after eight days")
        assert int(headers["Retry-After"]) > 0
        tap.same(c.post(c.body())[0], 200, "with the secret")


@test
def never_reachable():
    """an issuer that never answered and no keys: 503 with Retry-After; secrets open all the
    same; once it is there, so do tokens"""
    with Issuer() as i:
        token = i.mint(exp=int(time.time()) + 3600)
        i.stop()
        with Door("oidc-never", i.url, i.ca) as c:
            c.wait_keys(lambda k: k["tried"] > 0)
            tap.same((c.keys()["fetched"], c.keys()["jwks"]), (0, None))
            for _ in range(3):
                status, headers, _ = c.bear(token)
                tap.same(status, 503)
                assert int(headers["Retry-After"]) > 0
            tap.same(c.post(c.body())[0], 200, "with the secret")
            assert "no keys from an issuer" in c.daemon.said()
            i.start()
            c.stop_daemon()
            for name in os.listdir(c.spool + "/keys"):
                os.unlink(c.spool + "/keys/" + name)
            c.start_daemon()
            c.bear_until_taken(token)
            c.wait_state(done=2)


@test
def wrong_certificate():
    """an issuer whose certificate the account does not trust is not asked for keys"""
    with Issuer() as i, Issuer() as other, Door("oidc-ca", i.url, other.ca) as c:
        c.wait_keys(lambda k: k["tried"] > 0)
        tap.same(c.keys()["jwks"], None)
        tap.same(i.fetches(), 0)
        tap.same(c.bear(i.token())[0], 503)


class Stranger(threading.Thread):
    """Posts forged tokens one after another until it is told to stop; keeps the statuses."""

    def __init__(self, c, forged):
        super().__init__(daemon=True)
        self.c, self.forged = c, forged
        self.stopping, self.got, self.error = False, [], None
        self.start()

    def run(self):
        try:
            while not self.stopping:
                token = self.forged[len(self.got) % len(self.forged)]
                self.got.append(self.c.bear(token)[0])
        except Exception as e:
            self.error = e

    def end(self):
        self.stopping = True
        self.join(PATIENCE)
        if self.error:
            raise self.error
        return self.got


def with_secret(c, enough):
    """Post with a secret, one after another, until enough(n); the seconds each took."""
    took = []
    while not enough(len(took)):
        start = time.monotonic()
        tap.same(c.post(c.body(), "/arken/plain")[0], 200, "with the secret")
        took.append(time.monotonic() - start)
    return took


def flood(c, i, enough):
    """
    Four strangers name keys that nobody has, for as long as a fifth posts with a secret; the
    statuses they got.
    """
    forged = [i.mint(alg="ES256", kid="unknown-%d" % n) for n in range(20)]
    alone = with_secret(c, lambda n: n == 40)
    strangers = [Stranger(c, forged) for _ in range(4)]
    try:
        during = with_secret(c, enough)
    finally:
        got = [status for s in strangers for status in s.end()]
    fast = [statistics.median(t) * 1000 for t in (alone, during)]
    tap.note("%d forged tokens; %d secrets: median %.1f ms before, %.1f ms during, longest "
             "%.1f ms" % (len(got), len(during), *fast, max(during) * 1000))
    # the strangers share the machine with it, but nobody waits for keys in front of it
    assert fast[1] < max(250, 10 * fast[0]), fast
    assert len(got) > 40, len(got)
    return set(got)


def ask_for_keys(c):
    """As the receiver does it; until spoold has seen it."""
    name = c.spool + "/ask/keys.acme"
    with open(name, "w"):
        pass
    wait_until(lambda: not os.path.exists(name), [c.spool + "/ask"],
               "spoold to see that keys are wanted")


@test
def flood_of_unknown_keys():
    """strangers name keys that nobody has: one fetch, 401 or 503 for them; an account with a
    secret answers as fast as before, never 503; neither asking nor starting anew makes more"""
    with Issuer() as i, Door("oidc-flood", i.url, i.ca) as c:
        c.wait_keys()
        c.age_keys(600)
        before = i.fetches()
        statuses = flood(c, i, lambda n: n >= 40 and c.keys()["fetched"] > c.started)
        assert statuses <= {401, 503} and 401 in statuses, statuses
        tap.same(i.fetches() - before, 1, "fetches during the flood")
        for _ in range(10):
            ask_for_keys(c)
        for _ in range(3):
            c.stop_daemon()
            c.start_daemon()
            ask_for_keys(c)
        tap.same(c.bear(i.token())[0], 200, "a good token after it")
        tap.same(i.fetches() - before, 1, "fetches after all that")


@test
def flood_while_the_issuer_is_ill():
    """the same for five seconds, while the issuer gives nothing: it is asked once, and keys that
    are known stay good"""
    with Issuer() as i, Door("oidc-ill", i.url, i.ca) as c:
        c.wait_keys()
        c.age_keys(600)
        with open(i.ill, "w"):
            pass
        before, end = i.fetches(), time.monotonic() + 5
        statuses = flood(c, i, lambda n: time.monotonic() > end)
        tap.same(statuses, {503})
        tap.same(i.fetches() - before, 1, "fetches during the flood")
        assert c.keys()["tried"] > c.started > c.keys()["fetched"], c.keys()
        tap.same(c.bear(i.token())[0], 200, "a good token")
        tap.same(c.daemon.said().count("no keys from an issuer"), 1, "lines about it")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
