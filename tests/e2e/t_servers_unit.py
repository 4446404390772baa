#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_servers_unit - the receiver as its systemd units run it.

There need not be a systemd here: what a unit promises is imitated with the
means it uses itself (a listening socket as standard input, namespaces, users,
no new privileges), and what the receiver does is compared with what the unit
lets it do.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

import answers_table
import chain
import server_tests
import tap
from answers_table import event
from chain import BUILD, Chain, Failure, GROUP, IS_ROOT, RECEIVER, RECEIVER_USER, SPOOLD
from servers import Site, installed, read

TESTS = []
NOBODYS = 33  # www-data
ANALYZE = "/usr/bin/systemd-analyze"
UNITS = ("arken-fcgi.socket", "arken-fcgi.service", "spoold.service")
# a score above it is too much: 10 times what systemd-analyze prints
EXPOSED = {"arken-fcgi.service": 5, "spoold.service": 12}
# the sets of a filter are written as in systemd.exec(5)
SETS = {"arken-fcgi.service": ["@system-service", "~@privileged", "~@resources"]}
SETS["spoold.service"] = SETS["arken-fcgi.service"]


def test(f):
    TESTS.append(f)
    return f


def needs(*programs):
    for p in programs:
        if not os.access(p, os.X_OK):
            raise tap.Skip("%s is not installed" % p)


def needs_root():
    if not IS_ROOT:
        raise tap.Skip("it takes root to be another user")


def run(*argv, want=0):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=chain.WAIT, cwd="/")
    if want is not None and r.returncode != want:
        raise Failure("%s: exit %d: %s" % (" ".join(argv), r.returncode, r.stdout[-3000:]))
    return r.stdout


def unit(name):
    """Its lines as (key, value), without comments."""
    return [tuple(line.split("=", 1)) for line in read(os.path.join(BUILD, "etc", name))
            .splitlines() if "=" in line and not line.startswith("#")]


@test
def units_are_valid():
    """systemd-analyze verify, with the programs that were built"""
    needs(ANALYZE)
    with tempfile.TemporaryDirectory() as folder:
        for name in UNITS:
            text = read(os.path.join(BUILD, "etc", name))
            for at, program in ((installed("/arken.fcgi", "fcgidir"), RECEIVER),
                                (installed("/spoold", "sbindir"), SPOOLD),
                                (installed("/spoolctl", "sbindir"), chain.SPOOLCTL)):
                text = text.replace(at + " ", program + " ")
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        said = run(ANALYZE, "verify", "--man=no", *[os.path.join(folder, n) for n in UNITS])
        tap.same(said, "", "systemd-analyze verify")


@test
def units_give_nothing_away():
    """systemd-analyze security: 0.5 at most for the receiver, 1.2 for the daemon"""
    needs(ANALYZE)
    for name, limit in EXPOSED.items():
        said = run(ANALYZE, "security", "--offline=true", "--no-pager", "--threshold=%d" % limit,
                   os.path.join(BUILD, "etc", name))
        tap.note(said.strip().splitlines()[-1].encode("ascii", "ignore").decode())
        run(ANALYZE, "security", "--offline=true", "--no-pager", "--threshold=1",
            os.path.join(BUILD, "etc", name), want=1)
    keys = dict(unit("arken-fcgi.service"))
    for key, value in (("User", "arken-fcgi"), ("Group", "arkenspool"), ("LimitCORE", "0"),
                       ("StandardInput", "socket"), ("NoNewPrivileges", "yes"),
                       ("PrivateNetwork", "yes"), ("ProtectSystem", "strict"),
                       ("CapabilityBoundingSet", ""), ("RestrictAddressFamilies", "AF_UNIX")):
        tap.same(keys[key], value, key)
    socket = dict(unit("arken-fcgi.socket"))
    tap.same((socket["SocketMode"], socket["SocketGroup"]), ("0660", "www-data"))
    tap.same(socket["ListenStream"], installed("/arkenspool/arken.sock", "runstatedir"))


