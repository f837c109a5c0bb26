# SPDX-License-Identifier: BSD-2-Clause
"""ftp_client.py PORT BYTES [FOLDER]: files up, down and compared, active and passive, ABOR."""
import ftplib
import io
import os
import sys

port, size = int(sys.argv[1]), int(sys.argv[2])
folder = sys.argv[3] if len(sys.argv) > 3 else ""


def session(passive):
    f = ftplib.FTP(timeout=15)
    f.connect(os.environ.get("PEER_ADDR", "127.0.0.1"), port)
    f.login()
    f.set_pasv(passive)
    if folder:
        f.cwd(folder)
    return f


def aborted(f):
    """A download that is given up after its beginning; the session is as good as before."""
    f.voidcmd("TYPE I")
    conn = f.transfercmd("RETR file-1")
    assert conn.recv(1000)
    f.sock.sendall(b"ABOR\r\n")
    while conn.recv(65536):
        pass
    conn.close()
    # 426 and 226, or 226 and 225 where all had been sent.
    first = f.getmultiline()[:3]
    assert first in ("426", "226"), first
    second = f.getmultiline()[:3]
    assert second in ("226", "225"), second
    assert f.voidcmd("NOOP")[0] == "2"


for passive in (True, False):
    data = os.urandom(size)
    with session(passive) as ftp:
        name = "file-%d" % passive
        ftp.storbinary("STOR " + name, io.BytesIO(data))
        assert ftp.size(name) == size
        got = bytearray()
        ftp.retrbinary("RETR " + name, got.extend)
        assert got == data, "the file came back different"
        assert name in ftp.nlst()
        aborted(ftp) if passive else None
        ftp.retrbinary("RETR " + name, got.extend, rest=size // 2)
        assert got == data + data[size // 2:], "the second half came back different"
        lines = []
        ftp.retrlines("LIST", lines.append)
        assert any(str(size) in l for l in lines), lines
        ftp.quit()
print("right")
