# SPDX-License-Identifier: BSD-2-Clause
"""usage: udp_server.py HOST PORT - Sends each datagram back to where it came from."""
import selectors
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind((host, port))
s.setblocking(False)
sel = selectors.DefaultSelector()
sel.register(s, selectors.EVENT_READ)
while True:
    sel.select()
    while True:
        try:
            data, where = s.recvfrom(70000)
        except BlockingIOError:
            break
        s.sendto(data, where)
