# SPDX-License-Identifier: BSD-2-Clause
"""The command line of a suite: chooses tests, runs them one by one, adds them up."""
import argparse
import fnmatch
import os
import shutil
import signal
import time

from . import harness

LIMIT_S = 180  # of one test, where it names no other; each step in it has a shorter one


class World:
    """Where tests run: how a Bench is made, and in which arrangements.

    kernel: those of --kernel.
    """

    def __init__(self, bench=harness.Bench, arrangements=harness.ARRANGEMENTS,
                 kernel=("kernel",)):
        self.bench, self.arrangements, self.kernel = bench, arrangements, kernel


class TimedOut(harness.Failed):
    """A test took longer than it may."""


def on_alarm(_sig, _frame):
    raise TimedOut("took too long")


def expand(functions, kernel, world):
    """All (name, arrangement, function), in order."""
    for fn in functions:
        names = world.kernel if kernel else getattr(fn, "arrangements", world.arrangements)
        if getattr(fn, "six", False):
            names += ("kernel6",) if kernel else ("both6",)
        for arrangement in names:
            yield "%s/%s" % (fn.__name__, arrangement), arrangement, fn


def run_one(mortise, name, arrangement, fn, after, world):
    """Run one test, and after() when its programs are gone. Return "ok", "not ok" or "skip"."""
    started = time.monotonic()
    missing = [p for p in getattr(fn, "needs", ()) if not shutil.which(p)]
    if missing:
        print("skip %s: no %s here" % (name, ", ".join(missing)), flush=True)
        return "skip"
    if arrangement.endswith("6") and not harness.has_inet6():
        print("skip %s: no ::1 here" % name, flush=True)
        return "skip"
    bench = world.bench(mortise, arrangement)
    bench.test = fn.__name__
    signal.alarm(getattr(fn, "limit_s", LIMIT_S))
    try:
        fn(bench)
        bench.finish()
        signal.alarm(0)
        print("ok %s (%.1f s)" % (name, time.monotonic() - started), flush=True)
        return "ok"
    except harness.Skipped as e:
        print("skip %s: %s" % (name, e), flush=True)
        return "skip"
    except Exception as e:  # a test's own mistake is its failure, not the end of the suite's
        signal.alarm(0)
        why = str(e) if isinstance(e, harness.Failed) else "%s: %s" % (type(e).__name__, e)
        print("not ok %s: %s" % (name, why), flush=True)
        print(bench.last_words(), flush=True)
        return "not ok"
    finally:
        signal.alarm(0)
        bench.clean()
        after()


def main(functions, what, begin=None, after_each=lambda: None, world=World(), long=()):
    """Run what the command line chooses of @functions. Return the exit status.

    begin() is called before the first one, after_each() behind each; @long are those
    that only --long runs, too.
    """
    ap = argparse.ArgumentParser(description=what)
    ap.add_argument("--kernel", action="store_true",
                    help="without Mortise: what fails then is the test's own fault")
    ap.add_argument("--mortise", default=harness.default_mortise(), metavar="PATH")
    ap.add_argument("--only", default="*", metavar="PATTERN", help="part of a name, or a glob")
    ap.add_argument("--list", action="store_true", help="print the names")
    if long:
        ap.add_argument("--long", action="store_true", help="with those that take their time")
    args = ap.parse_args()
    if long and args.long:
        functions = [*functions, *long]
    args.mortise = os.path.abspath(args.mortise)

    pattern = args.only if any(c in args.only for c in "*?[") else "*%s*" % args.only
    chosen = [t for t in expand(functions, args.kernel, world) if fnmatch.fnmatch(t[0], pattern)]
    if not chosen:
        ap.error("no test matches %s; --list names them" % args.only)
    if args.list:
        print("\n".join(t[0] for t in chosen))
        return 0
    if not args.kernel and not os.access(args.mortise, os.X_OK):
        ap.error("no program at %s; build first, or name it with --mortise" % args.mortise)

    signal.signal(signal.SIGALRM, on_alarm)
    if begin:
        begin()
    results = [run_one(args.mortise, *t, after_each, world) for t in chosen]
    print("%d passed, %d failed, %d skipped" % tuple(
        results.count(r) for r in ("ok", "not ok", "skip")))
    return 1 if "not ok" in results else 0
