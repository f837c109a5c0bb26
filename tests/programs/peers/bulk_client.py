# SPDX-License-Identifier: BSD-2-Clause
"""bulk_client.py PORT CONNECTIONS BYTES: send so much on each, read it back, one after another."""
import os
import socket
import sys
import threading

port, connections, octets = (int(a) for a in sys.argv[1:])
for _ in range(connections):
    data = os.urandom(octets)
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        def send(s=s, data=data):
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        t = threading.Thread(target=send, daemon=True)
        t.start()
        while True:
            part = s.recv(1 << 16)
            if not part:
                break
            got += part
        t.join()
    if got != data:
        sys.exit("%d bytes of %d came back%s" % (len(got), octets, "" if data.startswith(got)
                                                 else ", others"))
print("right")
