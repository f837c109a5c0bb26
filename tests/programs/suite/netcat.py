# SPDX-License-Identifier: BSD-2-Clause
"""nc and socat: piped data, an echo, and the half-close.

Debian's nc -l leaves as soon as its peer half-closes, whatever it still has to
send; so where the answer comes after the end, socat is the server.
"""
import hashlib
import os

from .harness import check


def question(b, size):
    data = os.urandom(size)
    with open(b.path("up"), "wb") as f:
        f.write(data)
    return data


def ask(b):
    """nc -N sends the file, half-closes, and prints what comes back until the end."""
    with open(b.path("up"), "rb") as f:
        return b.client(["nc", "-N", b.addr, str(b.port)], stdin=f)


def socat(b, command):
    return b.server(["socat", "-t", "10", "%s-LISTEN:%d,bind=%s,reuseaddr" %
                     ("TCP6" if b.six else "TCP4", b.port, b.host),
                     "SYSTEM:" + command])


def netcat(b):
    """10 MB from nc to nc -l, and the end of it."""
    data = question(b, 10 << 20)
    with open(b.path("received"), "wb") as out:
        p = b.server(["nc", "-l", b.addr, str(b.port)], stdout=out)
    check(ask(b) == b"", "bytes came back")
    check(p.wait(5) == 0, "the listening nc's exit status")
    with open(b.path("received"), "rb") as f:
        check(hashlib.sha256(f.read()).digest() == hashlib.sha256(data).digest(),
              "the server received something else")
    b.expect_traffic(1, len(data))


def netcat_echo(b):
    """10 MB there and back at once; the half-close travels behind them and back."""
    data = question(b, 10 << 20)
    p = socat(b, "cat")
    check(ask(b) == data, "what came back is something else")
    check(p.wait(5) == 0, "socat's exit status")
    b.expect_traffic(1, 2 * len(data))


def netcat_half_close(b):
    """The answer exists only once the end was seen, and comes long after it."""
    data = question(b, 1 << 20)
    p = socat(b, "sha256sum; sleep 0.5; echo end")
    check(ask(b).decode() == hashlib.sha256(data).hexdigest() + "  -\nend\n",
          "no answer, or a wrong one, after the half-close")
    check(p.wait(5) == 0, "socat's exit status")
    b.expect_traffic(1, len(data))


TESTS = (netcat, netcat_echo, netcat_half_close)
for t in TESTS:
    t.needs = ("nc", "socat")
netcat_echo.six = netcat_half_close.six = True
