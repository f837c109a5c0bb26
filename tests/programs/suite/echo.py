# SPDX-License-Identifier: BSD-2-Clause
"""Echo servers in python: an event loop with 500 clients, and threads."""
import os

from .harness import PEERS_DIR, PYTHON, check, wait_for


def peer(name, *argv):
    return [PYTHON, os.path.join(PEERS_DIR, name)] + [str(a) for a in argv]


def asyncio_echo(b):
    """500 clients at once, 20 messages each, then a look while all are open."""
    b.server(peer("asyncio_server.py", b.port))
    ready, go = b.path("ready"), b.path("go")
    os.mkfifo(ready)
    os.mkfifo(go)
    c = b.start("client", peer("asyncio_client.py", b.port, 500, 20, ready, go))
    fd = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
    try:
        wait_for("500 clients", lambda: not c.running() or read_some(fd), 15, 0.05)
        check(c.running(), "the client ended early")
        b.expect_open(500)
    finally:
        os.close(fd)
    with open(go, "w") as f:
        f.write("go")
    check(c.wait(15) == 0, "client's exit status")
    check("500 right" in c.output(), "client said: %r" % c.output()[-300:])
    b.expect_traffic(500, 500 * 20 * 2 * 100)


def read_some(fd):
    try:
        return os.read(fd, 1)
    except BlockingIOError:
        return b""


def threading_echo(b):
    """socketserver.ThreadingTCPServer, 50 clients, each in a thread."""
    b.server(peer("socketserver_server.py", b.port, "threads"))
    out = b.client(peer("echo_client.py", b.port, 50))
    check(out == b"50 right\n", "client said: %r" % out)
    b.expect_traffic(50, 50 * 2 * 100000)


TESTS = (asyncio_echo, threading_echo)
asyncio_echo.six = threading_echo.six = True
