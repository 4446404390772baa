# SPDX-License-Identifier: ISC
"""lone - the receiver and its spool, nothing else: for tests that torture it.

No web server and no stand-in Arken.  The spool may lie on any file system, the
receiver may be started by another program (strace, prlimit) and is then ended by
its own pid.  What lies in the spool is read here without code of the project's.
"""
import email.parser
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

import fcgi_client
import tap
from chain import (BOXES, DAEMON_USER, Failure, GROUP, HEADER, IS_ROOT, Process, RECEIVER,
                   RECEIVER_USER, SECRET, SPOOLCTL, SPOOLD, WAIT, guid, wait_until)

OTHER_SECRET = "another-secret-of-the-tests-2"  # of the second line: valid too
SECRETS = (SECRET, OTHER_SECRET)
PATH = "/arken/acme"
SANITIZER = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer",
             "WARNING: ThreadSanitizer")

CONF = """\
[spool]
directory = {spool_dir}
group = {group}
allow_fs = tmpfs
{spool}
[receiver]
{receiver}
[daemon]
state = {dir}/state
store = {dir}/state/store
[log]
target = stderr
level = trace
[account acme]
path = /arken/acme
secret_header = {header}
secret_file = {dir}/etc/acme.secret
api = http://127.0.0.1:1
token_url = http://127.0.0.1:1/token
client_id = nobody
client_secret_file = {dir}/etc/acme.client
"""

DEFAULTS = {"spool": {"min_free": "0", "min_inodes": "0"}, "receiver": {"threads": "4"}}


def event(n, **more):
    """The body of event n.  A Delete: the daemon finishes it without asking anybody."""
    return json.dumps(dict({"eventId": guid(n), "eventType": "Client.Delete",
                            "clientHashId": "c%d" % n}, **more)).encode()


def name_of(n):
    return "acme.%s.Client.Delete" % guid(n)


def good_params(body, secret=SECRET):
    return fcgi_client.params(PATH, len(body), secret)


def is_whole(data):
    """A record as it was written: length and digest are those it names.  Its body, or None."""
    head, sep, body = data.partition(b"\n\n")
    if not sep:
        return None
    fields = email.parser.BytesHeaderParser().parsebytes(head)
    if fields["Content-Length"] != str(len(body)) or \
            fields["Arken-SHA256"] != hashlib.sha256(body).hexdigest():
        return None
    return body


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


