#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_pull - spoolctl pull: documents of a client fetched by hand, in the real chain."""
import hashlib
import json
import os
import pty
import select
import subprocess
import sys

import tap
from chain import DAEMON_USER, GROUP, IS_ROOT, SPOOLCTL, Chain, WAIT, files_below
from t_documents import Docs, pdf, sha
from tap import has

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def rows(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def as_daemon():
    return {"user": DAEMON_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}


@test
def into_the_store():
    """the same files as the daemon's; once more nothing changes; several documents of a client"""
    with Chain("pull") as c:
        one = c.sandbox.emit("FileStore.Upload")[0]
        client = one["clientHashId"]
        c.wait_state(done=1)
        body, meta = c.document(one)
        record = c.read(c.place(one) + "/record.json")
        text = c.ctl("pull", "--client", client, "--document", one["documentHashId"])
        has(text, one["documentHashId"], "is in the store already")
        # several of one client: those without a file are named and no failure
        extra = c.sandbox.emit("DocumentData.Create", client=client)[0]
        c.wait_state(done=2)
        listed = json.loads(c.sandbox.api("/documentdata/account/client",
                                          clientHashId=client)[1])
        assert len(listed) > 1 and extra["clientHashId"] == client, (listed, extra)
        c.stop_daemon()
        subprocess.run(["rm", "-r", c.place(one)], check=True)
        before = files_below(c.dir + "/var")
        text = c.ctl("pull", "-n", "--client", client)
        has(text, "would be fetched", one["documentHashId"])
        tap.same(files_below(c.dir + "/var"), before, "after a dry run")
        got = rows(c.ctl("pull", "--json", "--client", client))
        tap.same(sorted(r["document"] for r in got), sorted(d["hashId"] for d in listed))
        row = [r for r in got if r["document"] == one["documentHashId"]][0]
        tap.same((row["result"], row["sha256"]), ("is in the store", meta["sha256"]))
        again, now = c.document(one)
        tap.same(again, body)
        same = ("file", "size", "sha256", "mediaType", "suffix", "originalName", "etag", "source")
        tap.same({k: now[k] for k in same}, {k: meta[k] for k in same})
        a, b = json.loads(c.read(c.place(one) + "/record.json")), json.loads(record)
        tap.same({k: v for k, v in a.items() if k != "location"},
                 {k: v for k, v in b.items() if k != "location"})
        has("".join(c.story(now["event"])), "step=pull", meta["sha256"], "operator=")
        has(c.ctl("pull", "--client", "nobody", want=66), "no such client", "--document",
            "DocumentData.List")
        has(c.ctl("pull", "--client", client, "--document", "nothing", want=66), "404")
        tap.same(os.listdir(c.store + "/.tmp"), [])


@test
def into_a_folder():
    """-o FILE and DIR; nothing is overwritten without --force; the bar on a terminal"""
    with Chain("pullo") as c:
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        body, _ = c.document(e)
        client, document = e["clientHashId"], e["documentHashId"]
        other = c.sandbox.emit("FileStore.Upload", client=client)[0]
        c.wait_state(done=2)
        out = c.folder("out", DAEMON_USER)
        stored = files_below(c.store)
        many = c.folder("many", DAEMON_USER)
        c.ctl("pull", "--client", client, "-o", many)
        tap.same({n: sha(c.read(many + "/" + n)) for n in os.listdir(many)},
                 {x["documentHashId"] + ".pdf": x["sha256"] for x in (e, other)})
        c.ctl("pull", "--client", client, "--document", document, "-o", out + "/a.pdf")
        tap.same(c.read(out + "/a.pdf"), body)
        has(c.ctl("pull", "--client", client, "--document", document, "-o", out + "/a.pdf",
                  want=73), "--force")
        c.write("out/a.pdf", "other", 0o644, DAEMON_USER)
        c.ctl("pull", "--client", client, "--document", document, "-o", out + "/a.pdf",
              "--force")
        tap.same(c.read(out + "/a.pdf"), body)
        c.ctl("pull", "--client", client, "--document", document, "-o", out)
        tap.same(c.read("%s/%s.pdf" % (out, document)), body)
        has(c.ctl("pull", "--client", client, "-o", out, want=73), "is there already")
        has(c.ctl("pull", "--client", client, "-o", out + "/none", want=64), "mkdir")
        tap.same(files_below(c.store), stored, "the store")
        assert not [n for n in os.listdir(out) if n.startswith(".")], os.listdir(out)
        for args, say in (([], "--client"), (["--client", "a b"], "hash id"),
                          (["--client", "a", "x"], "no arguments"),
                          (["--client", "a", "--force"], "--force")):
            has(c.ctl("pull", *args, want=64), say)


@test
def what_the_host_does():
    """refused links are fetched anew, pages refused, other hosts too; no token goes to a host"""
    good = pdf(50000)
    with Docs("pullhost") as c:
        def put(path, serve):
            c.host.paths[path] = serve
            e = c.upload(path, lambda q, nth: q.whole(good))
            c.wait_until_settled(1 + put.n)
            put.n += 1
            c.host.paths[path] = serve
            c.host.seen.clear()
            return ["pull", "--client", e["clientHashId"], "--document", e["documentHashId"]]
        put.n = 0
        c.folder("out", DAEMON_USER)
        args = put("/expired.pdf", lambda q, nth: q.answer(403, {"Content-Length": "0"})
                   if nth == 1 else q.whole(good))
        c.ctl(*args, "-o", c.dir + "/out/a.pdf")
        tap.same(sha(c.read(c.dir + "/out/a.pdf")), sha(good))
        seen = c.host.requests("/expired.pdf")
        tap.same(len(seen), 2)
        for h in seen:
            assert "authorization" not in h, h
        args = put("/page.pdf", lambda q, nth: q.whole(b"<html>Sign in</html>"))
        before = files_below(c.store + "/acme")
        c.ctl(*args, want=65)
        tap.same(files_below(c.store + "/acme"), before, "after a page")
        args = put("/else.pdf", lambda q, nth: q.answer(
            302, {"Location": "https://elsewhere.example/x", "Content-Length": "0"}))
        has(c.ctl(*args, want=77), "document_hosts")


@test
def a_bar_on_a_terminal():
    """there is one on a terminal, and none anywhere else"""
    with Chain("pullbar", sandbox=["--document-size", "3000000"]) as c:
        e = c.sandbox.emit("FileStore.Upload")[0]
        c.wait_state(done=1)
        argv = [SPOOLCTL, "-c", c.conf, "pull", "--client", e["clientHashId"], "--document",
                e["documentHashId"]]
        assert "\r" not in c.ctl(*argv[3:])
        master, slave = pty.openpty()
        c.sandbox.fault(on="document", match="", do_="drip", bytes=300000, ms=100)
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=slave, cwd="/", **as_daemon())
        os.close(slave)
        text = b""
        while select.select([master], [], [], WAIT)[0]:
            try:
                got = os.read(master, 4096)
            except OSError:
                break
            if not got:
                break
            text += got
        os.close(master)
        tap.same(p.wait(WAIT), 0, text)
        has(text.decode(), "%", "#", "KiB", "\r\x1b[K")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=4)
