#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_overload - too much at a time, no room, no memory: 503, said in healthz, and no more.

File systems of a few megabytes are mounted in a name space of this test's own.
The receiver is one process from the first request to the last of each test.
"""
import ctypes
import glob
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import fcgi_client
import tap
from chain import Chain, GROUP, IS_ROOT, SECRET, guid

TESTS = []
MIB = 1 << 20
TOKEN = "a-token-of-the-monitor"
STATUS = "[status]\ntoken_file = {dir}/etc/status.token"

_libc = ctypes.CDLL(None, use_errno=True)


def own_mounts():
    """From now on, before any thread, nobody else sees what is mounted here."""
    private = 1 << 18 | 1 << 14  # MS_PRIVATE | MS_REC
    return _libc.unshare(0x20000) == 0 and _libc.mount(b"none", b"/", None, private, None) == 0


HAS_MOUNTS = IS_ROOT and own_mounts()


def test(f):
    TESTS.append(f)
    return f


def event(n, size=0, **more):
    e = dict({"eventId": guid(n), "eventType": "Account.Update"}, **more)
    if size:
        e["fill"] = "x" * size
    return json.dumps(e).encode()


class SmallDisk(Chain):
    """var/, with the spool in it, is a file system of its own."""

    def __init__(self, name, options="size=16m", image=None, fs="ext4", **kw):
        if not HAS_MOUNTS:
            raise tap.Skip("mounting takes root and a mount name space")
        self.options, self.image, self.fs = options, image, fs
        if image and shutil.which("mkfs." + fs) is None:
            raise tap.Skip("mkfs.%s is not installed" % fs)
        kw.setdefault("receiver", "listen")
        super().__init__(name, **kw)

    def folder(self, name, uid=None, mode=0o755):
        path = super().folder(name, uid, mode)
        if name == "var":
            if self.image:
                self._mount_image(path)
            else:
                subprocess.run(["mount", "-t", "tmpfs", "-o", self.options, "none", path],
                               check=True)
            os.chmod(path, mode)
            os.chown(path, uid, GROUP)
        return path

    def _mount_image(self, path):
        image = self.dir + "/image"
        with open(image, "wb") as f:
            f.truncate(self.image)
        how = ["-q", "-F", "-m", "0"] if self.fs == "ext4" else ["-q", "-f"]
        subprocess.run(["mkfs." + self.fs] + how + [image], check=True, capture_output=True)
        r = subprocess.run(["mount", "-o", "loop,errors=remount-ro" if self.fs == "ext4"
                            else "loop", image, path], capture_output=True)
        if r.returncode:
            os.unlink(image)
            raise tap.Skip("it cannot be mounted: " + r.stderr.decode().strip())

    def __exit__(self, *why):
        super().__exit__(*why)
        subprocess.run(["umount", "-l", self.dir + "/var"], capture_output=True)
        if not os.path.exists(self.dir + "/etc"):
            subprocess.run(["rm", "-rf", "--", self.dir])

    def free(self):
        fs = os.statvfs(self.spool)
        return fs.f_bavail * fs.f_frsize, fs.f_favail

    def fill(self, leave):
        """Leave so many bytes free, or nothing at all."""
        with open(self.dir + "/var/filler", "ab", buffering=0) as f:
            while True:
                left = self.free()[0] - leave
                if left <= 0:
                    return
                try:
                    f.write(b"\0" * min(left, 65536))
                except OSError:
                    return

    def fill_inodes(self, leave):
        folder = self.dir + "/var/inodes"
        os.makedirs(folder, exist_ok=True)
        n = len(os.listdir(folder))
        while self.free()[1] > leave:
            with open("%s/%d" % (folder, n), "w"):
                n += 1

    def make_room(self):
        for path in glob.glob(self.dir + "/var/filler") + glob.glob(self.dir +
                                                                    "/var/inodes/*"):
            os.unlink(path)

    def watched(self):
        self.write("etc/status.token", TOKEN + "\n", 0o640, 0)

    def health(self):
        """Status and what is lacking."""
        headers = {"Authorization": "Bearer " + TOKEN}
        status, _, body = self.post(None, "/arken/status/healthz", "GET", headers, None, None)
        return status, json.loads(body)["problems"]

    def same_process(self):
        assert self.fcgi[0].alive(), self.fcgi[0].said()[-2000:]
        tap.same(os.listdir(self.spool + "/tmp"), [], "left in tmp")
        tap.same(os.listdir(self.spool + "/rejected/tmp"), [], "left in rejected/tmp")


def small(name, **kw):
    c = SmallDisk(name, **kw)
    start = c.start_receiver

    def with_status(i=0):
        c.watched()
        c.configure(more=STATUS.format(dir=c.dir))
        return start(i)
    c.start_receiver = with_status
    return c


@test
def the_reserve_is_not_touched():
    """503 from the mark on, before the disk is full; the daemon goes on and makes room"""
    with small("reserve", options="size=24m", spool="min_free = 4M") as c:
        c.stop_daemon()
        c.fill(5 * MIB)
        answers = []
        for n in range(1, 60):
            answers.append(c.post(event(n, 100000))[0])
            assert c.free()[0] >= 4 * MIB, c.free()
        good = answers.count(200)
        assert 0 < good < 20 and set(answers[good:]) == {503}, answers
        c.fill(4 * MIB)
        tap.same(c.health(), (503, ["disk"]))
        tap.same(c.counts()["new"], good)
        # a body that does not fit is refused, one that does is not
        c.make_room()
        c.fill(4 * MIB + 300000)
        tap.same(c.health(), (200, []))
        tap.same(c.post(event(100, 400000))[0], 503)
        tap.same(c.post(event(101, 100000))[0], 200)
        # the daemon has room for its notes, its log, its records and its moves
        c.fill(4 * MIB)
        tap.same(c.post(event(102))[0], 503)
        c.start_daemon()
        c.wait_state(done=good + 1, failed=0)
        c.make_room()
        tap.same(c.post(event(102))[0], 200)
        c.wait_state(done=good + 2)
        c.same_process()


def full(c):
    """Nothing at all is free: 503, nothing is left behind, and then all is well again."""
    tap.same(c.post(event(1))[0], 200)
    c.fill(0)
    for n in range(2, 12):
        status, headers, _ = c.post(event(n, 30000))
        tap.same(status, 503)
        assert int(headers["Retry-After"]) > 0
        tap.same(c.post(b"no json" * 5000)[0], 503)
        tap.same(c.post(event(1), secret=None)[0], 401)
    tap.same(c.counts()["rejected"], 0)
    assert c.counts()["new"] <= 1
    c.same_process()
    c.make_room()
    for n in range(2, 12):
        tap.same(c.post(event(n, 30000))[0], 200)
    tap.same(c.counts()["new"], 11)
    c.same_process()


@test
def a_full_tmpfs():
    with small("tmpfs", options="size=8m", daemon_starts=False,
               spool="min_free = 0\nmin_inodes = 0") as c:
        full(c)


@test
def a_full_ext4():
    with small("ext4", image=16 * MIB, daemon_starts=False,
               spool="min_free = 0\nmin_inodes = 0") as c:
        full(c)


@test
def mounted_read_only():
    """ext4 takes itself out of use after an error: 503, said in healthz, and it goes on"""
    with small("readonly", image=16 * MIB, daemon_starts=False, spool="min_free = 0") as c:
        tap.same(c.post(event(1))[0], 200)
        device = os.path.basename(subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", c.dir + "/var"], capture_output=True,
            check=True).stdout.decode().strip())
        try:
            with open("/sys/fs/ext4/%s/trigger_fs_error" % device, "w") as f:
                f.write("an error that a test makes")
        except OSError as e:
            raise tap.Skip("no error can be made: %s" % e)
        for n in range(2, 6):
            tap.same(c.post(event(n))[0], 503)
            tap.same(c.post(b"no json")[0], 503)
        status, lacking = c.health()
        tap.same((status, lacking), (503, ["write"]))
        tap.same(os.listdir(c.spool + "/new"), c.names("new"))
        assert c.fcgi[0].alive()


def until_accepted(c, body, seconds=20):
    """It is looked once a second whether the counter file can be had again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if c.post(body)[0] == 200:
            return
    raise AssertionError("not accepted: %r" % (c.health(),))


