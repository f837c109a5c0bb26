#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""program.py - What the test has a program do, under Mortise or not.

    program.py CASE ADDRESS PORT [ARGUMENT...]

Prints what it saw, for the test to compare.
"""
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time

TIMEOUT = 20
IP_RECVERR = 11
UDP_CORK = 1


def name(number):
    return errno.errorcode.get(number, number) if number else "0"


def result(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return name(e.errno) if e.errno else type(e).__name__


def client(at):
    s = socket.create_connection(at, timeout=TIMEOUT)
    s.settimeout(TIMEOUT)
    return s


def server(at, backlog=128):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(at)
    s.listen(backlog)
    print("listening", flush=True)
    return s


# -------------------------------------------------------------------- clients

def names(at):
    """Who am I, who are you, before, during and after."""
    s = socket.socket()
    print("before", result(s.getpeername))
    s.setblocking(False)
    print("connect", name(s.connect_ex(at)))
    local = s.getsockname()
    print("address", local[0], local[1] > 1023)
    print("writable", bool(select.select([], [s], [], TIMEOUT)[1]))
    print("error", s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    print("same", s.getsockname() == local)
    print("peer", s.getpeername() == at)
    print("again", name(s.connect_ex(at)), name(s.connect_ex(at)))
    s.close()


def fails(at):
    """connect() that cannot: blocking, then not."""
    s = socket.socket()
    s.settimeout(None)
    print("blocking", name(s.connect_ex(at)))
    s.close()
    s = socket.socket()
    s.setblocking(False)
    first = name(s.connect_ex(at))
    poll = select.poll()
    poll.register(s, select.POLLOUT | select.POLLIN)
    events = poll.poll(TIMEOUT * 1000) if first == "EINPROGRESS" else []
    print("nonblocking", first, "%#x" % events[0][1] if events else "-",
          name(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
    s.close()


def again(at, port):
    """connect() after one that failed, with the same socket."""
    good = (at[0], int(port))
    for where in ((), ("0.0.0.0", 0), ("0.0.0.0", 34568)):
        s = socket.socket()
        if where:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(where)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watched = select.epoll()
        watched.register(s, select.EPOLLIN | select.EPOLLOUT)

        def events():
            return "%#x" % dict(watched.poll(TIMEOUT))[s.fileno()]

        print("blocking", name(s.connect_ex(at)), events(), s.getsockname()[0], s.getsockname()[1] > 0,
              result(s.getpeername), result(s.recv, 1), name(s.connect_ex(at)))
        s.setblocking(False)
        print("nonblocking", name(s.connect_ex(at)), events(), name(s.connect_ex(at)), events())
        first = name(s.connect_ex(at)), events()
        print("asked", first, name(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)), events(),
              name(s.connect_ex(good)))
        print("then", name(s.connect_ex(good)))
        while watched.poll(TIMEOUT) != [(s.fileno(), select.EPOLLOUT)]:
            pass
        s.setblocking(True)
        s.sendall(b"x")
        print("echo", s.recv(1), s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
              s.getsockname()[1] == (where or at)[1], name(s.connect_ex(good)))
        s.close()


def bound(at, local):
    """From an address and port that it chose."""
    s = socket.socket()
    print("bind", result(s.bind, (local, 34567)))
    s.settimeout(TIMEOUT)
    print("connect", result(s.connect, at))
    print("address", s.getsockname())
    s.sendall(b"x")
    print("echo", s.recv(1))


def halves(at):
    """Half-close: what was sent first comes, then the answer."""
    s = client(at)
    s.sendall(b"question")
    s.shutdown(socket.SHUT_WR)
    print("answer", s.makefile("rb").read())
    s.close()


def reset(at):
    """The other end resets: the client hears it."""
    s = client(at)
    print("first", s.recv(100))
    print("then", result(s.recv, 100))
    print("after", result(s.recv, 100))
    print("send", result(s.send, b"x"))


def linger(at):
    """We reset."""
    s = client(at)
    s.sendall(b"abc")
    s.recv(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def lingers(at, seconds):
    """close() waits until what was sent has been acknowledged."""
    s = client(at)
    s.sendall(b"abc")
    s.recv(3)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(seconds)))
    print("connected", flush=True)
    sys.stdin.readline()
    s.sendall(b"def")
    began = time.monotonic()
    s.close()
    print("closed", time.monotonic() - began >= int(seconds), flush=True)


def tcp_info(at):
    """What TCP_INFO and its relatives say of a connection that has carried something."""
    def info(s):
        b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
        names = ("state ca_state retransmits probes backoff options wscale limited rto ato snd_mss "
                 "rcv_mss unacked sacked lost retrans fackets last_sent last_ack_sent last_recv "
                 "last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering "
                 "rcv_rtt rcv_space total_retrans pacing_rate max_pacing_rate bytes_acked "
                 "bytes_received segs_out segs_in notsent min_rtt data_segs_in data_segs_out "
                 "delivery_rate").split()
        return dict(zip(names, struct.unpack("8B24I4Q6IQ", b[:168])))

    def queued(s, request):
        return struct.unpack("i", fcntl.ioctl(s, request, bytes(4)))[0]

    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(at)
    print("at first", info(s)["state"] in (1, 2))
    select.select([], [s], [], TIMEOUT)
    s.settimeout(TIMEOUT)
    for _ in range(100):
        s.sendall(bytes(10000))
        left = 10000
        while left:
            left -= len(s.recv(left))
    while queued(s, termios.TIOCOUTQ):
        time.sleep(0.01)
    i = info(s)
    print("state", i["state"], "options", i["options"], "mss", i["snd_mss"], i["advmss"], "pmtu",
          i["pmtu"])
    print("maxseg", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    print("octets", i["bytes_acked"], i["bytes_received"], i["unacked"], i["notsent"])
    print("measured", 0 < i["rtt"] < 10**7, i["rto"] >= 200000, 0 < i["min_rtt"],
          i["snd_cwnd"] >= 10, i["delivery_rate"] > 0, i["segs_in"] > 100, i["segs_out"] > 100)
    print("more", len(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)))
    print("connected", flush=True)
    sys.stdin.readline()
    s.sendall(bytes(5000))
    print("queued", queued(s, termios.TIOCOUTQ), info(s)["unacked"] > 0, flush=True)
    sys.stdin.readline()
    s.shutdown(socket.SHUT_WR)
    while info(s)["state"] not in (5, 6, 7):
        time.sleep(0.01)
    print("then", queued(s, termios.TIOCOUTQ))


def leaves(at, count, how):
    """What was written comes, whoever wrote it is gone: by close(), or by a signal."""
    with client(at) as s:
        s.sendall((bytes(range(251)) * (int(count) // 251 + 1))[:int(count)])
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)


def unread(at):
    """We close with what came unread: that is a reset, too."""
    s = client(at)
    s.sendall(b"abc")
    select.select([s], [], [], TIMEOUT)
    time.sleep(0.05)
    s.close()


def many(at, count):
    """One after the other, each used."""
    for i in range(int(count)):
        s = client(at)
        message = b"connection %d" % i
        s.sendall(message)
        got = s.recv(100)
        s.close()
        if got != message:
            print("connection", i, "gave", got)
            return
    print("all", count)


def at_once(at, count):
    """So many, all open together."""
    socks = []
    for _ in range(int(count)):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(at)
        socks.append(s)
    for i, s in enumerate(socks):
        s.setblocking(True)
        s.settimeout(TIMEOUT)
        connected = select.poll()  # select() ends at 1,023
        connected.register(s, select.POLLOUT)
        connected.poll(TIMEOUT * 1000)
        s.sendall(b"%06d" % i)
    right = sum(s.recv(6) == b"%06d" % i for i, s in enumerate(socks))
    print("right", right, "of", count)


def stream(at, count):
    """Both ways at the same time: a pattern of so many bytes."""
    n = int(count)
    pattern = bytes(range(251)) * 261
    s = client(at)

    def send():
        left = n
        while left:
            left -= s.send(pattern[(n - left) % 251:][:min(left, 65000)])
        s.shutdown(socket.SHUT_WR)

    t = threading.Thread(target=send)
    t.start()
    got = 0
    while True:
        part = s.recv(65000)
        if not part:
            break
        if part != pattern[got % 251:][:len(part)]:
            print("wrong near", got)
            os._exit(1)
        got += len(part)
    t.join()
    print("same", got)


def held(at):
    """A connection that stays until it is told to go."""
    s = client(at)
    print("connected", flush=True)
    sys.stdin.readline()
    print("then", result(s.recv, 100))
    s.close()
    s = client(at)
    s.sendall(b"again")
    print("again", s.recv(5))


# -------------------------------------------------------------------- servers

def echo(at, seconds="60"):
    """An echo server that ends by itself."""
    s = server(at)
    poll = select.epoll()
    poll.register(s, select.EPOLLIN)
    socks = {}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for fd, _ in poll.poll(0.5):
            if fd == s.fileno():
                c, _ = s.accept()
                socks[c.fileno()] = c
                poll.register(c, select.EPOLLIN)
                continue
            got = result(socks[fd].recv, 65536)
            if isinstance(got, bytes) and got:
                socks[fd].setblocking(True)
                result(socks[fd].sendall, got)
            else:
                poll.unregister(fd)
                socks.pop(fd).close()


def serves(at, what):
    """One connection, of which the server says what it saw."""
    s = server(at)
    s.settimeout(TIMEOUT)
    c, peer = s.accept()
    c.settimeout(TIMEOUT)
    print("peer", peer == c.getpeername(), peer[0])
    print("local", c.getsockname())
    if what == "halves":
        print("got", c.makefile("rb").read())
        c.sendall(b"answer")
    elif what == "reset":
        print("got", result(c.recv, 3))
        c.send(b"x")
        print("then", result(c.recv, 3))
    elif what == "resets":
        c.sendall(b"x")
        time.sleep(0.1)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


# ------------------------------------------------------------------ datagrams

SIZES = [0, 1, 2, 100, 1471, 1472, 1473, 2959, 8000, 30000, 65506, 65507]


def udp_client(at):
    """Sizes to and fro, connected and not; what is too long."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(TIMEOUT)
    print("name before", s.getsockname())
    for i, n in enumerate(SIZES):
        data = bytes((i + j) % 256 for j in range(n))
        s.sendto(data, at)
        got, peer = s.recvfrom(65536)
        if got != data or peer != at:
            print("size", n, "gave", len(got), "from", peer)
            return
    print("sizes", len(SIZES))
    print("too long", result(s.sendto, bytes(65508), at))
    print("no way", result(s.send, b"x"), result(s.getpeername))
    s.connect(at)
    print("connected", s.getpeername() == at, s.getsockname()[0])
    s.send(b"one")
    print("answer", s.recv(10), bool(select.select([s], [], [], 0)[0]))
    s.setblocking(False)
    print("empty", result(s.recv, 10))


