# SPDX-License-Identifier: ISC
"""servers - the receiver behind a real web server, started from a configuration of www/.

A configuration is taken as it is built, and only paths, the port and the
certificate are replaced: a text that is not there to be replaced is a failure.
Around it stands as little as a main configuration needs.

Started by root, three users take part: the web server's, the receiver's and
the spool's; the socket is made as etc/arken-fcgi.socket says, by root, for the
group of the web server, and handed to the receiver as standard input.  Each
server listens on a loopback address that belongs to this process alone.
"""
import base64
import collections
import http.client
import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import time

import chain
import tap
from chain import BUILD, Chain, Failure, IS_ROOT, Process, RECEIVER, RECEIVER_USER, WAIT

WEB_USER, WEB_GROUP, STRANGER = 64013, 64014, 64015
HOST = "webhook.example.com"
CERTIFICATE = "/etc/letsencrypt/live/%s/" % HOST
APACHE_MODULES = "/usr/lib/apache2/modules"
MAX_BODY = 10 << 20    # the default of the configuration
SERVER_BODY = 11 << 20  # what the configurations of www/ let pass
# A secret that arrives only if Authorization arrives whole.
BEARER = "Bearer " + "eyJhbGciOiJFUzI1NiJ9." + "Abc_-9" * 160 + ".sIg-_0~+/=="

ISSUER, AUDIENCE = "https://id.example.com/", "https://%s/arken" % HOST

_ports = itertools.count(8443)


def loopback():
    """An address nobody else uses, for each process another."""
    pid = os.getpid()
    return "127.%d.%d.%d" % (64 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255)


class Way:
    """One way from a web server to the receiver."""
    spawns = False  # the web server starts the receiver
    threads = 2     # of the receiver: fewer than senders
    program = None  # the web server
    shipped = None  # its configuration in www/
    parts = ()      # files that have to be there
    env = {}

    def __init__(self, site):
        self.site, self.dir = site, site.dir

    def replace(self, text):
        """The shipped configuration with the paths of this test."""
        s = self.site
        swaps = [(CERTIFICATE + "fullchain.pem", s.dir + "/etc/web.pem"),
                 (CERTIFICATE + "privkey.pem", s.dir + "/etc/web.key")] + self.swaps()
        for old, new in swaps:
            if old not in text:
                raise Failure("www/%s has no %r" % (self.shipped, old))
            text = text.replace(old, new)
        return text

    def configure(self):
        """Write all it needs; the path of the main configuration."""
        text = self.replace(read(os.path.join(BUILD, "www", self.shipped)))
        part = self.site.write("etc/shipped.conf", text)
        return self.site.write("etc/main.conf", self.main().format(
            dir=self.dir, web=self.dir + "/web", part=part, address=self.site.address,
            port=self.site.port, http=self.site.port + 1000))

    def socket(self):
        """The files of sockets that lead to the receiver."""
        return [self.site.sock()]


def installed(name, variable):
    """What configure made of a folder, as it stands in the built configurations."""
    makefile = read(os.path.join(BUILD, "Makefile"))
    found = re.search(r"^%s = (.*)$" % variable, makefile, re.M)
    if not found:
        raise Failure("no %s in the Makefile" % variable)
    value = found.group(1)
    while "$" in value:
        value = re.sub(r"\$[{(](\w+)[)}]",
                       lambda m: re.search(r"^%s = (.*)$" % m.group(1), makefile, re.M).group(1),
                       value)
    return value + name


def read(path):
    with open(path) as f:
        return f.read()


class Lighttpd(Way):
    program, shipped = "/usr/sbin/lighttpd", "lighttpd-socket.conf"
    parts = ("/usr/lib/lighttpd/mod_openssl.so",)

    def swaps(self):
        s = self.site
        return [('"0.0.0.0:443"', '"%s:%d"' % (s.address, s.port)),
                ('$SERVER["socket"] == "[::]:443"', '$SERVER["socket"] == "[::1]:%d"' % s.port6),
                (installed("/arkenspool/arken.sock", "runstatedir"), s.sock())]

    def main(self):
        return """\
server.modules = ( "mod_fastcgi" )
server.bind = "{address}"
server.port = {http}
server.document-root = "{dir}/www"
server.errorlog = "{dir}/web.log"
server.upload-dirs = ( "{web}" )
include "{part}"
"""

    def argv(self, conf):
        return [self.program, "-D", "-f", conf]


