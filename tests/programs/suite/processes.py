# SPDX-License-Identifier: BSD-2-Clause
"""Servers that start a process for each connection, or hand connections on.

socat and inetd execute another program with the connection as its standard
input and output; node's cluster passes it over a Unix socket; gunicorn and
multiprocessing share a listener.
"""
import hashlib
import os
import re
import signal
import subprocess

from .echo import peer
from .harness import PYTHON, Skipped, check, free_port, tail, wait_for
from .netcat import ask, question
from .share import Meter

ECHOES, ECHO_BYTES = 30, 2 * 100000


def echoes(b, count=ECHOES):
    out = b.client(peer("echo_client.py", b.port, count))
    check(out == b"%d right\n" % count, "client said: %r" % out)
    return count * ECHO_BYTES


def socat_tcp(b):
    """socat's word for it."""
    return "TCP6" if b.six else "TCP4"


def listen_address(b, *options):
    return ",".join(["%s-LISTEN:%d" % (socat_tcp(b), b.port), "bind=" + b.host, "reuseaddr", "backlog=64",
                     *options])


def socat_fork(b):
    """A process for each connection, that passes it through another connection to an echo."""
    meter = Meter(b)
    far = free_port()
    b.server(peer("socketserver_server.py", far, "threads"), port=far)
    b.server(["socat", listen_address(b, "fork"), "%s:%s:%d" % (socat_tcp(b), b.host, far)])
    meter.expect(b.test, 2 * echoes(b))


def socat_exec(b):
    """A program for each connection, behind a pair of pipes' ends."""
    meter = Meter(b)
    b.server(["socat", "-t", "10", listen_address(b, "fork"), "EXEC:cat"])
    meter.expect(b.test, echoes(b))


def socat_nofork(b):
    """The program is given the connection itself; it does not know sockets."""
    meter = Meter(b)
    b.server(["socat", "-t", "10", listen_address(b, "fork"), "EXEC:sha256sum,nofork"])
    data = question(b, 1 << 20)
    for _ in range(3):
        want = hashlib.sha256(data).hexdigest() + "  -\n"
        check(ask(b).decode() == want, "no answer, or a wrong one")
    meter.expect(b.test, 3 * len(data))


def inetd(b):
    """openbsd-inetd: cat, and a python program that asks who its peer is."""
    meter = Meter(b)
    with open(b.path("inetd.conf"), "w") as f:
        f.write("%s:%d stream %s nowait.1000 %s /bin/cat cat\n" %
                (b.host, b.port, "tcp6" if b.six else "tcp", subprocess.check_output(["id", "-un"]).decode().strip()))
    b.server(["inetd", "-i", b.path("inetd.conf")])
    octets = echoes(b)
    data = question(b, 10 << 20)
    check(ask(b) == data, "10 MB came back different")
    meter.expect(b.test, octets + 2 * len(data))


def prefork(b, method):
    """multiprocessing: 4 processes on one listener; one is killed, one stopped."""
    meter = Meter(b)
    b.server(peer("prefork_server.py", b.port, 4, method))
    octets, pids = 0, set()
    for turn in range(4):
        if turn == 2:
            victim = sorted(pids)[0]
            os.kill(victim, signal.SIGKILL)
        out = b.client(peer("prefork_client.py", b.port, 25)).decode()
        check(out.startswith("25 right"), "client said: %r" % out)
        octets += 25 * 2 * 50000
        now = {int(n) for n in out.split()[2:]}
        check(turn < 2 or victim not in now, "the killed one served")
        pids |= now
    check(len(pids) > 1, "one process served everything")
    meter.expect(b.test, octets)


def prefork_fork(b):
    """multiprocessing: 4 forked processes on one listener; one is killed."""
    prefork(b, "fork")


def prefork_spawn(b):
    """multiprocessing: 4 fresh interpreters get the listener over a Unix socket; one is killed."""
    prefork(b, "spawn")


def posted(b, count):
    """So many posts by curl on one connection each, answered by their digests: (octets, pids)."""
    body = os.urandom(200000)
    with open(b.path("body"), "wb") as f:
        f.write(body)
    want, pids = hashlib.sha256(body).hexdigest(), set()
    for _ in range(count):
        out = b.client(["curl", "-sS", "--fail", "-i", "--data-binary", "@" + b.path("body"),
                        "-H", "Expect:", "http://%s:%d/" % (b.host, b.port)]).decode()
        check(out.split()[-1] == want, "the digest differs: %r" % out[-300:])
        pids.add(int(re.search(r"^X-Worker: (\d+)", out, re.M | re.I).group(1)))
    return count * len(body), pids


def loaded(b, seconds=1):
    out = b.client(["wrk", "-t", "1", "-c", "16", "-d", "%ds" % seconds,
                    "http://%s:%d/" % (b.host, b.port)]).decode()
    n = re.search(r"(\d+) requests in", out)
    check(n and int(n.group(1)) > 50 and "Socket errors" not in out and "Non-2xx" not in out,
          "wrk said: %s" % out)
    return 64 * int(n.group(1))


