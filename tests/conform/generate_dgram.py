# SPDX-License-Identifier: BSD-2-Clause
"""Sequences of calls on datagram sockets, from a seed; as generate.py has them of streams.

The model knows who is bound where and whom a socket is connected to, and about
how many datagrams wait at it: enough to send to somebody most of the time, and
to receive mostly where there is something. It predicts nothing.
"""
import random

SIZES = [(0, 6), (1, 10), (3, 6), (100, 34), (600, 8), (1472, 14), (9000, 8), (20000, 3),
         (65507, 3), (65508, 2), (70000, 1)]
RSIZES = [(0, 3), (1, 6), (50, 10), (100, 15), (2000, 30), (65535, 30)]
P = "ABCD"              # C is a child of A, D of B.
V4 = [("127.0.0.1", 70), ("0.0.0.0", 20), ("127.0.0.2", 10)]
V6 = [("::1", 70), ("::", 30)]
FORMS = [("FORM_SEND", 10), ("FORM_WRITE", 8), ("FORM_WRITEV", 6), ("FORM_SENDTO", 34),
         ("FORM_SENDMSG", 20)]
RFORMS = [("FORM_RECV", 15), ("FORM_READ", 8), ("FORM_READV", 6), ("FORM_RECVFROM", 25),
          ("FORM_RECVMSG", 46)]

# level, name, values; those of IPv6 sockets, and of both.
OPTIONS4 = [
    ("IPPROTO_IP", "IP_PKTINFO", (0, 1, 1)), ("IPPROTO_IP", "IP_RECVTTL", (0, 1, 1)),
    ("IPPROTO_IP", "IP_RECVTOS", (0, 1, 1)), ("IPPROTO_IP", "IP_RECVERR", (0, 1, 1)),
    ("IPPROTO_IP", "IP_TTL", (-1, 1, 7, 64, 255, 256)), ("IPPROTO_IP", "IP_TOS", (0, 16, 184, 255)),
    ("IPPROTO_IP", "IP_RECVORIGDSTADDR", (0, 1)), ("IPPROTO_IP", "IP_MTU_DISCOVER", (0, 1, 2, 3, 9)),
    ("IPPROTO_IP", "IP_MULTICAST_TTL", (0, 1, 5, 256)), ("IPPROTO_IP", "IP_MULTICAST_LOOP", (0, 1)),
    ("IPPROTO_IP", "IP_FREEBIND", (0, 1))]
OPTIONS6 = [
    ("IPPROTO_IPV6", "IPV6_RECVPKTINFO", (0, 1, 1)), ("IPPROTO_IPV6", "IPV6_RECVHOPLIMIT", (0, 1, 1)),
    ("IPPROTO_IPV6", "IPV6_RECVTCLASS", (0, 1, 1)), ("IPPROTO_IPV6", "IPV6_RECVERR", (0, 1, 1)),
    ("IPPROTO_IPV6", "IPV6_UNICAST_HOPS", (-1, 1, 7, 64, 256)), ("IPPROTO_IPV6", "IPV6_TCLASS", (0, 16, 184)),
    ("IPPROTO_IPV6", "IPV6_V6ONLY", (0, 1)), ("IPPROTO_IPV6", "IPV6_MULTICAST_LOOP", (0, 1))]
OPTIONS = [
    ("SOL_SOCKET", "SO_TIMESTAMP", (0, 1, 1)), ("SOL_SOCKET", "SO_TIMESTAMPNS", (0, 1)),
    # Received, in software.
    ("SOL_SOCKET", "SO_TIMESTAMPING", (0, 0x18)),
    ("SOL_SOCKET", "SO_RXQ_OVFL", (0, 1)), ("SOL_SOCKET", "SO_BROADCAST", (0, 1)),
    ("SOL_SOCKET", "SO_REUSEADDR", (0, 1)), ("SOL_SOCKET", "SO_REUSEPORT", (0, 1)),
    ("SOL_SOCKET", "SO_RCVBUF", (131072, 200000)), ("SOL_SOCKET", "SO_SNDBUF", (0, 4096, 131072)),
    ("SOL_SOCKET", "SO_RCVLOWAT", (0, 1, 500)), ("SOL_SOCKET", "SO_PRIORITY", (0, 5)),
    ("SOL_SOCKET", "SO_DONTROUTE", (0, 1)), ("SOL_SOCKET", "SO_PEEK_OFF", (-1, 0, 10)),
    ("SOL_SOCKET", "SO_NO_CHECK", (0, 1)),
    ("IPPROTO_UDP", "UDP_SEGMENT", (0, 0, 100, 500, 70000)), ("IPPROTO_UDP", "UDP_GRO", (0, 1, 1)),
    ("IPPROTO_TCP", "TCP_NODELAY", (1,))]
