# SPDX-License-Identifier: BSD-2-Clause
"""Sequences of socket calls, from a seed.

A light model of what each call would do keeps most of them meaningful: it
knows which slots hold what, who faces whom, and about how much is unread. It
predicts nothing for the comparison; where it is wrong, a sequence is only less
interesting (or waits for the executor's guard timer).
"""
import random

SIZES = [(0, 3), (1, 15), (3, 10), (100, 30), (1000, 8), (4096, 20), (20000, 5),
         (65536, 5), (200000, 2), (300000, 1)]
RSIZES = [(0, 2), (1, 12), (3, 10), (50, 10), (100, 20), (4096, 25), (65536, 20)]
# What takes the place of IPv4's words, and how often.
FAMILIES = [
    ({}, 50),
    ({"AF_INET": "AF_INET6", "127.0.0.1": "::1", "127.0.0.2": "::1", "127.0.0.3": "::1",
      "0.0.0.0": "::", "8.8.8.8": "2001:db8::1"}, 30),
    ({"AF_INET": "AF_INET6", "127.0.0.1": "::ffff:127.0.0.1", "127.0.0.2": "::ffff:127.0.0.2",
      "127.0.0.3": "::ffff:127.0.0.2", "0.0.0.0": "::", "8.8.8.8": "2001:db8::1"}, 20),
]
P = "ABCD"              # C is a child of A, D of B.
NOWHERE = 4             # The process of what nobody has at present.


class Obj:
    """An open file; several slots may hold it, and several processes.

    @proc: the one of them that acts on it in the present action.
    """

    def __init__(self, kind, proc):
        self.kind = kind            # sock, ep, pr, pw
        self.proc = proc
        self.state = "new"          # new, bound, listen, asked, conn, dead
        self.nb = False
        self.timeo = False
        self.peer = None
        self.inq = 0
        self.eof = False
        self.shut_wr = False
        self.queue = []             # Clients that nobody accepted yet.
        self.backlog = 0
        self.addr = "127.0.0.1"
        self.port = None
        self.entries = {}           # An epoll set's: slot -> tag
        self.linger0 = False


