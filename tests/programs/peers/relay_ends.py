# SPDX-License-Identifier: BSD-2-Clause
"""relay_ends.py PLAIN: how connections end whose other end is a program without the library."""
import errno
import os
import select
import signal
import socket
import struct
import sys
import time

PLAIN = sys.argv[1]
signal.alarm(60)
lst = socket.socket()
lst.bind(("127.0.0.1", 0))
lst.listen(8)


def check(cond, why):
    if not cond:
        sys.exit(why)


def pair():
    near = socket.create_connection(lst.getsockname())
    far, _ = lst.accept()
    near.settimeout(10)
    return near, far


def run(far, *args, fds=(0, 1)):
    pid = os.fork()
    if pid == 0:
        lst.close()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1):
            os.dup2(far.fileno() if fd in fds else null, fd)
        for fd in fds:
            if fd > 1:
                os.dup2(far.fileno(), fd)
        os.closerange(3, max(fds) if max(fds) > 2 else far.fileno() + 1)
        try:
            os.execv(PLAIN, [PLAIN, *args])
        finally:
            os._exit(126)
    far.close()
    return pid


def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def raises(fn, *wanted):
    try:
        fn()
    except OSError as e:
        return e.errno in wanted
    return False


def relays():
    found = 0
    for pid in os.listdir("/proc"):
        try:
            with open("/proc/%s/comm" % pid) as f, open("/proc/%s/environ" % pid, "rb") as e:
                found += f.read() == "mortise-relay\n" and os.environ["MORTISE_DIR"].encode() in e.read()
        except OSError:
            pass
    return found


# The peer's FIN: what was sent before it comes first, what is answered afterwards too.
near, far = pair()
child = run(far, "first")
near.sendall(b"a question")
near.shutdown(socket.SHUT_WR)
check(near.makefile("rb").read() == b"hello\na question", "an answer after the half-close is lost")
check(status(child) == 0, "the program did not see an end")
near.close()

# The peer's RST.
near, far = pair()
child = run(far)
near.sendall(b"x")
check(near.recv(1) == b"x", "no echo")
reset(near)
check(status(child) in (0, 3), "the program did not see the reset")

# The program is killed with nothing unread: an end.
near, far = pair()
child = run(far)
near.sendall(b"x")
near.recv(1)
os.kill(child, signal.SIGKILL)
status(child)
check(near.recv(1) == b"", "no end after the program's death")
near.close()

# With bytes unread: a reset.
near, far = pair()
near.sendall(b"x" * 1000)
child = run(far, "fail", "99", fds=(7,))
status(child)
check(raises(lambda: near.recv(1), errno.ECONNRESET), "no reset though bytes were unread")
near.close()

# It writes into a connection that its peer has closed.
near, far = pair()
child = run(far, "fail", "7", fds=(7,))
near.recv(100000)
near.close()
check(status(child) == 0, "the program's writes do not fail")

# It does not read: its peer is held back, at what the kernel would hold it, about.
near, far = pair()
stop, go = os.pipe()
child = os.fork()
if child == 0:
    lst.close()
    near.close()
    os.dup2(far.fileno(), 7)
    os.dup2(stop, 0)
    os.execv(PLAIN, [PLAIN])
far.close()
os.close(stop)
near.setblocking(False)
sent, since = 0, time.monotonic()
while time.monotonic() - since < 0.5:
    try:
        sent += near.send(b"y" * 65536)
        since = time.monotonic()
    except BlockingIOError:
        time.sleep(0.01)
    check(sent < 64 << 20, "a peer that does not read is written to without end")
check(sent > 100000, "hardly anything can be written ahead")
os.close(go)
check(status(child) == 0, "the program did not end")
check(raises(lambda: select.select([near], [], [], 10) and near.recv(1), errno.ECONNRESET), "no reset")
near.close()

# An exec that fails leaves all as it was, and no relay.
near, far = pair()
bad = os.path.join(os.environ["MORTISE_DIR"], "not-executable")
with open(PLAIN, "rb") as f, open(bad, "wb") as g:
    g.write(f.read())
os.chmod(bad, 0o666)
os.set_inheritable(far.fileno(), True)
os.set_inheritable(lst.fileno(), True)
check(raises(lambda: os.execv(bad, [bad]), errno.EACCES), "that could be executed")
for a, b in ((near, far), (far, near)):
    a.sendall(b"still here")
    check(b.recv(100) == b"still here", "a failed exec spoilt a connection")
near.close()
check(far.recv(1) == b"", "a failed exec left somebody with the connection")
os.set_inheritable(lst.fileno(), False)
near, far = pair()
near.close()
check(far.recv(1) == b"", "the listener's connections have no end")
end = time.monotonic() + 3
while relays() and time.monotonic() < end:
    time.sleep(0.02)
check(not relays(), "a relay is left")
print("right")
