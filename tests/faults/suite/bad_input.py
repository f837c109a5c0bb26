# SPDX-License-Identifier: BSD-2-Clause
"""Other users, other versions, malformed messages, hostile halves: nobody else notices."""
import array
import glob
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from .limits import KernelServer, complaints, preloaded
from .points import one_more, warm
from .stage import Bystander, Skipped, check, free_port, wait_for

FUZZ_S, HOSTILE_MS, HOSTILE_ROUNDS = 20, 700, 6
HEADER = struct.Struct("<HHIIi")  # version, type, len, seq, error: src/ctl/proto.h
SRC = os.path.join(os.path.dirname(__file__), "../../../src")
REPLY = 0x8000


def constant(header, name):
    with open(os.path.join(SRC, header), encoding="ascii") as f:
        return int(re.search(r"#define %s (\d+)u" % name, f.read()).group(1))


VERSION, ABI = constant("ctl/proto.h", "CTL_VERSION"), constant("shm/abi.h", "ABI_VERSION")
HELLO, BELL, HANDLES, PEER, PEER_BELL, LET_GO, LISTEN, UNLISTEN, DEMOTE, BIND, UNBIND, LEASE, \
    GOODBYE = range(1, 14)
LIST, STATUS, DOWN, RESTARTED = 64, 65, 66, 127
# Bytes after the header of a request.
SIZES = {HELLO: 36, BELL: 4, HANDLES: 260, PEER: 16, PEER_BELL: 16, LET_GO: 16, LISTEN: 20,
         UNLISTEN: 20, DEMOTE: 20, BIND: 20, UNBIND: 20, LEASE: 0, GOODBYE: 0, LIST: 0, STATUS: 0,
         DOWN: 4}
ARENA_BYTES, MAILBOX_BYTES = 1 << 32, 1 << 20
SEALS = 1 | 2 | 4  # SEAL, SHRINK, GROW
F_ADD_SEALS = 1033


def record(kind, body=None, version=VERSION, length=None, seq=1):
    if body is None:
        body = bytes(SIZES.get(kind, 0))
    size = HEADER.size + len(body)
    return HEADER.pack(version, kind, size if length is None else length, seq, 0) + body


def door(stage):
    """Path of the control socket."""
    return glob.glob(os.path.join(stage.env["MORTISE_DIR"], "*", "ctl"))[0]