@test
def a_full_btrfs():
    """there even a counter takes room: the process outlives it, and has the counters again"""
    with small("btrfs", image=320 * MIB, fs="btrfs", daemon_starts=False,
               spool="min_free = 0\nmin_inodes = 0") as c:
        tap.same(c.post(event(1))[0], 200)
        for _ in range(2):  # what was written is moved to its place, and leaves room
            c.fill(0)
            subprocess.run(["sync", "-f", c.spool], check=True)
        for n in range(2, 12):
            tap.same(c.post(event(n, 30000))[0], 503)
        tap.same(c.health()[0], 503)
        c.make_room()
        subprocess.run(["sync", "-f", c.spool], check=True)
        for n in range(2, 12):
            until_accepted(c, event(n, 30000))
        tap.same(c.health(), (200, []))
        tap.same(c.counts()["new"], 11)
        c.same_process()


@test
def an_xfs_that_shuts_down():
    """as it does after an error: 503, said in healthz, by the same process"""
    if shutil.which("xfs_io") is None:
        raise tap.Skip("xfs_io is not installed")
    with small("xfs", image=320 * MIB, fs="xfs", daemon_starts=False, spool="min_free = 0") as c:
        tap.same(c.post(event(1))[0], 200)
        subprocess.run(["sync", "-f", c.spool], check=True)
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", c.dir + "/var"], check=True)
        for n in range(2, 8):
            tap.same(c.post(event(n))[0], 503)
            tap.same(c.post(event(n), secret=None)[0], 401)
        status, lacking = c.health()
        tap.same((status, "counters" in lacking), (503, True), lacking)
        assert c.fcgi[0].alive()


