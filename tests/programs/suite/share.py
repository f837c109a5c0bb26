# SPDX-License-Identifier: BSD-2-Clause
"""Which share of a test's bytes went through shared memory.

As root, the suite runs in a network namespace of its own: then its loopback
counts exactly the bytes that went through the kernel, and all of them are the
test's. Elsewhere, what the test knows to have been transferred is the measure.
"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess

from .harness import Failed, check, wait_for

CLONE_NEWNET = 0x40000000
PR_SET_CHILD_SUBREAPER = 36
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
KERNEL_NOISE = 0.01  # of the bytes: what probes and shadows may cost

# What less than all of a test's bytes is in shared memory, and why. The test
# fails where it is less than this, and says so where it is more.
LESS = {
    "nginx_uid": (0.0, "no memory is shared between users: the listener becomes the kernel's"),
    "dnsmasq": (0.5, "datagrams are few; the first ones, and more on a busy machine, come through the kernel"),
    "unbound": (0.5, "likewise"),
    "socat_udp": (0.1, "a process that is executed for a client has the kernel's"),
    "vsftpd_users": (0.0, "likewise: data connections are made by the unprivileged processes"),
}

alone = False  # whether the loopback is ours alone


def isolate():
    """Be alone on a loopback, and the parent of every orphan among the tests' programs."""
    global alone
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNET) != 0:
        return
    with socket.socket() as s:
        req = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(s, SIOCGIFFLAGS, req))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))
    # Groups have no way there by themselves, other than IPv4's.
    subprocess.run(["ip", "-6", "route", "add", "local", "ff00::/8", "dev", "lo"], check=False,
                   stderr=subprocess.DEVNULL)
    alone = True


def children():
    """What the runner is the parent of."""
    with open("/proc/self/task/%d/children" % os.getpid()) as f:
        return [int(n) for n in f.read().split()]


def sweep():
    """End what outlived its test: servers put their children into sessions of their own."""
    for _ in range(200):
        left = children()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
    raise RuntimeError("processes that cannot be ended: %s" % children())


def loopback_bytes():
    """Bytes that ever went over this namespace's loopback, headers and all."""
    with open("/proc/net/dev") as f:
        for line in f:
            name, _, counters = line.partition(":")
            if name.strip() == "lo":
                return int(counters.split()[0])
    return 0


class Meter:
    """The bytes from here on."""

    def __init__(self, b):
        self.b = b
        if b.meter:
            return
        self.kernel_before = loopback_bytes()

    def shared(self):
        return self.b.json("status", "--json")["bytes"] if self.b.arrangement != "kernel" else 0

    def expect(self, test, octets, also=()):
        """At least so many were transferred; the right share of them in shared memory.

        also: Reasons for kernel sockets that belong to the test.
        """
        b = self.b
        if b.meter:
            b.meter(octets)
            return
        want, why = LESS.get(test, (1.0, "")) if b.arrangement == "both" else (0.0, "")
        # A connection's bytes are added to the sum when it ends.
        try:
            wait_for("bytes", lambda: self.shared() >= octets * want, 2, 0.05)
        except Failed:
            pass
        shm = self.shared()
        if alone:
            kernel = loopback_bytes() - self.kernel_before
            check(shm + kernel >= octets, "%d bytes in shared memory and %d in the kernel, not %d" %
                  (shm, kernel, octets))
            share = shm / (shm + kernel or 1)
        else:
            share = min(1.0, shm / octets)
        print("  %s/%s: %.1f %% of %.1f MB in shared memory%s" %
              (test, b.arrangement, 100 * share, octets / 1e6,
               "" if b.arrangement == "kernel" else ", fallbacks %s" % (b.fallbacks() or "none")),
              flush=True)
        check(share >= want - KERNEL_NOISE, "%.1f %% of the bytes in shared memory, not %.1f %%" %
              (100 * share, 100 * want))
        if b.arrangement == "both" and want == 1:
            others = set(b.fallbacks()) - set(also)
            check(not others, "fallbacks: %s" % b.fallbacks())
        if b.arrangement == "both" and want < 1 and share > want + 0.05:
            print("  more than suite/share.py expects (%s)" % why, flush=True)

