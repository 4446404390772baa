# SPDX-License-Identifier: ISC
"""torture - whatever fails under the receiver, is a 2xx still true and nothing torn?

Each technique fails or kills the real arken.fcgi at each point of an exchange
and judges what was answered against what lies in the spool:

  order     the system calls of each exchange, in the order the promise needs
  errors    an error from each system call of an exchange, and of the start
  kills     kill -9 before each system call of an exchange, then start and drain
  oom       each allocation of an exchange fails, and of the start
  full      disks, inodes, descriptors, file size and memory run out

A technique returns its figures; a wrong point raises Failure.  What cannot be
done here raises tap.Skip.  Points are drawn by seed if not all are wanted.
"""
import glob
import hashlib
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "e2e"))
import fcgi_client  # noqa: E402
import tap  # noqa: E402
from chain import (BUILD, DAEMON_USER, Failure, GROUP, IS_ROOT, Process,  # noqa: E402
                   RECEIVER_USER, SPOOLD, wait_until)
from lone import Lone, event, good_params, is_whole, name_of  # noqa: E402

ERRORS = {
    "openat": "EMFILE ENFILE ENOSPC EIO EACCES EROFS EINTR EDQUOT",
    "write": "ENOSPC EIO EDQUOT EINTR EFBIG EAGAIN",
    "fsync": "EIO ENOSPC EDQUOT EINTR EROFS", "fdatasync": "EIO ENOSPC EDQUOT EINTR EROFS",
    "close": "EIO EINTR ENOSPC EDQUOT",
    "renameat2": "EIO ENOSPC EXDEV EROFS EDQUOT EINTR", "fchmod": "EIO EROFS EPERM",
    "unlinkat": "EIO EROFS", "newfstatat": "EIO EACCES ENOMEM", "fstatfs": "EIO EINTR",
    "read": "EIO EINTR", "accept4": "ECONNABORTED EMFILE ENFILE ENOBUFS ENOMEM EINTR EPROTO",
    "recvfrom": "ECONNRESET ETIMEDOUT EINTR", "sendmsg": "ECONNRESET ENOBUFS EINTR ENOMEM",
    "sendto": "ECONNRESET EPIPE", "setsockopt": "ENOMEM", "shutdown": "ENOTCONN",
    "epoll_ctl": "ENOMEM ENOSPC", "epoll_wait": "EINTR", "poll": "EINTR ENOMEM",
    "mmap": "ENOMEM", "munmap": "ENOMEM", "mprotect": "ENOMEM",
    "socket": "EMFILE ENOMEM", "socketpair": "EMFILE", "bind": "EADDRINUSE EROFS",
    "listen": "EADDRINUSE", "epoll_create1": "EMFILE", "pipe2": "EMFILE", "fstat": "EIO",
    "prctl": "EPERM", "prlimit64": "EPERM", "clone3": "EAGAIN", "getsockopt": "ENOTSOCK",
}
# Not failed: the C library takes an error of these for its own end, or they have none (what
# brk returns is an address).
UNTOUCHED = {"futex", "execve", "exit", "exit_group", "rt_sigprocmask", "rt_sigaction",
             "rt_sigreturn", "set_robust_list", "set_tid_address", "rseq", "arch_prctl",
             "restart_syscall", "madvise", "getpid", "gettid", "sched_getaffinity",
             "clock_nanosleep", "getrandom", "clock_gettime", "lseek", "pread64", "access",
             "getuid", "geteuid", "getgid", "getegid", "umask", "rt_sigtimedwait",
             "clone", "fcntl", "getsockname", "sigaltstack", "chmod", "unlink", "statfs",
             "getdents64", "brk", "sysinfo", "uname", "ioctl", "readlink", "connect", "lstat"}
SYNCS = ("fsync", "fdatasync")
CORE = SYNCS + ("openat", "write", "close", "renameat2", "fchmod", "epoll_ctl")
TRACER_WAIT = 20
ON_WAIT = 0.5  # seconds for an answer while a call goes on failing: there may be none
SANDBOXED = "ptrace is not permitted"


class Budget:
    """How long a technique may go on, and which points it takes; core: those of the commit."""

    def __init__(self, seed, seconds=None, core=False):
        self.seed, self.seconds, self.core = seed, seconds, core

    def points(self, points):
        """All of them, in an order that the seed tells, until time is up."""
        points = list(points)
        random.Random("%s:%d" % (self.seed, len(points))).shuffle(points)
        until = None if self.seconds is None else time.monotonic() + self.seconds
        for i, p in enumerate(points):
            if until is not None and i >= 10 and time.monotonic() > until:
                return
            yield p


