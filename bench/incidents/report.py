"""What the suite prints: figures per tool and world, then every miss, wrong culprit and false alarm."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from judging import Judged
from results import History, Odd, false_alarms, figures, misnamed, missed
from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Reporter:
    def __init__(self) -> None:
        self.console = Console(highlight=False, width=None if Console().is_terminal else 200)

    def skip(self, what: str) -> None:
        self.console.print(f"[bold yellow]SKIPPED[/bold yellow] {escape(what)}")

    def note(self, what: str) -> None:
        self.console.print(escape(what), style="dim")

    def history(self, tool: str, world: str, found: History) -> None:
        """Alarms of a time without an incident, one by one."""
        self.console.print(
            f"[bold]{tool}, {world}[/bold]: {len(found.alarms)} of {found.windows} windows alarmed in "
            f"{found.years:.1f} years without an incident: {found.per_year:.1f} alarms a year"
        )
        for one in found.alarms:
            self.console.print(f"  {one.scenario} ({one.rows:,} rows): named {', '.join(one.ranking[:3]) or 'nothing'}")
            for message in one.messages[:4]:
                self.console.print(f"      {escape(message)}", style="dim")

    def figures(self, judged: list[Judged]) -> None:
        """A table of the figures, per tool and size of window: each world, then all."""
        table = Table(title="Windows with an alarm", caption="culprit: of alarmed windows whose incident has one")
        table.add_column("tool, world")
        for name in (
            "rows", "clean", "incident\nwindows", "incidents\nwithin two", "windows\nuntil alarm", "culprit\nfirst",
            "in top\nthree", "benign", "ms per\nwindow",
        ):  # fmt: skip
            table.add_column(name, justify="right")
        for (tool, rows), found in _grouped(judged):
            worlds = list(dict.fromkeys(one.world for one in found))
            for world in worlds if len(worlds) > 1 else []:
                _add(table, f"  {tool}, {world}", rows, [one for one in found if one.world == world])
            _add(table, f"[bold]{tool}[/bold]", rows, found)
            table.add_section()
        self.console.print(table)

    def details(self, judged: list[Judged]) -> None:
        """Every scenario that a tool did not master, tool after tool."""
        judged = [one for _, found in _grouped(judged) for one in found]
        for title, odd in (
            ("Missed", missed(judged)),
            ("Wrong culprit", misnamed(judged)),
            ("False alarms", false_alarms(judged)),
        ):
            self.console.print(f"\n[bold]{title}[/bold]" + ("" if odd else ": none"))
            for one in odd:
                self._odd(one)

    def _odd(self, one: Odd) -> None:
        self.console.print(f"  {escape(one.title)}: {one.wrong.part}/{one.wrong.whole}")
        self.console.print(f"      {escape(one.said)}", style="dim")


def _grouped(judged: list[Judged]) -> Iterator[tuple[tuple[str, int], list[Judged]]]:
    order = {tool: at for at, tool in enumerate(dict.fromkeys(one.tool for one in judged))}
    ranked = sorted(judged, key=lambda one: (one.rows, order[one.tool]))
    for key, found in groupby(ranked, key=lambda one: (one.tool, one.rows)):
        yield key, list(found)


def _add(table: Table, title: str, rows: int, judged: list[Judged]) -> None:
    found = figures(judged)
    table.add_row(
        title, f"{rows:,}", f"{found.clean} of {found.clean.whole}", f"{found.caught} of {found.caught.whole}",
        str(found.draws), f"{found.delay:.2f}", str(found.first), str(found.top),
        f"{found.benign} of {found.benign.whole}", f"{found.milliseconds:.0f}",
    )  # fmt: skip
