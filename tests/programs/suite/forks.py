# SPDX-License-Identifier: BSD-2-Clause
"""What was opened before a fork belongs to both processes."""
from .echo import peer
from .harness import check


def forking_echo(b):
    """socketserver.ForkingTCPServer: children serve what the parent accepted."""
    b.server(peer("socketserver_server.py", b.port, "forks"))
    out = b.client(peer("echo_client.py", b.port, 30))
    check(out == b"30 right\n", "client said: %r" % out)
    b.expect_traffic(30, 30 * 2 * 100000)


def fork_shared(b):
    """Parent and child use one connection; only the last close ends it."""
    shared(b, "parent-last", 1)


def fork_child_last(b):
    """The parent closes first: the child's descriptor still carries data, both ways."""
    shared(b, "child-last", 1)


def fork_child_killed(b):
    """The child that held it last is killed: the client sees the end."""
    shared(b, "child-killed", 1)


def fork_subprocess(b):
    """subprocess, system() and popen() in both programs while connections are open."""
    shared(b, "subprocess", 3)


def fork_child_connects(b):
    """A child opens sockets of its own to a listener that its parent holds."""
    shared(b, "child-connects", 2)


def exec_inherited(b):
    """exec of a program with a connection not close-on-exec: the peer sees an end, in time."""
    shared(b, "exec", 1, len(b"about to\n"))


def shared(b, case, connections, octets=10):
    b.server(peer("fork_server.py", b.port, case))
    out = b.client(peer("fork_client.py", b.port, case))
    check(out == b"right\n", "client said: %r" % out)
    b.expect_traffic(connections, octets)


TESTS = (forking_echo, fork_shared, fork_child_last, fork_child_killed, fork_subprocess,
         fork_child_connects, exec_inherited)
forking_echo.six = fork_shared.six = True
