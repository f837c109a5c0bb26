# SPDX-License-Identifier: BSD-2-Clause
"""prefork_server.py PORT WORKERS fork|spawn: processes that accept on one listener.

fork: multiprocessing's processes inherit it; spawn: it is sent to fresh
interpreters over a Unix socket. A line "PID\n" answers each connection, then
it echoes. A worker that dies is replaced.
"""
import multiprocessing
import os
import signal
import socket
import sys
import threading

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")
FAMILY = socket.AF_INET6 if ":" in ADDR else socket.AF_INET


def serve(s):
    with s:
        s.sendall(b"%d\n" % os.getpid())
        while data := s.recv(65536):
            s.sendall(data)


def worker(listener):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=serve, args=(s,), daemon=True).start()


def main():
    port, count, method = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ctx = multiprocessing.get_context(method)
    with socket.socket(FAMILY) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDR, port))
        listener.listen(128)
        running = []
        while True:
            running = [p for p in running if p.is_alive()]
            while len(running) < count:
                running.append(ctx.Process(target=worker, args=(listener,), daemon=True))
                running[-1].start()
            multiprocessing.connection.wait([p.sentinel for p in running])


if __name__ == "__main__":
    import multiprocessing.connection
    main()
