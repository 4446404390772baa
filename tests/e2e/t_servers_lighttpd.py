#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_servers_lighttpd - the receiver behind lighttpd, as www/ configures it."""
import sys

import server_tests
import tap

TESTS = []
server_tests.add(TESTS, ["lighttpd-socket", "lighttpd-spawn"], server_tests.answers,
                 server_tests.nobody_else_connects, server_tests.the_receiver_dies,
                 server_tests.slow_senders_hold_nobody_up)

if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