# ---- exchanges: what is asked, what may be answered, what has to be there then ----

class Exchange:
    """One kind of exchange; each use has numbers of its own."""

    def __init__(self, kind, good, may):
        self.kind, self.good, self.may = kind, good, may
        self.next = {"new": 10**6, "big": 2 * 10**6, "array": 3 * 10**6, "rejected": 4 * 10**6,
                     "duplicate": 5 * 10**6, "denied": 6 * 10**6}[kind]

    def draw(self):
        """Numbers of the events of the next use; a duplicate is always the same one."""
        n = self.next
        if self.kind != "duplicate":
            self.next += 3
        return [n, n + 1, n + 2] if self.kind == "array" else [n]

    def body(self, ns):
        if self.kind == "array":
            return b"[" + b",".join(event(n) for n in ns) + b"]"
        if self.kind == "rejected":
            return b'{"not an event": %d,}' % ns[0]
        return event(ns[0], **({"fill": "f" * 200000} if self.kind == "big" else {}))

    def ask(self, s, ns, seconds=30):
        """The status; None: no answer in that time."""
        body = self.body(ns)
        try:
            return s.ask(body, good_params(body, None) if self.kind == "denied" else None,
                         seconds)
        except TimeoutError:
            if seconds == ON_WAIT:
                return None
            raise Failure("no answer for %d s" % seconds) from None

    def check(self, s, ns, status):
        """After an answer: what it says is so, and nothing anywhere is torn."""
        if status != self.good and status not in self.may:
            raise Failure("answered %r" % status)
        if self.kind == "rejected":
            want = hashlib.sha256(self.body(ns)).hexdigest().encode()
            kept = [read(s.box("rejected"), n) for n in s.names("rejected")]
            if None in [is_whole(k) for k in kept]:
                raise Failure("a torn file in rejected")
            if status == self.good and not any(want in k for k in kept):
                raise Failure("answered %d, and the body is not kept" % status)
            return
        there = os.listdir(s.box("new"))
        for n in ns:
            if [f for f in there if f.startswith(name_of(n)) and f != name_of(n)]:
                raise Failure("%s is there under another name too" % name_of(n))
            data = read(s.box("new"), name_of(n))
            if data is not None and is_whole(data) is None:
                raise Failure("%s is torn" % name_of(n))
            if data is not None and self.kind == "denied":
                raise Failure("kept without a credential")
            if status == self.good == 200 and data is None:
                raise Failure("answered %d, and the event is not there" % status)


