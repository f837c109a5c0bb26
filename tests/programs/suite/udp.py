# SPDX-License-Identifier: BSD-2-Clause
"""Programs that speak UDP: how they are started and waited for; small ones of each kind.

The answers must be right in each arrangement, over both families; share.py says which
part of them is to be in memory.
"""
import hashlib
import json
import os
import re
import subprocess
import time

from . import share
from .harness import PEERS_DIR, PYTHON, Failed, Skipped, check, free_port, wait_for
from .share import Meter

HOMES = ("127.0.0.1", "::1")


def udp_bound(port):
    """Whether a kernel socket (a shadow, too) is bound there."""
    want = ":%04X" % port
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        with open(path) as f:
            if any(line.split()[1].endswith(want) for line in f):
                return True
    return False


def start_udp(b, argv, port=None, **kw):
    """Start a server, and return when its port is bound."""
    port = port or b.port
    p = b.start("server", argv, **kw)

    def ready():
        if not p.running():
            raise Failed("server ended with %d: %s" % (p.status(), p.output()[-300:]))
        return udp_bound(port)
    wait_for("socket at port %d" % port, ready, 10)
    return p


def peer(name, *args):
    return [PYTHON, os.path.join(PEERS_DIR, name), *[str(a) for a in args]]


def udp_echo(b):
    """Some 3,000 datagrams there and back, of all sizes, connected and not; both families."""
    meter = Meter(b)
    for home in HOMES:
        port = free_port()
        start_udp(b, peer("udp_server.py", home, port), port)
        out = b.client(peer("udp_client.py", home, port, 1500))
        check(out == b"1500 right\n", "client said: %r" % out)
    meter.expect(b.test, 2 * 2 * 1500 * 100)


def socat_udp(b):
    """socat, a process and a program for each client."""
    meter = Meter(b)
    total = 0
    for home, target, options in (("127.0.0.1", "UDP4-LISTEN", "fork"),
                                  ("127.0.0.1", "UDP4-RECVFROM", "fork"),
                                  ("[::1]", "UDP6-LISTEN", "fork")):
        port = free_port()
        start_udp(b, ["socat", "-T", "5", "%s:%d,bind=%s,%s" % (target, port, home, options),
                      "EXEC:cat"], port)
        for n in (1, 700, 1400):
            data = hashlib.sha256(b"%d" % n).hexdigest().encode() * 22
            data = data[:n]
            with open(b.path("up"), "wb") as f:
                f.write(data)
            with open(b.path("up"), "rb") as f:
                got = b.client(["socat", "-t", "0.3", "-", "UDP:%s:%d" % (home, port)], stdin=f)
            check(got == data, "%s: %d bytes came back of %d" % (target, len(got), n))
            total += 2 * n
    meter.expect(b.test, total)


def netcat_udp(b):
    """nc -u at both ends; what is written at one is read at the other."""
    with open(b.path("received"), "wb") as out:
        p = start_udp(b, ["nc", "-u", "-l", b.addr, str(b.port)], stdout=out)
    data = b"".join(b"line %d\n" % i for i in range(100))
    with open(b.path("up"), "wb") as f:
        f.write(data)
    with open(b.path("up"), "rb") as f:
        b.client(["nc", "-u", "-w", "1", "-q", "0", b.addr, str(b.port)], stdin=f)

    def received():
        with open(b.path("received"), "rb") as f:
            return f.read() == data
    wait_for("the data at nc -l", received, 3)
    check(p.running(), "nc -l ended")


