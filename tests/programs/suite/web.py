# SPDX-License-Identifier: BSD-2-Clause
"""apache2 with preforked processes, lighttpd with workers, haproxy in front of both.

Not as root: a server that is started as root serves as somebody else, and
memory is shared within one user only.
"""
import glob
import os
import re

from . import user
from .harness import Skipped, check, free_port, wait_for
from .http import MB, big_file, same
from .share import Meter

BIG = 20 * MB
APACHE = """
ServerRoot {dir}
ServerName localhost
Listen {host}:{port}
PidFile {dir}/apache-{port}.pid
ErrorLog {dir}/apache-{port}.log
{modules}
Mutex file:{dir} default
DefaultRuntimeDir {dir}
StartServers 8
MinSpareServers 2
MaxSpareServers 10
MaxRequestWorkers 40
MaxConnectionsPerChild {each}
KeepAlive On
MaxKeepAliveRequests 0
EnableSendfile On
EnableMMAP Off
DocumentRoot {dir}/www
<Directory {dir}/www>
	Require all granted
</Directory>
CustomLog {dir}/apache-{port}.access "%P %s %B"
"""
LIGHTTPD = """
server.document-root = "{dir}/www"
server.bind = "{host}"
server.port = {port}
server.max-worker = {workers}
server.errorlog = "{dir}/lighttpd-{port}.log"
server.network-backend = "sendfile"
mimetype.assign = ( "" => "application/octet-stream" )
"""
HAPROXY = """
global
	maxconn 500
	{threads}
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
	retries 2
	option redispatch
frontend in
	bind {host}:{port}
	default_backend pair
backend pair
	balance roundrobin
	http-response set-header X-Served-By %s
	server one {host}:{one} check inter 200ms
	server two {host}:{two} check inter 200ms
"""


def apache_modules():
    for where in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"):
        if glob.glob(where + "/mod_mpm_prefork.so"):
            return "\n".join("LoadModule %s_module %s/mod_%s.so" % (m, where, m)
                             for m in ("mpm_prefork", "authz_core"))
    raise Skipped("apache2's prefork module is not here")


def files(b):
    """A large and a small one; the meter."""
    user.unprivileged(b)
    www = b.path("www")
    os.mkdir(www)
    big_file(os.path.join(www, "big"), BIG // MB)
    with open(os.path.join(www, "small"), "wb") as f:
        f.write(os.urandom(612))
    return Meter(b)


def write(b, name, text):
    with open(b.path(name), "w") as f:
        f.write(text)
    return b.path(name)


def start_apache(b, port, each=0):
    conf = write(b, "apache-%d.conf" % port, APACHE.format(
        dir=b.dir, host=b.host, port=port, modules=apache_modules(), each=each))
    return b.server(["apache2", "-D", "FOREGROUND", "-f", conf], port=port)


def start_lighttpd(b, port, workers=2):
    conf = write(b, "lighttpd-%d.conf" % port,
                 LIGHTTPD.format(dir=b.dir, host=b.host, port=port, workers=workers))
    return b.server(["lighttpd", "-D", "-f", conf], port=port)


def url(b, name):
    return "http://%s:%d/%s" % (b.host, b.port, name)


def fetch(b, name, *options):
    want, got = b.path("www/" + name), b.path("got")
    b.client(["curl", "-sS", "--fail", "-o", got, *options, url(b, name)])
    check(same(got, want), "%s came out different" % name)
    return os.path.getsize(want)


def ab(b, requests, *options):
    """Octets of so many requests, each answered in full."""
    out = b.client(["ab", "-q", "-s", "10", "-n", str(requests), "-c", "16", *options,
                    url(b, "small")]).decode()
    for key, value in (("Complete requests", requests), ("Failed requests", 0)):
        m = re.search(r"^%s: +(\d+)" % key, out, re.M)
        check(m and int(m.group(1)) == value, "ab said: %s" % out)
    check("Non-2xx" not in out, "ab said: %s" % out)
    return requests * 612


def load(b):
    octets = fetch(b, "big") + fetch(b, "small")
    octets += ab(b, 2000) + ab(b, 4000, "-k", "-c", "8")
    return octets + fetch(b, "big")


def apache_prefork(b):
    """8 to 40 processes that leave after 500 connections each; files compared, no request lost."""
    meter = files(b)
    start_apache(b, b.port, each=500)
    octets = load(b)
    with open(b.path("apache-%d.access" % b.port)) as f:
        log = [l.split() for l in f]
    # ab asks again where a process left between two requests of a connection.
    check(6003 <= len(log) <= 6003 + 24 and all(l[1] == "200" for l in log), "%d lines of log" % len(log))
    check(len({l[0] for l in log}) > 4, "processes that served: %s" % {l[0] for l in log})
    meter.expect(b.test, octets)


def lighttpd_workers(b):
    """Two workers behind one listener."""
    meter = files(b)
    start_lighttpd(b, b.port)
    meter.expect(b.test, load(b))


def haproxy_pair(b):
    """haproxy in front of apache2 and lighttpd; one of them dies under load, and comes back."""
    meter = files(b)
    one, two = free_port(), free_port()
    a = start_apache(b, one)
    light = start_lighttpd(b, two, 0)
    conf = write(b, "haproxy.conf", HAPROXY.format(
        host=b.host, port=b.port, one=one, two=two, threads="nbthread 2"))
    b.server(["haproxy", "-db", "-f", conf])

    def up():
        seen = set()
        for _ in range(4):
            out = b.client(["curl", "-sS", "-D", "-", "-o", "/dev/null", url(b, "small")])
            seen |= set(re.findall(rb"^server: (\w+)", out, re.M | re.I))
        return len(seen) == 2
    wait_for("both servers in turn", up, 5, 0.1)
    octets = 2 * load(b)  # to haproxy, and from it
    light.stop()
    wait_for("the other one alone", lambda: not up(), 5, 0.1)
    octets += 2 * ab(b, 500)
    start_lighttpd(b, two, 0)
    wait_for("both again", up, 5, 0.1)
    octets += 2 * fetch(b, "big")
    check(a.running(), "apache2 ended")
    # Health checks of a server that is not there.
    meter.expect(b.test, octets, also=("no-listener",))


TESTS = (apache_prefork, lighttpd_workers, haproxy_pair)
for t in TESTS:
    t.needs = ("curl", "ab", "cmp")
    t.six = True
apache_prefork.needs += ("apache2",)
lighttpd_workers.needs += ("lighttpd",)
haproxy_pair.needs += ("apache2", "lighttpd", "haproxy")
