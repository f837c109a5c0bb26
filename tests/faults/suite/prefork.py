# SPDX-License-Identifier: BSD-2-Clause
"""A listener that several processes hold: one of them dies or stops at each
step of accepting, the one that made it dies, a client dies before it followed,
the daemon dies.

After each: the others serve on, a client saw what the kernel would have shown
(another serves it, or it is reset), and the listener's memory holds what it
held before.
"""
import collections
import functools
import os
import signal
import struct
import time

from .stage import Bystander, Failed, check, free_port, gone, state, wait_for

SEEN_S = 2.5  # how soon a client knows
SAID = ("exchange", "send", "connect")  # what a client that was reset says

# Where a worker may die, at which arrival of any worker's, and whether the
# client that it was about to serve must find another.
WORKERS = [
    ("lock.held", 2, True),
    ("away.made", 2, True),
    ("away.named", 2, True),
    ("away.moved", 2, False),
    ("tidy.renewed", 3, False),
    ("tidy.seated", 3, False),
]
MAKER = ["take.bound", "take.mapped", "take.open", "take.seated"]
CLIENTS = ["seat.connecting", "seat.claimed", "seat.open", "follow.met", "follow.named"]

SLOTS_AT, SLOT = 0x1000000, 512  # docs/abi.md, 2
HANDLES_AT, HANDLES = 0x10000, 32768
FREE, LISTEN, SEAT, RELEASED = 0, 2, 3, 7


def arena(pid):
    """What is in the arena that process @pid made: slots ever used, handles
    named, halves by state. A seat that moved away counts as one: it comes back."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as f:
        starts = [int(l.split("-")[0], 16) for l in f
                  if "memfd:mortise-arena" in l and l.split()[1].startswith("rw")]
    with open("/proc/%d/mem" % pid, "rb") as mem:
        for at in starts:
            mem.seek(at)
            _, _, owner, _, _, slots, _ = struct.unpack("<Q6I", mem.read(32))
            if owner != pid:
                continue
            mem.seek(at + HANDLES_AT)
            handles = sum(1 for (w,) in struct.iter_unpack("<Q", mem.read(8 * HANDLES)) if w)
            mem.seek(at + SLOTS_AT)
            halves = mem.read(slots * SLOT)
            kinds = collections.Counter(struct.unpack_from("<I", halves, i * SLOT)[0]
                                        for i in range(slots))
            moved = sum(1 for i in range(slots)
                        if struct.unpack_from("<I", halves, i * SLOT + 72)[0] & 4)
            return {"slots": slots, "handles": handles, "listeners": kinds[LISTEN],
                    "seats": -kinds[SEAT] - moved}
    raise Failed("process %d has no arena" % pid)


def server(stage, workers=3, kind="epoll", **kw):
    port = free_port()
    p = stage.actor("prefork", port, kind, workers, **kw)
    p.hear("worker", nth=workers)
    p.hear("listening")
    p.workers = [int(l.split()[1]) for l in p.lines("worker")]
    return p, port


def served(stage, port, clients=3, each=10):
    """New clients, at once, all of them served."""
    them = [stage.actor("connects", port, each) for _ in range(clients)]
    for c in them:
        c.hear("done", 6)
        check(c.ended() == 0, "a new client failed: %s" % c.text())


def held(stage, port, before, p):
    """The listener's memory holds what it held, after some more of the same."""
    now = {}

    def look():
        nonlocal now
        served(stage, port, 1, 5)
        now = arena(p.pid)
        return all(now[k] <= before[k] for k in before)
    kernel = {k: v for k, v in stage.status()["fallbacks"].items()
              if v and k in ("backlog", "shared", "no-listener")}
    check(not kernel, "some were served by the kernel: %s" % kernel)
    wait_for(lambda: "the memory to be as it was: before %s, now %s" % (before, now), look, 6, 0.1)


def warmed(stage, workers=3, kind="epoll", fault=None):
    """A server that has served each seat once, and what its memory holds."""
    p, port = server(stage, workers, kind, fault=fault)
    if not fault:
        served(stage, port, 2, 70)
        check(stage.status()["fallbacks"]["backlog"] == 0, "a backlog was full")
    shape = arena(p.pid)
    check(shape["listeners"] == 1 and shape["seats"] <= -64, "the listener has %s" % shape)
    return p, port, shape


def ends(p, *more):
    """All of its processes, where it may be dead itself."""
    p.let_go()
    for pid in p.workers:
        wait_for("worker %d to end" % pid, lambda pid=pid: gone(pid))
    p.kill()
    for other in more:
        other.kill()


