#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""plants - does torture find mistakes that are planted in the receiver?

usage: plants.py [--all] [PLANT...]  (by way of make torture-plants, which says how to compile)

Each patch of plants/ is applied to a copy of the one file that it changes, a receiver is
made with it, and the techniques that its second line names have to find it.  With --all
the others have their try too.  Prints who found what as a table; fails if one of those
that are named found nothing, if a patch does not apply, or if anything is found in the
receiver as it is.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("ARKEN_BUILD", os.getcwd())
RUN = [sys.executable, "-B", os.path.join(HERE, "run"), "--seed", "1"]
STREAMS = [sys.executable, "-B", os.path.join(TOP, "tests/e2e/t_streams.py")]
SECONDS = 240  # for one technique on one plant
FINDERS = {
    "order": RUN + ["order"], "errors": RUN + ["--core", "errors"],
    "kills": RUN + ["--core", "kills"], "oom": RUN + ["--seconds", "8", "oom"],
    "full": RUN + ["--seconds", "8", "full"], "streams": STREAMS,
}


def make(plant, folder):
    """A receiver with that mistake: the program's path, and who has to find it."""
    with open(plant) as f:
        text = f.read()
    source = re.search(r"^\+\+\+ b/(\S+)", text, re.M).group(1)
    shutil.copytree(os.path.join(TOP, os.path.dirname(source)),
                    os.path.join(folder, os.path.dirname(source)), dirs_exist_ok=True)
    subprocess.run(["patch", "-s", "-p1", "-i", plant], cwd=folder, check=True)
    out = os.path.join(folder, "arken.fcgi")
    words = os.environ["COMPILE"].split() + ["-I" + os.path.join(TOP, "lib"), "-Wno-error"]
    subprocess.run(_shell(words + ["-c", os.path.join(folder, source), "-o", out + ".o"]),
                   shell=True, cwd=BUILD, check=True)
    subprocess.run(_shell(os.environ["LINK"].split() + ["-o", out, "fcgi/main.o", out + ".o"] +
                          os.environ["LIBRARIES"].split()), shell=True, cwd=BUILD, check=True)
    return out, re.search(r"^Found by: (.*)$", text, re.M).group(1).split()


def _shell(words):
    return " ".join(words)  # the words of make are quoted as a shell wants them


def found_by(program, finders):
    """finder -> why, of those that found something wrong with that receiver; None: no time."""
    out = {}
    for name in finders:
        command = FINDERS[name]
        env = dict(os.environ, STREAMS="2500", SEED="1")
        if program:
            env["ARKEN_RECEIVER"] = program
        try:
            r = subprocess.run(command, env=env, capture_output=True, text=True,
                               timeout=SECONDS)
        except subprocess.TimeoutExpired:
            out[name] = None
            continue
        if r.returncode != 0:
            why = re.search(r"WRONG, (.*)|chain.Failure: (.*)|AssertionError: (.*)", r.stdout)
            out[name] = next(g for g in why.groups() if g) if why else r.stdout + r.stderr
    return out


def cell(name, finders, found):
    if name not in finders:
        return "."
    if name not in found:
        return "-"
    return "found" if found[name] else "no time"


def main():
    start = time.monotonic()
    everybody = "--all" in sys.argv[1:]
    names = [a for a in sys.argv[1:] if a != "--all"]
    plants = [os.path.join(HERE, "plants", n + ".patch") for n in names] or \
        sorted(glob.glob(os.path.join(HERE, "plants", "*.patch")))
    missed = []
    print("| mistake | %s |\n|---|%s" % (" | ".join(FINDERS), "---|" * len(FINDERS)))
    for plant in ([] if names else [None]) + plants:
        name = os.path.basename(plant)[:-len(".patch")] if plant else "none"
        with tempfile.TemporaryDirectory(prefix="arken-plant.", dir=os.environ.get(
                "ARKEN_TEST_DIR", "/var/tmp")) as folder:
            program, expected = make(plant, folder) if plant else (None, [])
            finders = [f for f in FINDERS if everybody or not plant or f in expected]
            found = found_by(program, finders)
        print("| %s | %s |" % (name, " | ".join(cell(f, finders, found) for f in FINDERS)),
              flush=True)
        for f, why in found.items():
            print("#   %s: %s" % (f, (why or "").strip().replace("\n", " ")[:200]), flush=True)
        if [f for f in expected if not found.get(f)] or not plant and found:
            missed.append(name)
    print("plants: %d mistakes, %d found by all that should, %.0f s%s" % (
        len(plants), len(plants) - len([m for m in missed if m != "none"]),
        time.monotonic() - start, "; wrong: " + " ".join(missed) if missed else ""))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
