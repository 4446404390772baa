#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_torture - a short pass of tests/torture: each technique, points drawn by SEED.

All of the points: make torture.  That these find mistakes: make torture-plants.
"""
import os
import random
import sys

import tap
from chain import TOP

sys.path.insert(0, os.path.join(TOP, "tests/torture"))
import torture  # noqa: E402

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = 8.0  # for each technique


def technique(name):
    def run():
        tap.note("SEED=%d" % SEED)
        tap.note(torture.TECHNIQUES[name](torture.Budget(SEED, SECONDS)))
    run.__name__ = name
    run.__doc__ = torture.TECHNIQUES[name].__doc__
    return run


if __name__ == "__main__":
    tap.main([technique(name) for name in torture.TECHNIQUES], sys.argv[1:], jobs=2)