class Channel:
    """A control channel, spoken by hand."""

    def __init__(self, stage):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.settimeout(3)
        self.s.connect(door(stage))

    def send(self, data, fds=()):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.s.sendmsg([data], anc, socket.MSG_NOSIGNAL)

    def recv(self):
        """(header, body) of the next record, or None at the end; descriptors are closed."""
        try:
            data, anc, _, _ = self.s.recvmsg(65536, 4096)
        except ConnectionResetError:
            return None
        for level, kind, fds in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                for fd in array.array("i", fds[:len(fds) // 4 * 4]):
                    os.close(fd)
        return (HEADER.unpack_from(data), data[HEADER.size:]) if data else None

    def ends(self):
        """The daemon ends it."""
        try:
            while self.recv():
                pass
        except (TimeoutError, socket.timeout):
            return False
        return True

    def close(self):
        self.s.close()


def memfd(size, magic, seals=SEALS, mode=0o600):
    import fcntl
    fd = os.memfd_create("mortise-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(fd, mode)
    os.ftruncate(fd, size)
    os.pwrite(fd, struct.pack("<QII", magic, ABI, os.getpid()), 0)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def eventfd():
    return os.eventfd(0, os.EFD_CLOEXEC)


def hello_fds():
    return [memfd(ARENA_BYTES, 0x4d4f5254414e3031), memfd(MAILBOX_BYTES, 0x4d4f52544d423031),
            eventfd()]


def hello(stage):
    """A channel that has said hello."""
    c = Channel(stage)
    fds = hello_fds()
    c.send(record(HELLO, struct.pack("<5I16s", os.getpid(), 0, 0, 0, 0, b"by-hand")), fds)
    for fd in fds:
        os.close(fd)
    head, _ = c.recv()
    check(head[1] == HELLO | REPLY and head[4] == 0, "hello was refused: %s" % (head,))
    return c


# ------------------------------------------------------------------- users

def other_user(settings, make):
    """Another user reaches neither daemon, nor directory, nor memory."""
    if os.geteuid() != 0:
        raise Skipped("without root there is no second user")
    stage = make(settings.plain)
    other = Bystander(stage)
    server, port = stage.server("epoll")
    fds = [os.path.join("/proc/%d/fd" % server.pid, n)
           for n in os.listdir("/proc/%d/fd" % server.pid)]
    memory = [f for f in fds if "memfd:mortise" in os.readlink(f)]
    keeper = [f for f in glob.glob("/proc/%d/fd/*" % stage.keeper.pid)
              if os.path.islink(f) and "memfd" in os.readlink(f)]
    address = door(stage)
    # Even where the directory's parents are open to all.
    os.chmod(stage.dir, 0o755)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        reached = []

        def attempt(name, fn):
            try:
                fn()
                reached.append(name)
            except OSError:
                pass
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        attempt("directory", lambda: os.listdir(os.path.dirname(address)))
        attempt("its parent", lambda: os.listdir(stage.env["MORTISE_DIR"]))
        attempt("daemon", lambda: socket.socket(
            socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(address))
        for f in memory + keeper:
            attempt("memory " + f, lambda f=f: os.open(f, os.O_RDWR))
            attempt("memory, to read, " + f, lambda f=f: os.open(f, os.O_RDONLY))
        attempt("maps", lambda: open("/proc/%d/mem" % server.pid, "rb").close())
        os.write(write, " ".join(reached).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        reached = f.read()
    os.waitpid(pid, 0)
    check(not reached, "reached: %s" % reached)
    check(len(keeper) >= 2, "there was nothing to reach")
    # With a descriptor of the door's directory in hand, the daemon still asks who it is.
    os.chmod(stage.env["MORTISE_DIR"], 0o755)
    os.chmod(os.path.dirname(address), 0o755)
    os.chmod(address, 0o777)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            c = Channel(stage)
            try:
                c.send(record(STATUS))
            except OSError:
                pass
            code = 0 if c.recv() is None else 2
        except OSError as e:
            code = 3
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    check(code == 0, "the daemon answered another user (%d)" % code)
    os.chmod(stage.env["MORTISE_DIR"], 0o700)
    os.chmod(os.path.dirname(address), 0o700)
    # Its own program, run with our directory named: kernel sockets.
    env = dict(stage.env, LD_PRELOAD=os.path.join(stage.build, "src/preload/libmortise.so"),
               MORTISED="/nonexistent")
    shutil.copy(stage.tool("actor"), os.path.join(stage.dir, "actor"))
    shutil.copy(env["LD_PRELOAD"], os.path.join(stage.dir, "lib.so"))
    env["LD_PRELOAD"] = os.path.join(stage.dir, "lib.so")
    r = subprocess.run([os.path.join(stage.dir, "actor"), "connects", str(port), "2"], env=env,
                       user=65534, group=65534, extra_groups=[], timeout=5, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = r.stdout.decode()
    check(r.returncode == 0 and "done" in said and said.count("no daemon") == 1, said)
    one_more(stage, port)
    other.undisturbed()


# ---------------------------------------------------------------- versions

def version(settings, make):
    """Library and daemon of different versions: kernel sockets, said once."""
    stage = make(settings.plain, start=False)
    kernel = KernelServer()
    # A daemon of the next version: it answers in its own words.
    netns = os.stat("/proc/self/ns/net").st_ino
    where = os.path.join(stage.env["MORTISE_DIR"], "default-%d" % netns)
    os.mkdir(where, 0o700)
    for answer in ("header", "refusal"):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.bind(os.path.join(where, "ctl"))
        s.listen(8)

        def serve(s=s, answer=answer):
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                data, anc, _, _ = c.recvmsg(65536, 4096)
                if not data:
                    c.close()
                    continue
                for _, _, fds in anc:
                    for fd in array.array("i", fds[:len(fds) // 4 * 4]):
                        os.close(fd)
                v, kind, _, seq, _ = HEADER.unpack_from(data)
                if answer == "header":
                    c.send(HEADER.pack(v + 1, kind | REPLY, HEADER.size, seq, 93))
                else:
                    c.send(HEADER.pack(v, kind | REPLY, HEADER.size, seq, 93))
                c.close()
        threading.Thread(target=serve, daemon=True).start()
        p = preloaded(stage, [stage.tool("actor"), "connects", str(kernel.port), "5"])
        check(p.ended() == 0 and p.lines("done"), p.text())
        check(len(complaints(p)) == 1 and "different versions" in complaints(p)[0],
              "%s: %s" % (answer, complaints(p)))
        p = stage.start([stage.tool("mortise"), "run", "--", "true"])
        check(p.ended(8) == 125, "`mortise run`: exit %s: %s" % (p.p.returncode, p.text()))
        s.shutdown(socket.SHUT_RDWR)
        s.close()
        os.unlink(os.path.join(where, "ctl"))
    # A library of the next version, and our daemon.
    stage.start_daemon()
    other = Bystander(stage)
    c = Channel(stage)
    c.send(record(HELLO, version=VERSION + 1))
    head, _ = c.recv()
    check(head[4] == 93, "no EPROTONOSUPPORT: %s" % (head,))
    check(c.ends(), "it is not ended")
    other.undisturbed()


# ---------------------------------------------------------------- messages

def malformed(settings, make):
    """Malformed, oversized, out of order: that client ends, and no other."""
    stage = make(settings.plain)
    other = Bystander(stage, 200)
    server, port = stage.server("epoll")
    warm(stage, port, server)
    before = stage.snapshot(server)
    daemon = stage.status()["daemon_pid"]
    me = struct.pack("<5I16s", os.getpid(), 0, 0, 0, 0, b"by-hand")
    bad_hellos = {
        "no memory": (record(HELLO, me), []),
        "another's pid": (record(HELLO, struct.pack("<5I16s", 1, 0, 0, 0, 0, b"")), "good"),
        "files": (record(HELLO, me), "files"),
        "unsealed": (record(HELLO, me), "unsealed"),
        "open to all": (record(HELLO, me), "open"),
        "short": (record(HELLO, me), "short"),
        "foreign": (record(HELLO, me), "magic"),
        "no bell": (record(HELLO, me), "bell"),
    }
    for name, (data, what) in bad_hellos.items():
        fds = list(what) if not isinstance(what, str) else hello_fds()
        if what == "files":
            fds[0] = os.open("/dev/null", os.O_RDWR)
        elif what == "unsealed":
            fds[0] = memfd(ARENA_BYTES, 0x4d4f5254414e3031, seals=0)
        elif what == "open":
            fds[0] = memfd(ARENA_BYTES, 0x4d4f5254414e3031, mode=0o666)
        elif what == "short":
            fds[0] = memfd(4096, 0x4d4f5254414e3031)
        elif what == "magic":
            fds[0] = memfd(ARENA_BYTES, 42)
        elif what == "bell":
            fds[2] = os.open("/dev/zero", os.O_RDWR)
        c = Channel(stage)
        c.send(data, fds)
        for fd in set(fds):
            os.close(fd)
        check(c.ends(), "hello with %s: not ended" % name)
        c.close()
    early = {
        "nothing": b"", "a byte": b"x", "half a header": record(STATUS)[:9],
        "too long": record(STATUS) + bytes(10), "its length a lie": record(STATUS, length=4000),
        "length 0": record(STATUS, length=0), "length 4 GB": record(STATUS, length=2**32 - 1),
        "unknown": record(99), "a reply": record(STATUS | REPLY), "short body":
        record(HELLO, bytes(4)), "huge": record(HELLO, bytes(60000)), "before hello":
        record(HANDLES), "peer before hello": record(PEER), "restarted": record(RESTARTED),
        "goodbye first": record(GOODBYE), "descriptors": record(STATUS),
    }
    for name, data in early.items():
        c = Channel(stage)
        fds = [0, 0, 0] if name == "descriptors" else ()
        try:
            c.send(data, fds)
        except OSError:
            c.close()
            continue
        check(c.ends(), "%s: not ended" % name)
        c.close()
    late = {
        "no handles": record(HANDLES, bytes(260)),
        "many handles": record(HANDLES, struct.pack("<I", 65) + bytes(256)),
        "4 G handles": record(HANDLES, struct.pack("<I", 2**32 - 1) + bytes(256)),
        "bell 0": record(BELL), "bell 16": record(BELL, struct.pack("<I", 16)),
        "bell without": record(BELL, struct.pack("<I", 3)),
        "unknown": record(50), "a reply": record(LEASE | REPLY),
        "descriptors": record(LEASE),
    }
    for name, data in late.items():
        c = hello(stage)
        c.send(data, [0] if name == "descriptors" else ())
        check(c.ends(), "%s: not ended" % name)
        c.close()
    # Impossible, but no offence.
    c = hello(stage)
    for kind, body in ((PEER, struct.pack("<4I", 8191, 7, 0, 0)), (PEER, b"\xff" * 16),
                       (PEER_BELL, b"\xff" * 16), (LISTEN, b"\xff" * 24),
                       (UNLISTEN, b"\xff" * 24), (DEMOTE, b"\xff" * 24), (BIND, b"\xff" * 24),
                       (LISTEN, struct.pack("<Q4I", 0x7f000001 << 16 | port, 3, 1, 0, 0))):
        c.send(record(kind, body))
        check(c.recv(), "request %d: ended" % kind)
    c.close()
    # One that asks, and takes no replies.
    c = hello(stage)
    c.s.setblocking(False)
    try:
        for _ in range(100000):
            c.send(record(STATUS))
    except OSError:
        pass
    one_more(stage, port)
    c.close()
    stage.settled(before, server, touch=lambda: one_more(stage, port))
    check(stage.status()["daemon_pid"] == daemon, "the daemon died of it")
    check(stage.keeper.text().count("\n") < 200, "the log is flooded")
    other.undisturbed()


def fuzz(settings, make):
    """Noise on control channels while programs are served."""
    stage = make(settings.plain)
    other = Bystander(stage, 500)
    server, port = stage.server("epoll")
    warm(stage, port, server)
    before = stage.snapshot(server)
    daemon = stage.status()["daemon_pid"]
    rnd = settings.random
    until = time.monotonic() + FUZZ_S
    rounds = 0
    while time.monotonic() < until:
        rounds += 1
        c = hello(stage) if rnd.random() < 0.6 else Channel(stage)
        c.s.settimeout(0.0)
        for _ in range(rnd.randrange(1, 12)):
            kind = rnd.choice(list(SIZES) * 2 + [0, 14, 99, 127, 65535])
            if kind == DOWN:
                continue  # It would do as it is told.
            size = SIZES.get(kind, rnd.randrange(40))
            body = bytearray(rnd.randbytes(size) if rnd.random() < 0.3 else bytes(size))
            for _ in range(rnd.randrange(4)):
                if size >= 4:
                    struct.pack_into("<I", body, rnd.randrange(size // 4) * 4, rnd.choice((
                        0, 1, 2, 3, port, 0x7f000001, 64, 65, 8191, 8192, 32768, 65536,
                        rnd.randrange(1 << 32), (1 << 32) - 1)))
            data = bytearray(record(kind, bytes(body), seq=rnd.randrange(1 << 32)))
            if rnd.random() < 0.15:
                data[rnd.randrange(len(data))] = rnd.randrange(256)
            if rnd.random() < 0.05:
                data = data[:rnd.randrange(len(data))]
            # A status with one changed byte may say "down".
            if len(data) > 3 and struct.unpack_from("<H", data, 2)[0] == DOWN:
                continue
            fds = hello_fds() if kind == HELLO and rnd.random() < 0.5 else \
                [eventfd() for _ in range(rnd.randrange(3))] if rnd.random() < 0.2 else []
            try:
                c.send(bytes(data), fds)
            except OSError:
                pass
            for fd in fds:
                os.close(fd)
            if rnd.random() < 0.5 and select.select([c.s], [], [], 0.002)[0]:
                try:
                    c.recv()
                except OSError:
                    pass
        c.close()
        if rounds % 100 == 0:
            check(other.client.p.poll() is None, "the bystander failed: " + other.client.text())
            one_more(stage, port)
    check(rounds > 100, "%d rounds only" % rounds)
    stage.settled(before, server, touch=lambda: one_more(stage, port), seconds=10)
    check(stage.status()["daemon_pid"] == daemon, "the daemon died of it")
    other.undisturbed()


# ----------------------------------------------------------------- hostile

def hostile(settings, make):
    """A client that scribbles over all memory that it may write."""
    stage = make(settings.plain, services=False)
    other = Bystander(stage, 200)
    daemon = stage.status()["daemon_pid"]
    for n in range(HOSTILE_ROUNDS):
        kind = ("epoll", "thread", "poll")[n % 3]
        server, port = stage.server(kind)
        same = stage.actor("echo", port, 300)
        same.hear("echoing")
        bad = stage.actor("hostile", port, settings.seed % 1000000 + n, HOSTILE_MS)
        bad.hear("joined")
        until = time.monotonic() + HOSTILE_MS / 1000
        while time.monotonic() < until:
            one_more(stage, port)
        bad.hear("scribbled", 4)
        bad.ended()
        one_more(stage, port)
        check(server.p.poll() is None, "the server died: %s" % server.p.poll())
        same.let_go()
        words = same.hear("echo ", 4)
        check(words[3] == "0", "wrong bytes on another connection")
        check(int(words[2]) < 1000000, "a gap of %s us on another connection" % words[2])
        server.kill()
    check(stage.status()["daemon_pid"] == daemon, "the daemon died of it")
    other.undisturbed()


def hostile_redis(settings, make):
    """The same at a real server."""
    if not shutil.which("redis-server"):
        raise Skipped("no redis-server here")
    stage = make(settings.plain)
    port = free_port()
    server = stage.start([stage.tool("mortise"), "run", "--", "redis-server", "--port", str(port),
                          "--bind", "127.0.0.1", "--save", "", "--dir", stage.dir])

    def cli(*words):
        r = subprocess.run([stage.tool("mortise"), "run", "--", "redis-cli", "-p", str(port)] +
                           list(words), env=stage.env, timeout=5, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return r.stdout.decode().strip()
    wait_for("redis", lambda: cli("ping") == "PONG", 5, 0.05)
    check(cli("set", "key", "x" * 50000) == "OK", "set")
    for n in range(2):
        bad = stage.actor("hostile", port, settings.seed % 1000000 + 100 + n, HOSTILE_MS)
        bad.hear("joined")
        until = time.monotonic() + HOSTILE_MS / 1000
        while time.monotonic() < until:
            check(cli("get", "key") == "x" * 50000, "a wrong value")
        bad.hear("scribbled", 4)
        bad.ended()
        check(cli("ping") == "PONG" and server.p.poll() is None, "redis is gone")


def tests():
    for fn in (other_user, version, malformed, fuzz, hostile, hostile_redis):
        yield "bad-input/%s" % fn.__name__.replace("_", "-"), fn
