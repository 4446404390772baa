#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""layers - the rules of docs/design.md about who may include whom, as a test.

Each module of lib has a level; a file includes only headers of lower levels of
lib and of its own folder.  A program's folder includes nothing of another
program's.  Each external library is included by exactly one file.  Functions
have at most 60 lines, lines at most 100 columns, and some calls are banned.
Prints TAP.  With --self-test it checks planted mistakes instead.
"""
import os
import re
import sys
import tempfile

LEVELS = [
    {"err"},
    {"clk", "str"},
    {"buf", "budget", "hash", "mapped"},
    {"log"},
    {"io"},
    {"json", "name"},
    {"conf", "event", "rec", "count", "keyfile"},
    {"retry", "evlog", "pause", "spool", "guard"},
    {"setup", "intake", "http", "store"},
    {"token", "api", "digest", "discovery", "feed", "sniff", "verdict"},
    {"download"},
]
# files that belong to the module of another name
PARTS = {"conf_keys": "conf", "conf_print": "conf", "conf_read": "conf", "conf_value": "conf",
         "confgen": "conf", "spool_make": "spool", "spool_move": "spool", "spool_walk": "spool",
         "spool_priv": "spool", "http_body": "http", "http_priv": "http", "http_text": "http"}
LIBRARIES = {
    "libfcgi": r"fcgi", "cJSON": r"cjson/", "libcurl": r"curl/", "OpenSSL": r"openssl/",
    "cjose": r"cjose/", "inih": r"ini\.h", "libmicrohttpd": r"microhttpd",
}
BANNED = r"\b(sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|atoi|atol|atof|gets|mktemp|tmpnam)\s*\("
BANNED_SHIPPED = r"\b(system|popen)\s*\("  # tests may run commands
PROGRAMS = ["fcgi", "spoold", "spoolctl"]
MAX_LINES = 60
MAX_COLUMNS = 100


def level_of(module):
    for i, names in enumerate(LEVELS):
        if module in names:
            return i
    return None


def module_of(path):
    stem = os.path.splitext(os.path.basename(path))[0]
    return PARTS.get(stem, stem)


def sources(top, folder):
    at = os.path.join(top, folder)
    if not os.path.isdir(at):
        return []
    return sorted(os.path.join(folder, f) for f in os.listdir(at) if f.endswith((".c", ".h")))


def includes(text):
    return re.findall(r'^#include\s+(["<])([^">]+)[">]', text, re.M)


def check_lib_includes(top, problems):
    for path in sources(top, "lib"):
        mine = level_of(module_of(path))
        if mine is None:
            problems.append(f"{path}: its module has no level in tests/lint/layers.py")
            continue
        for kind, name in includes(open(os.path.join(top, path)).read()):
            if kind == "<" or name == "config.h":
                continue
            other = level_of(module_of(name))
            if module_of(name) == module_of(path):
                continue
            if other is None:
                problems.append(f"{path}: includes {name}, which is not of lib")
            elif other >= mine:
                problems.append(f"{path}: includes {name} of level {other}, its own is {mine}")


def check_program_includes(top, problems):
    lib = {os.path.basename(p) for p in sources(top, "lib")}
    for folder in PROGRAMS:
        own = {os.path.basename(p) for p in sources(top, folder)}
        for path in sources(top, folder):
            for kind, name in includes(open(os.path.join(top, path)).read()):
                if kind == '"' and name not in own | lib | {"config.h"}:
                    problems.append(f"{path}: includes {name} of neither lib nor {folder}")
                if name.endswith("_priv.h") and name in lib:
                    problems.append(f"{path}: includes {name}, which is private to lib")


def check_libraries(top, problems):
    for group in (["lib"] + PROGRAMS, ["tests/sandbox"]):
        for lib, pattern in LIBRARIES.items():
            users = {
                path for folder in group for path in sources(top, folder)
                for kind, name in includes(open(os.path.join(top, path)).read())
                if kind == "<" and re.match(pattern, name)
            }
            if len(users) > 1:
                problems.append(f"{lib} is included by more than one file: {', '.join(sorted(users))}")
    for path in sources(top, "tests/sandbox"):
        text = open(os.path.join(top, path)).read()
        if re.search(r'#include\s+"\.\./', text):
            problems.append(f"{path}: shares code with what it tests")


def strip(text):
    """Comments and strings become blanks, so that only code is left."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_text(top, problems):
    for folder in ["lib"] + PROGRAMS + ["tests/sandbox", "tests/unit", "tests/model"]:
        for path in sources(top, folder):
            raw = open(os.path.join(top, path)).read()
            code = strip(raw)
            if "SPDX-License-Identifier: ISC" not in raw[:200]:
                problems.append(f"{path}: does not begin with its licence")
            for n, line in enumerate(raw.split("\n"), 1):
                if len(line.expandtabs(8)) > MAX_COLUMNS:
                    problems.append(f"{path}:{n}: longer than {MAX_COLUMNS} columns")
            shipped = [] if folder.startswith("tests/") else list(re.finditer(BANNED_SHIPPED, code))
            for m in list(re.finditer(BANNED, code)) + shipped:
                problems.append(f"{path}:{code.count(chr(10), 0, m.start()) + 1}: {m.group(1)} is banned")
            start = None
            for n, line in enumerate(code.split("\n"), 1):
                if line.startswith("{"):
                    start = n
                elif line.startswith("}") and start is not None:
                    if n - start - 1 > MAX_LINES:
                        problems.append(f"{path}:{start}: a body of {n - start - 1} lines")
                    start = None
            if path.endswith(".c"):
                first = re.search(r"^#include\s+(\S+)", raw, re.M)
                if first and first.group(1) != '"config.h"':
                    problems.append(f"{path}: config.h is not its first include")