class LighttpdSpawn(Lighttpd):
    spawns, shipped = True, "lighttpd-spawn.conf"

    def swaps(self):
        s = self.site
        return Lighttpd.swaps(self)[:2] + [
            ("/run/lighttpd/arken.sock", s.dir + "/web/arken.sock"),
            (installed("/arken.fcgi", "fcgidir"), RECEIVER),
            (installed("/arkenspool.conf", "confdir"), s.conf)]

    def socket(self):
        return [self.dir + "/web/arken.sock-0"]


class Nginx(Way):
    program, shipped = "/usr/sbin/nginx", "nginx.conf"

    def swaps(self):
        s = self.site
        return [("listen 443 ssl", "listen %s:%d ssl" % (s.address, s.port)),
                ("listen [::]:443 ssl", "listen [::1]:%d ssl" % s.port6),
                ("server_name " + HOST, "server_name " + HOST),
                (installed("/arkenspool/arken.sock", "runstatedir"), s.sock())]

    def main(self):
        paths = "".join("    %s_temp_path {web}/%s;\n" % (n, n) for n in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return """\
worker_processes 2;
pid {web}/nginx.pid;
error_log {dir}/web.log info;
events {{ worker_connections 768; }}
http {{
    access_log {dir}/access.log;
""" + paths + "    include {part};\n}}\n"

    def argv(self, conf):
        return [self.program, "-e", self.dir + "/web.log", "-g", "daemon off;", "-c", conf]


class NginxKeep(Nginx):
    shipped = "nginx-keep.conf"


class Apache(Way):
    program, shipped = "/usr/sbin/apache2", "apache-proxy.conf"
    threads = 150  # as the configuration says
    modules = "mpm_event authz_core reqtimeout socache_shmcb ssl alias env proxy proxy_fcgi"
    parts = tuple(APACHE_MODULES + "/mod_%s.so" % m for m in modules.split())

    def swaps(self):
        s = self.site
        return [("*:443", "%s:%d" % (s.address, s.port)),
                (installed("/arkenspool/arken.sock", "runstatedir"), s.sock())]

    def main(self):
        return "".join("LoadModule %s_module %s/mod_%s.so\n" % (m, APACHE_MODULES, m)
                       for m in self.modules.split()) + """\
ServerName localhost
ServerRoot {web}
DefaultRuntimeDir {web}
PidFile {web}/apache2.pid
Mutex file:{web} default
ErrorLog {dir}/web.log
DocumentRoot {dir}/www
Listen {address}:{port}
""" + self.more() + "Include {part}\n"

    def more(self):
        return ""

    def argv(self, conf):
        return [self.program, "-DFOREGROUND", "-f", conf]


class ApacheFcgid(Apache):
    spawns, shipped = True, "apache-fcgid.conf"
    modules = "mpm_event authz_core reqtimeout socache_shmcb ssl alias env fcgid"
    parts = tuple(APACHE_MODULES + "/mod_%s.so" % m for m in modules.split())

    def swaps(self):
        # one program in a folder of its own, as it is installed
        folder = os.path.dirname(RECEIVER)
        return Apache.swaps(self)[:1] + [
            (installed("", "fcgidir"), folder),
            (installed("/arkenspool.conf", "confdir"), self.site.conf)]

    def more(self):
        return "FcgidIPCDir {web}/fcgid\nFcgidProcessTableFile {web}/fcgid/table\n"

    def socket(self):
        folder = self.dir + "/web/fcgid"
        return [os.path.join(folder, n) for n in os.listdir(folder) if n != "table"]


class ApacheCgi(ApacheFcgid):
    shipped = "apache-cgi.conf"
    modules = "mpm_event authz_core reqtimeout socache_shmcb ssl alias env cgid"
    parts = tuple(APACHE_MODULES + "/mod_%s.so" % m for m in modules.split())

    def more(self):
        return "ScriptSock {web}/cgid\n"

    def socket(self):
        return [n for n in (self.dir + "/web/" + n for n in os.listdir(self.dir + "/web"))
                if n.startswith(self.dir + "/web/cgid")]


class Caddy(Way):
    program, shipped = "/usr/bin/caddy", "Caddyfile"

    def replace(self, text):
        # the certificate that is there already, as the comment says
        text = text.replace("# tls ", "tls ")
        return Way.replace(self, text)

    def swaps(self):
        s = self.site
        return [(HOST + " {", "%s:%d {\n\tbind %s" % (HOST, s.port, s.address)),
                ("unix/" + installed("/arkenspool/arken.sock", "runstatedir"),
                 "unix/" + s.sock())]

    def main(self):
        return """\
{{
	admin off
	auto_https disable_redirects
	http_port {http}
	storage file_system {web}
	log {{
		output file {dir}/web.log
	}}
}}
import {part}
"""

    def argv(self, conf):
        self.env = {"HOME": self.dir + "/web", "XDG_DATA_HOME": self.dir + "/web",
                    "XDG_CONFIG_HOME": self.dir + "/web"}
        return [self.program, "run", "--config", conf, "--adapter", "caddyfile"]


WAYS = collections.OrderedDict([
    ("lighttpd-socket", Lighttpd), ("lighttpd-spawn", LighttpdSpawn), ("nginx", Nginx),
    ("nginx-keep", NginxKeep), ("apache-proxy", Apache), ("apache-fcgid", ApacheFcgid),
    ("apache-cgi", ApacheCgi), ("caddy", Caddy)])


class Site(Chain):
    """
    with Site("nginx") as s: ...; no daemon, so that what was accepted stays in new.

    threads: of a receiver behind the socket.  prefix: a command it is run by.
    """

    def __init__(self, way, threads=16, prefix=(), receiver_user=RECEIVER_USER, **kw):
        super().__init__("web-" + way, receiver=None, daemon_starts=False, **kw)
        self.way = WAYS[way](self)
        self.threads, self.prefix, self.receiver_user = threads, list(prefix), receiver_user
        self.address, self.port = loopback(), next(_ports)
        self.port6 = 20000 + (os.getpid() * 8 + self.port) % 40000
        self.extra["more"] = MORE_ACCOUNTS.format(dir=self.dir) + self.extra["more"]

    def sock(self, i=0):
        return self.dir + "/run/arken.sock"

    def _start(self):
        if not os.access(self.way.program, os.X_OK):
            raise tap.Skip("%s is not installed" % self.way.program)
        for part in self.way.parts:
            if not os.path.exists(part):
                raise tap.Skip("%s is not installed" % part)
        super()._start()
        self.write("etc/bearer.secret", BEARER + "\n", 0o640, 0)
        self.issuer = Issuer(self.dir + "/etc")
        self.write("var/spool/keys/oidc.json", self.issuer.keys(), 0o640, chain.DAEMON_USER)
        self._web_certificate()
        self.folder("web", mode=0o700)
        if isinstance(self.way, ApacheFcgid):
            self.folder("web/fcgid", mode=0o700)
        if IS_ROOT:
            for name in ("web", "web/fcgid"):
                if os.path.exists(os.path.join(self.dir, name)):
                    os.chown(os.path.join(self.dir, name), WEB_USER, WEB_GROUP)
        self.listen_fd = None
        if not self.way.spawns:
            self.listen_as_unit()
            self.start_receiver()
        self.start_server()

    def _web_certificate(self):
        key, pem = self.dir + "/etc/web.key", self.dir + "/etc/web.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=" + HOST, "-addext", "subjectAltName=DNS:" + HOST, "-keyout", key,
                        "-out", pem], check=True, capture_output=True)
        if IS_ROOT:
            os.chown(key, WEB_USER, WEB_GROUP)
        self.tls_context = ssl.create_default_context(cafile=pem)

    def listen_as_unit(self):
        """What systemd does for etc/arken-fcgi.socket."""
        unit = dict(line.split("=", 1) for line in read(os.path.join(
            BUILD, "etc/arken-fcgi.socket")).splitlines() if "=" in line)
        self.listen_fd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777)
        try:
            self.listen_fd.bind(self.sock())
        finally:
            os.umask(before)
        if IS_ROOT:
            os.chown(self.sock(), 0, WEB_GROUP)
        os.chmod(self.sock(), int(unit["SocketMode"], 8))
        self.listen_fd.listen(int(unit["Backlog"]))

    def start_receiver(self, i=0):
        argv = self.prefix + [RECEIVER, "-c", self.conf, "-t", str(self.threads)]
        p = Process("arken.fcgi", argv, self.dir + "/receiver.log", self.receiver_user,
                    stdin=self.listen_fd)
        p.wait_said("what=started")
        self.fcgi[i:i + 1] = [p]
        return p

    def start_server(self):
        conf = self.way.configure()
        for name in ("web.log", "access.log"):
            path = self.write(name, "", 0o666)
        who = {}
        if IS_ROOT:
            # spawned, the receiver has the web server's rights: in the group of the spool then
            who = {"user": WEB_USER, "group": WEB_GROUP,
                   "extra_groups": [chain.GROUP] if self.way.spawns else []}
        argv = self.way.argv(conf)
        self.web = WebServer(self.way.program, argv, self.dir + "/server.log", self.way.env,
                             who)
        self.web.wait_listening(self.address, self.port, self.dir + "/web.log")

    def __exit__(self, kind, value, trace):
        try:
            super().__exit__(kind, value, trace)
        finally:
            if getattr(self, "listen_fd", None):
                self.listen_fd.close()

    # -- talking --

    def connect(self):
        s = socket.create_connection((self.address, self.port), WAIT)
        return self.tls_context.wrap_socket(s, server_hostname=HOST)

    def talk(self, head, body=b""):
        """Raw lines of a head, and a body: status, headers, body; None: no answer came."""
        s = self.connect()
        try:
            try:
                s.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
                for at in range(0, len(body), 1 << 16):
                    s.sendall(body[at:at + (1 << 16)])
            except OSError:
                pass  # refused before all was sent: the answer is there already
            return answer_of(s, head[0].split()[0])
        finally:
            s.close()

    def post(self, body, path="/arken/acme", method="POST", headers=None, secret=chain.SECRET,
             content_type="application/json", chunked=False, more=()):
        head = ["%s %s HTTP/1.1" % (method, path), "Host: " + HOST, "Connection: close"]
        if secret is not None:
            head.append("%s: %s" % (chain.HEADER, secret))
        if content_type is not None:
            head.append("Content-Type: " + content_type)
        head += ["%s: %s" % h for h in (headers or {}).items()]
        head += list(more)
        if chunked:
            head.append("Transfer-Encoding: chunked")
            body = chunks(body)
        elif body is not None:
            head.append("Content-Length: %d" % len(body))
        return self.talk(head, body or b"")


