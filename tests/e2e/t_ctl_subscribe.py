#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_subscribe - does Arken post to us, with our credential, after spoolctl told it to?

The stand-in's subscription is made, shown, replaced and ended by spoolctl, started as root where
the tests are; what it then delivers goes through lighttpd and arken.fcgi.
"""
import json
import os
import pty
import stat
import subprocess
import sys

import tap
from chain import GROUP, HEADER, IS_ROOT, SECRET, SPOOLCTL, WAIT, Chain, Failure
from issuer import AUDIENCE, SECRET as CLIENT_SECRET, Issuer
from tap import has, lacks

TESTS = []
MASK = "********"


def test(f):
    TESTS.append(f)
    return f


def root(c, *args, want=0, stdin=subprocess.DEVNULL):
    """spoolctl as who runs this; stdout and stderr together."""
    r = subprocess.run([SPOOLCTL, "-c", c.conf] + list(args), stdin=stdin, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT, cwd="/")
    if r.returncode != want:
        raise Failure("spoolctl %s: exit %d, want %d: %s" % (
            " ".join(args), r.returncode, want, r.stdout))
    return r.stdout


def secrets(c):
    return c.read(c.dir + "/etc/acme.secret").decode().splitlines()


def deliver(c, n):
    """One more event; the credential it came with."""
    c.sandbox.emit("Client.Update")
    c.sandbox.quiet()
    c.wait_state(done=n, failed=0)
    event = [e for e in c.sandbox.events() if e["state"] == "delivered"][-1]
    name = [x for x in c.names("done") if event["eventId"].lower() in x][0]
    for line in c.event_file("done", name).decode().splitlines():
        if line.startswith("Arken-Auth: "):
            return line.split(": ", 1)[1]
    raise Failure("no credential in " + name)


@test
def one_token():
    """spoold and many calls of spoolctl ask for one token together; whoever is first"""
    with Chain("ctl-token", account="reconcile = off") as c:
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1)
        for _ in range(3):
            has(root(c, "subscription"), c.url)
        calls = [subprocess.Popen([SPOOLCTL, "-c", c.conf, "subscription", "--json"], cwd="/",
                                  stdout=subprocess.PIPE) for _ in range(6)]
        for p in calls:
            line = json.loads(p.communicate(timeout=WAIT)[0])
            tap.same((p.returncode, line["subscription"]["callbackUrl"]), (0, c.url))
        tap.same(c.sandbox.stats()["tokens"], 1, "tokens")
        # Without any token, all at one time: one asks, the rest wait for it.
        os.unlink(c.dir + "/var/state/token/acme")
        calls = [subprocess.Popen([SPOOLCTL, "-c", c.conf, "subscription"], cwd="/",
                                  stdout=subprocess.DEVNULL) for _ in range(6)]
        tap.same([p.wait(WAIT) for p in calls], [0] * 6, "exit statuses")
        tap.same(c.sandbox.stats()["tokens"], 2, "tokens")
        # One that the API refuses is renewed once, and the daemon has the new one too.
        c.sandbox.fault(on="api", match="/Event/Subscription", do="deny", times=1)
        has(root(c, "subscription"), c.url)
        tap.same(c.sandbox.stats()["tokens"], 3, "tokens")
        c.sandbox.emit("User.Update")
        c.wait_state(done=2)
        tap.same(c.sandbox.stats()["tokens"], 3, "tokens")
        c.sandbox.fault(on="api", match="/Event/Subscription", do="deny", times=-1)
        has(root(c, "subscription", want=77), "refuses a token")
        tap.same(c.sandbox.stats()["tokens"], 3, "tokens")


@test
def secret():
    """unsubscribe, subscribe with the newest line, replace with a new secret: each time events
    come with exactly that"""
    with Chain("ctl-sub", account="reconcile = off") as c:
        has(root(c, "unsubscribe", "--dry-run"), "DELETE ", "/Event/Subscription?accountHashId=")
        line = json.loads(root(c, "unsubscribe", "--dry-run", "--json"))
        tap.same((line["dry_run"], line["method"]), (True, "DELETE"))
        tap.same(c.sandbox.stats()["subscriptions"], 1, "after a dry run")
        has(root(c, "unsubscribe"), "account acme is subscribed no more")
        tap.same(c.sandbox.stats()["subscriptions"], 0)
        has(root(c, "subscription", want=66), "has no subscription", "spoolctl subscribe")
        has(root(c, "unsubscribe", want=66), "has no subscription")

        has(root(c, "subscribe", want=78), "public_url", "--url")
        has(root(c, "subscribe", "--url", "http://example.com/", want=64), "https")
        c.configure(account="reconcile = off\npublic_url = " + c.url)
        dry = root(c, "subscribe", "--dry-run")
        has(dry, "POST ", "/Event/Subscription\n", c.url, HEADER, MASK, c.sandbox.account)
        lacks(dry, SECRET, "openIdConnect", "callbackVersion")
        dry = json.loads(root(c, "subscribe", "--dry-run", "--json"))
        tap.same(dry["body"]["secretHeader"], {"name": HEADER, "value": MASK})
        tap.same(c.sandbox.stats()["subscriptions"], 0, "after a dry run")
        said = root(c, "subscribe")
        has(said, MASK, "account acme is subscribed: Arken posts to " + c.url)
        lacks(said, SECRET)
        tap.same(deliver(c, 1), "secret:line2")

        has(root(c, "subscribe", want=65), "409", "--replace")
        tap.same(len(secrets(c)), 2, "secrets after a refusal")
        dry = root(c, "subscribe", "--replace", "--new-secret", "--dry-run")
        has(dry, "PUT ", "new secret", "acme.secret")
        tap.same(len(secrets(c)), 2, "secrets after a dry run")
        if not IS_ROOT:
            raise tap.Skip("needs root, whose the file of secrets is")
        line = json.loads(root(c, "subscribe", "--replace", "--new-secret", "--json"))
        tap.same((line["new_secret"], line["credential"]), (True, "secret"))
        tap.same(len(secrets(c)), 3)
        tap.same(len(secrets(c)[2]), 43)
        st = os.stat(c.dir + "/etc/acme.secret")
        tap.same((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (0, GROUP, 0o640))
        tap.same(deliver(c, 2), "secret:line3")
        log = "".join(c.story("step=subscribe"))
        has(log, "account=acme", "credential=secret", "operator=")
        lacks(log, secrets(c)[2])
        # What is shown has none of it.
        lacks(root(c, "subscription") + root(c, "subscription", "--json"), *secrets(c))
        # Someone else's rights are not enough to make one.
        has(c.ctl("subscribe", "--new-secret", "--replace", want=77), "run it as root")
        tap.same(len(secrets(c)), 3)


@test
def made():
    """no file of secrets: one is made that receiver and nobody else but the group can read"""
    with Chain("ctl-made", account="reconcile = off", daemon_starts=False) as c:
        if not IS_ROOT:
            raise tap.Skip("needs root, whose the folder of secrets is")
        c.configure(account="reconcile = off\npublic_url = " + c.url)
        path = c.dir + "/etc/acme.secret"
        os.unlink(path)
        has(root(c, "subscribe", "--replace", "--dry-run"), "A new secret is made")
        assert not os.path.exists(path)
        root(c, "subscribe", "--replace")
        st = os.stat(path)
        tap.same((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (0, GROUP, 0o640))
        tap.same([len(s) for s in secrets(c)], [43])
        c.start_daemon()
        tap.same(deliver(c, 1), "secret:line1")
        # A last line without its end stays a line of its own.
        with open(path, "w") as f:
            f.write("an-older-secret-0")
        root(c, "subscribe", "--replace", "--new-secret")
        tap.same([len(s) for s in secrets(c)], [17, 43])
        # A file that others may read is refused before anything is sent.
        os.chmod(path, 0o644)
        has(root(c, "subscribe", "--replace", "--new-secret", want=78), path)
        tap.same(len(secrets(c)), 2)


@test
def asked():
    """at a terminal it is asked; no means nothing"""
    with Chain("ctl-ask", daemon_starts=False, account="reconcile = off") as c:
        for answer, want in (("n\n", 1), ("\n", 1), ("y\n", 0)):
            ours, theirs = pty.openpty()
            p = subprocess.Popen([SPOOLCTL, "-c", c.conf, "unsubscribe"], stdin=theirs,
                                 stdout=subprocess.DEVNULL, stderr=theirs, cwd="/")
            os.write(ours, answer.encode())
            tap.same(p.wait(WAIT), 0)
            os.close(theirs)
            os.close(ours)
            tap.same(c.sandbox.stats()["subscriptions"], want, "after %r" % answer)
        ours, theirs = pty.openpty()
        root(c, "subscribe", "--url", c.url, "--yes", stdin=theirs)
        tap.same(c.sandbox.stats()["subscriptions"], 1, "with --yes")
        os.close(theirs)
        os.close(ours)


@test
def troubles():
    """what goes wrong is said, with the status for it, and no secret"""
    with Chain("ctl-bad", daemon_starts=False, account="reconcile = off") as c:
        on = dict(on="api", match="/Event/Subscription")
        c.sandbox.fault(do="status", status=503, **on)
        has(root(c, "subscription", want=75), "503")
        c.sandbox.fault(do="status", status=400, **on)
        has(root(c, "subscribe", "--url", c.url, want=65), "400")
        c.sandbox.fault(do="html", **on)
        has(root(c, "subscription", want=65), "JSON")
        c.sandbox.fault(do="redirect", to="https://example.invalid/", **on)
        root(c, "subscribe", "--url", c.url, want=73)
        c.write("etc/acme.client", "wrong\n", 0o600, 64011)
        os.unlink(c.dir + "/var/state/token/acme")
        has(root(c, "subscription", want=78), "no token", "access_denied")
        body = 'subscription_body = {"to":"{callbackUrl}"}'
        c.configure(account="reconcile = off\n" + body)
        has(root(c, "subscribe", "--url", c.url, want=78), "no place for the credential")
        c.configure(account='reconcile = off\nsubscription_body = {"to":"{callbackURL}"}')
        has(root(c, "subscribe", "--url", c.url, want=78), "subscription_body", "{callbackUrl}")
        c.configure(account="reconcile = off")
        has(root(c, "subscribe", "--account", "other", want=78), "no account other")
        has(root(c, "subscribe", "--openid", "--new-secret", want=64), "--openid")
        has(root(c, "subscribe", "--openid", "--url", c.url, want=78), "issuer")
        tap.same(c.sandbox.stats()["subscriptions"], 1)


@test
def openid():
    """subscribed with OpenID Connect, the stand-in gets a token of our issuer and is taken"""
    with Issuer() as i:
        account = "reconcile = off\nissuer = %s\naudience = %s\nissuer_ca_file = %s" % (
            i.url, AUDIENCE, i.ca)
        with Chain("ctl-oidc", account=account, sandbox=["--webhook-ca", i.ca]) as c:
            c.write("etc/acme.issuer", CLIENT_SECRET + "\n", 0o600, 64011)
            c.configure(account=account + "\npublic_url = %s\nsubscription_token_url = %s/token"
                        "\nsubscription_client_id = arken-ES256\n"
                        "subscription_client_secret_file = %s/etc/acme.issuer" % (
                            c.url, i.url, c.dir))
            has(root(c, "subscribe", "--replace", want=78), "--secret or --openid")
            said = root(c, "subscribe", "--replace", "--openid")
            has(said, "openIdConnect", MASK, AUDIENCE, "arken-ES256")
            lacks(said, CLIENT_SECRET, "secretHeader")
            has(deliver(c, 1), "bearer:kid=one-ES256")
            tap.same(c.sandbox.stats()["issuer_tokens"], 1)
            lacks(root(c, "subscription"), CLIENT_SECRET)


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