CHECKS = [
    ("lib includes only lower levels", check_lib_includes),
    ("programs include lib and their own folder", check_program_includes),
    ("each library is included by one file", check_libraries),
    ("licence, columns, lengths of functions, banned calls", check_text),
]


def run(top):
    bad = 0
    print(f"1..{len(CHECKS)}")
    for i, (name, check) in enumerate(CHECKS, 1):
        problems = []
        check(top, problems)
        print(f"{'not ok' if problems else 'ok'} {i} - {name}")
        for p in problems:
            print(f"# {p}")
        bad += bool(problems)
    return 1 if bad else 0


def self_test():
    """Each check finds a mistake planted for it, and nothing in a clean tree."""
    head = '/*\n * SPDX-License-Identifier: ISC\n */\n#include "config.h"\n'
    plants = [
        ("lib/str.c", head + '#include "io.h"\n', 0),
        ("fcgi/a.c", head + '#include "daemon.h"\n', 1),
        ("spoold/b.c", head + "#include <curl/curl.h>\n", 2),
        ("lib/err.c", head + "int\nf(void)\n{\n\treturn atoi(0);\n}\n", 3),
        ("lib/err.c", head + "int\nf(void)\n{\n" + "\tg();\n" * 61 + "}\n", 3),
        ("lib/err.c", head + "/* " + "x" * 100 + " */\n", 3),
    ]
    print(f"1..{len(plants) + 1}")
    bad = 0
    for i, (path, text, which) in enumerate([("lib/err.c", head, None)] + plants, 1):
        with tempfile.TemporaryDirectory() as top:
            for folder in ("lib", "fcgi", "spoold"):
                os.makedirs(os.path.join(top, folder))
            open(os.path.join(top, "lib/http.c"), "w").write(head + "#include <curl/curl.h>\n")
            open(os.path.join(top, path), "w").write(text)
            found = []
            for n, (_, check) in enumerate(CHECKS):
                problems = []
                check(top, problems)
                if problems:
                    found.append(n)
            good = found == ([] if which is None else [which])
        print(f"{'ok' if good else 'not ok'} {i} - planted in {path}: {found}")
        bad += not good
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")))