def worker_dies(stage, point, count, kind, another):
    shot = stage.snapshot()
    p, port, before = warmed(stage, 3, kind, fault=(point, count, "kill"))
    failed = 0
    for i in range(40):
        if p.lines("dead"):
            break
        c = stage.actor("wait", port, ("recv", "poll", "epoll")[i % 3])
        wait_for("client %d to know: %s" % (i, c.text()),
                 lambda c=c: c.lines("open") or c.p.poll() is not None, SEEN_S)
        if not c.lines("open"):
            failed += 1
            check(any(w in c.text() for w in SAID), "a client said: %s" % c.text())
        c.kill()
    check(p.hear("dead")[2] == str(int(signal.SIGKILL)), "%s was not met" % point)
    check(failed <= (0 if another else 1), "%d clients failed" % failed)
    served(stage, port, 3, 50) # more than there are seats
    held(stage, port, before, p)
    check(len(p.lines("dead")) == 1, "other workers died")
    ends(p)
    stage.settled(shot)


def worker_stops(stage, point, count, kind):
    """The others serve meanwhile; whom it was about to accept waits for it; nothing is lost."""
    shot = stage.snapshot()
    p, port, before = warmed(stage, 3, kind, fault=(point, count, "stop"))

    def stopped():
        return [w for w in p.workers if state(w) == "T"]
    clients = []
    for i in range(40):
        if stopped():
            break
        clients.append(stage.actor("wait", port, ("recv", "poll", "epoll")[i % 3]))
        time.sleep(0.05)
    victim = wait_for("%s to be met" % point, stopped)[0]
    clients += [stage.actor("wait", port, "recv") for _ in range(3)]
    served(stage, port, 2, 20)
    os.kill(victim, signal.SIGCONT)
    for c in clients:
        c.hear("open", SEEN_S)
    for c in clients:
        c.kill()
    served(stage, port)
    held(stage, port, before, p)
    ends(p)
    stage.settled(shot)


def worker_test(stages, point, count, another):
    stage = stages()
    others = Bystander(stage)
    worker_dies(stage, point, count, "epoll", another)
    worker_dies(stage, point, count, "thread", another)
    worker_stops(stage, point, count, "epoll")
    others.undisturbed()


def idle_stops(stage):
    """One that stops outside is not waited for."""
    p, port, before = warmed(stage)
    for pid in p.workers[:2]:
        os.kill(pid, signal.SIGSTOP)
        served(stage, port, 2, 20)
    for pid in p.workers[:2]:
        os.kill(pid, signal.SIGCONT)
    held(stage, port, before, p)
    ends(p)


def workers_come_and_go(stage):
    """Killed at any moment, under load: who was not theirs is served."""
    shot = stage.snapshot()
    p, port, before = warmed(stage, 6)
    for victim in p.workers[:4]:
        load = [stage.actor("connects", port, 200) for _ in range(2)]
        time.sleep(0.03)
        os.kill(victim, signal.SIGKILL)
        for c in load:
            wait_for("a client to know", lambda c=c: c.p.poll() is not None, 8)
            check(c.lines("done") or any(w in c.text() for w in SAID), "it said: %s" % c.text())
        served(stage, port)
    held(stage, port, before, p)
    ends(p)
    stage.settled(shot)


def maker_dies(stage):
    """The listener lives with the children; then the last of them dies too."""
    shot = stage.snapshot()
    p, port, _ = warmed(stage)
    staying = stage.actor("echo", port, 1000)
    staying.hear("echoing")
    os.kill(p.pid, signal.SIGKILL)
    p.p.wait()
    served(stage, port, 3, 60)
    os.kill(p.workers[0], signal.SIGSTOP)
    queued = [stage.actor("wait", port, "recv")]
    queued[0].hear("open", SEEN_S)
    os.kill(p.workers[0], signal.SIGCONT)
    for pid in p.workers:
        os.kill(pid, signal.SIGKILL)
    for c in queued + [staying]:
        wait_for("a client to see the end", lambda c=c: c.p.poll() is not None, SEEN_S)
    late = stage.actor("wait", port, "recv")
    check(late.ended() != 0 and "ECONNREFUSED" in late.text() or "refused" in late.text(),
          "nobody listens, and it said: %s" % late.text())
    stage.settled(shot)


