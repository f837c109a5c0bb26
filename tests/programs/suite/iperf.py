# SPDX-License-Identifier: BSD-2-Clause
"""iperf3, both directions, one and eight streams."""
import json
import time

from .harness import Failed, check

PACED = ("-b", "400M")  # each stream, a second: the reader keeps up
# iperf3's receiver stops by the clock as well, and leaves unread what is on its
# way: as much as a connection's buffers hold, where other tests keep it from the core.
HELD = 12 << 20


def run_client(b, options):
    """The server closes its listener after each run and opens another: who comes in
    between is refused, or reset where it was in the queue already, as in Linux."""
    for _ in range(40):
        try:
            out = json.loads(b.client(["iperf3", "-c", b.addr, "-p", str(b.port), "-J",
                                       "-t", "1", *options]))
        except Failed as e:
            out = {"error": str(e)}
        if "error" not in out or out.get("start", {}).get("connected"):
            break
        time.sleep(0.05)
    return out


def iperf3(b):
    """What one end says it sent is what the other end received."""
    b.server(["iperf3", "-s", "-B", b.addr, "-p", str(b.port)])
    octets = streams = 0
    for options in (PACED, ("-R", *PACED), ("-P", "8", *PACED), ("-P", "8", "-R", *PACED),
                    (), ("-R",), ("-P", "8"), ("-P", "8", "-R")):
        out = run_client(b, options)
        name = " ".join(("iperf3",) + options)
        check("error" not in out, "%s: %s" % (name, out.get("error")))
        count = len(out["start"]["connected"])
        check(count == (8 if "-P" in options else 1), "%s: %d streams" % (name, count))
        sent, received = (out["end"][k]["bytes"] for k in ("sum_sent", "sum_received"))
        check(sent > count * 20000000 and received <= sent <= received + count * HELD,
              "%s: %d bytes sent, %d received" % (name, sent, received))
        octets += received
        streams += count + 1
    b.expect_traffic(streams, octets)


iperf3.needs = ("iperf3",)
TESTS = (iperf3,)
iperf3.six = True
