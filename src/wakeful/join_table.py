"""A join as a person reads it in a terminal: what was read, what is known, and how soon outcomes came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from wakeful.outcomes import Ahead, Health, Joined, Reading
from wakeful.terminal import several

__all__ = ["render"]

_UNITS = ((365 * 86_400, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"))
_MOST_AGES = 8


def render(joined: Joined, predictions: Reading, outcomes: Reading, written: Sequence[str], console: Console) -> None:
    """Print what was read and what is known."""
    console.print(f"read {_read(predictions, 'prediction')}")
    console.print(f"     {_read(outcomes, 'outcome')}")
    table = Table(box=None, padding=(0, 2), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for row in _rows(joined.total()):
        table.add_row(*row)
    ahead = joined.ahead()
    if any(ahead):
        table.add_row("not yet", f"{sum(ahead):,}", f"{_ahead(ahead)}, later than the moment asked for")
    console.print()
    console.print(table)
    ages = _ages(joined)
    if ages.row_count:
        console.print()
        console.print(ages)
    if written:
        console.print(f"\nwrote {several(len(written), 'day')}, {written[0]} to {written[-1]}")


def _read(reading: Reading, what: str) -> str:
    parts = [f"{several(reading.rows, what)}, {reading.new:,} of them new"]
    parts += [f"{rows:,} {lacking}" for lacking, rows in reading.left_out.items()]
    return "; ".join(parts)


def _rows(known: Health) -> Iterator[tuple[str, str, str]]:
    yield "predictions", f"{known.predictions:,}", _note(known.repeats, "further ones with an id that had come before")
    share = f"{known.join_rate:.0%}" if known.predictions else ""
    yield (
        "  joined",
        f"{known.joined:,}",
        "; ".join(filter(None, [share, _note(known.early, "told before the prediction")])),
    )
    yield "  pending", f"{known.pending:,}", "the horizon is not over"
    late = _note(known.late, "told after it")
    yield "  missing", f"{known.missing:,}", f"the horizon is over{'; ' + late if late else ''}"
    yield "unknown ids", f"{known.unknown:,}", "outcomes without a prediction"
    yield "corrections", f"{known.corrections:,}", _note(known.contradictions, "contradictions")
    if known.duplicates:
        yield "duplicates", f"{known.duplicates:,}", "the same outcome told again"


def _note(number: int, what: str) -> str:
    return f"{number:,} {what}" if number else ""


def _ahead(ahead: Ahead) -> str:
    return f"{several(ahead.predictions, 'prediction')} and {several(ahead.outcomes, 'outcome')}"


def _ages(joined: Joined) -> Table:
    """The share of predictions whose outcome was known, by age, up to the horizon."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("known at an age of")
    table.add_column("share", justify="right")
    table.add_column("of predictions", justify="right")
    rows = [one for one in joined.known_by_age() if one.old_enough and one.known]
    for one in rows[-_MOST_AGES:]:
        table.add_row(_age(one.age), f"{one.known / one.old_enough:.0%}", f"{one.old_enough:,}")
    return table


def _age(seconds: float) -> str:
    length, unit = next(one for one in _UNITS if seconds >= one[0])
    return several(round(seconds / length), unit)
