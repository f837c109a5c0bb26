# SPDX-License-Identifier: BSD-2-Clause
"""A network namespace of the test's own. It is gone when its holder is, and that when we are."""
import os
import subprocess

from suite.harness import Failed, wait_for

SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": 1,  # neighbours' noise
    "net/ipv6/conf/default/disable_ipv6": 1,
}


class Namespace:
    """@holder: a process in it, which does nothing."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sleep", "infinity"],
            stdin=subprocess.DEVNULL, start_new_session=True)
        self.pid = self.holder.pid
        ours = os.readlink("/proc/self/ns/net")

        def there():
            if self.holder.poll() is not None:
                raise Failed("no network namespace can be made")
            return (os.path.basename(os.readlink("/proc/%d/exe" % self.pid)) == "sleep" and
                    os.readlink("/proc/%d/ns/net" % self.pid) != ours)
        wait_for("namespace", there)
        self.sysctl(**SYSCTLS)
        self.run("ip", "link", "set", "dev", "lo", "up")

    def argv(self, argv):
        """What runs @argv in it."""
        return ["nsenter", "--net=/proc/%d/ns/net" % self.pid, "--", *argv]

    def run(self, *argv, stdin=None):
        """Run it to its end; its output. Failed where it did."""
        r = subprocess.run(self.argv(argv), input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if r.returncode != 0:
            raise Failed("%s: %s" % (" ".join(argv), r.stdout.strip()))
        return r.stdout

    def sysctl(self, **values):
        """By the name of the file below /proc/sys."""
        for key, value in values.items():
            self.run("tee", "/proc/sys/" + key, stdin="%s\n" % value)

    def read(self, path):
        """A file of /proc/net, as it is there."""
        with open("/proc/%d/net/%s" % (self.pid, path)) as f:
            return f.read()

    def listens(self, port, protocol="tcp"):
        """Whether a kernel socket listens there; of UDP: is bound."""
        want, state = ":%04X" % port, "0A" if protocol == "tcp" else "07"
        return any(c[1].endswith(want) and c[3] == state
                   for c in (l.split() for l in self.read(protocol).splitlines()[1:]))

    def device(self, name):
        """(octets received, octets sent, frames received, sent) of an interface."""
        for line in self.read("dev").splitlines():
            n, _, counters = line.partition(":")
            if n.strip() == name:
                c = counters.split()
                return tuple(int(c[i]) for i in (0, 8, 1, 9))
        raise Failed("no interface %s" % name)

    def close(self):
        self.holder.kill()
        self.holder.wait()
