# SPDX-License-Identifier: ISC
"""tap - runs test functions and prints TAP; knows nothing of what is tested.

A test is a function; it passes if it returns, fails if it raises, and is
skipped, loudly, if it raises Skip.  Several may run at a time; what they have
to say comes in their order all the same.
"""
import concurrent.futures
import sys
import threading
import time
import traceback

_said = threading.local()


class Skip(Exception):
    pass


def same(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what or "value", got, want))


def has(text, *parts):
    for part in parts:
        assert part in text, "%r is not in:\n%s" % (part, text)


def lacks(text, *parts):
    for part in parts:
        assert part not in text, "%r is in:\n%s" % (part, text)


def note(text):
    """A comment, with the result of the test that makes it."""
    lines = ["# " + line for line in str(text).splitlines()]
    if hasattr(_said, "lines"):
        _said.lines += lines
    else:
        print("\n".join(lines), flush=True)


def _run(number, test):
    """Whether it failed, and its lines."""
    _said.lines = []
    name = test.__name__.replace("_", " ")
    if test.__doc__:
        name += ": " + " ".join(test.__doc__.split())
    name = name.replace("#", "no. ")
    start = time.monotonic()
    failed = False
    try:
        test()
        result = "ok %d - %s" % (number, name)
    except Skip as why:
        result = "ok %d - %s # SKIP %s" % (number, name, why)
    except Exception:
        failed = True
        result = "not ok %d - %s" % (number, name)
        note(traceback.format_exc())
    note("%.1f s" % (time.monotonic() - start))
    return failed, [result] + _said.lines


def main(tests, only=(), jobs=1):
    """Run tests, print TAP, exit non-zero if one failed."""
    chosen = [t for t in tests if not only or t.__name__ in only]
    if not chosen:
        print("no such test", file=sys.stderr)
        sys.exit(64)
    failed = 0
    print("1..%d" % len(chosen), flush=True)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for f in [pool.submit(_run, i, t) for i, t in enumerate(chosen, 1)]:
            bad, lines = f.result()
            failed += bad
            print("\n".join(lines), flush=True)
    sys.exit(1 if failed else 0)
