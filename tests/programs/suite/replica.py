# SPDX-License-Identifier: BSD-2-Clause
"""redis: a master that saves in the background, and a replica that follows it."""
import os

from .harness import Failed, check, free_port, wait_for
from .redis import bench_argv
from .share import Meter


def server(b, port, *more):
    d = b.path("redis-%d" % port)
    os.makedirs(d, exist_ok=True)
    return b.server(["redis-server", "--port", str(port), "--bind", b.addr, "--save", "",
                     "--dir", d, "--daemonize", "no", "--protected-mode", "no",
                     "--repl-diskless-sync-delay", "0", *more], port=port)


def cli(b, port, *argv, **kw):
    return b.client(["redis-cli", "-h", b.addr, "-p", str(port), *argv], **kw)


def info(b, port, section, key):
    for line in cli(b, port, "INFO", section).decode().splitlines():
        if line.startswith(key + ":"):
            return line.partition(":")[2].strip()
    return None


def digest(b, port):
    return cli(b, port, "DEBUG", "DIGEST")


def redis_replica(b):
    """A full copy by a forked child, then the stream under load, a save, and a new start."""
    meter = Meter(b)
    other = free_port()
    server(b, b.port, "--enable-debug-command", "yes")
    b.client(bench_argv(b, "-t", "set", "-r", "20000", "-d", "400", "-n", "40000", "-q"))
    follow = ("--replicaof", "%s %d" % (b.addr, b.port), "--enable-debug-command", "yes")
    r = server(b, other, *follow)
    load = b.start("client", bench_argv(b, "-t", "set", "-r", "20000", "-d", "400", "-n", "60000",
                                        "-q"))

    def linked():
        return info(b, other, "replication", "master_link_status") == "up"
    wait_for("the replica's link", linked, 15, 0.05)
    check(b"Background saving started" in cli(b, b.port, "BGSAVE"), "BGSAVE refused")
    check(load.wait(20) == 0, "redis-benchmark's exit status")
    wait_for("end of BGSAVE", lambda: info(b, b.port, "persistence",
                                           "rdb_bgsave_in_progress") == "0", 10, 0.05)
    check(info(b, b.port, "persistence", "rdb_last_bgsave_status") == "ok", "BGSAVE failed")
    same_data(b, other)
    # The replica dies, and takes up where it was.
    r.kill()
    r.wait(5)
    r.stop()
    cli(b, b.port, "SET", "meanwhile", "x" * 1000)
    server(b, other, *follow)
    wait_for("the new replica's link", linked, 15, 0.05)
    same_data(b, other)
    check(cli(b, other, "GET", "meanwhile") == b"x" * 1000 + b"\n", "what was set meanwhile")
    # Written by the client, and sent on: once as a copy or as the stream.
    meter.expect(b.test, 100000 * 400 + 2 * 20000 * 400)


def same_data(b, other):
    def equal():
        return digest(b, b.port) == digest(b, other)
    try:
        wait_for("equality", equal, 10, 0.1)
    except Failed:
        raise Failed("master and replica differ: %s keys, %s keys" %
                     (cli(b, b.port, "DBSIZE"), cli(b, other, "DBSIZE"))) from None


TESTS = (redis_replica,)
redis_replica.six = True
redis_replica.needs = ("redis-server", "redis-cli", "redis-benchmark")
