# SPDX-License-Identifier: BSD-2-Clause
"""prefork_client.py PORT CLIENTS: threads that send 50 kB each, read it back, half-close.

Each server's connection begins with the pid of its worker. Prints how many
were right, and the workers' pids.
"""
import os
import socket
import sys
import threading

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")

port, clients = int(sys.argv[1]), int(sys.argv[2])
right, pids = [], set()


def talk():
    data = os.urandom(50000)
    with socket.create_connection((ADDR, port), timeout=15) as s:
        with s.makefile("rb") as f:
            pid = int(f.readline())
            for at in range(0, len(data), 10000):
                s.sendall(data[at:at + 10000])
                if f.read(10000) != data[at:at + 10000]:
                    return
            s.shutdown(socket.SHUT_WR)
            if f.read() == b"":
                right.append(1)
                pids.add(pid)


threads = [threading.Thread(target=talk, daemon=True) for _ in range(clients)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(len(right), "right", *sorted(pids))
