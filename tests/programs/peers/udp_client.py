# SPDX-License-Identifier: BSD-2-Clause
"""usage: udp_client.py HOST PORT COUNT - What comes back is what went, whole and in order."""
import random
import socket
import sys

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
to = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0][4]
connected = socket.socket(family, socket.SOCK_DGRAM)
connected.connect(to)
free = socket.socket(family, socket.SOCK_DGRAM)
for s in (connected, free):
    s.settimeout(5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
rand = random.Random(1)
right = 0
while right < count:
    # A few on their way at once.
    batch = [rand.randbytes(rand.choice((0, 1, 64, 300, 1400, 1472, 9000, 65507)))
             for _ in range(min(rand.randint(1, 3), count - right))]
    s = rand.choice((connected, free))
    for data in batch:
        if s is connected:
            s.send(data)
        else:
            s.sendto(data, to)
    for data in batch:
        got, where = s.recvfrom(70000)
        if got != data or where[:2] != to[:2]:
            sys.exit("%d bytes of %s, not %d of %s" % (len(got), where, len(data), to))
        right += 1
print(right, "right")
