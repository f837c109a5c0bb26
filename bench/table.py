# SPDX-License-Identifier: BSD-2-Clause
"""Medians, spreads, ratios, and the table that shows them."""
import statistics

HEAD = ("what", "placement", "unit", "kernel", "spread", "Mortise", "spread", "ratio", "target", "")


class Result:
    """One figure's values on all sides, by rounds."""

    def __init__(self, figure, sides):
        self.figure = figure
        self.values = {side: [] for side in sides}
        self.failures = []

    def yardstick(self):
        """(side, its values): the better of the kernel's."""
        pick = min if self.figure.less else max
        sides = {s: v for s, v in self.values.items() if s != "mortise" and v}
        if not sides:
            return None, []
        side = pick(sides, key=lambda s: self.kernel_value(sides[s]))
        return side, sides[side]

    def kernel_value(self, values):
        if self.figure.best_mode:
            return min(values) if self.figure.less else max(values)
        return statistics.median(values)

    def ratio(self):
        """Mortise's median in kernel's, or None."""
        ours = self.values.get("mortise")
        _, theirs = self.yardstick()
        if not ours or not theirs:
            return None
        return statistics.median(ours) / self.kernel_value(theirs)

    def verdict(self):
        if self.failures:
            return "failed"
        r = self.ratio()
        if r is None:
            return ""
        return "met" if (r <= self.figure.target if self.figure.less
                         else r >= self.figure.target) else "missed"

    def cells(self):
        f = self.figure
        side, theirs = self.yardstick()
        ours = self.values.get("mortise") or []
        r = self.ratio()
        return (f.name, f.placement, f.unit,
                "%s (%s)" % (number(self.kernel_value(theirs)), side) if theirs else "-",
                spread(theirs), number(statistics.median(ours)) if ours else "-", spread(ours),
                times(r, f.less) if r else "-",
                ("<= " if f.less else ">= ") + times(f.target, f.less), self.verdict())


def number(x):
    if x >= 1e6:
        return "%.2f M" % (x / 1e6)
    if x >= 1e4:
        return "%.1f k" % (x / 1e3)
    return "%.0f" % x if x >= 100 else "%.3g" % x


def spread(values):
    """Least and greatest of the rounds."""
    return "%s..%s" % (number(min(values)), number(max(values))) if values else "-"


def times(r, less):
    """A ratio below one reads better as a fraction."""
    return "1/%.3g" % (1 / r) if less and r < 1 else "%.3g" % r


def show(rows, markdown=False):
    """Rows of cells, under HEAD."""
    if markdown:
        lines = ["| %s |" % " | ".join(r) for r in [HEAD] + rows]
        lines.insert(1, "|" + " --- |" * len(HEAD))
        return "\n".join(lines)
    widths = [max(len(r[i]) for r in [HEAD] + rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip()
                     for r in [HEAD] + rows)
