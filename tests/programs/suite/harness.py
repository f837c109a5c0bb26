# SPDX-License-Identifier: BSD-2-Clause
"""Starts real programs, accelerated or not, and looks at what became of their sockets.

One Bench (a domain of its own, below a directory of its own) for each test,
so that the counters of `mortise status` belong to that test alone.
"""
import atexit
import contextlib
import functools
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAMS_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS_DIR = os.path.join(PROGRAMS_DIR, "peers")
PYTHON = sys.executable or "python3"

# What is the kernel's by right, whichever ends are accelerated: programs
# probe IPv6 and open datagram sockets for name look-ups.
OTHER_FAMILIES = {"family", "datagram"}

ARRANGEMENTS = ("both", "server", "client")
WRAPPERS = ("mortise", "setpriv", "nsenter")  # `mortise run` and the like

# Of what is waited for: a machine that does much else takes so many times as long.
PATIENCE = 4


class Failed(Exception):
    """The test failed; the message says why."""


class Skipped(Exception):
    """Something that the test needs is not here."""


def check(cond, why):
    if not cond:
        raise Failed(why)


def wait_for(what, cond, seconds=5.0, step=0.01):
    """Ask cond() until it is true; its value. Failed after that many seconds, with PATIENCE."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("no %s within %g s" % (what, seconds))
        time.sleep(step)


_ports_given = set()


def free_port():
    """A TCP port that nobody has, below the kernel's ephemeral range, never given twice."""
    for _ in range(1000):
        port = random.randint(10000, 29999)
        if port in _ports_given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise Failed("no free port")


def kernel_listens(port):
    """Whether a kernel socket (a shadow, too) listens there. Makes no connection."""
    want = ":%04X" % port
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(name) as f:
            if any(col[1].endswith(want) and col[3] == "0A" for col in (l.split() for l in f)):
                return True
    return False


