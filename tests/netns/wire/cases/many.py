# SPDX-License-Identifier: BSD-2-Clause
"""Many connections: opened, used and closed, one after the other and together."""
import os

from suite.harness import PYTHON, check

from .. import PEERS_DIR


def crowd(b, count, at_once, seconds=40):
    peer = [PYTHON, os.path.join(PEERS_DIR, "crowd.py")]
    b.join()
    b.server([*peer, "server", b.addr, str(b.port)])
    out = b.client([*peer, "client", b.addr, str(b.port), str(count), str(at_once)], seconds)
    check(out == b"%d right\n" % count, "client said: %r" % out)
    b.carried(count * 200)


def connections_10000(b):
    """10,000 connections, 20 at a time."""
    crowd(b, 10000, 20)


def connections_2000_at_once(b):
    """2,000 connections, all open together."""
    crowd(b, 2000, 2000)


TESTS = (connections_10000, connections_2000_at_once)
LONG = ()
