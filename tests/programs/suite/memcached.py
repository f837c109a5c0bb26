# SPDX-License-Identifier: BSD-2-Clause
"""memcached with four threads."""
import os

from .harness import PEERS_DIR, PYTHON, check


def memcached(b):
    """10,000 keys set over 8 connections, each got back over another one, verified."""
    b.server(["memcached", "-l", b.addr, "-p", str(b.port), "-U", "0", "-t", "4",
              "-u", "root" if os.getuid() == 0 else str(os.getuid())])
    out = b.client([PYTHON, os.path.join(PEERS_DIR, "memcached_client.py"), str(b.port)])
    check(out == b"10000 right\n", "client said: %r" % out)
    b.expect_traffic(8, 10000 * 200)


memcached.needs = ("memcached",)
TESTS = (memcached,)
memcached.six = True