def read(folder, name):
    try:
        with open(os.path.join(folder, name), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def exchanges():
    later = (503, None)
    return [Exchange("new", 200, later), Exchange("array", 200, later),
            Exchange("big", 200, later + (400,)), Exchange("duplicate", 200, later),
            Exchange("rejected", 400, later), Exchange("denied", 401, later)]


# ---- strace ----

def need_strace():
    if not shutil.which("strace"):
        raise tap.Skip("strace is not installed")


class Tracer:
    """
    strace on every thread that handles requests: which of them has an exchange is not known
    before.  Calls are counted for each thread, from here on.
    """

    def __init__(self, s, args):
        self.out = s.dir + "/strace"
        tids = workers_of(s)
        self.p = subprocess.Popen(
            ["strace", "--output-separately", "-o", self.out] +
            [word for tid in tids for word in ("-p", str(tid))] + args,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in tids:
            said = self.p.stderr.readline().decode()
            if "attached" not in said:
                self.p.kill()
                self.p.wait()
                raise tap.Skip(SANDBOXED) if "not permitted" in said else Failure(
                    "strace: " + said)

    def end(self):
        """Let the program go; the lines of the trace, thread by thread."""
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGINT)
        self.p.stderr.close()
        self.p.wait(TRACER_WAIT)
        threads = []
        for path in sorted(glob.glob(self.out + ".*")):
            with open(path, errors="replace") as f:
                threads.append(f.read().splitlines())
            os.unlink(path)
        return threads


def workers_of(s):
    """The threads that handle requests; the first of all is the one that waits for signals."""
    return sorted({int(t) for t in os.listdir("/proc/%d/task" % s.p.pid)} - {s.p.pid})


def calls_of(lines):
    """
    (name, ordinal) of each system call in a trace, in order.  A call of one thread may have a
    higher number here than it has in that thread: not every point is reached each time.
    """
    count, out = {}, []
    for line in lines:
        m = re.match(r"(\w+)\(", line)
        if m:
            count[m.group(1)] = count.get(m.group(1), 0) + 1
            out.append((m.group(1), count[m.group(1)]))
    return out


def trace_exchange(s, x, args=()):
    """The lines of one exchange that goes well."""
    t = Tracer(s, list(args))
    ns = x.draw()
    status = x.ask(s, ns)
    lines = sum(t.end(), [])
    tap.same(status, x.good, x.kind + " under strace")
    x.check(s, ns, status)
    return lines


class receiver:
    """The receiver with one turn; its spool is in memory, where nothing has to be waited for."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="arken-torture.", dir="/dev/shm") \
            if os.path.isdir("/dev/shm") else None
        self.s = None

    def __enter__(self):
        if self.top and IS_ROOT:
            os.chown(self.top, DAEMON_USER, GROUP)
            os.chmod(self.top, 0o755)
        self.s = Lone("torture", receiver="threads = 1",
                      spool_dir=self.top and self.top + "/spool")
        return self.s.__enter__()

    def __exit__(self, *what):
        try:
            return self.s.__exit__(*what)
        finally:
            if self.top:
                shutil.rmtree(self.top, ignore_errors=True)


def comes_up(s, seconds=20):
    """Does what was started serve?  False: it has ended."""
    until = time.monotonic() + seconds
    while s.p.alive():
        try:
            fcgi_client.Connection(s.sock).close()
            return True
        except (ConnectionRefusedError, FileNotFoundError):
            if time.monotonic() > until:
                raise Failure("it neither serves nor ends") from None
            select.select([], [], [], 0.003)
    return False


def has_ended(s, seconds=2):
    try:
        s.p.p.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def recover(s, x, ns, what):
    """The same again with nothing failing: it is answered, and there.  A mark is cleared first."""
    if s.marked():
        if x.kind not in ("denied",):
            tap.same(x.ask(s, ns), 503, "an answer while the mark stands, " + what)
        s.ctl("clear-mark")
    status = x.ask(s, ns)
    if status != x.good:
        raise Failure("%s: answered %r afterwards" % (what, status))
    x.check(s, ns, status)


def left_in_tmp(s):
    return [n for f in ("tmp", "rejected/tmp") for n in os.listdir(os.path.join(s.spool, f))]


# ---- order ----

def check_order(lines, spool, says_success):
    """
    Before a good answer is written: each file made in tmp is written, synced, closed, renamed,
    all with success, its new folder synced after that, and no failed sync is repeated.
    """
    files, renamed, synced = {}, {}, set()
    answered = False
    ok = r".* = (\d+)(<.*)?$"
    for line in lines:
        m = re.match(r'openat\(\d+<(.*)>, "([^"]+)", [^)]*O_CREAT[^)]*\) = (\d+)', line)
        if m and m.group(1).endswith("/tmp") and m.group(1).startswith(spool):
            files[m.group(3)] = {"name": m.group(2), "to_sync": False, "synced": False}
            continue
        if m and m.group(1).startswith(spool) and not m.group(1).endswith(("/log", "/ask")):
            return "%s is made in %s" % (m.group(2), m.group(1))
        m = re.match(r"(write|writev|pwrite64|fdatasync|fsync|close)\((\d+)<([^>]*)>", line)
        if m and m.group(2) in files and not m.group(3).startswith("socket"):
            f, call = files[m.group(2)], m.group(1)
            good = re.match(ok, line) is not None
            if call.endswith("sync"):
                f["synced"] = good
            elif call == "close":
                f["closed"] = good
                files["closed:" + f["name"]] = files.pop(m.group(2))
            else:
                f["synced"] = False
            continue
        m = re.match(r'renameat2?\(\d+<(.*)>, "([^"]+)", \d+<(.*)>, "[^"]+"', line)
        if m and m.group(1).startswith(spool) and re.match(ok, line):
            f = files.get("closed:" + m.group(2))
            if f is None:
                return "%s is renamed before it is closed" % m.group(2)
            if not f["synced"]:
                return "%s is renamed before it is synced" % m.group(2)
            renamed[m.group(2)] = m.group(3)
            synced.discard(m.group(3))
            continue
        m = re.match(r"f(?:data)?sync\(\d+<(.*)>\)", line)
        if m and re.match(ok, line):
            synced.add(m.group(1))
            continue
        if re.match(r'(write|sendto|sendmsg|writev)\(\d+<(socket|UNIX)', line) and \
                "Status: " + says_success in line:
            answered = True
            for name, folder in renamed.items():
                if folder not in synced:
                    return "the answer leaves before %s is synced" % folder
            if files and len(renamed) < len(files):
                return "the answer leaves before all is renamed"
            if not synced:
                return "the answer leaves, and no folder was synced"
    return None if answered else "no answer was seen"


def order(budget):
    """the system calls of each exchange come in the order that the promise needs"""
    need_strace()
    seen = 0
    with receiver() as s:
        s.start()
        for x in exchanges():
            if x.kind == "denied":
                continue
            if x.kind == "duplicate":
                x.ask(s, x.draw())
            lines = trace_exchange(s, x, ["-y", "-s", "64"])
            wrong = check_order(lines, s.spool, str(x.good))
            if wrong:
                raise Failure("%s: %s" % (x.kind, wrong))
            seen += len(lines)
        s.check_no_secret()
    return "%d exchanges, %d system calls in order" % (5, seen)


# ---- errors ----

def error_points(s, x):
    """(exchange, call, ordinal, errno, for all after it too)."""
    out = []
    for call, nth in calls_of(trace_exchange(s, x)):
        if call not in ERRORS and call not in UNTOUCHED:
            raise Failure("%s: what can it fail with?" % call)
        for e in ERRORS.get(call, "").split():
            out += [(x, call, nth, e, False), (x, call, nth, e, True)]
    return out


def fail_once(s, x, call, nth, e, on):
    """One exchange in which that call fails.  Whether it was reached."""
    t = Tracer(s, ["-y", "-e", "trace=" + call, "-e",
                                 "inject=%s:error=%s:when=%d%s" % (call, e, nth,
                                                                   "+" if on else "")])
    ns = x.draw()
    what = "%s: %s %d %s%s" % (x.kind, call, nth, e, " and on" if on else "")
    try:
        status = x.ask(s, ns, ON_WAIT if on else 30)
    except Failure as why:
        raise Failure("%s: %s" % (what, why)) from why
    finally:
        lines = sum(t.end(), [])
    if not s.p.alive():
        raise Failure("%s: ended with %r" % (what, s.p.p.returncode))
    hit = [line for line in lines if "INJECTED" in line]
    try:
        x.check(s, ns, status)
        if call == "close" and status == x.good and any(s.spool + "/" in line and "tmp/" in line
                                                        for line in hit):
            raise Failure("answered %d after a failed close" % status)
        if hit and call in SYNCS and x.kind != "denied":
            if status == x.good:
                raise Failure("answered %d after a failed sync" % status)
            fds = [re.match(r"\w+\((\d+)", line).group(1) for line in lines]
            if any(fds.count(fd) > 1 for fd in [re.match(r"\w+\((\d+)", h).group(1)
                                                for h in hit]) and x.kind != "array":
                raise Failure("a failed sync was tried again")
        recover(s, x, ns, "afterwards")
        if call != "unlinkat" and left_in_tmp(s):
            raise Failure("left in tmp: %r" % left_in_tmp(s))
    except (Failure, AssertionError) as why:
        raise Failure("%s: %s" % (what, why)) from why
    return bool(hit)


def start_points(s):
    """System calls of a start of the program's own, and how each may fail."""
    out = s.dir + "/strace"
    p = Process("strace", ["strace", "-s", "200", "-o", out, s.program, "-c", s.conf, "-l", s.sock],
                s.log, env={})
    p.wait_said("what=started")
    s.p = p
    s.end()
    with open(out, errors="replace") as f:
        lines = f.read().splitlines()
    os.unlink(out)
    started = max(i for i, line in enumerate(lines) if "what=started" in line)
    # before that it is the dynamic loader, which may end as it likes
    ours = min(i for i, line in enumerate(lines) if line.startswith("fcntl(0, F_GETFD)"))
    loader = len(calls_of(lines[:ours]))
    return [(call, nth, e) for call, nth in calls_of(lines[:started])[loader:]
            for e in ERRORS.get(call, "").split()]


def fail_start(s, x, call, nth, e):
    """A start in which that call fails: it serves, or it ends and says why."""
    s.p = Process("strace", ["strace", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                             "inject=%s:error=%s:when=%d" % (call, e, nth), s.program, "-c",
                             s.conf, "-l", s.sock], s.log)
    what = "start: %s %d %s" % (call, nth, e)
    ns = x.draw()
    try:
        if comes_up(s):
            x.check(s, ns, x.ask(s, ns))
    except Failure as why:
        raise Failure("%s: %s" % (what, why)) from why
    status = s.end()
    if status is not None and status < 0 and status != -signal.SIGTERM:
        raise Failure("%s: ended with %d" % (what, status))
    if s.marked():
        s.ctl("clear-mark")
    if os.path.exists(s.sock):
        os.unlink(s.sock)
    return True


def errors(budget):
    """an error from each system call of an exchange, and of a start"""
    need_strace()
    done = hits = 0
    with receiver() as s:
        s.start()
        points = []
        for x in exchanges()[:1 if budget.core else None]:
            if x.kind == "duplicate":
                x.ask(s, x.draw())
            points += error_points(s, x)
        if budget.core:
            points = [p for p in points if p[1] in CORE and not p[4]]
        for p in budget.points(points):
            done += 1
            hits += fail_once(s, *p)
        s.end()
        starts = 0
        x = exchanges()[0]
        x.next += 10**7
        if budget.seconds is None and not budget.core:
            s.start()
            s.end()
            for p in budget.points(start_points(s)):
                starts += fail_start(s, x, *p)
        s.check_no_secret()
    return "%d of %d points of exchanges (%d reached), %d of starts" % (
        done, len(points), hits, starts)


# ---- kills ----

def library(name):
    """A shared object of ours that may be read by the users of the tests."""
    path = os.path.join(BUILD, "tests/torture", name)
    if not os.path.exists(path):
        raise tap.Skip("%s is not built (make test-programs)" % path)
    return path


def drain(s, acknowledged, what):
    """spoold two hours later: what was acknowledged is done, and tmp is swept."""
    so = shutil.copy(library("later.so"), s.dir)
    os.chmod(so, 0o755)
    d = Process("spoold", [SPOOLD, "-c", s.conf], s.dir + "/spoold.log", DAEMON_USER,
                env={"LD_PRELOAD": so, "ARKEN_LATER": "7200"})
    try:
        d.wait_said("what=started")
        wait_until(lambda: not os.listdir(s.box("new")) and not os.listdir(s.box("cur")),
                   [s.box("new"), s.box("cur")], "the queue to drain")
    finally:
        tap.same(d.end(), 0, "spoold's status")
    lost = set(acknowledged) - set(s.names("done"))
    if lost:
        raise Failure("%s: acknowledged and lost: %r" % (what, sorted(lost)[:5]))
    tap.same(left_in_tmp(s), [], "left in tmp after the sweep")


def kill_once(s, x, call, nth, acknowledged):
    what = "%s: kill before %s %d" % (x.kind, call, nth)
    t = Tracer(s, ["-e", "trace=" + call, "-e",
                                 "inject=%s:signal=KILL:when=%d" % (call, nth)])
    ns = x.draw()
    status = x.ask(s, ns)
    reached = any(sum(line.startswith(call + "(") for line in thread) >= nth
                  for thread in t.end())
    # reached at the moment the tracer lets go, it may have been spared
    died = status is None or reached and has_ended(s)
    try:
        if died:
            tap.same(s.p.p.wait(30), -signal.SIGKILL, "how it ended")
        x.check(s, ns, status)
        if died:
            s.end()
            s.start()
        recover(s, x, ns, "after the next start")
    except (Failure, AssertionError) as why:
        raise Failure("%s: %s" % (what, why)) from why
    if x.kind not in ("rejected", "denied"):
        acknowledged += [name_of(n) for n in ns]
    return died


def kills(budget):
    """kill -9 before each system call of an exchange; then it starts, repeats, drains"""
    need_strace()
    done = died = 0
    acknowledged = []
    with receiver() as s:
        s.start()
        points = []
        for x in exchanges()[:1 if budget.core else None]:
            if x.kind == "duplicate":
                x.ask(s, x.draw())
            points += [(x, call, nth) for call, nth in calls_of(trace_exchange(s, x))
                       if call not in ("restart_syscall", "exit")]
        for p in budget.points(points):
            done += 1
            died += kill_once(s, *p, acknowledged)
        swept = len(left_in_tmp(s))
        s.end()
        drain(s, acknowledged, "kills")
        s.check_no_secret()
    return "%d of %d points (%d deaths), %d acknowledged, 0 lost, %d swept from tmp" % (
        done, len(points), died, len(set(acknowledged)), swept)


# ---- oom ----

class Allocations:
    """The numbers that oom.so and we share."""

    def __init__(self, s):
        self.path = s.write("oom", "", 0o666)
        with open(self.path, "wb") as f:
            f.write(bytes(24))

    def _get(self, i):
        with open(self.path, "rb") as f:
            return struct.unpack_from("=Q", f.read(24), 8 * i)[0]

    def count(self):
        return self._get(0)

    def fail(self, first, last):
        """Absolute numbers; (0, 0): none any more."""
        with open(self.path, "r+b") as f:
            f.seek(8)
            f.write(struct.pack("=QQ", first, last))

    def reset(self):
        with open(self.path, "r+b") as f:
            f.write(bytes(24))


def end_of(s):
    """How a receiver ended that was not told to; a library's own assertion, or worse."""
    status = s.p.p.wait(30)
    said = s.p.said()
    # without memory for its text, assert() says only the second
    if status == -signal.SIGABRT and ("fcgiapp.c:" in said or said.endswith(
            "Unexpected error.\n")):
        return "libfcgi"
    return "status %r: %s" % (status, said[-400:])


def oom_exchanges(s, mem, budget, env):
    done = ends = 0
    for x in exchanges():
        ns = x.draw()
        tap.same(x.ask(s, ns), x.good, x.kind)
        before = mem.count()
        ns = x.draw()
        tap.same(x.ask(s, ns), x.good, x.kind)
        k = mem.count() - before
        points = [(i, many) for i in range(1, k + 3) for many in (False, True)]
        for i, many in Budget(budget.seed, budget.seconds and budget.seconds / 12).points(points):
            done += 1
            what = "%s: allocation %d%s" % (x.kind, i, " and on" if many else "")
            at = mem.count() + i
            mem.fail(at, at + (10**9 if many else 0))
            ns = x.draw()
            status = x.ask(s, ns)
            mem.fail(0, 0)
            try:
                if status is None and has_ended(s):
                    ends += restart_after_libfcgi(s, mem, env)
                x.check(s, ns, status)
                try:
                    recover(s, x, ns, "afterwards")
                except Failure:
                    if not has_ended(s):
                        raise
                    ends += restart_after_libfcgi(s, mem, env)
                    recover(s, x, ns, "after a restart")
                tap.same(left_in_tmp(s), [], "left in tmp")
            except (Failure, AssertionError) as why:
                raise Failure("%s: %s" % (what, why)) from why
    return done, ends


def restart_after_libfcgi(s, mem, env):
    """libfcgi ends the process when it has no memory: a clean restart, and nothing else is."""
    how = end_of(s)
    if how != "libfcgi":
        raise Failure(how)
    s.end()
    mem.fail(0, 0)
    s.start(env=env)
    return 1


def oom_starts(s, mem, budget, env):
    """Each allocation of a start fails: it serves, or ends and says why."""
    mem.reset()
    s.start(env=env)
    k = mem.count()
    s.end()
    x = exchanges()[0]
    x.next += 10**7
    done = 0
    share = budget.seconds and budget.seconds / 2
    for i in Budget(budget.seed, share).points(range(1, k + 1)):
        done += 1
        mem.reset()
        mem.fail(i, i)
        s.start(env=env, wait=False)
        ns = x.draw()
        try:
            if comes_up(s):
                x.check(s, ns, x.ask(s, ns))
            elif s.p.p.wait() < 0 and end_of(s) != "libfcgi":
                raise Failure(end_of(s))
        except Failure as why:
            raise Failure("start: allocation %d: %s" % (i, why)) from why
        s.end()
        if os.path.exists(s.sock):
            os.unlink(s.sock)
    mem.reset()
    return done, k


def oom(budget):
    """each allocation of an exchange fails, and each of a start"""
    so = library("oom.so")
    with receiver() as s:
        so = shutil.copy(so, s.dir)
        os.chmod(so, 0o755)
        mem = Allocations(s)
        env = {"LD_PRELOAD": so, "ARKEN_OOM": mem.path}
        starts, of = oom_starts(s, mem, budget, env)
        s.start(env=env)
        if mem.count() == 0:
            raise tap.Skip("the receiver has an allocator of its own")
        done, ends = oom_exchanges(s, mem, budget, env)
        s.end()
        s.check_no_secret()
    return "%d points of exchanges (%d ended by libfcgi), %d of %d of starts" % (
        done, ends, starts, of)


# ---- full ----

class Mount:
    """A small file system of its own, for as long as it is wanted."""

    def __init__(self, kind, options="", size="24M"):
        self.kind, self.options, self.size = kind, options, size
        self.dir = None

    def __enter__(self):
        if not IS_ROOT:
            raise tap.Skip("mounting needs root")
        top = tempfile.mkdtemp(prefix="arken-mount.", dir=os.environ.get("ARKEN_TEST_DIR",
                                                                        "/var/tmp"))
        os.chmod(top, 0o755)
        self.top, self.dir = top, top + "/mnt"
        os.mkdir(self.dir)
        try:
            self._mount()
        except BaseException:
            shutil.rmtree(top)
            raise
        os.chown(self.dir, DAEMON_USER, GROUP)
        os.chmod(self.dir, 0o755)
        return self

    def _mount(self):
        if self.kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", "size=%s,%s" % (self.size, self.options),
                       "tmpfs", self.dir]
        else:
            make = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"],
                    "btrfs": ["mkfs.btrfs", "-q", "-f", "-M"]}[self.kind]
            if not shutil.which(make[0]):
                raise tap.Skip(make[0] + " is not installed")
            image = self.top + "/image"
            with open(image, "wb") as f:
                f.truncate({"xfs": 320 << 20, "btrfs": 128 << 20}.get(self.kind, 24 << 20))
            subprocess.run(make + [image], check=True, capture_output=True)
            command = ["mount", "-o", "loop", image, self.dir]
        r = subprocess.run(command, capture_output=True, text=True)
        if r.returncode != 0:
            raise tap.Skip("cannot mount %s: %s" % (self.kind, r.stderr.strip()))

    def __exit__(self, *_):
        subprocess.run(["umount", self.dir], check=True)
        shutil.rmtree(self.top)


