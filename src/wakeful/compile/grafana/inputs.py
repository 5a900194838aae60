"""Inputs, those that stray most first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wakeful.compile import plan
from wakeful.compile.grafana.assertions import Asked
from wakeful.compile.grafana.panels import BLUE, GREEN, RED, STATE, YELLOW, Column, Line, Tile, note, ranking, rows
from wakeful.compile.grafana.past import increase, known
from wakeful.compile.grafana.quoting import quoted, select
from wakeful.compile.grafana.variables import VERSION, WINDOW, labels_of_parts, part_of
from wakeful.compile.grafana.words import SHARE
from wakeful.model import Model

__all__ = ["inputs"]

_MOST = 15
_TIMES = "suffix:×"
_BEYOND_CHANCE = 4.0  # times its noise: fewer than 6 in 100,000 windows stray so far by chance


def inputs(model: Model, found: Sequence[Asked]) -> Iterator[Tile]:
    """Which inputs stray most from training, by every check that asks of columns."""
    if not model.features:
        return
    if any(one.section == "inputs" for one in found):
        yield _ranking(model)
        yield _missing(model)
        yield _table(model)
    else:
        yield note(
            "Inputs that stray most",
            "No check that Prometheus records asks of inputs. To see them ranked here, add one to the monitor file: "
            "`assert live.features.d1() <= 0.2`",
        )
        yield _missing(model)


def _of_inputs(name: str, model: Model) -> str:
    """The series of checks that ask of inputs, not of answers."""
    return known(select(name, VERSION, 'column!=""', f"column!={quoted(model.score.name)}", model=model.name))


def _excess(model: Model) -> str:
    """How far each value is from training's, in multiples of what it strays by without any change."""
    estimate, usual, noise = (_of_inputs(name, model) for name in (plan.ESTIMATE, plan.REFERENCE, plan.NOISE))
    return f"abs({estimate} - {usual}) / ({noise} > 0)"


def _ranking(model: Model) -> Tile:
    return ranking(
        "Inputs that stray most",
        "How far an input is from training, in multiples of how far it strays by itself, by whichever check finds it "
        "farthest. Around 1 is nothing new; beyond 4, chance does not explain it. A season may: inputs explain an "
        "alarm and raise none. Choose an input at the top of the page to see its values.",
        Line(f"topk({_MOST}, max by (column) ({_excess(model)}))", "{{column}}"),
        unit=_TIMES,
        limits=[(None, GREEN), (2.0, YELLOW), (_BEYOND_CHANCE, RED)],
    )


def _missing(model: Model) -> Tile:
    empty = ('bin="(missing)"', f"column!={quoted(model.score.name)}")
    lost = select("wakeful_bin_total", VERSION, part_of(model), *empty, model=model.name)
    every = select("wakeful_rows_total", VERSION, part_of(model), model=model.name)
    return ranking(
        "Inputs that are missing most",
        "Share of rows without a value, whether or not training had it so.",
        Line(
            f"topk({_MOST}, sum by (column) ({increase(lost, WINDOW)}) / on () group_left () "
            f"(sum({increase(every, WINDOW)}) > 0))",
            "{{column}}",
        ),
        unit=SHARE,
        limits=[(None, BLUE)],
    )


def _table(model: Model) -> Tile:
    labels = {"column": "Input", "check": "Check", "assertion": "Assertion"} | labels_of_parts(model)
    place = f"max by (at, {', '.join(labels)})"

    def of(name: str) -> str:
        return f"{place} ({_of_inputs(name, model)})"

    return rows(
        "Inputs and what is asserted of them",
        "Every input and every assertion on it, those first that stray most, in multiples of their noise. A fault "
        "that cannot be in healthy traffic has no noise, and its multiple stays empty: its state tells.",
        [
            Column(f"{place} ({_excess(model)})", "Strays", _TIMES, {"decimals": 1}),
            Column(of(plan.VERDICT), "State", look=STATE),
            Column(of(plan.ESTIMATE), "Now"),
            Column(of(plan.REFERENCE), "In training"),
            Column(of(plan.NOISE), "Noise"),
            Column(of(plan.LIMIT), "Limit"),
        ],
        labels=labels,
        hidden=("at",),
        sort="Strays",
        size=(24, 14),
    )
