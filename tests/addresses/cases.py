# SPDX-License-Identifier: BSD-2-Clause
"""cases - What programs see of addresses, one line each.

    cases.py PORT [--host]

Run natively and under Mortise, by tests/addresses/run: the lines are to be
the same. PORT is the first of 2000 that are free; ports appear relative to
it, and ephemeral ones as "eph". --host: the addresses that the runner has
given to a network namespace of ours are there, too.
"""
import array
import contextlib
import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
BASE = int(sys.argv[1])
HOST = "--host" in sys.argv
NEXT = [BASE]
IN6, IN4 = socket.AF_INET6, socket.AF_INET
V6ONLY = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
ANY6, LO6, MAPPED, LO4 = "::", "::1", "::ffff:127.0.0.1", "127.0.0.1"
# The runner's: a primary and a secondary IPv4 address, an IPv6 one, a link-local one.
OWN4, OWN4B, OWN6, LINK = "192.0.2.7", "192.0.2.8", "fd00::7", "fe80::7"
IFACE = socket.if_nametoindex("d0") if HOST else 0


def port():
    NEXT[0] += 1
    return NEXT[0]


def say(name, *what):
    print(name + ":", *what, flush=True)


def sa6(addr, prt=0, scope=0, flow=0, family=IN6):
    return struct.pack("=H", family) + struct.pack("!HI", prt, flow) + \
        socket.inet_pton(IN6, addr) + struct.pack("=I", scope)


def sa4(addr, prt=0, family=IN4):
    return struct.pack("=H", family) + struct.pack("!H4s8x", prt, socket.inet_pton(IN4, addr))


def raw(call, s, bytes_, length=None):
    """bind or connect as the bytes have it: 0, or the errno's name."""
    buf = ctypes.create_string_buffer(bytes_ + b"\0" * 16)
    length = len(bytes_) if length is None else length
    if getattr(LIBC, call)(s.fileno(), buf, length) == 0:
        return "0"
    return errno.errorcode[ctypes.get_errno()]


def port_text(prt):
    return str(prt - BASE) if BASE <= prt < BASE + 2000 else "eph" if prt else "0"


def name_text(name):
    """A socket's name, without what differs from run to run."""
    scope = f"%{'d0' if name[3] == IFACE else name[3]}" if len(name) > 3 and name[3] else ""
    return f"{name[0].split('%')[0]}{scope} {port_text(name[1])}" + \
        (f" flow {name[2]}" if len(name) > 2 and name[2] else "")


def names(s):
    out = [name_text(s.getsockname())]
    with contextlib.suppress(OSError):
        out.append(name_text(s.getpeername()))
    return " -> ".join(out)


def outcome(fn, *args):
    try:
        return fn(*args)
    except OSError as e:
        return errno.errorcode[e.errno] if e.errno else "timeout"


def sock(family=IN6, *options):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(2)
    for level, opt, value in options:
        s.setsockopt(level, opt, value)
    return s


def target(addr, prt):
    """(sockaddr, family) of a text, "%" for the link-local's interface."""
    if ":" not in addr:
        return (addr, prt), IN4
    host = addr.rstrip("%")
    return (host, prt, 0, IFACE if addr.endswith("%") else 0), IN6


def listener(addr, prt, *options, family=None):
    where, fam = target(addr, prt)
    s = sock(family or fam, *options)
    s.bind(where)
    s.listen(8)
    return s


def errors_bind():
    p = port()
    forms = {
        "empty": (b"", 0), "family alone": (sa6(LO6, p), 2), "23 bytes": (sa6(LO6, p), 23),
        "24 bytes": (sa6(LO6, p), 24), "27 bytes": (sa6(LO6, port()), 27),
        "AF_INET": (sa4(LO4, p) + b"\0" * 12, 28), "AF_UNSPEC": (sa6(ANY6, p, family=0), 28),
        "link-local, no scope": (sa6("fe80::1", p), 28),
        "link-local, no such scope": (sa6("fe80::1", p, scope=9999), 28),
        "multicast": (sa6("ff02::1", p), 28), "not ours": (sa6("2001:db8::1", p), 28),
        "not ours, mapped": (sa6("::ffff:198.51.100.1", p), 28),
        "mapped": (sa6(MAPPED, port()), 28), "mapped any": (sa6("::ffff:0.0.0.0", port()), 28),
        "any, with a flow": (sa6(ANY6, port(), flow=0x12345), 28),
        "::1 with a scope": (sa6(LO6, port(), scope=1), 28),
    }
    for what, (bytes_, n) in forms.items():
        with sock() as s:
            r = raw("bind", s, bytes_, n)
            say("bind", what, r, names(s), "v6only", s.getsockopt(*V6ONLY))
            # That one leaves its scope with the kernel's socket.
            if what != "link-local, no such scope":
                say("bind again", what, raw("bind", s, sa6(LO6, port())))
    for what, bytes_ in (("mapped", sa6(MAPPED, port())), ("any", sa6(ANY6, port())),
                         ("mapped any", sa6("::ffff:0.0.0.0", port()))):
        with sock(IN6, (*V6ONLY, 1)) as s:
            say("bind v6only", what, raw("bind", s, bytes_), names(s))
    with sock(IN4) as s:
        say("bind of IPv4 to IPv6", raw("bind", s, sa6(LO6, port())), raw("bind", s, sa6(LO6, 1), 8))


