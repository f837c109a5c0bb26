# SPDX-License-Identifier: BSD-2-Clause
"""worker.py - Run tests of one of CPython's suites, in this process.

usage: worker.py EVENTS SUITE [LIST]

Each test's start and outcome is appended to the file EVENTS, one JSON object
a line, so that whoever reads it knows where a run hung or died. LIST is a
file of test names, one a line: only those ("-" in front: all but those).
SUITE:tcp is SUITE with socketpair() giving TCP connections, which is what
Mortise can have in memory.
"""
import faulthandler
import importlib
import json
import os
import sys
import traceback
import unittest

EVENTS = os.path.abspath(sys.argv[1]) if __name__ == "__main__" else None
PID = os.getpid()


def tell(**event):
    # Opened each time: tests close descriptors, and fork.
    if os.getpid() == PID:
        with open(EVENTS, "a", encoding="utf-8") as f:
            f.write(json.dumps(event) + "\n")


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.outcome, self.text = "pass", ""
        tell(start=test.id())

    def stopTest(self, test):
        super().stopTest(test)
        tell(end=test.id(), outcome=self.outcome, text=self.text)

    def note(self, test, outcome, err):
        text = "".join(traceback.format_exception(*err)) if err else ""
        if isinstance(test, unittest.TestCase):
            self.outcome, self.text = outcome, self.text + text
        else:  # setUpClass and its like
            tell(end=test.id(), outcome=outcome, text=text)

    def addError(self, test, err):
        self.note(test, "error", err)

    def addFailure(self, test, err):
        self.note(test, "fail", err)

    def addSubTest(self, test, subtest, err):
        if err:
            self.note(test, "fail", err)

    def addSkip(self, test, reason):
        if not isinstance(test, unittest.TestCase):
            tell(end=test.id(), outcome="skip", text=reason)
        # A skipped subtest does not make the test skipped.
        elif type(test).__name__ != "_SubTest":
            self.outcome, self.text = "skip", reason

    def addExpectedFailure(self, test, err):
        self.outcome = "xfail"

    def addUnexpectedSuccess(self, test):
        self.outcome = "fail"


def tcp_pair(family=None, kind=None, proto=0):
    import socket

    if family not in (None, socket.AF_UNIX) or kind not in (None, socket.SOCK_STREAM):
        return socket.unix_pair(*(a for a in (family, kind, proto) if a is not None))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        one.connect(listener.getsockname())
        return one, listener.accept()[0]


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main():
    faulthandler.enable()
    name, _, over = sys.argv[2].partition(":")
    if over == "tcp":
        import socket
        socket.unix_pair, socket.socketpair = socket.socketpair, tcp_pair
    from test import support

    # What needs the Internet is left out; test_socketserver alone says
    # "network" and means this machine.
    support.use_resources = ["cpu", "walltime", "subprocess"]
    if name == "test_socketserver":
        support.use_resources.append("network")
    support.verbose = 0
    try:
        module = importlib.import_module("test." + name)
        tests = list(flat(unittest.defaultTestLoader.loadTestsFromModule(module)))
    except unittest.SkipTest as e:
        tell(end="test." + name, outcome="skip", text=str(e))
        tests = []
    if len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8") as f:
            names = f.read().split("\n")
        drop = names[0] == "-"
        tests = [t for t in tests if (t.id() in names) != drop]
    unittest.TestSuite(tests).run(Result())
    tell(done=True)


if __name__ == "__main__":
    main()
