# SPDX-License-Identifier: BSD-2-Clause
"""echo_client.py PORT CLIENTS: as many threads send 100 kB each, read it back, half-close."""
import os
import socket
import sys
import threading

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")

port, clients = int(sys.argv[1]), int(sys.argv[2])
right = []


def talk():
    data = os.urandom(100000)
    got = bytearray()
    with socket.create_connection((ADDR, port), timeout=15) as s:
        for at in range(0, len(data), 20000):
            s.sendall(data[at:at + 20000])
            while len(got) < at + 20000:
                part = s.recv(65536)
                if not part:
                    return
                got += part
        s.shutdown(socket.SHUT_WR)
        if s.recv(1) == b"" and got == data:
            right.append(1)


threads = [threading.Thread(target=talk, daemon=True) for _ in range(clients)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(len(right), "right")