def errors_connect():
    p = port()
    with listener(ANY6, p, (*V6ONLY, 0)) as l:
        forms = {
            "empty": (b"", 0), "23 bytes": (sa6(LO6, p), 23), "24 bytes": (sa6(LO6, p), 24),
            "AF_INET": (sa4(LO4, p) + b"\0" * 12, 28),
            "link-local, no scope": (sa6("fe80::1", p), 28),
            "multicast": (sa6("ff02::1", p), 28), "any": (sa6(ANY6, p), 28),
            "mapped any": (sa6("::ffff:0.0.0.0", p), 28), "mapped": (sa6(MAPPED, p), 28),
            "127.0.0.9": (sa6("::ffff:127.0.0.9", p), 28), "flow": (sa6(LO6, p, flow=0x12345), 28),
            "::1 with a scope": (sa6(LO6, p, scope=1), 28),
            "nobody": (sa6(LO6, port()), 28), "nobody, mapped": (sa6(MAPPED, port()), 28),
        }
        for what, (bytes_, n) in forms.items():
            with sock() as s:
                s.settimeout(None)
                r = raw("connect", s, bytes_, n)
                say("connect", what, r, names(s) if r == "0" else "")
                if r == "0":
                    a, peer = l.accept()
                    say("accepted", what, name_text(peer), names(a))
                    say("connected again", what, raw("connect", s, bytes_, n))
                    a.close()
        for what, bound in (("v6only", None), ("::1", LO6), ("mapped", MAPPED),
                            ("mapped any", "::ffff:0.0.0.0"), ("any", ANY6)):
            for to in (LO6, MAPPED, ANY6, "::ffff:0.0.0.0"):
                with sock() as s:
                    s.settimeout(None)
                    if bound:
                        s.bind((bound, 0))
                    else:
                        s.setsockopt(*V6ONLY, 1)
                    r = raw("connect", s, sa6(to, p))
                    say(f"connect, {what}, to {to}", r, names(s) if r == "0" else "")
                    if r == "0":
                        l.accept()[0].close()
        with sock(IN6) as s:
            s.settimeout(None)
            say("IPV6_FLOWINFO_SEND", outcome(s.setsockopt, socket.IPPROTO_IPV6, 33, 1))
            say("connect with a label", raw("connect", s, sa6(LO6, p, flow=0x12345)), names(s))
        with sock(IN6) as s:
            s.settimeout(None)
            say("a label", outcome(s.setsockopt, socket.IPPROTO_IPV6, 32,  # IPV6_FLOWLABEL_MGR
                                   socket.inet_pton(IN6, LO6) + struct.pack("!I", 0x54321) +
                                   struct.pack("=BBHHHI", 0, 1, 1, 60, 0, 0)))
            say("connect with that label", raw("connect", s, sa6(LO6, p, flow=0x54321)))
        with sock(IN4) as s:
            say("connect of IPv4 to IPv6", raw("connect", s, sa6(LO6, p)))
            s.bind(("127.0.0.5", 0))
            say("connect to 0.0.0.0, bound", raw("connect", s, sa4("0.0.0.0", p)), names(s))