def has_inet6():
    """Whether ::1 is there."""
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Program:
    """One started program; its output goes to a file.

    It is not reaped before stop(): until then its number, which is its group's
    too, cannot become someone else's.
    """

    def __init__(self, argv, env, log, stdin=subprocess.DEVNULL, stdout=None):
        self.argv = argv
        self.log = log
        self.stopped = False
        with open(log, "ab") as out:
            self.proc = subprocess.Popen(argv, env=env, stdin=stdin, stdout=stdout or out,
                                         stderr=out, start_new_session=True)
        self.pidfd = os.pidfd_open(self.proc.pid)

    def pid(self):
        """The program's own: WRAPPERS become it, after a moment."""
        def look():
            try:
                exe = os.path.basename(os.readlink("/proc/%d/exe" % self.proc.pid))
            except OSError:
                exe = ""
            return self.proc.pid if exe not in WRAPPERS else None
        return wait_for("start of %s" % self.argv[0], look, 2)

    def status(self, seconds=0.0):
        """Exit status, or minus the signal; None while it runs, after so many seconds."""
        if self.stopped:
            return self.proc.returncode
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        info = os.waitid(os.P_PID, self.proc.pid, os.WEXITED | os.WNOWAIT)
        return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status

    def wait(self, seconds):
        status = self.status(seconds * PATIENCE)
        check(status is not None, "still running after %g s: %s" % (seconds, " ".join(self.argv)))
        return status

    def running(self):
        return self.status() is None

    def kill(self, sig=signal.SIGKILL):
        os.kill(self.pid(), sig)

    def output(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def stop(self):
        """Ends it and what it left in its group, for certain."""
        if self.stopped:
            return
        if self.running():
            os.killpg(self.proc.pid, signal.SIGTERM)
            self.status(1.0)
        os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.wait()
        self.stopped = True
        os.close(self.pidfd)
        for pipe in (self.proc.stdin, self.proc.stdout):
            if pipe:
                pipe.close()


class Bench:
    """What one test works with: its arrangement, directory, port and programs."""

    def __init__(self, mortise, arrangement, verbose_env=None):
        self.mortise = mortise
        self.six = arrangement.endswith("6")  # over ::1
        self.arrangement = arrangement.rstrip("6")
        self.meter = None  # what share.Meter asks instead of the loopback's counters
        self.addr = "::1" if self.six else "127.0.0.1"
        self.host = "[::1]" if self.six else self.addr  # before a port
        self.dir = tempfile.mkdtemp(prefix="mts-")
        self.port = free_port()
        self.programs = []
        self.prefix = []  # of each command: what makes it another user's
        self.env = dict(os.environ, MORTISE_DIR=os.path.join(self.dir, "run"), LC_ALL="C", PEER_ADDR=self.addr,
                        PYTHONDONTWRITEBYTECODE="1", **(verbose_env or {}))
        self.env.pop("LD_PRELOAD", None)
        os.mkdir(self.env["MORTISE_DIR"], 0o700)

    # ------------------------------------------------------------ programs

    def accelerated(self, side):
        return self.arrangement in ("both", side)

    def argv(self, side, argv):
        if not self.accelerated(side):
            return self.prefix + list(argv)
        return self.prefix + [self.mortise, "run", "--"] + list(argv)

    def start(self, side, argv, **kw):
        log = self.path("%s-%d.log" % (os.path.basename(argv[0]), len(self.programs)))
        p = Program(self.argv(side, argv), self.env, log, **kw)
        self.programs.append(p)
        return p

    def server(self, argv, port=None, **kw):
        """Start a server, and return when it listens."""
        port = port or self.port
        p = self.start("server", argv, **kw)

        def ready():
            if not p.running():
                raise Failed("server ended with %d: %s" % (p.status(), " ".join(argv)))
            return self.listens(port)
        wait_for("listener on %d" % port, ready, 10)
        if self.accelerated("server"):
            wait_for("listener on %d in `mortise ss`" % port,
                     lambda: any(row_port(r, "local") == port for r in self.ss("-l")), 5)
        return p

    def listens(self, port):
        return kernel_listens(port)

    def client(self, argv, seconds=20, status=0, stdin=None):
        """Run a client to its end. Return its standard output as bytes."""
        out = self.path("out-%d" % len(self.programs))
        with open(out, "wb") as f:
            p = self.start("client", argv, stdout=f, stdin=stdin or subprocess.DEVNULL)
            code = p.wait(seconds)
        p.stop()
        with open(out, "rb") as f:
            data = f.read()
        if status is not None and code != status:
            raise Failed("exit status %d of %s: %s" %
                         (code, " ".join(argv), tail(data.decode("utf-8", "replace"), 5)))
        return data

    def path(self, name):
        return os.path.join(self.dir, name)

    # ------------------------------------------------------------- mortise

    def command(self, *argv, seconds=10):
        return subprocess.run(self.prefix + [self.mortise] + list(argv), env=self.env,
                              timeout=seconds,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def json(self, *argv):
        r = self.command(*argv)
        check(r.returncode == 0, "mortise %s: exit %d: %s" %
              (" ".join(argv), r.returncode, r.stdout.decode("utf-8", "replace")))
        return json.loads(r.stdout)

    def ss(self, *options):
        """The sockets of the domain: a list of rows."""
        rows = self.json("ss", "--json", *(options or ("-a",)))
        return rows if isinstance(rows, list) else rows.get("sockets", [])

    def connections(self, transport):
        """Established sockets on self.port that go that way; each end is a row."""
        return [r for r in self.ss("-a")
                if r.get("transport") == transport and self.port in
                (row_port(r, "local"), row_port(r, "peer")) and
                str(r.get("state", "")).upper() in ("ESTAB", "ESTABLISHED", "OPEN")]

    def expect_open(self, count):
        """Of the connections that are open now, all are where they belong."""
        if self.arrangement == "both":
            wait_for("%d open ends in shared memory" % (2 * count),
                     lambda: len(self.connections("shm")) >= 2 * count)
            check(not self.connections("kernel"), "a connection is the kernel's")
        elif self.arrangement != "kernel":
            check(not self.connections("shm"), "one end cannot be in shared memory alone")

    def fallbacks(self):
        """{reason: count} of all but IPv6 and datagram sockets, which are the kernel's by right."""
        fb = self.json("status", "--json").get("fallbacks", {})
        return {k.replace("_", "-"): n for k, n in fb.items() if n and k not in OTHER_FAMILIES}

    def expect_traffic(self, connections, octets):
        """The counters say that so much at least went where it belongs."""
        if self.arrangement == "both":
            def enough():
                st = self.json("status", "--json")
                return st["opened"] >= connections and st["bytes"] >= octets
            try:
                wait_for("traffic", enough, 2, 0.05)
            except Failed:
                st = self.json("status", "--json")
                raise Failed("expected %d connections and %d bytes in shared memory: %s" %
                             (connections, octets, json.dumps(st))) from None
            check(not self.fallbacks(), "fallbacks: %s" % self.fallbacks())
        elif self.arrangement == "server":
            wait_for("fallback counted as `accepted`", lambda: self.fallbacks().get("accepted"), 2)
        elif self.arrangement == "client":
            wait_for("fallback counted as `no-listener`",
                     lambda: self.fallbacks().get("no-listener"), 2)

    def processes(self):
        """The daemon's and the keeper's pids."""
        if self.arrangement == "kernel":
            return []
        st = self.json("status", "--json")
        return [st[k] for k in ("daemon_pid", "keeper_pid") if st.get(k)]

    # ----------------------------------------------------------------- end

    def finish(self):
        """After a test that passed: with its programs gone, no connection is left."""
        for p in self.programs:
            p.stop()
        if self.arrangement == "kernel":
            return
        wait_for("`mortise down` without live connections",
                 lambda: self.command("down").returncode == 0, 3, 0.1)

    def clean(self):
        for p in self.programs:
            p.stop()
        if self.arrangement != "kernel":
            try:
                self.command("down", "--force")
            except (subprocess.TimeoutExpired, OSError):
                pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def last_words(self):
        """The ends of all programs' outputs, for a failure's report."""
        lines = []
        for p in self.programs:
            text = tail(p.output(), 8)
            if text:
                lines.append("  [%s: %s]" % (" ".join(p.argv)[:100],
                                             "running" if p.running() else p.status()))
                lines += ["    " + l for l in text.split("\n")]
        return "\n".join(lines)


def row_port(row, end):
    """Port of a row's `local` or `peer` end: "127.0.0.1:80", or a field of its own."""
    if end + "_port" in row:
        return int(row[end + "_port"])
    port = str(row.get(end, "")).rpartition(":")[2]
    return int(port) if port.isdigit() else None


def tail(text, lines):
    return "\n".join(text.rstrip("\n").split("\n")[-lines:]).strip()


def cpu_ticks(pid):
    """utime + stime of a process, in clock ticks."""
    with open("/proc/%d/stat" % pid) as f:
        cols = f.read().rpartition(")")[2].split()
    return int(cols[11]) + int(cols[12])


def build_dir():
    return os.environ.get("MORTISE_BUILD", os.path.join(
        os.path.dirname(os.path.dirname(PROGRAMS_DIR)), "build"))


def default_mortise():
    return os.environ.get("MORTISE", os.path.join(build_dir(), "src", "cli", "mortise"))


@functools.lru_cache(None)
def helper(name):
    """Path of a C helper: as built, else compiled for this run."""
    path = os.path.join(build_dir(), "tests", "programs", name)
    if os.access(path, os.X_OK):
        return path
    made = tempfile.mkdtemp(prefix="mts-helper-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    path = os.path.join(made, name)
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", path,
                    os.path.join(PROGRAMS_DIR, name + ".c")], check=True)
    return path
