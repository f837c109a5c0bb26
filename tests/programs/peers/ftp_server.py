# SPDX-License-Identifier: BSD-2-Clause
"""ftp_server.py PORT DIR: pyftpdlib, a process for each connection, anonymous may write."""
import os
import sys
import warnings

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import MultiprocessFTPServer

warnings.simplefilter("ignore")
authorizer = DummyAuthorizer()
authorizer.add_anonymous(sys.argv[2], perm="elradfmwMT")
FTPHandler.authorizer = authorizer
FTPHandler.permit_foreign_addresses = True
MultiprocessFTPServer((os.environ.get("PEER_ADDR", "127.0.0.1"), int(sys.argv[1])), FTPHandler).serve_forever()
