# SPDX-License-Identifier: BSD-2-Clause
"""What tshark's expert analysis has to say of a capture."""
import collections
import re
import subprocess

from suite.harness import Failed

# Ends; receivers that are slower than senders; connections that their programs reset.
# The kernel's own segmentation writes a checksum of 0 as 0xffff, which is as right.
ALWAYS = (r"the connection closing|Zero ?Window|window.* full|Connection reset|Keep-Alive|"
          r"0xffff instead of 0x0000")
# What a link may do that loses, delays and repeats.
LOSSY = (ALWAYS + r"|[Rr]etransmission|[Oo]ut-[Oo]f-[Oo]rder|Duplicate ACK|D-SACK|"
         r"reassembl|[Pp]revious segment")
NOT_LOOKED_AT = ["-d", "tcp.port==1-65535,data", "-d", "udp.port==1-65535,data"]
CHECKS = ("tcp.check_checksum:TRUE", "udp.check_checksum:TRUE", "ip.check_checksum:TRUE")
# Of these there may be so many over a good link as well: where the machine is busy, an ACK
# comes late, and a segment once more.
STRAY = 20
NOTE = 4194304  # the severity of a retransmission; less is a chat, of each SYN


def findings(path, lossy, sources):
    """{(source, what tshark says): frames} of all that is no chat, but for what is in order."""
    options = [o for c in CHECKS for o in ("-o", c)]
    r = subprocess.run(
        # What the streams carry is not looked at: a port may be some protocol's.
        ["tshark", "-n", "-r", path, *options, *NOT_LOOKED_AT,
         "-Y", "_ws.expert.severity >= %d" % NOTE, "-T", "fields", "-E", "aggregator=|",
         "-e", "ip.src", "-e", "_ws.expert.severity", "-e", "_ws.expert.message"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        check=False)
    if r.returncode != 0:
        raise Failed("tshark: %s" % r.stderr.strip())
    found = collections.Counter()
    stray = collections.Counter()
    for line in r.stdout.splitlines():
        source, severities, messages = (line.split("\t") + ["", ""])[:3]
        # Of an ICMP error, the outer address comes first.
        source = source.split("|")[0]
        for severity, message in zip(severities.split("|"), messages.split("|")):
            if source not in sources or int(severity) < NOTE or re.search(ALWAYS, message):
                continue
            kind = stray if re.search(LOSSY, message) else found
            kind[source, message] += 1
    return found if lossy or sum(stray.values()) <= STRAY else found + stray


def frames(path, what):
    """How many frames a display filter finds."""
    r = subprocess.run(["tshark", "-n", "-r", path, "-Y", what, "-T", "fields", "-e", "frame.number"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, check=False)
    if r.returncode != 0:
        raise Failed("tshark: %s" % r.stderr.strip())
    return len(r.stdout.splitlines())
