# SPDX-License-Identifier: BSD-2-Clause
"""dnsmasq and unbound, asked by dig and by dnsperf, over UDP and TCP, both families."""
import re

from .harness import check, free_port
from .udp import HOMES, start_udp
from .share import Meter

NAMES = 60
TEXT = "a text of some length, so that the answer is long; " * 4


def address(n):
    return "192.0.%d.%d" % (2 + n // 250, 1 + n % 250)


def dnsmasq_server(b, port):
    argv = ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
            "--port=%d" % port, "--listen-address=127.0.0.1", "--listen-address=::1",
            "--bind-interfaces", "--user=root", "--pid-file=", "--local=/test/"]
    argv += ["--host-record=n%d.example.test,%s" % (n, address(n)) for n in range(NAMES)]
    argv += ["--txt-record=text.example.test,%s" % TEXT.replace(",", "")]
    return start_udp(b, argv, port)


def unbound_server(b, port, threads=2, before=()):
    with open(b.path("unbound.conf"), "w") as f:
        f.write("""server:
	interface: 127.0.0.1@%d
	interface: ::1@%d
	do-daemonize: no
	use-syslog: no
	chroot: ""
	username: ""
	directory: "%s"
	pidfile: ""
	num-threads: %d
	so-reuseport: yes
	access-control: 127.0.0.0/8 allow
	access-control: ::1 allow
	module-config: "iterator"
	local-zone: "test." static
	local-data: 'text.example.test. TXT "%s"'
""" % (port, port, b.dir, threads, TEXT.replace(",", "")))
        for n in range(NAMES):
            f.write("\tlocal-data: \"n%d.example.test. A %s\"\n" % (n, address(n)))
        f.write("remote-control:\n\tcontrol-enable: no\n")
    return start_udp(b, [*before, "unbound", "-d", "-c", b.path("unbound.conf")], port)


def ask(b, home, port, options, names, kind="A"):
    """What dig says to all of them, by name."""
    with open(b.path("names"), "w") as f:
        f.write("".join("%s %s\n" % (n, kind) for n in names))
    out = b.client(["dig", "@" + home, "-p", str(port), "+tries=2", "+time=3", "+noall", "+answer",
                    *options, "-f", b.path("names")], seconds=40).decode()
    return dict(re.findall(r"^(\S+?)\.\s+\d+\s+IN\s+%s\s+(.*)$" % kind, out, re.M))


def asked(b, start):
    meter = Meter(b)
    port = free_port()
    start(b, port)
    names = ["n%d.example.test" % n for n in range(NAMES)]
    for home in HOMES:
        for options in ((), ("+tcp",), ("+bufsize=1232", "+nocookie")):
            got = ask(b, home, port, options, names)
            check(got == {n: address(i) for i, n in enumerate(names)},
                  "%s %s: %d of %d answers" % (home, options, len(got), NAMES))
        text = ask(b, home, port, (), ["text.example.test"], "TXT").get("text.example.test", "")
        check(text.replace('" "', "").strip('"') == TEXT.replace(",", ""), "text: %s" % text)
    meter.expect(b.test, 2 * 3 * NAMES * 60)


def dnsmasq(b):
    asked(b, dnsmasq_server)


def unbound(b):
    asked(b, unbound_server)


def dnsperf_run(b, port, seconds, clients=4, before=()):
    """(queries, completed, lost, a second) of a run."""
    with open(b.path("queries"), "w") as f:
        f.write("".join("n%d.example.test A\n" % n for n in range(NAMES)))
    out = b.client([*before, "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", b.path("queries"), "-l",
                    str(seconds), "-c", str(clients), "-T", "1"], seconds=seconds + 20).decode()
    values = [re.search(p + r":\s+([\d.]+)", out) for p in
              ("Queries sent", "Queries completed", "Queries lost", "Queries per second")]
    check(all(values), "dnsperf said: %s" % out[-500:])
    codes = re.search(r"Response codes:\s+NOERROR (\d+) \(100.00%\)", out)
    check(codes, "not all answers are right: %s" % out[-500:])
    return [float(v.group(1)) for v in values]


def dnsperf_unbound(b):
    """As fast as it goes: each query has its answer."""
    port = free_port()
    unbound_server(b, port)
    sent, completed, lost, rate = dnsperf_run(b, port, 2)
    print("  %s: %d queries a second" % (b.test, rate), flush=True)
    check(completed > 1000 and lost <= sent / 100, "%d sent, %d completed" % (sent, completed))


dnsmasq.needs = ("dnsmasq", "dig")
unbound.needs = ("unbound", "dig")
dnsperf_unbound.needs = ("unbound", "dnsperf")
TESTS = (dnsmasq, unbound)
SLOW = (dnsperf_unbound,)
