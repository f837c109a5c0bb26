# SPDX-License-Identifier: BSD-2-Clause
"""One domain with its daemon, programs in it, and what must not be left behind."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Failed(Exception):
    """The test failed; the message says why."""


class Skipped(Exception):
    """Something that the test needs is not here."""


def check(cond, why):
    if not cond:
        raise Failed(why)


# Of what is waited for: a machine that does much else takes so many times as long.
PATIENCE = 4


def wait_for(what, cond, seconds=3.0, step=0.005):
    """Ask cond() until it is true; its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("waited %g s for %s" % (seconds, what() if callable(what) else what))
        time.sleep(step)


def free_port():
    """A port below the range that others choose from."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(2), "little") % 20000
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def state(pid):
    """The process's state letter; Z: dead, and not yet buried; "": gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pid):
    return state(pid) in ("", "Z", "X")


class Program:
    """A program that we started, and what it has said so far."""

    def __init__(self, argv, env, log, **kw):
        self.argv = argv
        self.log = log
        self.seen = 0
        with open(log, "wb") as f:
            self.p = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=f,
                                      stderr=subprocess.STDOUT, start_new_session=True, **kw)
        self.pid = self.p.pid

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, start):
        return [l for l in self.text().split("\n") if l.startswith(start)]

    def hear(self, start, seconds=3.0, nth=1):
        """Wait for its nth line that begins so; the words of it."""
        def look():
            found = self.lines(start)
            return len(found) >= nth and found[nth - 1].split()
        return wait_for(lambda: "%r number %d of %s; it said: %s" % (
            start, nth, self.argv[-4:], self.text()[-300:]), look, seconds)

    def tell(self, text):
        n = len(self.lines("told"))
        self.p.stdin.write(text.encode())
        self.p.stdin.flush()
        self.hear("told", nth=n + 1)

    def signal(self, sig):
        os.kill(self.pid, sig)

    def ended(self, seconds=3.0):
        """Wait for its end; the exit status."""
        try:
            return self.p.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("%s does not end; it said: %s" % (self.argv[-4:], self.text()[-300:])) \
                from None

    def let_go(self):
        """End of its standard input."""
        if self.p.stdin and not self.p.stdin.closed:
            try:
                self.p.stdin.close()
            except BrokenPipeError:
                pass

    def kill(self):
        self.let_go()
        if self.p.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.p.wait()


