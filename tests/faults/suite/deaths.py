# SPDX-License-Identifier: BSD-2-Clause
"""Daemon, keeper and programs killed and stopped, wherever they happen to be."""
import functools
import os
import signal
import socket
import time

from .points import one_more, warm
from .stage import Bystander, Skipped, check, gone, wait_for

GONE = "has gone"  # of the one line that the library writes about the domain's end
KINDS = ("recv", "poll", "epoll")


def daemon_killed(settings, make):
    """Again and again under load: no connection is lost, new ones work after a moment."""
    stage = make(settings.plain)
    others = [Bystander(stage, 0), Bystander(stage, 500)]
    server, port = stage.server("epoll")
    warm(stage, port, server)
    before = stage.snapshot(server)
    again = stage.actor("again", port)
    again.hear("open")
    for n in range(6):
        pid = stage.status()["daemon_pid"]
        loads = [stage.actor("connects", port, 40) for _ in range(3)]
        time.sleep(settings.random.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        for p in loads:
            p.hear("done", 10)
            check(p.ended() == 0, "a client failed: %s" % p.text())
        again.p.stdin.write(b"x\n")
        again.p.stdin.flush()
        check(again.hear("again", 8, n + 1)[1:] == ["ok", "ok"], again.text())
    again.let_go()
    check(again.ended() == 0, "the client that knew the server failed")
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    check(stage.all_shm(others[0].port), "not in shared memory any more")
    for o in others:
        o.undisturbed()


def crowd(stage, kind):
    """A server of that kind, and a client that waits in each way."""
    server, port = stage.server(kind)
    clients = [stage.actor("wait", port, k) for k in KINDS]
    clients.append(stage.actor("wait", port, "recv", 300))
    for c in clients:
        c.hear("open")
    return server, port, clients


def said_gone(program):
    return program.text().count(GONE)


def keeper_killed(settings, make, policy, victims):
    """Established connections go on; deaths after that are seen, by whatever waits."""
    stage = make(settings.plain, policy)
    other = Bystander(stage)
    crowds = [crowd(stage, k) for k in ("epoll", "thread", "poll")]
    again = stage.actor("again", crowds[0][1])
    again.hear("open")
    daemon = stage.status()["daemon_pid"]
    stage.keeper.signal(signal.SIGKILL)
    wait_for("the daemon's end", lambda: gone(daemon))
    # Between two that know each other, and have handles in stock; then by one
    # that has noticed.
    for n, (told, want) in enumerate((("x", "ok"), ("p", "kernel"), ("x", "kernel"))):
        again.p.stdin.write(told.encode() + b"\n")
        again.p.stdin.flush()
        words = again.hear("again", 5, n + 1)
        check(words[2] == "ok", "an established connection was lost")
        if policy == "none" and want == "kernel":
            want = "ENOBUFS"
        check(words[1] == want, "a new connection: %s, not %s" % (words[1], want))
    time.sleep(1.2)
    everybody = [again] + [p for s, _, cs in crowds for p in [s] + cs]
    check(all(p.p.poll() is None for p in everybody), "somebody ended")
    ends = len(crowds[0][0].lines("end "))
    check(ends == (3 if policy == "share" else 1), "%d connections ended" % ends)
    check(not any(p.lines("end ") for p in everybody if p is not crowds[0][0]),
          "a connection ended")
    if victims == "servers":
        for server, _, clients in crowds:
            server.signal(signal.SIGKILL)
        for _, _, clients in crowds:
            for c in clients:
                check(c.hear("end ", 2.6)[4] == "0", "wrong bytes")
                check(said_gone(c) == 1, "said %d times: %s" % (said_gone(c), c.text()))
    else:
        for server, _, clients in crowds:
            for c in clients:
                c.signal(signal.SIGKILL)
        for server, _, clients in crowds:
            n = len(clients) + (ends if server is crowds[0][0] else 0)
            check(server.hear("end ", 2.6, n)[4] == "0", "wrong bytes")
            check(said_gone(server) == 1, "said %d times: %s" % (said_gone(server),
                                                                 server.text()))
    other.undisturbed()
    check(said_gone(other.client) <= 1, "said more than once")


def peer_stopped(settings, make):
    """A stopped reader: 4 MB, then the writer waits; it goes on afterwards."""
    stage = make(settings.plain)
    other = Bystander(stage)
    for kind in ("epoll", "thread"):
        server, port = stage.server(kind)
        one_more(stage, port)
        server.signal(signal.SIGSTOP)
        ask = stage.actor("ask", port, 1000, 5)
        fill = stage.actor("fill", port)
        full = int(fill.hear("full", 8)[1])
        check(3 << 20 <= full <= 5 << 20, "%d bytes were taken" % full)
        time.sleep(0.3)
        check(not fill.lines("done") and ask.p.poll() is None, "nobody waited")
        server.signal(signal.SIGCONT)
        done = int(fill.hear("done")[1])
        check(fill.ended() == 0 and ask.ended() == 0, "after SIGCONT")
        wait_for("all to arrive", lambda s=server, n=done: any(
            l.split()[1:] == ["S", str(n), "eof", "0"] for l in s.lines("end ")))
        # A stopped client: its server waits, others are served.
        put = stage.actor("put", port, 1000, 300, 1000)
        put.hear("putting")
        put.signal(signal.SIGSTOP)
        one_more(stage, port)
        put.signal(signal.SIGCONT)
        check(put.ended() == 0, "a client that was stopped failed")
        server.kill()
    other.undisturbed()


def domain_stopped(settings, make, who):
    """What does not need them goes on; what does waits, and then goes on."""
    stage = make(settings.plain)
    other = Bystander(stage)
    server, port = stage.server("epoll")
    again = stage.actor("again", port)
    again.hear("open")
    status = stage.status()
    pids = [status[k] for k in ("daemon_pid", "keeper_pid") if k.startswith(who) or who == "both"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for n in range(20):
            again.p.stdin.write(b"x\n")
            again.p.stdin.flush()
            check(again.hear("again", 1, n + 1)[1:] == ["ok", "ok"], again.text())
        fresh = stage.start([stage.tool("actor"), "connects", str(port), "3"],
                            env={"LD_PRELOAD": os.path.join(stage.build,
                                                            "src/preload/libmortise.so"),
                                 "MORTISED": stage.tool("mortised")})
        time.sleep(0.3)
        if "daemon_pid" in status and who != "keeper":
            check(fresh.p.poll() is None, "it did not wait: %s" % fresh.text())
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    check(fresh.ended() == 0 and fresh.lines("done"), "after SIGCONT: %s" % fresh.text())
    again.p.stdin.write(b"x\n")
    again.p.stdin.flush()
    check(again.hear("again", 2, 21)[1:] == ["ok", "ok"], again.text())
    other.undisturbed()


def clients_killed(settings, make):
    """Hundreds of clients, killed wherever they are, leave a server as it was."""
    stage = make(settings.plain)
    other = Bystander(stage)
    servers = [stage.server(k) for k in ("epoll", "thread")]
    for server, port in servers:
        warm(stage, port, server)
    programs = [s for s, _ in servers]
    before = stage.snapshot(*programs)
    for _ in range(40):
        batch = [stage.actor(*w) for _, port in servers for w in (
            ("echo", port, 0), ("put", port, 65536, 1000, 0), ("get", port, "recv"),
            ("connects", port, 1000))]
        time.sleep(0.005 + settings.random.random() * 0.03)
        for p in batch:
            p.signal(signal.SIGKILL)
        for p in batch:
            p.ended()
            stage.programs.remove(p)
    # A server's threads, each with a bell, come and go: 16 at the most.
    before.update({k: n + 16 for k, n in before.items() if k == "fds-1"})
    stage.settled(before, *programs, touch=lambda: [one_more(stage, p) for _, p in servers])
    check(all(l.split()[4] == "0" for s in programs for l in s.lines("end ")), "wrong bytes")
    other.undisturbed()


def over_inet6(settings, make, test):
    """The same over ::1."""
    def make_inet6(*args, **kw):
        stage = make(*args, **kw)
        stage.env["ACTOR_SIX"] = "1"
        return stage
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        raise Skipped("::1 is not there") from None
    test(settings, make_inet6)


def tests():
    yield "deaths/daemon-killed", daemon_killed
    yield "deaths/daemon-killed/inet6", functools.partial(over_inet6, test=daemon_killed)
    for policy in ("share", "none"):
        for victims in ("servers", "clients"):
            yield "deaths/keeper-killed/%s-%s" % (policy, victims), functools.partial(
                keeper_killed, policy=policy, victims=victims)
    yield "deaths/peer-stopped", peer_stopped
    for who in ("daemon", "keeper", "both"):
        yield "deaths/%s-stopped" % who, functools.partial(domain_stopped, who=who)
    yield "deaths/clients-killed", clients_killed
