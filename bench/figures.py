# SPDX-License-Identifier: BSD-2-Clause
"""What is measured, where its ends run, and what it should come to.

A Job runs one program once on one side ("bbr", "cubic": the kernel with that
congestion control; "mortise") and yields a value for each of its figures.
"""
import csv
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "programs"))
from suite import costs, harness  # noqa: E402

KERNEL_SIDES = ("bbr", "cubic")
TWO, POLLING, ONE, FREE = ("two cores, blocking", "two cores, polling", "one core, blocking",
                           "unpinned, blocking")


class Figure:
    """One line of the table.

    target: mortise / kernel; at most that where less is better, else at least.
    best_mode: against the best of the kernel's rounds, not against the median:
    its unpinned rounds fall into two modes, as the scheduler likes.
    """

    def __init__(self, name, placement, unit, target, less=False, best_mode=False):
        self.name, self.placement, self.unit = name, placement, unit
        self.target, self.less, self.best_mode = target, less, best_mode


class World:
    """What the jobs need: where programs are, which CPUs, how long, Mortise's domain."""

    def __init__(self, mortise, build, quick):
        self.bin = os.path.join(build, "bench")
        self.quick = quick
        self.seconds = 0.3 if quick else 1.0
        self.cpus = two_cores()
        self.kernel = harness.Bench(mortise, "kernel")
        self.mortise = harness.Bench(mortise, "both")
        self.fallbacks = {}
        self.more = []  # Benches of single jobs

    def bench(self, side):
        return self.mortise if side == "mortise" else self.kernel

    def pins(self, placement):
        """CPUs of server and client; None: not pinned."""
        if placement == FREE:
            return None, None
        return (self.cpus[0], self.cpus[0] if placement == ONE else self.cpus[1])

    def check_shared(self):
        """Since the last look, no connection became the kernel's: what was measured was ours."""
        # A client that tries again until its server is there was the kernel's meanwhile.
        now = {why: n for why, n in self.mortise.fallbacks().items() if why != "no-listener"}
        old, self.fallbacks = self.fallbacks, now
        harness.check(old == self.fallbacks, "not in shared memory: %s, before it %s" %
                      (self.fallbacks, old))

    def close(self):
        for b in (self.kernel, self.mortise, *self.more):
            b.clean()