@test
def users_and_folders():
    """systemd-sysusers and systemd-tmpfiles make what the units need"""
    needs("/usr/bin/systemd-sysusers", "/usr/bin/systemd-tmpfiles")
    needs_root()
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(root + "/etc")
        run("systemd-sysusers", "--root=" + root, os.path.join(BUILD, "etc/sysusers.conf"))
        users = {line.split(":")[0]: line.split(":") for line in
                 read(root + "/etc/passwd").splitlines()}
        groups = {line.split(":")[0]: line.split(":")[2] for line in
                  read(root + "/etc/group").splitlines()}
        tap.same(sorted(users), ["arken-fcgi", "arkenspool"])
        for user in users.values():
            tap.same(user[3], groups["arkenspool"], "the group of " + user[0])
        run("systemd-tmpfiles", "--create", "--root=" + root,
            os.path.join(BUILD, "etc/tmpfiles.conf"))
        for folder, mode in (("spooldir", 0o2750), ("statedir", 0o750)):
            st = os.stat(root + installed("", folder))
            tap.same((st.st_mode & 0o7777, str(st.st_uid), str(st.st_gid)),
                     (mode, users["arkenspool"][2], groups["arkenspool"]), folder)


def confined(namespaces, uid, *more):
    """A command before a program that makes it this user, with nothing of its own."""
    return ["unshare"] + namespaces + ["--", "setpriv", "--reuid=%d" % uid, "--regid=%d" % GROUP,
                                       "--clear-groups", "--bounding-set=-all",
                                       "--inh-caps=-all", "--no-new-privs"] + list(more)


def check_alone(pid, uid):
    """No interface, no socket of the Internet, no capability, another user."""
    status = dict(re.findall(r"^(\w+):\s*(.*)$", read("/proc/%d/status" % pid), re.M))
    tap.same(status["Uid"].split(), [str(uid)] * 4)
    tap.same((status["CapEff"], status["CapPrm"], status["CapBnd"], status["NoNewPrivs"]),
             ("0" * 16, "0" * 16, "0" * 16, "1"))
    assert os.readlink("/proc/%d/ns/net" % pid) != os.readlink("/proc/self/ns/net")
    interfaces = [line.split(":")[0].strip() for line in
                  read("/proc/%d/net/dev" % pid).splitlines()[2:]]
    tap.same(interfaces, ["lo"], "interfaces")
    tap.same(len(read("/proc/%d/net/fib_trie" % pid).strip()), 0, "routes: lo is down")
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        lines = read("/proc/%d/net/%s" % (pid, kind)).splitlines()
        tap.same(lines[1:], [], kind)


@test
def without_a_network():
    """as www-data, in a network namespace with nothing in it: the whole table, through nginx"""
    needs_root()
    with Site("nginx", receiver_user=None, prefix=confined(["--net"], NOBODYS),
              spool=answers_table.SPOOL) as s:
        check_alone(s.fcgi[0].pid, NOBODYS)
        answers_table.run(s, "nginx")
        check_alone(s.fcgi[0].pid, NOBODYS)


@test
def with_other_users_hidden():
    """as PrivateUsers= hides them: the owner of the spool is nobody anybody knows"""
    needs_root()
    hidden = ["unshare", "--user", "--map-user=%d" % RECEIVER_USER, "--map-group=%d" % GROUP,
              "--net", "--ipc", "--"]
    if subprocess.run(["setpriv", "--reuid=%d" % RECEIVER_USER, "--regid=%d" % GROUP,
                       "--clear-groups"] + hidden + ["true"], capture_output=True).returncode:
        raise tap.Skip("no user namespaces here")
    with Site("nginx", prefix=hidden) as s:
        assert os.readlink("/proc/%d/ns/user" % s.fcgi[0].pid) != \
            os.readlink("/proc/self/ns/user")
        for n in range(1, 4):
            tap.same(s.post(event(n))[0], 200)
        tap.same(s.post(b"no event")[0], 400)
        tap.same((len(s.names("new")), len(s.names("rejected"))), (3, 1))


