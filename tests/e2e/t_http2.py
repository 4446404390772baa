#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_http2 - many calls to the API make few connections, by HTTP/2 where the server has it.

nginx stands before the stand-in's API and writes down what each request came by.
"""
import os
import shutil
import subprocess
import sys
import urllib.parse

import tap
from chain import Chain, Process, RECEIVER_USER, listen_tcp, wait_until

TESTS = []
CALLS = 20
CONF = """\
daemon off;
worker_processes 1;
pid {dir}/run/nginx.pid;
error_log {dir}/nginx.error.log;
events {{ worker_connections 256; }}
http {{
	log_format how "$server_protocol $connection $status $request_method $uri";
	client_body_temp_path {dir}/run/body;
	proxy_temp_path {dir}/run/proxy;
	fastcgi_temp_path {dir}/run/fastcgi;
	uwsgi_temp_path {dir}/run/uwsgi;
	scgi_temp_path {dir}/run/scgi;
	server {{
		listen 127.0.0.1:{port} ssl{http2};
		ssl_certificate {dir}/etc/front.pem;
		ssl_certificate_key {dir}/etc/front.key;
		access_log {dir}/front.log how;
		location / {{ proxy_pass https://127.0.0.1:{api}; }}
	}}
}}
"""


class Front(Chain):
    """A chain whose daemon reaches the API through nginx."""

    def __init__(self, http2, concurrency):
        super().__init__("http2" if http2 else "http1", daemon_starts=False,
                         daemon="concurrency = %d" % concurrency, account="reconcile = off")
        self.http2, self.nginx = " http2" if http2 else "", None

    def _start(self):
        if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
            raise tap.Skip("nginx is not installed")
        super()._start()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=front", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        self.dir + "/etc/front.key", "-out", self.dir + "/etc/front.pem"],
                       check=True, capture_output=True)
        os.chmod(self.dir + "/etc/front.key", 0o644)
        listener = listen_tcp()
        port = listener.getsockname()[1]
        conf = self.write("etc/nginx.conf", CONF.format(
            dir=self.dir, port=port, http2=self.http2, api=urllib.parse.urlsplit(
                self.sandbox.env["API_URL"]).port))
        for name in "front.log", "nginx.error.log":
            self.write(name, "", 0o664, RECEIVER_USER)
        # an inherited socket: no port to race for, and what comes early waits in its queue
        self.nginx = Process("nginx", ["nginx", "-c", conf], self.dir + "/nginx.log",
                             RECEIVER_USER, env={"NGINX": "%d;" % listener.fileno()},
                             fds=[listener.fileno()])
        listener.close()
        both = self.write("etc/both.pem", self.read(self.sandbox.env["CA_FILE"]).decode() +
                          self.read(self.dir + "/etc/front.pem").decode())
        self.sandbox.env.update(API_URL="https://127.0.0.1:%d" % port, CA_FILE=both)
        self.configure()

    def __exit__(self, *args):
        if self.nginx:
            self.nginx.end()
        return super().__exit__(*args)

    def came(self, n):
        """Protocol and connection of each of the n requests that came; all were answered 200."""
        def rows():
            return [r for r in self.read(self.dir + "/front.log").decode().splitlines(True)
                    if r.endswith("\n")]
        wait_until(lambda: len(rows()) >= n, [self.dir + "/front.log"],
                   lambda: "%d requests; there are %r" % (n, rows()), 10)
        split = [r.split() for r in rows()]
        tap.same([r[2:] for r in split], [["200", "GET", "/client"]] * n)
        return {r[0] for r in split}, {r[1] for r in split}


def waiting(c):
    """So many events, each about a client of its own, and then the daemon starts."""
    events = c.sandbox.emit("Client.Create", count=CALLS)
    tap.same(len({e["clientHashId"] for e in events}), CALLS)
    c.sandbox.quiet()
    c.start_daemon()
    c.wait_state(done=CALLS)


def test(f):
    TESTS.append(f)
    return f


@test
def http_2():
    """20 calls at once: by HTTP/2, over at most 2 connections"""
    with Front(True, CALLS) as c:
        waiting(c)
        protocols, connections = c.came(CALLS)
        tap.note("%d calls, %d connections" % (CALLS, len(connections)))
        tap.same(protocols, {"HTTP/2.0"})
        assert len(connections) <= 2, connections


@test
def http_1():
    """a server without HTTP/2, 4 calls at a time: no more connections than that, for all of 40"""
    with Front(False, 4) as c:
        waiting(c)
        c.sandbox.emit("Client.Create", count=CALLS)
        c.wait_state(done=2 * CALLS)
        protocols, connections = c.came(2 * CALLS)
        tap.note("%d calls, %d connections" % (2 * CALLS, len(connections)))
        tap.same(protocols, {"HTTP/1.1"})
        assert len(connections) <= 4, connections


if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:], jobs=2)
