#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_spoolctl - does spoolctl do what it says, on a spool with events in every state?

Prints TAP.  ARKEN_BUILD names the build directory (default: the current one).  Records, notes
and log lines are written here, by the documents and not by the library, so that the two check
each other.  Standard library only; nothing here waits for time to pass.
"""
import ctypes
import datetime
import fcntl
import glob
import hashlib
import json
import os
import pty
import pwd
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import traceback

from tap import has, lacks

BUILD = os.path.abspath(os.environ.get("ARKEN_BUILD", "."))
PROGRAM = os.path.join(BUILD, "spoolctl", "spoolctl")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOW = datetime.datetime.now(datetime.timezone.utc)
FLAGS = {"new": "", "cur": ":2,", "held": ":2,", "failed": ":2,F", "done": ":2,S", "rejected": ""}
PLACE = {"new": "new", "cur": "cur", "held": "held/cur", "failed": "failed/cur",
         "done": "done/cur", "rejected": "rejected/new"}
ROOT = os.geteuid() == 0
TESTS = []


class Skip(Exception):
    pass


def test(f):
    TESTS.append(f)
    return f


def same(got, want, what=""):
    assert got == want, "%s: got %r, want %r" % (what, got, want)


def ago(**span):
    return NOW - datetime.timedelta(**span)


def millis(when):
    return int(when.timestamp() * 1000)


def stamp(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (when.microsecond // 1000)


def guid(n):
    return "%08x-5a51-4c0d-9a3e-%012x" % (n * 0x1234567 % 2 ** 32, n)


class Result:
    def __init__(self, p):
        self.status, self.out, self.err = p.returncode, p.stdout, p.stderr
        self.text = p.stdout.decode("utf-8", "replace")
        self.errors = p.stderr.decode("utf-8", "replace")


def run(args, status=0, stdin=b"", env=None, program=PROGRAM, **more):
    full = {k: v for k, v in os.environ.items()
            if k not in ("ARKENSPOOL_CONF", "NO_COLOR", "SUDO_USER", "SUDO_UID")}
    full.update(env or {})
    p = subprocess.run([program] + args, input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=full, **more)
    r = Result(p)
    assert r.status == status, "spoolctl %s: exit %d, want %d\n%s%s" % (
        " ".join(args), r.status, status, r.text, r.errors)
    assert status == 0 or r.errors.startswith("spoolctl: "), "no reason given: %r" % r.errors
    return r


class Spool:
    """A spool made by spoolctl and filled by hand."""

    def __init__(self, base, *make):
        self.path = tempfile.mkdtemp(dir=base) + "/spool"
        os.chmod(os.path.dirname(self.path), 0o755)  # others reach it, and may not write there
        self.ctl("make-spool", *make)

    def ctl(self, *args, **more):
        return run(["-s", self.path] + list(args), **more)

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def file(self, box, name):
        return self.at(PLACE[box], name + FLAGS[box])

    def put(self, box, name, received=NOW, body=b"{}", subject=None, source="webhook",
            auth="secret:line1", remote="192.0.2.7", announce=None, digest=None):
        account = name.split(".")[0]
        head = (
            "Date: %s\n" % received.strftime("%a, %d %b %Y %H:%M:%S +0000") +
            'From: "Arken (%s)" <webhook@arken.invalid>\n' % account +
            "Subject: %s\n" % (subject or ".".join(name.split(".")[2:])) +
            "Message-ID: <%s@arkenspool.invalid>\n" % name +
            "MIME-Version: 1.0\nContent-Type: application/json\n"
            "Content-Transfer-Encoding: binary\nArken-Spool: 1\n" +
            "Arken-Account: %s\nArken-Event: %s\n" % (account, name) +
            "Arken-Received: %s\nArken-Source: %s\n" % (stamp(received), source) +
            "Arken-Auth: %s\nArken-Remote: %s\n" % (auth, remote) +
            "Arken-SHA256: %s\n" % (digest or hashlib.sha256(body).hexdigest()) +
            "Content-Length: %d\n\n" % (len(body) if announce is None else announce))
        path = self.file(box, name)
        with open(path, "xb") as f:
            f.write(head.encode("latin-1") + body)
        os.chmod(path, 0o640)
        return name

    def note(self, name, tries=1, interruptions=0, puts_off=0, first=NOW, due=NOW,
             step="callback", state="waiting", reason=""):
        with open(self.at("retry", name), "x") as f:
            f.write("tries=%d\ninterruptions=%d\nputs_off=%d\nfirst=%d\ndue=%d\nstep=%s\n"
                    "state=%s\nreason=%s\n" % (tries, interruptions, puts_off, millis(first),
                                               millis(due), step, state, reason))

    def log(self, when, line):
        with open(self.at("log", when.strftime("%Y-%m-%d")), "a") as f:
            f.write("time=%s %s\n" % (stamp(when), line))

    def logged(self):
        return "".join(open(p).read() for p in sorted(glob.glob(self.at("log", "*"))))

    def lock(self, box, name):
        fd = os.open(self.file(box, name), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def where(self, name):
        return [box for box in PLACE if os.path.exists(self.file(box, name))]

    def listed(self, *args):
        return [json.loads(line) for line in self.ctl("ls", "--json", *args).out.splitlines()]

    def wakes(self):
        return glob.glob(self.at("ask", "wake.*"))

    def gauge(self, which):
        """events_waiting or events_in_rejected: the cells behind the 19 counters."""
        with open(self.at("counters"), "rb") as f:
            return struct.unpack_from("=Q", f.read(), 16 + 8 * (19 + which))[0]

    def set_gauge(self, which, value):
        with open(self.at("counters"), "r+b") as f:
            f.seek(16 + 8 * (19 + which))
            f.write(struct.pack("=Q", value))

    def tree(self):
        """What a change anywhere below the spool would change."""
        h = hashlib.sha256()
        for folder, folders, files in os.walk(self.path):
            folders.sort()
            for name in sorted(files) + ["."]:
                p = os.path.join(folder, name)
                st = os.lstat(p)
                h.update(("%s %o %d %d %d %d %d" % (
                    p, st.st_mode, st.st_uid, st.st_gid, st.st_ino, st.st_mtime_ns,
                    st.st_ctime_ns)).encode())
                if name != ".":
                    h.update(open(p, "rb").read())
        return h.hexdigest()


BASE = None  # scratch folder
DOC = b'{"eventId":"x","eventType":"FileStore.Upload","n":12345678901234567890,"a":[1,{"b":null}]}'


class Full(Spool):
    """One or more events in every state."""

    def __init__(self):
        super().__init__(BASE)
        put = self.put
        self.new = put("new", "acme.%s.Client.Update" % guid(1), ago(minutes=2))
        self.waiting = put("cur", "acme.%s.Client.Create" % guid(2), ago(minutes=30))
        self.note(self.waiting, tries=3, due=NOW + datetime.timedelta(minutes=20),
                  first=ago(minutes=29), reason="the API answered 500")
        self.running = put("cur", "acme.%s.User.Update" % guid(3), ago(minutes=10))
        self.note(self.running, tries=1, state="running")
        self.failed = put("failed", "acme.%s.FileStore.Upload" % guid(4), ago(days=2), body=DOC,
                          subject="FileStore.Upload: document 2mTeX, client 8Kq")
        self.note(self.failed, tries=10, first=ago(days=2), step="document",
                  reason="the document host answered 500")
        self.failed2 = put("failed", "beta.n-12.Client.Update", ago(hours=5))
        self.failed3 = put("failed", "beta.n-120.Client.Delete", ago(hours=4))
        self.held = put("held", "beta.%s.Account.Update" % guid(5), ago(days=9))
        self.note(self.held, tries=4, reason="held while failing")
        self.done = put("done", "acme.%s.Client.Update" % guid(6), ago(days=20))
        self.rejected = put("rejected", "acme.t-20260305T101112Z-00ff.Rejected.NotJson",
                            ago(hours=1), body=b'{"a":1,}\x1b[31m',
                            subject="Rejected.NotJson: offset 7: a member name is expected")
        self.fd = self.lock("cur", self.running)
        self.set_gauge(0, 3)
        self.set_gauge(1, 1)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        os.close(self.fd)


# Help, versions, usage


COMMANDS = ["ls", "count", "shape", "show", "explain", "retry", "hold", "release", "drop", "flush",
            "purge", "completion", "make-spool", "clear-mark", "targets", "pause", "resume"]


@test
def help_of_everything():
    r = run(["--help"])
    for name in COMMANDS:
        has(r.text, "\n  %s " % name)
        one = run([name, "--help"])
        has(one.text, "usage: spoolctl %s" % name, "example: spoolctl ")
        same(run([name, "-h"]).out, one.out)
        same(one.errors, "")
    has(r.text, "example:", "65", "66", "75", "ARKENSPOOL_CONF")
    same(run(["-h"]).out, r.out)
    for option in "-V", "--version":
        assert re.match(r"spoolctl \(arkenspool\) \d+\.\d+", run([option]).text)


@test
def mistakes_in_usage_are_64_and_touch_nothing():
    with Full() as s:
        before = s.tree()
        for args in ([], ["nonsense"], ["-x", "ls"], ["ls", "--bad"], ["ls", "-x"],
                     ["ls", "--account"], ["ls", "nostate"], ["ls", "failed", "held"],
                     ["count", "x"], ["show"], ["show", "a", "b"], ["show", "--raw", "--body", "a"],
                     ["explain"], ["explain", "a", "b"], ["retry"], ["retry", "--dry-run"],
                     ["retry", "ALL", "x"], ["retry", "--kind", "Client", s.failed],
                     ["retry", "--state", "held", s.failed], ["retry", "ALL", "--state", "running"],
                     ["retry", "ALL", "--state", "x"], ["retry", "all", "--older", "soon"],
                     ["ls", "--older", "soon"], ["ls", "--since", "yesterday"],
                     ["ls", "--since", "2026-02-30"], ["shape", "x"], ["shape", "held", "done"],
                     ["count", "--older", "-1"], ["flush", "x"], ["purge", "x"],
                     ["purge"], ["purge", "--older", "6d"], ["purge", "--older", "x"],
                     ["completion"], ["completion", "ksh"], ["completion", "bash", "zsh"],
                     ["retry", "--account", "acme", s.failed], ["hold"], ["release"], ["drop"],
                     ["release", "--reason", "x", s.held], ["drop", s.failed],
                     ["drop", "--reason", " ", s.failed], ["make-spool", "x"],
                     ["clear-mark", "x"], ["targets", "x"], ["pause"], ["pause", "acme"],
                     ["pause", "hook:acme", "x"], ["resume"], ["resume", "hooks:acme"],
                     ["pause", "hook:acme", "--reason", "x" * 400]):
            r = s.ctl(*args, status=64)
            has(r.errors, "--help")
            same(r.out, b"", "stdout of %s" % args)
        run(["-c"], status=64)
        run(["--spool"], status=64)
        same(s.tree(), before, "the tree")
        # What was typed is not written to a terminal as it is.
        lacks(s.ctl("\x1b[31m", status=64).errors, "\x1b")
        lacks(s.ctl("show", "\x1b[31m", status=66).errors, "\x1b")


# Which spool, whose rights


def write_conf(s, **change):
    conf = {"directory": s.path, "group": str(os.stat(s.path).st_gid)}
    conf.update(change)
    path = os.path.join(os.path.dirname(s.path), "arkenspool.conf")
    with open(path, "w") as f:
        f.write("[spool]\n" + "".join("%s = %s\n" % kv for kv in conf.items()) +
                "[account acme]\npath = /arken/acme\n")
    return path


@test
def the_configuration_names_the_spool():
    with Full() as s:
        conf = write_conf(s)
        want = s.ctl("ls", "all", "--json").out
        same(len(run(["-c", conf, "ls", "all", "--json"]).out.splitlines()),
             len(want.splitlines()))
        same(len(run(["ls", "all", "--json"], env={"ARKENSPOOL_CONF": conf}).out.splitlines()),
             len(want.splitlines()))
        has(run(["-c", conf, "explain", s.failed]).text, "spoolctl -c " + conf + " retry")
        has(run(["explain", s.failed], env={"ARKENSPOOL_CONF": conf}).text,
            "  spoolctl retry " + s.failed)
        # -s needs none, and wins.
        run(["-c", "/nonexistent", "-s", s.path, "count"])
        has(run(["-c", "/nonexistent/conf", "count"], status=78).errors, "-c", "-s")
        has(run(["-c", write_conf(s, group="no-such-group"), "count"], status=78).errors,
            "no-such-group")
        has(run(["-c", write_conf(s, min_free="much"), "count"], status=78).errors, "min_free")


@test
def a_spool_that_is_not_right_is_refused():
    has(run(["-s", BASE + "/none", "ls"], status=66).errors, "make-spool", "-s")
    s = Spool(BASE)
    os.chmod(s.at("cur"), 0o755)
    has(s.ctl("ls", status=78).errors, "cur", "0755", "2750")
    os.chmod(s.at("cur"), 0o2750)
    s.ctl("ls")
    os.rename(s.at("held"), s.at("gone"))
    has(s.ctl("count", status=78).errors, "held")


@test
def make_spool_makes_it_once():
    s = Spool(BASE)
    for folder, mode in (("", 0o2750), ("tmp", 0o2770), ("new", 0o2770), ("cur", 0o2750),
                         ("done/cur", 0o2750), ("failed/cur", 0o2750), ("held/cur", 0o2750),
                         ("rejected/new", 0o2770), ("rejected/tmp", 0o2770),
                         ("rejected/cur", 0o2750), ("retry", 0o2750), ("log", 0o2770),
                         ("ask", 0o2770), ("keys", 0o2750)):
        same(stat.S_IMODE(os.stat(s.at(folder)).st_mode), mode, folder)
    before = s.tree()
    has(s.ctl("make-spool").text, "is complete")
    same(s.tree(), before, "after the second time")
    os.rmdir(s.at("ask"))
    s.ctl("make-spool")
    assert os.path.isdir(s.at("ask"))
    gid = str(os.stat(s.path).st_gid)
    s.ctl("make-spool", "-g", gid)
    s.ctl("make-spool", "--group", gid)
    has(s.ctl("make-spool", "-g", "no-such-group", status=78).errors, "no-such-group")
    if ROOT:
        has(s.ctl("make-spool", "-u", "no-such-user", status=78).errors, "no-such-user")
    else:
        s.ctl("make-spool", "-u", "nobody", status=64)
    conf = write_conf(Spool(BASE))
    has(run(["-c", conf, "make-spool"]).text, "is complete")


def other_user():
    """A folder and a program that another user can reach; root only."""
    if not ROOT:
        raise Skip("needs root")
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Skip("no user nobody")
    base = tempfile.mkdtemp(prefix="t_spoolctl.", dir=BASE)
    shutil.copy(PROGRAM, base + "/spoolctl")
    for p in (BASE, base):
        os.chmod(p, 0o755)
    return nobody, base


@test
def root_becomes_the_owner():
    nobody, base = other_user()
    s = Spool(base, "-u", "nobody", "-g", str(nobody.pw_gid))
    for folder, folders, files in os.walk(s.path):
        for name in files + ["."]:
            st = os.lstat(os.path.join(folder, name))
            same((st.st_uid, st.st_gid), (nobody.pw_uid, nobody.pw_gid), folder + "/" + name)
    name = s.put("cur", "acme.n-7.Client.Update")
    os.chown(s.file("cur", name), nobody.pw_uid, nobody.pw_gid)
    s.ctl("retry", "n-7", env={"SUDO_USER": "alice", "SUDO_UID": "1234"})
    for p in glob.glob(s.at("log", "*")) + s.wakes():
        st = os.stat(p)
        same((st.st_uid, st.st_gid), (nobody.pw_uid, nobody.pw_gid), p)
    has(s.logged(), "operator=alice", "uid=1234")
    # A file of root's that the owner cannot read is out of reach: root is really gone.
    os.chown(s.file("cur", name), 0, 0)
    os.chmod(s.file("cur", name), 0o600)
    s.ctl("show", "n-7", status=77)
    # An empty folder of root's may become a spool; one with something in it may not.
    os.mkdir(base + "/mount")
    run(["-s", base + "/mount", "make-spool", "-u", "nobody", "-g", str(nobody.pw_gid)])
    os.mkdir(base + "/used")
    open(base + "/used/file", "w").close()
    run(["-s", base + "/used", "make-spool", "-u", "nobody"], status=78)
    same(os.listdir(base + "/used"), ["file"])


@test
def others_are_denied_with_a_remedy():
    nobody, base = other_user()
    s = Spool(base)
    name = s.put("failed", "acme.n-7.Client.Update")
    who = dict(program=base + "/spoolctl", user=nobody.pw_uid, group=nobody.pw_gid,
               extra_groups=[])
    has(s.ctl("ls", status=77, **who).errors, "sudo", "root")
    # A member of the group may look, and may not move.
    gid = nobody.pw_gid
    s2 = Spool(base, "-u", "root", "-g", str(gid))
    name = s2.put("failed", "acme.n-7.Client.Update")
    os.chown(s2.file("failed", name), 0, gid)
    has(s2.ctl("ls", **who).text, "n-7")
    has(s2.ctl("explain", "n-7", **who).text, "failed")
    before = s2.tree()
    has(s2.ctl("hold", "n-7", status=77, **who).errors, "sudo")
    same(s2.where(name), ["failed"])
    same(s2.tree(), before)
    s2.ctl("make-spool", "-u", "nobody", status=64, **who)


# Looking


@test
def ls_lists_what_is_not_done():
    with Full() as s:
        got = s.listed()
        same([e["name"] for e in got],
             [s.held, s.failed, s.failed2, s.failed3, s.rejected, s.waiting, s.running, s.new],
             "the oldest first")
        same([e["name"] for e in s.listed("all")][0], s.done)
        by = {e["name"]: e for e in s.listed("all")}
        for name, state, folder in ((s.new, "waiting", "new"), (s.waiting, "waiting", "cur"),
                                    (s.running, "running", "cur"), (s.failed, "failed", "failed"),
                                    (s.held, "held", "held"), (s.done, "done", "done"),
                                    (s.rejected, "rejected", "rejected")):
            same((by[name]["state"], by[name]["folder"]), (state, folder), name)
            assert name in [e["name"] for e in s.listed(state)], state
            assert all(e["state"] == state for e in s.listed(state)), state
        e = by[s.failed]
        same((e["key"], e["account"], e["kind"], e["tries"]),
             (guid(4), "acme", "FileStore.Upload", 10))
        same(e["reason"], "the document host answered 500")
        same(e["subject"], "FileStore.Upload: document 2mTeX, client 8Kq")
        same(e["received"], stamp(ago(days=2)))
        assert 2 * 86400 <= e["age"] < 2 * 86400 + 600, e["age"]
        assert by[s.waiting]["due"] > stamp(NOW)
        assert "due" not in by[s.new]


@test
def ls_filters():
    with Full() as s:
        names = lambda *args: {e["name"] for e in s.listed(*args)}
        same(names("--account", "beta"), {s.failed2, s.failed3, s.held})
        same(names("--account", "bet"), set())
        same(names("--kind", "Client"), {s.new, s.waiting, s.failed2, s.failed3})
        same(names("--kind", "client.update"), {s.new, s.failed2})
        same(names("failed", "--kind", "Client", "--account", "beta"), {s.failed2, s.failed3})
        same(names("--kind", "Client.Upd"), set())
        same(names("--kind", "Cli"), set())
        has(s.ctl("ls", "--account", "none").errors, "no such events")


@test
def ls_prints_a_table():
    with Full() as s:
        r = s.ctl("ls")
        lines = r.text.splitlines()
        same(lines[0].split(), "AGE STATE TRIES ID ACCOUNT KIND SUBJECT OR REASON".split())
        same(len(lines), 9)
        row = [x for x in lines if guid(4)[:8] in x][0]
        assert re.match(r" *2 d +failed +10 +%s +acme +FileStore.Upload +the document host "
                        r"answered 500$" % guid(4)[:8], row), row
        row = [x for x in lines if guid(2)[:8] in x][0]
        assert re.search(r"waiting +3 .* next try in \d+ min.*: the API answered 500$",
                         row), row
        lacks(r.text, "\x1b", s.done.split(".")[1][:8])


@test
def ids_are_short_unlike_any_other_and_copyable():
    with Full() as s:
        twin = s.put("done", "gamma.n-12.Client.Update")          # the key of failed2, done
        near = s.put("done", "acme.%s.Client.Update" % (guid(4)[:11] + "f" + guid(4)[12:]))
        by = {e["name"]: e["id"] for e in s.listed("all")}
        same(by[s.failed2], s.failed2, "a shared key leaves only the name")
        same(by[s.failed3], "n-120")
        same(by[s.failed], guid(4)[:12], "against an event that is not listed")
        same({e["name"]: e["id"] for e in s.listed()}[s.failed], guid(4)[:12])
        same(by[s.new], guid(1)[:8])
        for name, ident in by.items():
            has(s.ctl("show", ident).text, "Arken-Event: %s\n" % name)
        assert twin in by and near in by


@test
def ids_are_unlike_in_random_spools():
    seed = random.randrange(2 ** 32)
    print("# seed %d" % seed)
    rnd = random.Random(seed)
    s = Spool(BASE)
    names = set()
    for _ in range(250):
        key = "".join(rnd.choice("ab-") for _ in range(rnd.randint(7, 14)))
        name = "%s.%s.%s.Update" % (rnd.choice(["acme", "beta"]), key,
                                   rnd.choice(["Client", "User"]))
        if name not in names:
            names.add(s.put(rnd.choice(list(PLACE)), name, ago(seconds=rnd.randrange(10 ** 6))))
    for args in ["all"], []:
        got = s.listed(*args)
        assert got == sorted(got, key=lambda e: (e["received"], e["name"]))
        for e in got:
            keys = [n.split(".")[1] for n in names]
            exact = [n for n in names if n.split(".")[1] == e["id"]]
            begin = [n for n in names if n.split(".")[1].startswith(e["id"])]
            found = [e["id"]] if e["id"] in names else exact or begin
            same(found, [e["name"]], "%s among %d" % (e["id"], len(keys)))
            assert len(e["id"]) <= 8 or e["id"] == e["name"] or sum(
                k.startswith(e["id"][:-1]) for k in keys) > 1, "%s is too long" % e["id"]


@test
def ls_shows_what_is_damaged_or_odd():
    s = Spool(BASE)
    torn = s.put("failed", "acme.n-1.Client.Update")
    with open(s.file("failed", torn), "wb") as f:
        f.write(b"Date: x\nSubj")
    evil = s.put("failed", "acme.n-2.Client.Update", subject="a\x1b[2Jb\x9bc")
    foreign = s.put("failed", "acme.n-3.Client.Update")
    os.rename(s.file("failed", foreign), s.at("failed/cur", foreign + ":2,RS"))
    open(s.at("failed/cur", "notes.txt"), "w").close()
    r = s.ctl("ls")
    has(r.text, "damaged: the header has no end", r"a\x1b[2Jb")
    lacks(r.text, "\x1b", "n-3", "notes")
    has(r.errors, "1 more bear the flags")
    lacks(s.ctl("ls", "--json").text, "\x1b", "\x9b")
    by = {e["name"]: e for e in s.listed()}
    has(by[torn]["reason"], "damaged")
    same(by[evil]["account"], "acme")
    has(s.ctl("count").errors, "1 files in the spool are no events")
    # A note that cannot be read is no reason not to list.
    with open(s.at("retry", evil), "w") as f:
        f.write("junk")
    same(len(s.listed()), 2)
    has(s.ctl("explain", "n-2").text, "note cannot be read")


@test
def count_counts():
    with Full() as s:
        want = {"waiting": 2, "running": 1, "failed": 3, "held": 1, "rejected": 1, "done": 1}
        same(json.loads(s.ctl("count", "--json").text), want)
        same({x.split()[0]: int(x.split()[1]) for x in s.ctl("count").text.splitlines()}, want)


@test
def looking_changes_nothing():
    with Full() as s:
        before = s.tree()
        for args in (["ls", "all"], ["ls", "--json"], ["count"], ["show", s.failed],
                     ["show", "--raw", s.running], ["explain", s.failed], ["explain", s.running],
                     ["clear-mark"], ["clear-mark", "--dry-run"], ["targets"],
                     ["targets", "--json"]):
            s.ctl(*args)
            same(s.tree(), before, str(args))


@test
def colour_only_on_a_terminal():
    with Full() as s:
        def on_terminal(**env):
            lead, tail = pty.openpty()
            full = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
            full.update(env)
            p = subprocess.Popen([PROGRAM, "-s", s.path, "ls", "failed"], stdout=tail, env=full)
            os.close(tail)
            out = b""
            try:
                while True:
                    part = os.read(lead, 65536)
                    if not part:
                        break
                    out += part
            except OSError:
                pass  # the other end is closed
            same(p.wait(), 0)
            os.close(lead)
            return out
        assert b"\x1b[31mfailed" in on_terminal(TERM="xterm")
        assert b"\x1b" in on_terminal(TERM="xterm", NO_COLOR="")
        assert b"\x1b" not in on_terminal(TERM="xterm", NO_COLOR="1")
        assert b"\x1b" not in on_terminal(TERM="dumb")
        assert b"\x1b" not in s.ctl("ls", env={"TERM": "xterm"}).out


@test
def output_that_cannot_be_written_is_74():
    with Full() as s:
        with open("/dev/full", "wb") as full:
            p = subprocess.run([PROGRAM, "-s", s.path, "ls"], stdout=full,
                               stderr=subprocess.PIPE)
        same(p.returncode, 74)
        has(p.stderr.decode(), "standard output")


# show


@test
def show_prints_header_and_body():
    with Full() as s:
        r = s.ctl("show", s.failed)
        has(r.text, "Arken-Event: %s\n" % s.failed, "Arken-Auth: secret:line1\n",
            '\n  "n": 12345678901234567890', '"b": null')
        head, body = r.text.split("\n\n", 1)
        same(json.loads(body), json.loads(DOC))
        file = open(s.file("failed", s.failed), "rb").read()
        same(s.ctl("show", "--raw", s.failed).out, file)
        same(s.ctl("show", "--body", s.failed).out, DOC)
        same(s.ctl("show", s.failed, "--body").out, DOC, "options after the ID")
        for name in s.new, s.waiting, s.running, s.held, s.done, s.rejected:
            has(s.ctl("show", name).text, "Arken-Event: %s\n" % name)
            assert s.ctl("show", "--raw", name).out.startswith(b"Date: ")


@test
def show_escapes_what_steers_a_terminal():
    s = Spool(BASE)
    body = b'{"a":"\\u001b[31m","b":"\xc2\x9b2J","c":"\xe2\x80\xaegnp.exe","d":"\xc3\xa9\x7f"}'
    name = s.put("failed", "acme.n-1.Client.Update", body=body)
    odd = b"no JSON\x1b[2J\nsecond\tline\xff\r\n"
    bad = s.put("rejected", "acme.t-1.Rejected.NotJson", body=odd)
    r = s.ctl("show", name)
    for c in "\x1b", "\x9b", "\u202e", "\x7f":
        lacks(r.text, c)
    same(json.loads(r.text.split("\n\n", 1)[1]), json.loads(body), "means the same")
    has(r.text, "\u00e9")
    same(s.ctl("show", "--body", name).out, body)
    r = s.ctl("show", bad)
    has(r.text, "no JSON\\x1b[2J\nsecond\tline\\xff\\x0d\n")
    has(r.errors, "not shown as JSON")
    same(s.ctl("show", "--body", bad).out, odd)
    long = s.put("rejected", "acme.t-2.Rejected.NotJson", body=b"x" * 70000)
    has(s.ctl("show", long).text, "(4464 more bytes: see them with --body)")


@test
def show_says_what_is_damaged():
    s = Spool(BASE)
    short = s.put("failed", "acme.n-1.Client.Update", body=b'{"a":1}', announce=8)
    changed = s.put("failed", "acme.n-2.Client.Update", body=b'{"a":1}', digest="0" * 64)
    for name, why in (short, "announced"), (changed, "digest"):
        r = s.ctl("show", name, status=65)
        has(r.errors, why, "--raw")
        has(r.text, "Arken-Event: " + name, '{"a":1}')
        same(s.ctl("show", "--body", name, status=65).out, b"")
        same(s.ctl("show", "--raw", name).out, open(s.file("failed", name), "rb").read())
    other = s.put("failed", "acme.n-3.Client.Update")
    os.rename(s.file("failed", other), s.file("failed", "acme.n-4.Client.Update"))
    has(s.ctl("show", "n-4", status=65).errors, other)


@test
def ids_are_names_keys_and_beginnings():
    with Full() as s:
        for ident in (s.failed, guid(4), guid(4)[:8], guid(4).upper(), s.failed + ":2,F",
                      s.file("failed", s.failed), "  " + guid(4)):
            has(s.ctl("show", ident).text, "Arken-Event: %s\n" % s.failed)
        has(s.ctl("show", "n-12").text, s.failed2)    # exact wins over a longer one
        r = s.ctl("show", "n-1", status=65)
        has(r.errors, s.failed2 + " (failed)", s.failed3 + " (failed)", "name one")
        s.put("done", "gamma.n-12.Client.Update")
        r = s.ctl("explain", "n-12", status=65)
        has(r.errors, "beta.n-12.Client.Update (failed)", "gamma.n-12.Client.Update (done)")
        lacks(r.errors, s.failed3)
        for ident in "nothing", "acme.nothing.Client.Update", "", "../../etc/passwd", "x" * 400:
            has(s.ctl("show", ident, status=66).errors, "no such event")
        for i in range(30):
            s.put("done", "acme.many-%02d.Client.Update" % i)
        r = s.ctl("show", "many-", status=65)
        same(r.errors.count("acme.many-"), 20)
        has(r.errors, "...")
    # One that is in two folders belongs to the later.
    s = Spool(BASE)
    s.put("new", "acme.n-1.Client.Update")
    s.put("failed", "acme.n-1.Client.Update")
    has(s.ctl("explain", "n-1").text, "Now: failed")


# explain


@test
def explain_tells_the_story():
    with Full() as s:
        t = ago(days=2)
        s.log(t, "step=accepted event=%s source=webhook auth=secret:line1 bytes=91" % s.failed)
        s.log(t, "step=accepted event=%s source=webhook" % s.failed2)
        s.log(t + datetime.timedelta(milliseconds=250), "step=taken event=%s" % s.failed)
        s.log(t + datetime.timedelta(seconds=90),
              'step=later event=%s try=1 reason="answered \\"no\\" a=b \\\\x1b"' % s.failed)
        s.log(ago(days=1), "step=failed event=%s try=10" % s.failed)
        s.log(ago(days=1), "step=unknown\x1b[2J event=%s" % s.failed)
        r = s.ctl("explain", s.failed)
        has(r.text, "FileStore.Upload of account acme", s.failed, "document 2mTeX, client 8Kq",
            "received  %s (2 d ago)" % stamp(t), "192.0.2.7, by a call of the webhook",
            "verified  by secret:line1",
            "received and safely on disk; source webhook, auth secret:line1, bytes 91",
            "+250 ms", "+1 min 29 s", 'put off; try 1, reason answered "no" a=b \\x1b',
            "Tried 10 times", "next step  document",
            "reason     the document host answered 500", "Now: failed", "person",
            "spoolctl -s %s retry %s\n" % (s.path, s.failed),
            "spoolctl -s %s drop %s --reason 'TEXT'\n" % (s.path, s.failed),
            "spoolctl -s %s hold %s\n" % (s.path, s.failed),
            "spoolctl -s %s show %s\n" % (s.path, s.failed))
        lacks(r.text, "\x1b", s.failed2, " release acme", "next due")
        assert r.text.index("safely on disk") < r.text.index("took it") < r.text.index("put off")


@test
def explain_works_in_every_state():
    with Full() as s:
        want = {s.new: ("Now: waiting, in folder new", ["retry", "hold", "drop", "show"]),
                s.waiting: ("Now: waiting, in folder cur", ["retry", "hold", "drop", "show"]),
                s.running: ("Now: running", ["show"]),
                s.failed: ("Now: failed", ["retry", "hold", "drop", "show"]),
                s.held: ("Now: held", ["release", "drop", "show"]),
                s.rejected: ("Now: rejected", ["retry", "drop", "show"]),
                s.done: ("Now: done", ["show"])}
        for name, (now, commands) in want.items():
            r = s.ctl("explain", name)
            has(r.text, now, "nothing is in the spool's log")
            same(re.findall(r"^  spoolctl -s \S+ (\S+) ", r.text, re.M), commands, name)
        has(s.ctl("explain", s.waiting).text, "Tried 3 times", "next due   in ")
        has(s.ctl("explain", s.rejected).text, "a member name is expected")
    s = Spool(BASE)
    name = s.put("new", "acme.n-1.Client.Update", source="reconcile")
    has(s.ctl("explain", name).text, "event feed")
    name = s.put("new", "acme.n-2.Client.Update", source="operator")
    has(s.ctl("explain", name).text, "an operator")
    s.note(name, tries=1, interruptions=2, puts_off=5)
    has(s.ctl("explain", name).text, "Tried 1 time, interrupted 2, put off 5", "next due   now")
    with open(s.file("new", name), "wb") as f:
        f.write(b"junk\n\n")
    has(s.ctl("explain", name).text, "damaged", "show --raw " + name)
    # A path that a shell would take apart is quoted.
    odd = os.path.join(os.path.dirname(s.path), "it's one")
    os.rename(s.path, odd)
    has(run(["-s", odd, "explain", "n-1"]).text, "-s '%s' retry" % odd.replace("'", "'\\''"))


@test
def explain_keeps_to_the_latest_lines():
    s = Spool(BASE)
    name = s.put("failed", "acme.n-1.Client.Update")
    for i in range(620):
        s.log(ago(hours=1), "step=later event=%s try=%d" % (name, i))
    r = s.ctl("explain", name)
    has(r.text, "(120 earlier lines")
    same(re.findall(r"try (\d+)$", r.text, re.M), [str(i) for i in range(120, 620)])


# Moving


@test
def retry_puts_failed_and_held_back():
    with Full() as s:
        r = s.ctl("retry", guid(4)[:8], s.held, env={"SUDO_USER": "al ice", "SUDO_UID": "77"})
        same(r.text, "requeued  %s  (was failed)\nrequeued  %s  (was held)\n" % (s.failed, s.held))
        for name in s.failed, s.held:
            same(s.where(name), ["new"])
            assert not os.path.exists(s.at("retry", name)), "the note is reset"
        line = [x for x in s.logged().splitlines() if s.failed in x]
        same(len(line), 1)
        has(line[0], "step=requeue", "event=" + s.failed, "from=failed", 'operator="al ice"',
            "uid=77", "tries=10", 'was="the document host answered 500"')
        same(s.gauge(0), 5)
        has(s.ctl("explain", s.failed).text, "an operator put it back into the queue")
        r = s.ctl("retry", s.failed)
        has(r.text, "unchanged", "queued already")
        same(s.wakes(), [], "the queue's own folder wakes the daemon")


@test
def retry_makes_a_waiting_event_due():
    with Full() as s:
        s.ctl("retry", s.waiting)
        same(s.where(s.waiting), ["cur"])
        assert not os.path.exists(s.at("retry", s.waiting))
        same(len(s.wakes()), 1)
        same(stat.S_IMODE(os.stat(s.wakes()[0]).st_mode), 0o660)
        has(s.logged(), "step=requeue event=%s from=cur" % s.waiting)
        same(s.gauge(0), 3)


@test
def retry_goes_on_after_trouble():
    with Full() as s:
        before = open(s.at("retry", s.running)).read()
        r = s.ctl("retry", s.running, s.failed, status=75)
        has(r.errors, s.running, "busy", "try again")
        same(s.where(s.failed), ["new"])
        same(open(s.at("retry", s.running)).read(), before)
        r = s.ctl("retry", "nothing", s.running, s.failed2, status=66)
        has(r.errors, "busy", "nothing: there is no such event")
        same(s.where(s.failed2), ["new"])
        s.ctl("retry", "n-1", "nothing", s.running, status=65)
        r = s.ctl("retry", s.done, s.failed3, s.rejected, status=78)
        has(r.errors, "it is done", "leave out -s")
        same((s.where(s.done), s.where(s.rejected), s.where(s.failed3)),
             (["done"], ["rejected"], ["new"]))


@test
def retry_of_a_name_that_is_queued_changes_nothing():
    s = Spool(BASE)
    name = s.put("failed", "acme.n-1.Client.Update")
    s.put("new", name)
    r = s.ctl("retry", name, status=75)
    has(r.errors, "already queued")
    same(s.where(name), ["new", "failed"])
    lacks(s.logged(), "requeue")


@test
def retry_takes_the_note_away_before_it_moves():
    s = Spool(BASE)
    name = s.put("failed", "acme.n-1.Client.Update")
    os.mkdir(s.at("retry", name))   # cannot be removed as a note
    has(s.ctl("retry", name, status=78).errors, "unlinkat")
    same(s.where(name), ["failed"], "with its tries used up it must not be queued")
    lacks(s.logged(), "requeue")


@test
def retry_reads_standard_input():
    with Full() as s:
        listing = s.ctl("ls", "failed", "--json").out
        pick = "import json,sys\nfor l in sys.stdin: print(json.loads(l)['id'])"
        ids = subprocess.run([sys.executable, "-c", pick], input=listing,
                             stdout=subprocess.PIPE, check=True).stdout
        r = s.ctl("retry", "-", stdin=b"\n" + ids + b"\r\n" + ids)
        same(r.text.count("requeued"), 3, "once each")
        same(s.listed("failed"), [])
    with Full() as s:
        same(s.ctl("retry", "-", stdin=b"").out, b"")
        s.ctl("retry", "-", stdin=b"x" * 1000 + b"\n", status=65)
        s.ctl("retry", "-", stdin=b"nothing\n", status=66)
        s.ctl("hold", "-", stdin=s.failed.encode())
        same(s.where(s.failed), ["held"])


@test
def retry_takes_a_pipe_from_ls_through_jq():
    if shutil.which("jq") is None:
        raise Skip("no jq")
    with Full() as s:
        ctl = "'%s' -s '%s'" % (PROGRAM, s.path)
        subprocess.run("%s ls failed --json | jq -r .name | %s retry -" % (ctl, ctl), shell=True,
                       check=True, stdout=subprocess.DEVNULL)
        same(s.listed("failed"), [])
        same(len(s.listed("waiting")), 5)


@test
def retry_takes_all_and_filters():
    with Full() as s:
        r = s.ctl("retry", "ALL", "--account", "beta", "--kind", "Client.Delete")
        has(r.errors, "retry: 1 event\n")
        same({e["name"] for e in s.listed("failed")}, {s.failed, s.failed2})
        r = s.ctl("retry", "ALL", "--dry-run")
        has(r.text, "would requeue  " + s.failed, "would requeue  " + s.failed2)
        has(r.errors, "dry run of retry: 2 events\n")
        same(s.ctl("retry", "--older", "1d", "-n").text.count("would"), 1)
        s.ctl("retry", "ALL")
        same(s.listed("failed"), [])
        has(s.ctl("retry", "ALL").errors, "retry: 0 events")
        same(s.where(s.held), ["held"])
        s.ctl("retry", "ALL", "--state", "held")
        same(s.where(s.held), ["new"])


@test
def each_command_means_its_own_state():
    with Full() as s:
        s.ctl("hold", "ALL", status=75)             # the one in work is busy, all others are held
        same((s.where(s.new), s.where(s.waiting), s.where(s.running)),
             (["held"], ["held"], ["cur"]))
        same(s.where(s.failed), ["failed"])
        s.ctl("release", "--account", "beta")
        same((s.where(s.held), s.where(s.new)), (["new"], ["held"]))
        has(s.ctl("drop", "ALL", status=64).errors, "--reason")
        s.ctl("drop", "--client", "8Kq", "--reason", "x")
        same(s.where(s.failed), ["failed"])         # its body names no client
        s.ctl("drop", "--grep", "DOCUMENT 2mtex", "--reason", "x")
        same((s.where(s.failed), s.where(s.failed2)), (["done"], ["failed"]))
        s.ctl("drop", "ALL", "--state", "all", "--reason", "the end", status=75)
        same({b: len(os.listdir(os.path.dirname(s.file(b, "x")))) for b in PLACE},
             {"new": 0, "cur": 1, "held": 0, "failed": 0, "done": 8, "rejected": 0})


def at_terminal(s, *args, answer):
    """The command with a terminal for everything, at which the answer is typed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, [PROGRAM, "-s", s.path] + list(args))
    os.write(fd, answer)
    out = b""
    try:
        while True:
            more = os.read(fd, 4096)
            if not more:
                break
            out += more
    except OSError:
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


