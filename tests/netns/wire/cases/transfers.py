# SPDX-License-Identifier: BSD-2-Clause
"""Files by HTTP, compared; each way, by who serves: over good links, bad ones, small and large MTUs.

A file's megabytes are all different, so what is lost, doubled or put in another's place is seen.
"""
import hashlib
import os
import time

from suite import http
from suite.harness import PEERS_DIR, check, wait_for

# The links.
BAD = "loss=0.01,dup=0.01,reorder=0.03,corrupt=0.005,delay=1"
BURSTS = "bad=0.002,bad-end=0.2,bad-loss=0.8,delay=2,jitter=1"
NARROW = "rate=100,queue=200000,delay=5"
NEEDS = ("nginx", "curl", "cmp")


def serve(b, mbytes):
    """nginx with one large file; its path."""
    os.mkdir(b.path("www"))
    os.chmod(b.dir, 0o755)
    big = b.path("www/big")
    http.big_file(big, mbytes)
    with open(b.path("conf"), "w") as f:
        f.write(http.NGINX.format(dir=b.dir, host=b.host, port=b.port))
    b.server(["nginx", "-p", b.dir, "-c", b.path("conf")])
    return big


def fetch(b, mbytes, seconds=30):
    """curl fetches it, and it is the same."""
    big = serve(b, mbytes)
    check(http.same(http.curl(b, "big", seconds), big), "%d MB came out different" % mbytes)
    b.carried(mbytes * http.MB)


def over(name, doc, mbytes, seconds=30, **joined):
    """A test of that name: a file of so many megabytes, joined like that."""
    def test(b):
        b.join(**joined)
        fetch(b, mbytes, seconds)
    test.__name__, test.__doc__ = name, doc
    test.needs = NEEDS + (("tshark",) if joined.get("pcap") else ())
    test.limit_s = 300 + 4 * seconds  # tshark takes its time on a busy machine
    return test


def cut(b):
    """The peer's interface goes down in the middle, for a second, and the file is whole."""
    b.join()
    big = serve(b, 50)
    got = b.path("got")
    c = b.start("client", ["curl", "-sS", "--fail", "--limit-rate", "25M", "-o", got,
                           http.url(b, "big")])
    wait_for("the transfer's beginning",
             lambda: os.path.exists(got) and os.path.getsize(got) > 5 * http.MB, 10)
    b.cut()
    time.sleep(1)
    check(c.running() and os.path.getsize(got) < 45 * http.MB, "it was over before")
    b.cut(False)
    check(c.wait(30) == 0, "curl's exit status: %s" % c.output())
    check(http.same(got, big), "50 MB came out different")
    b.carried(50 * http.MB)


def upload(b):
    """20 MB as a POST's body go to a server that answers with their digest."""
    b.join()
    b.server(["node", os.path.join(PEERS_DIR, "http_server.js"), str(b.port)])
    body = os.urandom(20 * http.MB)
    with open(b.path("body"), "wb") as f:
        f.write(body)
    got = http.curl(b, "", 30, "--data-binary", "@" + b.path("body"))
    with open(got) as f:
        check(f.read() == hashlib.sha256(body).hexdigest(), "the digest differs")
    b.carried(len(body))


def fetch_no_offload(b):
    """20 MB, where each segment fits a frame and has its checksum."""
    b.join(offload=False)
    fetch(b, 20)
    received, sent, frames_in, frames_out = b.peer.device("tap0")
    check(max(received / frames_in, sent / frames_out) <= b.mtu + 14,
          "frames of %d octets here and %d there" % (received / frames_in, sent / frames_out))


fetch_no_offload.needs = NEEDS + ("ethtool",)
cut.needs = NEEDS
upload.needs = ("node", "curl")

SYSCTLS = ("window_scaling", "timestamps", "sack")
TESTS = (
    over("fetch_100mb", "100 MB by curl from nginx.", 100),
    over("fetch_captured", "10 MB over a cable; tshark finds nothing.", 10, link="", pcap=True),
    over("fetch_bad_link", "5 MB over a link that loses, doubles, reorders and corrupts; tshark finds nothing.",
         5, link=BAD, pcap=True),
    over("fetch_mtu_576", "5 MB at the least MTU of IPv4's hosts.", 5, mtu=576),
    over("fetch_mtu_9000", "20 MB in large frames.", 20, mtu=9000),
    fetch_no_offload, cut, upload,
) + tuple(over("fetch_no_%s" % s, "5 MB where the peer has no %s." % s, 5, link="loss=0.002,delay=0.2",
               sysctls={"net/ipv4/tcp_" + s: 0}) for s in SYSCTLS)
LONG = (
    over("fetch_1gb", "1 GB by curl from nginx.", 1024, 60),
    over("fetch_100mb_bad_link", "100 MB over a link that loses, doubles, reorders and corrupts.", 100, 120,
         link=BAD),
    over("fetch_bursts", "30 MB over a link that loses in bursts.", 30, 60, link=BURSTS, pcap=True),
    over("fetch_narrow", "30 MB over 100 Mbit/s with a short queue.", 30, 60, link=NARROW, pcap=True),
) + tuple(over("fetch_mtu_%d_captured" % m, "20 MB at an MTU of %d; tshark finds nothing." % m, 20, 30, link="",
               mtu=m, pcap=True) for m in (576, 1280, 1492, 4000, 9000)) + tuple(
    over("fetch_20mb_no_%s" % s, "20 MB where the peer has no %s, over a bad link; tshark finds nothing." % s, 20, 60,
         link="loss=0.005,reorder=0.002,delay=0.3", sysctls={"net/ipv4/tcp_" + s: 0}, pcap=True) for s in SYSCTLS)
