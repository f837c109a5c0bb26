# SPDX-License-Identifier: BSD-2-Clause
"""Descriptors, memory, handles, directories: what happens where there are none left."""
import functools
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading

from .points import one_more, warm
from .stage import Bystander, Skipped, check, free_port, wait_for

LIBRARY = "src/preload/libmortise.so"


def preloaded(stage, argv, env=None, **kw):
    """A program with the library, without `mortise run` before it."""
    return stage.start(argv, dict({"LD_PRELOAD": os.path.join(stage.build, LIBRARY),
                                   "MORTISED": stage.tool("mortised")}, **(env or {})), **kw)


def complaints(program):
    """What the library wrote: lines, without its process id."""
    return re.findall(r"^mortise\[\d+\]: (.*)$", program.text(), re.M)


class KernelServer:
    """An echo server of this process's own, which is the kernel's."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    @staticmethod
    def one(c):
        try:
            c.recv(1)
            while True:
                data = c.recv(65536)
                if not data:
                    return
                c.sendall(data)
        except OSError:
            pass
        finally:
            c.close()


def descriptors(settings, make):
    """EMFILE at the descriptor where the kernel says it, and no number is lost."""
    stage = make(settings.plain)
    other = Bystander(stage)
    _, port = stage.server("epoll")
    for count in (16, 64, 500):
        said = [stage.actor("fds", port, count, kernel=k).hear("fds ", 5) for k in (True, False)]
        check(said[0] == said[1], "%s, on the kernel %s" % (said[1], said[0]))
    other.undisturbed()


def descriptors_hard(settings, make):
    """A hard limit so low that the library finds no numbers of its own."""
    stage = make(settings.plain)
    other = Bystander(stage)
    _, port = stage.server("epoll")
    for count in (8, 12, 20, 40, 100):
        p = preloaded(stage, [stage.tool("actor"), "connects", str(port), "20"],
                      preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE,
                                                   (count, count)))
        check(p.ended(5) == 0 and p.lines("done"), "with %d: %s" % (count, p.text()))
        check(len(complaints(p)) <= 1, "with %d: %s" % (count, complaints(p)))
    # A server: what it cannot accept stays in its queue, as with the kernel.
    p = preloaded(stage, [stage.tool("actor"), "serve", str(free_port()), "epoll"],
                  preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE,
                                               (40, 40)))
    p.hear("listening")
    one_more(stage, int(p.argv[2]))
    other.undisturbed()


def memfd_forbidden(settings, make):
    """seccomp without memfd_create(): kernel sockets, said once."""
    stage = make(settings.plain)
    other = Bystander(stage)
    _, port = stage.server("epoll")
    actor = stage.tool("actor")
    p = preloaded(stage, [actor, "nomemfd", actor, "connects", str(port), "5"])
    if p.ended(5) == 77:
        raise Skipped("no seccomp here")
    check(p.lines("done"), p.text())
    check(len(complaints(p)) == 1, "complaints: %s" % complaints(p))
    other.undisturbed()


def memfd_fails(settings, make):
    """No descriptor left for one: the same."""
    stage = make(settings.faults)
    other = Bystander(stage)
    _, port = stage.server("epoll")
    for nth in (1, 2):
        p = stage.actor("connects", port, 3, env={"MORTISE_FAULT": "memfd:%d:fail" % nth})
        check(p.ended() == 0 and p.lines("done"), p.text())
        check(len(complaints(p)) == 1, "complaints: %s" % complaints(p))
    other.undisturbed()


def ring_memory(settings, make):
    """No memory to grow into; then none at all."""
    stage = make(settings.faults)
    other = Bystander(stage)
    server, port = stage.server("epoll")
    warm(stage, port, server)
    before = stage.snapshot(server)
    # The first sixteen kilobytes are there, and all goes through them.
    p = stage.actor("put", port, 65536, 50, 0, env={"MORTISE_FAULT": "ring:2:fail"})
    check(p.ended(8) == 0, p.text())
    wait_for("all of it", lambda: any(l.split()[1:] == ["S", str(65536 * 50), "eof", "0"]
                                      for l in server.lines("end ")))
    p = stage.actor("put", port, 100, 2, 0, env={"MORTISE_FAULT": "ring:1:fail"})
    check(p.ended() == 2 and "No buffer space" in p.text(), p.text())
    check(len(complaints(p)) == 1, "complaints: %s" % complaints(p))
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    # A server without: its other connections go on.
    server, port = stage.server("epoll", env={"MORTISE_FAULT": "ring:2:fail"})
    old = stage.actor("again", port)
    old.hear("open")
    new = stage.actor("connects", port, 1)
    check(new.ended() != 0, "the echo came from nowhere")
    old.p.stdin.write(b"x\n")
    old.p.stdin.flush()
    check(old.hear("again")[2] == "ok", "another connection was lost")
    other.undisturbed()


def handles(settings, make):
    """The daemon has no more descriptors: kernel sockets, one line; others go on."""
    stage = make(settings.plain, start=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        raise Skipped("RLIMIT_NOFILE of %d" % hard)
    # Sixteen processes hold so many each.
    stage.start_daemon(options=["--keeper-handles", "50"])
    other = Bystander(stage)
    _, port = stage.server("epoll")
    p = stage.actor("fds", port, 1100, preexec_fn=functools.partial(
        resource.setrlimit, resource.RLIMIT_NOFILE, (min(soft, hard), hard)))
    words = p.hear("fds ", 10)
    check(int(words[1]) > 1000 and words[2] == "EMFILE", " ".join(words))
    p.ended()
    lines = [l for l in stage.keeper.text().split("\n") if "handles" in l]
    check(1 <= len(lines) <= 2, "said %d times" % len(lines))
    one_more(stage, port)
    other.undisturbed()


def clients(settings, make):
    """More processes than the daemon has descriptors for."""
    stage = make(settings.plain, start=False)
    start = stage.start
    stage.start = lambda argv, env=None, **kw: start(argv, env, preexec_fn=functools.partial(
        resource.setrlimit, resource.RLIMIT_NOFILE, (600, 600)), **kw)
    stage.start_daemon()
    stage.start = start
    other = Bystander(stage)
    server, port = stage.server("epoll")
    many = [stage.actor("wait", port, "recv") for _ in range(30)]
    for p in many:
        p.hear("open", 10)
        check(len(complaints(p)) <= 1, "complaints: %s" % complaints(p))
    check(any(complaints(p) for p in many), "nobody was refused")
    for p in many:
        p.kill()
    one_more(stage, port)
    check(server.p.poll() is None, "the server died")
    other.undisturbed()


def address_space(settings, make):
    """RLIMIT_AS too small for an arena: kernel sockets, said once."""
    stage = make(settings.plain)
    other = Bystander(stage)
    server, port = stage.server("epoll")
    for mb in (100, 1000, 4300, 5000):
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (mb << 20, mb << 20))
        p = preloaded(stage, [stage.tool("actor"), "connects", str(port), "3"], preexec_fn=limit)
        check(p.ended() == 0 and p.lines("done"), "with %d MB: %s" % (mb, p.text()))
        check(len(complaints(p)) <= 1, "with %d MB: %s" % (mb, complaints(p)))
    check(server.p.poll() is None, "the server died")
    other.undisturbed()


def directory(settings, make):
    """Not ours, open to others, no directory, a symbolic link: kernel sockets, said once;
    `mortise run` names it and the remedy."""
    stage = make(settings.plain, start=False)
    server = KernelServer()
    at = stage.env["MORTISE_DIR"]
    cases = {"file": lambda: open(at, "w", encoding="ascii").close(),
             "open": lambda: (os.mkdir(at), os.chmod(at, 0o777)),
             "link": lambda: os.symlink(stage.dir, at),
             "missing": lambda: None,
             "long": lambda: os.mkdir(at)}
    if os.geteuid() == 0:
        cases["foreign"] = lambda: (os.mkdir(at, 0o700), os.chown(at, 65534, 65534))
    else:
        cases["unwritable"] = lambda: os.mkdir(at, 0o500)
    os.rmdir(at)
    for name, prepare in cases.items():
        prepare()
        env = {}
        if name == "missing":
            env["MORTISE_DIR"] = os.path.join(at, "not", "there")
        if name == "long":
            env["MORTISE_DIR"] = os.path.join(at, "d" * 300)
        argv = [stage.tool("actor"), "connects", str(server.port), "3"]
        p = preloaded(stage, argv, env)
        check(p.ended() == 0 and p.lines("done"), "%s: %s" % (name, p.text()))
        said = complaints(p)
        check(len(said) == 1 and "no daemon" in said[0], "%s: complaints: %s" % (name, said))
        p = stage.start([stage.tool("mortise"), "run", "--"] + argv, env)
        check(p.ended(8) == 125, "%s: exit %s: %s" % (name, p.p.returncode, p.text()))
        check("MORTISE_DIR" in p.text() or name == "long", "%s: no remedy: %s" %
              (name, p.text()))
        if os.path.islink(at) or os.path.isfile(at):
            os.unlink(at)
        else:
            shutil.rmtree(at, ignore_errors=True)


def full_disk(settings, make):
    """No room for the socket or the log in a full file system."""
    stage = make(settings.plain, start=False)
    server = KernelServer()
    argv = [stage.tool("mortise"), "run", "--", stage.tool("actor"), "connects",
            str(server.port), "3"]
    script = 'mount -t tmpfs -o nr_inodes=%d,size=4k,mode=700 none "$0" || exit 77\nexec "$@"'
    if subprocess.run(["unshare", "-m", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        raise Skipped("mount namespaces are not allowed here")
    for inodes in (1, 2, 3, 4):
        p = stage.start(["unshare", "-m", "sh", "-c", script % inodes, stage.env["MORTISE_DIR"]]
                        + argv)
        status = p.ended(15)
        if status == 77:
            raise Skipped("tmpfs cannot be mounted here")
        check(status in (0, 125), "%d inodes: exit %d: %s" % (inodes, status, p.text()))
        check(status == 0 or "No space" in p.text(), "%d inodes: %s" % (inodes, p.text()))
    # It may have started a daemon in there: it leaves with its clients.
    for pid in [int(n) for n in os.listdir("/proc") if n.isdigit()]:
        try:
            with open("/proc/%d/environ" % pid, "rb") as f:
                ours = ("MORTISE_DIR=%s\0" % stage.env["MORTISE_DIR"]).encode() in f.read()
        except OSError:
            continue
        if ours:
            os.kill(pid, signal.SIGTERM)


def tests():
    for fn in (descriptors, descriptors_hard, memfd_forbidden, memfd_fails, ring_memory, handles,
               clients, address_space, directory, full_disk):
        yield "limits/%s" % fn.__name__.replace("_", "-"), fn
