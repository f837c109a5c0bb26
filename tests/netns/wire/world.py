# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts and what joins them: one is a Linux kernel, one is Mortise, or with --kernel
another Linux kernel.

Namespaces:

    peer    the Linux kernel that is asked and that asks: 10.0.0.1
    ours    our programs, and the domain: 10.0.0.2. Under Mortise there is no interface in
            it but lo, so what reaches the wire has come through the domain's network
    middle  where a bridge is, the kernel's side of Mortise's TAP

How they are joined:

    direct   Mortise's TAP is the peer's own interface: tap0 in `peer`, large segments,
             unfinished checksums and all. Of two kernels: veth.
    bridge   tap0 in `peer` is one end of tests/netns/bridge, which carries frames as a
             cable would, and captures them. The other end is bridged with Mortise's
             TAP in `middle`; of two kernels, it is tap0 in `ours`.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess

from suite import harness, user
from suite.harness import Skipped, check, wait_for

from . import capture
from .namespace import Namespace

PEER, OURS = "10.0.0.1", "10.0.0.2"
DOMAIN = "lab"
OTHERS = 10000  # octets
QUEUE = "50000"  # frames: a window of 16 MB at the least MTU; the bridge alone is to lose any
ARRANGEMENTS = ("server", "client")  # which end is ours
KERNEL = ("kernel-server", "kernel-client")


def bridge_program():
    return os.path.join(harness.build_dir(), "tests", "netns", "bridge")


