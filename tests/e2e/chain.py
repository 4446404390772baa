# SPDX-License-Identifier: ISC
"""chain - the whole chain for a test: stand-in Arken, web server, receiver, daemon.

Everything lies in one temporary directory on a disk and listens on loopback
ports.  Started by root, receiver and daemon are two different users of one
group.  Nothing here sleeps: a wait ends with an event (inotify, a pipe, an
answer) or with its deadline.  Only processes started here are ended, by pid.

Environment: ARKEN_BUILD, the build folder; ARKEN_RECEIVER, another receiver than the
one in it (planted mistakes); ARKEN_TEST_DIR, where the temporary
directory is made (default /var/tmp); ARKEN_KEEP, keep it.
"""
import atexit
import ctypes
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import urllib.parse

import tap

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("ARKEN_BUILD", os.path.join(TOP, "build")))
PROGRAMS = [os.environ.get("ARKEN_RECEIVER") or os.path.join(BUILD, "fcgi/arken.fcgi")] + [
    os.path.join(BUILD, p) for p in ("spoold/spoold", "spoolctl/spoolctl",
                                     "tests/sandbox/arken-sandbox")]

GROUP, DAEMON_USER, RECEIVER_USER = 64010, 64011, 64012
READER_USER = 65534  # nobody: mutt wants a user that has a name
IS_ROOT = os.geteuid() == 0
SECRET = "a-secret-of-the-tests-1"
HEADER = "X-Arken-Secret"
WAIT = 60.0  # seconds before a wait is given up
BOXES = {"new": "new", "cur": "cur", "done": "done/cur", "failed": "failed/cur",
         "held": "held/cur", "rejected": "rejected/new"}
LIGHTTPD_MODULES = "/usr/lib/lighttpd"

_running = []


class Failure(AssertionError):
    pass


