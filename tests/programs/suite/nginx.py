# SPDX-License-Identifier: BSD-2-Clause
"""nginx with a master and 4 workers, loaded by wrk and ab, checked by curl.

Load that must not lose a request while workers come and go uses a connection
for each request: with kept connections, a worker that leaves closes idle ones
just when a client may use them, and the client sees that on any socket.
"""
import collections
import os
import re
import shutil
import signal

from .harness import check, wait_for
from .http import MB, big_file, same
from .share import Meter

WORKERS = 4
CONF = """
daemon {daemon};
{user}
worker_processes {workers};
worker_shutdown_timeout 5s;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 512; {events} }}
http {{
	log_format who "$pid $status $body_bytes_sent";
	access_log {log};
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir};
	fastcgi_temp_path {dir};
	uwsgi_temp_path {dir};
	scgi_temp_path {dir};
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000;
	server {{ listen {host}:{port} {listen}; root {dir}/www; }}
}}
"""


def configure(b, listen="", events="", user="root", daemon="off", log=None):
    log = log or b.path("access.log") + " who buffer=64k flush=1s"
    with open(b.path("conf"), "w") as f:
        f.write(CONF.format(dir=b.dir, host=b.host, port=b.port, workers=WORKERS, listen=listen, events=events,
                            daemon=daemon, log=log,
                            user="user %s;" % user if os.geteuid() == 0 else ""))


def prepare(b, **options):
    """A large and a small file, and the configuration; the meter."""
    www = b.path("www")
    os.mkdir(www)
    os.chmod(b.dir, 0o755)
    big_file(os.path.join(www, "big"), 50)
    with open(os.path.join(www, "small"), "wb") as f:
        f.write(os.urandom(612))
    configure(b, **options)
    return Meter(b)


def argv(b):
    # The whole path: an upgrade executes just that.
    return [shutil.which("nginx"), "-p", b.dir, "-c", b.path("conf")]


def start(b, **options):
    """A server in the foreground, and its meter."""
    meter = prepare(b, **options)
    p = b.server(argv(b))
    wait_for("%d workers" % WORKERS, lambda: len(workers(p.pid())) == WORKERS)
    return p, meter


def workers(master):
    """Pids of a master's children that are its workers, not another master."""
    found = []
    with open("/proc/%d/task/%d/children" % (master, master)) as f:
        for pid in f.read().split():
            try:
                with open("/proc/%s/cmdline" % pid) as c:
                    title = c.read()
            except OSError:
                continue
            if "worker process" in title and "shutting down" not in title:
                found.append(int(pid))
    return found


def url(b, name):
    return "http://%s:%d/%s" % (b.host, b.port, name)


def fetch(b, name, *options):
    """One file, compared; its length."""
    want, got = b.path("www/" + name), b.path("got")
    b.client(["curl", "-sS", "--fail", "-o", got, *options, url(b, name)])
    check(same(got, want), "%s came out different" % name)
    return os.path.getsize(want)


def served(out):
    """Requests that wrk counted; none of them failed."""
    n = re.search(r"(\d+) requests in", out)
    check(n and int(n.group(1)) > 100, "wrk said: %s" % out)
    check("Socket errors" not in out and "Non-2xx" not in out, "wrk said: %s" % out)
    return int(n.group(1))


def wrk_argv(b, seconds, keep, connections=64):
    return ["wrk", "-t", "1", "-c", str(connections), "-d", "%gs" % seconds, "--timeout", "5s",
            *([] if keep else ["-H", "Connection: close"]), url(b, "small")]


def ab(b, requests, *options):
    out = b.client(["ab", "-q", "-n", str(requests), "-c", "32", *options,
                    url(b, "small")]).decode()
    for key, value in (("Complete requests", requests), ("Failed requests", 0)):
        m = re.search(r"^%s: +(\d+)" % key, out, re.M)
        check(m and int(m.group(1)) == value, "ab said: %s" % out)
    check("Non-2xx" not in out, "ab said: %s" % out)
    return requests * 612


def access(b):
    """Counter of (worker's pid, status) over the whole log."""
    with open(b.path("access.log")) as f:
        return collections.Counter(tuple(l.split()[:2]) for l in f)


def nginx_workers(b, **options):
    """Files by sendfile, compared; wrk and ab with and without keep-alive; who served them."""
    p, meter = start(b, **options)
    octets = sum(fetch(b, name) for name in ("big", "small"))
    octets += fetch(b, "big", "-H", "Connection: close")
    b.client(["curl", "-sS", "--fail", url(b, "none")], status=22)
    n = 0
    for keep in (True, False):
        n += served(b.client(wrk_argv(b, 1, keep)).decode())
    octets += ab(b, 2000) + ab(b, 2000, "-k")
    fetch(b, "small")
    p.kill(signal.SIGQUIT)
    check(p.wait(10) == 0, "the master's exit status")
    log = access(b)
    ok = sum(c for (_, status), c in log.items() if status == "200")
    # wrk leaves with requests under way.
    check(n + 4004 <= ok <= n + 4004 + 2 * 64,
          "%d requests were answered, but the log has %d" % (n + 4004, ok))
    share = sorted(sum(c for (pid, _), c in log.items() if pid == w) for w in {k[0] for k in log})
    check(len(share) > 1, "one worker served everything")
    print("  requests by worker: %s" % share, flush=True)
    meter.expect(b.test, octets + 612 * n)


