"""A report as a person reads it in a terminal."""

from __future__ import annotations

import math
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wakeful.checks import Check
from wakeful.explain import Cause
from wakeful.monitor import Monitor, Report
from wakeful.verdicts import Verdict, tidy, worst

__all__ = ["cause_line", "render", "several", "who"]

_MARKS = {"pass": ("✓", "green"), "maturing": ("…", "cyan"), "unsure": ("?", "yellow"), "fail": ("✗", "red")}
_MOST_ROWS = 12  # of one assert; a broken unit in one table can fail a thousand
_MOST_CAUSES = 8


def render(monitor: Monitor, report: Report, console: Console) -> None:
    """Print a report: one block per check, what explains failures, and a closing line."""
    by_check = {name: list(group) for name, group in groupby(report.verdicts, lambda one: one.check)}
    for check in monitor.checks:
        console.print(_block(check, by_check.get(check.name, []), report))
    if report.explanation and any(one.verdict in ("fail", "unsure") for one in report.verdicts):
        console.print(Text("\nWhat departs from the reference, most telling first:", style="bold"))
        for place, cause in enumerate(report.explanation[:_MOST_CAUSES], 1):
            console.print(cause_line(place, cause))
        if len(report.explanation) > _MOST_CAUSES:
            console.print(f"     … and {len(report.explanation) - _MOST_CAUSES} more (all of them with --json)")
    console.print(_closing(monitor, report))


def who(check: Check) -> str:
    """Whom a failure of a check reaches."""
    return f"page {check.page}" if check.page else f"ticket {check.ticket}" if check.ticket else "explains"


def several(number: int, word: str) -> str:
    """A number of things: ``1 window``, ``2,160 windows``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _block(check: Check, verdicts: list[Verdict], report: Report) -> RenderableType:
    outcome = worst((one.verdict for one in verdicts), "pass")
    mark, colour = _MARKS[outcome]
    title = Text.assemble((mark, f"bold {colour}"), " ", (check.name, "bold"), ("  " + who(check), "dim"))
    if outcome == "fail" and check.fear:
        title.append(f"  {check.fear}", style="italic red")
    rows = Table.grid(padding=(0, 2))
    rows.add_column(width=1)
    rows.add_column(overflow="fold")
    for source, group in groupby(verdicts, lambda one: (one.line, one.assertion)):
        _add_rows(rows, source[1], list(group), report)
    if outcome == "fail" and check.action:
        rows.add_row("→", Text(check.action, style="italic"))
    return Group(title, Padding(rows, (0, 0, 0, 2), expand=False))


def _add_rows(rows: Table, source: str, verdicts: list[Verdict], report: Report) -> None:
    """One row for all that hold, one for each that does not."""
    good = [one for one in verdicts if one.verdict == "pass"]
    bad = [one for one in verdicts if one.verdict != "pass"]
    shown = sorted(bad, key=lambda one: one.verdict != "fail")
    is_vector = len({(one.judgement.column, one.judgement.part) for one in verdicts}) > 1
    if good and is_vector:
        text = escape(source.removeprefix("assert "))
        rows.add_row(Text("✓", style="green"), f"{text}  [dim]{_counted(good, len(verdicts))}[/dim]")
    elif good:
        for one in good:
            rows.add_row(Text("✓", style="green"), Text(one.judgement.message))
    for one in shown[:_MOST_ROWS]:
        mark, colour = _MARKS[one.verdict]
        note = f"  {one.note}" if one.note else ""
        rows.add_row(
            Text(mark, style=colour),
            Text(one.judgement.message + note, style=colour if one in report.failed else ""),
        )
    if len(shown) > _MOST_ROWS:
        rows.add_row("", f"[dim]… and {len(shown) - _MOST_ROWS} more[/dim]")


def _counted(good: list[Verdict], every: int) -> str:
    """How many columns or segments hold, and the one nearest to its limit."""
    known = [one.judgement for one in good if one.judgement.estimate == one.judgement.estimate]
    if not known:
        return f"{len(good)} of {every}"
    nearest = min(known, key=lambda one: abs(one.estimate - one.limit))
    where = f"{nearest.part} " if nearest.part.segment else ""
    name = escape(f"{where}{nearest.column or ''}".strip())
    return f"{len(good)} of {every}, nearest {name} {tidy(nearest.estimate, nearest.limit)}"


def cause_line(place: int, cause: Cause) -> Text:
    """One cause: its place, kind and words."""
    style = "red" if cause.kind == "fault" else "yellow"
    return Text.assemble(f"  {place:>2} ", (cause.kind, style), " " * (6 - len(cause.kind)), cause.text)


def _closing(monitor: Monitor, report: Report) -> Text:
    failed = {one.check for one in report.failed}
    unsure = {one.check for one in report.verdicts if one.verdict == "unsure"} - failed
    waiting = {one.check for one in report.verdicts if one.verdict == "maturing"} - failed - unsure
    judged = len(monitor.checks) - len(waiting)
    rows = f"{report.rows:,} rows against {monitor.reference.rows:,} of the reference"
    if report.strict:
        sure = "strict: the data must support every assert with 95% confidence"
    else:
        sure = f"{_nearly_certain(report.confidence)} confidence each, so that false alarms stay within the budget"
    if failed:
        words = f"{len(failed)} of {len(monitor.checks)} checks fail"
    else:
        words = (
            f"all {judged} checks pass" if judged > 1 else "the check passes" if judged else "no check can be judged"
        )
    if unsure:
        words += f", {len(unsure)} unsure"
    waits = f"; {several(len(waiting), 'check')} can be judged where outcomes are joined" if waiting else ""
    return Text.assemble("\n", (words, "bold red" if failed else "bold green"), f": {rows} ({sure}){waits}")


def _nearly_certain(confidence: float) -> str:
    """A confidence in percent, with as many nines as it has: never rounded up to 100%."""
    digits = max(0, -math.floor(math.log10(max(1 - confidence, 2.0**-53))) - 2)
    return f"{math.floor(confidence * 10 ** (digits + 2)) / 10**digits:.{digits}f}%"