MORE_ACCOUNTS = """
[account bearer]
path = /arken/bearer
secret_header = Authorization
secret_file = {dir}/etc/bearer.secret
[account oidc]
path = /arken/oidc
issuer = %s
audience = %s
""" % (ISSUER, AUDIENCE)


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Issuer:
    """An issuer of bearer tokens that is a key only: no server, openssl signs."""

    def __init__(self, folder):
        self.key = folder + "/issuer.key"
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True,
                       capture_output=True)

    def keys(self):
        said = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"],
                              check=True, capture_output=True, text=True).stdout
        modulus = bytes.fromhex(said.strip().partition("=")[2])
        now = int(time.time() * 1000)
        # exactly as the daemon writes it
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "e": "AQAB",
               "n": base64url(modulus)}
        return json.dumps({"version": 1, "issuer": ISSUER, "fetched": now, "tried": now,
                           "jwks": {"keys": [key]}}, separators=(",", ":")) + "\n"

    def token(self, **more):
        now = int(time.time())
        head = {"alg": "RS256", "typ": "at+jwt", "kid": "one"}
        claims = dict({"iss": ISSUER, "aud": AUDIENCE, "sub": "arken", "iat": now,
                       "exp": now + 600}, **more)
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=text.encode(), check=True, capture_output=True).stdout
        return text + "." + base64url(signature)


def chunks(body, size=65521):
    out = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + size]), body[i:i + size])
                   for i in range(0, len(body), size))
    return out + b"0\r\n\r\n"


def answer_of(s, method="POST"):
    try:
        r = http.client.HTTPResponse(s, method=method)
        r.begin()
        return r.status, r.headers, r.read()
    except (OSError, http.client.HTTPException) as e:
        return None, {}, str(e).encode()


class WebServer(Process):
    def __init__(self, program, argv, log, env, who):
        self.who = who
        super().__init__(os.path.basename(program), argv, log, env=env, who=who)

    def wait_listening(self, address, port, log):
        """Until it takes connections; it says nothing by which one could tell."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection((address, port), WAIT).close()
                return
            except ConnectionRefusedError:
                pass
            if not self.alive():
                raise Failure("%s ended with %d: %s%s" % (
                    self.name, self.p.returncode, self.said()[-2000:], read(log)[-2000:]))
            if time.monotonic() > deadline:
                raise Failure("%s does not listen: %s" % (self.name, read(log)[-2000:]))
            self.pause()

    def pause(self):
        """A moment, or the end of the process."""
        try:
            self.p.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
