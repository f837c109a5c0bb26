#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Turn calls.list into the table that fdcalls.c includes, and find the calls
of libc's headers that it lacks.

usage: generate.py table [FILE]    the C table, to FILE or standard output
       generate.py missing         names that take a descriptor and are not listed
       generate.py names           names that are tried
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = """aio arpa/inet dirent fcntl mqueue netdb netinet/in poll pty signal spawn stdio
stdlib sys/epoll sys/eventfd sys/fanotify sys/file sys/inotify sys/ioctl sys/mman sys/mount
sys/pidfd sys/select sys/sendfile sys/signalfd sys/socket sys/stat sys/statfs sys/statvfs
sys/time sys/timerfd sys/uio sys/xattr termios unistd utmp sched""".split()
DESCRIPTOR = re.compile(r"\b(?:int|mqd_t) (?:__)?(?:\w*fd\w*|fildes|s|sockfd|desc|mqdes)\b"
                        r"|\bpollfd\b|\bfd_set\b")


def calls():
    for line in open(os.path.join(HERE, "calls.list")):
        line = line.strip()
        if line and not line.startswith("#"):
            title, states, rest = (part.strip() for part in line.split("|", 2))
            yield title, states, rest


def in_headers():
    source = "".join(f"#include <{h}.h>\n" for h in HEADERS)
    text = subprocess.run(["cc", "-E", "-P", "-D_GNU_SOURCE", "-x", "c", "-"], input=source,
                          capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\s+", " ", text)
    # Only prototypes: no braces, and no ; within.
    for m in re.finditer(r"(\w+) ?\(((?:[^()]|\([^()]*\))*)\)(?: __(?:attribute|asm)__[^;{]*)*;", text):
        if DESCRIPTOR.search(m.group(2)):
            yield m.group(1)


def main():
    verb = sys.argv[1] if len(sys.argv) > 1 else "table"
    names = {title.split(":")[0] for title, _, _ in calls()}
    if verb == "missing":
        alike = {n + "64" for n in names}
        for name in sorted(set(in_headers()) - names - alike):
            print(name)
    elif verb == "names":
        print("\n".join(sorted(names)))
    else:
        out = open(sys.argv[2], "w") if len(sys.argv) > 2 else sys.stdout
        for i, (title, states, rest) in enumerate(calls()):
            if states != "skip":
                # What is tried on a stream is tried on datagrams: a connected
                # socket with one that waits, and a new one.
                more = "d" * ("c" in states) + "u" * ("n" in states)
                out.write(f'CALL({i}, "{title}", "{states + more}", {rest})\n')


main()