def fill_up(s, numbers, fill, most=40):
    """Events until so many in a row were refused; the names of those accepted."""
    got, refused = [], 0
    for n in numbers:
        status = s.ask(event(n, fill="f" * fill))
        if status == 200:
            got.append(name_of(n))
            refused = 0
        elif status in (503, None):
            refused += 1
            if refused == most:
                break
        else:
            raise Failure("event %d: answered %r" % (n, status))
    if refused < most:
        raise Failure("it never became full")
    return got


def check_kept(s, names):
    lost = set(names) - set(s.names("new"))
    if lost:
        raise Failure("answered with success and not there: %r" % sorted(lost)[:5])
    for name in s.names("new"):
        if s.body_of("new", name) is None:
            raise Failure("%s is torn" % name)
    tap.same(left_in_tmp(s), [], "left in tmp")


def full_disk(kind, options="", fill=20000, most=40, room=2 << 20):
    """Until the disk is full, then room is made and it goes on; spoold drains all of it."""
    with Mount(kind, options) as m, Lone("full", spool_dir=m.dir + "/spool",
                                         receiver="threads = 4") as s:
        free = os.statvfs(m.dir).f_bavail * os.statvfs(m.dir).f_frsize
        ballast = m.dir + "/ballast"
        with open(ballast, "wb") as f:
            f.write(b"b" * max(0, free - room))
        s.start()
        got = fill_up(s, range(1, 4000), fill, most)
        check_kept(s, got)
        if not s.p.alive():
            raise Failure("the receiver ended")
        os.unlink(ballast)
        if s.marked():
            s.ctl("clear-mark")
        tap.same(s.ask(event(9999)), 200, "with room again")
        got.append(name_of(9999))
        s.end()
        drain(s, got, kind)
        s.check_no_secret()
    return len(got)


