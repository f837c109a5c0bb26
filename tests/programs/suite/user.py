# SPDX-License-Identifier: BSD-2-Clause
"""Running a test as an unprivileged user, where the suite itself is root's."""
import os
import shutil

UID = GID = 65534
PARTS = ("src/cli/mortise", "src/preload/libmortise.so", "src/daemon/mortised")


def prefix():
    """What is put before a command that is to be that user's."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=%d" % UID, "--regid=%d" % GID, "--clear-groups", "--"]


def unprivileged(b):
    """From here on, the programs of this test, its daemon included, are that user's."""
    if os.geteuid() != 0 or b.prefix:
        return
    os.chmod(b.dir, 0o755)
    home = b.path("home")
    for d in (b.dir, home, b.env["MORTISE_DIR"]):
        os.makedirs(d, exist_ok=True)
        os.chown(d, UID, GID)
    # The build may lie where others cannot look.
    here = b.path("bin")
    os.mkdir(here)
    build = os.path.dirname(os.path.dirname(os.path.dirname(b.mortise)))
    for part in PARTS:
        src = os.path.join(build, part)
        if os.path.exists(src):
            shutil.copy(src, here)
    if os.path.exists(os.path.join(here, "libmortise.so")):
        b.mortise = os.path.join(here, "mortise")
    b.env["HOME"] = home
    b.prefix = prefix()


def own(path):
    """Give a directory to that user."""
    if os.geteuid() == 0:
        os.chown(path, UID, GID)
