# SPDX-License-Identifier: BSD-2-Clause
"""A WSGI application: answers each request with the digest of its body and the worker's pid."""
import hashlib
import os


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", str(os.getpid()))])
    return [hashlib.sha256(body).hexdigest().encode() + b"\n"]