@test
def no_inodes():
    """the mark holds for each event of an array; what was kept is found by the repeat"""
    with small("inodes", options="size=16m,nr_inodes=400", daemon_starts=False,
               spool="min_free = 0\nmin_inodes = 20") as c:
        many = b"[" + b",".join(event(n) for n in range(1, 41)) + b"]"
        c.fill_inodes(30)
        tap.same(c.post(many)[0], 503)
        some = c.counts()["new"]
        assert 0 < some <= 10, some
        assert c.free()[1] >= 20, c.free()
        tap.same(c.post(event(99))[0], 503)
        tap.same(c.health(), (503, ["inodes"]))
        c.make_room()
        status, _, body = c.post(many)
        tap.same(status, 200)
        again = [e["status"] for e in json.loads(body)["events"]]
        tap.same((again.count("duplicate"), again.count("accepted")), (some, 40 - some))
        tap.same(c.counts()["new"], 40)
        c.same_process()


@test
def really_no_inodes():
    with small("none", options="size=16m,nr_inodes=300", daemon_starts=False,
               spool="min_free = 0\nmin_inodes = 0") as c:
        tap.same(c.post(event(1))[0], 200)
        c.fill_inodes(0)
        for n in range(2, 8):
            tap.same(c.post(event(n))[0], 503)
        c.make_room()
        for n in range(2, 8):
            tap.same(c.post(event(n))[0], 200)
        c.same_process()


