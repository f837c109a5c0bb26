# SPDX-License-Identifier: BSD-2-Clause
"""sshd, with a configuration and keys of the test's own: ssh, scp, sftp, forwarded ports.

For each connection sshd forks and executes itself with the socket; one process
of the two that then serve it is in a sandbox, of another user, in a chroot.
"""
import functools
import atexit
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile

from .echo import peer
from .harness import Skipped, check, free_port, kernel_listens, wait_for
from .http import same
from .share import Meter

MB = 1 << 20
SIZE = 8 * MB
CONFIG = """
Port {port}
ListenAddress {addr}
HostKey {keys}/host
PidFile none
AuthorizedKeysFile {keys}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 50
Subsystem sftp internal-sftp
"""
PRIVSEP_DIR = "/run/sshd"  # compiled in


@functools.lru_cache(None)
def keys():
    """A directory with the host's and the user's key."""
    where = tempfile.mkdtemp(prefix="mts-keys-")
    atexit.register(shutil.rmtree, where, ignore_errors=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        os.path.join(where, name)], check=True, stdin=subprocess.DEVNULL)
    os.chmod(where, 0o755)
    return where


def start(b):
    """(server, meter)"""
    if os.geteuid() == 0 and not os.path.isdir(PRIVSEP_DIR):
        os.mkdir(PRIVSEP_DIR, 0o755)
    me = pwd.getpwuid(os.geteuid())
    if os.path.basename(me.pw_shell) in ("nologin", "false"):
        raise Skipped("%s may not log in" % me.pw_name)
    conf = b.path("sshd_config")
    with open(conf, "w") as f:
        f.write(CONFIG.format(addr=b.addr, port=b.port, keys=keys()))
    with open(b.path("ssh_config"), "w") as f:
        f.write("Host box\nHostName %s\nPort %d\nUser %s\nIdentityFile %s/user\n"
                "IdentitiesOnly yes\nBatchMode yes\nStrictHostKeyChecking no\n"
                "UserKnownHostsFile %s\nLogLevel ERROR\n" %
                (b.addr, b.port, me.pw_name, keys(), b.path("known")))
    meter = Meter(b)
    return b.server([shutil.which("sshd"), "-D", "-e", "-f", conf]), meter


def ssh(b, *argv, **kw):
    return b.client(["ssh", "-F", b.path("ssh_config"), *argv], **kw)


def noise(b, name, size=SIZE):
    data = os.urandom(size)
    with open(b.path(name), "wb") as f:
        f.write(data)
    return data


def ssh_command(b):
    """Commands with input, output, exit status; 8 MB each way, compared; six at once."""
    _, meter = start(b)
    check(ssh(b, "box", "echo hello; exit 3", status=3) == b"hello\n", "echo")
    data = noise(b, "up")
    with open(b.path("up"), "rb") as f:
        check(ssh(b, "box", "cat", stdin=f) == data, "8 MB came back different")
    with open(b.path("up"), "rb") as f:
        check(ssh(b, "box", "sha256sum", stdin=f).split()[0].decode() ==
              hashlib.sha256(data).hexdigest(), "the digest differs")
    many = [b.start("client", ["ssh", "-F", b.path("ssh_config"), "box", "echo", "six"])
            for _ in range(6)]
    for p in many:
        check(p.wait(15) == 0 and "six" in p.output(), p.output())
    meter.expect(b.test, 3 * SIZE)


def ssh_copy(b):
    """scp and sftp, there and back, compared."""
    _, meter = start(b)
    noise(b, "file")
    conf = ["-q", "-F", b.path("ssh_config")]
    b.client(["scp", *conf, b.path("file"), "box:" + b.path("there")])
    b.client(["scp", *conf, "box:" + b.path("there"), b.path("back")])
    check(same(b.path("file"), b.path("back")), "scp: the file came back different")
    with open(b.path("batch"), "w") as f:
        f.write("mkdir {d}/sub\nput {d}/file {d}/sub/one\nrename {d}/sub/one {d}/sub/two\n"
                "get {d}/sub/two {d}/again\nls -l {d}/sub\n".format(d=b.dir))
    out = b.client(["sftp", *conf, "-b", b.path("batch"), "box"])
    check(b"%d" % SIZE in out, "sftp's listing: %r" % out[-200:])
    check(same(b.path("file"), b.path("again")), "sftp: the file came back different")
    meter.expect(b.test, 4 * SIZE)


def forwarded(b, option, entry, target):
    """A forwarded port carries 10 echoes; the tunnel is then ended."""
    _, meter = start(b)
    b.server(peer("socketserver_server.py", target, "threads"), port=target)
    tunnel = b.start("client", ["ssh", "-F", b.path("ssh_config"), "-N", "-o",
                                "ExitOnForwardFailure=yes", option,
                                "%s:%d:%s:%d" % (b.host, entry, b.host, target), "box"])
    wait_for("the forwarded port", lambda: kernel_listens(entry) or not tunnel.running(), 10)
    check(tunnel.running(), "ssh ended: %s" % tunnel.output())
    out = b.client(peer("echo_client.py", entry, 10))
    check(out == b"10 right\n", "client said: %r; %s" % (out, tunnel.output()))
    tunnel.stop()
    # Three connections carry each byte: to the tunnel, inside it, from it.
    meter.expect(b.test, 3 * 10 * 2 * 100000)


def ssh_forward(b):
    """ssh -L: the client's port leads to the server's side."""
    forwarded(b, "-L", free_port(), free_port())


def ssh_forward_back(b):
    """ssh -R: a port of sshd's own leads to the client's side."""
    forwarded(b, "-R", free_port(), free_port())


TESTS = (ssh_command, ssh_copy, ssh_forward, ssh_forward_back)
for t in TESTS:
    t.needs = ("sshd", "ssh", "scp", "sftp", "ssh-keygen", "sha256sum", "cmp")
    t.six = True
ssh_forward_back.arrangements = ("both",)
