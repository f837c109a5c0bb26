# SPDX-License-Identifier: BSD-2-Clause
"""handover_storm.py PLAIN SECONDS [SEED]: connections go to other programs while these are killed.

Each round: a child accepts, and a static program, another image, or whoever
got the connection with a message serves it. Half of the programs are killed in
the middle: then the connection must end, whatever came of it. The others must
give back what they were sent. Prints the seed, the rounds, and "right".
"""
import os
import random
import signal
import socket
import sys
import threading
import time

PLAIN, SECONDS = sys.argv[1], float(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
ECHO = """
import socket
s = socket.socket(fileno=0)
while True:
    d = s.recv(65536)
    if not d:
        break
    s.sendall(d)
"""


def echo(s):
    while True:
        data = s.recv(65536)
        if not data:
            return
        s.sendall(data)


def serve(lst, how, told):
    conn, _ = lst.accept()
    lst.close()
    os.write(told, b"x")
    os.close(told)
    if how == "message":
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.fork() == 0:
            near.close()
            conn.close()
            fds = socket.recv_fds(far, 16, 4)[1]
            if fds:
                echo(socket.socket(fileno=fds[0]))
            return
        socket.send_fds(near, [b"x"], [conn.fileno()])
        return
    os.dup2(conn.fileno(), 0)
    os.dup2(conn.fileno(), 1)
    conn.close()
    if how == "plain":
        os.execv(PLAIN, [PLAIN])
    os.execv(sys.executable, [sys.executable, "-SE", "-c", ECHO])


def start(lst, how):
    """A child that has accepted."""
    heard, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(heard)
            serve(lst, how, told)
        finally:
            os._exit(0)
    os.close(told)
    return pid, heard


def cut(c, pid):
    """The program dies; then there must be an end, and soon."""
    time.sleep(random.random() * 0.08)
    os.kill(pid, signal.SIGKILL)
    try:
        c.sendall(b"y" * 1000)
        c.shutdown(socket.SHUT_WR)
        while c.recv(65536):
            pass
    except TimeoutError:
        sys.exit("seed %d: no end of a connection whose holder was killed" % SEED)
    except OSError:
        pass


def whole(c, how):
    data, got = os.urandom(random.randrange(1, 200000)), bytearray()

    def send():
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=send, daemon=True)
    t.start()
    while True:
        part = c.recv(65536)
        if not part:
            break
        got += part
    t.join()
    if got != data:
        sys.exit("seed %d: %s: %d bytes of %d" % (SEED, how, len(got), len(data)))


random.seed(SEED)
end, rounds = time.monotonic() + SECONDS, 0
while time.monotonic() < end:
    rounds += 1
    how = random.choice(("plain", "image", "message"))
    lst = socket.socket()
    lst.bind(("127.0.0.1", 0))
    lst.listen(8)
    pid, heard = start(lst, how)
    with socket.create_connection(lst.getsockname()) as c:
        c.settimeout(15)
        os.read(heard, 1)
        os.close(heard)
        if random.random() < 0.5:
            lst.close()
        if random.random() < 0.5:
            cut(c, pid)
        else:
            whole(c, how)
    lst.close()
    os.waitpid(pid, 0)
print("seed %d, %d rounds" % (SEED, rounds))
print("right")
