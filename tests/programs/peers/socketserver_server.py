# SPDX-License-Identifier: BSD-2-Clause
"""socketserver_server.py PORT threads|forks: echoes, each connection in a thread or a child."""
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True


class Forks(socketserver.ForkingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128


cls = {"threads": Threads, "forks": Forks}[sys.argv[2]]
with cls(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    server.serve_forever()
