"""Judges the checks on what a running service counts.

    python examples/loans/watch.py FOLDER COUNTS

FOLDER holds the monitor file, COUNTS is where the workers of the service share what they count. Each line is a
window: how many rows it has, what each check says of it, and what departs from the reference.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path

from rich.console import Console
from rich.text import Text

import wakeful
from wakeful.loading import load_monitor
from wakeful.monitor import Report
from wakeful.terminal import cause_line, who

MARKS = {"pass": "·", "maturing": "…", "unsure": "?", "fail": "✗"}
COLOURS = {"pass": "green", "maturing": "cyan", "unsure": "yellow", "fail": "bold red"}


class Watch:
    """A window that slides over what a service counts.

    Args:
        monitor: with the checks.
        folder: where the workers share their counts.
        length: of the window, in seconds.
    """

    def __init__(self, monitor: wakeful.Monitor, folder: Path, length: float = 10.0) -> None:
        self.monitor = monitor
        self.folder = folder
        self.length = length
        self._readings = deque([(time.monotonic(), monitor.counts(folder))])

    def look(self) -> Report | None:
        """What the checks say of the window that ends now; nothing where it has no rows."""
        now, counts = time.monotonic(), self.monitor.counts(self.folder)
        self._readings.append((now, counts))
        while len(self._readings) > 2 and now - self._readings[1][0] >= self.length:
            self._readings.popleft()
        window = counts - self._readings[0][1]
        return self.monitor.test(window) if window.rows else None


def line(monitor: wakeful.Monitor, report: Report) -> Text:
    """A window in one line: its rows, a mark for each check, and the first cause of a failure."""
    text = Text(f"{report.rows:>7,} applications   ")
    for check in monitor.checks:
        found = {one.verdict for one in report.verdicts if one.check == check.name}
        worst = next(one for one in ("fail", "unsure", "maturing", "pass") if one in found)
        text.append(MARKS[worst], COLOURS[worst])
    if report.failed and report.explanation:
        text.append(f"   {report.explanation[0].text}", "red")
    return text


def what_fails(monitor: wakeful.Monitor, report: Report) -> Text:
    """Each failing check with whom it reaches, its fear and what it saw; then what departs from the reference."""
    text = Text()
    for check in monitor.checks:
        failed = [one for one in report.failed if one.check == check.name]
        if failed:
            text.append(f"\n✗ {check.name}", "bold red").append(f"  {who(check)}", "dim")
            text.append(f"  {check.fear}\n", "italic")
            text.append("".join(f"  {one.judgement.message}\n" for one in failed[:2]))
            text.append(f"  … and {len(failed) - 2} more\n" if len(failed) > 2 else "")
    text.append("\nWhat departs from the reference, most telling first:\n", "bold")
    return text.append("\n".join(str(cause_line(*one)) for one in enumerate(report.explanation[:3], 1)))


def main() -> None:
    folder, counts = map(Path, sys.argv[1:])
    monitor = load_monitor(next(folder.glob("monitor_*.py")))
    watch, console = Watch(monitor, counts), Console(highlight=False, soft_wrap=True)
    console.print(f"Each mark is a check: {', '.join(check.name for check in monitor.checks)}.")
    console.print("· passes, ✗ fails, ? is unsure, … asks of outcomes that are joined elsewhere.")
    while True:
        time.sleep(2)
        report = watch.look()
        if report is not None:
            console.print(line(monitor, report))


if __name__ == "__main__":
    main()
