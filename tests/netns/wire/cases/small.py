# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams of all sizes, and echo requests."""
import os
import re

from suite import harness
from suite.harness import PYTHON, check, wait_for

from .. import PEERS_DIR
from ..world import OURS, PEER

# Of one fragment and of several; the last octet of one, the first of the next.
SIZES = (0, 1, 2, 63, 64, 512, 1471, 1472, 1473, 1480, 2952, 2953, 4000, 8192, 20000, 40001, 65000,
         65506, 65507)


def echoed(b, sizes, **joined):
    b.join(**joined)
    p = b.start("server", [PYTHON, os.path.join(harness.PEERS_DIR, "udp_server.py"), b.addr, str(b.port)])
    wait_for("socket at port %d" % b.port, lambda: b.udp_bound(b.port) or not p.running(), 10)
    out = b.client([PYTHON, os.path.join(PEERS_DIR, "datagrams.py"), b.addr, str(b.port),
                    *[str(n) for n in sizes]], 60)
    check(out == b"%d right\n" % len(sizes), "client said: %r" % out)
    b.carried(2 * sum(sizes))


def udp_sizes(b):
    """Datagrams of 0 to 65,507 octets, there and back; tshark finds nothing."""
    echoed(b, SIZES, link="", pcap=True)


def udp_bad_link(b):
    """Some over a link that loses, doubles, reorders and corrupts; what comes is right."""
    echoed(b, SIZES, link="loss=0.005,dup=0.02,reorder=0.01,corrupt=0.005", seed=3)


def udp_all_sizes(b):
    """Each tenth size, at an MTU of 576."""
    echoed(b, range(0, 65508, 10), mtu=576)


def ping(b):
    """Echo requests of several sizes, each answered."""
    b.join()
    ours = b.arrangement == "client"
    for size in (0, 56, 1472, 1473, 8000, 65507):
        argv = ["-c", "5", "-i", "0.02", "-s", str(size), PEER if ours else OURS]
        if ours and not b.kernel:
            out = b.command("ping", *argv, seconds=20).stdout.decode()
        else:
            p = b.start("client" if ours else "peer", ["ping", *argv])
            p.wait(10)
            out = p.output()
        check(re.search(r"5 packets transmitted, 5 received, 0% packet loss", out),
              "%d octets: ping said: %s" % (size, out))


udp_all_sizes.limit_s = 300
ping.needs = ("ping",)
udp_sizes.needs = ("tshark",)
TESTS = (udp_sizes, udp_bad_link, ping)
LONG = (udp_all_sizes,)
