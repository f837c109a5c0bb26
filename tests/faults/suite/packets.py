# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams whose senders, receivers and daemon are killed and stopped.

A lost datagram is none; a wrong one, one that comes twice, a bystander that is
held up, or memory that stays behind, is.
"""
import os
import signal
import time

from .stage import check, free_port, wait_for


# Memory of the dead is let go when the next one is met, of some at a time: so
# many mappings and descriptors may be left of them, however many they were.
SLACK = 14


class Traffic:
    """A receiver, and bystanders that go on sending to it."""

    def __init__(self, stage, senders=2, port=None):
        self.stage = stage
        self.port = port or free_port()
        self.receiver = self.receive()
        self.senders = [self.sender(500 * (i + 1)) for i in range(senders)]

    def start(self, *words):
        argv = [self.stage.tool("mortise"), "run", "--", self.stage.tool("packets")]
        return self.stage.start(argv + [str(w) for w in words])

    def receive(self):
        p = self.start("receive", self.port)
        p.hear("listening")
        return p

    def sender(self, pause_us):
        p = self.start("send", self.port, pause_us)
        p.hear("sending")
        return p

    def flood(self, octets):
        p = self.start("flood", self.port, octets)
        p.hear("sending")
        return p

    def end_senders(self, gaps=True):
        """The bystanders saw nothing wrong, and were not held up."""
        for p in self.senders:
            p.let_go()
            count, answers, refused, wrong, gap_us = map(int, p.hear("sent ", 10)[1:])
            check(p.ended(5) == 0, p.text())
            check(wrong == 0, "%d wrong answers" % wrong)
            check(answers > 5, "%d answers to %d" % (answers, count))
            if gaps:
                check(refused == 0, "%d times refused" % refused)
                check(gap_us < 5000000, "a gap of %d us" % gap_us)

    def end(self, gaps=True):
        self.end_senders(gaps)
        self.receiver.let_go()
        count, wrong, _ = map(int, self.receiver.hear("received ", 10)[1:])
        check(wrong == 0, "%d of %d datagrams wrong" % (wrong, count))
        check(count > 10, "%d datagrams" % count)
        check(self.receiver.ended(5) == 0, self.receiver.text())


def snapshot(stage, *programs):
    """As stage.snapshot(), with what may be left for a while."""
    return {k: v + (SLACK if k not in ("clients", "connections", "listeners") else 0)
            for k, v in stage.snapshot(*programs).items()}


def warm(t, count=12):
    """So many have come and gone already."""
    for n in range(count):
        p = t.flood((100, 9000)[n % 2]) if n % 3 else t.sender(100)
        time.sleep(0.02)
        p.kill()


def sender_killed(settings, make):
    """In the middle of a send, again and again: the receiver and the others go on."""
    stage = make(settings.plain)
    t = Traffic(stage)
    warm(t)
    before = snapshot(stage, t.receiver)
    for n in range(24):
        p = t.flood((16, 1000, 9000)[n % 3])
        time.sleep(settings.random.random() * 0.05)
        p.signal(signal.SIGKILL)
        p.kill()
    stage.settled(before, t.receiver)
    check(stage.status()["bytes"] > 10000, "nothing went through memory")
    t.end()


def receiver_killed(settings, make):
    """Its senders go on, and reach the next one that is bound there."""
    stage = make(settings.plain)
    t = Traffic(stage, 3)
    before = None
    for n in range(16):
        time.sleep(0.05 + settings.random.random() * 0.05)
        t.receiver.signal(signal.SIGKILL)
        t.receiver.kill()
        t.receiver = t.receive()
        time.sleep(0.05)
        if n == 5:
            before = snapshot(stage, *t.senders)
    stage.settled(before, *t.senders)
    t.end(gaps=False)


def receiver_stopped(settings, make):
    """Its senders are not held up by it: what there is no room for is dropped."""
    stage = make(settings.plain)
    other = Traffic(stage, 1)
    t = Traffic(stage, 1)
    p = t.flood(1000)
    t.receiver.signal(signal.SIGSTOP)
    time.sleep(0.3)
    p.let_go()
    sent = int(p.hear("sent ", 5)[1])
    check(p.ended(5) == 0 and sent > 1000, "%d datagrams sent to a stopped receiver" % sent)
    other.end()
    t.receiver.signal(signal.SIGCONT)
    time.sleep(0.2)
    t.end(gaps=False)


def sender_stopped(settings, make):
    """Wherever it is: the receiver hears the others."""
    stage = make(settings.plain)
    t = Traffic(stage)
    for n in range(8):
        p = t.flood((16, 1000, 9000)[n % 3])
        time.sleep(settings.random.random() * 0.02)
        p.signal(signal.SIGSTOP)
    time.sleep(0.2)
    t.end()


def daemon_killed(settings, make):
    """Traffic goes on; new sockets work, and meet the old ones, once there is the next."""
    stage = make(settings.plain)
    t = Traffic(stage, 3)
    warm(t)
    before = snapshot(stage, t.receiver)
    for _ in range(4):
        pid = stage.status()["daemon_pid"]
        time.sleep(settings.random.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        new = t.sender(200)
        time.sleep(0.1)
        new.let_go()
        answers = int(new.hear("sent ", 10)[2])
        check(answers > 0, "nobody answered a new sender")
        check(new.ended(5) == 0, new.text())
        wait_for("the next daemon", lambda old=pid: stage.status()["daemon_pid"] != old, 5)
    stage.settled(before, t.receiver)
    t.end()


def keeper_killed(settings, make):
    """The domain ends; who talks goes on."""
    stage = make(settings.plain)
    t = Traffic(stage)
    time.sleep(0.1)
    stage.keeper.signal(signal.SIGKILL)
    stage.keeper.kill()
    time.sleep(0.3)
    t.end(gaps=False)


def tests():
    yield "packets/sender-killed", sender_killed
    yield "packets/receiver-killed", receiver_killed
    yield "packets/receiver-stopped", receiver_stopped
    yield "packets/sender-stopped", sender_stopped
    yield "packets/daemon-killed", daemon_killed
    yield "packets/keeper-killed", keeper_killed
