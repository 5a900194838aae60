"""How values are spread, live and in training: the answers, the heuristics, and whichever input is looked at."""

from __future__ import annotations

from collections.abc import Iterator

from wakeful.compile.grafana.panels import BEFORE, GREY, Column, Line, Tile, bars, colored, lines
from wakeful.compile.grafana.past import increase, known, rate
from wakeful.compile.grafana.quoting import quoted, select, shown
from wakeful.compile.grafana.variables import COLUMN, VERSION, WINDOW, part_of
from wakeful.compile.grafana.words import SHARE
from wakeful.model import Model

__all__ = ["answers", "one_input"]

_VALUES = 'bin!~"[(]missing[)]|[(]invalid[)]"'
_MOST_HEURISTICS = 6  # the others are among the inputs
_NO_VALUE = 'bin=~"[(]missing[)]|[(]invalid[)]"'
_READ = "Bars that part from the grey ones show what changed; how far that may be chance, d1 and its noise tell."


def _histogram(model: Model, title: str, description: str, column: str, size: tuple[int, int]) -> Tile:
    """A column's values against training; ``column`` is a matcher."""
    counted = select("wakeful_bin_total", VERSION, part_of(model), column, _VALUES, model=model.name)
    usual = select("wakeful_reference_share", VERSION, part_of(model), column, _VALUES, model=model.name)
    live = increase(counted, WINDOW)
    drawn = [
        Column(f"sum by (bin) ({live}) / on () group_left () (sum({live}) > 0)", "Live"),
        Column(f"max by (bin) ({known(usual)})", "In training", look=colored(GREY)),
    ]
    return bars(title, f"{description} {_READ}", drawn, by="bin", size=size)


def answers(model: Model, *, is_flagged_asked: bool) -> Iterator[Tile]:
    """The model's answers; how many it flags, where no check tells; the heuristics beside it."""
    score = f"column={quoted(model.score.name)}"
    told = "How often the model gave each answer, as shares of all answers."
    yield _histogram(model, "Answers, live and in training", told, score, (12, 9))
    if model.task == "binary" and (model.threshold is not None or model.decision is not None) and not is_flagged_asked:
        yield _flagged(model)
    derived = [column for column in model.features if column.derived]
    for column in derived[:_MOST_HEURISTICS]:
        title = f"Heuristic {shown(column.name)}, live and in training"
        told = "A column that the monitor computes: a second opinion on the same rows."
        yield _histogram(model, title, told, f"column={quoted(column.name)}", (12, 9))


def _flagged(model: Model) -> Tile:
    def summed(*matchers: str) -> str:
        found = select("wakeful_answer_total", VERSION, part_of(model), *matchers, model=model.name)
        return f"sum by (version) ({rate(found)})"

    flagged = 'flagged="true"'
    share = f"{summed(flagged)} / ({summed()} > 0)"
    told = "Of the answers, the share that the model flags, by version. No check asserts on it yet."
    return lines("Cases that are flagged", told, [Line(share, "version {{version}}")], unit=SHARE)


def one_input(model: Model) -> Iterator[Tile]:
    """The input that was chosen at the top of the board."""
    if not model.features:
        return
    told = "The input that is chosen at the top of the page: how its values are spread."
    yield _histogram(model, "${column:text}, live and in training", told, COLUMN, (12, 9))
    lost = select("wakeful_bin_total", VERSION, part_of(model), COLUMN, _NO_VALUE, model=model.name)
    rows = select("wakeful_rows_total", VERSION, part_of(model), model=model.name)
    usual = select("wakeful_reference_missing_share", VERSION, part_of(model), COLUMN, model=model.name)
    yield lines(
        "${column:text}: no usable value",
        "Share of rows in which the chosen input is missing, or of the wrong type.",
        [
            Line(
                f"sum by (bin) ({rate(lost)}) / on () group_left () (sum({rate(rows)}) > 0)",
                "{{bin}}",
            ),
            Line(
                f"max({known(usual)})",
                "missing in training",
                BEFORE,
            ),
        ],
        unit=SHARE,
        size=(12, 9),
    )
