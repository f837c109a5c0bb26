# SPDX-License-Identifier: BSD-2-Clause
"""datagrams.py HOST PORT SIZE... - One datagram of each size is sent and comes back.

As a link may lose some, each is tried 20 times; what comes is right, and of a datagram
that was sent. Prints "N right".
"""
import random
import socket
import sys

host, port, sizes = sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.settimeout(0.3)
rand = random.Random(1)
sent = set()
for size in sizes:
    data = rand.randbytes(size)
    sent.add(data)
    for attempt in range(20):
        s.sendto(data, (host, port))
        try:
            got, where = s.recvfrom(70000)
            while got != data:  # a late answer to an earlier one
                if got not in sent:
                    sys.exit("%d octets that nobody sent, at size %d" % (len(got), size))
                got, where = s.recvfrom(70000)
        except socket.timeout:
            continue
        if where != (host, port):
            sys.exit("an answer from %s" % (where,))
        break
    else:
        sys.exit("no answer of size %d" % size)
print(len(sizes), "right")