def iperf3_udp(b):
    """Paced, so that nothing need be lost: what was sent is what arrived, in order."""
    meter = Meter(b)
    b.server(["iperf3", "-s", "-B", b.addr, "-p", str(b.port)])
    octets = 0
    for options in (("-b", "100M", "-l", "1400"), ("-R", "-b", "100M", "-l", "1400"),
                    ("-b", "20M", "-l", "8000", "-P", "3")):
        out = json.loads(b.client(["iperf3", "-u", "-c", b.addr, "-p", str(b.port), "-J",
                                   "-t", "1", *options]))
        name = " ".join(("iperf3 -u",) + options)
        check("error" not in out, "%s: %s" % (name, out.get("error")))
        total = out["end"]["sum"]
        check(total["packets"] > 500, "%s: %d packets" % (name, total["packets"]))
        # On a busy machine the reader may fall behind; not by much.
        check(total["lost_percent"] < 20, "%s: %s %% lost" % (name, total["lost_percent"]))
        for s in out["end"]["streams"]:
            check(s["udp"].get("out_of_order", 0) == 0, "%s: out of order" % name)
        octets += int(total["bytes"] * (1 - total["lost_percent"] / 100))
        time.sleep(0.1)
    meter.expect(b.test, octets // 2)


def multicast(b):
    """A group on the loopback interface: each member has each datagram, once."""
    if b.six and not share.alone:
        raise Skipped("IPv6's groups have no route at lo")
    out = b.path("members")
    members = []
    with open(out, "wb") as f:
        for _ in range(2):
            members.append(b.start("server", peer("multicast.py", "member", b.addr, b.port),
                                   stdout=f))
    wait_for("members", lambda: udp_bound(b.port) and open(out).read().count("member") == 2, 5)
    b.client(peer("multicast.py", "send", b.addr, b.port, 50))
    for m in members:
        check(m.wait(5) == 0, "a member: %s" % m.output())


def sntp(b):
    """A small SNTP server, asked by chronyd -Q; and chronyd as the server."""
    ask = ["chronyd", "-Q", "-x", "-t", "10", "-u", "root"]
    far = free_port()
    b.start("server", peer("sntp_server.py", b.addr, b.port))
    wait_for("socket at port %d" % b.port, lambda: udp_bound(b.port), 5)
    with open(b.path("chrony.conf"), "w") as f:
        f.write("local stratum 8\nallow\nport %d\nbindaddress %s\ncmdport 0\n"
                "bindcmdaddress /\npidfile %s\n" % (far, b.addr, b.path("chrony.pid")))
    start_udp(b, ["chronyd", "-d", "-x", "-u", "root", "-f", b.path("chrony.conf")], far)
    for port in (b.port, far):
        p = b.start("client", [*ask, "pidfile " + b.path("pid-%d" % port),
                               "server %s port %d iburst maxsamples 1" % (b.addr, port)])
        status = p.wait(15)
        check(status == 0 and re.search(r"System clock wrong by -?\d+\.\d+ seconds", p.output()),
              "chronyd -Q: exit %s: %s" % (status, p.output()[-300:]))


def nio(b):
    """DatagramChannel and SocketChannel of Java's NIO, selectors and all; both ends."""
    classes = b.path("classes")
    os.mkdir(classes)
    subprocess.run(["javac", "-d", classes, os.path.join(PEERS_DIR, "NioPeer.java")], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    java = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", classes, "NioPeer"]
    b.start("server", [*java, "server", b.addr, str(b.port)])
    wait_for("both sockets", lambda: udp_bound(b.port), 20)
    out = b.client([*java, "client", b.addr, str(b.port)], seconds=40)
    check(out == b"2000 datagrams, 2000 records\n", "the client said: %r" % out)


def mosquitto(b):
    """Messages of each quality of service through a broker; over IPv6, too."""
    with open(b.path("mosquitto.conf"), "w") as f:
        f.write("listener %d 127.0.0.1\nlistener %d ::1\nallow_anonymous true\nuser root\n"
                "persistence false\n" % (b.port, b.port))
    broker = b.server(["mosquitto", "-v", "-c", b.path("mosquitto.conf")])
    subscribed = 0
    for home in HOMES:
        for qos in (0, 1, 2):
            where = ["-h", home, "-p", str(b.port), "-q", str(qos), "-t", "t/%d" % qos]
            got = b.path("got-%d-%d" % (qos, len(home)))
            with open(got, "wb") as f:
                sub = b.start("client", ["mosquitto_sub", *where, "-C", "200", "-W", "15"],
                              stdout=f)
            subscribed += 1
            wait_for("subscription",
                     lambda: broker.output().count("Sending SUBACK") == subscribed, 5)
            data = b"".join(b"message %d\n" % i for i in range(200))
            with open(b.path("messages"), "wb") as f:
                f.write(data)
            with open(b.path("messages"), "rb") as f:
                b.client(["mosquitto_pub", *where, "-l"], stdin=f)
            check(sub.wait(15) == 0, "mosquitto_sub: %s" % sub.output())
            with open(got, "rb") as f:
                received = f.read()
            check(received == data, "%d bytes of messages of quality %d, not %d" %
                  (len(received), qos, len(data)))


socat_udp.needs = ("socat",)
netcat_udp.needs = ("nc",)
iperf3_udp.needs = ("iperf3",)
sntp.needs = ("chronyd",)
nio.needs = ("java", "javac")
netcat_udp.six = iperf3_udp.six = multicast.six = sntp.six = nio.six = True
mosquitto.needs = ("mosquitto", "mosquitto_sub", "mosquitto_pub")
TESTS = (udp_echo, socat_udp, netcat_udp, iperf3_udp, multicast, sntp, mosquitto, nio)
