# SPDX-License-Identifier: BSD-2-Clause
"""Servers of several processes: nginx with wrk, PostgreSQL with pgbench; and what is no socket."""
import os
import re
import signal
import subprocess

import figures
from figures import KERNEL_SIDES, ONE, TWO, Figure, harness
from suite import nginx, postgres, user


class Native:
    """Descriptors that are not ours: as quick as without us."""

    def __init__(self):
        self.figures = [Figure("%s, 64 B write and read" % what, "one core", "pairs/s", 0.98)
                        for what in ("pipe", "file")]

    def run(self, world, side):
        b = world.bench(side)
        out = b.client([os.path.join(world.bin, "native"), "--time", str(world.seconds),
                        "--pin-client", str(world.cpus[1]), "--port", str(harness.free_port())],
                       60).decode()
        rates = dict(pair.split("=", 1) for pair in out.split() if "=" in pair)
        return [float(rates["pipe_per_s"]), float(rates["file_per_s"])]


class Nginx:
    """A master and 4 workers, a file of 612 bytes, 64 connections of wrk."""

    def __init__(self, placement):
        self.placement = placement
        self.figures = [Figure("nginx, 64 connections%s" % what, placement, "k/s", target)
                        for what, target in ((", kept", 1.6), (", one a request", 2))]

    def run(self, world, side):
        b = world.bench(side)
        b.port = harness.free_port()
        os.makedirs(b.path("www"), exist_ok=True)
        with open(b.path("www/small"), "wb") as f:
            f.write(os.urandom(612))
        nginx.configure(b, log="off")
        cpus = world.pins(self.placement)
        p, enter = start(b, side, ["taskset", "-c", str(cpus[0]), *nginx.argv(b)])
        try:
            rates = []
            for keep in (True, False):
                out = b.client([*enter, "taskset", "-c", str(cpus[1]),
                                *nginx.wrk_argv(b, 1 if world.quick else 3, keep)], 60).decode()
                nginx.served(out)
                rates.append(float(re.search(r"Requests/sec: +([0-9.]+)", out).group(1)) / 1000)
            return rates
        finally:
            p.stop()


class Postgres:
    """pgbench -S, 8 clients; a cluster and a domain of an unprivileged user's on each side."""

    CLIENTS = 8
    own_domain = True

    def __init__(self, placement):
        self.placement = placement
        self.figures = [Figure("pgbench -S, 8 clients", placement, "k/s", 1)]
        self.benches = {}

    def bench(self, world, side):
        """Made at the first round, closed with the world."""
        kind = "both" if side == "mortise" else "kernel"
        if kind not in self.benches:
            b = harness.Bench(world.mortise.mortise, kind)
            world.more.append(b)
            user.unprivileged(b)
            subprocess.run(["cp", "-a", postgres.template(), b.path("data")], check=True)
            self.benches[kind] = b
        return self.benches[kind]

    def run(self, world, side):
        b = self.bench(world, side)
        b.port = harness.free_port()
        postgres.configure(b)
        cpus = world.pins(self.placement)
        server = ["taskset", "-c", str(cpus[0]), postgres.tool("postgres"), "-D", b.path("data")]
        p, enter = start(b, side, server, not_root=True)
        try:
            if not os.path.exists(b.path("filled")):
                b.client([*enter, postgres.tool("pgbench"), "-i", "-q", "-s", "5"], 60)
                open(b.path("filled"), "w").close()
            out = b.client([*enter, "taskset", "-c", str(cpus[1]), postgres.tool("pgbench"), "-n",
                            "-S", "-c", str(self.CLIENTS), "-T", "1" if world.quick else "3"],
                           60).decode()
            if side == "mortise":
                harness.check(not b.fallbacks(), "not in shared memory: %s" % b.fallbacks())
            return [float(re.search(r"^tps = ([0-9.]+)", out, re.M).group(1)) / 1000]
        finally:
            shut_down(b)
            p.stop()


def shut_down(b):
    """So that the next server finds the cluster as one leaves it."""
    pidfile = b.path("data/postmaster.pid")
    try:
        with open(pidfile) as f:
            os.kill(int(f.readline()), signal.SIGINT)
    except FileNotFoundError:
        return
    harness.wait_for("shutdown of postgres", lambda: not os.path.exists(pidfile), 10)


def start(b, side, argv, not_root=False):
    """The server on its side, and what brings a client there."""
    if side in KERNEL_SIDES:
        return figures.start_with_cc(b, side, argv, b.port, not_root)
    return b.server(argv, b.port), []


def jobs():
    return [Nginx(TWO), Nginx(ONE), Postgres(TWO), Postgres(ONE), Native()]
