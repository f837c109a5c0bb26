# SPDX-License-Identifier: BSD-2-Clause
"""fork_server.py PORT CASE: one case of what a fork does with an open connection.

Its counterpart is fork_client.py. Lines go both ways; each step waits for a
line of the client's, so nothing depends on time.
"""
import os
import signal
import socket
import subprocess
import sys

ADDR = os.environ.get("PEER_ADDR", "127.0.0.1")
FAMILY = socket.AF_INET6 if ":" in ADDR else socket.AF_INET

port, case = int(sys.argv[1]), sys.argv[2]
signal.alarm(20)


def say(s, line):
    s.sendall(line.encode() + b"\n")


def hear(s, want):
    got = b""
    while not got.endswith(b"\n"):
        part = s.recv(1)
        if not part:
            raise SystemExit("end instead of %r" % want)
        got += part
    if got.decode() != want + "\n":
        raise SystemExit("%r instead of %r" % (got, want))


def reap(pid):
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) not in (0, -signal.SIGKILL):
        raise SystemExit("the child failed")


def in_child(work):
    """Fork; run @work in the child, without the parent's clean-up. Return its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(20)
    code = 1
    try:
        work()
        code = 0
    except BaseException as e:
        print("child:", e, file=sys.stderr, flush=True)
    os._exit(code)


def parent_last(s):
    def child():
        say(s, "child")
        hear(s, "to child")
        s.close()
    pid = in_child(child)
    reap(pid)
    say(s, "parent")
    hear(s, "to parent")


def child_last(s):
    r, w = os.pipe()

    def child():
        os.close(w)
        os.read(r, 1)  # until the parent has closed its descriptor
        say(s, "child")
        hear(s, "to child")
        say(s, "child again")
    pid = in_child(child)
    s.close()
    os.close(w)
    reap(pid)


def child_killed(s):
    def child():
        say(s, "child")
        signal.pause()
    pid = in_child(child)
    hear(s, "kill it")
    s.close()
    os.kill(pid, signal.SIGKILL)
    reap(pid)


def subprocesses(s, listener):
    others = [listener.accept()[0] for _ in range(2)]
    for turn in range(3):
        out = subprocess.run(["echo", "turn"], stdout=subprocess.PIPE, check=True).stdout
        if out != b"turn\n" or os.system("true") or os.popen("echo x").read() != "x\n":
            raise SystemExit("a subprocess went wrong")
        # A child that outlives the exchange and inherited nothing.
        subprocess.Popen(["sleep", "1"], close_fds=True)
        for c in [s] + others:
            say(c, "turn %d" % turn)
            hear(c, "answer %d" % turn)
    for c in others:
        c.close()


def child_connects(s, listener):
    def child():
        say(s, "child")
        with socket.create_connection((ADDR, port), timeout=10) as own:
            say(own, "hello parent")
            hear(own, "hello child")
    pid = in_child(child)
    with listener.accept()[0] as c:
        hear(c, "hello parent")
        say(c, "hello child")
    reap(pid)
    say(s, "parent")


def exec_now(s):
    say(s, "about to")
    s.set_inheritable(True)
    os.execvp("sleep", ["sleep", "1"])


with socket.socket(FAMILY) as lst:
    lst.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    lst.bind((ADDR, port))
    lst.listen(16)
    conn, _ = lst.accept()
    with conn:
        {"parent-last": lambda: parent_last(conn),
         "child-last": lambda: child_last(conn),
         "child-killed": lambda: child_killed(conn),
         "subprocess": lambda: subprocesses(conn, lst),
         "child-connects": lambda: child_connects(conn, lst),
         "exec": lambda: exec_now(conn)}[case]()
signal.alarm(0)
