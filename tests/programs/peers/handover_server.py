# SPDX-License-Identifier: BSD-2-Clause
"""handover_server.py PORT CASE COUNT [PLAIN]: serve COUNT echoes on PORT, in other programs.

What is served goes to another program image, by exec or with a message, as
CASE says. PLAIN is a program without the library (../plain.c).
"""
import os
import signal
import socket
import subprocess
import sys
import threading
import time

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")
FAMILY = socket.AF_INET6 if ":" in ADDR else socket.AF_INET

port, case, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
plain = sys.argv[4] if len(sys.argv) > 4 else None
ME = os.path.abspath(sys.argv[0])


def argv(what, *more):
    return [sys.executable, ME, str(port), what, str(count)] + [str(m) for m in more]


def listener(listens=True):
    s = socket.socket(FAMILY)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ADDR, port))
    if listens:
        s.listen(64)
    return s


def echo(s):
    with s:
        while True:
            data = s.recv(65536)
            if not data:
                return
            s.sendall(data)


def echo_all(lst, n):
    threads = []
    for _ in range(n):
        conn, _ = lst.accept()
        threads.append(threading.Thread(target=echo, args=(conn,)))
        threads[-1].start()
    for t in threads:
        t.join()


def serve_by(run):
    """A child for each connection; run(conn) is its life."""
    with listener() as lst:
        children = []
        for _ in range(count):
            conn, _ = lst.accept()
            pid = os.fork()
            if pid == 0:
                lst.close()
                run(conn)
                os._exit(9)
            conn.close()
            children.append(pid)
        for pid in children:
            if os.waitpid(pid, 0)[1] != 0:
                sys.exit("a child ended badly")


def exec_stdio(program):
    def run(conn):
        os.dup2(conn.fileno(), 0)
        os.dup2(conn.fileno(), 1)
        conn.close()
        os.execv(program[0], program)
    return run


def worker(u):
    """Serve what comes: connections, or a listener's share."""
    threads, left = [], None
    while True:
        data, fds, _, _ = socket.recv_fds(u, 16, 8)
        if not data:
            break
        for fd in fds:
            s = socket.socket(fileno=fd)
            if data.startswith(b"listen"):
                s.listen(64)
            if data.startswith(b"l"):
                left = threading.Thread(target=accept_on, args=(s,), daemon=True)
                left.start()
                u.sendall(b"ready")
            else:
                threads.append(threading.Thread(target=echo, args=(s,)))
                threads[-1].start()
    for t in threads:
        t.join()
    os._exit(0)


def accept_on(lst):
    while True:
        conn, _ = lst.accept()
        threading.Thread(target=echo, args=(conn,), daemon=True).start()


def start_worker(by=()):
    """A fresh program at the other end of a Unix socket that it made itself."""
    path = "%s/handover-%d-%d" % (os.environ["MORTISE_DIR"], os.getpid(), time.monotonic_ns())
    p = subprocess.Popen(list(by) + argv("worker", path))
    u = socket.socket(socket.AF_UNIX)
    while True:
        try:
            u.connect(path)
            return p, u
        except OSError:
            time.sleep(0.01)


def pass_connections(workers):
    with listener() as lst:
        for i in range(count):
            conn, _ = lst.accept()
            socket.send_fds(workers[i % len(workers)][1], [b"c"], [conn.fileno()])
            conn.close()
    end(workers)


def end(workers):
    for p, u in workers:
        u.close()
        if p.wait() != 0:
            sys.exit("a worker ended with %d" % p.returncode)


def pass_listener(workers, listens):
    lst = listener(listens)
    for _, u in workers:
        socket.send_fds(u, [b"l" if listens else b"listen"], [lst.fileno()])
        if u.recv(16) != b"ready":
            sys.exit("no answer of a worker")
    lst.close()
    time.sleep(3600)


def in_flight():
    """Who sent it is dead before anybody takes it."""
    p, u = start_worker()
    os.kill(p.pid, signal.SIGSTOP)
    lst = listener()
    for _ in range(count):
        conn, _ = lst.accept()
        pid = os.fork()
        if pid == 0:
            lst.close()
            # A party of its own, which has sent and accepted.
            with socket.socket(FAMILY) as own:
                own.bind((ADDR, 0))
            socket.send_fds(u, [b"c"], [conn.fileno()])
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        conn.close()
    lst.close()
    os.kill(p.pid, signal.SIGCONT)
    end([(p, u)])


