# SPDX-License-Identifier: BSD-2-Clause
"""redis-server with redis-cli and redis-benchmark."""
import os
import re
import subprocess
import time

from .harness import check, wait_for


def start(b):
    return b.server(["redis-server", "--port", str(b.port), "--bind", b.addr, "--save", "",
                     "--dir", b.dir, "--dbfilename", "dump.rdb", "--appendonly", "no",
                     "--daemonize", "no", "--protected-mode", "no"])


def cli(b, *argv, **kw):
    return b.client(["redis-cli", "-h", b.addr, "-p", str(b.port)] + list(argv), **kw)


def bench_argv(b, *argv):
    return ["redis-benchmark", "-h", b.addr, "-p", str(b.port)] + list(argv)


def info(b, section, key):
    m = re.search(rb"^%s:([^\r\n]*)" % key.encode(), cli(b, "INFO", section), re.M)
    return m.group(1).decode() if m else None


def calls(b, command):
    value = info(b, "commandstats", "cmdstat_" + command)
    return int(re.search(r"calls=(\d+)", value).group(1)) if value else 0


def open_cli(b):
    """A redis-cli that reads commands from a pipe, one answer for each."""
    return b.start("client", ["redis-cli", "-h", b.addr, "-p", str(b.port)], stdin=subprocess.PIPE,
                   stdout=subprocess.PIPE)


def redis_ping(b):
    """PING, SET, GET; a value of 5 MB; a connection that is looked at while it is open."""
    start(b)
    check(cli(b, "PING") == b"PONG\n", "PING")
    check(cli(b, "SET", "k", "v") == b"OK\n", "SET")
    check(cli(b, "GET", "k") == b"v\n", "GET")
    big = os.urandom(2500000).hex().encode()
    with open(b.path("big"), "wb") as f:
        f.write(big)
    with open(b.path("big"), "rb") as f:
        check(cli(b, "-x", "SET", "big", stdin=f) == b"OK\n", "SET of 5 MB")
    check(cli(b, "GET", "big") == big + b"\n", "5 MB came back different")
    p = open_cli(b)
    p.proc.stdin.write(b"PING\n")
    p.proc.stdin.flush()
    check(p.proc.stdout.readline() == b"PONG\n", "PING through a pipe")
    b.expect_open(1)
    p.proc.stdin.close()
    check(p.wait(5) == 0, "redis-cli's exit status")
    b.expect_traffic(6, 2 * len(big))


def redis_bench(b):
    """1 client, 50 clients, 50 clients with 16 requests in flight; the server counts them."""
    start(b)
    n = 20000
    for opts in (("-c", "1"), ("-c", "50"), ("-c", "50", "-P", "16")):
        out = b.client(bench_argv(b, "-t", "set,get", "-n", str(n), "--csv", *opts)).decode()
        rates = re.findall(r'^"(SET|GET)","([0-9.]+)"', out, re.M)
        check([r[0] for r in rates] == ["SET", "GET"] and all(float(r[1]) > 0 for r in rates),
              "redis-benchmark %s said: %s" % (" ".join(opts), out))
    for command in ("set", "get"):
        check(calls(b, command) == 3 * n, "%d calls of %s, not %d" %
              (calls(b, command), command, 3 * n))
    b.expect_traffic(2 * 101, 6 * n * 40)


def redis_bgsave(b):
    """Snapshots by a forked child while clients write."""
    start(b)
    p = b.start("client", bench_argv(b, "-t", "set", "-r", "20000", "-d", "200", "-n", "400000",
                                     "-q"))
    saves = 0
    while saves < 3 or (p.running() and saves < 6):
        check(b"Background saving started" in cli(b, "BGSAVE"), "BGSAVE refused")
        wait_for("end of BGSAVE", lambda: info(b, "persistence", "rdb_bgsave_in_progress") == "0",
                 10, 0.05)
        check(info(b, "persistence", "rdb_last_bgsave_status") == "ok", "BGSAVE failed")
        saves += 1
    check(p.wait(20) == 0, "redis-benchmark's exit status")
    check(calls(b, "set") == 400000, "%d SETs of 400000" % calls(b, "set"))
    check(subprocess.run(["redis-check-rdb", b.path("dump.rdb")], stdout=subprocess.DEVNULL,
                         check=False).returncode == 0, "the snapshot is damaged")
    b.expect_traffic(50, 400000 * 200)


def redis_kill_server(b):
    """kill -9 of the server: each client sees the end at once."""
    p = start(b)
    waiting = [b.start("client", ["redis-cli", "-h", b.addr, "-p", str(b.port), "BLPOP", "nothing", "0"])
               for _ in range(3)]
    wait_for("3 blocked clients", lambda: info(b, "clients", "blocked_clients") == "3")
    b.expect_open(3)
    p.kill()
    started = time.monotonic()
    for w in waiting:
        w.wait(3)
        check(re.search(r"closed the connection|reset by peer|Connection refused|"
                        r"Could not connect", w.output()), "a client said: %r" % w.output())
    check(time.monotonic() - started < 3, "the end was seen late")
    b.expect_traffic(4, 100)


def redis_kill_client(b):
    """kill -9 of a client: the server's list shrinks; the others go on."""
    start(b)

    def clients():
        return len(cli(b, "CLIENT", "LIST", "TYPE", "pubsub").strip().splitlines())
    subs = [b.start("client", ["redis-cli", "-h", b.addr, "-p", str(b.port), "SUBSCRIBE", "news"])
            for _ in range(2)]
    wait_for("2 subscribers", lambda: clients() == 2)
    subs[0].kill()
    wait_for("end of the killed one", lambda: clients() == 1, 3)
    check(cli(b, "PUBLISH", "news", "hello") == b"1\n", "PUBLISH")
    wait_for("the message", lambda: "hello" in subs[1].output(), 3)
    b.expect_traffic(4, 100)


TESTS = (redis_ping, redis_bench, redis_bgsave, redis_kill_server, redis_kill_client)
for t in TESTS:
    t.needs = ("redis-server", "redis-cli", "redis-benchmark")
redis_ping.six = redis_bench.six = True
