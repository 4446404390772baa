#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""hook.py - a hook for spoold: events and records into an SQLite database.

In the configuration:  hook = /usr/local/lib/crm/hook.py /srv/crm/arken.db

Everything an event changes is changed in one transaction together with the
event's key, so that doing it twice changes nothing.  The contract is
integration.md.
"""
import json
import os
import sqlite3
import sys

OK, NEVER, DOWN, LATER, CONFIG = 0, 65, 69, 75, 78

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    account TEXT, id TEXT, category TEXT, type TEXT, received TEXT, body TEXT,
    PRIMARY KEY (account, id));
CREATE TABLE IF NOT EXISTS object (
    account TEXT, category TEXT, id TEXT, record TEXT, document TEXT, sha256 TEXT,
    deleted INTEGER, PRIMARY KEY (account, category, id));
"""


def say(text):
    """What a hook writes is kept with the event if it does not end well."""
    print(text, file=sys.stderr)


def read(name):
    """A file that a variable names, as text; None: the variable is not there."""
    path = os.environ.get(name)
    if path is None:
        return None
    with open(path, encoding="utf-8") as f:
        return f.read()


def hand_over(db):
    env = os.environ
    body = sys.stdin.buffer.read().decode("utf-8")
    json.loads(body)  # whoever cannot use what it says should find out here
    record = read("ARKEN_RECORD")
    with db:  # one transaction: commit at its end, nothing if anything fails
        done = db.execute(
            "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?)",
            (env["ARKEN_ACCOUNT"], env["ARKEN_EVENT_ID"], env["ARKEN_CATEGORY"],
             env["ARKEN_TYPE"], env["ARKEN_RECEIVED"], body))
        if done.rowcount == 0:
            print("had it before")
            return
        db.execute(
            "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)",
            (env["ARKEN_ACCOUNT"], env["ARKEN_CATEGORY"], env["ARKEN_OBJECT"], record,
             env.get("ARKEN_DOCUMENT"), env.get("ARKEN_DOCUMENT_SHA256"),
             "ARKEN_TOMBSTONE" in env))
    print("taken")


def main():
    if len(sys.argv) != 2:
        say("usage: hook.py DATABASE")
        return CONFIG
    if not os.path.isdir(os.path.dirname(os.path.abspath(sys.argv[1]))):
        say("the folder of the database is not there")
        return DOWN
    try:
        db = sqlite3.connect(sys.argv[1], timeout=10)
        db.executescript(SCHEMA)
        hand_over(db)
    except sqlite3.OperationalError as why:  # locked, disk full
        say(why)
        return LATER
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError) as why:
        say("cannot use this event: %r" % why)
        return NEVER
    return OK


if __name__ == "__main__":
    sys.exit(main())
