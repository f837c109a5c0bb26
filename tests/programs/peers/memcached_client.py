# SPDX-License-Identifier: BSD-2-Clause
"""memcached_client.py PORT: sets 10,000 keys over 8 connections, gets each over another one."""
import hashlib
import os
import socket
import sys
import threading

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")

KEYS, CONNECTIONS = 10000, 8
conns = []
for _ in range(CONNECTIONS):
    s = socket.create_connection((ADDR, int(sys.argv[1])))
    s.settimeout(10)
    conns.append((s, s.makefile("rb")))
right = [0] * CONNECTIONS


def value(i):
    return (hashlib.sha256(b"%d" % i).hexdigest() * 5).encode()[:100 + i % 200]


def setter(c):
    s, f = conns[c]
    for i in range(c, KEYS, CONNECTIONS):
        v = value(i)
        s.sendall(b"set k%d 0 0 %d\r\n%s\r\n" % (i, len(v), v))
        if f.readline() != b"STORED\r\n":
            return


def getter(c):
    s, f = conns[(c + 3) % CONNECTIONS]
    for i in range(c, KEYS, CONNECTIONS):
        s.sendall(b"get k%d\r\n" % i)
        v = value(i)
        want = b"VALUE k%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(v), v)
        right[c] += f.read(len(want)) == want


for work in (setter, getter):
    threads = [threading.Thread(target=work, args=(c,), daemon=True) for c in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
print(sum(right), "right")