SHOWN = OPTIONS + [("SOL_SOCKET", n, ()) for n in
                   ("SO_ERROR", "SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ACCEPTCONN")]


class Sock:
    """An open file; several slots may hold it, and several processes."""

    def __init__(self, six):
        self.kind = "sock"
        self.six = six
        self.only = False       # IPV6_V6ONLY
        self.nb = False
        self.timeo = False
        self.addr = None
        self.port = None
        self.to = None          # Connected to that Sock, or "closed".
        self.queued = 0
        self.error = False
        self.corked = False
        self.shared = False     # Several processes have or had it.
        self.executed = False   # It went to another program: it sets no marks.


class Epoll:
    def __init__(self):
        self.kind = "ep"
        self.entries = {}


class Generator:
    def __init__(self, seed, length, hz, processes, gaps=False):
        self.r = random.Random(seed)
        self.length = length
        self.ms = 40 if hz else 5
        self.processes = processes
        self.gaps = gaps
        self.lines = []
        self.alive = [0, 1]
        self.slots = [[None] * 16 for _ in range(4)]
        self.ports = 0
        self.tags = 0
        self.waits = 0

    # --- Small helpers ---------------------------------------------------
    def chance(self, p):
        return self.r.random() < p

    def pick(self, weighted):
        return self.r.choices([w[0] for w in weighted], [w[1] for w in weighted])[0]

    def emit(self, proc, text, mark=""):
        self.lines.append(f"{P[proc]}{mark} {text}")

    def proc(self):
        return self.r.choice(self.alive)

    def free(self, proc):
        free = [i for i in range(12) if self.slots[proc][i] is None]
        return self.r.choice(free) if free else None

    def held(self, test, proc=None):
        """A (process, slot, file) whose file is so; or None."""
        found = [(p, s, o) for p in self.alive for s, o in enumerate(self.slots[p])
                 if o is not None and (proc is None or p == proc) and test(o)]
        return self.r.choice(found) if found else None

    def sock(self, proc=None):
        return self.held(lambda o: o.kind == "sock", proc)

    def bound(self, proc=None):
        return self.held(lambda o: o.kind == "sock" and o.port is not None, proc)

    def where(self, o, six):
        """Where a socket of that family reaches @o."""
        addr = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(o.addr, o.addr)
        if six and ":" not in addr:
            addr = "::ffff:" + addr if addr in ("127.0.0.1", "127.0.0.2") else "::1"
        elif not six and ":" in addr:
            addr = "127.0.0.1"
        return f"{addr} {o.port}"

    def reaches(self, six, o):
        return o.six == six or (o.six and not o.only and o.addr == "::") or \
            (six and not o.six)

    # --- Making things ----------------------------------------------------
    def socket(self, proc=None, six=None):
        proc = self.proc() if proc is None else proc
        s = self.free(proc)
        if s is None:
            return None
        o = Sock(self.chance(0.35) if six is None else six)
        kind = "SOCK_DGRAM"
        o.nb = self.chance(0.35)
        if o.nb:
            kind += "|SOCK_NONBLOCK"
        if self.chance(0.15):
            kind += "|SOCK_CLOEXEC"
        self.emit(proc, f"socket s{s} {'AF_INET6' if o.six else 'AF_INET'} {kind} "
                  f"{self.r.choice(['0', 'IPPROTO_UDP'])}")
        self.slots[proc][s] = o
        if o.six and self.chance(0.2):
            o.only = True
            self.emit(proc, f"setsockopt s{s} IPPROTO_IPV6 IPV6_V6ONLY 1")
        if not o.nb and self.chance(0.4):
            o.timeo = True
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_RCVTIMEO {self.ms * 800}")
        if self.chance(0.3):
            self.option((proc, s, o))
        return proc, s, o

    def receiver(self, proc=None, six=None):
        """A socket that is bound."""
        t = self.socket(proc, six)
        if t is None or self.ports >= 12:
            return None
        proc, s, o = t
        if self.chance(0.2):
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET "
                      f"{self.r.choice(['SO_REUSEADDR', 'SO_REUSEPORT'])} 1")
        o.addr = self.pick(V6 if o.six else V4)
        o.port = f"p{self.ports}"
        self.ports += 1
        self.emit(proc, f"dbind s{s} {o.addr} 0 {o.port}")
        if self.chance(0.2):
            self.epoll(proc, s, o)
        return t

    def again(self):
        """Bind where somebody is: reuse, wildcard and specific, both families."""
        t = self.bound()
        if t is None:
            return
        _, _, o = t
        n = self.socket(six=o.six if self.chance(0.7) else None)
        if n is None:
            return
        proc, s, new = n
        if self.chance(0.6):
            reuse = self.r.choice(["SO_REUSEADDR", "SO_REUSEPORT"])
            self.emit(t[0], f"setsockopt s{t[1]} SOL_SOCKET {reuse} 1")
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET {reuse} 1")
        addr = self.pick(V6 if new.six else V4)
        self.emit(proc, f"dbind s{s} {addr} {o.port}")
        # Who gets what depends on whether it could; the model is not told.
        self.emit(proc, f"dname s{s} 0")

    def connect(self):
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        if self.chance(0.12):
            self.emit(proc, f"disconnect s{s}{self.r.choice(['', '', '', ' 2', ' 1'])}")
            o.to = None
            if self.chance(0.5):
                self.emit(proc, f"dname s{s} {self.r.choice([0, 1])}")
            return
        if self.chance(0.12):
            self.emit(proc, f"dconnect s{s} {'::1' if o.six else '127.0.0.1'} 1")
            o.to, o.error = "closed", True
        else:
            u = self.bound()
            if u is None or not self.reaches(o.six, u[2]):
                return
            self.emit(proc, f"dconnect s{s} {self.where(u[2], o.six)}")
            o.to = u[2]
            # A bound pair: each other's.
            if self.chance(0.4) and o.port is not None and u[2].six == o.six:
                self.emit(u[0], f"dconnect s{u[1]} {self.where(o, u[2].six)}")
                u[2].to = o
        if self.chance(0.3):
            self.emit(proc, f"dname s{s} {self.r.choice([0, 1])}")

    def close(self):
        t = self.held(lambda o: True)
        if t is None:
            return
        proc, s, o = t
        self.emit(proc, self.r.choice([f"close s{s}", f"close s{s}", f"closerange s{s}"]))
        self.drop(proc, s)

    def drop(self, proc, s):
        o = self.slots[proc][s]
        self.slots[proc][s] = None
        for p in self.alive:
            for x in self.slots[p]:
                if x is o:
                    return
                if x is not None and x.kind == "ep":
                    x.entries.pop((proc, s), None)
        if o.kind == "sock":
            o.port = None
            for p in self.alive:
                for x in self.slots[p]:
                    if x is not None and x.kind == "sock" and x.to is o:
                        x.to = "closed"

    def dup(self):
        t = self.held(lambda o: True)
        if t is None:
            return
        proc, s, o = t
        d = self.free(proc)
        if self.chance(0.25):
            u = self.held(lambda x: x is not o, proc)
            if u is not None:
                self.emit(proc, f"dup2 s{u[1]} s{s}")
                self.drop(proc, u[1])
                self.slots[proc][u[1]] = o
        elif d is not None:
            self.emit(proc, f"dup s{d} s{s}")
            self.slots[proc][d] = o

    # --- Sending and receiving ---------------------------------------------
    def control(self, six):
        if six:
            return self.r.choice(["CONTROL_HOPLIMIT 9", "CONTROL_TCLASS 32", "CONTROL_PKTINFO6 1",
                                  "CONTROL_PKTINFO6 3", "CONTROL_SEGMENT 100", "CONTROL_SHORT 1",
                                  "CONTROL_HOPLIMIT 300"])
        return self.r.choice(["CONTROL_TTL 9", "CONTROL_TOS 16", "CONTROL_PKTINFO 0",
                              "CONTROL_PKTINFO 2", "CONTROL_PKTINFO 1", "CONTROL_SEGMENT 100",
                              "CONTROL_SEGMENT 700", "CONTROL_TTL 300", "CONTROL_SHORT 1"])

    def send(self, t=None, to=None, size=None):
        t = t or self.sock()
        if t is None:
            return None
        proc, s, o = t
        size = self.pick(SIZES) if size is None else size
        flags = self.pick([("0", 70), ("MSG_DONTWAIT", 15), ("MSG_NOSIGNAL", 10), ("MSG_CONFIRM", 2),
                           ("MSG_DONTROUTE", 2), ("MSG_OOB", 1)])
        form = self.pick(FORMS)
        dest = ""
        aim = to or (o.to if o.to is not None and self.chance(0.85) else None)
        if to is not None or aim is None:
            u = self.bound() if to is None else None
            target = to or (u and u[2])
            form = self.pick(FORMS[3:]) if self.chance(0.95) else form
            if target is not None and self.reaches(o.six, target) and self.chance(0.95):
                dest = " " + self.where(target, o.six)
                aim = target
            elif self.chance(0.5):
                dest = " ::1 1" if o.six else " 127.0.0.1 1"
            elif self.chance(0.5):
                dest = self.r.choice([" ::1 p0", " 127.0.0.1 p0", " 127.0.0.2 p0",
                                      " ::ffff:127.0.0.1 p0", " 127.0.0.1 0", " 0.0.0.0 p0"])
            else:
                dest = " 127.0.0.1 p0" if o.six or self.chance(0.5) else " ::1 p0"
        elif self.chance(0.1):
            form = "FORM_SENDTO"
            dest = " ::1 p0" if o.six else " 127.0.0.1 p0"
        if o.executed and aim is not o and not self.gaps:
            return None
        if form == "FORM_SENDMSG" and dest and self.chance(0.35):
            dest += " " + self.control(o.six)
        if self.chance(0.08):
            self.emit(proc, f"dsendm s{s} {self.r.randint(1, 5)} {min(size, 1472)} {flags}{dest}")
        else:
            self.emit(proc, f"dsend s{s} {form} {size} {flags}{dest}")
        if isinstance(aim, Sock):
            aim.queued += 1
        return aim

    def recv(self, t=None, flags=None, mark=""):
        if t is None and self.chance(0.8):
            t = self.held(lambda o: o.kind == "sock" and (o.queued > 0 or o.error))
        t = t or self.sock()
        if t is None:
            return
        proc, s, o = t
        size = self.pick(RSIZES)
        if flags is None:
            flags = [f for f, p in (("MSG_PEEK", .15), ("MSG_TRUNC", .12), ("MSG_DONTWAIT", .2))
                     if self.chance(p)]
            if not o.queued and not o.nb and not (o.timeo and self.chance(0.3)) and \
                    not self.may_wait():
                flags.append("MSG_DONTWAIT")
        form = self.pick(RFORMS)
        plain = form in ("FORM_READ", "FORM_READV")
        if plain and "MSG_DONTWAIT" in flags and not o.nb:
            form = "FORM_RECV"
        f = "|".join(sorted(set(flags))) or "0"
        if self.chance(0.1) and not mark:
            wait = "|MSG_DONTWAIT" if "MSG_DONTWAIT" in f else "|MSG_WAITFORONE"
            self.emit(proc, f"drecvm s{s} {self.r.randint(1, 6)} {size} {f}{wait}")
            o.queued = 0
            return
        self.emit(proc, f"drecv s{s} {form} {size} {f}"
                  + (self.r.choice([" 0", " 20", " 64"]) if form == "FORM_RECVMSG" and
                     self.chance(0.1) else ""), mark)
        o.error = False
        if "MSG_PEEK" not in f or plain:
            o.queued = max(0, o.queued - 1)

    def may_wait(self):
        if self.waits or not self.chance(0.02):
            return False
        self.waits += 1
        return True

    def exchange(self):
        """One sends to another, who looks, and takes it."""
        u = self.bound()
        if u is None:
            self.receiver()
            return
        t = self.held(lambda o: o.kind == "sock" and self.reaches(o.six, u[2]) and
                      (o.to is None or o.to is u[2]))
        if t is None or self.chance(0.2):
            t = self.socket(six=u[2].six) or t
        if t is None:
            return
        for _ in range(self.r.choice([1, 1, 1, 2, 3])):
            self.send(t, u[2] if t[2].to is None else None)
        if self.chance(0.4):
            self.look(u[0], u[1])
        if self.chance(0.2):
            self.emit(u[0], f"fionread s{u[1]}")
        self.recv(u)

    def errors(self):
        """Nobody is there: what is said of it, and where."""
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        home = "::1" if o.six else "127.0.0.1"
        if self.chance(0.6):
            self.emit(proc, f"setsockopt s{s} " + ("IPPROTO_IPV6 IPV6_RECVERR 1" if o.six else
                                                   "IPPROTO_IP IP_RECVERR 1"))
        if self.chance(0.5):
            self.emit(proc, f"dconnect s{s} {home} 1")
            o.to = "closed"
            self.emit(proc, f"dsend s{s} FORM_SEND {self.r.choice([0, 5, 100, 1472])} 0")
        else:
            self.emit(proc, f"dsend s{s} FORM_SENDTO {self.r.choice([0, 5, 100, 1472])} 0 {home} 1")
        o.error = True
        for _ in range(self.r.randint(1, 3)):
            what = self.r.choice(["queue", "poll", "error", "send", "recv"])
            if what == "queue":
                self.emit(proc, f"drecv s{s} FORM_RECVMSG {self.r.choice([0, 20, 2000])} MSG_ERRQUEUE")
            elif what == "poll":
                self.look(proc, s)
            elif what == "error":
                self.emit(proc, f"getsockopt s{s} SOL_SOCKET SO_ERROR")
            elif what == "send":
                self.send(t, size=10)
            else:
                self.recv(t, ["MSG_DONTWAIT"])

    def over(self):
        t = self.held(lambda o: o.kind == "sock" and o.port is not None and o.to is None)
        if t is None:
            t = self.receiver()
        if t is None or t[2].to is not None:
            return
        proc, s, o = t
        if o.addr in ("::",) and not o.only and self.chance(0.5):
            return
        if self.chance(0.5):
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_RXQ_OVFL 1")
        while o.queued > 0 and self.chance(0.9):
            self.recv((proc, s, o), ["MSG_DONTWAIT"])
            o.queued -= 1
        if self.chance(0.5):
            # Far more than it has room for, or so little that each has.
            # With the least buffer Linux takes none that is much larger.
            room, size = self.r.choice([(0, 4), (0, 100), (4096, 4), (4096, 100), (4096, 1000)])
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_RCVBUF {room}")
            self.emit(proc, f"dover s{s} 600 {size}")
            # What it takes otherwise is not to depend on how room is counted.
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_RCVBUF 200000")
        else:
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_RCVBUF 200000")
            self.emit(proc, f"dover s{s} {self.r.choice([1, 8, 20])} {self.r.choice([4, 100, 1400])}")
        o.queued = 0

    def cork(self):
        t = self.held(lambda o: o.kind == "sock" and isinstance(o.to, Sock) and
                      (not o.executed or o.to is o or self.gaps))
        if t is None:
            self.connect()
            return
        proc, s, o = t
        if self.chance(0.5):
            for _ in range(self.r.randint(1, 3)):
                self.emit(proc, f"dsend s{s} FORM_SEND {self.r.choice([0, 10, 700, 30000])} MSG_MORE")
            self.emit(proc, f"dsend s{s} FORM_SEND {self.r.choice([0, 10, 40000])} 0")
        else:
            self.emit(proc, f"setsockopt s{s} IPPROTO_UDP UDP_CORK 1")
            for _ in range(self.r.randint(1, 3)):
                self.emit(proc, f"dsend s{s} {self.r.choice(['FORM_SEND', 'FORM_WRITE'])} "
                          f"{self.r.choice([0, 10, 700, 30000])} 0")
            self.emit(proc, f"setsockopt s{s} IPPROTO_UDP UDP_CORK 0")
        o.to.queued += 1

    def segments(self):
        u = self.held(lambda o: o.kind == "sock" and o.port is not None and o.to is None)
        t = u and self.held(lambda o: o.kind == "sock" and o.six == u[2].six and o.to is None)
        if t is None:
            return
        if self.chance(0.5):
            self.emit(u[0], f"setsockopt s{u[1]} IPPROTO_UDP UDP_GRO 1")
        self.emit(t[0], f"setsockopt s{t[1]} IPPROTO_UDP UDP_SEGMENT {self.r.choice([100, 1000, 1472])}")
        self.emit(t[0], f"dsend s{t[1]} FORM_SENDTO {self.r.choice([50, 100, 3000, 20000])} 0 "
                  f"{self.where(u[2], t[2].six)}")
        self.emit(t[0], f"setsockopt s{t[1]} IPPROTO_UDP UDP_SEGMENT 0")
        for _ in range(self.r.randint(1, 4)):
            self.emit(u[0], f"drecv s{u[1]} FORM_RECVMSG 65535 MSG_DONTWAIT")

    def multicast(self):
        t = self.held(lambda o: o.kind == "sock" and o.addr in ("0.0.0.0", "::"))
        if t is None:
            t = self.receiver()
        if t is None or t[2].addr not in ("0.0.0.0", "::"):
            return
        proc, s, o = t
        group = "ff02::1:3" if o.six else "224.0.0.251"
        self.emit(proc, f"djoin s{s} 1 {group}")
        if self.chance(0.2):
            self.emit(proc, f"djoin s{s} {self.r.choice([0, 1])} {group}")
        u = self.socket(six=o.six)
        if u is None or o.six:      # No interface is named: nothing can be sent.
            return
        if self.chance(0.5):
            self.emit(u[0], f"setsockopt s{u[1]} IPPROTO_IP IP_MULTICAST_LOOP {self.r.choice([0, 1])}")
        self.emit(u[0], f"dbind s{u[1]} 127.0.0.1 0")
        self.emit(u[0], f"dsend s{u[1]} FORM_SENDMSG 50 0 {group} {o.port} CONTROL_PKTINFO 1")
        self.emit(proc, f"drecv s{s} FORM_RECVMSG 2000 MSG_DONTWAIT")

    # --- Waiting ------------------------------------------------------------
    def bits(self, epoll=False):
        e = "EPOLL" if epoll else "POLL"
        names = [e + n for n in ("IN", "OUT", "RDHUP", "PRI", "ERR", "HUP", "RDNORM")]
        bits = [n for n, w in zip(names, (.85, .4, .3, .1, .1, .1, .05)) if self.chance(w)]
        if epoll and self.chance(0.35):
            bits.append("EPOLLET")
        if epoll and self.chance(0.15):
            bits.append("EPOLLONESHOT")
        return "|".join(bits) or "0"

    def look(self, proc=None, s=None):
        proc = self.proc() if proc is None else proc
        held = [i for i in range(12) if self.slots[proc][i] is not None]
        if not held:
            return
        some = [s] if s is not None and self.chance(0.7) else \
            self.r.sample(held, min(len(held), self.r.randint(1, 4)))
        timeout = self.pick([(0, 92), (self.ms, 8)])
        if self.chance(0.25):
            masks = [sum(1 << i for i in some if self.chance(p)) for p in (.8, .6, .3)]
            self.emit(proc, f"select {timeout} {masks[0]} {masks[1]} {masks[2]}")
            return
        self.emit(proc, f"poll {timeout} " + " ".join(f"s{i} {self.bits()}" for i in some))

    def epoll(self, proc=None, s=None, o=None):
        ep = self.held(lambda x: x.kind == "ep", proc)
        if ep is None or self.chance(0.1):
            proc = self.proc() if proc is None else proc
            e = self.free(proc)
            if e is None:
                return
            self.emit(proc, f"epcreate s{e} 0")
            self.slots[proc][e] = Epoll()
            ep = (proc, e, self.slots[proc][e])
        proc = ep[0]
        if s is None:
            t = self.sock(proc)
            if t is None:
                return
            s = t[1]
        entries = ep[2].entries
        op = self.r.choice(["MOD", "MOD", "DEL"]) if (proc, s) in entries and self.chance(0.9) else \
            self.pick([("ADD", 94), ("MOD", 3), ("DEL", 3)])
        if op == "DEL":
            entries.pop((proc, s), None)
        else:
            self.tags += 1
            entries[(proc, s)] = self.tags
        self.emit(proc, f"epctl s{ep[1]} EPOLL_CTL_{op} s{s} {self.bits(True)} {self.tags}")

    def epoll_wait(self):
        ep = self.held(lambda o: o.kind == "ep")
        if ep is None:
            self.epoll()
            return
        proc, e, _ = ep
        if self.chance(0.12):
            self.emit(proc, f"epall s{e} {self.r.choice([1, 2, 3])}")
            return
        self.emit(proc, f"epwait s{e} 16 {self.pick([(0, 92), (self.ms, 8)])}")
        if self.chance(0.4):
            self.emit(proc, f"epwait s{e} 16 0")

    def woken(self):
        """One sleeps in a call while another does something about it."""
        u = self.held(lambda o: o.kind == "sock" and o.port is not None and o.queued == 0 and
                      not o.error)
        if u is None:
            return
        proc, s, o = u
        others = [p for p in self.alive if p != proc]
        t = self.held(lambda x: x.kind == "sock" and x is not o and self.reaches(x.six, o) and
                      x.to in (None, o), self.r.choice(others))
        if t is None:
            t = self.socket(self.r.choice(others), o.six)
        if t is None or (o.to is not None and o.to is not t[2]):
            return
        how = self.r.randrange(4)
        ep = self.held(lambda x: x.kind == "ep" and x.entries, proc)
        act = self.pick([("send", 80), ("none", 5)])
        ms = 200 if act == "send" else self.ms * 2
        if how == 0 and not o.nb and not o.timeo and act == "send":
            self.recv(u, ["MSG_PEEK"] if self.chance(0.1) else [], "&")
            o.queued = 0
        elif how == 1 and ep is not None:
            self.emit(proc, f"epwait s{ep[1]} 16 {ms}", "&")
        elif how == 2:
            self.emit(proc, f"select {ms} {1 << s} 0 {1 << s}", "&")
        else:
            self.emit(proc, f"poll {ms} s{s} POLLIN|POLLRDHUP", "&")
        if act == "send":
            self.send(t, o if t[2].to is None else None, self.r.choice([0, 1, 100, 1472]))
        else:
            self.emit(proc, f"fcntl s{s} F_GETFL")  # Behind it: what comes next is not in time by chance.

    def shared(self):
        """A second thread receives while the first does something to the socket."""
        u = self.held(lambda o: o.kind == "sock" and o.port is not None and o.queued == 0 and
                      not o.nb and not o.timeo and not o.error and o.to is None)
        if u is None:
            return
        proc, s, o = u
        self.recv(u, [], "+")
        act = self.pick([("none", 30), ("shut", 25), ("close", 15), ("flag", 10)])
        if act == "shut":
            self.emit(proc, f"shutdown s{s} {self.r.choice(['SHUT_RD', 'SHUT_WR', 'SHUT_RDWR'])}")
        elif act == "flag":
            self.emit(proc, f"fcntl s{s} F_SETFL O_NONBLOCK")
            o.nb = True
        elif act == "close":
            self.emit(proc, f"close s{s}")
            self.drop(proc, s)
        if act != "close":
            t = self.socket(self.r.choice([p for p in self.alive if p != proc]), o.six)
            if t is not None:
                self.emit(t[0], f"dsend s{t[1]} FORM_SENDTO 77 0 {self.where(o, o.six)}")
        self.emit(proc, "join")
        o.queued = 1

    # --- The rest -------------------------------------------------------------
    def shutdown(self):
        t = self.sock()
        if t is None:
            return
        proc, s, _ = t
        self.emit(proc, f"shutdown s{s} {self.r.choice(['SHUT_RD', 'SHUT_WR', 'SHUT_RDWR'])}")
        if self.chance(0.6):
            self.look(proc, s)
        if self.chance(0.5):
            self.send(t, size=20)
        if self.chance(0.5):
            self.recv(t, ["MSG_DONTWAIT"])

    def option(self, t=None):
        t = t or self.sock()
        if t is None:
            return
        proc, s, o = t
        level, name, values = self.r.choice(OPTIONS + OPTIONS + (OPTIONS6 if o.six else OPTIONS4) * 2
                                            + (OPTIONS4 if o.six else OPTIONS6))
        size = self.r.choice(["", "", "", "", " 0 1"])
        self.emit(proc, f"setsockopt s{s} {level} {name} {self.r.choice(values)}{size}")
        if name == "IPV6_V6ONLY":
            o.only = True
        if self.chance(0.5):
            self.emit(proc, f"getsockopt s{s} {level} {name}")

    def ask(self):
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        level, name, _ = self.r.choice(SHOWN + (OPTIONS6 if o.six else OPTIONS4))
        self.emit(proc, self.r.choice([
            f"getsockopt s{s} {level} {name}", f"getsockopt s{s} SOL_SOCKET SO_ERROR",
            f"dname s{s} 0", f"dname s{s} 1", f"fionread s{s}", f"outq s{s}",
            f"fcntl s{s} F_GETFL", f"getsockopt s{s} IPPROTO_IP IP_MTU"]))

    def flags(self):
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        o.nb = self.chance(0.6)
        self.emit(proc, self.r.choice([f"fcntl s{s} F_SETFL {'O_NONBLOCK' if o.nb else 0}",
                                       f"fionbio s{s} {int(o.nb)}"]))

    def nonsense(self):
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        self.emit(proc, self.r.choice([
            f"listen s{s} 1", f"accept s13 s{s}", f"dbind s{s} 127.0.0.1 0", f"dbind s{s} ::1 0",
            f"dbind s{s} 2001:db8::1 0", f"dbind s{s} 192.0.2.1 0", f"dbind s{s} 127.0.0.1 0 p15 3",
            f"dconnect s{s} 127.0.0.1 0", f"dsend s{s} FORM_SEND 5 0", f"dname s{s} 1",
            f"drecv s{s} FORM_RECVMSG 100 MSG_ERRQUEUE", f"drecv s{s} FORM_RECV 10 MSG_OOB|MSG_DONTWAIT",
            "dsend s14 FORM_SEND 5 0", "drecv s14 FORM_RECV 5 0", "dbind s14 127.0.0.1 0",
            f"misc s{s} {self.r.choice(['lseek', 'fstat', 'isatty', 'bad_ioctl', 'pread', 'mmap', 'sendfile_from', 'fsync'])}",
            f"dsend s{s} FORM_SENDTO 5 0 127.255.255.255 p0", f"dsend s{s} FORM_SENDTO 5 0 ::ffff:127.0.0.1 p0"]))

    # --- Processes ------------------------------------------------------------
    def fork(self):
        proc = self.r.randrange(2)
        if proc + 2 in self.alive:
            self.emit(proc, self.r.choice([f"childexit s0 {self.r.randrange(2)}", "childkill s0"]))
            self.alive.remove(proc + 2)
            for s, o in enumerate(self.slots[proc + 2]):
                if o is not None:
                    self.drop(proc + 2, s)
        elif self.chance(0.1):
            self.emit(proc, "daemon s0")
            self.share(proc)
        else:
            self.emit(proc, "fork s0")
            self.alive.append(proc + 2)
            self.slots[proc + 2] = list(self.slots[proc])
            self.share(proc)

    def share(self, proc):
        for o in self.slots[proc]:
            if o is not None and o.kind == "sock":
                o.shared = True

    def exec(self):
        proc = self.proc()
        for s, o in enumerate(self.slots[proc]):
            if o is None:
                continue
            # A program that has it without knowing, beside one that has its memory,
            # reads what ordinary programs send: docs/compatibility.md.
            if o.kind == "ep" or self.chance(0.25) or (o.shared and not self.gaps):
                self.emit(proc, f"close s{s}" if o.kind == "ep" else f"fcntl s{s} F_SETFD FD_CLOEXEC")
                self.drop(proc, s)
            else:
                self.emit(proc, f"fcntl s{s} F_SETFD 0")
                # What is unread does not go along.
                if o.port is not None and not self.gaps:
                    for _ in range(2):
                        self.emit(proc, f"drecvm s{s} 16 2000 MSG_DONTWAIT")
                    o.queued = 0
                o.executed = True
        self.emit(proc, "exec s0")

    def give(self):
        t = self.sock()
        if t is None:
            return
        proc, s, o = t
        to = self.r.choice([p for p in self.alive if p % 2 != proc % 2])
        d = self.free(to)
        if d is None:
            return
        self.emit(proc, f"give s{s}")
        if self.chance(0.4):
            self.emit(proc, f"close s{s}")
            self.slots[proc][s] = None
        if self.chance(0.3):
            self.exchange()
            d = self.free(to)
            if d is None:
                d = 13
        self.emit(to, f"take s{d} 0")
        self.slots[to][d] = o

    def run(self):
        for _ in range(self.r.randint(1, 2)):
            self.receiver()
        actions = [
            (self.exchange, 26), (self.send, 12), (self.recv, 14), (self.look, 7), (self.epoll, 6),
            (self.epoll_wait, 7), (self.receiver, 4), (self.connect, 7), (self.woken, 6),
            (self.close, 4), (self.dup, 3), (self.option, 7), (self.ask, 5), (self.flags, 2),
            (self.errors, 5), (self.over, 1.5), (self.cork, 2), (self.segments, 2),
            (self.multicast, 1), (self.shutdown, 2), (self.shared, 1), (self.nonsense, 4)]
        if self.processes:
            actions += [(self.fork, 3), (self.exec, 1.5)]
        # What docs/compatibility.md says is different: several sockets at one port, of
        # which some have received nothing yet; what was unread when a socket was sent, or
        # went to another program.
        if self.gaps:
            actions += [(self.again, 3), (self.give, 3)] if self.processes else [(self.again, 3)]
        while len(self.lines) < self.length:
            self.pick(actions)()
        return self.lines[:self.length + 8]


def sequence(seed, number, length, hz=0, processes=False, gaps=False):
    """The lines of sequence @number of @seed, and its mode: the words behind `seq`."""
    g = Generator(f"dgram {seed}/{number}", length, hz, processes, gaps)
    return g.run(), " again" if number % 2 else ""
