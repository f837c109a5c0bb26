# SPDX-License-Identifier: BSD-2-Clause
"""The programs of tests/programs, one end here, the other one there."""
from suite import http, iperf, postgres, redis, ssh
from suite.harness import check

HELD = 24 << 20  # octets: buffers of 16 MB and 4 MB, and a ring of ours at each


def over(test, **joined):
    """That test, over a wire."""
    def wired(b):
        b.join(**joined)
        test(b)
    wired.__name__, wired.__doc__ = test.__name__, test.__doc__
    wired.needs = getattr(test, "needs", ())
    return wired


def both_ways(b):
    """What one end says it sent the other end received; a second each way."""
    b.server(["iperf3", "-s", "-B", b.addr, "-p", str(b.port)])
    octets = 0
    for options in ((), ("-R",)):
        out = iperf.run_client(b, options)
        check("error" not in out, "iperf3 %s: %s" % (options, out.get("error")))
        sent, received = (out["end"][k]["bytes"] for k in ("sum_sent", "sum_received"))
        check(0 < received <= sent <= received + HELD,
              "%s: %d octets sent, %d received" % (options, sent, received))
        octets += received
    b.carried(octets)


def iperf3_short(b):
    """Both directions."""
    b.join()
    both_ways(b)


def iperf3_bad_link(b):
    """Both directions at 5 % loss."""
    b.join(link="loss=0.05,delay=0.2")
    both_ways(b)


iperf3_short.needs = iperf3_bad_link.needs = ("iperf3",)
TESTS = (iperf3_short, over(redis.redis_ping))
LONG = (iperf3_bad_link, over(postgres.postgres_psql, unprivileged=True), over(iperf.iperf3), over(ssh.ssh_command), over(ssh.ssh_copy), over(http.nginx),
        over(http.http_server), over(redis.redis_bench), over(redis.redis_kill_server),
        over(redis.redis_kill_client), over(postgres.postgres_pgbench, unprivileged=True))
