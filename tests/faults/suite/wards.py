# SPDX-License-Identifier: BSD-2-Clause
"""More sockets than one process has descriptors: the keeper's wards, and their death."""
import os
import resource
import signal
import time

from .deaths import GONE
from .stage import Bystander, Skipped, check, free_port, gone, read_lines, wait_for

MANY = 12000  # connections, with two handles each
MANY_S = 15


def wards_of(stage):
    """Their process ids."""
    keeper = stage.keeper.pid
    pids = read_lines("/proc/%d/task/%d/children" % (keeper, keeper))[0].split()
    return [int(p) for p in pids
            if read_lines("/proc/%s/comm" % p)[0].strip() == "mortised-ward"]


def crowd(stage, count, seconds=5):
    """A server, and a client with so many connections to it."""
    port = free_port()

    def start(*words):
        return stage.start([stage.tool("mortise"), "run", "--policy", stage.policy, "--",
                            stage.tool("crowd")] + [str(w) for w in words])
    server = start("serve", port)
    server.hear("listening")
    client = start("hold", port, count)
    words = client.hear("open", seconds)
    check(words[2] == "0", "%s connections were refused: %s" % (words[2], client.text()[-300:]))
    served(server, count, seconds)
    return server, client


def tell(program, line):
    program.p.stdin.write(line.encode())
    program.p.stdin.flush()


def served(server, count, seconds=5):
    """Wait until the server has so many connections."""
    tell(server, "%d\n" % count)
    server.hear("serving %d" % count, seconds)


def echoed(client, count, nth=1, seconds=5):
    tell(client, "e")
    words = client.hear("echoed", seconds, nth)
    check(words[1:] == [str(count), "0"], " ".join(words))


def many(settings, make):
    """12,000 connections between two processes; then one of them is killed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # A quarter is the library's, see architecture.md.
    if hard != resource.RLIM_INFINITY and hard < MANY * 4 // 3 + 100:
        raise Skipped("a hard limit of %d descriptors" % hard)
    stage = make(settings.plain)
    before = stage.snapshot()
    server, client = crowd(stage, MANY, MANY_S)
    echoed(client, MANY, 1, MANY_S)
    st = stage.status()
    check(st["connections"] == MANY, "%d connections in shared memory" % st["connections"])
    check(st["handles"] >= 2 * MANY, "%d handles" % st["handles"])
    # A keeper whose limit is higher needs none.
    check(len(wards_of(stage)) == (1 if hard <= 24000 else 0), "%d wards" % len(wards_of(stage)))
    client.signal(signal.SIGKILL)
    served(server, 0, MANY_S)
    server.let_go()
    check(server.ended() == 0, "the server: %s" % server.text()[-300:])
    stage.settled(before, seconds=8)
    wait_for("the handles", lambda: stage.status()["handles"] == 0, 5)


def few_each(settings, make, policy="share"):
    """A domain whose keeper and wards hold 50 far ends each; 200 connections."""
    stage = make(settings.plain, policy, start=False)
    stage.start_daemon(options=["--keeper-handles", "50"])
    other = Bystander(stage)
    server, client = crowd(stage, 200)
    wards = wards_of(stage)
    check(len(wards) >= 8, "%d wards" % len(wards))
    return stage, other, server, client, wards


def daemon_killed(settings, make):
    """While wards hold: nothing is lost, and what hung up meanwhile is heard."""
    stage, other, server, client, wards = few_each(settings, make)
    handles = stage.status()["handles"]
    for n in range(3):
        daemon = stage.status()["daemon_pid"]
        os.kill(daemon, signal.SIGKILL)
        wait_for("another daemon", lambda d=daemon: stage.status()["daemon_pid"] != d)
        echoed(client, 200, n + 1)
    check(stage.status()["handles"] == handles, "handles: %d, before %d" % (
        stage.status()["handles"], handles))
    os.kill(stage.status()["daemon_pid"], signal.SIGSTOP)
    stopped = stage.keeper.pid
    client.signal(signal.SIGKILL)
    client.p.wait()
    for pid in daemon_children(stopped):
        os.kill(pid, signal.SIGKILL)
    served(server, 0)
    # What is not in the server's stock.
    wait_for("the handles", lambda: stage.status()["handles"] < handles - 200, 5)
    check(wards_of(stage) == wards, "other wards than before")
    again = stage.start([stage.tool("mortise"), "run", "--", stage.tool("crowd"), "hold",
                         server.argv[-1], "200"])
    check(again.hear("open", 5)[2] == "0", again.text())
    echoed(again, 200)
    check(wards_of(stage) == wards, "other wards than before")
    other.undisturbed()


def daemon_children(keeper):
    """The daemon, which cannot be asked: a child of the keeper's that is no ward."""
    pids = read_lines("/proc/%d/task/%d/children" % (keeper, keeper))[0].split()
    return [int(p) for p in pids
            if read_lines("/proc/%s/comm" % p)[0].strip() != "mortised-ward"]