@test
def more_than_its_turn():
    """one at a time: the next waits two seconds at most, further ones are answered at once"""
    with Chain("turn", receiver="listen", daemon_starts=False,
               receiver_conf="threads = 1") as c:
        body = event(1, 300000)
        one = fcgi_client.Connection(c.sock())
        one.request(fcgi_client.params("/arken/acme", len(body), SECRET), body[:200000],
                    end=False)
        answers = []

        def post(n):
            answers.append(fcgi_client.ask(c.sock(), fcgi_client.params(
                "/arken/acme", len(event(n)), SECRET), event(n))[0])
        # until the first has its turn, another may have it; afterwards none
        n = 2
        while 503 not in answers:
            post(n)
            n += 1
            assert n < 200, answers
        assert set(answers) <= {200, 503}, answers
        threads = [threading.Thread(target=post, args=(n + i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        tap.same(answers[-8:], [503] * 8)
        # who asks how it is need not wait for a turn, nor who has no credential
        tap.same(c.post(None, "/arken/status/healthz", "GET", None, None, None)[0], 200)
        tap.same(c.post(event(3), secret=None)[0], 401)
        for at in range(200000, len(body), 30000):
            one.s.sendall(fcgi_client.record(fcgi_client.STDIN, body[at:at + 30000]))
        one.s.sendall(fcgi_client.record(fcgi_client.STDIN, b""))
        tap.same(one.answer()[0], 200)
        one.close()
        tap.same(c.post(event(500))[0], 200)
        assert "too many requests at one time" in c.fcgi[0].said()


def memory_of(pid):
    with open("/proc/%d/status" % pid) as f:
        fields = dict(line.split(":", 1) for line in f)
    return {k: int(fields[k].split()[0]) * 1024 for k in ("VmHWM", "VmRSS")}


@test
def memory_is_bounded():
    """64 posts of 10 MiB at a time, of the kinds that take most: as arken.fcgi(8) says"""
    threads = 16
    # [receiver] memory, requests that are coming, 2 MiB a thread, the program itself
    bound = 256 * MIB + 32 * MIB + 2 * MIB * (threads + (threads + 1) // 2 + 2) + 16 * MIB
    posts, size = 64, 10 * MIB

    def body(n):
        """The most values that are parsed, an array of many events, one long text."""
        head = event(n)[:-1]
        if n % 4 == 3:
            return head + b',"fill":"' + b"x" * (size - len(head) - 11) + b'"}'
        if n % 4 == 2:
            one = event(n, 8000)[:-1] + b',"x":[' + b"[]," * 1500 + b"[]]}"
            return b"[" + b",".join([one] * (size // (len(one) + 1) - 1)) + b"]"
        pairs = b'{"a":""},' * 520000 if n % 4 else b"[]," * 1060000
        out = head + b',"x":[' + pairs + b'1],"fill":"'
        return out + b"x" * (size - len(out) - 2) + b'"}'

    with small("memory", options="size=2g", daemon_starts=False,
               spool="min_free = 0\nrejected_limit = 2",
               receiver_conf="threads = %d" % threads) as c:
        start = memory_of(c.fcgi[0].pid)
        answers, bodies = [None] * posts, [body(n) for n in range(4)]
        streams = [b"".join([fcgi_client.record(fcgi_client.STDIN, b[at:at + 65528])
                             for at in range(0, len(b), 65528)] +
                            [fcgi_client.record(fcgi_client.STDIN, b"")]) for b in bodies]
        tap.note("bodies of %s bytes" % [len(b) for b in bodies])

        def post(n):
            one = fcgi_client.Connection(c.sock(), keep=False)
            one.request(fcgi_client.params("/arken/acme", len(bodies[n % 4]), SECRET), b"",
                        end=False)
            one.s.sendall(streams[n % 4])
            answers[n] = one.answer()[0]
            one.close()
        tasks = [threading.Thread(target=post, args=(n,)) for n in range(posts)]
        for t in tasks:
            t.start()
        for t in tasks:
            t.join()
        top = memory_of(c.fcgi[0].pid)
        tap.note("answers %s" % {a: answers.count(a) for a in set(answers)})
        tap.note("VmHWM %d MiB of %d MiB; VmRSS %d MiB, at start %d MiB" % (
            top["VmHWM"] // MIB, bound // MIB, top["VmRSS"] // MIB, start["VmRSS"] // MIB))
        assert set(answers) <= {200, 503}, answers
        assert top["VmHWM"] < bound, (top, bound)
        # one after the other each of them is taken
        for n in range(4):
            post(n)
            tap.same(answers[n], 200, "body %d" % n)
        # what was used for a while went back
        after = memory_of(c.fcgi[0].pid)["VmRSS"]
        assert after < start["VmRSS"] + 48 * MIB, (after, start)
        # an event of more values than fit in the memory for all is kept, for a person
        out = event(9)[:-1] + b',"x":[' + b"[]," * 1500000 + b"1]}"
        tap.same(fcgi_client.ask(c.sock(), fcgi_client.params(
            "/arken/acme", len(out), SECRET), out)[0], 400)
        assert c.names("rejected")[0].endswith(".Rejected.TooComplex"), c.names("rejected")
        assert "taken  " in c.ctl("retry", c.names("rejected")[0])
        c.same_process()


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
