# SPDX-License-Identifier: BSD-2-Clause
"""usage: multicast.py member PORT | send PORT COUNT - A group on the loopback interface."""
import socket
import struct
import sys

GROUP = "239.255.17.4"
port = int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here = socket.inet_aton("127.0.0.1")
if sys.argv[1] == "member":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + here)
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
    s.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, socket.inet_aton(GROUP) + here)
    if expected != 50:
        sys.exit("%d datagrams" % expected)
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    for i in range(int(sys.argv[3])):
        s.sendto(struct.pack("!I", i) + bytes([i & 255]) * 500, (GROUP, port))
    s.sendto(b"end", (GROUP, port))