def _copy_programs():
    """
    The folder they were built in may be closed to other users.  Copied before any thread
    starts: a fork in the middle of it would make a program "busy".
    """
    folder = tempfile.mkdtemp(prefix="arken-bin.", dir=os.environ.get("ARKEN_TEST_DIR",
                                                                     "/var/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    for program in PROGRAMS:
        if not os.access(program, os.X_OK):
            print("Bail out! %s is not built (ARKEN_BUILD names the build folder)" % program)
            sys.exit(1)
    return [shutil.copy(p, folder) for p in PROGRAMS]


RECEIVER, SPOOLD, SPOOLCTL, SANDBOX = _copy_programs()


def _end_all():
    for p in list(_running):
        p.end(signal.SIGKILL)


atexit.register(_end_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# ---- waiting ----

_libc = ctypes.CDLL(None, use_errno=True)
# MODIFY ATTRIB CLOSE_WRITE MOVED_FROM MOVED_TO CREATE DELETE DELETE_SELF
_EVENTS = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400


def wait_until(condition, paths, what, seconds=WAIT):
    """Return condition() as soon as it is true; it is asked whenever one of paths changed."""
    fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    deadline = time.monotonic() + seconds
    try:
        for path in paths:
            if _libc.inotify_add_watch(fd, os.fsencode(path), _EVENTS) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", path)
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Failure("waited %g s for %s" % (seconds, what() if callable(what)
                                                      else what))
            try:
                os.read(fd, 65536)
            except BlockingIOError:
                pass
    finally:
        os.close(fd)


# ---- processes ----

class Process:
    """
    A program of ours; its output goes to a file, except stdout if pipe.

    user: of the spool's group.  who: any other, as subprocess.Popen takes it.
    """

    def __init__(self, name, argv, log, user=None, pipe=False, env=None, fds=(), stdin=None,
                 cwd="/", who=None):
        self.name, self.log, self.argv = name, log, argv
        who = who or {}
        if user is not None and IS_ROOT:
            who = {"user": user, "group": GROUP, "extra_groups": []}
        full = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                "UBSAN_OPTIONS": "print_stacktrace=1"}
        full.update(env or {})
        with open(log, "ab") as out:
            self.start = out.tell()
            self.p = subprocess.Popen(argv, stdin=stdin if stdin is not None
                                      else subprocess.DEVNULL, stdout=subprocess.PIPE if pipe
                                      else out, stderr=out, env=full, cwd=cwd, pass_fds=fds,
                                      **who)
        self.pid = self.p.pid
        _running.append(self)

    def said(self):
        """What it wrote since this start."""
        with open(self.log, "rb") as f:
            f.seek(self.start)
            return f.read().decode("utf-8", "replace")

    def wait_said(self, text, seconds=WAIT):
        def there():
            if text in self.said():
                return True
            if self.p.poll() is not None:
                raise Failure("%s ended with %d instead of saying %r:\n%s" % (
                    self.name, self.p.returncode, text, self.said()[-2000:]))
            return False
        wait_until(there, [self.log], "%s to say %r" % (self.name, text), seconds)

    def line(self, seconds=WAIT):
        """The next line of its piped stdout."""
        if not select.select([self.p.stdout], [], [], seconds)[0]:
            raise Failure("%s said nothing for %g s" % (self.name, seconds))
        return self.p.stdout.readline().decode()

    def alive(self):
        return self.p.poll() is None

    def end(self, sig=signal.SIGTERM, seconds=30):
        """End it, and return its status as Popen has it."""
        if self in _running:
            _running.remove(self)
        if self.p.poll() is None:
            self.p.send_signal(sig)
            try:
                self.p.wait(seconds)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
                raise Failure("%s did not end within %d s of signal %d" % (
                    self.name, seconds, sig))
            finally:
                if self.p.stdout:
                    self.p.stdout.close()
        return self.p.returncode


def listen_tcp():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    s.listen(512)
    return s


# ---- HTTP, as a client ----

class _TLS(http.client.HTTPSConnection):
    """Names below localhost are this machine, whatever the resolver thinks."""

    def __init__(self, host, port, ctx):
        super().__init__(host, port, timeout=WAIT, context=ctx)
        self._create_connection = lambda a, *_: socket.create_connection(
            ("127.0.0.1", a[1]), WAIT)


def ask(url, method="GET", body=None, headers=None, ca=None):
    """status, headers, body of one exchange."""
    u = urllib.parse.urlsplit(url)
    if u.scheme == "https":
        ctx = ssl.create_default_context(cafile=ca)
        c = _TLS(u.hostname, u.port, ctx)
    else:
        c = http.client.HTTPConnection("127.0.0.1", u.port, timeout=WAIT)
    try:
        c.request(method, (u.path or "/") + ("?" + u.query if u.query else ""), body,
                  headers or {})
        r = c.getresponse()
        return r.status, r.headers, r.read()
    finally:
        c.close()


# ---- the stand-in Arken ----

class Sandbox:
    def __init__(self, folder, args):
        self.dir = folder
        self.process = Process("arken-sandbox", [SANDBOX, "--dir", folder, "--quiet"] +
                               list(args), folder + "/../sandbox.log", pipe=True)
        line = self.process.line()
        if line != "arken-sandbox: ready\n":
            raise Failure("arken-sandbox said %r: %s" % (line, self.process.said()))
        self.env = {}
        with open(folder + "/sandbox.env") as f:
            for row in f:
                k, v = row.rstrip("\n").split("=", 1)
                self.env[k] = v.strip("'")
        self.account = self.env["ACCOUNT_HASH"]
        self.bearer = None

    def admin(self, method, path, body=None, want=200):
        status, _, text = ask(self.env["ADMIN_URL"] + path, method, body)
        if status != want:
            raise Failure("%s %s: %d, want %d: %s" % (method, path, status, want, text[:300]))
        return json.loads(text)

    def emit(self, kind, **kw):
        return self.admin("POST", "/admin/emit?" + urllib.parse.urlencode(
            dict(kw, kind=kind)))["events"]

    def fault(self, **kw):
        kw = {k.rstrip("_"): v for k, v in kw.items()}
        return self.admin("POST", "/admin/fault", json.dumps(kw))["fault"]

    def no_faults(self):
        self.admin("DELETE", "/admin/fault")

    def stats(self):
        return self.admin("GET", "/admin/stats")

    def events(self):
        return self.admin("GET", "/admin/events")

    def wait(self, what, ms=60000):
        """Wait for a counter, as in "tokens=2"."""
        return self.admin("GET", "/admin/wait?%s&timeout_ms=%d" % (what, ms))

    def quiet(self):
        """Until nothing is left to be delivered."""
        return self.wait("pending=0")

    def api(self, path, **query):
        """Status and body of a call to the API, as an integrator makes it."""
        ca = self.env["CA_FILE"]
        if self.bearer is None:
            body = json.dumps({"client_id": self.env["CLIENT_ID"], "client_secret":
                               self.env["CLIENT_SECRET"], "audience": self.env["AUDIENCE"],
                               "grant_type": "client_credentials"})
            status, _, text = ask(self.env["TOKEN_URL"], "POST", body,
                                  {"Content-Type": "application/json"}, ca)
            if status != 200:
                raise Failure("no token: %d %r" % (status, text))
            self.bearer = json.loads(text)["access_token"]
        query.setdefault("accountHashId", self.account)
        status, _, text = ask(self.env["API_URL"] + path + "?" + urllib.parse.urlencode(query),
                              headers={"Authorization": "Bearer " + self.bearer}, ca=ca)
        return status, text

    def record(self, event):
        """What the API says now about the object of an event of /admin/events."""
        category = event["kind"].split(".")[0]
        path, names = {"Account": ("/account", []), "Client": ("/client", ["clientHashId"]),
                       "DocumentData": ("/documentdata", ["documentHashId"]),
                       "User": ("/user", ["userHashId"]),
                       "FileStore": ("/filestore", ["documentHashId"])}[category]
        return self.api(path, **{n: event[n] for n in names})


# ---- the chain ----

CONF = """\
[spool]
directory = {dir}/var/spool
group = {group}
{spool}
[receiver]
{receiver}
[daemon]
state = {dir}/var/state
store = {dir}/var/state/store
{daemon}
[log]
target = stderr
level = trace
[account acme]
path = /arken/acme
hash_id = {ACCOUNT_HASH}
secret_header = {header}
secret_file = {dir}/etc/acme.secret
api = {API_URL}
token_url = {TOKEN_URL}
client_id = {CLIENT_ID}
client_secret_file = {dir}/etc/acme.client
token_audience = {AUDIENCE}
ca_file = {CA_FILE}
document_hosts = {DOCUMENT_HOST}
document_networks = 127.0.0.0/8 ::1/128
{account}
{more}
"""

# What a test may give another value, section by section.
DEFAULTS = {
    "spool": {"min_free": "1M", "min_inodes": "10", "allow_fs": "tmpfs"},
    "receiver": {"threads": "16"},
    "daemon": {"retry_min": "1s", "retry_max": "2s", "connect_timeout": "5s",
               "api_timeout": "3s", "stall_timeout": "2s"},
}

LIGHTTPD = """\
server.modules = ( "mod_fastcgi", "mod_cgi", "mod_setenv"{modules} )
server.port = {port}
server.bind = "127.0.0.1"
server.systemd-socket-activation = "enable"
server.document-root = "{dir}/www"
server.errorlog = "{dir}/lighttpd.log"
server.upload-dirs = ( "{dir}/run" )
server.max-request-size = 20480
server.max-keep-alive-requests = 10000
server.max-connections = 512
{tls}
{receiver}
"""

BACKEND = '"socket" => "{sock}", "check-local" => "disable", "disable-time" => 1'


class Chain:
    """
    with Chain("name") as c: ... ; on failure the directory stays, and is named.

    receiver: "spawned" by lighttpd, "listen" (arken.fcgi -l), "cgi", or None.
    receivers: so many processes, each with its socket ("listen" only).
    """

    def __init__(self, name, receiver="spawned", receivers=1, tls=False, sandbox=(), spool="",
                 receiver_conf="", daemon="", account="", more="", daemon_starts=True,
                 shape=None):
        self.name, self.kind, self.tls = name, receiver, tls
        self.receivers, self.daemon_starts = receivers, daemon_starts
        self.extra = dict(spool=spool, receiver=receiver_conf, daemon=daemon, account=account,
                          more=more)
        self.sandbox_args = list(sandbox) + (["--shape", shape] if shape else [])
        self.web = self.daemon = self.sandbox = None
        self.fcgi = []
        self.dir = tempfile.mkdtemp(prefix="arken-%s." % name,
                                    dir=os.environ.get("ARKEN_TEST_DIR", "/var/tmp"))
        os.chmod(self.dir, 0o755)

    # -- files --

    def write(self, name, text, mode=0o644, uid=None):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        if IS_ROOT and uid is not None:
            os.chown(path, uid, GROUP)
        return path

    def folder(self, name, uid=None, mode=0o755):
        path = os.path.join(self.dir, name)
        os.mkdir(path)
        os.chmod(path, mode)
        if IS_ROOT and uid is not None:
            os.chown(path, uid, GROUP)
        return path

    def configure(self, **extra):
        """Write the configuration, perhaps changed; running programs keep theirs."""
        self.extra.update(extra)
        group = GROUP if IS_ROOT else os.getegid()
        sections = dict(self.extra)
        for section, defaults in DEFAULTS.items():
            given = [line.partition("=") for line in sections[section].splitlines() if line]
            keys = dict(defaults, **{k.strip(): v.strip() for k, _, v in given})
            sections[section] = "\n".join("%s = %s" % pair for pair in keys.items())
        self.conf = self.write("etc/arkenspool.conf", CONF.format(
            dir=self.dir, group=group, header=HEADER, **sections, **self.sandbox.env))

    # -- start --

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self):
        if not IS_ROOT:
            tap.note("not root: receiver and daemon are the same user")
        self.folder("etc")
        self.folder("www")
        self.folder("var", DAEMON_USER)
        self.folder("run", RECEIVER_USER)
        self.write("etc/acme.secret", "an-older-secret-0\n%s\n" % SECRET, 0o640, 0)
        self.listener = listen_tcp()
        self.port = self.listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d/arken/acme" % self.port
        args = []
        if self.tls:
            self._certificate()
            self.url = "https://hook.localhost:%d/arken/acme" % self.port
            args = ["--webhook-ca", self.dir + "/etc/hook.pem"]
        self.folder("sandbox")
        self.write("sandbox/secret", SECRET + "\n", 0o600)
        self.sandbox = Sandbox(self.dir + "/sandbox", args + [
            "--webhook", self.url, "--header", HEADER, "--secret-file",
            self.dir + "/sandbox/secret"] + self.sandbox_args)
        self.write("etc/acme.client", self.sandbox.env["CLIENT_SECRET"] + "\n", 0o600,
                   DAEMON_USER)
        self.configure()
        self.spool = self.dir + "/var/spool"
        self.store = self.dir + "/var/state/store"
        self.ctl("make-spool")
        if self.daemon_starts:
            self.start_daemon()
        if self.kind == "listen":
            for i in range(self.receivers):
                self.start_receiver(i)
        if self.kind is not None:
            self.start_web()

    def _certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=hook.localhost", "-addext", "subjectAltName=DNS:hook.localhost",
                        "-keyout", self.dir + "/etc/hook.key", "-out",
                        self.dir + "/etc/hook.pem"], check=True, capture_output=True)
        if IS_ROOT:
            os.chown(self.dir + "/etc/hook.key", RECEIVER_USER, GROUP)

    def start_daemon(self, wait=True):
        self.daemon = Process("spoold", [SPOOLD, "-c", self.conf], self.dir + "/spoold.log",
                              DAEMON_USER)
        if wait:
            self.daemon.wait_said("what=started")
        return self.daemon

    def stop_daemon(self, sig=signal.SIGTERM):
        status = self.daemon.end(sig)
        if sig == signal.SIGTERM:
            tap.same(status, 0, "spoold's status after SIGTERM")
        return status

    def sock(self, i=0):
        return self.dir + "/run/arken.%d" % i

    def start_receiver(self, i=0):
        p = Process("arken.fcgi", [RECEIVER, "-c", self.conf, "-l", self.sock(i)],
                    self.dir + "/receiver.%d.log" % i, RECEIVER_USER)
        p.wait_said("what=started")
        self.fcgi[i:i + 1] = [p]
        return p

    def _backends(self):
        if self.kind == "cgi":
            self.write("www/arken.cgi", "#!/bin/sh\nexec env ARKENSPOOL_CONF=%s %s\n" % (
                self.conf, RECEIVER), 0o755)
            return 'cgi.assign = ( ".cgi" => "" )\ncgi.execute-x-only = "enable"\n' \
                'server.modules += ("mod_alias")\nalias.url = ( "/arken" => ' \
                '"%s/www/arken.cgi" )' % self.dir
        if self.kind == "spawned":
            rows = ['( %s, "bin-path" => "%s", "max-procs" => 1, "bin-environment" => '
                    '( "ARKENSPOOL_CONF" => "%s", "ASAN_OPTIONS" => "detect_leaks=0" ), '
                    '"bin-copy-environment" => ( "PATH" ) )' % (
                        BACKEND.format(sock=self.sock()), RECEIVER, self.conf)]
        else:
            rows = ["( %s )" % BACKEND.format(sock=self.sock(i))
                    for i in range(self.receivers)]
        return 'fastcgi.server = ( "/arken/" => ( %s ) )' % ", ".join(rows)

    def start_web(self):
        tls, modules = "", ""
        if self.tls:
            if not os.path.exists(LIGHTTPD_MODULES + "/mod_openssl.so"):
                raise tap.Skip("lighttpd-mod-openssl is not installed")
            modules = ', "mod_openssl"'
            tls = 'ssl.engine = "enable"\nssl.pemfile = "%s/etc/hook.pem"\n' \
                'ssl.privkey = "%s/etc/hook.key"' % (self.dir, self.dir)
        conf = self.write("etc/lighttpd.conf", LIGHTTPD.format(
            port=self.port, dir=self.dir, modules=modules, tls=tls,
            receiver=self._backends()))
        log = self.write("lighttpd.log", "", 0o664, RECEIVER_USER)
        # The listening socket is ours, as under systemd: no port to race for, and a request
        # that comes early waits in its queue.
        start = 'exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec lighttpd -D -f "$0"'
        self.web = Process("lighttpd", ["sh", "-c", start, conf], log, RECEIVER_USER,
                           stdin=self.listener, env={"LISTEN_FDS": "1"})

    # -- end --

    def __exit__(self, kind, value, trace):
        trouble = []
        for p in [self.web, self.daemon] + self.fcgi + [
                self.sandbox.process if self.sandbox else None]:
            if p is None:
                continue
            try:
                alive = p.alive()
                status = p.end()
                if alive and p.name != "lighttpd" and status != 0:
                    trouble.append("%s ended with %d" % (p.name, status))
            except Failure as e:
                trouble.append(str(e))
        if hasattr(self, "listener"):
            self.listener.close()
        for log in self.logs():
            with open(log, errors="replace") as f:
                text = f.read()
            for sign in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer"):
                if sign in text:
                    trouble.append("%s: %s" % (log, text[text.index(sign):][:1500]))
        if kind is tap.Skip or not (kind or trouble or os.environ.get("ARKEN_KEEP")):
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        tap.note("kept: " + self.dir)
        for log in self.logs():
            with open(log, errors="replace") as f:
                tap.note("---- %s" % log)
                tap.note("".join(f.readlines()[-15:]))
        if kind is None and trouble:
            raise Failure("; ".join(trouble))
        tap.note("; ".join(trouble))

    def logs(self):
        return [os.path.join(self.dir, n) for n in sorted(os.listdir(self.dir))
                if n.endswith(".log")]

    # -- looking --

    def ctl(self, *args, want=0, stdin=None):
        """spoolctl's output, stdout and stderr together; want None: any exit status."""
        who = {"user": DAEMON_USER, "group": GROUP, "extra_groups": []} if IS_ROOT else {}
        r = subprocess.run([SPOOLCTL, "-c", self.conf] + list(args), input=stdin, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT,
                           cwd="/", **who)
        if want is not None and r.returncode != want:
            raise Failure("spoolctl %s: exit %d, want %d: %s" % (
                " ".join(args), r.returncode, want, r.stdout))
        return r.stdout

    def box(self, box):
        return os.path.join(self.spool, BOXES[box])

    def names(self, box):
        """The names of the events in a box, sorted."""
        return sorted(n.split(":")[0] for n in os.listdir(self.box(box)))

    def counts(self):
        return {b: len(os.listdir(self.box(b))) for b in BOXES}

    def wait_state(self, seconds=WAIT, **want):
        """Until each named box holds exactly so many, and new and cur nothing else named."""
        want.setdefault("new", 0)
        want.setdefault("cur", 0)

        def there():
            # twice: an event that moves from one box to another may be seen in neither
            return all(self.counts()[b] == n for b, n in want.items()) and \
                all(self.counts()[b] == n for b, n in want.items())
        wait_until(there, [self.box(b) for b in BOXES], lambda: "%r; it is %r" % (
            want, self.counts()), seconds)

    def wait_until_settled(self, total, seconds=WAIT):
        """Until nothing is queued or running, and so many are done or failed."""
        def there():
            n = self.counts()
            return n["new"] + n["cur"] == 0 and n["done"] + n["failed"] == total
        wait_until(there, [self.box(b) for b in BOXES], lambda: "%d events; it is %r" % (
            total, self.counts()), seconds)

    def wait_no_notes(self):
        """The daemon's note of a done event goes just after the event has moved."""
        folder = os.path.join(self.spool, "retry")
        wait_until(lambda: not os.listdir(folder), [folder],
                   lambda: "no notes; there are %r" % os.listdir(folder), 10)

    def wait_story(self, name, sign):
        """Until a line about an event has this in it; it is written after the deed."""
        wait_until(lambda: [line for line in self.story(name) if sign in line],
                   [os.path.join(self.spool, "log")],
                   lambda: "%r in the story of %s: %r" % (sign, name, self.story(name)), 10)

    def event_file(self, box, name):
        flags = {"done": ":2,S", "failed": ":2,F", "cur": ":2,", "held": ":2,"}
        with open(os.path.join(self.box(box), name + flags.get(box, "")), "rb") as f:
            return f.read()

    def retry(self, name):
        """The daemon's note of an event as a dict of texts; None: there is none."""
        try:
            with open(os.path.join(self.spool, "retry", name)) as f:
                return dict(line.rstrip("\n").split("=", 1) if "=" in line else
                            line.rstrip("\n").split(": ", 1) for line in f if line.strip())
        except FileNotFoundError:
            return None

    def story(self, name=""):
        """The spool's log, or the lines about one event."""
        out = []
        folder = os.path.join(self.spool, "log")
        for day in sorted(os.listdir(folder)):
            with open(os.path.join(folder, day)) as f:
                out += [line for line in f if name in line]
        return out

    def place(self, event):
        """Where in the store the object of an event of /admin/events is."""
        category = event["kind"].split(".")[0]
        member = {"Account": None, "Client": "clientHashId", "User": "userHashId"}.get(
            category, "documentHashId")
        return os.path.join(self.store, "acme", category,
                            event[member] if member else self.sandbox.account)

    def read(self, path):
        with open(path, "rb") as f:
            return f.read()

    def document(self, event):
        """The bytes of the stored document of an event, and its document.json."""
        where = self.place(event)
        found = [n for n in os.listdir(where) if n.startswith("document.") and
                 n != "document.json"]
        if len(found) != 1:
            raise Failure("%s: one document expected, found %r" % (where, os.listdir(where)))
        return self.read(os.path.join(where, found[0])), json.loads(
            self.read(os.path.join(where, "document.json")))

    def check_stored(self, event):
        """What the event is about is in the store as the API and the sender have it."""
        where = self.place(event)
        kind = event["kind"]
        if kind.endswith(".Delete"):
            if not os.path.exists(where + "/deleted.json"):
                raise Failure("no tombstone of %s" % where)
            return
        status, text = self.sandbox.record(event)
        if status == 404:  # deleted by a later event
            return
        tap.same(status, 200, "the API about " + kind)
        if kind.startswith("FileStore."):
            # its link is signed anew at every call: all but that is compared
            got, want = json.loads(self.read(where + "/record.json")), json.loads(text)
            tap.same({k: v for k, v in got.items() if k != "location"},
                     {k: v for k, v in want.items() if k != "location"}, where)
            body, meta = self.document(event)
            digest = hashlib.sha256(body).hexdigest()
            tap.same(meta["sha256"], digest, "document.json of " + where)
            tap.same(meta["size"], len(body), "size in document.json of " + where)
            if event.get("sha256"):
                tap.same(digest, event["sha256"], "document of " + where)
            return
        tap.same(self.read(where + "/record.json"), text, where)

    # -- talking --

    def post(self, body, path="/arken/acme", method="POST", headers=None, secret=SECRET,
             content_type="application/json", chunked=False):
        """One request to the web server: status, headers, body."""
        h = {}
        if secret is not None:
            h[HEADER] = secret
        if content_type is not None:
            h["Content-Type"] = content_type
        h.update(headers or {})
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            if chunked:
                c.request(method, path, iter([body[i:i + 65536] for i in
                                              range(0, len(body), 65536)]), h,
                          encode_chunked=True)
            else:
                c.request(method, path, body, h)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()


def files_below(folder):
    """Everything below a folder with mode, owner, size, time and name: to compare."""
    out = []
    for base, dirs, names in os.walk(folder):
        for n in dirs + names:
            st = os.lstat(os.path.join(base, n))
            out.append((os.path.relpath(os.path.join(base, n), folder), st.st_ino,
                        stat.filemode(st.st_mode), st.st_uid, st.st_gid,
                        0 if stat.S_ISDIR(st.st_mode) else st.st_size, st.st_mtime_ns))
    return sorted(out)


def guid(n):
    """A GUID that is a number."""
    return "%08x-0000-4000-8000-%012x" % (n >> 48, n & (1 << 48) - 1)


