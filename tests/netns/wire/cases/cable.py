# SPDX-License-Identifier: BSD-2-Clause
"""The bridge itself: what goes in comes out, or is counted."""
from suite.harness import check

from ..world import OURS
from .transfers import fetch


def counted(b, link, seed=1):
    """2 MB over it; what the bridge counted, in both directions."""
    b.join(link=link, seed=seed)
    fetch(b, 2)
    for p in b.programs:
        p.stop()
    return b.end_bridge()


def cable_good(b):
    """Without a fault, each frame that was taken was delivered."""
    end = counted(b, "")
    for way in (end["ab"], end["ba"]):
        check(way["taken"] == way["delivered"] + way["unwritable"] and way["taken"] > 50 and
              way["lost"] == way["queue"] == way["dup"] == way["harmed"] == 0, "it counted %s" % end)


def cable_bad(b):
    """With faults of all kinds, each is counted, and the sum is right."""
    end = counted(b, "loss=0.04,dup=0.05,reorder=0.02,corrupt=0.01,delay=0.2")
    ways = (end["ab"], end["ba"])
    check(sum(w["taken"] + w["dup"] - w["lost"] - w["queue"] - w["delivered"] - w["unwritable"]
              for w in ways) == end["in_flight"], "it counted %s" % end)
    for way in ways:
        check(0.01 < way["lost"] / way["taken"] < 0.15, "it counted %s" % end)
        check(way["dup"] > 0 and way["harmed"] > 0, "it counted %s" % end)


def cable_seed(b):
    """The same seed loses the same ones of 200 echo requests, another seed others."""
    lost = []
    for seed in (1, 1, 2):
        b.join(link="loss=0.2", seed=seed)
        b.introduce()
        p = b.start("peer", ["ping", "-c", "200", "-i", "0.002", "-W", "0.3", OURS])
        p.wait(10)
        numbers = {l.split("icmp_seq=")[1].split()[0] for l in p.output().splitlines() if "icmp_seq=" in l}
        lost.append(numbers)
        check(80 < len(numbers) < 180, "%d answers" % len(numbers))
        b.leave()
    check(lost[0] == lost[1], "one seed lost %s and %s" % (lost[0], lost[1]))
    check(lost[0] != lost[2], "two seeds lost the same")


for t in (cable_good, cable_bad):
    t.needs = ("nginx", "curl", "cmp")
cable_seed.needs = ("ping",)
TESTS = (cable_good, cable_bad, cable_seed)
LONG = ()
for t in TESTS:
    t.arrangements = ("kernel-server",)
