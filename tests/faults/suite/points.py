# SPDX-License-Identifier: BSD-2-Clause
"""SIGKILL and SIGSTOP at named places inside each critical section.

A group of places shares one domain with two bystanders. After each death: the
survivor saw what the kernel would have shown, what had been published arrived,
nothing is left behind, and the server goes on.
"""
import functools
import os
import signal
import time

from .stage import Bystander, check, gone, state, wait_for

SEEN_S = 2.0  # how soon a survivor knows
RESET = ("ECONNRESET", "EPIPE")

# Where a client may die, what it does, at which arrival, and what its server is
# to see: bytes after the first one, and how it ends (None: either). A send is
# one arrival; the client's first byte is the first of them.
CLIENTS = [
    ("send.copied", 5, ("put", 100, 20, 0), 300, "eof"),
    ("send.tail", 5, ("put", 100, 20, 0), 400, "eof"),
    ("send.tail", 9, ("put", 65536, 10, 0), None, "eof"),
    ("switch.extent", 2, ("put", 65536, 10, 0), 0, "eof"),
    ("switch.count", 2, ("put", 65536, 10, 0), 0, "eof"),
    ("recv.copied", 3, ("ask", 100, 9), 300, "ECONNRESET"),
    ("recv.head", 3, ("ask", 100, 9), 300, "eof"),
    ("end.wanted", 1, ("put", 100, 20, 0), 2000, "eof"),
    ("end.end", 1, ("put", 100, 20, 0), 2000, "eof"),
    ("end.closed", 1, ("put", 100, 20, 0), 2000, "eof"),
    ("end.notified", 1, ("put", 100, 20, 0), 2000, "eof"),
    ("seat.connecting", 1, ("put", 100, 20, 0), None, "never"),
    ("seat.claimed", 1, ("put", 100, 20, 0), 0, "eof"),
    ("seat.open", 1, ("put", 100, 20, 0), 0, "eof"),
]

# Where a server may die: arrivals are the server's own.
SERVERS = [
    ("take.bound", 2, ("put", 100, 2000, 1000)),
    ("take.mapped", 2, ("wait", "epoll")),
    ("take.open", 2, ("wait", "recv")),
    ("take.seated", 2, ("wait", "poll")),
    ("send.copied", 3, ("get", "recv")),
    ("send.tail", 3, ("get", "epoll")),
    ("recv.copied", 5, ("ask", 100, 9)),
    ("recv.head", 5, ("ask", 100, 9)),
]

# Where a process may die that changes an epoll set which others have.
JOINT = ["ledger.announced", "ledger.filled", "ledger.setting", "ledger.dropped", "ledger.fired"]

# Where the daemon may die. The arrival that counts is caused by a client's death.
AT_START = ("clients.admit", "clients.alive", "serve.handles", "serve.peer", "keeper.pair")
AT_DROP = ("estate.drop", "estate.free")
DAEMONS = [
    "execute.begin", "execute.ended", "estate.executed", "estate.party", "estate.drop",
    "estate.free", "clients.dead", "clients.admit", "clients.alive", "serve.handles",
    "serve.peer", "end.wanted", "end.closed", "end.notified",
]


def one_more(stage, port):
    """The server goes on serving new clients."""
    p = stage.actor("connects", port, 2)
    p.hear("done")
    check(p.ended() == 0, "a new client failed")


def warm(stage, port, server):
    """Several at once: whatever is made once for each thread is there then."""
    clients = [stage.actor("wait", port, "recv") for _ in range(3)]
    for c in clients:
        c.hear("open")
    for c in clients:
        c.kill()
    server.hear("end ", nth=3)
    one_more(stage, port)
    # Its ends are not to be taken for those of what comes next.
    server.hear("end ", nth=5)


def saw(server, nth, octets, how):
    words = server.hear("end ", SEEN_S, nth)
    check(words[4] == "0", "%s wrong bytes" % words[4])
    if octets is not None:
        check(int(words[2]) == octets, "%s bytes arrived of %d" % (words[2], octets))
    if how:
        check(words[3] == how or (how == "ECONNRESET" and words[3] in RESET),
              "%s, not %s" % (words[3], how))


def client_dies(stage, point, count, traffic, octets, how, kind):
    server, port = stage.server(kind)
    warm(stage, port, server)
    before = stage.snapshot(server)
    ends = len(server.lines("end "))
    victim = stage.actor(traffic[0], port, *traffic[1:], fault=(point, count, "kill"))
    check(victim.ended() == -signal.SIGKILL, "%s was not met: %s" % (point, victim.text()))
    if how != "never":
        saw(server, ends + 1, octets, how)
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    server.kill()