def order():
    """Who of several listeners is met."""
    reuse = (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kinds = {"0": ("0.0.0.0",), "127": (LO4,), "::": (ANY6,), "::only": (ANY6, 1),
             "::1": (LO6,), "map": (MAPPED,), "mapany": ("::ffff:0.0.0.0",)}
    for set_ in ("0 ::only", "127 ::", "0 127", ":: ::1", "::only ::1", ":: map", "map 0 ::only",
                 "127 0 ::1 ::only", "r 0 ::", "r :: 0", "r 127 map", "r map 127", "r 0 mapany ::",
                 "r :: ::1 127 0"):
        p = port()
        words = set_.split()
        open_ = {}
        with contextlib.ExitStack() as stack:
            for w in words:
                if w == "r":
                    continue
                opts = [(*V6ONLY, 1 if len(kinds[w]) > 1 else 0)] if ":" in kinds[w][0] else []
                opts += [reuse] if "r" in words else []
                try:
                    s = listener(kinds[w][0], p, *opts)
                except OSError as e:
                    say(f"listen {set_}", w, errno.errorcode[e.errno])
                    continue
                open_[w] = stack.enter_context(s)
            for to in (LO4, "127.0.0.9", LO6, MAPPED) + ((OWN4, OWN6) if HOST else ()):
                with sock(target(to, p)[1]) as c:
                    r = outcome(c.connect, target(to, p)[0])
                    met = []
                    for w, l in open_.items():
                        l.settimeout(0.0)
                        with contextlib.suppress(BlockingIOError):
                            a, peer = l.accept()
                            met.append(f"{w} {name_text(peer)} {names(a)} {a.family.name}")
                            a.close()
                    say(f"order {set_}, to {to}", r, *met)


def conflicts():
    """Who may be bound beside whom."""
    sorts = [("0.0.0.0", None), (LO4, None), (ANY6, 0), (ANY6, 1), (LO6, None), (MAPPED, 0),
             ("::ffff:0.0.0.0", 0)]
    for a in sorts:
        for b in sorts:
            for reuse in ("", "addr", "port"):
                for listens in (False, True):
                    p = port()
                    made = []
                    said = []
                    for addr, only in (a, b):
                        where, fam = target(addr, p)
                        s = sock(fam)
                        if only is not None:
                            s.setsockopt(*V6ONLY, only)
                        if reuse:
                            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR
                                         if reuse == "addr" else socket.SO_REUSEPORT, 1)
                        r = outcome(s.bind, where)
                        if r is None and listens:
                            r = outcome(s.listen, 1)
                        said.append(r)
                        made.append(s)
                    for s in made:
                        s.close()
                    say(f"beside {a} {b} {reuse} {listens}", *said)


def options():
    tclass, hops = socket.IPV6_TCLASS, socket.IPV6_UNICAST_HOPS
    with sock() as s:
        say("domain", s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN))
        for v in (1, 0, 7, -1, 0):
            s.setsockopt(*V6ONLY, v)
            say("v6only", v, s.getsockopt(*V6ONLY))
        say("v6only, short", outcome(s.setsockopt, *V6ONLY, b"\1"))
        for opt, values in ((tclass, (0, 255, 256, -1, -2)), (hops, (1, 255, 256, 0, -1))):
            for v in values:
                say("option", opt, v, outcome(s.setsockopt, socket.IPPROTO_IPV6, opt, v),
                    outcome(s.getsockopt, socket.IPPROTO_IPV6, opt))
        say("IP_TTL of IPv6's", outcome(s.setsockopt, socket.IPPROTO_IP, socket.IP_TTL, 9),
            outcome(s.getsockopt, socket.IPPROTO_IP, socket.IP_TTL))
        say("addrform, not connected", outcome(s.setsockopt, socket.IPPROTO_IPV6, 1, IN4))
        s.bind((LO6, port()))
        say("v6only, bound", outcome(s.setsockopt, *V6ONLY, 0), s.getsockopt(*V6ONLY))
    with sock(IN4) as s:
        say("IPv6's options of IPv4", outcome(s.setsockopt, *V6ONLY, 1), outcome(s.getsockopt, *V6ONLY))
    p = port()
    with listener(ANY6, p, (*V6ONLY, 0)) as l:
        for to, fam in ((MAPPED, IN6), (LO6, IN6), (LO4, IN4)):
            with sock(fam) as c:
                c.connect((to, p))
                a = l.accept()[0]
                say("options of accepted", to, a.family.name, a.getsockopt(*V6ONLY),
                    a.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN),
                    outcome(a.setsockopt, *V6ONLY, 1))
                for v in (IN6, 77, IN4):
                    say("addrform", to, v, outcome(a.setsockopt, socket.IPPROTO_IPV6, 1, v),
                        a.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN), len(a.getpeername()))
                a.sendall(b"x")
                say("still connected", to, c.recv(1))
                a.close()


def bytes_both_ways():
    p = port()
    with listener(ANY6, p, (*V6ONLY, 0)) as l:
        for to in (LO4, LO6, MAPPED) + ((OWN4, OWN6, LINK + "%") if HOST else ()):
            where, fam = target(to, p)
            with sock(fam) as c:
                c.connect(where)
                a, peer = l.accept()
                c.sendall(b"a" * 200000)
                c.shutdown(socket.SHUT_WR)
                n = 0
                while part := a.recv(65536):
                    n += len(part)
                a.sendall(b"b" * 1000)
                a.close()
                say("bytes", to, n, len(c.recv(65536, socket.MSG_WAITALL)), name_text(peer), names(c))