@test
def a_person_is_asked():
    with Full() as s:
        before = s.tree()
        for answer in b"n\n", b"\n", b"\x04":
            status, out = at_terminal(s, "retry", "ALL", answer=answer)
            same(status, 0)
            has(out, "retry: 3 events", "Go on? [y/N]", "nothing was changed")
        same(s.tree(), before)
        lacks(at_terminal(s, "retry", "ALL", "-n", answer=b"")[1], "Go on?")
        lacks(at_terminal(s, "retry", s.failed2, answer=b"")[1], "Go on?")
        has(at_terminal(s, "retry", "--kind", "Client", answer=b"y\n")[1], "requeued")
        lacks(at_terminal(s, "retry", "ALL", "--yes", answer=b"")[1], "Go on?")
        same(s.listed("failed"), [])


@test
def filters_choose():
    s = Spool(BASE)
    body = json.dumps({"eventId": guid(1), "clientHashId": "TBar1bnhM6p5QvqYGGVuCU"}).encode()
    old = s.put("failed", "acme.%s.Client.Update" % guid(1), ago(days=3), body=body)
    link = json.dumps({"eventId": guid(2), "properties": [
        {"Key": "ClientHashId", "Value": "8Kq"}]}).encode()
    new = s.put("done", "beta.%s.FileStore.Upload" % guid(2), ago(minutes=5), body=link,
                auth="secret:line2")
    broken = s.put("held", "acme.n-3.Client.Update", ago(hours=1), body=b"{", digest="0" * 64)

    def listed(*args):
        return [e["name"] for e in s.listed("all", *args)]

    day = ago(days=3).strftime("%Y-%m-%d")
    for args, want in (
            ((), [old, broken, new]),
            (("--client", "TBar1bnhM6p5QvqYGGVuCU"), [old]),
            (("--client", "8Kq"), [new]),
            (("--client", "TBar1bnhM6p5QvqYGGVuC"), []),
            (("--older", "2d"), [old]), (("--older", "10m"), [old, broken]),
            (("--since", "2h"), [broken, new]), (("--since", day), [old, broken, new]),
            (("--since", stamp(ago(hours=2))), [broken, new]),
            (("--since", "2h", "--older", "10m"), [broken]),
            (("--grep", "SECRET:line2"), [new]), (("--grep", "clienthashid"), [old, new]),
            (("--grep", "nowhere"), []), (("--grep", ""), [old, broken, new]),
            (("--kind", "client", "--account", "acme", "--older", "2d"), [old])):
        same(listed(*args), want, args)
        n = sum(json.loads(s.ctl("count", "--json", *args).text).values())
        same(n, len(want), ("count",) + args)


