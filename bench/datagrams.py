# SPDX-License-Identifier: BSD-2-Clause
"""UDP: round trips, datagrams one way, and unbound asked by dnsperf from its cache."""
from figures import ONE, POLLING, TWO, Figure, Micro, harness
from suite import dns, udp


class DnsPerf:
    """unbound with one thread, and dnsperf with 4 sockets, as fast as it goes."""

    def __init__(self, placement, target):
        self.placement = placement
        self.figures = [Figure("dnsperf, unbound", placement, "k/s", target)]

    def run(self, world, side):
        b = world.bench(side)
        port = harness.free_port()
        server, client = world.pins(self.placement)
        p = dns.unbound_server(b, port, 1, ("taskset", "-c", str(server)))
        try:
            sent, completed, _, rate = dns.dnsperf_run(b, port, 1 if world.quick else 3,
                                                       before=("taskset", "-c", str(client)))
            harness.check(completed >= sent * 0.99, "%d of %d answered" % (completed, sent))
            return [rate / 1000]
        finally:
            p.stop()
            harness.wait_for("end of unbound", lambda: not udp.udp_bound(port))


def jobs():
    small = "UDP round trip, 64 B"
    yield Micro(Figure(small, TWO, "us", 1 / 40, less=True), "p50_us", "udppong")
    yield Micro(Figure(small, POLLING, "us", 1 / 5, less=True), "p50_us", "udppong", "--busy", "1")
    yield Micro(Figure(small, ONE, "us", 1, less=True), "p50_us", "udppong")
    # At not more loss: the share that arrives is no smaller.
    yield Micro(Figure("UDP, 1400 B, delivered", TWO, "1/s", 4), "delivered_per_s", "udpstream",
                "--size", "1400").also(
        Figure("UDP, 1400 B, delivered of sent", TWO, "%", 1), "delivered_pct")
    yield DnsPerf(TWO, 1.5)