class Generator:
    def __init__(self, seed, length, hz, processes):
        self.r = random.Random(seed)
        # A generator of its own: what else a seed means does not depend on it.
        self.words = random.Random(f"family {seed}").choices(*zip(*FAMILIES))[0]
        self.length = length
        # So long that a timer's signal ends each wait, also where the machine is busy.
        self.ms = 40 if hz else 5
        self.lines = []
        self.processes = processes
        self.alive = [0, 1]
        self.stopped = set()
        self.slots = [[None] * 16 for _ in range(NOWHERE + 1)]
        self.ports = 0
        self.tags = 0
        self.waits = 0

    # --- Small helpers ---------------------------------------------------
    def chance(self, p):
        return self.r.random() < p

    def pick(self, weighted):
        return self.r.choices([w[0] for w in weighted], [w[1] for w in weighted])[0]

    def emit(self, proc, text, background=False):
        self.lines.append(f"{P[proc]}{'&' if background else ''} {self.of_family(text)}")

    def of_family(self, text):
        """The same call with the sequence's family of addresses."""
        return " ".join(self.words.get(w, w) for w in text.split(" "))

    def some_proc(self):
        if not self.processes:
            return self.r.randrange(2)
        return self.r.choice([p for p in self.alive if p not in self.stopped])

    def relatives(self, proc):
        """@proc's parent or child and itself, those that can act."""
        return [p for p in self.alive if (p - proc) % 2 == 0 and p not in self.stopped]

    def across(self, proc):
        """Somebody of the other side."""
        return self.r.choice(self.relatives(1 - proc % 2)) if self.processes else 1 - proc

    def holders(self, o):
        return [p for p in self.alive if any(x is o for x in self.slots[p])]

    def turn(self):
        """Who of those that share something acts on it next."""
        for o in {id(x): x for p in self.alive for x in self.slots[p] if x is not None}.values():
            can = [p for p in self.holders(o) if p not in self.stopped]
            o.proc = self.r.choice(can) if can else NOWHERE

    def free_slot(self, proc):
        free = [i for i in range(12) if self.slots[proc][i] is None]
        return self.r.choice(free) if free else None

    def slot_of(self, o):
        held = [i for i in range(16) if self.slots[o.proc][i] is o]
        return self.r.choice(held) if held else None

    def is_open(self, o):
        return any(x is o for slots in self.slots for x in slots)

    def objects(self, test, proc=None):
        seen = []
        for p in range(NOWHERE):
            if proc is not None and p != proc:
                continue
            for o in self.slots[p]:
                if o is not None and o.proc == p and o not in seen and test(o):
                    seen.append(o)
        return seen

    def some(self, test, proc=None):
        found = self.objects(test, proc)
        return self.r.choice(found) if found else None

    def conn(self, proc=None):
        return self.some(lambda o: o.state == "conn", proc)

    def may_wait(self):
        """Once in a while a call may run into the guard timer."""
        if self.waits or not self.chance(0.03):
            return False
        self.waits += 1
        return True

    # --- Making things ----------------------------------------------------
    def socket(self, proc, nb=None):
        s = self.free_slot(proc)
        if s is None:
            return None
        o = Obj("sock", proc)
        o.nb = self.chance(0.5) if nb is None else nb
        kind = "SOCK_STREAM"
        late = o.nb and self.chance(0.3)
        if o.nb and not late:
            kind += "|SOCK_NONBLOCK"
        if self.chance(0.2):
            kind += "|SOCK_CLOEXEC"
        self.emit(proc, f"socket s{s} AF_INET {kind} {self.r.choice(['0', 'IPPROTO_TCP'])}")
        self.slots[proc][s] = o
        if late:
            self.emit(proc, self.r.choice([f"fcntl s{s} F_SETFL O_NONBLOCK", f"fionbio s{s} 1"]))
        if not o.nb and self.chance(0.35):
            self.timeouts(o, s)
        if self.chance(0.15):
            self.sockopt(o)
        return o

    def timeouts(self, o, s):
        o.timeo = True
        self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET SO_RCVTIMEO {self.ms * 800}")
        if self.chance(0.5):
            self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET SO_SNDTIMEO 40000")

    def listener(self, proc):
        o = self.socket(proc, self.chance(0.4))
        if o is None or self.ports >= 12:
            return None
        s = self.slot_of(o)
        if self.chance(0.3):
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_REUSEADDR 1")
        o.addr = self.pick([("127.0.0.1", 75), ("0.0.0.0", 15), ("127.0.0.2", 10)])
        o.port = f"p{self.ports}"
        self.ports += 1
        self.emit(proc, f"bind s{s} {o.addr} 0 {o.port}")
        o.state = "bound"
        if self.chance(0.08):
            self.poll(proc)
        if self.chance(0.05):
            return o
        o.backlog = self.r.choice([0, 1, 1, 2, 3, 5])
        self.emit(proc, f"listen s{s} {o.backlog}")
        o.state = "listen"
        if self.chance(0.15):
            self.epoll(proc, o)
        if self.chance(0.1):
            self.poll(proc)
        return o

    def connect(self, c, lst):
        """c asks lst; whoever accepts comes later."""
        s = self.slot_of(c)
        addr = "127.0.0.1" if lst.addr == "0.0.0.0" else lst.addr
        if c.state == "new" and self.chance(0.08):
            self.emit(c.proc, f"bind s{s} {self.r.choice(['127.0.0.1', '0.0.0.0', '127.0.0.3'])} 0")
        if self.chance(0.12):
            self.epoll(c.proc, c)
        wait = (not lst.nb and not lst.timeo and not lst.queue and lst.proc != c.proc and self.chance(0.25))
        if wait:
            self.accept(lst, background=True, client=c)
        self.emit(c.proc, f"connect s{s} {addr} {lst.port}")
        if not wait:
            lst.queue.append(c)
        c.state = "conn"
        if c.nb and self.chance(0.5):
            choice = self.r.choice(["poll", "error", "again", "select", "name"])
            if choice == "poll":
                self.emit(c.proc, f"poll 0 s{s} POLLIN|POLLOUT|POLLRDHUP")
            elif choice == "select":
                self.emit(c.proc, f"select 0 0 {1 << s} {1 << s}")
            elif choice == "error":
                self.emit(c.proc, f"getsockopt s{s} SOL_SOCKET SO_ERROR")
            elif choice == "again":
                self.emit(c.proc, f"connect s{s} {addr} {lst.port}")
                if self.chance(0.5):
                    self.emit(c.proc, f"connect s{s} {addr} {lst.port}")
            else:
                self.emit(c.proc, f"getpeername s{s}")

    def accept(self, lst, background=False, client=None):
        d = self.free_slot(lst.proc)
        s = self.slot_of(lst)
        if d is None or s is None:
            return
        n = Obj("sock", lst.proc)
        n.state = "conn"
        if self.chance(0.5):
            flags = self.r.choice(["0", "SOCK_NONBLOCK", "SOCK_CLOEXEC",
                                   "SOCK_NONBLOCK|SOCK_CLOEXEC"])
            n.nb = "NONBLOCK" in flags
            text = f"accept4 s{d} s{s} {flags}"
        else:
            text = f"accept s{d} s{s} {self.r.choice([0, 1, 1])}"
        self.emit(lst.proc, text, background)
        self.slots[lst.proc][d] = n
        c = client or (lst.queue.pop(0) if lst.queue else None)
        if c is None:
            self.slots[lst.proc][d] = None
            return
        n.peer, c.peer = c, n
        n.inq, c.sent_early = getattr(c, "sent_early", 0), 0
        n.eof = c.shut_wr or c.state == "dead"
        n.timeo = lst.timeo
        if not background and not n.nb and not n.timeo and self.chance(0.3):
            self.timeouts(n, d)

    def pair(self):
        proc = self.some_proc()
        lst = self.some(lambda o: o.state == "listen" and len(o.queue) <= o.backlog)
        if lst is None or self.chance(0.3):
            lst = self.listener(proc)
        if lst is None or lst.state != "listen":
            return
        cproc = lst.proc if self.chance(0.2) else self.across(lst.proc)
        c = self.some(lambda o: o.kind == "sock" and o.state == "new", cproc)
        if c is None or self.chance(0.7):
            c = self.socket(cproc)
        if c is None or len(lst.queue) > lst.backlog:
            return
        self.connect(c, lst)
        if lst.queue and self.chance(0.8):
            if self.chance(0.1):
                self.poll(lst.proc)
            self.accept(lst)

    # --- Using things -------------------------------------------------------
    def send_text(self, s, size, small):
        # Who sleeps meanwhile may see what is held back by MSG_MORE, or not.
        flags = self.pick([("0", 40), ("MSG_NOSIGNAL", 20), ("MSG_DONTWAIT", 20),
                           ("MSG_DONTWAIT|MSG_NOSIGNAL", 10), ("MSG_MORE", 0 if small else 3)])
        return self.pick([
            (f"send s{s} {size} {flags}", 40), (f"write s{s} {size}", 15),
            (f"writev s{s} {size} {self.r.randint(1, 4)}", 10),
            (f"sendto s{s} {size} {flags}", 5),
            (f"sendmsg s{s} {size} {flags} {self.r.randint(1, 4)}", 10),
            (f"sendfile s{s} {size}", 5)])

    def send(self, o=None, small=False):
        o = o or self.conn()
        s = o and self.slot_of(o)
        if s is None:
            return
        size = self.pick(SIZES[:6] if small else SIZES)
        peer = o.peer
        if size > 20000 and (peer is None or self.slot_of(peer) is None or peer.inq > 20000):
            size = 100
        self.emit(o.proc, self.send_text(s, size, small or o.eof or peer is None))
        if o.shut_wr:
            return
        if peer is None:
            o.sent_early = getattr(o, "sent_early", 0) + size
            return
        peer.inq += size
        if size > 20000:
            ps = self.slot_of(peer)
            if self.chance(0.3):
                self.emit(peer.proc, f"recv s{ps} {self.r.choice([1, 1000, 100000])} MSG_PEEK|MSG_DONTWAIT")
            if not peer.nb and self.chance(0.3):
                self.emit(peer.proc, f"recv s{ps} {size} MSG_WAITALL")
            self.emit(peer.proc, f"recvall s{ps} 500000")
            peer.inq = 0

    def recv(self, o=None):
        if o is None and self.chance(0.7):
            o = self.some(lambda x: x.state == "conn" and (x.inq > 0 or x.eof))
        o = o or self.conn()
        s = o and self.slot_of(o)
        if s is None:
            return
        size = self.pick(RSIZES)
        flags = []
        ready = o.inq > 0 or o.eof
        if self.chance(0.2):
            flags.append("MSG_PEEK")
        if self.chance(0.06):
            flags.append("MSG_TRUNC")
        if o.inq >= size > 0 and self.chance(0.15) and o.inq < 20000:
            flags.append("MSG_WAITALL")
        plain = self.chance(0.5)
        if not ready and not o.nb and not (self.chance(0.4) if o.timeo else self.may_wait()):
            plain = False
            flags.append("MSG_DONTWAIT")
        elif self.chance(0.15):
            flags.append("MSG_DONTWAIT")
        f = "|".join(flags) or "0"
        if plain:
            self.emit(o.proc, self.r.choice([f"read s{s} {size}", f"recv s{s} {size} 0",
                                             f"readv s{s} {size} {self.r.randint(1, 4)}"]))
        else:
            self.emit(o.proc, self.pick([
                (f"recv s{s} {size} {f}", 50), (f"recvfrom s{s} {size} {f}", 15),
                (f"recvmsg s{s} {size} {f} {self.r.randint(1, 4)}", 20)]))
        if plain or "MSG_PEEK" not in flags:
            o.inq = max(0, o.inq - size)

    def fill(self):
        o = self.some(lambda x: x.state == "conn" and x.peer is not None and not x.shut_wr and
                      not x.peer.eof and self.slot_of(x.peer) is not None)
        if o is None:
            return
        s, ps = self.slot_of(o), self.slot_of(o.peer)
        if self.chance(0.4):
            self.epoll(o.proc, o)
        self.emit(o.proc, f"fill s{s}")
        self.emit(o.peer.proc, f"drain s{ps}")
        o.peer.inq = 0
        self.emit(o.proc, f"poll 0 s{s} POLLOUT")
        if self.chance(0.5):
            self.epoll_wait(o.proc)

    def events(self, epoll=False):
        e = "EPOLL" if epoll else "POLL"
        names = [e + n for n in ("IN", "OUT", "RDHUP", "PRI", "ERR", "HUP", "RDNORM", "WRNORM")]
        weights = [.8, .5, .4, .1, .1, .1, .05, .05]
        bits = [n for n, w in zip(names, weights) if self.chance(w)]
        if epoll and self.chance(0.35):
            bits.append("EPOLLET")
        if epoll and self.chance(0.15):
            bits.append("EPOLLONESHOT")
        return "|".join(bits) or "0"

    def poll(self, proc=None):
        proc = self.some_proc() if proc is None else proc
        held = [i for i in range(12) if self.slots[proc][i] is not None]
        if not held:
            return
        some = self.r.sample(held, min(len(held), self.r.randint(1, 4)))
        timeout = self.pick([(0, 90), (self.ms, 10)])
        if self.chance(0.25):
            masks = [sum(1 << i for i in some if self.chance(p)) for p in (.8, .7, .4)]
            self.emit(proc, f"select {timeout} {masks[0]} {masks[1]} {masks[2]}")
            return
        if self.chance(0.05):
            some.append(self.r.randrange(16))
        self.emit(proc, f"poll {timeout} " + " ".join(f"s{i} {self.events()}" for i in some))

    def epoll(self, proc=None, target=None):
        """Put something into a set, or change what is in there."""
        if proc is None:
            proc = self.some_proc()
        ep = self.some(lambda o: o.kind == "ep", proc)
        if ep is None or self.chance(0.1):
            e = self.free_slot(proc)
            if e is None:
                return
            self.emit(proc, f"epcreate s{e} {self.r.choice(['0', 'EPOLL_CLOEXEC'])}")
            ep = Obj("ep", proc)
            self.slots[proc][e] = ep
        e = self.slot_of(ep)
        target = target or self.some(lambda o: o is not ep, proc)
        t = target and self.slot_of(target)
        if t is None:
            return
        if t in ep.entries and self.chance(0.9):
            op = self.r.choice(["MOD", "MOD", "DEL"])
        else:
            op = self.pick([("ADD", 94), ("MOD", 3), ("DEL", 3)])
        if op != "DEL":
            self.tags += 1
            ep.entries[t] = self.tags
        else:
            ep.entries.pop(t, None)
        self.emit(proc, f"epctl s{e} EPOLL_CTL_{op} s{t} {self.events(True)} {self.tags}")

    def epoll_wait(self, proc=None):
        ep = self.some(lambda o: o.kind == "ep", proc)
        if ep is None:
            return self.epoll(proc)
        if self.chance(0.12):
            # Whom a short array leaves out is in the next ones.
            self.emit(ep.proc, f"epall s{self.slot_of(ep)} {self.r.choice([1, 1, 2, 3])}")
            return
        timeout = self.pick([(0, 92), (self.ms, 8)])
        self.emit(ep.proc, f"epwait s{self.slot_of(ep)} 16 {timeout}")
        if self.chance(0.4):
            self.emit(ep.proc, f"epwait s{self.slot_of(ep)} 16 0")

    def woken(self):
        """One sleeps in a call while the other does something about it."""
        o = self.some(lambda x: x.state == "conn" and x.peer is not None and
                      x.peer.proc != x.proc and self.slot_of(x.peer) is not None and
                      x.inq == 0 and not x.eof)
        if o is None:
            return
        s = self.slot_of(o)
        how = self.r.randrange(4)
        act = self.pick([("send", 60), ("shut", 15), ("close", 15), ("none", 3)])
        if o.peer.shut_wr and act == "send":
            act = "close"
        # Long enough for a busy machine: who is woken does not wait it out.
        ms = self.ms * 2 if act == "none" else 1000
        ep = self.some(lambda x: x.kind == "ep" and x.entries, o.proc)
        if how == 0 and not o.nb and not o.timeo and act != "none":
            self.emit(o.proc, self.r.choice([
                f"recv s{s} 4096 0", f"read s{s} 4096", f"recvmsg s{s} 100 0 2",
                f"recv s{s} 10 MSG_PEEK", f"readv s{s} 4096 2"]), True)
            o.inq = 0
        elif how == 1 and ep is not None:
            self.emit(o.proc, f"epwait s{self.slot_of(ep)} 16 {ms}", True)
        elif how == 2:
            self.emit(o.proc, f"select {ms} {1 << s} 0 {1 << s}", True)
        else:
            self.emit(o.proc, f"poll {ms} s{s} POLLIN|POLLRDHUP", True)
        if act == "send":
            self.send(o.peer, small=True)
        elif act == "shut":
            self.shutdown(o.peer)
        elif act == "close":
            self.close(o.peer)
        else:   # The next step might be a send with MSG_MORE: see send_text().
            self.emit(o.peer.proc, f"getsockname s{self.slot_of(o.peer)}")

    def shared(self):
        """One thread is in a call while another does something to its socket."""
        listens = self.chance(0.2)
        o = self.some(lambda x: x.state == "listen" and not x.queue and not x.nb and
                      not x.timeo if listens else
                      x.state == "conn" and not x.nb and not x.timeo and x.peer is not None and
                      self.slot_of(x.peer) is not None and x.inq == 0 and not x.eof)
        d = o and self.free_slot(o.proc)
        if d is None:
            return
        s = self.slot_of(o)
        fills = not listens and not o.peer.eof and not o.shut_wr and self.chance(0.1)
        if listens:
            self.emit_call(o.proc, self.r.choice([f"accept s{d} s{s} 1", f"accept4 s{d} s{s} SOCK_NONBLOCK",
                                                  f"poll 200 s{s} POLLIN"]))
        elif fills:
            self.emit(o.proc, f"fill s{s}")
            self.emit_call(o.proc, self.r.choice([f"send s{s} 100000 0", f"write s{s} 4096"]))
        else:
            self.emit_call(o.proc, self.r.choice([
                f"recv s{s} 4096 0", f"read s{s} 100", f"recvmsg s{s} 100 0 2", f"readv s{s} 4096 2",
                f"recv s{s} 10 MSG_PEEK", f"recv s{s} 20 MSG_WAITALL",
                f"poll 200 s{s} POLLIN|POLLRDHUP"]))
        other = self.some(lambda x: x is not o and x.kind == "sock", o.proc)
        act = self.pick([("none", 20), ("close", 25), ("shut", 25), ("dup2", 15), ("flag", 15)])
        if "+ poll" in self.lines[-1] and act in ("close", "dup2"):
            act = "none"        # Unspecified: it may or may not see the new state.
        if act == "close":
            self.emit(o.proc, f"close s{s}")
            self.slots[o.proc][s] = None
        elif act == "shut":
            self.emit(o.proc, f"shutdown s{s} {self.r.choice(['SHUT_RD', 'SHUT_WR', 'SHUT_RDWR'])}")
        elif act == "dup2" and other is not None:
            self.emit(o.proc, f"dup2 s{s} s{self.slot_of(other)}")
            self.slots[o.proc][s] = other
        elif act == "flag":
            self.emit(o.proc, f"fcntl s{s} F_SETFL O_NONBLOCK")
            o.nb = True
        if listens:
            c = self.socket(self.across(o.proc), True)
            if c is not None:
                addr = "127.0.0.1" if o.addr == "0.0.0.0" else o.addr
                self.emit(c.proc, f"connect s{self.slot_of(c)} {addr} {o.port}")
                c.state = "dead"
        elif fills:
            self.emit(o.peer.proc, f"drain s{self.slot_of(o.peer)}")
        elif self.chance(0.2) and o.peer.proc != o.proc:
            self.close(o.peer)
        elif not o.peer.shut_wr:
            self.emit(o.peer.proc, f"send s{self.slot_of(o.peer)} {self.r.choice([10, 20, 5000])} MSG_NOSIGNAL")
        self.emit(o.proc, "join")
        if self.slot_of(o) is None:
            self.dropped(o)
        if o.peer is not None and self.slot_of(o.peer) is not None:
            self.emit(o.peer.proc, f"poll 0 s{self.slot_of(o.peer)} POLLIN|POLLOUT|POLLRDHUP")
            self.emit(o.peer.proc, f"recv s{self.slot_of(o.peer)} 100 MSG_DONTWAIT")

    def emit_call(self, proc, text):
        self.lines.append(f"{P[proc]}+ {self.of_family(text)}")

    def forked(self):
        """A child shares the sockets: it uses one, or only has them."""
        o = self.some(lambda x: x.state == "conn" and x.peer is not None and
                      self.slot_of(x.peer) is not None)
        if o is None or (not self.processes and
                         self.some(lambda x: x.kind == "ep", o.proc) is not None):
            return
        s, ps = self.slot_of(o), self.slot_of(o.peer)
        how = self.r.randrange(3)
        if how == 2 and o.proc > 1:
            return
        # By fork alone; by exec of what is accelerated, or is not.
        mode = f" {self.r.randrange(3)}" if self.processes else ""
        if mode > " 0" and how == 1 and not (o.inq or o.eof):
            mode = ""
        if how == 0 and not o.shut_wr:
            size = self.r.choice([1, 100, 4096])
            self.emit(o.proc, f"forksend s{s} {size}{mode}")
            o.peer.inq += size
        elif how == 1:
            size = self.r.choice([1, 100, 4096])
            if not o.peer.shut_wr and self.chance(0.7):
                self.emit(o.peer.proc, f"send s{ps} {size} MSG_NOSIGNAL")
            self.emit(o.proc, f"forkrecv s{s} {size}{mode}")
            o.inq = 0
        else:
            self.emit(o.proc, "forkhold s0")
            for _ in range(self.r.randint(1, 3)):
                act = self.r.choice(["send", "recv", "back", "shut", "close", "poll"])
                if act == "send" and self.slot_of(o) is not None:
                    self.emit(o.proc, f"send s{s} {self.r.choice([1, 1000])} MSG_NOSIGNAL|MSG_DONTWAIT")
                elif act == "back":
                    self.emit(o.peer.proc, f"send s{ps} 100 MSG_NOSIGNAL|MSG_DONTWAIT")
                elif act == "recv":
                    self.emit(o.peer.proc, f"recv s{ps} 4096 MSG_DONTWAIT")
                elif act == "shut" and self.slot_of(o) is not None:
                    self.shutdown(o)
                elif act == "close" and self.slot_of(o) is not None:
                    self.emit(o.proc, f"close s{s}")
                    self.slots[o.proc][s] = None
                self.emit(o.peer.proc, f"poll 0 s{ps} POLLIN|POLLOUT|POLLRDHUP")
            self.emit(o.proc, "forkend s0")
            if self.slot_of(o) is None:
                self.dropped(o)
        self.emit(o.peer.proc, f"poll 0 s{ps} POLLIN|POLLOUT|POLLRDHUP")
        if self.chance(0.5):
            self.emit(o.peer.proc, f"recv s{ps} 4096 MSG_DONTWAIT")

    def shutdown(self, o=None):
        o = o or self.conn()
        s = o and self.slot_of(o)
        if s is None:
            return
        how = self.pick([("SHUT_WR", 60), ("SHUT_RD", 20), ("SHUT_RDWR", 20)])
        self.emit(o.proc, f"shutdown s{s} {how}")
        if how != "SHUT_RD":
            o.shut_wr = True
            if o.peer:
                o.peer.eof = True
        if how != "SHUT_WR":
            o.eof = True

    def dropped(self, o):
        if o is None or self.is_open(o):
            return
        o.state = "dead"
        if o.peer:
            o.peer.eof = True
        for c in o.queue:
            c.eof = True
        o.queue = []

    def close(self, o=None):
        o = o or self.some(lambda x: True)
        s = o and self.slot_of(o)
        if s is None:
            return
        if o.kind == "sock" and self.chance(0.15):
            self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET SO_LINGER 1 0")
        self.emit(o.proc, f"{'closerange' if self.chance(0.08) else 'close'} s{s}")
        self.slots[o.proc][s] = None
        self.dropped(o)

    def dup(self):
        o = self.some(lambda x: True)
        if o is None:
            return
        s = self.slot_of(o)
        held = [i for i in range(12) if self.slots[o.proc][i] is not None]
        if self.chance(0.3):
            d = self.r.choice(held)
            self.emit(o.proc, self.r.choice([f"dup2 s{d} s{s}", f"dup3 s{d} s{s} O_CLOEXEC",
                                             f"dup3 s{d} s{s} 0"]))
            old = self.slots[o.proc][d]
            self.slots[o.proc][d] = o
            self.dropped(old)
            return
        d = self.free_slot(o.proc)
        if d is None:
            return
        self.emit(o.proc, self.r.choice([
            f"dup s{d} s{s}", f"fdupfd s{d} s{s} F_DUPFD {self.r.choice([0, 20, 100])}",
            f"fdupfd s{d} s{s} F_DUPFD_CLOEXEC {self.r.choice([0, 20])}"]))
        self.slots[o.proc][d] = o

    def sockopt(self, o=None):
        o = o or self.some(lambda x: x.kind == "sock")
        s = o and self.slot_of(o)
        # Who waits in a queue inherits at the handshake there, at accept() here.
        if s is None or o.queue:
            return
        ints = [("SOL_SOCKET", n) for n in ("SO_REUSEADDR", "SO_KEEPALIVE", "SO_BROADCAST",
                                            "SO_OOBINLINE")]
        ints += [("IPPROTO_TCP", "TCP_NODELAY")] * 3
        timers = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 5),
                  ("TCP_USER_TIMEOUT", 5000)]
        what = self.r.randrange(9)
        if what == 8:
            self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET SO_RCVLOWAT {self.r.choice([0, 1, 2, 10, 50, 1000])}")
            if o.inq and self.chance(0.5):
                self.emit(o.proc, f"poll 0 s{s} POLLIN")
        elif what < 3:
            level, name = self.r.choice(ints)
            self.emit(o.proc, f"setsockopt s{s} {level} {name} {self.r.choice([0, 1, 1, 7])}")
            if self.chance(0.7):
                self.emit(o.proc, f"getsockopt s{s} {level} {name}")
        elif what == 3:
            name, value = self.r.choice(timers)
            self.emit(o.proc, f"setsockopt s{s} IPPROTO_TCP {name} {value}")
            self.emit(o.proc, f"getsockopt s{s} IPPROTO_TCP {name}")
        elif what == 4 and o.state in ("new", "bound"):
            name = self.r.choice(["SO_SNDBUF", "SO_RCVBUF"])
            self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET {name} {self.r.choice([65536, 100000, 200000])}")
            self.emit(o.proc, f"getsockopt s{s} SOL_SOCKET {name}")
        elif what == 5:
            self.emit(o.proc, f"setsockopt s{s} SOL_SOCKET SO_LINGER {self.r.choice(['0 0', '1 5', '0 7', '1 0'])}")
            self.emit(o.proc, f"getsockopt s{s} SOL_SOCKET SO_LINGER")
        else:
            name = self.r.choice(["SO_ERROR"] * 4 + [
                "SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ACCEPTCONN", "SO_REUSEADDR",
                "SO_KEEPALIVE", "SO_LINGER", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_SNDBUF",
                "SO_RCVBUF", "SO_BROADCAST", "SO_RCVLOWAT"])
            self.emit(o.proc, f"getsockopt s{s} SOL_SOCKET {name}")

    def flags(self):
        o = self.some(lambda x: True)
        if o is None:
            return
        s = self.slot_of(o)
        what = self.r.randrange(6)
        if what == 0:
            self.emit(o.proc, f"fcntl s{s} F_GETFL 0")
        elif what == 1:
            self.emit(o.proc, f"fcntl s{s} F_GETFD 0")
        elif what == 2:
            self.emit(o.proc, f"fcntl s{s} F_SETFD {self.r.choice(['0', 'FD_CLOEXEC'])}")
            self.emit(o.proc, f"fcntl s{s} F_GETFD 0")
        elif o.kind == "sock" and o.state in ("conn", "new"):
            o.nb = self.chance(0.8)
            if what == 3:
                self.emit(o.proc, f"fionbio s{s} {int(o.nb)}")
            else:
                self.emit(o.proc, f"fcntl s{s} F_SETFL {'O_NONBLOCK' if o.nb else '0'}")
            self.emit(o.proc, f"fcntl s{s} F_GETFL 0")

    def names(self):
        o = self.some(lambda x: x.kind == "sock")
        if o is not None:
            self.emit(o.proc, f"{self.r.choice(['getsockname', 'getpeername'])} s{self.slot_of(o)}")

    def counts(self):
        o = self.conn()
        s = o and self.slot_of(o)
        if s is None:
            return
        self.emit(o.proc, self.pick([(f"fionread s{s}", 80), (f"outq s{s}", 15),
                                     (f"outq0 s{s}", 3)]))

    def pipe(self):
        proc = self.some_proc()
        w = self.some(lambda o: o.kind == "pw", proc)
        if w is None:
            a = self.free_slot(proc)
            if a is None:
                return
            self.slots[proc][a] = Obj("pr", proc)
            b = self.free_slot(proc)
            if b is None:
                self.slots[proc][a] = None
                return
            self.slots[proc][b] = Obj("pw", proc)
            self.slots[proc][b].peer = self.slots[proc][a]
            self.emit(proc, f"pipe s{a} s{b} O_NONBLOCK")
            self.epoll(proc, self.slots[proc][a])
            return
        if self.chance(0.6):
            self.emit(proc, f"write s{self.slot_of(w)} {self.r.choice([1, 10, 100])}")
        elif w.peer is not None and self.slot_of(w.peer) is not None:
            self.emit(proc, f"read s{self.slot_of(w.peer)} 1000")

    def overflow(self):
        """More connects than the backlog takes; nobody accepts in between."""
        lst = self.some(lambda o: o.state == "listen" and not o.nb)
        if lst is None or lst.backlog > 3:
            return
        cproc = self.across(lst.proc)
        while len(lst.queue) <= lst.backlog:
            c = self.socket(cproc)
            if c is None:
                return
            self.connect(c, lst)
            if c not in lst.queue:
                break
        if len(lst.queue) <= lst.backlog:
            return
        c = self.socket(cproc, True)
        if c is None:
            return
        s = self.slot_of(c)
        addr = "127.0.0.1" if lst.addr == "0.0.0.0" else lst.addr
        self.emit(cproc, f"connect s{s} {addr} {lst.port}")
        for _ in range(self.r.randint(1, 4)):
            self.emit(cproc, self.r.choice([
                f"connect s{s} {addr} {lst.port}", f"poll 0 s{s} POLLIN|POLLOUT",
                f"getpeername s{s}", f"send s{s} 10 MSG_NOSIGNAL",
                f"recv s{s} 10 0", f"getsockopt s{s} SOL_SOCKET SO_ERROR"]))
        self.emit(cproc, f"close s{s}")
        self.slots[cproc][s] = None

    def nobody(self):
        """Connect where no one listens."""
        proc = self.some_proc()
        o = self.socket(proc)
        if o is None:
            return
        s = self.slot_of(o)
        bound = self.some(lambda x: x.state == "bound" and x.kind == "sock")
        port = bound.port if bound is not None and self.chance(0.5) else "1"
        if self.chance(0.1) and self.ports < 12:
            # Nobody but itself.
            port = f"p{self.ports}"
            self.ports += 1
            self.emit(proc, f"bind s{s} 127.0.0.1 0 {port}")
        if self.chance(0.3):
            self.epoll(proc, o)
        self.emit(proc, f"connect s{s} 127.0.0.1 {port}")
        o.state = "dead"
        for _ in range(self.r.randint(1, 4)):
            self.emit(proc, self.r.choice([
                f"poll 0 s{s} {self.events()}", f"getsockopt s{s} SOL_SOCKET SO_ERROR",
                f"connect s{s} 127.0.0.1 {port}", f"getpeername s{s}",
                f"recv s{s} 10 MSG_DONTWAIT", f"send s{s} 10 0", f"getsockname s{s}"]))
        if self.chance(0.3):
            self.epoll_wait(proc)
        if self.chance(0.4):
            o.state = "new"

    def address(self):
        """Binding what is bound."""
        taken = self.some(lambda x: x.port is not None)
        if taken is None:
            return
        proc = self.some_proc()
        o = self.socket(proc)
        if o is None:
            return
        s = self.slot_of(o)
        if self.chance(0.5):
            self.emit(proc, f"setsockopt s{s} SOL_SOCKET SO_REUSEADDR 1")
        addr = self.r.choice(["127.0.0.1", "127.0.0.1", "0.0.0.0", "127.0.0.2"])
        self.emit(proc, f"bind s{s} {addr} {taken.port}")
        o.state = "dead"
        if self.chance(0.5):
            self.emit(proc, f"listen s{s} 1")
        if self.chance(0.3):
            self.emit(proc, f"getsockname s{s}")
        if self.chance(0.7):
            self.close(o)

    def misc(self):
        o = self.some(lambda x: x.kind == "sock")
        if o is None:
            return
        self.emit(o.proc, f"misc s{self.slot_of(o)} " + self.r.choice(
            "lseek ftruncate fsync fdatasync pread pwrite preadv pwritev mmap fchdir getdents "
            "fallocate fadvise readahead fstat fstatfs isatty tcgetattr winsize epoll_on "
            "timerfd_on inotify_on signalfd_on openat fstatat fioclex fionclex bad_ioctl "
            "sendfile_from copy_range".split()))

    def nonsense(self):
        proc = self.some_proc()
        s = self.r.randrange(13)
        o = self.slots[proc][s]
        t = self.r.randrange(13)
        e = self.some(lambda x: x.kind == "ep", proc)
        e = self.slot_of(e) if e is not None else s
        closed = [i for i in range(13) if self.slots[proc][i] is None]
        c = self.r.choice(closed) if closed else s
        sized = [
            f"send s{c} 10 0", f"recv s{c} 10 0", f"close s{c}", f"shutdown s{c} SHUT_WR",
            f"poll 0 s{c} POLLIN s{s} POLLOUT", f"accept s{c} s{c}", f"dup s{c} s{c}",
            f"getsockname s{c}", f"fcntl s{c} F_GETFL 0", f"getsockopt s{c} SOL_SOCKET SO_ERROR",
            f"fionread s{c}", f"epctl s{e} EPOLL_CTL_ADD s{c} EPOLLIN 1", f"epwait s{c} 1 0",
            f"select 0 {1 << c} {1 << s} 0", f"listen s{c} 1",
            f"epctl s{e} EPOLL_CTL_ADD s{e} EPOLLIN 1", f"epctl s{e} 9 s{s} EPOLLIN 1",
            f"epctl s{s} EPOLL_CTL_ADD s{t} EPOLLIN 1", f"epctl s{e} EPOLL_CTL_MOD s{t} EPOLLOUT 1",
            f"epctl s{e} EPOLL_CTL_DEL s{t} 0 0",
            f"epwait s{e} 0 0", f"epwait s{e} -1 0", f"epwait s{s} 1 0", f"epcreate s{c} 1",
            f"socket s{c} AF_INET 99 0", f"socket s{c} AF_INET SOCK_STREAM 17", f"socket s{c} 99 1 0",
            f"send s{s} 10 MSG_DONTWAIT", f"recv s{s} 10 MSG_DONTWAIT",
            f"recvmsg s{s} 10 MSG_DONTWAIT|MSG_PEEK|MSG_TRUNC 2", f"recvall s{s} 10",
            f"shutdown s{s} {self.r.choice(['3', '-1', 'SHUT_RD'])}",
            f"getpeername s{s}", f"getsockname s{s}", f"getsockname s{s} 4",
            f"getsockname s{s} -1", f"getpeername s{s} 0",
            f"fcntl s{s} 9999 0", f"fcntl s{s} F_GETFL 0", f"fdupfd s{c} s{s} F_DUPFD -1",
            f"setsockopt s{s} SOL_SOCKET 9999 1", f"setsockopt s{s} 99 1 1",
            f"setsockopt s{s} IPPROTO_TCP 9999 1", f"getsockopt s{s} IPPROTO_TCP 9999",
            f"getsockopt s{s} SOL_SOCKET 9999", f"getsockopt s{s} SOL_SOCKET SO_TYPE 1",
            f"getsockopt s{s} SOL_SOCKET SO_TYPE 0", f"getsockopt s{s} SOL_SOCKET SO_LINGER 4",
            f"getsockopt s{s} SOL_SOCKET SO_TYPE 100", f"getsockopt s{s} SOL_SOCKET SO_TYPE -1",
            f"getsockopt s{s} IPPROTO_TCP TCP_NODELAY 2",
            f"setsockopt s{s} SOL_SOCKET SO_LINGER 1 5 2",
            f"setsockopt s{s} SOL_SOCKET SO_KEEPALIVE 1 0 2",
            f"setsockopt s{s} IPPROTO_TCP TCP_KEEPIDLE 0",
            f"setsockopt s{s} SOL_SOCKET SO_RCVTIMEO 20000 0 4",
            f"setsockopt s{s} SOL_SOCKET SO_ACCEPTCONN 1", f"setsockopt s{s} SOL_SOCKET SO_TYPE 1",
            f"bind s{s} 127.0.0.1 0 -1 4", f"bind s{s} 8.8.8.8 0",
            f"listen s{s} -1" if o is None or o.state not in ("new", "bound") else f"getpeername s{s}",
            f"listen s{s} 2" if o is None or o.state == "listen" else f"getsockname s{s}",
            f"dup3 s{s} s{s} 0", f"dup2 s{s} s{s}", f"dup3 s{s} s{s} 3",
            f"select 0 {1 << s | 1 << t} 0 {1 << t}", "poll 0", "poll 3",
        ]
        # A connection that was reset could be bound anew.
        if o is None or o.state != "conn" or (o.peer and not o.eof and o.peer.state == "conn"):
            sized += [f"bind s{s} 127.0.0.1 0"]
        if o is not None and o.kind == "sock" and o.state == "conn":
            sized += [f"connect s{s} 127.0.0.1 1", f"accept s{c} s{s}", f"listen s{s} 1",
                      f"sendto s{s} 5 0"]
        if o is not None and o.kind == "sock" and o.state == "listen":
            sized += [f"send s{s} 5 0", f"recv s{s} 5 0", f"connect s{s} 127.0.0.1 1",
                      f"getsockopt s{s} SOL_SOCKET SO_ACCEPTCONN"]
            if o.nb:
                sized += [f"accept4 s{c} s{s} 0x55", f"accept4 s{c} s{s} 0"] if not o.queue else []
        if o is not None and o.kind == "sock" and o.state == "new":
            sized += [f"connect s{s} 127.0.0.1 1 AF_UNIX", f"connect s{s} 127.0.0.1 1 AF_INET 3",
                      f"connect s{s} 127.0.0.1 1 AF_UNSPEC", f"accept s{c} s{s}",
                      f"send s{s} 5 0", f"recv s{s} 5 MSG_DONTWAIT", f"shutdown s{s} SHUT_RDWR",
                      f"connect s{s} 127.0.0.1 0"]
        self.emit(proc, self.r.choice(sized))

    def unlisten(self):
        """A listener with clients goes away, or the clients do."""
        lst = self.some(lambda o: o.state == "listen" and o.queue)
        if lst is None:
            return
        if self.chance(0.5):
            self.close(lst)
        elif self.chance(0.3):
            self.emit(lst.proc, f"shutdown s{self.slot_of(lst)} {self.r.choice(['SHUT_RD', 'SHUT_RDWR'])}")
            lst.state = "dead"
            lst.queue = []
        else:
            c = lst.queue[0]
            if self.slot_of(c) is not None:
                self.close(c)

    # --- Processes ------------------------------------------------------------
    def fork(self):
        proc = self.r.randrange(2)
        if proc + 2 in self.alive:
            self.end_child(proc)
        elif self.chance(0.1):
            self.emit(proc, "daemon s0")
        else:
            self.emit(proc, "fork s0")
            self.alive.append(proc + 2)
            self.slots[proc + 2] = list(self.slots[proc])

    def end_child(self, proc):
        what = self.pick([(f"childexit s0 {self.r.randrange(2)}", 5), ("childkill s0", 5)])
        if proc + 2 in self.stopped:
            what = "childkill s0"
        self.emit(proc, what)
        gone = self.slots[proc + 2]
        self.slots[proc + 2] = [None] * 16
        self.alive.remove(proc + 2)
        self.stopped.discard(proc + 2)
        for o in gone:
            self.dropped(o)

    def stop(self):
        proc = self.r.randrange(2)
        if proc + 2 in self.stopped:
            self.stopped.discard(proc + 2)
            self.emit(proc, "childcont s0")
        elif proc + 2 in self.alive:
            self.stopped.add(proc + 2)
            self.emit(proc, "childstop s0")

    def exec(self):
        proc = self.some_proc()
        closed = set()
        for s, o in enumerate(self.slots[proc]):
            if o is None:
                continue
            if o.kind == "ep":
                self.emit(proc, f"close s{s}")
                closed.add(s)
            elif self.chance(0.3):
                self.emit(proc, f"fcntl s{s} F_SETFD FD_CLOEXEC")
                closed.add(s)
            elif self.chance(0.8):
                self.emit(proc, f"fcntl s{s} F_SETFD 0")
        self.emit(proc, "exec s0")
        gone = [self.slots[proc][s] for s in closed]
        for s in closed:
            self.slots[proc][s] = None
        for o in gone:
            self.dropped(o)

    def give(self):
        """From one process to another, perhaps with something in between."""
        o = self.some(lambda x: x.kind != "ep")
        if o is None:
            return
        proc = o.proc
        s = self.slot_of(o)
        self.emit(proc, f"give s{s}")
        if self.chance(0.4):
            self.emit(proc, f"close s{s}")
            self.slots[proc][s] = None
        if self.chance(0.2):
            self.r.choice([self.send, self.recv, self.poll, self.fork, self.exec])()
        to = self.across(proc)
        d = self.free_slot(to)
        if d is None:
            return
        self.emit(to, f"take s{d} {self.r.choice(['0', 'MSG_CMSG_CLOEXEC'])}")
        self.slots[to][d] = o
        if self.slot_of(o) is None:
            o.proc = to

    def crowd(self):
        """Several processes accept at one listener."""
        lst = self.some(lambda o: o.state == "listen" and len(self.holders(o)) > 1)
        if lst is None or lst.backlog < 1:
            self.fork()
            return
        for _ in range(2):
            c = self.socket(self.across(lst.proc))
            if c is not None and len(lst.queue) <= lst.backlog:
                self.connect(c, lst)
        for p in self.r.sample(self.holders(lst), 2):
            if p in self.stopped:
                continue
            lst.proc = p
            if self.chance(0.3):
                self.epoll(p, lst)
            if self.chance(0.3):
                self.poll(p)
            if lst.queue:
                self.accept(lst)

    def spawn(self):
        proc = self.some_proc()
        self.emit(proc, f"spawn s0 {self.r.randrange(4)}")

    def accept_some(self):
        lst = self.some(lambda o: o.state == "listen" and o.queue)
        if lst is not None:
            self.accept(lst)
            return
        lst = self.some(lambda o: o.state == "listen" and (o.nb or o.timeo))
        if lst is not None:
            self.accept(lst)

    def run(self):
        for _ in range(self.r.randint(1, 2)):
            self.pair()
        actions = [
            (self.send, 22), (self.recv, 22), (self.poll, 9), (self.epoll, 8),
            (self.epoll_wait, 9), (self.pair, 4), (self.accept_some, 4), (self.woken, 7),
            (self.shutdown, 3), (self.close, 5), (self.dup, 4), (self.sockopt, 5),
            (self.flags, 4), (self.names, 3), (self.counts, 3), (self.pipe, 2),
            (self.fill, 0.4), (self.shared, 1), (self.forked, 0.5), (self.overflow, 0.7), (self.nobody, 1), (self.address, 1),
            (self.misc, 1.5), (self.unlisten, 1), (self.nonsense, 11)]
        if self.processes:
            actions += [(self.fork, 3), (self.stop, 1), (self.exec, 1.5), (self.give, 3),
                        (self.crowd, 2), (self.spawn, 0.3), (self.forked, 1.5)]
        while len(self.lines) < self.length:
            if self.processes:
                self.turn()
            self.pick(actions)()
        return self.lines[:self.length + 5]


def sequence(seed, number, length, hz=0, processes=False):
    """The lines of sequence @number of @seed, and its mode: the words behind `seq`."""
    g = Generator(f"{seed}/{number}", length, hz, processes)
    lines = g.run()
    return lines, (" sleep" if g.chance(0.04) else "") + (" again" if number % 2 else "")
