# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that go to another program image: by exec, with a message, through a relay."""
import os
import signal

from .echo import peer
from .harness import Skipped, build_dir, check, kernel_listens, wait_for

ECHO_BYTES = 2 * 100000


def plain():
    path = os.path.join(build_dir(), "tests", "programs", "plain")
    if not os.access(path, os.X_OK):
        raise Skipped("no static program (libc.a is not here)")
    return path


def start(b, case, count, *more):
    return b.server(peer("handover_server.py", b.port, case, count, *more))


def echoes(b, case, count=6, *more):
    """Echoes of 100 kB, all at once; the server ends when it has served them."""
    p = start(b, case, count, *more)
    out = b.client(peer("echo_client.py", b.port, count))
    check(out == b"%d right\n" % count, "client said: %r" % out)
    b.expect_traffic(count, count * ECHO_BYTES)
    check(p.wait(10) == 0, "server's exit status")


def shared(b, case, count=20, *more):
    """A listener that other programs accept from, until the test ends."""
    start(b, case, count, *more)
    wait_for("workers", lambda: b.client(peer("echo_client.py", b.port, 1)) == b"1 right\n", 10, 0.1)
    out = b.client(peer("echo_client.py", b.port, count))
    check(out == b"%d right\n" % count, "client said: %r" % out)
    b.expect_traffic(count, count * ECHO_BYTES)


def bulk(b, case, count, *more):
    """10 MB each way through each connection, with a half-close."""
    p = start(b, case, count, *more)
    out = b.client(peer("bulk_client.py", b.port, count, 10 << 20), seconds=40)
    check(out == b"right\n", "client said: %r" % out)
    b.expect_traffic(count, count * 2 * (10 << 20))
    check(p.wait(10) == 0, "server's exit status")
    wait_for("end of the relays", lambda: not relays(b), 3)


def relays(b):
    """Processes of that name which this test's server made."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open("/proc/%s/comm" % pid) as f:
                if not pid.isdigit() or f.read() != "mortise-relay\n":
                    continue
            with open("/proc/%s/environ" % pid, "rb") as f:
                if b.env["MORTISE_DIR"].encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def exec_connection(b):
    """fork, dup2, exec: the connection is the new program's standard input and output."""
    echoes(b, "exec")


def exec_upgrade(b):
    """A program executes itself for each connection; the listener stays, and who waits in it."""
    echoes(b, "upgrade")


def exec_launcher(b):
    """A listener made by another program, as descriptor 3."""
    echoes(b, "launch")


def exec_options(b):
    """O_NONBLOCK and SO_RCVTIMEO outlive an exec."""
    echoes(b, "timeouts", 1)


def relay_exec(b):
    """A static program with the connection as standard input and output."""
    bulk(b, "relay", 2, plain())


def relay_excluded(b):
    """One that MORTISE_EXCLUDE names."""
    b.env["MORTISE_EXCLUDE"] = "cat"
    bulk(b, "excluded", 2)


def relay_spawn(b):
    """posix_spawn of a static program."""
    p = start(b, "spawn", 2, plain())
    out = b.client(peer("bulk_client.py", b.port, 2, 1 << 20))
    check(out == b"right\n", "client said: %r" % out)
    b.expect_traffic(2, 2 * 2 * (1 << 20))
    check(p.wait(10) == 0, "server's exit status")


def relay_ends(b):
    """Half-close, reset, death, back-pressure, an exec that fails; both ends in one program."""
    out = b.client(peer("relay_ends.py", plain()), seconds=60)
    check(out == b"right\n", "it said: %r" % out)


def message_connection(b):
    """SCM_RIGHTS to two workers."""
    echoes(b, "message", 20)


def message_relay(b):
    """SCM_RIGHTS to a program without the library."""
    echoes(b, "message-plain", 6, plain())


def message_multiprocessing(b):
    echoes(b, "multiprocessing", 1)


def message_listener(b):
    """A listener given to two workers, who share it; its maker has closed it."""
    shared(b, "listener")


def message_bound(b):
    """The same before listen(): each of them calls it."""
    shared(b, "bound")


def message_in_flight(b):
    """Who sent them was killed before anybody took them."""
    echoes(b, "in-flight")


def message_in_flight_listener(b):
    shared(b, "in-flight-listener")


def message_listener_plain(b):
    """To a program without the library: the listener becomes the kernel's."""
    b.start("server", peer("handover_server.py", b.port, "listener-plain", 1, plain()))
    wait_for("listener", lambda: kernel_listens(b.port), 10)
    wait_for("workers", lambda: b.client(peer("echo_client.py", b.port, 1)) == b"1 right\n", 10, 0.1)
    if b.accelerated("server"):
        check(b.fallbacks().get("shared"), "fallbacks: %s" % b.fallbacks())


def handover_storm(b):
    """All of that for some seconds, with programs killed, and the daemon; nothing is left."""
    if b.arrangement not in ("both", "kernel"):
        raise Skipped("both ends are in one program")
    p = b.start("client", peer("handover_storm.py", plain(), 6))
    while p.status(1.0) is None:
        for pid in b.processes()[:1]:
            os.kill(pid, signal.SIGKILL)
    check(p.status() == 0 and p.output().endswith("right\n"), "it said: %r" % p.output()[-300:])
    if b.arrangement == "both":
        wait_for("end of all", lambda: not relays(b) and not handles(b), 5, 0.1)


def handles(b):
    return b.json("status", "--json")["handles"]


TESTS = (exec_connection, exec_upgrade, exec_launcher, exec_options, relay_exec, relay_excluded,
         relay_spawn, relay_ends, message_connection, message_relay, message_multiprocessing, message_listener,
         message_bound, message_in_flight, message_in_flight_listener, message_listener_plain,
         handover_storm)
