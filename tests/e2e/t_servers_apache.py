#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""t_servers_apache - the receiver behind Apache, as www/ configures it."""
import sys

import server_tests
import tap

TESTS = []
WAYS = ["apache-proxy", "apache-fcgid", "apache-cgi"]
server_tests.add(TESTS, WAYS, server_tests.answers, server_tests.nobody_else_connects,
                 server_tests.slow_senders_hold_nobody_up)
# of plain CGI none is there between two requests
server_tests.add(TESTS, WAYS[:2], server_tests.the_receiver_dies)

if __name__ == "__main__":
    tap.main(TESTS, sys.argv[1:])