def client_stops(stage, point, count, traffic, kind):
    server, port = stage.server(kind)
    warm(stage, port, server)
    before = stage.snapshot(server)
    ends = len(server.lines("end "))
    victim = stage.actor(traffic[0], port, *traffic[1:], fault=(point, count, "stop"))
    wait_for("%s to be met" % point, lambda: state(victim.pid) == "T")
    one_more(stage, port)  # Others are served meanwhile; it adds two ends.
    time.sleep(0.05)
    victim.signal(signal.SIGCONT)
    check(victim.ended() == 0, "after SIGCONT: %s" % victim.text())
    words = server.hear("end ", SEEN_S, ends + 3)
    check(all(w.endswith(" 0") for w in server.lines("end ")), "wrong bytes")
    check(words is not None, "no end")
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    server.kill()


def server_dies(stage, point, count, traffic, kind, action):
    # Arrivals of the first client's connection are counted too.
    warm, port = stage.server("epoll")
    one_more(stage, port)
    warm.kill()
    before = stage.snapshot()
    victim, port = stage.server(kind, fault=(point, count, action))
    first = stage.actor("wait", port, "recv")
    clients = [first]
    if first.p.poll() is None:
        wait_for("the first client", lambda: first.lines("open") or stage.fired())
    clients.append(stage.actor(traffic[0], port, *traffic[1:]))
    if action == "stop":
        wait_for("%s to be met" % point, lambda: state(victim.pid) == "T")
        time.sleep(0.1)
        check(all(c.p.poll() is None for c in clients), "a stopped server's client ended")
        victim.signal(signal.SIGCONT)
        wait_for("the clients to go on", lambda: all(
            c.lines("open") or c.lines("putting") or c.lines("done") for c in clients))
        one_more(stage, port)
        victim.kill()
    else:
        check(victim.ended() == -signal.SIGKILL, "%s was not met" % point)
    for c in clients:
        wait_for("%s to see the end" % c.argv[-3:], lambda c=c: c.p.poll() is not None, SEEN_S)
        text = c.text()
        check(c.lines("end ") or c.lines("done") or any("%s: " % w in text for w in (
            "put", "exchange", "send", "connect", "ask", "answer")), "the client said: %s" % text)
        check(not any(l.split()[4] != "0" for l in c.lines("end ")), "wrong bytes")
    stage.settled(before)


def listener_closes(stage, point, action):
    """Clients wait to be accepted when the server closes its listener."""
    before = stage.snapshot()
    victim, port = stage.server("epoll", fault=(point, 1, action))
    victim.tell("hold\n")
    clients = [stage.actor("get", port, k) for k in ("recv", "poll", "epoll")]
    for c in clients:
        c.hear("open")
    victim.p.stdin.write(b"close\n")
    victim.p.stdin.flush()
    if action == "stop":
        wait_for("%s to be met" % point, lambda: state(victim.pid) == "T")
        time.sleep(0.05)
        victim.signal(signal.SIGCONT)
    else:
        check(victim.ended() == -signal.SIGKILL, "%s was not met" % point)
    for c in clients:
        _, _, octets, how, _ = c.hear("end ", SEEN_S)
        check(how in RESET and octets == "0", "%s after %s bytes" % (how, octets))
    victim.kill()
    stage.settled(before)


def sharer_dies(stage):
    """A child dies with the send lock of a shared side held."""
    server, port = stage.server("thread")
    warm(stage, port, server)
    ends = len(server.lines("end "))
    before = stage.snapshot(server)
    victim = stage.actor("forkput", port, 1000, 50, fault=("lock.held", 4, "kill"))
    check("killed" in " ".join(victim.hear("child")), "the child was not killed")
    check(victim.ended() == 0, "its parent: %s" % victim.text())
    saw(server, ends + 1, 53000, "eof")
    stage.settled(before, server, touch=lambda: one_more(stage, port))


def joint_dies(stage, point, count):
    """A child dies in the middle of a change to an epoll set that three have."""
    server, port = stage.server("thread")
    warm(stage, port, server)
    before = stage.snapshot(server)
    p = stage.actor("joint", port, fault=(point, count, "kill"))
    check("killed" in " ".join(p.hear("child", 5)), "%s was not met" % point)
    check(p.ended() == 0 and p.lines("done"), "its parent: %s" % p.text())
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    server.kill()


def listener_executed(settings, make):
    """A server dies with clients in its queue; the daemon dies closing it for it."""
    for action in ("kill", "stop"):
        stage = make(settings.faults, start=False)
        stage.start_daemon({"MORTISE_FAULT": "execute.seat:2:%s" % action,
                            "MORTISE_FAULT_ONCE": stage.once()})
        others = Bystander(stage)
        before = stage.snapshot()
        old = stage.status()["daemon_pid"]
        victim, port = stage.server("epoll")
        victim.tell("hold\n")
        clients = [stage.actor("get", port, k) for k in ("recv", "poll", "epoll")]
        for c in clients:
            c.hear("open")
        victim.kill()
        if action == "kill":
            wait_for("execute.seat to be met", lambda: stage.fired() and gone(old))
        else:
            resume(stage, "execute.seat", old)
        for c in clients:
            _, _, octets, how, _ = c.hear("end ", SEEN_S)
            check(how in RESET and octets == "0", "%s after %s bytes" % (how, octets))
        stage.settled(before)
        others.undisturbed()
        stage.close()