def passed_on():
    """exec, fork and SCM_RIGHTS keep the family and the names."""
    p = port()
    show = ("import socket,sys\n"
            "for fd in map(int, sys.argv[1:]):\n"
            " s = socket.socket(fileno=fd); print(s.family.name, s.getsockname()[0], "
            "s.getsockopt(41, 26) if s.family == 10 else '')\n")
    l = listener(ANY6, p, (*V6ONLY, 0))
    bound = sock(IN6)
    bound.bind((LO6, port()))
    fresh = sock(IN6, (*V6ONLY, 1))
    mapped = sock(IN6)
    mapped.connect((MAPPED, p))
    six = sock(IN6)
    six.connect((LO6, p))
    accepted = [l.accept()[0] for _ in range(2)]
    all_ = [l, bound, fresh, mapped, six, *accepted]
    for s in all_:
        s.set_inheritable(True)
    out = subprocess.run([sys.executable, "-c", show, *[str(s.fileno()) for s in all_]],
                         close_fds=False, capture_output=True, text=True, timeout=60, check=False)
    say("after exec", *out.stdout.split("\n"))
    if os.fork() == 0:
        say("in a child", *[f"{s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)} "
                            f"{s.getsockname()[0]}" for s in all_])
        os._exit(0)
    os.wait()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.fork() == 0:
        _, anc, _, _ = theirs.recvmsg(1, 4096)
        fds = array.array("i", anc[0][2])
        for s in map(lambda fd: socket.socket(fileno=fd), fds):
            say("sent", s.family.name, s.getsockname()[0], s.getpeername()[0])
        os._exit(0)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                           array.array("i", [mapped.fileno(), six.fileno(), accepted[0].fileno()]))])
    os.wait()
    for s in all_:
        s.close()


def sources():
    """From where one connects, by where one is bound. Needs addresses."""
    p = port()
    with listener(ANY6, p, (*V6ONLY, 0)) as l:
        tos = (LO4, "127.0.0.9", OWN4, OWN4B, LO6, OWN6, LINK + "%", "::ffff:" + OWN4,
               "::ffff:" + OWN4B)
        for bound in (None, LO4, "127.0.0.9", OWN4, OWN4B, "0.0.0.0", LO6, OWN6, LINK + "%", ANY6):
            for to in tos:
                where, fam = target(to, p)
                if bound and target(bound, 0)[1] != fam:
                    continue
                with sock(fam) as c:
                    if bound:
                        c.bind(target(bound, 0)[0])
                    r = outcome(c.connect, where)
                    say(f"source {bound} to {to}", r, names(c) if r is None else "")
                    if r is None:
                        a, peer = l.accept()
                        say("met", name_text(peer), names(a))
                        a.close()
        with sock() as c:
            c.bind((LINK, 0, 0, IFACE))
            say("to 0.0.0.0, link-local", outcome(c.connect, (ANY6, p)))
        # fe80::7 is d0's, and nobody's on lo.
        with sock() as c:
            say("link-local of another interface",
                outcome(c.connect, (LINK, p, 0, socket.if_nametoindex("lo"))))
    for addr in (OWN4, OWN6, LINK + "%"):
        p = port()
        with listener(addr, p) as l:
            say("listens at", names(l))
            for to in (LO4, LO6, OWN4, OWN4B, OWN6, LINK + "%"):
                where, fam = target(to, p)
                with sock(fam) as c:
                    r = outcome(c.connect, where)
                    say(f"at {addr} from {to}", r, names(c) if r is None else "")
                    if r is None:
                        l.accept()[0].close()


def gone():
    """An address that goes away, and comes back."""
    p = port()
    l = listener("0.0.0.0", p)
    l6 = listener(ANY6, p, (*V6ONLY, 1))
    for step in ("there", "del", "add"):
        if step != "there":
            for ip in (["-4", OWN4B + "/24"], ["-6", OWN6 + "/64"]):
                flag = ["nodad"] if step == "add" and ip[0] == "-6" else []
                subprocess.run(["ip", ip[0], "address", step, ip[1], "dev", "d0", *flag], check=True)
            settle()
        for to, who in ((OWN4B, l), (OWN6, l6)):
            with sock(target(to, p)[1]) as c:
                c.settimeout(2)
                r = outcome(c.connect, target(to, p)[0])
                say(f"an address that is {step}", to, r)
                if r is None:
                    who.accept()[0].close()
        with sock(IN6) as s:
            say("bind, address that is", step, outcome(s.bind, (OWN6, port())))
    l.close()
    l6.close()


def settle():
    """News of addresses takes its way through the daemon: none is waited for natively."""
    import time
    time.sleep(0.3)


errors_bind()
errors_connect()
order()
conflicts()
options()
bytes_both_ways()
passed_on()
if HOST:
    sources()
    gone()
