#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_readers - do mutt and mblaze read the spool without write permission, and change nothing?"""
import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios

import tap
from chain import Chain, GROUP, IS_ROOT, READER_USER, WAIT, files_below

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def reader(argv, tty=False, home="/nonexistent"):
    """Output of a program run as a third user of the group."""
    who = {"user": READER_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
    env = {"PATH": "/usr/bin:/bin", "HOME": home, "TERM": "vt100",
           "LC_ALL": "C.UTF-8", "MBLAZE": home}
    main = sub = None
    if tty:
        main, sub = pty.openpty()
        fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    p = subprocess.Popen(argv, stdin=sub if tty else subprocess.DEVNULL, env=env, cwd="/",
                         stdout=sub if tty else subprocess.PIPE,
                         stderr=sub if tty else subprocess.STDOUT, **who)
    out = b""
    if tty:
        os.close(sub)
        while select.select([main], [], [], WAIT)[0]:
            try:
                part = os.read(main, 65536)
            except OSError:  # EIO: the last writer has closed it
                break
            out += part
            if not part:
                break
        os.close(main)
    else:
        out = p.communicate(timeout=WAIT)[0]
    if p.poll() is None:
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    return p.returncode, out.decode("utf-8", "replace")


def filled(c):
    """Events in new, done, failed, held and rejected; the daemon has ended."""
    done = c.sandbox.emit("all")
    c.sandbox.quiet()
    c.wait_state(done=12)
    c.post(b'{"eventType":"Nobody.Knows","eventId":"0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10"}')
    c.wait_state(done=12, failed=1)
    c.stop_daemon()
    c.post(b'{"eventType":"Client.Update","eventId":"held-1","clientHashId":"abc"}')
    c.ctl("hold", "held-1")
    c.post(b'{"eventType":"Client.Update","eventId":"new-1","clientHashId":"abc"}')
    c.post(b"not json")
    tap.same({b: n for b, n in c.counts().items() if n},
             {"new": 1, "done": 12, "failed": 1, "held": 1, "rejected": 1})
    return done


FOLDERS = {"": 1, "done": 12, "failed": 1, "held": 1, "rejected": 1}


@test
def mblaze():
    """mlist, mscan and mshow"""
    if not all(shutil.which(p) for p in ("mlist", "mscan", "mshow")):
        raise tap.Skip("mblaze is not installed")
    with Chain("mblaze") as c:
        done = filled(c)
        home = c.folder("home", READER_USER, 0o700)
        c.write("home/seq", "", 0o600, READER_USER)
        before = files_below(c.spool)
        for folder, n in FOLDERS.items():
            status, text = reader(["mlist", os.path.join(c.spool, folder)])
            tap.same((status, len(text.splitlines())), (0, n), "mlist " + folder)
            files = text.splitlines()
            status, text = reader(["mscan", "-f", "%s"] + files, home=home)
            tap.same(status, 0, text)
            tap.same(len(text.splitlines()), n, "mscan %s: %s" % (folder, text))
        upload = [e for e in done if e["kind"] == "FileStore.Upload"][0]
        path = "%s/acme.%s.FileStore.Upload:2,S" % (c.box("done"), upload["eventId"])
        status, text = reader(["mscan", "-f", "%s", path], home=home)
        assert "FileStore.Upload" in text and upload["documentHashId"] in text, text
        status, text = reader(["mshow", "-n", path])
        tap.same(status, 0, text)
        assert "Subject: FileStore.Upload" in text and "application/json" in text, text
        status, text = reader(["mshow", "-O", path, "1"])
        tap.same((status, json.loads(text)["eventId"]), (0, upload["eventId"]), "the body")
        status, text = reader(["mshow", "-h", "arken-account:arken-source:arken-sha256", path])
        assert "webhook" in text, text
        tap.same(files_below(c.spool), before, "the spool after reading")


@test
def mutt():
    """mutt -R opens each folder, counts its messages and shows one"""
    if not shutil.which("mutt"):
        raise tap.Skip("mutt is not installed")
    with Chain("mutt") as c:
        filled(c)
        home = c.folder("home", READER_USER, 0o700)
        before = files_below(c.spool)
        for folder, n in FOLDERS.items():
            out = os.path.join(home, "out-" + (folder or "new"))
            # every message is tagged, and its text piped into a file: what mutt made of it
            push = "<tag-pattern>~A<enter><tag-prefix><pipe-message>cat >%s<enter>" \
                "<exit>" % out
            status, screen = reader(["mutt", "-R", "-n", "-F", "/dev/null", "-e",
                                "set pipe_split=no wait_key=no quit=yes pipe_decode=no", "-e",
                                'push "%s"' % push, "-f", os.path.join(c.spool, folder)],
                               tty=True, home=home)
            tap.same(status, 0, "mutt %s: %s" % (folder, screen))
            with open(out, "rb") as f:
                tap.same(f.read().count(b"\nArken-Spool: 1\n"), n, "messages in " + folder)
        tap.same(files_below(c.spool), before, "the spool after reading")


@test
def plain_tools():
    """cat, grep and ls are enough; a reader may not write"""
    with Chain("plain") as c:
        filled(c)
        before = files_below(c.spool)
        status, text = reader(["grep", "-rlE", "^Arken-Account: acme", c.box("done")])
        tap.same((status, len(text.splitlines())), (0, 12))
        if IS_ROOT:
            for folder in ("cur", "done/cur", "failed/cur", "held/cur", "retry"):
                status, text = reader(["touch", "%s/%s/x" % (c.spool, folder)])
                assert status != 0, folder
            name = os.listdir(c.box("done"))[0]
            status, text = reader(["sh", "-c", 'echo x >>"$0"', c.box("done") + "/" + name])
            assert status != 0, text
        tap.same(files_below(c.spool), before, "the spool after reading")


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=3)