def resume(stage, point, pid):
    """The daemon, or its keeper, has stopped at the point."""
    both = (pid, stage.keeper.pid)
    wait_for("%s to be met" % point, lambda: any(state(p) == "T" for p in both))
    time.sleep(0.2)
    for p in both:
        if state(p) == "T":
            os.kill(p, signal.SIGCONT)


def daemon_dies(stage, point, action, server, port):
    """In the daemon of a stage whose environment names the point."""
    keeper = stage.keeper.pid
    old = stage.status()["daemon_pid"]
    before = stage.snapshot(server)
    ends = len(server.lines("end "))
    echo = stage.actor("echo", port, 1000)
    echo.hear("echoing")
    os.unlink(os.path.join(stage.dir, "fired-%d" % stage.fires))
    victim = stage.actor("wait", port, "recv")
    met = point in AT_START
    if action == "stop" and not met:
        # Somebody who died before may be what it was doing just then.
        both = (old, stage.keeper.pid)
        wait_for("%s, or the victim's connection" % point, lambda: victim.lines("open") or any(
            state(p) == "T" for p in both), 8)
        met = not victim.lines("open")
    if met and action == "stop":
        resume(stage, point, old)
    victim.hear("open", 8)
    victim.signal(signal.SIGKILL)
    if point in AT_DROP:
        # The server lets go of the dead where it meets somebody new.
        saw(server, ends + 1, 1, None)
        stage.actor("connects", port, 2)
    if action == "kill":
        wait_for("%s to be met" % point, lambda: stage.fired() and gone(old))
    elif not met:
        resume(stage, point, old)
    if point not in AT_DROP:
        saw(server, ends + 1, 1, None)
    echo.let_go()
    check(echo.hear("echo ")[3] == "0" and echo.ended() == 0, "an established connection was lost")
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    check(state(keeper) not in ("", "Z"), "the keeper died")


# ----------------------------------------------------------------- the tests

def in_company(settings, make, each):
    """Each of the functions in one domain, with the same bystanders."""
    stage = make(settings.faults)
    others = Bystander(stage)
    for fn in each:
        fn(stage)
    others.undisturbed()


def client_test(settings, make, point, count, traffic, octets, how):
    kinds = ("epoll", "thread", "poll")
    each = [functools.partial(client_dies, point=point, count=count, traffic=traffic,
                              octets=octets, how=how, kind=k) for k in kinds[:2]]
    each.append(functools.partial(client_stops, point=point, count=count, traffic=traffic,
                                  kind=kinds[2]))
    in_company(settings, make, each)


def server_test(settings, make, point, count, traffic):
    in_company(settings, make, [
        functools.partial(server_dies, point=point, count=count, traffic=traffic, kind="epoll"
                          if traffic[0] != "get" else "thread", action="kill"),
        functools.partial(server_dies, point=point, count=count, traffic=traffic, kind="thread",
                          action="stop")])


def listener_test(settings, make, point):
    in_company(settings, make, [functools.partial(listener_closes, point=point, action=a)
                                for a in ("kill", "stop")])


def sharer_test(settings, make):
    in_company(settings, make, [sharer_dies])


def joint_test(settings, make, point):
    in_company(settings, make, [functools.partial(joint_dies, point=point, count=c)
                                for c in (1, 2, 5)])


def daemon_test(settings, make, point, actions=("kill", "stop")):
    for action in actions:
        stage = make(settings.faults, daemon_env={}, start=False)
        once = stage.once()
        # Nobody acts before it is armed: what comes earlier is not counted.
        with open(once, "w", encoding="ascii"):
            pass
        stage.start_daemon({"MORTISE_FAULT": "%s:%d:%s" % (point, 1, action),
                            "MORTISE_FAULT_ONCE": once})
        server, port = stage.server("epoll")
        warm(stage, port, server)
        others = Bystander(stage)
        daemon_dies(stage, point, action, server, port)
        others.undisturbed()
        stage.close()


def tests():
    for point, count, traffic, octets, how in CLIENTS:
        yield ("points/client/%s/%s-%d" % (point, traffic[0], traffic[1]), functools.partial(
            client_test, point=point, count=count, traffic=traffic, octets=octets, how=how))
    for point, count, traffic in SERVERS:
        yield "points/server/%s" % point, functools.partial(server_test, point=point, count=count,
                                                            traffic=traffic)
    for point in ("close.listener", "close.seat"):
        yield "points/server/%s" % point, functools.partial(listener_test, point=point)
    yield "points/sharer/lock.held", sharer_test
    for point in JOINT:
        yield "points/joint/%s" % point, functools.partial(joint_test, point=point)
    for point in DAEMONS:
        yield "points/daemon/%s" % point, functools.partial(daemon_test, point=point)
    yield "points/daemon/execute.seat", listener_executed
    for point in ("keeper.pair", "keeper.hung"):
        # Its death is another matter: see deaths.py.
        yield "points/keeper/%s" % point, functools.partial(daemon_test, point=point,
                                                            actions=("stop",))