@test
def shape_shows_ages_by_kind():
    with Full() as s:
        rows = [json.loads(x) for x in s.ctl("shape", "--json").text.splitlines()]
        same([(r["kind"], r["total"]) for r in rows],
             [("Client.Create", 1), ("Client.Update", 1), ("User.Update", 1)])
        same([{k: n for k, n in r["minutes"].items() if n} for r in rows],
             [{"40": 1}, {"5": 1}, {"20": 1}])
        rows = [json.loads(x) for x in s.ctl("shape", "all", "--json").text.splitlines()]
        same(sum(r["total"] for r in rows), 9)
        same(rows[0]["kind"], "Client.Update")
        same([r["minutes"]["more"] for r in rows if r["kind"] == "Client.Update"], [1])
        text = s.ctl("shape", "failed").text.splitlines()
        has(text[0], "MINUTES", "TOTAL", "1280+")
        same(text[1].split()[:2], ["all", "3"])
        same(len(text), 5)
        same(len(s.ctl("shape", "--account", "none").text.splitlines()), 2)


@test
def flush_makes_due_and_keeps_the_count():
    with Full() as s:
        before = s.tree()
        has(s.ctl("flush", "-n").text, "would be: 1 waiting event made due now")
        same(s.tree(), before)
        has(s.ctl("flush").text, "1 waiting event made due now")
        note = open(s.at("retry", s.waiting)).read()
        has(note, "tries=3\n", "due=0\n", "reason=the API answered 500\n")
        has(open(s.at("retry", s.running)).read(), "state=running")
        same(len(s.wakes()), 1)
        has(s.ctl("flush").text, "0 waiting events made due")