class Wire(harness.Bench):
    """As harness.Bench; join() comes before anything is started."""

    def __init__(self, mortise, arrangement, verbose_env=None):
        super().__init__(mortise, arrangement, verbose_env)
        self.kernel = arrangement.startswith("kernel-")
        self.arrangement = arrangement.rpartition("-")[2]
        self.we_serve = self.arrangement == "server"
        self.addr = self.host = OURS if self.we_serve else PEER
        self.env.update(PEER_ADDR=self.addr, MORTISE_DOMAIN=DOMAIN)
        self.meter = self.carried
        self.peer = self.ours = self.middle = self.bridge = self.pcap = None
        self.mtu = 1500
        self.lossy = self.is_up = False

    # -------------------------------------------------------------- joining

    def join(self, link=None, mtu=1500, seed=1, pcap=False, sysctls=None, unprivileged=False,
             offload=True):
        """@link: None: direct; else what the bridge does to frames both ways: "loss=0.01".

        @unprivileged: Our programs, and the domain's daemon, are another user's.
        @offload: Large segments and unfinished checksums may pass, where it is direct.
        """
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise Skipped("needs root and /dev/net/tun")
        if unprivileged:
            user.unprivileged(self)
        self.mtu, self.offload = mtu, offload
        self.peer, self.ours = Namespace(), Namespace()
        self.peer.sysctl(**(sysctls or {}))
        if link is not None:
            self.join_by_bridge(link, seed, pcap)
        elif self.kernel:
            self.peer.run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "tap0",
                          "netns", str(self.ours.pid))
        else:
            self.up(self.peer)
        self.configure(self.peer, PEER)
        if self.kernel:
            self.configure(self.ours, OURS)

    def configure(self, where, address):
        where.run("ip", "link", "set", "dev", "tap0", "mtu", str(self.mtu), "txqueuelen", QUEUE, "up")
        if self.kernel and not self.offload:
            where.run("ethtool", "-K", "tap0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        where.run("ip", "address", "add", address + "/24", "dev", "tap0")
        # As Linux has it, whatever this machine's default is: only some may be a namespace's.
        where.run("ip", "route", "replace", "10.0.0.0/24", "dev", "tap0", "proto", "kernel",
                  "scope", "link", "src", address, "congctl", "cubic")

    def join_by_bridge(self, link, seed, pcap):
        self.lossy = bool(link)
        far, name = self.ours, "tap0"
        if not self.kernel:
            far = self.middle = Namespace()
            name = "cable"
        argv = [bridge_program(), "--a", "%d:%s" % (far.pid, name), "--b", "%d:tap0" % self.peer.pid,
                "--seed", str(seed)]
        if link:
            argv += ["--both", link]
        if pcap:
            self.pcap = self.path("wire.pcapng")
            argv += ["--pcap", self.pcap]
        self.bridge = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       text=True, start_new_session=True)
        check(self.bridge.stdout.readline() == "ready\n", "the bridge did not start")
        if self.kernel:
            return
        self.up(far)
        far.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0",
                "mcast_snooping", "0")
        for dev in ("cable", "tap0"):
            far.run("ip", "link", "set", "dev", dev, "mtu", str(self.mtu), "txqueuelen", QUEUE,
                    "master", "br0", "up")
        far.run("ip", "link", "set", "dev", "br0", "up")

    def introduce(self):
        """Two kernels know each other's Ethernet addresses, and do not ask."""
        for here, there, address in ((self.peer, self.ours, OURS), (self.ours, self.peer, PEER)):
            mac = json.loads(there.run("ip", "-j", "link", "show", "dev", "tap0"))[0]["address"]
            here.run("ip", "neighbour", "replace", address, "dev", "tap0", "lladdr", mac,
                     "nud", "permanent")

    def bridged(self):
        """What the bridge has counted until now."""
        self.bridge.send_signal(signal.SIGUSR1)
        return json.loads(self.bridge.stdout.readline())

    def cut(self, cut=True):
        """The peer's interface goes down, or comes up again."""
        self.peer.run("ip", "link", "set", "dev", "tap0", "down" if cut else "up")

    # ------------------------------------------------------------- programs

    def is_ours(self, side):
        return side == self.arrangement

    def accelerated(self, side):
        return self.is_ours(side) and not self.kernel

    def argv(self, side, argv):
        if not self.accelerated(side):
            where = self.ours if self.is_ours(side) else self.peer
            return where.argv([*self.prefix, *argv])
        return self.ours.argv([*self.prefix, self.mortise, "run", "--", *argv])

    def up(self, where):
        """Bring the domain up. Its interface, which a kernel is behind, then goes elsewhere."""
        self.ours.run("ip", "tuntap", "add", "tap0", "mode", "tap", "user", str(user.UID))
        self.ours.run("ip", "link", "set", "dev", "tap0", "mtu", str(self.mtu))
        argv = [*self.prefix, self.mortise, "up", "--tap", "tap0", "--address", OURS + "/24",
                "--gateway", PEER, "--offload", "on" if self.offload else "off"]
        if self.prefix:
            argv = self.with_tun(argv)
        r = subprocess.run(self.ours.argv(argv), env=self.env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=20, check=False)
        check(r.returncode == 0, "mortise up: %s" % r.stdout)
        self.is_up = True
        self.ours.run("ip", "link", "set", "dev", "tap0", "netns", str(where.pid))

    def with_tun(self, argv):
        """What runs @argv where /dev/net/tun is everybody's: elsewhere it may be root's alone."""
        node = self.path("tun")
        os.mknod(node, 0o020666, os.makedev(10, 200))
        os.chmod(node, 0o666)
        return ["unshare", "--mount", "--", "sh", "-c",
                'mount --bind "$1" /dev/net/tun && shift && exec "$@"', "sh", node, *argv]

    def command(self, *argv, seconds=10):
        return subprocess.run(self.ours.argv([*self.prefix, self.mortise, *argv]), env=self.env,
                              timeout=seconds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)

    def listens(self, port):
        if self.accelerated("server"):
            return True  # server() asks `mortise ss`
        return (self.ours if self.we_serve else self.peer).listens(port)

    def udp_bound(self, port):
        if self.accelerated("server"):
            return any(harness.row_port(r, "local") == port for r in self.ss("-a"))
        return (self.ours if self.we_serve else self.peer).listens(port, "udp")

    # ------------------------------------------------------------- verdicts

    def expect_open(self, count):
        pass

    def expect_traffic(self, connections, octets):
        self.carried(octets)

    def carried(self, octets):
        """So much at least went over the wire; none of it by a kernel socket of ours."""
        received, sent = self.peer.device("tap0")[:2]
        check(received + sent >= octets, "%d octets on the wire, not %d" % (received + sent, octets))
        # There is a kernel in our namespace, too, whose sockets lead to lo: Mortise asks one
        # what its TCP_INFO would be.
        if not self.kernel:
            check(self.ours.device("lo")[0] < OTHERS, "%d octets went by our side's kernel" %
                  self.ours.device("lo")[0])

    def finish(self):
        for p in self.programs:
            p.stop()
        if self.is_up:
            wait_for("`mortise down` without live connections",
                     lambda: self.command("down").returncode == 0, 10, 0.1)
        if self.bridge:
            self.end_bridge()
        if self.pcap:
            ours = (PEER, OURS) if self.kernel else (OURS,)
            found = capture.findings(self.pcap, self.lossy, ours)
            check(not found, "tshark: " + "; ".join(
                "%s: %s (%d)" % (who, what, n) for (who, what), n in found.items()))

    def end_bridge(self):
        """Its last words."""
        self.bridge.terminate()
        last = self.bridge.communicate(timeout=10)[0]
        check(self.bridge.returncode == 0, "the bridge: exit status %s" % self.bridge.returncode)
        self.bridge = None
        return json.loads(last.strip().splitlines()[-1])

    def leave(self):
        """What join() made is gone."""
        if self.bridge:
            self.bridge.kill()
            self.bridge.communicate()
        for n in (self.peer, self.ours, self.middle):
            if n:
                n.close()
        self.peer = self.ours = self.middle = self.bridge = None

    def clean(self):
        for p in self.programs:
            p.stop()
        if self.is_up:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                self.command("down", "--force")
        self.leave()
        keep = os.environ.get("WIRE_KEEP")  # a directory for captures
        if keep and self.pcap and os.path.exists(self.pcap):
            shutil.copy(self.pcap, os.path.join(keep, "%s-%s.pcapng" % (self.test, self.arrangement)))
        shutil.rmtree(self.dir, ignore_errors=True)