def two_cores():
    """Two CPUs of different cores, where there are any."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise harness.Failed("two CPUs are needed")

    def core(cpu):
        ids = []
        for name in ("physical_package_id", "core_id"):
            try:
                with open("/sys/devices/system/cpu/cpu%d/topology/%s" % (cpu, name)) as f:
                    ids.append(f.read().strip())
            except OSError:
                return str(cpu)
        return ids
    return cpus[0], next((c for c in cpus[1:] if core(c) != core(cpus[0])), cpus[1])


class Micro:
    """pingpong, stream, connrate or readyset."""

    def __init__(self, figure, key, program, *options):
        self.figures = [figure]
        self.keys, self.program, self.options = [key], program, options

    def also(self, figure, key):
        """Another figure of the same run."""
        self.figures.append(figure)
        self.keys.append(key)
        return self

    def run(self, world, side):
        b = world.bench(side)
        argv = [os.path.join(world.bin, self.program), "--port", str(harness.free_port()),
                "--time", str(world.seconds), *self.options]
        for name, cpu in zip(("--pin-server", "--pin-client"),
                             world.pins(self.figures[0].placement)):
            if cpu is not None:
                argv += [name, str(cpu)]
        if side in KERNEL_SIDES:
            argv += ["--cc", side]
        out = dict(pair.split("=", 1) for pair in b.client(argv, 60).decode().split())
        harness.check(out["srv_status"] == "0" and out.get("ok", "1") == "1",
                      "bytes are missing, or the server failed: %s" % out)
        return [float(out[key]) for key in self.keys]


class Redis:
    """redis-benchmark, GET, with 1 and with 50 clients against one server."""

    CLIENTS = ((1, 40000), (50, 200000))

    def __init__(self, placement, targets):
        self.placement = placement
        self.figures = [Figure("redis GET, %d client%s" % (c, "s" if c > 1 else ""), placement,
                               "k/s", target) for (c, _), target in zip(self.CLIENTS, targets)]

    def run(self, world, side):
        b = world.bench(side)
        port = harness.free_port()
        cpus = world.pins(self.placement)
        server = ["taskset", "-c", str(cpus[0]), "redis-server", "--port", str(port), "--bind",
                  "127.0.0.1", "--save", "", "--dir", b.dir, "--protected-mode", "no"]
        enter = []
        if side in KERNEL_SIDES:
            p, enter = start_with_cc(b, side, server, port)
        else:
            p = b.server(server, port)
        try:
            values = []
            for clients, n in self.CLIENTS:
                out = b.client(enter + ["taskset", "-c", str(cpus[1]), "redis-benchmark", "-h",
                                        "127.0.0.1", "-p", str(port), "-t", "get", "-c",
                                        str(clients), "-n", str(n // (5 if world.quick else 1)),
                                        "--csv"], 60).decode()
                rows = {r[0]: r[1] for r in csv.reader(out.splitlines()) if len(r) > 1}
                values.append(float(rows["GET"]) / 1000)
            return values
        finally:
            p.stop()


def start_with_cc(b, cc, server, port, not_root=False):
    """A server in a network namespace whose loopback uses that congestion control.

    Programs cannot be told which one to use, and the machine's own default is
    not ours to change. Its routes name it, since a namespace's default may only
    be one that the machine allows to everybody. Inside it is root, or, for
    servers that refuse that, somebody else. Returns the server, and what
    brings a client there.
    """
    route = "ip route replace local %s dev lo table local scope host src 127.0.0.1 congctl " + cc
    script = " && ".join(["ip link set lo up", route % "127.0.0.0/8 proto kernel",
                          route % "127.0.0.1 proto kernel",
                          # Clients enter where root is, not a namespace below it.
                          'unshare -U --map-user=1000 -- "$@" & wait' if not_root else 'exec "$@"'])
    p = b.start("server", ["unshare", "-rn", "sh", "-c", script, "sh"] + server)
    wanted = re.compile(r":%04X \S+ 0A " % port)

    def ready():
        harness.check(p.running(), "no server in a namespace of its own: %s" %
                      harness.tail(p.output(), 3))
        with open("/proc/%d/net/tcp" % p.proc.pid) as f:
            return wanted.search(f.read())
    harness.wait_for("server in its namespace", ready)
    return p, ["nsenter", "--preserve-credentials", "-U", "-n", "-t", str(p.proc.pid)]


def micro_jobs():
    many = ("--naddr", "4")
    yield Micro(Figure("round trip, 64 B", TWO, "us", 1 / 40, less=True), "p50_us", "pingpong")
    yield Micro(Figure("round trip, 64 B", POLLING, "us", 1 / 6, less=True), "p50_us", "pingpong",
                "--busy", "1")
    yield Micro(Figure("round trip, 64 B", ONE, "us", 2 / 3, less=True), "p50_us", "pingpong")
    yield Micro(Figure("round trip, 64 B", FREE, "us", 1 / 2, less=True, best_mode=True),
                "p50_us", "pingpong")
    yield Micro(Figure("stream, 64 B writes", TWO, "messages/s", 8), "msgs_per_s", "stream",
                "--size", "64")
    for kb in (16, 64):
        yield Micro(Figure("stream, %d KB writes" % kb, TWO, "GB/s", 1.6), "GBps", "stream",
                    "--size", str(kb << 10))
    yield Micro(Figure("connect to close", TWO, "1/s", 4), "per_s", "connrate", *many)
    yield Micro(Figure("connect to close", ONE, "1/s", 1.2), "per_s", "connrate", *many)
    # The set's size is to make no difference: the second is a ratio, 1 where it makes none.
    yield Micro(Figure("epoll_wait, 1 ready of 10,000", TWO, "ns", 1, less=True), "wait_many_ns",
                "readyset", "--count", "10000").also(
        Figure("epoll_wait, 10,000 beside 10", TWO, "x", 1.05, less=True), "wait_ratio").also(
        Figure("round trip, 1 of 10,000", TWO, "us", 1, less=True), "turn_many_us")


def jobs():
    return list(micro_jobs()) + [Redis(TWO, (5, 2)), Redis(ONE, (1, 1))]


# ------------------------------------------------------------------- idle

def meminfo(key):
    with open("/proc/meminfo") as f:
        return int(re.search(r"^%s:\s+(\d+)" % key, f.read(), re.M).group(1)) * 1024


def pss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024


class Idle:
    """What so many open connections take, both ends: CPU time, memory."""

    def __init__(self, arrangement, mortise, connections, seconds):
        b = harness.Bench(mortise, arrangement)
        try:
            slab = meminfo("Slab")
            pair = costs.idle_pair(b, connections)
            b.expect_open(connections)
            time.sleep(1)
            pids = [p.pid() for p in pair] + b.processes()
            before = [harness.cpu_ticks(pid) for pid in pids]
            time.sleep(seconds)
            self.cpu_s = sum(harness.cpu_ticks(pid) - old for pid, old in
                             zip(pids, before)) / os.sysconf("SC_CLK_TCK")
            self.pss_bytes = sum(pss(pid) for pid in pids)
            self.slab_bytes = meminfo("Slab") - slab
        finally:
            b.clean()


def idle(mortise, arrangement, quick):
    """(CPU seconds, seconds, process bytes a connection, kernel bytes a connection)

    The few-connections run is taken off the many-connections run, so the
    programs themselves do not count.
    """
    seconds = 2 if quick else 10
    few = Idle(arrangement, mortise, 10, 0)
    many = Idle(arrangement, mortise, 1010, seconds)
    return (many.cpu_s, seconds, (many.pss_bytes - few.pss_bytes) / 1000,
            (many.slab_bytes - few.slab_bytes) / 1000)


def machine():
    """One line about where this ran."""
    model = "unknown CPU"
    with open("/proc/cpuinfo") as f:
        m = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
        model = m.group(1) if m else model
    return "%s, %s, %d CPUs, Linux %s" % (time.strftime("%Y-%m-%d"), model,
                                          len(os.sched_getaffinity(0)), os.uname().release)


def available_cc():
    """What of bbr and cubic the kernel has."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as f:
        have = f.read().split()
    if "bbr" not in have:  # a module, perhaps; nothing is lost by asking
        subprocess.run(["modprobe", "-q", "tcp_bbr"], check=False, stderr=subprocess.DEVNULL)
        with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as f:
            have = f.read().split()
    return [cc for cc in KERNEL_SIDES if cc in have]