def udp_echo(at, seconds="60"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(at)
    print("listening", flush=True)
    s.settimeout(float(seconds))
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)


def udp_more(at):
    """Datagrams that are put together: MSG_MORE and UDP_CORK."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(TIMEOUT)
    print("parts", s.sendto(b"one ", socket.MSG_MORE, at), s.sendto(b"two ", socket.MSG_MORE, at),
          s.sendto(b"three", at), s.recv(100))
    s.connect(at)
    print("whole", s.send(b"alone"), s.recv(100))
    s.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1)
    print("corked", s.send(b"a" * 40000), s.send(b"b" * 25507), s.getsockopt(17, UDP_CORK))
    s.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 0)
    print("uncorked", s.recv(70000) == b"a" * 40000 + b"b" * 25507, s.getsockopt(17, UDP_CORK))
    print("too much", s.send(b"c" * 40000, socket.MSG_MORE),
          result(s.send, b"d" * 25508, socket.MSG_MORE))
    print("lost", s.send(b"next"), s.recv(70000))
    print("nothing", s.send(b"", socket.MSG_MORE), s.send(b""), s.recv(10))


def udp_errors(at, port):
    """What ICMP says of datagrams: to who is connected, and to who asks for all."""
    def made(**options):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(TIMEOUT)
        if options:
            s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        return s

    def events(s):
        p = select.poll()
        p.register(s, select.POLLIN | select.POLLOUT)
        # There is room at once, and an error later.
        while not (found := dict(p.poll(TIMEOUT * 1000))[s.fileno()]) & select.POLLERR:
            time.sleep(0.001)
        return "%#x" % found

    s = made()
    s.connect(at)
    s.send(b"one")
    print("poll", events(s), "recv", result(s.recv, 10))
    s.send(b"two")
    print("poll", events(s), "error", name(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)),
          s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    s.send(b"three")
    events(s)
    print("send", result(s.send, b"lost"), result(s.send, b"four"))
    print("wait", result(s.recv, 10))
    s = made()
    s.sendto(b"unconnected", at)
    s.sendto(b"echo", (at[0], int(port)))
    print("other", s.recv(100))
    s = made(all=True)
    s.sendto(b"asks for all", at)
    print("poll", events(s), "recv", result(s.recv, 10))
    print("poll", events(s))
    data, control, flags, where = s.recvmsg(100, 200, socket.MSG_ERRQUEUE)
    error = struct.unpack("IBBBBII", control[0][2][:16])
    print("queue", data, where == at, "%#x" % flags, control[0][:2], error,
          socket.inet_ntoa(control[0][2][20:24]) == at[0])
    s.setblocking(False)
    print("empty", result(s.recvmsg, 1, 1, socket.MSG_ERRQUEUE))
    s.settimeout(TIMEOUT)
    s.sendto(b"echo", (at[0], int(port)))
    print("other", s.recv(100))
    # The one's error is there when the other goes, or comes.
    s = made()
    others = set()
    for _ in range(100):
        for _ in range(8):
            s.sendto(b"unconnected", at)
            s.sendto(b"echo", (at[0], int(port)))
        others |= {s.recv(100) for _ in range(8)}
    print("others", others)


def interfaces(_):
    """Which there are: by getifaddrs() and by ioctl()."""
    libc = ctypes.CDLL(None)

    class Address(ctypes.Structure):
        pass

    Address._fields_ = [("next", ctypes.POINTER(Address)), ("name", ctypes.c_char_p),
                        ("flags", ctypes.c_uint), ("addr", ctypes.c_void_p),
                        ("mask", ctypes.c_void_p), ("broadcast", ctypes.c_void_p)]
    first = ctypes.POINTER(Address)()
    print("getifaddrs", libc.getifaddrs(ctypes.byref(first)))
    p = first
    while p:
        a = p.contents
        family = struct.unpack("H", ctypes.string_at(a.addr, 2))[0]
        name = a.name.decode()
        if family == socket.AF_PACKET:
            number = struct.unpack("i", ctypes.string_at(a.addr + 4, 4))[0]
            print("link", name, "%#x" % a.flags, number == socket.if_nametoindex(name),
                  ctypes.string_at(a.addr + 12, 6).hex(":"))
        elif family == socket.AF_INET:
            print("inet", name, "%#x" % a.flags,
                  *(socket.inet_ntoa(ctypes.string_at(x + 4, 4)) for x in (a.addr, a.mask, a.broadcast)))
        p = a.next
    libc.freeifaddrs(first)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    room = ctypes.create_string_buffer(400)
    n = struct.unpack("iP", fcntl.ioctl(s, 0x8912, struct.pack("iP", 400, ctypes.addressof(room))))[0]
    for i in range(0, n, 40):
        print("conf", room.raw[i:i + 16].rstrip(b"\0").decode(), socket.inet_ntoa(room.raw[i + 20:i + 24]))
    for request in 0x8915, 0x891b:
        print("ask", socket.inet_ntoa(fcntl.ioctl(s, request, b"tap0" + bytes(36))[20:24]))
    print("other", result(fcntl.ioctl, s, 0x8915, b"tap7" + bytes(36)))


def udp_crowd(at, count):
    """So many programs that send at once: each stays until all have their answer."""
    (ready, told), (begin, go) = os.pipe(), os.pipe()
    for i in range(int(count)):
        if os.fork():
            continue
        os.close(go)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(TIMEOUT)
        s.sendto(b"%d" % i, at)
        os.write(told, b"1" if s.recv(10) == b"%d" % i else b"0")
        os.read(begin, 1)
        os._exit(0)
    got = b""
    while len(got) < int(count):
        got += os.read(ready, 1000)
    os.close(go)
    print("answered", got.count(b"1"))


def udp_bind(at):
    """Whose a port is."""
    one, two = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    print("first", result(one.bind, at), one.getsockname() == at)
    print("second", result(two.bind, at))
    print("foreign", result(two.bind, ("192.0.2.1", 0)))
    tcp = socket.socket()
    print("stream", result(tcp.bind, at))
    one.close()
    print("after", result(two.bind, at))


CASES = {f.__name__: f for f in (names, fails, again, bound, halves, reset, leaves, linger, lingers,
                                 tcp_info, unread, many, at_once,
                                 stream, held, echo, serves, udp_client, udp_echo, udp_errors, udp_more, udp_crowd, interfaces,
                                 udp_bind)}

if __name__ == "__main__":
    CASES[sys.argv[1]]((sys.argv[2], int(sys.argv[3])), *sys.argv[4:])
