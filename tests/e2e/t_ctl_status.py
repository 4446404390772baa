#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_ctl_status - spoolctl status: the sentence and the exit status in each state."""
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import threading

import chain
import tap
from chain import Chain, wait_until

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def run(c, *args, tty=False, env=None):
    """Exit status and output of spoolctl status."""
    argv = [chain.SPOOLCTL, "-c", c.conf, "status"] + list(args)
    full = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm"}
    full.update(env or {})
    if not tty:
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=full,
                           timeout=chain.WAIT)
        return r.returncode, r.stdout.decode()
    master, slave = pty.openpty()
    p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=full)
    os.close(slave)
    out = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:  # the other end is closed
            more = b""
        if not more:
            break
        out += more
    os.close(master)
    return p.wait(chain.WAIT), out.decode()


def status_file(c):
    return os.path.join(c.spool, "status.json")


def wait_for(c, want, sign):
    """Until the exit status is that and the first line has this in it; the whole output."""
    def there():
        code, out = run(c)
        return out if code == want and sign in out.split("\n")[0] else None
    return wait_until(there, [c.spool], lambda: "%d and %r; it is %r" % (want, sign, run(c)),
                      30)


def rewrite(c, change):
    with open(status_file(c)) as f:
        doc = json.load(f)
    change(doc)
    with open(status_file(c), "w") as f:
        json.dump(doc, f)


@test
def states():
    """well, a person is needed, stopped, killed, never started, hung"""
    with Chain("ctlstatus", daemon="rescan = 1s\nstatus_every = 1s") as c:
        c.sandbox.emit("FileStore.Upload")
        c.wait_state(done=1)
        out = wait_for(c, 0, "all is well; nothing waits")
        wait_until(lambda: "done today   1 (documents stored: 1)" in run(c)[1], [c.spool],
                   "today's counts", 30)
        c.sandbox.fault(on="api", match="/client", do_="status", status=400, times=1)
        c.sandbox.emit("Client.Update")
        c.wait_state(done=1, failed=1)
        out = wait_for(c, 1, "a person is needed: 1 event has failed")
        assert "spoolctl ls failed" in out, out
        rows = dict(line.split()[:2] for line in out.split("\n") if len(line.split()) == 2)
        tap.same((rows["waiting"], rows["failed"], rows["held"], rows["rejected"]),
                 ("0", "1", "0", "0"), "the counts")

        code, text = run(c, "--json")
        doc = json.loads(text)
        tap.same(text.count("\n"), 1, "lines of JSON")
        tap.same((code, doc["exit"], doc["running"], doc["fresh"]), (1, 1, True, True))
        tap.same(doc["counts"]["failed"], 1)
        tap.same(doc["status"]["counts"]["failed"], 1)

        c.daemon.p.send_signal(signal.SIGSTOP)  # it hangs, and the time is over
        rewrite(c, lambda d: d.update(stale_after=1))
        code, out = run(c)
        tap.same(code, 1, out)
        assert "has said nothing of itself for long" in out.split("\n")[0], out
        c.daemon.p.send_signal(signal.SIGCONT)

        c.stop_daemon()
        code, out = run(c)
        tap.same(code, 2, out)
        tap.same(out.split("\n")[0], "spoold does not run; 1 has failed", "stopped")
        tap.same(json.loads(run(c, "--json")[1])["running"], False)
        os.unlink(status_file(c))
        tap.same((run(c)[0], json.loads(run(c, "--json")[1])["status"]), (2, None))
        c.start_daemon()
        wait_for(c, 1, "a person is needed")
        c.stop_daemon(signal.SIGKILL)
        with open(status_file(c)) as f:  # the file still says that it runs
            tap.same(json.load(f)["state"], "running")
        code, out = run(c)
        tap.same((code, out.split("\n")[0]), (2, "spoold does not run; 1 has failed"), "killed")


@test
def outages_and_transfers():
    """a target that is down, and a document on its way, have a line"""
    with Chain("ctlstatus2", daemon="rescan = 1s\nstatus_every = 1s") as c:
        c.sandbox.fault(on="document", do_="drip", bytes=64, ms=300, times=-1)
        c.sandbox.emit("FileStore.Upload")
        wait_until(lambda: "\n  document " in run(c)[1], [c.spool], "a transfer", 30)
        c.sandbox.fault(on="api", match="/client", do_="status", status=503, times=-1)
        c.sandbox.emit("Client.Update")
        wait_until(lambda: "api:acme: down" in run(c)[1], [c.spool],
                   lambda: "api:acme down in %r" % (run(c),), 30)


@test
def for_people_and_for_pipes():
    """colour only at a terminal and not with NO_COLOR; what steers a terminal is escaped"""
    with Chain("ctlstatus3", receiver=None) as c:
        wait_for(c, 0, "all is well")
        assert "\x1b" not in run(c)[1]
        code, out = run(c, tty=True)
        assert code == 0 and "\x1b[" in out, out
        assert "\x1b" not in run(c, tty=True, env={"NO_COLOR": "1"})[1]

        def evil(d):
            d["sentence"] = d["sentence"] + "\x1b[2J\n\u202e"
            d["targets"] = [{"name": "api:\x1b]0;x\x07", "state": "down", "since": 1,
                             "next": 0, "reason": "\x1b[2J"}]
        c.daemon.p.send_signal(signal.SIGSTOP)
        rewrite(c, evil)
        for args in ((), ("--json",)):
            out = run(c, *args)[1]
            assert "\x1b" not in out and "\u202e" not in out and "\x07" not in out, out
        json.loads(run(c, "--json")[1])
        c.daemon.p.send_signal(signal.SIGCONT)


@test
def asking_keeps_no_daemon_from_starting():
    """spoold starts while somebody has the shared lock of an asker half of the time"""
    with Chain("ctlstatus4", receiver=None, daemon_starts=False) as c:
        c.start_daemon()
        c.stop_daemon()
        over = threading.Event()

        def ask():
            with open(os.path.join(c.spool, "lock")) as f:
                while not over.is_set():
                    try:
                        fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
                        fcntl.flock(f, fcntl.LOCK_UN)
                    except BlockingIOError:
                        pass
        asker = threading.Thread(target=ask)
        asker.start()
        try:
            for _ in range(3):
                c.start_daemon()
                c.stop_daemon()
        finally:
            over.set()
            asker.join()


@test
def usage():
    """mistakes and help"""
    with Chain("ctlstatus5", receiver=None, daemon_starts=False) as c:
        tap.same(run(c, "x")[0], 64, "an argument")
        tap.same(run(c, "--nonsense")[0], 64, "an option")
        code, out = run(c, "--help")
        assert code == 0 and "example" in out and "Exit status" in out, out


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
