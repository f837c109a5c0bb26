# SPDX-License-Identifier: BSD-2-Clause
"""socketserver_server.py PORT threads|forks: echoes, each connection in a thread or a child."""
import os
import socket
import socketserver
import sys

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")
FAMILY = socket.AF_INET6 if ":" in ADDR else socket.AF_INET


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Threads(socketserver.ThreadingTCPServer):
    address_family = FAMILY
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True


class Forks(socketserver.ForkingTCPServer):
    address_family = FAMILY
    allow_reuse_address = True
    request_queue_size = 128


cls = {"threads": Threads, "forks": Forks}[sys.argv[2]]
with cls((ADDR, int(sys.argv[1])), Echo) as server:
    server.serve_forever()
