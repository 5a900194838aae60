"""A replay as a person reads it in a terminal: a line per check, alarms, how often."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wakeful.alarms import Alarm, Tally
from wakeful.terminal import cause_line, several, who
from wakeful.verdicts import worst

__all__ = ["render"]

_MARKS = {"pass": ("·", "green"), "maturing": ("…", "cyan"), "unsure": ("?", "yellow"), "fail": ("✗", "red")}
_MOST_ALARMS = 20
_MOST_TOLD = 4
_MOST_CAUSES = 3


def render(tally: Tally, console: Console) -> None:
    """Print timeline, alarms and their rate."""
    for line in _timeline(tally, console.width):
        console.print(line)
    if tally.alarms:
        console.print(Text("\nAlarms:", style="bold"))
    for alarm in tally.alarms[:_MOST_ALARMS]:
        for line in _alarm(alarm):
            console.print(line)
    if len(tally.alarms) > _MOST_ALARMS:
        console.print(f"  … and {len(tally.alarms) - _MOST_ALARMS} more (every window with --json)")
    for line in _maturing(tally):
        console.print(line)
    if tally.alarms or tally.explained:
        console.print()
        console.print(_rates(tally))
    console.print(_closing(tally))


def _timeline(tally: Tally, width: int) -> Iterator[Text]:
    """One line per check, and the first and last window above them."""
    names = max(len(check.name) for check in tally.checks)
    severities = max(len(check.severity) for check in tally.checks)
    left = names + severities + 3
    room = max(10, width - left - 1)
    step = -(-len(tally.windows) // room)  # windows per mark
    marks = -(-len(tally.windows) // step)
    first, last = _short(tally.windows[0]), _short(tally.windows[-1])
    gap = max(2, marks - len(first) - len(last))
    ruler = first + " " * gap + last if len(tally.windows) > 1 else first
    yield Text(" " * left + ruler, style="dim", no_wrap=True)
    for check in tally.checks:
        line = Text.assemble((check.name.ljust(names), "bold"), " ", (check.severity.ljust(severities), "dim"), "  ")
        for at in range(0, len(tally.windows), step):
            line.append(*_MARKS[worst(tally.marks[check.name][at : at + step])])
        yield line
    worst_of = f"; a mark is the worst of {step} windows" if step > 1 else ""
    waits = "… maturing  " if any("maturing" in marks for marks in tally.marks.values()) else ""
    legend = f"· passes  {waits}? unsure  ✗ fails{worst_of}"
    yield Text(" " * max(0, min(left, width - len(legend))) + legend, style="dim")


def _short(window: str) -> str:
    """A window without what a ruler need not say: seconds and midnight."""
    return window[:16].removesuffix("T00:00").replace("T", " ") if window[10:11] == "T" else window


def _alarm(alarm: Alarm) -> Iterator[Text]:
    ends = _short(alarm.first)
    if alarm.last != alarm.first:
        ends += f" – {_short(alarm.last)}"
    windows = several(alarm.windows, "window")
    line = Text.assemble("  ", (ends, "red"), f"  {windows}  ", (alarm.check.name, "bold"), f"  {who(alarm.check)}")
    if alarm.check.fear:
        line.append(f"  {alarm.check.fear}", style="italic")
    yield line
    told = list(alarm.told.values())
    for one in told[:_MOST_TOLD]:
        yield Text(f"      {one.judgement.message}")
    if len(told) > _MOST_TOLD:
        yield Text(f"      … and {len(told) - _MOST_TOLD} more", style="dim")
    for place, cause in enumerate(alarm.explanation[:_MOST_CAUSES], 1):
        yield Text("    ").append_text(cause_line(place, cause))


def _maturing(tally: Tally) -> Iterator[Text]:
    """Which windows of which checks wait for outcomes, and how many of these are known."""
    if tally.maturing:
        yield Text("\nMaturing, to be judged when more outcomes are known:", style="bold")
    width = max(map(len, tally.maturing), default=0)
    for name, windows in tally.maturing.items():
        shares = [share for _, share in windows]
        known = " to ".join(dict.fromkeys(f"{one:.0%}" for one in (min(shares), max(shares))))
        ends = " – ".join(dict.fromkeys(_short(one) for one in (windows[0][0], windows[-1][0])))
        line = Text.assemble("  ", (name.ljust(width), "bold"), "  ", (ends, "cyan"))
        yield line.append(f"  {several(len(windows), 'window')}, {known} known")


def _rates(tally: Tally) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("check")
    for name in ("alarms", "failing windows", *(("alarms per week",) if tally.weeks else ())):
        table.add_column(name, justify="right")
    for check, alarms, windows in tally.numbers():
        rate = [f"{alarms / tally.weeks:.2g}"] if tally.weeks else []
        table.add_row(check.name, str(alarms), str(windows), *rate)
    return table


def _closing(tally: Tally) -> Text:
    number = len(tally.alarms)
    words = several(number, "alarm")
    over = f"{several(len(tally.windows), 'window')}, {tally.rows:,} rows"
    if tally.weeks:
        over += f", {tally.weeks:.3g} weeks"
    return Text.assemble("\n", (words if number else "no alarm", "bold red" if number else "bold green"), f" in {over}")