def ward_killed(settings, make, policy):
    """It is the keeper's death: said in the log; connections go on; ends are seen."""
    stage, other, server, client, wards = few_each(settings, make, policy)
    daemon = stage.status()["daemon_pid"]
    victim = settings.random.choice(wards)
    os.kill(victim, signal.SIGKILL)
    check(stage.keeper.ended() == 1, "the keeper's exit status")
    for pid in wards + [daemon]:
        wait_for("the end of process %d" % pid, lambda p=pid: gone(p))
    said = [l for l in stage.keeper.text().split("\n") if "(process %d) died" % victim in l]
    check(len(said) == 1, stage.keeper.text()[-500:])
    echoed(client, 200)
    # From now on it is the kernel, or nothing.
    tell(client, "mm")
    want = "more ok" if policy == "share" else "more ENOBUFS"
    check(" ".join(client.hear("more", 5, 2)) == want, client.text()[-300:])
    echoed(client, 200, 2)
    check(client.text().count(GONE) <= 1, "said more than once")
    client.signal(signal.SIGKILL)
    served(server, 0, 5)
    other.undisturbed()


def wards_stopped(settings, make):
    """Who is served by others is served; what hung up meanwhile is heard afterwards."""
    stage, other, server, client, wards = few_each(settings, make)
    for pid in wards:
        os.kill(pid, signal.SIGSTOP)
    try:
        echoed(client, 200)
        # Full wards are not asked; there is room for another.
        more = stage.start([stage.tool("mortise"), "run", "--", stage.tool("crowd"), "hold",
                            server.argv[-1], "25"])
        check(more.hear("open", 5)[2] == "0", more.text()[-300:])
        client.signal(signal.SIGKILL)
        tell(server, "25\n")
        time.sleep(0.3)
        check(not server.lines("serving 25"), "somebody heard what stopped wards are to hear")
        echoed(more, 25)
    finally:
        for pid in wards:
            os.kill(pid, signal.SIGCONT)
    server.hear("serving 25", 5, 1)
    check(set(wards) <= set(wards_of(stage)), "a ward is gone")
    other.undisturbed()


def keeper_killed(settings, make):
    """No ward outlives it."""
    stage, other, server, client, wards = few_each(settings, make)
    stage.keeper.signal(signal.SIGKILL)
    for pid in wards:
        wait_for("the end of process %d" % pid, lambda p=pid: gone(p))
    echoed(client, 200)
    client.signal(signal.SIGKILL)
    served(server, 0, 5)
    other.undisturbed()


def orderly_end(settings, make):
    """SIGTERM to all of them, as where a service is stopped: the keeper leads."""
    stage, _, _, client, wards = few_each(settings, make)
    for pid in wards + [stage.keeper.pid]:
        os.kill(pid, signal.SIGTERM)
    check(stage.keeper.ended() == 0, "the keeper's exit status")
    check(") died (" not in stage.keeper.text(), stage.keeper.text()[-500:])
    for pid in wards:
        wait_for("the end of process %d" % pid, lambda p=pid: gone(p))
    tell(client, "e")
    # Every connection was reset.
    check(int(client.hear("echoed", 5)[2]) >= 200, client.text()[-300:])


def tests():
    yield "wards/many", many
    yield "wards/daemon-killed", daemon_killed
    for policy in ("share", "none"):
        yield "wards/ward-killed/%s" % policy, \
            lambda settings, make, p=policy: ward_killed(settings, make, p)
    yield "wards/stopped", wards_stopped
    yield "wards/keeper-killed", keeper_killed
    yield "wards/orderly-end", orderly_end