@test
def purge_removes_what_is_old():
    with Full() as s:
        s.ctl("purge", "--older", "60d")
        same((s.where(s.done), s.where(s.rejected)), (["done"], ["rejected"]))
        # The age counts from when it came into its folder, which cannot be set back.
        later = ["faketime", "-f", "+40d", PROGRAM]
        if not shutil.which("faketime"):
            raise Skip("no faketime")
        conf = write_conf(s, retention="30d")

        def purge(*args):
            p = subprocess.run(later + ["-c", conf, "purge"] + list(args), stdout=subprocess.PIPE,
                               check=True, text=True)
            return p.stdout

        before = s.tree()
        has(purge("--dry-run"), "would remove 1 from done", "would remove 1 from rejected")
        same(s.tree(), before)
        has(purge(), "removed 1 from done", "removed 1 from rejected")
        same((s.where(s.done), s.where(s.rejected)), ([], []))
        same(s.gauge(1), 0)
        same((s.where(s.failed), s.where(s.held)), (["failed"], ["held"]))


@test
def completion_completes():
    with Full() as s:
        script = run(["completion", "bash"]).text
        folder = tempfile.mkdtemp(dir=BASE)
        with open(folder + "/spoolctl", "w") as f:
            f.write('#!/bin/sh\nexec "%s" -s "%s" "$@"\n' % (PROGRAM, s.path))
        os.chmod(folder + "/spoolctl", 0o755)

        def complete(*words):
            test = script + "\nCOMP_WORDS=(spoolctl %s)\nCOMP_CWORD=%d\n_spoolctl\n" \
                "printf '%%s\\n' \"${COMPREPLY[@]}\"\n" % (
                    " ".join("'%s'" % w for w in words), len(words))
            env = dict(os.environ, PATH=folder + ":" + os.environ["PATH"])
            p = subprocess.run(["bash", "-euc", test], stdout=subprocess.PIPE, check=True,
                               text=True, env=env)
            return p.stdout.split()

        same(complete("exp"), ["explain"])
        same(complete("-s", "/x", "res"), ["resume"])
        same(complete("ls", "fa"), ["failed"])
        same(complete("ls", "--js"), ["--json"])
        same(complete("retry", "AL"), ["ALL"])
        same(complete("retry", "--al"), [])
        same(complete("drop", "n-12"), ["n-12", "n-120"])
        for shell, flags in ("zsh", "-n"), ("fish", "--no-execute"):
            if shutil.which(shell):
                subprocess.run([shell, flags, "/dev/stdin"], check=True,
                               input=run(["completion", shell]).out)
            else:
                print("# %s is not installed: its script was not read" % shell)


