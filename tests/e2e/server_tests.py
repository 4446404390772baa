# SPDX-License-Identifier: ISC
"""server_tests - what holds for every way from a web server to the receiver.

add(tests, ways) makes the tests of these ways; a program of tests has one web
server, so that several can run at a time.
"""
import os
import random
import signal
import socket
import threading
import time

import answers_table
import tap
from answers_table import event
from chain import Failure, GROUP, IS_ROOT, SECRET, WAIT
from servers import RECEIVER, STRANGER, Site, WAYS, WEB_GROUP, WEB_USER

CUT_OFF = 20  # seconds after which web servers begin to give slow senders up

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))

def add(tests, ways, *checks):
    for way in ways:
        for check in checks:
            def run(way=way, check=check):
                check(way)
            run.__name__ = "%s_%s" % (check.__name__, way.replace("-", "_"))
            run.__doc__ = check.__doc__
            tests.append(run)


def answers(way):
    """every row of the answer table, through TLS"""
    with Site(way, spool=answers_table.SPOOL) as s:
        answers_table.run(s, way)


def connect_as(path, uid, gid):
    """What becomes of a connection to a Unix socket by another user."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            socket.socket(socket.AF_UNIX).connect(path)
            os._exit(0)
        except OSError as e:
            os._exit(e.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(status) if status else "connected"


def nobody_else_connects(way):
    """the socket is the web server's: no other user can open it"""
    if not IS_ROOT:
        raise tap.Skip("it takes root to be another user")
    with Site(way) as s:
        tap.same(s.post(event(1))[0], 200)
        for path in s.way.socket():
            tap.same(connect_as(path, STRANGER, STRANGER), "Permission denied", path)
            # of the spool's group, but not the web server
            tap.same(connect_as(path, STRANGER, GROUP), "Permission denied", path)
            tap.same(connect_as(path, WEB_USER, WEB_GROUP), "connected", path)
        if not s.way.spawns:
            mode = os.stat(s.sock())
            tap.same((mode.st_mode & 0o7777, mode.st_uid, mode.st_gid), (0o660, 0, WEB_GROUP))


def parent_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rpartition(")")[2].split()[1])


def parents():
    """Of every process."""
    out = {}
    for name in os.listdir("/proc"):
        try:
            out[int(name)] = parent_of(int(name))
        except (ValueError, OSError):
            continue  # no process, or none any more
    return out


def runs(pid, program):
    try:
        return os.readlink("/proc/%d/exe" % pid) == program
    except OSError:
        return False


def receivers_below(pid):
    """The receivers that a process started, itself or by a helper of its own."""
    above, out = parents(), []
    for child in above:
        at = child
        while at in above and at != pid:
            at = above[at]
        if at == pid and runs(child, RECEIVER):
            out.append(child)
    return out


def child_of(pid, program):
    """The process of this program that a process started itself."""
    (child,) = [c for c, parent in parents().items() if parent == pid and runs(c, program)]
    return child


def the_receiver_dies(way):
    """killed between two requests: started again, it answers; nothing accepted is gone"""
    with Site(way) as s:
        for n in range(1, 5):
            tap.same(s.post(event(n))[0], 200)
        if s.way.spawns:
            killed = receivers_below(s.web.pid)
            assert killed, "no receiver was started"
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + WAIT
            while s.post(event(5))[0] != 200:
                if time.monotonic() > deadline:
                    raise Failure("no receiver was started again")
                s.web.pause()
        else:
            s.fcgi[0].end(signal.SIGKILL)
            s.start_receiver()
            tap.same(s.post(event(5))[0], 200)
        tap.same(len(s.names("new")), 5)


def slow_senders_hold_nobody_up(way):
    """more half bodies than threads; a whole one is answered all the same"""
    with Site(way, threads=WAYS[way].threads) as s:
        half = []
        for n in range(8):
            half_body = (20000, 1 << 20)[n % 2]
            c = s.connect()
            c.sendall(("POST /arken/acme HTTP/1.1\r\nHost: webhook.example.com\r\n"
                       "X-Arken-Secret: %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n" % (SECRET, 2 * half_body)).encode() +
                      b"{" * half_body)
            half.append(c)
        start = time.monotonic()
        for n in range(1, 5):
            tap.same(s.post(event(n))[0], 200)
        waited = time.monotonic() - start
        if waited > CUT_OFF / 2:
            raise Failure("four events took %.0f s: until the slow ones were cut off" % waited)
        for c in half:
            c.close()
        tap.same(len(s.names("new")), 4)


class Senders:
    """Threads that each do something until it is done; the first error is raised at the end."""

    def __init__(self):
        self.threads, self.errors = [], []

    def start(self, f, *args):
        def run():
            try:
                f(*args)
            except Exception as e:
                self.errors.append(e)
        t = threading.Thread(target=run)
        self.threads.append(t)
        t.start()

    def join(self):
        for t in self.threads:
            t.join()
        if self.errors:
            raise self.errors[0]
