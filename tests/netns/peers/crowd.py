# SPDX-License-Identifier: BSD-2-Clause
"""crowd.py server HOST PORT | crowd.py client HOST PORT COUNT ATONCE - Many connections.

The client opens COUNT connections, ATONCE of them at a time: each sends its number, is
answered, and ends, every other one by the server's close. All ATONCE of a round are open
together before the first byte is sent. Prints "COUNT right".
"""
import resource
import selectors
import socket
import struct
import sys

SIZE = 100
LIMIT_S = 60


def message(n):
    return struct.pack("!I", n) * (SIZE // 4)


def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def server(where):
    """Echoes SIZE octets; an odd number's connection it closes itself."""
    listener = socket.create_server(where, backlog=4096)
    listener.setblocking(False)
    sel = selectors.DefaultSelector()
    sel.register(listener, selectors.EVENT_READ, None)
    while True:
        for key, _ in sel.select():
            if key.data is None:
                while True:
                    try:
                        s, _ = listener.accept()
                    except BlockingIOError:
                        break
                    s.setblocking(False)
                    sel.register(s, selectors.EVENT_READ, bytearray())
                continue
            s, got = key.fileobj, key.data
            data = s.recv(SIZE)
            got += data
            if len(got) == SIZE and data:
                s.sendall(got)
            if not data or (len(got) == SIZE and got[3] & 1):
                sel.unregister(s)
                s.close()


def ready(sel, left):
    events = sel.select(LIMIT_S)
    if not events:
        sys.exit("%d connections did not go on" % left)
    return events


def opened(where, numbers):
    """{socket: number}, all of them connected."""
    sel, open_now = selectors.DefaultSelector(), {}
    for n in numbers:
        s = socket.socket()
        s.setblocking(False)
        error = s.connect_ex(where)
        if error not in (0, 115):  # EINPROGRESS
            sys.exit("connect: %d" % error)
        sel.register(s, selectors.EVENT_WRITE)
        open_now[s] = n
    left = set(open_now)
    while left:
        for key, _ in ready(sel, len(left)):
            s = key.fileobj
            error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                sys.exit("connection %d: error %d" % (open_now[s], error))
            sel.unregister(s)
            left.discard(s)
    sel.close()
    return open_now


def round_of(where, numbers):
    open_now = opened(where, numbers)
    sel = selectors.DefaultSelector()
    for s, n in open_now.items():
        s.sendall(message(n))
        sel.register(s, selectors.EVENT_READ, bytearray())
    left = len(open_now)
    while left:
        for key, _ in ready(sel, left):
            s, got, n = key.fileobj, key.data, open_now[key.fileobj]
            data = s.recv(SIZE + 1)
            got += data
            if data and len(got) < SIZE:
                continue
            if data and n & 1 and len(got) == SIZE:
                continue  # its end is to come, too
            if got != message(n):
                sys.exit("connection %d: %d octets" % (n, len(got)))
            sel.unregister(s)
            s.close()
            left -= 1
    sel.close()


def client(where, count, at_once):
    for first in range(0, count, at_once):
        round_of(where, range(first, min(first + at_once, count)))
    print(count, "right")


many_descriptors()
if sys.argv[1] == "server":
    server((sys.argv[2], int(sys.argv[3])))
client((sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5]))