@test
def every_option_is_in_the_usage():
    for name in COMMANDS:
        text = run([name, "--help"]).text
        shown = set(re.findall(r"--([a-z-]+)", text.split("\n\n")[0]))
        with open(os.path.join(SOURCE, "spoolctl", "cmd_%s.c" % name.replace("-", "_"))) as f:
            code = f.read()
        if "move_command(" in code:
            with open(os.path.join(SOURCE, "spoolctl", "move.c")) as f:
                code += f.read()
        taken = set(re.findall(r'\{"([a-z-]+)", (?:no|required)_argument', code))
        if "FILTER_OPTIONS" in code:
            taken |= {"account", "kind", "client", "older", "since", "grep"}
        same(shown - {"user", "group"}, taken - {"help", "user", "group"} -
             ({"reason"} if name in ("retry", "release") else set()), name)


@test
def dry_runs_change_nothing():
    with Full() as s:
        before = s.tree()
        r = s.ctl("retry", "--dry-run", s.failed, s.waiting, s.held, s.new)
        same(r.text.count("would requeue"), 3)
        has(s.ctl("retry", "-n", s.running, status=75).errors, "busy")
        s.ctl("retry", "-n", s.done, status=65)
        has(s.ctl("hold", "-n", s.failed).text, "would hold  " + s.failed)
        has(s.ctl("release", "--dry-run", s.held).text, "would release  " + s.held)
        has(s.ctl("drop", "-n", "--reason", "x", s.failed).text, "would drop  " + s.failed)
        same(s.tree(), before)
        s.ctl("hold", s.failed)
        assert s.tree() != before, "the hash sees a change"


