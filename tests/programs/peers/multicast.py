# SPDX-License-Identifier: BSD-2-Clause
"""usage: multicast.py member ADDRESS PORT | send ADDRESS PORT COUNT - A group on the loopback
interface, of ADDRESS's family."""
import socket
import struct
import sys

address, port = sys.argv[2], int(sys.argv[3])
six = ":" in address
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
lo = socket.if_nametoindex("lo")
if six:
    level, group = socket.IPPROTO_IPV6, "ff02::1:1704"
    join, leave, via, hops = (socket.IPV6_JOIN_GROUP, socket.IPV6_LEAVE_GROUP,
                              socket.IPV6_MULTICAST_IF, socket.IPV6_MULTICAST_HOPS)
    request, here = socket.inet_pton(socket.AF_INET6, group) + struct.pack("=I", lo), lo
    to = (group, port, 0, lo)
else:
    level, group = socket.IPPROTO_IP, "239.255.17.4"
    join, leave, via, hops = (socket.IP_ADD_MEMBERSHIP, socket.IP_DROP_MEMBERSHIP,
                              socket.IP_MULTICAST_IF, socket.IP_MULTICAST_TTL)
    here = socket.inet_aton(address)
    request, to = socket.inet_aton(group) + here, (group, port)
if sys.argv[1] == "member":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.setsockopt(level, join, request)
    s.settimeout(10)
    print("member", flush=True)
    expected = 0
    while True:
        data = s.recv(2000)
        if data == b"end":
            break
        number, = struct.unpack("!I", data[:4])
        if number != expected or data[4:] != bytes([number & 255]) * 500:
            sys.exit("number %d, not %d" % (number, expected))
        expected += 1
    s.setsockopt(level, leave, request)
    if expected != 50:
        sys.exit("%d datagrams" % expected)
else:
    s.setsockopt(level, via, here)
    s.setsockopt(level, hops, 1)
    for i in range(int(sys.argv[4])):
        s.sendto(struct.pack("!I", i) + bytes([i & 255]) * 500, to)
    s.sendto(b"end", to)