def queue_is_reset(stage):
    """All who accept are killed with clients in the queue."""
    shot = stage.snapshot()
    p, port, _ = warmed(stage, 2)
    for pid in p.workers:
        os.kill(pid, signal.SIGSTOP)
    clients = [stage.actor("get", port, k) for k in ("recv", "poll", "epoll")]
    for c in clients:
        c.hear("open")
    os.kill(p.pid, signal.SIGKILL)
    p.p.wait()
    for pid in p.workers:
        os.kill(pid, signal.SIGKILL)
    for c in clients:
        _, _, octets, how, _ = c.hear("end ", SEEN_S)
        check(how in ("ECONNRESET", "EPIPE") and octets == "0", "%s after %s" % (how, octets))
    stage.settled(shot)


def client_dies(stage, point, action):
    shot = stage.snapshot()
    p, port, before = warmed(stage)
    for _ in range(4):
        ends_seen = p.lines("end S") + p.lines("end -")
        victim = stage.actor("put", port, 100, 20, 0, fault=(point, 1, action))
        if action == "stop":
            wait_for("%s to be met" % point, lambda v=victim: state(v.pid) == "T" or
                     v.p.poll() is not None)
            served(stage, port, 1, 10)
            if victim.p.poll() is None:     # Else it was through before it came there.
                victim.signal(signal.SIGCONT)
            check(victim.ended() == 0, "after SIGCONT: %s" % victim.text())
        else:
            status = victim.ended()
            if status == 0 and point.startswith("follow"):
                continue # sent all of it, and closed, before it was accepted
            check(status == -signal.SIGKILL, "%s was not met: %s" % (point, victim.text()))
            if point != "seat.connecting":
                wait_for("a worker to see its end", lambda n=len(ends_seen): len(
                    p.lines("end S") + p.lines("end -")) > n, SEEN_S)
        served(stage, port, 1, 10)
    held(stage, port, before, p)
    check(all(l.endswith(" eof 0") for l in p.lines("end S") + p.lines("end -")),
          "not as it was sent: %s" % p.lines("end "))
    ends(p)
    stage.settled(shot)


def client_test(stages, point):
    stage = stages()
    others = Bystander(stage)
    client_dies(stage, point, "kill")
    client_dies(stage, point, "stop")
    others.undisturbed()


def daemon_dies(stage):
    """Who is known is served meanwhile, who is new soon after."""
    shot = stage.snapshot()
    p, port, before = warmed(stage)
    keeper = stage.keeper.pid
    known = [stage.actor("again", port) for _ in range(2)]
    for c in known:
        c.hear("open")
    for _ in range(3):
        old = stage.status()["daemon_pid"]
        os.kill(old, signal.SIGKILL)
        n = [len(c.lines("again")) for c in known]
        for c in known:
            c.p.stdin.write(b"x\n")
            c.p.stdin.flush()
        for c, k in zip(known, n):
            words = c.hear("again", 6, k + 1)
            check(words[1] in ("ok", "kernel") and words[2] == "ok", "%s" % words)
        served(stage, port)
    check(state(keeper) not in ("", "Z"), "the keeper died")
    for c in known:
        c.kill()
    held(stage, port, before, p)
    ends(p)
    stage.settled(shot)


def maker_takes(stage, point):
    """It accepts beside its children, and dies of it."""
    shot = stage.snapshot()
    p, port = server(stage, 2, "both", fault=(point, 2, "kill"))
    for i in range(40):
        c = stage.actor("wait", port, ("recv", "poll", "epoll")[i % 3])
        wait_for("a client to know", lambda c=c: c.lines("open") or c.p.poll() is not None, SEEN_S)
        check(c.lines("open") or any(w in c.text() for w in SAID), "it said: %s" % c.text())
        c.kill()
        if p.p.poll() is not None:
            break
    check(p.p.poll() == -signal.SIGKILL, "%s was not met" % point)
    served(stage, port, 3, 40)
    for pid in p.workers:
        os.kill(pid, signal.SIGKILL)
    stage.settled(shot)


def tests():
    def alone(fn, *args):
        def run(settings, make):
            stage = make(settings.faults)
            others = Bystander(stage)
            fn(stage, *args)
            others.undisturbed()
        return run

    def with_stages(fn, *args):
        return lambda settings, make: fn(functools.partial(make, settings.faults), *args)

    for point, count, another in WORKERS:
        yield "prefork/worker/%s" % point, with_stages(worker_test, point, count, another)
    for point in MAKER:
        yield "prefork/maker/%s" % point, alone(maker_takes, point)
    for point in CLIENTS:
        yield "prefork/client/%s" % point, with_stages(client_test, point)
    for fn in (idle_stops, workers_come_and_go, maker_dies, queue_is_reset, daemon_dies):
        yield "prefork/%s" % fn.__name__.replace("_", "-"), alone(fn)
