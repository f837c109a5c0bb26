# SPDX-License-Identifier: BSD-2-Clause
"""PostgreSQL: a process for each connection, forked by the one that accepted it."""
import atexit
import functools
import glob
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from . import user
from .harness import Skipped, check, wait_for
from .share import Meter

SETTINGS = """
unix_socket_directories = ''
max_connections = 40
shared_buffers = 32MB
fsync = off
ssl = off
autovacuum = off
restart_after_crash = on
"""


def tool(name):
    """Debian keeps the server's programs out of PATH."""
    found = shutil.which(name) or max(glob.glob("/usr/lib/postgresql/*/bin/" + name), default=None)
    if not found:
        raise Skipped("no %s here" % name)
    return found


@functools.lru_cache(None)
def template():
    """An empty cluster, made once."""
    where = tempfile.mkdtemp(prefix="mts-pg-")
    atexit.register(shutil.rmtree, where, ignore_errors=True)
    user.own(where)
    data = os.path.join(where, "data")
    r = subprocess.run(user.prefix() + [tool("initdb"), "-D", data, "-U", "tester", "-A", "trust",
                                        "-E", "UTF8", "--locale", "C", "--no-sync"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       cwd="/", check=False)
    if r.returncode != 0:
        raise Skipped("initdb: %s" % r.stdout.decode("utf-8", "replace")[-300:])
    return data


def configure(b):
    """For server and clients: the port, and how to get there."""
    with open(b.path("data/postgresql.auto.conf"), "w") as f:
        f.write(SETTINGS + "listen_addresses = '%s'\nport = %d\n" % (b.addr, b.port))
    with open(b.path("data/pg_hba.conf"), "a") as f:
        f.write("host all all all trust\n")  # it listens at one address; initdb has the loopback only
    b.env.update(PGHOST=b.addr, PGPORT=str(b.port), PGUSER="tester", PGDATABASE="postgres",
                 PGSSLMODE="disable", PGGSSENCMODE="disable", PGCONNECT_TIMEOUT="10")


def start(b):
    """(server, meter)"""
    user.unprivileged(b)
    data = b.path("data")
    subprocess.run(["cp", "-a", template(), data], check=True)
    configure(b)
    meter = Meter(b)
    p = b.server([tool("postgres"), "-D", data])
    wait_for("`ready to accept`", lambda: "ready to accept connections" in p.output(), 10)
    return p, meter


def end(p):
    """Clean shutdown: the server says so."""
    p.kill(signal.SIGINT)
    check(p.wait(10) == 0, "postgres's exit status")


def psql(b, sql, status=0):
    return b.client([tool("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql], status=status)


def postgres_psql(b):
    """A table written and read back, 4 MB by COPY each way, an error, a notification."""
    p, meter = start(b)
    psql(b, "CREATE TABLE t (n int PRIMARY KEY, v text)")
    psql(b, "INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 20000) n")
    want = "".join("%d|%s\n" % (n, hashlib.md5(b"%d" % n).hexdigest()) for n in range(1, 20001))
    check(psql(b, "SELECT * FROM t ORDER BY n").decode() == want, "20,000 rows came back different")
    rng = random.Random(b.port)
    rows = b"".join(b"%d\t%0128x\n" % (n, rng.getrandbits(512)) for n in range(30000))
    psql(b, "CREATE TABLE u (n int, v text)")
    with open(b.path("rows"), "wb") as f:
        f.write(rows)
    with open(b.path("rows"), "rb") as f:
        b.client([tool("psql"), "-XAtq", "-c", "COPY u FROM STDIN"], stdin=f)
    check(psql(b, "COPY u TO STDOUT") == rows, "30,000 rows came back different")
    psql(b, "SELECT no_such_column", status=1)
    check(psql(b, "SELECT count(*) FROM u") == b"30000\n", "count after an error")
    end(p)
    meter.expect(b.test, 2 * len(rows) + len(want))


def pgbench(b, *options):
    """Transactions done; none failed."""
    out = b.client([tool("pgbench"), "-n", *options]).decode()
    failed = re.search(r"number of failed transactions: (\d+)", out)
    done = re.search(r"number of transactions actually processed: (\d+)", out)
    check(done and (not failed or failed.group(1) == "0"), "pgbench said: %s" % out)
    return int(done.group(1))


def postgres_pgbench(b):
    """8 clients: reading, writing, and a connection for each transaction; the server counts."""
    p, meter = start(b)
    b.client([tool("pgbench"), "-i", "-q", "-s", "1"])
    reads = pgbench(b, "-S", "-c", "8", "-T", "2")
    writes = pgbench(b, "-c", "8", "-t", "50")
    connects = pgbench(b, "-S", "-C", "-c", "8", "-t", "20")
    check(writes == 400 and connects == 160, "%d and %d transactions" % (writes, connects))
    check(psql(b, "SELECT count(*) FROM pgbench_history") == b"400\n", "rows of history")
    check(psql(b, "SELECT sum(abalance) = (SELECT sum(delta) FROM pgbench_history) "
                  "FROM pgbench_accounts") == b"t\n", "the balances do not add up")
    end(p)
    # "SELECT abalance FROM pgbench_accounts WHERE aid = 1;", and its answer.
    meter.expect(b.test, (reads + writes + connects) * 120)


def backends(b):
    return [int(n) for n in psql(
        b, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'").split()]


def postgres_backend_killed(b):
    """A backend ended, one killed: each client sees its end, the server recovers and serves."""
    p, meter = start(b)
    psql(b, "CREATE TABLE t (v text); INSERT INTO t SELECT repeat('x', 100000)")

    def sleeper():
        return b.start("client", [tool("psql"), "-X", "-c", "SELECT pg_sleep(60)"])
    one = sleeper()
    pids = wait_for("a backend", lambda: backends(b))
    check(psql(b, "SELECT pg_terminate_backend(%d)" % pids[0]) == b"t\n", "terminate")
    check(one.wait(5) == 2, "psql's exit status, its backend terminated: %s" % one.status())
    check("terminating connection due to administrator command" in one.output(), one.output())
    two, other = sleeper(), sleeper()
    pids = wait_for("two backends", lambda: (lambda l: len(l) == 2 and l)(backends(b)))
    began = time.monotonic()
    os.kill(pids[0], signal.SIGKILL)
    # The server ends the others, too, and starts anew.
    for c in (two, other):
        check(c.wait(5) == 2, "psql's exit status, a backend killed: %s" % c.status())
    check(time.monotonic() - began < 3, "the end was seen late")
    check("server closed the connection unexpectedly" in two.output() + other.output(),
          two.output() + other.output())
    wait_for("service again", lambda: psql(b, "SELECT length(v) FROM t", None) == b"100000\n", 10,
             0.1)
    check(len(psql(b, "SELECT v FROM t")) == 100001, "a long row, afterwards")
    end(p)
    meter.expect(b.test, 100001)


TESTS = (postgres_psql, postgres_pgbench, postgres_backend_killed)
postgres_psql.six = postgres_pgbench.six = True