class Lone:
    """
    with Lone("name") as s: ... ; on failure the folder stays, and is named.

    spool_dir: where the spool is to be made (its folder is there); else in the own folder.
    """

    def __init__(self, name, spool="", receiver="", spool_dir=None, program=RECEIVER):
        self.name, self.program = name, program
        self.p = None
        self.dir = tempfile.mkdtemp(prefix="arken-%s." % name,
                                    dir=os.environ.get("ARKEN_TEST_DIR", "/var/tmp"))
        os.chmod(self.dir, 0o755)
        for folder, uid in (("etc", None), ("var", DAEMON_USER), ("state", DAEMON_USER),
                            ("run", RECEIVER_USER)):
            os.mkdir(os.path.join(self.dir, folder), 0o755)
            self._own(os.path.join(self.dir, folder), uid)
        self.spool = spool_dir or self.dir + "/var/spool"
        self.log = self.dir + "/receiver.log"
        self.write("etc/acme.secret", "%s\n%s\n" % SECRETS, 0o640, 0)
        self.write("etc/acme.client", "client-secret-of-the-tests\n", 0o600, DAEMON_USER)
        self.configure(spool, receiver)

    @staticmethod
    def _own(path, uid):
        if IS_ROOT and uid is not None:
            os.chown(path, uid, GROUP)

    def write(self, name, text, mode=0o644, uid=None):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        self._own(path, uid)
        return path

    def configure(self, spool="", receiver=""):
        given = {"spool": spool, "receiver": receiver}
        for section, defaults in DEFAULTS.items():
            rows = [line.partition("=") for line in given[section].splitlines() if line]
            keys = dict(defaults, **{k.strip(): v.strip() for k, _, v in rows})
            given[section] = "\n".join("%s = %s" % pair for pair in keys.items())
        self.conf = self.write("etc/arkenspool.conf", CONF.format(
            dir=self.dir, spool_dir=self.spool, header=HEADER,
            group=GROUP if IS_ROOT else os.getegid(), **given))

    def __enter__(self):
        try:
            self.ctl("make-spool")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        trouble = []
        try:
            self.end()
        except Failure as e:
            trouble.append(str(e))
        for name in sorted(os.listdir(self.dir)):
            if not name.endswith(".log"):
                continue
            with open(os.path.join(self.dir, name), errors="replace") as f:
                text = f.read()
            trouble += ["%s: %s" % (name, text[text.index(s):][:1500]) for s in SANITIZER
                        if s in text]
        if kind is tap.Skip or not (kind or trouble or os.environ.get("ARKEN_KEEP")):
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        tap.note("kept: " + self.dir)
        if os.path.exists(self.log):
            with open(self.log, errors="replace") as f:
                tap.note("".join(f.readlines()[-15:]))
        if kind is None and trouble:
            raise Failure("; ".join(trouble))
        tap.note("; ".join(trouble))

    # -- programs --

    @property
    def sock(self):
        return self.dir + "/run/arken.sock"

    def start(self, before=(), env=None, wait=True):
        """Start the receiver, by way of the words in before (another program) if any."""
        self.p = Process("arken.fcgi", list(before) + [self.program, "-c", self.conf, "-l",
                                                       self.sock],
                         self.log, RECEIVER_USER, env=env)
        if wait:
            self.p.wait_said("what=started")
        return self.p

    def pid(self):
        """Of the receiver itself, which may be the child of what started it."""
        below = children(self.p.pid)
        return below[0] if below else self.p.pid

    def end(self, sig=signal.SIGTERM):
        """End the receiver; its status, None if there is none.  A tracer ends with it."""
        p, self.p = self.p, None
        if p is None:
            return None
        if p.alive():
            for pid in children(p.pid):
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
                try:
                    p.p.wait(WAIT)
                except subprocess.TimeoutExpired:
                    pass
        return p.end(sig)

    def ctl(self, *args, want=0):
        who = {"user": DAEMON_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
        r = subprocess.run([SPOOLCTL, "-c", self.conf] + list(args), text=True, cwd="/",
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT,
                           **who)
        if want is not None and r.returncode != want:
            raise Failure("spoolctl %s: exit %d, want %d: %s" % (
                " ".join(args), r.returncode, want, r.stdout))
        return r.stdout

    def drain(self):
        """Run the daemon until nothing is left in new and cur."""
        d = Process("spoold", [SPOOLD, "-c", self.conf], self.dir + "/spoold.log", DAEMON_USER)
        try:
            d.wait_said("what=started")
            wait_until(lambda: not os.listdir(self.box("new")) and not os.listdir(
                self.box("cur")), [self.box("new"), self.box("cur")], "the queue to drain")
        finally:
            tap.same(d.end(), 0, "spoold's status")

    # -- talking --

    def ask(self, body, env=None, seconds=WAIT):
        """Status of one request on a connection of its own; None: no answer."""
        c = None
        try:
            c = fcgi_client.Connection(self.sock, keep=False, seconds=seconds)
            c.request(env if env is not None else good_params(body), body)
            return c.answer()[0]
        except (EOFError, ConnectionError, FileNotFoundError):
            return None
        finally:
            if c:
                c.close()

    # -- looking --

    def box(self, box):
        return os.path.join(self.spool, BOXES[box])

    def names(self, box):
        return sorted(n.split(":")[0] for n in os.listdir(self.box(box)))

    def body_of(self, box, name):
        """The body of an event, None if the file is torn."""
        with open(os.path.join(self.box(box), name), "rb") as f:
            return is_whole(f.read())

    def marked(self):
        """Does the mark "a folder sync failed" stand?"""
        with open(self.spool + "/counters", "rb") as f:
            return struct.unpack_from("=QQ", f.read(16))[1] != 0

    def everything_written(self):
        """name -> bytes of all files that lie here, but for those with the secrets."""
        out = {}
        for top in (self.dir, self.spool):
            for base, _, names in os.walk(top):
                for n in names:
                    path = os.path.join(base, n)
                    if base != self.dir + "/etc" and os.path.isfile(path):
                        with open(path, "rb") as f:
                            out[path] = f.read()
        return out

    def check_no_secret(self, more=()):
        """Nothing that was written carries a secret; a canary shows that it would be seen."""
        canaries = [s.encode() for s in SECRETS + tuple(more)]
        written = dict(self.everything_written(), planted=b"x" + canaries[0] + b"x")
        found = sorted({p for p, data in written.items() for c in canaries if c in data})
        tap.same(found, ["planted"], "files with a secret")
