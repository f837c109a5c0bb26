# SPDX-License-Identifier: BSD-2-Clause
"""Relays and measuring tools that take longer: coturn, sockperf, nuttcp."""
import re

from .harness import check, free_port, wait_for
from .udp import start_udp


def coturn(b):
    """Two clients that meet at a relay, and exchange datagrams through it."""
    low = free_port()
    start_udp(b, ["turnserver", "-n", "-L", b.addr, "-p", str(b.port), "--no-tls", "--no-dtls",
                  "--no-cli", "--allow-loopback-peers", "-u", "user:secret", "-r", "example.test",
                  "--lt-cred-mech", "--min-port", str(low), "--max-port", str(low + 100),
                  "--pidfile", b.path("turn.pid"), "--log-file", "stdout", "--no-software-attribute",
                  "--db", b.path("turn.db"), "--relay-ip", b.addr])
    family = ("-x",) if b.six else ()   # Of the relay's address.
    for options in ((), ("-t",)):       # Datagrams to the relay; a stream to it.
        out = b.client(["turnutils_uclient", "-u", "user", "-w", "secret", "-p", str(b.port), "-y",
                        "-n", "60", "-l", "200", "-m", "2", "-c", *options, *family, b.addr],
                       seconds=40).decode()
        sent, got = (re.findall(r"tot_%s_msgs=(\d+)" % w, out) for w in ("send", "recv"))
        lost = re.search(r"Total lost packets (\d+)", out)
        check(sent and got and int(got[-1]) > 0 and int(got[-1]) >= int(sent[-1]) * 0.9,
              "turnutils_uclient %s: %s sent, %s received: %s" %
              (options, sent[-1:], got[-1:], out[-200:]))
        check(lost and int(lost.group(1)) <= int(sent[-1]) // 10, "lost: %s" % out[-300:])


def sockperf(b):
    """Its own checks: nothing dropped, twice, or out of order."""
    for kind in ((), ("--tcp",)):
        port = free_port()
        argv = ["sockperf", "server", "-i", "127.0.0.1", "-p", str(port), *kind]
        if kind:
            b.server(argv, port=port)
        else:
            start_udp(b, argv, port)
        out = b.client(["sockperf", "ping-pong", "-i", "127.0.0.1", "-p", str(port), "-t", "1",
                        "-m", "64", *kind], seconds=20).decode()
        check(re.search(r"dropped messages = 0; # duplicated messages = 0; "
                        r"# out-of-order messages = 0", out), out[-400:])


def nuttcp(b):
    """Its own count, at a rate that the reader keeps up with; then a stream."""
    family = ("-6",) if b.six else ()
    for options in (("-u", "-R50M", "-l1400"), ()):
        control, data = free_port(), free_port()
        b.server(["nuttcp", *family, "-S", "--nofork", "-P%d" % control], port=control)
        out = b.client(["nuttcp", *family, "-fparse", "-T1", "-P%d" % control, "-p%d" % data, *options,
                        b.addr], seconds=20).decode()
        megabytes = re.search(r"megabytes=([\d.]+)", out)
        check(megabytes and float(megabytes.group(1)) > 1, "nuttcp said: %s" % out[-300:])
        if options:
            loss = re.search(r"data_loss=([\d.]+)", out)
            check(loss and float(loss.group(1)) < 20, "nuttcp said: %s" % out[-300:])


coturn.needs = ("turnserver", "turnutils_uclient")
sockperf.needs = ("sockperf",)
nuttcp.needs = ("nuttcp",)
coturn.six = nuttcp.six = True  # sockperf knows no IPv6.
TESTS = (coturn, sockperf, nuttcp)
