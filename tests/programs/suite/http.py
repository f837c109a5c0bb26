# SPDX-License-Identifier: BSD-2-Clause
"""HTTP: python's http.server, nginx and node, with curl and wrk."""
import hashlib
import os
import re
import struct
import subprocess

from .harness import PEERS_DIR, PYTHON, check

MB = 1 << 20
NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
	access_log off;
	client_body_temp_path {dir};
	proxy_temp_path {dir};
	fastcgi_temp_path {dir};
	uwsgi_temp_path {dir};
	scgi_temp_path {dir};
	sendfile on;
	tcp_nopush on;
	server {{ listen {host}:{port}; root {dir}/www; }}
}}
"""


def big_file(path, mbytes):
    """No two megabytes alike, and none at the wrong place."""
    noise = os.urandom(MB - 8)
    with open(path, "wb") as f:
        for i in range(mbytes):
            f.write(struct.pack("<Q", i))
            f.write(noise)


def url(b, name):
    return "http://%s:%d/%s" % (b.host, b.port, name)


def curl(b, name, seconds=20, *options):
    got = b.path("got")
    b.client(["curl", "-sS", "--fail", "-o", got, *options, url(b, name)], seconds)
    return got


def same(one, other):
    return subprocess.run(["cmp", one, other], check=False).returncode == 0


def http_server(b):
    """python3 -m http.server and curl: a large file, compared."""
    www = b.path("www")
    os.mkdir(www)
    mbytes = 1024 if (b.arrangement in ("both", "kernel") and not b.six) or os.environ.get(
        "MORTISE_TEST_BIG") == "1" else 200
    big_file(os.path.join(www, "big"), mbytes)
    b.server([PYTHON, "-m", "http.server", "--bind", b.addr, "--directory", www, str(b.port)])
    check(same(curl(b, "big", 30), os.path.join(www, "big")), "the file came out different")
    b.client(["curl", "-sS", "--fail", url(b, "none")], status=22)
    b.expect_traffic(2, mbytes * MB)


http_server.needs = ("curl", "cmp")


def nginx(b):
    """nginx as one process; curl verifies, wrk loads."""
    www = b.path("www")
    os.mkdir(www)
    big_file(os.path.join(www, "big"), 50)
    with open(os.path.join(www, "small"), "wb") as f:
        f.write(os.urandom(612))
    with open(b.path("conf"), "w") as f:
        f.write(NGINX.format(dir=b.dir, host=b.host, port=b.port))
    b.server(["nginx", "-p", b.dir, "-c", b.path("conf")])
    check(same(curl(b, "big"), os.path.join(www, "big")), "50 MB came out different")
    check(same(curl(b, "small"), os.path.join(www, "small")), "612 bytes came out different")
    out = b.client(["wrk", "-t", "1", "-c", "32", "-d", "3s", url(b, "small")]).decode()
    served = re.search(r"(\d+) requests in", out)
    check(served and int(served.group(1)) > 100, "wrk said: %s" % out)
    check("Socket errors" not in out and "Non-2xx" not in out, "wrk said: %s" % out)
    check(same(curl(b, "small"), os.path.join(www, "small")), "612 bytes differ after the load")
    b.expect_traffic(35, 50 * MB + 612 * int(served.group(1)))


nginx.needs = ("nginx", "wrk", "curl", "cmp")


def node(b):
    """node's http: 200 posts on kept connections, each answered with its own digest."""
    b.server(["node", os.path.join(PEERS_DIR, "http_server.js"), str(b.port)])
    out = b.client(["node", os.path.join(PEERS_DIR, "http_client.js"), str(b.port), "200"])
    check(out == b"200 right\n", "client said: %r" % out)
    body = os.urandom(300000)
    with open(b.path("body"), "wb") as f:
        f.write(body)
    got = curl(b, "", 20, "--data-binary", "@" + b.path("body"))
    with open(got) as f:
        check(f.read() == hashlib.sha256(body).hexdigest(), "curl's digest differs")
    b.expect_traffic(2, 300000)


node.needs = ("node", "curl")
TESTS = (http_server, nginx, node)
http_server.six = nginx.six = node.six = True