def cluster(b, *kind):
    meter = Meter(b)
    p = b.server(["node", peer("cluster_server.js")[1], str(b.port), "3", *kind])
    octets, pids = posted(b, 6)
    # Workers take their turns once they have begun to listen.
    for _ in range(100):
        if kind or len(pids) == 3:
            break
        more, others = posted(b, 1)
        octets, pids = octets + more, pids | others
    check(kind or len(pids) == 3, "workers by turns: %s" % pids)
    octets += loaded(b)
    victim = sorted(pids)[0]
    os.kill(victim, signal.SIGKILL)
    # Until node knows, it passes connections to the dead one, and they are lost.
    wait_for("the next worker", lambda: len(children(p.pid()) - {victim}) == 3 and
             stat_of(victim) == "Z", 5)
    octets += posted(b, 4)[0]
    meter.expect(b.test, octets)


def children(pid):
    found = set()
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task)) as f:
            found |= {int(n) for n in f.read().split()}
    return found


def stat_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def node_cluster(b):
    """node's cluster: connections accepted by the first process and passed on by turns."""
    cluster(b)


def node_cluster_shared(b):
    """node's cluster: the listener is passed on, the workers accept."""
    cluster(b, "shared")


def gunicorn(b):
    """gunicorn: 3 workers on one listener; reloaded by SIGHUP, one killed; digests compared."""
    meter = Meter(b)
    app = os.path.dirname(peer("wsgi_app.py")[1])
    p = b.server(["gunicorn", "-w", "3", "-b", "%s:%d" % (b.host, b.port), "--chdir", app,
                  "--worker-tmp-dir", b.dir, "--graceful-timeout", "3", "wsgi_app:app"])
    octets, first = posted(b, 6)
    octets += loaded(b)
    p.kill(signal.SIGHUP)
    wait_for("new workers", lambda: p.output().count("Booting worker") >= 6, 10, 0.05)
    wait_for("end of the old ones", lambda: all(stat_of(w) == "Z" for w in first), 10, 0.05)
    more, second = posted(b, 6)
    check(not first & second, "an old worker served: %s" % (first & second))
    os.kill(sorted(second)[0], signal.SIGKILL)
    octets += more + posted(b, 4)[0]
    meter.expect(b.test, octets)


def ftp(b):
    """pyftpdlib: a process for each session, a connection for each file; ABOR."""
    # Debian's modules are those of Debian's interpreter.
    python = [p for p in (PYTHON, "/usr/bin/python3") if subprocess.run(
        [p, "-W", "ignore", "-c", "import pyftpdlib.servers"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0]
    if not python:
        raise Skipped("no pyftpdlib here")
    meter = Meter(b)
    os.mkdir(b.path("files"))
    b.server([python[0], *peer("ftp_server.py", b.port, b.path("files"))[1:]])
    transfer(b)
    meter.expect(b.test, 5 * FTP_BYTES)


FTP_BYTES = 5 << 20
VSFTPD = """
{listen}
listen_port={port}
background=NO
{who}
anonymous_enable=YES
anon_root={dir}
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_umask=022
write_enable=YES
no_anon_password=YES
connect_from_port_20=NO
xferlog_enable=NO
async_abor_enable=YES
seccomp_sandbox=NO
"""
VSFTPD_LISTEN = ("listen=YES\nlisten_address=127.0.0.1", "listen_ipv6=YES\nlisten_address6=::1")
VSFTPD_USERS = """
ftp_username=daemon
nopriv_user=daemon
secure_chroot_dir={dir}/empty
isolate=NO
isolate_network=NO
"""


def transfer(b, *folder):
    out = b.client(peer("ftp_client.py", b.port, FTP_BYTES, *folder))
    check(out == b"right\n", "client said: %r; %s" % (out, tail(b.last_words(), 20)))


def start_vsftpd(b, who):
    meter = Meter(b)
    os.chmod(b.dir, 0o755)
    for d in ("ftp/files", "empty"):
        os.makedirs(b.path(d))
    os.chmod(b.path("ftp/files"), 0o777)
    os.chmod(b.path("ftp"), 0o555)
    with open(b.path("vsftpd.conf"), "w") as f:
        f.write(VSFTPD.format(listen=VSFTPD_LISTEN[b.six], port=b.port, dir=b.path("ftp"), who=who.format(dir=b.dir)))
    b.server(["vsftpd", b.path("vsftpd.conf")])
    transfer(b, "files")
    meter.expect(b.test, 5 * FTP_BYTES)


def vsftpd(b):
    """vsftpd: a forked process for each session, under RLIMIT_AS."""
    start_vsftpd(b, "run_as_launching_user=YES")


def vsftpd_users(b):
    """vsftpd: two processes for each session, one of them another user's, in a chroot."""
    if os.geteuid() != 0:
        raise Skipped("root only")
    start_vsftpd(b, VSFTPD_USERS)


TESTS = (socat_fork, socat_exec, socat_nofork, inetd, prefork_fork, prefork_spawn, node_cluster,
         node_cluster_shared, gunicorn, ftp, vsftpd, vsftpd_users)
for t in (socat_fork, socat_exec):
    t.needs = ("socat",)
socat_nofork.needs = ("socat", "nc", "sha256sum")
inetd.needs = ("inetd", "nc")
node_cluster.needs = node_cluster_shared.needs = ("node", "curl", "wrk")
gunicorn.needs = ("gunicorn", "curl", "wrk")
vsftpd.needs = vsftpd_users.needs = ("vsftpd",)
socat_exec.arrangements = prefork_spawn.arrangements = node_cluster_shared.arrangements = (
    "both", "server")
for t in (socat_fork, socat_exec, inetd, prefork_fork, node_cluster, gunicorn, ftp, vsftpd):
    t.six = True
