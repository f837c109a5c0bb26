# SPDX-License-Identifier: BSD-2-Clause
"""What connections cost besides time: CPU while idle, mappings, descriptors, messages.

Each test is a command of its own, too (tests/programs/idle, clients, syscalls).
"""
import os
import re
import subprocess
import time

from .harness import Skipped, check, cpu_ticks, helper, wait_for

IDLE_CONNECTIONS, IDLE_S = 1000, 10
CLIENTS, CLIENTS_AT_ONCE = 10000, 4
CYCLES, CYCLES_WARM, CYCLES_A_MESSAGE = 1000, 128, 64
SEND = {"sendmsg", "sendto", "sendmmsg"}
RECEIVE = {"recvmsg", "recvfrom", "recvmmsg"}


def idle_pair(b, connections):
    """Two programs with so many connections between them, both asleep: (server, client)."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    peer = helper("peer")
    server = b.server([peer, "idle-server", str(b.port), str(connections)], **pipes)
    client = b.start("client", [peer, "idle-client", str(b.port), str(connections)], **pipes)
    for p in (server, client):
        check(p.proc.stdout.readline() == b"open\n", "the connections did not open")
    return server, client


def idle(b):
    """1,000 connections open for 10 s: no CPU time in any process of ours."""
    pair = idle_pair(b, IDLE_CONNECTIONS)
    b.expect_open(IDLE_CONNECTIONS)
    time.sleep(0.5)  # what opening and looking cost is not idleness
    pids = [p.pid() for p in pair] + b.processes()
    before = [cpu_ticks(pid) for pid in pids]
    time.sleep(IDLE_S)
    used = [cpu_ticks(pid) - old for pid, old in zip(pids, before)]
    check(sum(used) <= 1, "clock ticks used by server, client, daemon, keeper: %s" % used)
    check(all(p.running() for p in pair), "a program woke up and left")
    pair[0].proc.stdin.close()
    check(pair[0].wait(5) == 0, "the server was woken by a connection, not by its input")


def process_size(pid):
    """(mappings, descriptors)"""
    with open("/proc/%d/maps" % pid) as f:
        return len(f.readlines()), len(os.listdir("/proc/%d/fd" % pid))


def clients(b, count=CLIENTS):
    """10,000 short-lived client processes leave a server's mappings and descriptors as they were."""
    peer = helper("peer")
    server = b.server([peer, "echo-server", str(b.port)])

    def churn(n):
        b.client([peer, "churn", str(b.port), str(n), str(CLIENTS_AT_ONCE)], seconds=90)
    churn(200)
    names = ["server"] + ["daemon", "keeper"][:len(b.processes())]
    pids = [server.pid()] + b.processes()
    before = [process_size(pid) for pid in pids]
    churn(count)

    def as_before():
        churn(1)  # what is given back lazily is given back by the next caller
        return all(new <= old + 8 for pid, sizes in zip(pids, before)
                   for new, old in zip(process_size(pid), sizes))
    try:
        wait_for("return to what it was", as_before, 5, 0.2)
    finally:
        if not as_before():
            for name, pid, sizes in zip(names, pids, before):
                print("  %s: mappings and descriptors %s, were %s" %
                      (name, process_size(pid), sizes), flush=True)
    b.expect_traffic(count, 2 * count)


def traced(path):
    """{call: count} between the two marks."""
    counts, inside = {}, False
    with open(path) as f:
        for line in f:
            m = re.match(r"(?:\d+ +)?([a-z0-9_]+)\(", line)
            if not m:
                continue
            if m.group(1) == "getppid":
                inside = not inside
            elif inside:
                counts[m.group(1)] = counts.get(m.group(1), 0) + 1
    check(not inside, "the trace has no end mark")
    return counts


def syscalls(b):
    """Connect, accept, close between acquaintances: at most one message to the daemon in 64."""
    peer = helper("peer")
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        raise Skipped("strace may not trace here")

    def strace(name):
        return ["strace", "-o", b.path(name), "-e",
                "trace=%network,getppid,close,futex,futex_waitv", "-e", "signal=none", peer]
    numbers = [str(b.port), str(CYCLES_WARM), str(CYCLES)]
    server = b.server(strace("server.trace") + ["cycle-server"] + numbers)
    b.client(strace("client.trace") + ["cycle-client"] + numbers, seconds=30)
    check(server.wait(10) == 0, "the server's exit status")
    for name in ("client", "server"):
        counts = traced(b.path(name + ".trace"))
        if b.arrangement == "kernel":
            check(sum(counts.get(c, 0) for c in SEND) == CYCLES, "%s: %s" % (name, counts))
            continue
        for kind, calls in (("sent", SEND), ("received", RECEIVE)):
            n = sum(counts.get(c, 0) for c in calls)
            check(n <= CYCLES // CYCLES_A_MESSAGE, "%s: %d messages %s in %d cycles: %s" %
                  (name, n, kind, CYCLES, counts))
        # The rest is no message: a listener without a caller in memory looks
        # at its shadow (accept4), who waits sleeps (futex), a handle is closed.
        print("  %s, %d cycles: %s" % (name, CYCLES, ", ".join(
            "%d %s" % (n, call) for call, n in sorted(counts.items())) or "no calls"), flush=True)
    b.expect_traffic(CYCLES, 2 * CYCLES)


idle.arrangements = clients.arrangements = syscalls.arrangements = ("both",)
clients.limit_s = 400
syscalls.needs = ("strace",)
TESTS = (idle, clients, syscalls)