class Stage:
    """A domain of its own below a directory of its own.

    @build:  Whose programs: the ordinary build's or that with stop points.
    @policy: The domain's.
    """

    def __init__(self, build, policy="share", daemon_env=None, start=True, services=False):
        self.build = build
        self.policy = policy
        self.dir = tempfile.mkdtemp(prefix="mtf-")
        self.programs = []
        self.fires = 0
        self.env = dict(os.environ, MORTISE_DIR=os.path.join(self.dir, "run"), LC_ALL="C",
                        MORTISE_POLICY=policy)
        for name in ("LD_PRELOAD", "MORTISE_FAULT", "MORTISE_FAULT_ONCE", "MORTISE_LOG",
                     "MORTISE_EXCLUDE", "MORTISE_SPIN_US"):
            self.env.pop(name, None)
        os.mkdir(self.env["MORTISE_DIR"], 0o700)
        self.keeper = None
        if start:
            self.start_daemon(daemon_env or {}, services)

    # ------------------------------------------------------------ programs

    def tool(self, name):
        return os.path.join(self.build, {"mortise": "src/cli/mortise",
                                         "mortised": "src/daemon/mortised",
                                         "actor": "tests/faults/actor",
                                         "crowd": "tests/faults/crowd",
                                         "packets": "tests/faults/packets"}[name])

    def start(self, argv, env=None, **kw):
        log = os.path.join(self.dir, "log-%d" % len(self.programs))
        p = Program(argv, dict(self.env, **(env or {})), log, **kw)
        self.programs.append(p)
        return p

    def start_daemon(self, env=None, services=False, options=()):
        argv = [self.tool("mortised"), "--foreground", "--policy", self.policy, "--linger", "600"]
        self.keeper = self.start(argv + ["--test-services"] * services + list(options), env)
        wait_for("the daemon", lambda: self.command("status").returncode == 0)

    def actor(self, *words, fault=None, kernel=False, env=None, **kw):
        """An end of connections. @fault: (point, count, action)."""
        argv = [self.tool("actor")] + [str(w) for w in words]
        env = dict(env or {})
        if fault:
            env.update(MORTISE_FAULT="%s:%d:%s" % fault, MORTISE_FAULT_ONCE=self.once())
        return self.start(argv if kernel else [self.tool("mortise"), "run", "--policy",
                                               self.policy, "--"] + argv, env, **kw)

    def server(self, kind="epoll", port=None, **kw):
        """Return (program, port) once it listens."""
        port = port or free_port()
        p = self.actor("serve", port, kind, **kw)
        p.hear("listening")
        return p, port

    def once(self):
        self.fires += 1
        return os.path.join(self.dir, "fired-%d" % self.fires)

    def fired(self):
        return os.path.exists(os.path.join(self.dir, "fired-%d" % self.fires))

    # ------------------------------------------------------------- mortise

    def command(self, *argv, seconds=8):
        return subprocess.run([self.tool("mortise")] + list(argv), env=self.env, timeout=seconds,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def json(self, *argv):
        end = time.monotonic() + 3
        while True:
            r = self.command(*argv)
            if r.returncode == 0:
                return json.loads(r.stdout)
            if time.monotonic() > end:
                raise Failed("mortise %s: %s" % (" ".join(argv), r.stdout.decode()[-200:]))
            time.sleep(0.02)

    def status(self):
        return self.json("status", "--json")

    def all_shm(self, port):
        """No socket of this port is the kernel's."""
        rows = self.json("ss", "-a", "--json")
        rows = rows if isinstance(rows, list) else rows["sockets"]
        rows = [r for r in rows if port in (r["local_port"], r["peer_port"]) and
                r["state"].upper().startswith("ESTAB")]
        return rows and all(r["transport"] == "shm" for r in rows)

    # ---------------------------------------------------------------- leaks

    def arenas(self):
        """Memory of parties that the daemon holds."""
        pid = self.status()["daemon_pid"]
        return sum("/memfd:mortise" in l for l in read_lines("/proc/%d/maps" % pid))

    def snapshot(self, *servers):
        """What must be the same again once the victim and its peers are gone."""
        st = self.status()
        shot = {k: st[k] for k in ("clients", "connections", "listeners")}
        shot["arenas"] = self.arenas()
        for i, s in enumerate(servers):
            shot["maps-%d" % i] = sum("/memfd:" in l for l in read_lines("/proc/%d/maps" % s.pid))
            shot["fds-%d" % i] = len(os.listdir("/proc/%d/fd" % s.pid))
        return shot

    def settled(self, before, *servers, touch=None, seconds=5.0):
        """Wait until nothing is left. @touch: called now and then: what is
        given back at the next occasion has one."""
        now = {}

        def look():
            nonlocal now
            if touch:
                touch()
            now = self.snapshot(*servers)
            return all(now[k] <= before[k] for k in before)
        wait_for(lambda: "nothing to be left behind: before %s, now %s" % (before, now), look,
                 seconds, 0.25)

    # ------------------------------------------------------------------ end

    def words(self):
        out = []
        if not os.path.isdir(self.dir):
            return "(a domain that has ended)"
        for p in self.programs[:4] + self.programs[4:][-4:]:
            text = p.text().strip().split("\n")[-6:]
            if any(text):
                out.append("[%s] %s" % (" ".join(p.argv[-4:]), p.p.poll()))
                out += ["  " + l for l in text]
        return "\n".join(out)

    def close(self):
        for p in reversed(self.programs):
            if state(p.pid) == "T":
                p.signal(signal.SIGCONT)
            if p is not self.keeper:
                p.kill()
        try:
            pid = self.status()["daemon_pid"] if self.keeper and self.keeper.p.poll() is None else 0
        except (Failed, OSError, subprocess.SubprocessError):
            pid = 0
        if self.keeper:
            self.keeper.kill()
        if pid:
            wait_for("the daemon's end", lambda: gone(pid), 2)
        else:
            # One that was started on demand.
            try:
                self.command("down", "--force", seconds=4)
            except (OSError, subprocess.SubprocessError):
                pass
        shutil.rmtree(self.dir, ignore_errors=True)


def read_lines(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.readlines()


class Bystander:
    """A connection between two other programs, which nothing must disturb."""

    def __init__(self, stage, pause_us=1000):
        self.server, self.port = stage.server("epoll")
        self.client = stage.actor("echo", self.port, pause_us)
        self.client.hear("echoing")
        check(stage.all_shm(self.port), "the bystanders' connection is the kernel's")

    def undisturbed(self):
        """End it, and see what it saw."""
        self.client.let_go()
        _, rounds, gap_us, wrong = self.client.hear("echo ")
        check(self.client.ended() == 0, "the bystander failed")
        check(int(wrong) == 0, "%s wrong bytes at the bystanders'" % wrong)
        check(int(gap_us) < 5000000, "a gap of %s us at the bystanders'" % gap_us)
        check(int(rounds) > 10, "the bystanders made %s rounds only" % rounds)