# ---- system calls ----

_sets = {}


def calls_of(name):
    """The system calls of a set, those of the sets in it included."""
    if not _sets:
        now = None
        for line in run(ANALYZE, "syscall-filter", "--no-pager").splitlines():
            line = line.split("\x1b")[0].rstrip()
            if line.startswith("@"):
                now = _sets.setdefault(line, set())
            elif now is not None and re.match(r"\s+[@\w-]+$", line):
                now.add(line.strip())
    out = set()
    for call in _sets[name]:
        out |= calls_of(call) if call.startswith("@") else {call}
    return out


def allowed(name):
    filters = [v.split() for k, v in unit(name) if k == "SystemCallFilter"]
    words = [("~" if f[0].startswith("~") else "") + w.lstrip("~") for f in filters for w in f]
    tap.same(words, SETS[name], "the filter of " + name)
    out = set()
    for word in words:
        if word.startswith("~"):
            out -= calls_of(word[1:])
        else:
            out |= calls_of(word)
    # ever allowed, as systemd.exec(5) says of @default
    return out | calls_of("@default")


def traced(path):
    """What a traced program asked of the system, from its own start on."""
    lines = read(path).splitlines()
    start = max(i for i, line in enumerate(lines) if " execve(" in line)
    tap.note("%d system calls traced" % (len(lines) - start))
    return lines[start + 1:]


def names_of(lines):
    return set(m.group(1) for m in (re.match(r"\d+ +(\w+)\(", line) for line in lines) if m)


def check_calls(name, lines):
    used = names_of(lines)
    tap.note("%s: %s" % (name, " ".join(sorted(used))))
    tap.same(sorted(used - allowed(name)), [], "not allowed by " + name)
    assert "ptrace" not in allowed(name) and "mount" not in allowed(name)


@test
def the_receiver_needs_no_more():
    """its system calls are those of its unit, and no socket is of the Internet"""
    needs(ANALYZE, "/usr/bin/strace")
    with Site("nginx-keep", threads=4, spool=answers_table.SPOOL) as s:
        s.fcgi[0].end()
        out = s.folder("run/trace", RECEIVER_USER) + "/calls"
        s.prefix = ["strace", "-f", "-qq", "-o", out]
        strace = s.start_receiver()
        answers_table.run(s, "nginx-keep")
        # strace ends with the program
        os.kill(server_tests.child_of(strace.pid, RECEIVER), signal.SIGTERM)
        tap.same(strace.p.wait(chain.WAIT), 0)
        lines = traced(out)
        check_calls("arken-fcgi.service", lines)
        sockets = [line for line in lines if re.search(r"\bsocket(pair)?\(", line)]
        tap.same([line for line in sockets if "AF_UNIX" not in line], [], "sockets")
        tap.same([line for line in lines if re.search(r"\b(connect|bind|listen|sendto)\(", line)
                  and "AF_UNIX" not in line and "sendto" not in line], [], "connections")
        assert any(re.search(r"\baccept4?\(", line) for line in lines), "nothing was traced"


@test
def the_daemon_needs_no_more():
    """the system calls of spoold are those of its unit"""
    needs(ANALYZE, "/usr/bin/strace")
    with Chain("unit", receiver="listen", daemon_starts=False) as c:
        out = c.folder("run/trace", chain.DAEMON_USER) + "/calls"
        script = c.write("traced", "#!/bin/sh\nexec strace -f -qq -o %s %s \"$@\"\n" % (
            out, SPOOLD), 0o755)
        strace = chain.Process("spoold", [script, "-c", c.conf], c.dir + "/spoold.log",
                               chain.DAEMON_USER)
        strace.wait_said("what=started")
        c.sandbox.emit("all")
        c.sandbox.quiet()
        c.wait_until_settled(c.sandbox.stats()["events"])
        os.kill(server_tests.child_of(strace.pid, SPOOLD), signal.SIGTERM)
        tap.same(strace.p.wait(chain.WAIT), 0)
        strace.end()
        check_calls("spoold.service", traced(out))


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