@test
def hold_and_release():
    with Full() as s:
        s.ctl("hold", s.new, s.waiting, s.failed, "--reason", "asked Arken, case 4711")
        for name in s.new, s.waiting, s.failed:
            same(s.where(name), ["held"])
        has(s.logged(), "step=held event=%s from=failed" % s.failed,
            'reason="asked Arken, case 4711"')
        assert os.path.exists(s.at("retry", s.failed)), "why it failed can still be read"
        same(s.gauge(0), 1)
        has(s.ctl("hold", s.held).text, "unchanged", "held already")
        has(s.ctl("hold", s.running, status=75).errors, "busy")
        s.ctl("hold", s.done, status=65)
        s.ctl("hold", s.rejected, status=65)
        s.ctl("hold", "nothing", status=66)
        s.ctl("hold", "n-1", status=65)
        s.ctl("release", s.failed, s.held)
        for name in s.failed, s.held:
            same(s.where(name), ["new"])
            assert not os.path.exists(s.at("retry", name))
        has(s.logged(), "step=released event=%s from=held" % s.held)
        same(s.gauge(0), 3)
        has(s.ctl("release", s.failed).text, "unchanged", "queued already")
        has(s.ctl("release", s.failed2, status=65).errors, "spoolctl retry")
        s.ctl("release", s.done, status=65)
        s.ctl("release", s.rejected, status=65)
        fd = s.lock("held", s.new)
        s.ctl("release", s.new, status=75)
        os.close(fd)


