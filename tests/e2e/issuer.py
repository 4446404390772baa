# SPDX-License-Identifier: ISC
"""issuer - a real OpenID Connect provider (npm: oidc-provider) over TLS on loopback.

Its packages are installed once a build folder, from the lock file in oidc/ and without running
any script of theirs.  Where node or npm is missing, or nothing can be installed, the tests are
skipped and say why.
"""
import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse

import tap
from chain import BUILD, HERE, Failure, Process, ask

SOURCE = os.path.join(HERE, "oidc")
MODULES = os.path.join(BUILD, "tests", "oidc")
AUDIENCE = "https://hooks.example.com/arken"
SECRET = "a-client-secret-of-the-tests-0123456789"
HOST = "issuer.localhost"
ALGORITHMS = ("RS256", "PS256", "ES256")


_cannot = []  # why it cannot be installed: tried once


def install():
    """The folder with node_modules."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise tap.Skip("%s is not installed" % program)
    with open(os.path.join(SOURCE, "package-lock.json"), "rb") as f:
        lock = f.read()
    os.makedirs(MODULES, exist_ok=True)
    done = os.path.join(MODULES, "installed")
    with open(os.path.join(MODULES, "lock"), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if _cannot:
            raise tap.Skip(_cannot[0])
        if os.path.exists(done):
            with open(done, "rb") as f:
                if f.read() == lock:
                    return MODULES
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(SOURCE, name), MODULES)
        try:
            r = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                                "--prefer-offline", "--fetch-retries=1"], cwd=MODULES, capture_output=True,
                               text=True, timeout=180, stdin=subprocess.DEVNULL)
            failed = r.returncode != 0 and (r.stderr.strip() or "npm ci failed")
        except subprocess.TimeoutExpired:
            failed = "npm ci took too long"
        if failed:
            _cannot.append("oidc-provider cannot be installed: " + failed.splitlines()[0])
            raise tap.Skip(_cannot[0])
        with open(done, "wb") as f:
            f.write(lock)
    return MODULES


_made, _making = {}, threading.Lock()


def key_set(name):
    """
    Private keys as JWKs, one for each algorithm: "one", "two", or "foreign", whose keys call
    themselves as those of "one" do.  Made at the first call, all of them.
    """
    with _making:
        if not _made:
            kids = {"one": "one", "two": "two", "foreign": "one"}
            wanted = ["%s:%s-%s" % (a, kid, a) for kid in kids.values() for a in ALGORITHMS]
            r = subprocess.run(["node", os.path.join(SOURCE, "keygen.mjs"), install()] + wanted,
                               capture_output=True, text=True, check=True, timeout=120)
            keys = json.loads(r.stdout)
            for i, n in enumerate(kids):
                _made[n] = keys[i * len(ALGORITHMS):(i + 1) * len(ALGORITHMS)]
        return _made[name]


class Issuer:
    """
    with Issuer() as i: ... ; a provider with a key for each algorithm, "one-RS256" and so on.

    Its URL stays the same over stop() and start().
    """

    def __init__(self, keys="one", life=600):
        self.modules = install()
        self.dir = tempfile.mkdtemp(prefix="arken-issuer.",
                                    dir=os.environ.get("ARKEN_TEST_DIR", "/var/tmp"))
        os.chmod(self.dir, 0o755)
        self.ca = self.dir + "/issuer.pem"
        self.ill = self.dir + "/ill"  # while it is there, the issuer gives nothing
        self.port, self.life, self.process = 0, life, None
        self.keys = key_set(keys)
        self.asked = 0  # of processes that have ended

    def __enter__(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=" + HOST, "-addext", "subjectAltName=DNS:" + HOST,
                        "-keyout", self.dir + "/issuer.key", "-out", self.ca],
                       check=True, capture_output=True)
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None:
            with open(self.dir + "/issuer.log", errors="replace") as f:
                tap.note("---- the issuer")
                tap.note("".join(f.readlines()[-15:]))
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        with open(self.dir + "/settings.json", "w") as f:
            json.dump({"modules": self.modules, "cert": self.ca,
                       "key": self.dir + "/issuer.key", "host": HOST, "port": self.port,
                       "keys": self.keys, "secret": SECRET, "life": self.life,
                       "audience": AUDIENCE, "ill": self.ill}, f)
        self.process = Process("issuer", ["node", os.path.join(SOURCE, "provider.mjs"),
                                          self.dir + "/settings.json"],
                               self.dir + "/issuer.log")
        self.process.wait_said("ready ")
        line = [x for x in self.process.said().splitlines() if x.startswith("ready ")][0]
        self.port = int(line.split()[1])
        self.url = "https://%s:%d" % (HOST, self.port)

    def stop(self):
        if self.process is not None:
            self.process.end()
            self.asked += self._asked_now()
            self.process = None

    def rotate(self, keys):
        """Other keys than before, at the same place."""
        self.stop()
        self.keys = key_set(keys)
        self.start()

    def _asked_now(self):
        return self.process.said().splitlines().count(
            "GET /.well-known/openid-configuration")

    def fetches(self):
        """How often it was asked for its keys: each time begins with its document."""
        return self.asked + (self._asked_now() if self.process else 0)

    def token(self, alg="RS256", **more):
        """A client-credentials token, as a client gets it."""
        form = {"grant_type": "client_credentials", "client_id": "arken-" + alg,
                "client_secret": SECRET}
        status, _, text = ask(self.url + "/token", "POST",
                              urllib.parse.urlencode(dict(form, **more)),
                              {"Content-Type": "application/x-www-form-urlencoded"}, self.ca)
        if status != 200:
            raise Failure("the issuer gives no token: %d %r" % (status, text))
        return json.loads(text)["access_token"]

    def mint(self, alg="RS256", kid=None, typ="at+jwt", **claims):
        """A token that the issuer's key has signed, whatever it says."""
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "arken", "iat": now, "exp": now + 300}
        said.update(claims)
        header = {"alg": alg, "typ": typ, "kid": kid or self.kid(alg)}
        status, _, text = ask(self.url + "/mint", "POST", json.dumps(
            {"header": header, "claims": {k: v for k, v in said.items() if v is not None}}),
            {"Content-Type": "application/json"}, self.ca)
        if status != 200:
            raise Failure("no token is made: %r" % text)
        return text.decode()

    def kid(self, alg):
        return [k["kid"] for k in self.keys if k["alg"] == alg][0]


def claims(token, part=1):
    """What a token says; part 0: its header."""
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