def full_inodes():
    with Mount("tmpfs", "nr_inodes=120") as m, Lone("inodes", spool_dir=m.dir + "/spool") as s:
        s.start()
        got = fill_up(s, range(1, 400), 10)
        check_kept(s, got)
        os.unlink(os.path.join(s.box("new"), got[0]))
        tap.same(s.ask(event(9999)), 200, "with an inode again")
        s.end()
    return len(got)


def reserve():
    """Below min_free and min_inodes nothing is begun, so that the daemon has room."""
    with Mount("ext4") as m, Lone("reserve", spool_dir=m.dir + "/spool",
                                  spool="min_free = 8M") as s:
        s.start()
        got = fill_up(s, range(1, 4000), 50000)
        free = os.statvfs(m.dir).f_bavail * os.statvfs(m.dir).f_frsize
        if not (7 << 20) < free < 9 << 20:
            raise Failure("%d bytes are free, min_free is 8M" % free)
        s.end()
        drain(s, got, "reserve")
    return len(got)


def limited(words, requests, may):
    """The receiver under a limit of the system: what is answered, and that it serves on."""
    if not shutil.which("prlimit"):
        raise tap.Skip("prlimit is not installed")
    with Lone("limited", receiver="threads = 4") as s:
        s.start(before=["prlimit"] + words + ["--"])
        answers = requests(s)
        check_kept(s, [name_of(n) for n, status in answers.items() if status == 200])
        wrong = {n: a for n, a in answers.items() if a not in may}
        tap.same(wrong, {}, "answers under %s" % " ".join(words))
        if not s.p.alive():
            raise Failure("%s: ended with %r" % (" ".join(words), s.p.p.returncode))
        tap.same(s.ask(event(1)), 200, "a small event under " + " ".join(words))
        s.end()
    return len([a for a in answers.values() if a == 200]), len(answers)