@test
def drop_needs_and_keeps_a_reason():
    with Full() as s:
        has(s.ctl("drop", s.failed, status=64).errors, "--reason")
        names = [s.new, s.waiting, s.failed, s.held, s.rejected]
        s.ctl("drop", "--reason", 'test "event"\nof March', *names)
        for name in names:
            same(s.where(name), ["done"])
            assert not os.path.exists(s.at("retry", name))
            line = [x for x in s.logged().splitlines() if name in x]
            same(len(line), 1)
            has(line[0], "step=dropped", 'reason="test \\"event\\"\\x0aof March"')
        same((s.gauge(0), s.gauge(1)), (1, 0))
        has(s.ctl("explain", s.failed).text, "an operator gave it up", 'reason test "event"')
        has(s.ctl("drop", "--reason", "x", s.done).text, "unchanged", "done already")
        s.ctl("drop", "--reason", "x", s.running, status=75)
        s.ctl("drop", "--reason", "x", "nothing", status=66)
        same(s.where(s.running), ["cur"])


@test
def nothing_is_dropped_without_a_trace():
    s = Spool(BASE)
    name = s.put("failed", "acme.n-1.Client.Update")
    day = datetime.datetime.now(datetime.timezone.utc)
    for d in day, day + datetime.timedelta(days=1):     # the log cannot be opened
        os.mkdir(s.at("log", d.strftime("%Y-%m-%d")))
    r = run(["-s", s.path, "drop", "--reason", "x", name], status=78)
    has(r.errors, "not dropped")
    same(s.where(name), ["failed"])
    # Any other move is made, and says that the line is missing.
    r = s.ctl("retry", name)
    has(r.errors, "not written to the spool's log")
    same(s.where(name), ["new"])


