# SPDX-License-Identifier: BSD-2-Clause
"""The command line: chooses tests, runs them one by one, adds them up."""
import argparse
import fnmatch
import os
import random
import signal
import subprocess
import time

from . import bad_input, deaths, limits, packets, points, prefork, stage, wards

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
LIMIT_S = 200  # of one test


class TimedOut(Exception):
    """A test took longer than it may."""


def on_alarm(_sig, _frame):
    raise TimedOut("took too long")


def faults_build(path):
    """A build with stop points, up to date."""
    if not os.path.exists(os.path.join(path, "build.ninja")):
        subprocess.run(["meson", "setup", "-Dfaults=true", path, ROOT], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", path, "src/cli/mortise", "src/daemon/mortised",
                    "src/preload/libmortise.so", "tests/faults/actor"], check=True,
                   stdout=subprocess.DEVNULL)
    return path


class Settings:
    """What the tests are given."""

    def __init__(self, args):
        self.plain = os.path.dirname(os.path.dirname(os.path.dirname(args.mortise)))
        self._faults = os.path.abspath(args.faults or self.plain + "-faults")
        self._built = False
        self.seed = args.seed
        self.random = random.Random(args.seed)

    @property
    def faults(self):
        if not self._built:
            faults_build(self._faults)
            self._built = True
        return self._faults


def run_one(name, fn, settings):
    """Run one test. Return "ok", "not ok" or "skip"."""
    began = time.monotonic()
    signal.alarm(LIMIT_S)
    stages = []

    def make(*args, **kw):
        s = stage.Stage(*args, **kw)
        stages.append(s)
        return s

    try:
        fn(settings, make)
        signal.alarm(0)
        print("ok %s (%.1f s)" % (name, time.monotonic() - began), flush=True)
        return "ok"
    except stage.Skipped as e:
        signal.alarm(0)
        print("skip %s: %s" % (name, e), flush=True)
        return "skip"
    except Exception as e:  # a test's own mistake is its failure, not the end of the suite's
        signal.alarm(0)
        why = str(e) if isinstance(e, stage.Failed) else "%s: %s" % (type(e).__name__, e)
        print("not ok %s: %s" % (name, why), flush=True)
        for s in stages:
            print("\n".join("  " + l for l in s.words().split("\n")), flush=True)
        return "not ok"
    finally:
        signal.alarm(0)
        for s in stages:
            s.close()


def main():
    build = os.environ.get("MORTISE_BUILD", os.path.join(ROOT, "build"))
    ap = argparse.ArgumentParser(description="death, stopping, exhaustion and bad input")
    ap.add_argument("--mortise", metavar="PATH", default=os.environ.get(
        "MORTISE", os.path.join(build, "src", "cli", "mortise")))
    ap.add_argument("--faults", metavar="DIR", help="a build with -Dfaults=true")
    ap.add_argument("--only", default="*", metavar="PATTERN", help="part of a name, or a glob")
    ap.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    ap.add_argument("--list", action="store_true", help="print the names")
    args = ap.parse_args()
    args.mortise = os.path.abspath(args.mortise)

    pattern = args.only if any(c in args.only for c in "*?[") else "*%s*" % args.only
    tests = [t for m in (points, prefork, deaths, packets, limits, wards, bad_input) for t in m.tests()]
    chosen = [t for t in tests if fnmatch.fnmatch(t[0], pattern)]
    if not chosen:
        ap.error("no test matches %s; --list names them" % args.only)
    if args.list:
        print("\n".join(t[0] for t in chosen))
        return 0
    if not os.access(args.mortise, os.X_OK):
        ap.error("no program at %s; build first, or name it with --mortise" % args.mortise)
    settings = Settings(args)
    print("seed %d" % args.seed, flush=True)
    signal.signal(signal.SIGALRM, on_alarm)
    results = [run_one(name, fn, settings) for name, fn in chosen]
    print("%d passed, %d failed, %d skipped" % tuple(
        results.count(r) for r in ("ok", "not ok", "skip")))
    return 1 if "not ok" in results else 0
