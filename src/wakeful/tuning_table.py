"""What tuning found, as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Console
from rich.text import Text

from wakeful.terminal import several
from wakeful.tuning import Proposal, Trial, Tuning

__all__ = ["render"]


def render(tuning: Tuning, proposals: list[Proposal], budget: str, console: Console) -> None:
    """Print every limit with what it would have caught and cost, and what the budget says."""
    width = max((len(f"{one.limit:g}") for each in proposals for one in (each.now, each.proposed)), default=1)
    for name, group in groupby(proposals, lambda one: one.dial.check.name):
        console.print(Text(name, style="bold"))
        for one in group:
            for line in _lines(tuning, one, width):
                console.print(line)
    for check, source in tuning.fixed:
        words = f"{check.name}: no number in the file limits  {source.removeprefix('assert ')}"
        console.print(Text(words, style="dim"))
    now = tuning.alarms([(one.dial, one.now.limit) for one in proposals])
    then = tuning.alarms([(one.dial, one.proposed.limit) for one in proposals])
    style = "bold green" if then <= tuning.bears else "bold red"
    words = f"{several(now, 'alarm')} today, {then} as proposed"
    rest = f" in {len(tuning.windows):,} windows; a budget of {budget} bears {tuning.bears:.2g}"
    console.print(Text.assemble("\n", (words, style), rest))
    if now > then and not tuning.incidents:
        console.print("An alarm that was right is no reason to loosen a limit: name its days with --incident.")


def _lines(tuning: Tuning, one: Proposal, width: int) -> Iterator[Text]:
    """The assert, then cost and catch of today's limit, of the proposed one, and of the tightest that was silent."""
    sign = one.dial.literal.symbol

    def line(words: str, trial: Trial, style: str) -> Text:
        cost = f"{several(trial.alarms, 'alarm'):>11}, {several(trial.windows, 'failing window')}"
        caught = f", caught {trial.caught} of {len(tuning.incidents)} incidents" if tuning.incidents else ""
        return Text(f"    {words:<8} {sign:>2} {trial.limit:<{width}g} {cost}{caught}", style=style)

    source = Text(f"  {one.dial.source.removeprefix('assert ')}")
    if not (one.now.alarms or one.now.caught):
        yield source.append("   silent", style="dim")
        return
    yield source
    yield line("today", one.now, "")
    if one.proposed.limit != one.now.limit:
        yield line("proposed", one.proposed, "bold")
    if one.now.alarms and one.tightest is not None and one.tightest.limit != one.proposed.limit:
        yield line("silent", one.tightest, "dim")
