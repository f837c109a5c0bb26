# SPDX-License-Identifier: BSD-2-Clause
"""fork_client.py PORT CASE: the other end of fork_server.py."""
import os
import socket
import subprocess
import sys

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")

port, case = int(sys.argv[1]), sys.argv[2]


def connect():
    return socket.create_connection((ADDR, port), timeout=8)


def say(s, line):
    s.sendall(line.encode() + b"\n")


def hear(s, want):
    got = b""
    while not got.endswith(b"\n"):
        part = s.recv(1)
        if not part:
            raise SystemExit("end instead of %r" % want)
        got += part
    if got.decode() != want + "\n":
        raise SystemExit("%r instead of %r" % (got, want))


def no_end(s):
    """Nothing to read and no end of file, for a while: a close of the wrong one shows here."""
    s.settimeout(0.2)
    try:
        raise SystemExit("read %r instead of waiting" % s.recv(1))
    except TimeoutError:
        s.settimeout(8)


def hear_end(s):
    try:
        got = s.recv(1)
    except ConnectionResetError:
        return
    if got:
        raise SystemExit("%r instead of the end" % got)


s = connect()
if case == "parent-last":
    hear(s, "child")
    no_end(s)
    say(s, "to child")
    hear(s, "parent")
    no_end(s)
    say(s, "to parent")
elif case == "child-last":
    hear(s, "child")
    no_end(s)
    say(s, "to child")
    hear(s, "child again")
elif case == "child-killed":
    hear(s, "child")
    no_end(s)
    say(s, "kill it")
elif case == "subprocess":
    all_of = [s, connect(), connect()]
    for turn in range(3):
        for c in all_of:
            hear(c, "turn %d" % turn)
            subprocess.run(["true"], check=True)
            say(c, "answer %d" % turn)
    for c in all_of[1:]:
        hear_end(c)
elif case == "child-connects":
    hear(s, "child")
    hear(s, "parent")
elif case == "exec":
    hear(s, "about to")
hear_end(s)
print("right")