def at_once(s, numbers, fill=10):
    """Events from as many threads: number -> status."""
    answers = {}

    def one(n):
        answers[n] = s.ask(event(n, fill="f" * fill))
    threads = [threading.Thread(target=one, args=(n,)) for n in numbers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


def few_descriptors():
    good = n = 0
    for limit in (72, 80, 90, 100, 110, 120):
        with Lone("few", receiver="threads = 4") as s:
            s.start(before=["prlimit", "--nofile=%d" % limit, "--"])
            answers = at_once(s, range(1, 60))
            tap.same({a for a in answers.values()} - {200, 503}, set(),
                     "answers with %d descriptors" % limit)
            check_kept(s, [name_of(i) for i, a in answers.items() if a == 200])
            tap.same(s.ask(event(1)), 200, "afterwards")
            good += list(answers.values()).count(200)
            n += len(answers)
    return good, n


def short_writes():
    """Files may be 8 KiB: longer writes are cut there by the kernel, then fail."""
    def requests(s):
        return {n: s.ask(event(n, fill="f" * size)) for n, size in enumerate(
            (10, 7000, 7500, 8000, 8192, 9000, 20000, 300000, 10), 1)}
    return limited(["--fsize=8192"], requests, (200, 503))


def short_writes_of_cgi():
    """The same as plain CGI, where nothing blocks the signal that comes with it."""
    if not shutil.which("prlimit"):
        raise tap.Skip("prlimit is not installed")
    with Lone("cgi") as s:
        who = {"user": RECEIVER_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
        for n, fill, want in ((1, 10, 200), (2, 20000, 503), (3, 10, 200)):
            body = event(n, fill="f" * fill)
            r = subprocess.run(["prlimit", "--fsize=8192", "--", s.program, "-c", s.conf],
                               input=body, capture_output=True, cwd="/", timeout=60,
                               env=dict(good_params(body)), **who)
            if r.returncode < 0:
                raise Failure("ended with %d" % r.returncode)
            tap.same(fcgi_client.parse(r.stdout)[0], want, "the answer by CGI")
        check_kept(s, [name_of(1), name_of(3)])
    return 3


def little_memory():
    """Bodies that there is no memory for: 503, or the connection ends; never a false 2xx."""
    def requests(s):
        return at_once(s, range(1, 9), 6 << 20)
    return limited(["--as=%d" % (56 << 20)], requests, (200, 503))


FULL = (("ext4", lambda: full_disk("ext4")), ("tmpfs", lambda: full_disk("tmpfs")),
        ("xfs", lambda: full_disk("xfs")), ("btrfs", lambda: full_disk("btrfs", most=10, room=16 << 20)),
        ("inodes", full_inodes), ("reserve", reserve), ("descriptors", few_descriptors),
        ("file size", short_writes), ("file size, CGI", short_writes_of_cgi), ("memory", little_memory))
QUICK = ("ext4", "inodes", "file size", "file size, CGI", "descriptors")


def full(budget):
    """disks, inodes, descriptors, file size and memory run out"""
    said = []
    for name, f in FULL:
        if budget.seconds is not None and name not in QUICK:
            continue
        try:
            said.append("%s %s" % (name, f()))
        except tap.Skip as why:
            said.append("%s skipped (%s)" % (name, why))
        except (Failure, AssertionError) as why:
            raise Failure("%s: %s" % (name, why)) from why
    return ", ".join(said)


TECHNIQUES = {"order": order, "errors": errors, "kills": kills, "oom": oom, "full": full}