def in_flight_listener():
    """So is the listener's maker."""
    p, u = start_worker()
    os.kill(p.pid, signal.SIGSTOP)
    pid = os.fork()
    if pid == 0:
        with listener() as lst:
            socket.send_fds(u, [b"l"], [lst.fileno()])
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.kill(p.pid, signal.SIGCONT)
    u.recv(16)
    time.sleep(3600)


def mp_child(conn):
    while True:
        s = conn.recv()
        if s is None:
            return
        echo(s)


def by_multiprocessing():
    import multiprocessing
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    p = context.Process(target=mp_child, args=(far,))
    p.start()
    with listener() as lst:
        for _ in range(count):
            conn, _ = lst.accept()
            near.send(conn)
            conn.close()
    near.send(None)
    p.join()


def upgrade():
    """The listener goes from image to image, with a connection open."""
    lst = listener()
    os.set_inheritable(lst.fileno(), True)
    os.execv(sys.executable, argv("upgraded", lst.fileno(), count))


def upgraded(fd, left):
    lst = socket.socket(fileno=fd)
    conn, _ = lst.accept()
    # Its first bytes here, the rest in the next image.
    conn.sendall(conn.recv(1000))
    os.set_inheritable(conn.fileno(), True)
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, argv("go-on", conn.fileno()))
    conn.close()
    if left > 1:
        os.execv(sys.executable, argv("upgraded", fd, left - 1))
    lst.close()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break


def launch():
    """As systemd does: descriptor 3, and a word in the environment."""
    lst = listener()
    pid = os.fork()
    if pid == 0:
        os.dup2(lst.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv(sys.executable, argv("launched"))
    lst.close()
    sys.exit(os.waitpid(pid, 0)[1] != 0)


def timeouts():
    """Options and flags of a socket outlive an exec."""
    with listener() as lst:
        conn, _ = lst.accept()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\x02" + b"\0" * 7 + b"\0" * 8)
        os.set_blocking(conn.fileno(), False)
        os.set_inheritable(conn.fileno(), True)
        os.execv(sys.executable, argv("timed", conn.fileno()))


def timed(fd):
    conn = socket.socket(fileno=fd)
    if os.get_blocking(fd) or not conn.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)[0] == 2:
        sys.exit("a flag or an option is lost")
    os.set_blocking(fd, True)
    echo(conn)


def main():
    signal.alarm(60)
    if case == "worker":
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(sys.argv[4])
            door.listen(1)
            worker(door.accept()[0])
    elif case == "stdio":
        echo(socket.socket(fileno=0))
    elif case == "go-on":
        echo(socket.socket(fileno=int(sys.argv[4])))
    elif case == "upgraded":
        upgraded(int(sys.argv[4]), int(sys.argv[5]))
    elif case == "launched":
        echo_all(socket.socket(fileno=3), count)
    elif case == "timed":
        timed(int(sys.argv[4]))
    elif case == "exec":
        serve_by(exec_stdio(argv("stdio")))
    elif case == "relay":
        serve_by(exec_stdio([plain]))
    elif case == "excluded":
        serve_by(exec_stdio(["/bin/cat"]))
    elif case == "spawn":
        with listener() as l:
            for _ in range(count):
                c, _ = l.accept()
                dups = [(os.POSIX_SPAWN_DUP2, c.fileno(), to) for to in (0, 1)]
                child = os.posix_spawn(plain, [plain], os.environ, file_actions=dups)
                c.close()
    elif case == "message":
        pass_connections([start_worker(), start_worker()])
    elif case == "message-plain":
        pass_connections([start_worker([plain, "exec"])])
    elif case == "listener":
        pass_listener([start_worker(), start_worker()], True)
    elif case == "bound":
        pass_listener([start_worker(), start_worker()], False)
    elif case == "listener-plain":
        pass_listener([start_worker([plain, "exec"])], True)
    else:
        {"in-flight": in_flight, "in-flight-listener": in_flight_listener, "upgrade": upgrade,
         "multiprocessing": by_multiprocessing, "launch": launch, "timeouts": timeouts}[case]()


if __name__ == "__main__":
    main()