def nginx_reuseport(b):
    """The same, with a listener for each worker."""
    nginx_workers(b, listen="reuseport")


def nginx_exclusive(b):
    """The same, where workers take turns by a lock."""
    nginx_workers(b, events="accept_mutex on; multi_accept on;")


def nginx_uid(b):
    """Workers of another user than the master's."""
    nginx_workers(b, user="www-data")


def nginx_reload(b):
    """Five reloads under load: not one failed request, and new workers each time."""
    p, meter = start(b)
    load = b.start("client", wrk_argv(b, 4, False))
    log = set(workers(p.pid()))
    for turn in range(5):
        before = set(workers(p.pid()))
        # The new configuration is used: alternately, two workers less.
        with open(b.path("conf")) as f:
            text = f.read()
        count = 2 if turn % 2 == 0 else 4
        with open(b.path("conf"), "w") as f:
            f.write(re.sub(r"worker_processes \d", "worker_processes %d" % count, text))
        p.kill(signal.SIGHUP)

        def changed():
            now = set(workers(p.pid()))
            return len(now) == count and not now & before
        wait_for("new workers", changed, 8)
        log |= set(workers(p.pid()))
    n = served_by(load)
    fetch(b, "big")
    check(len(log) == 4 + 2 + 4 + 2 + 4 + 2, "%d workers in all" % len(log))
    meter.expect(b.test, 612 * n + 50 * MB)


def served_by(load):
    check(load.wait(20) == 0, "wrk's exit status")
    return served(load.output())


def nginx_upgrade(b):
    """A new master by USR2 under load, the old one leaves: not one failed request."""
    meter = prepare(b, daemon="on")  # one in the foreground refuses
    check(b.start("server", argv(b)).wait(10) == 0, "nginx's exit status")
    old = wait_for("pid file", lambda: read_pid(b))
    wait_for("workers", lambda: len(workers(old)) == WORKERS)
    fetch(b, "small")
    load = b.start("client", wrk_argv(b, 4, False))
    os.kill(old, signal.SIGUSR2)
    new = wait_for("new master", lambda: read_pid(b) not in (0, old) and read_pid(b), 10)
    wait_for("workers of the new one", lambda: len(workers(new)) == WORKERS)
    with open("/proc/%d/maps" % new) as f:
        check(("libmortise" in f.read()) == b.accelerated("server"), "the new master's library")
    os.kill(old, signal.SIGWINCH)
    wait_for("end of the old one's workers", lambda: not workers(old), 10)
    fetch(b, "small")
    os.kill(old, signal.SIGQUIT)
    wait_for("end of the old master", lambda: not running(old))
    n = served_by(load)
    fetch(b, "big")
    meter.expect(b.test, 612 * n + 50 * MB)
    os.kill(new, signal.SIGQUIT)
    wait_for("end of the new master", lambda: not running(new), 10)


def read_pid(b):
    """Of the pid file; 0 while there is none."""
    try:
        with open(b.path("nginx.pid")) as f:
            return int(f.read() or 0)
    except FileNotFoundError:
        return 0


def running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def nginx_worker_killed(b):
    """kill -9 of two workers under load, one stopped: the others serve, new ones come."""
    p, meter = start(b)
    load = b.start("client", wrk_argv(b, 3, False))
    before = workers(p.pid())
    os.kill(before[0], signal.SIGSTOP)
    for pid in before[1:3]:
        os.kill(pid, signal.SIGKILL)
    wait_for("new workers", lambda: len(workers(p.pid())) == WORKERS and
             not set(before[1:3]) & set(workers(p.pid())))
    # A stopped worker may hold a request; the others take what comes.
    fetch(b, "small")
    os.kill(before[0], signal.SIGCONT)
    check(load.wait(20) == 0, "wrk's exit status")
    n = re.search(r"(\d+) requests in", load.output())
    check(n and int(n.group(1)) > 100, "wrk said: %s" % load.output())
    errors = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", load.output())
    lost = sum(int(e) for e in errors.groups()) if errors else 0
    check(lost <= 64, "%d requests lost: %s" % (lost, load.output()))
    fetch(b, "big")
    meter.expect(b.test, 612 * int(n.group(1)) + 50 * MB)


TESTS = (nginx_workers, nginx_reuseport, nginx_exclusive, nginx_uid, nginx_reload, nginx_upgrade,
         nginx_worker_killed)
for t in TESTS:
    t.needs = ("nginx", "wrk", "ab", "curl", "cmp")
nginx_workers.six = nginx_reload.six = nginx_upgrade.six = True
nginx_reuseport.arrangements = nginx_exclusive.arrangements = ("both",)
nginx_uid.arrangements = ("both",)