# The mark


def mount_value(path):
    """What tells this boot and device from any other, as count.c mixes it."""
    h = 0xcbf29ce484222325
    boot = open("/proc/sys/kernel/random/boot_id", "rb").read()
    for b in boot + struct.pack("=Q", os.stat(path).st_dev):
        h = ((h ^ b) * 0x100000001b3) % 2 ** 64
    return h or 1


@test
def clear_mark_clears_it():
    s = Spool(BASE)
    has(s.ctl("clear-mark").text, "no mark stands")

    def mark(value):
        with open(s.at("counters"), "r+b") as f:
            f.seek(8)
            f.write(struct.pack("=Q", value))

    mark(mount_value(s.path))
    has(s.ctl("clear-mark", "-n").text, "the mark stands", "503")
    has(s.ctl("clear-mark", "--dry-run").text, "the mark stands")
    has(s.ctl("clear-mark").text, "stood and is cleared")
    has(s.logged(), "step=clear-mark", "operator=")
    has(s.ctl("clear-mark").text, "no mark stands")
    mark(12345)  # of another mount
    has(s.ctl("clear-mark").text, "no mark stands")


@test
def targets_are_paused_listed_and_resumed():
    s = Spool(BASE)
    has(s.ctl("targets").text, "none is down or paused")
    same(s.ctl("targets", "--json").out, b"")
    has(s.ctl("resume", "hook:acme", status=66).errors, "neither paused nor down")
    has(s.ctl("pause", "hook:acme", "--reason", "it moves\x1b[31m").text, "hook:acme is paused")
    same(len(s.wakes()), 1)
    has(s.logged(), "step=pause", "target=hook:acme", "it moves")
    os.mkdir(s.at("targets", "x.d"))  # neither this ...
    with open(s.at("targets", "api:acme"), "w") as f:
        f.write("target=api:acme\nstate=down\nsince=%d\nuntil=%d\nby=spoold\nreason=503\n" % (
            millis(ago(minutes=3)), millis(ago(minutes=-5))))
    with open(s.at("targets", "api:damaged"), "w") as f:
        f.write("state=down")  # ... nor this is listed
    listed = [json.loads(line) for line in s.ctl("targets", "--json").text.splitlines()]
    same([(t["target"], t["state"], t["by"]) for t in listed][0], ("api:acme", "down", "spoold"))
    same((listed[1]["target"], listed[1]["state"]), ("hook:acme", "operator"))
    same(len(listed), 2)
    assert "until" in listed[0] and "until" not in listed[1]
    text = s.ctl("targets").text
    assert re.search(r"api:acme  down for \d+ min", text), text
    has(text, "tried again in", "hook:acme  paused for",
        "until it is resumed", "it moves")
    lacks(text, "\x1b")
    has(s.ctl("pause", "hook:acme").text, "it was paused before")
    before = len(s.wakes())
    has(s.ctl("resume", "hook:acme").text, "hook:acme is resumed")
    has(s.logged(), "step=resume")
    same(len(s.wakes()), before + 1)
    s.ctl("resume", "api:acme")
    os.rmdir(s.at("targets", "x.d"))
    same(os.listdir(s.at("targets")), ["api:damaged"])


@test
def a_target_of_an_account_that_is_not_there_is_refused():
    s = Spool(BASE)
    conf = write_conf(s)
    has(run(["-c", conf, "pause", "hook:nobody"], status=66).errors, "no account \"nobody\"")
    run(["-c", conf, "pause", "document:nobody.example"])
    run(["-c", conf, "pause", "hook:acme"])
    same(sorted(os.listdir(s.at("targets"))), ["document:nobody.example", "hook:acme"])


def main():
    global BASE
    BASE = tempfile.mkdtemp(prefix="t_spoolctl.", dir=os.environ.get("ARKEN_TEST_DIR", "/var/tmp"))
    print("1..%d" % len(TESTS), flush=True)
    failed = 0
    for i, f in enumerate(TESTS, 1):
        name = f.__name__.replace("_", " ")
        try:
            f()
            print("ok %d - %s" % (i, name), flush=True)
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (i, name, why), flush=True)
        except Exception:
            failed += 1
            print("not ok %d - %s" % (i, name))
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "), flush=True)
    shutil.rmtree(BASE, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
