"""Assertions as panels: the value with its interval, its noise, what training had, and the line that alarms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from wakeful.checks import Assertion, Check
from wakeful.compile import plan
from wakeful.compile.about import fear_of
from wakeful.compile.grafana.panels import BEFORE, BLUE, GREY, RED, Line, Tile, colored, lines
from wakeful.compile.grafana.past import known
from wakeful.compile.grafana.quoting import select, shown
from wakeful.compile.grafana.variables import VERSION
from wakeful.compile.grafana.words import meaning_of
from wakeful.compile.plan import Plan
from wakeful.expression import Leaf, Node, Op, leaves_of
from wakeful.model import Model
from wakeful.monitor import Monitor
from wakeful.signals import distances

__all__ = ["Asked", "Section", "asked", "tile_of"]

Section = Literal["service", "outcomes", "answers", "inputs"]

_LOW = colored(BLUE, lineWidth=0)
_HIGH = colored(BLUE, lineWidth=0, fillOpacity=15, fillBelowTo="as low as")
_ALARM = colored(RED, lineStyle={"fill": "dash", "dash": [10, 6]})
_NOISE = colored(GREY, lineWidth=0, fillOpacity=20)
_SIDES = {"<=": "above", "<": "above", ">=": "below", ">": "below", "==": "elsewhere"}


class Asked(NamedTuple):
    """The comparisons of a check that hold one live value against its limits.

    Attributes:
        check: to which they belong.
        comparisons: with their places in the check, by which recorded series name them.
        section: of the board.
        is_single: one value; otherwise one for each column or segment.
    """

    check: Check
    comparisons: tuple[tuple[int, Assertion], ...]
    section: Section
    is_single: bool

    @property
    def node(self) -> Node:
        """What is asked."""
        return self.comparisons[0][1].comparison.live[0]

    @property
    def has_tile(self) -> bool:
        """Whether it has a panel of its own; many inputs are ranked instead."""
        return self.is_single or self.section != "inputs"

    def is_of(self, signal: str) -> bool:
        """Whether that signal of all traffic is asked."""
        return self.is_single and isinstance(self.node, Leaf) and self.node.signal.name == signal


def asked(monitor: Monitor, planned: Plan) -> Iterator[Asked]:
    """What Prometheus records of the checks, in the order of the file."""
    refused = [(one.check.name, one.assertion) for one in planned.refusals]
    model = monitor.reference.model
    for check in monitor.checks:
        found: dict[Node, list[tuple[int, Assertion]]] = {}
        for at, one in enumerate(monitor.assertions(check)):
            if (check.name, one) not in refused:
                found.setdefault(one.comparison.live[0], []).append((at, one))
        for same in found.values():
            first = same[0][1].comparison
            yield Asked(check, tuple(same), _section(model, first.live[0]), len(first.elements) == 1)


def _section(model: Model, node: Node) -> Section:
    first = next(leaves_of(node))
    derived = {column.name for column in model.features if column.derived}
    if first.columns is None:
        of_answers = first.signal.name == "flagged_share"
        return "service" if first.signal.of == "rows" else "answers" if of_answers else "outcomes"
    return "answers" if set(first.columns) <= {model.score.name} | derived else "inputs"


def tile_of(model: Model, one: Asked) -> Tile:
    """The value of an assertion over time."""
    words, unit = meaning_of(one.node, model.score.name)
    drawn = _single(model.name, one) if one.is_single else _each(model.name, one)
    leaves = tuple(leaves_of(one.node))
    is_signed = isinstance(one.node, Op) or any(leaf.signal.name in _SIGNED for leaf in leaves)
    least = None if is_signed else 0.0
    return lines(shown(words), _description(one), drawn, unit=unit, least=least)


_SIGNED = {"bias", "calibration_slope", "label_noise", "mean", "quantile", "r2", "value"}  # may be below 0
_DISTANCES = {"holdout_d1", *distances.__all__}


def _series(name: str, model: str, one: Asked, at: int | None = None) -> str:
    place = one.comparisons[0][0] if at is None else at
    return known(select(name, VERSION, model=model, check=one.check.name, at=str(place)))


def _single(model: str, one: Asked) -> list[Line]:
    def series(name: str) -> str:
        return _series(name, model, one)

    drawn = [
        Line(f"sum by (version) ({series(plan.ESTIMATE)})", "now {{version}}", {"custom.lineWidth": 2}),
        Line(f"min({series(plan.LOW)})", "as low as", _LOW),
        Line(f"max({series(plan.HIGH)})", "as high as", _HIGH),
        *_alarms(model, one),
    ]
    if any(leaf.signal.name in _DISTANCES for leaf in leaves_of(one.node)):  # training is what they start from
        return [*drawn, Line(f"max({series(plan.NOISE)})", "noise", _NOISE)]
    if one.is_of("traffic"):  # training was no window
        return drawn
    return [*drawn, Line(f"max({series(plan.REFERENCE)})", "in training", BEFORE)]


def _each(model: str, one: Asked) -> list[Line]:
    """A line for each column or segment."""
    labels = ", ".join(_labels(one))
    legend = " ".join(f"{{{{{label}}}}}" for label in _labels(one))
    found = f"max by ({labels}) ({_series(plan.ESTIMATE, model, one)})"
    return [Line(found, legend), *_alarms(model, one)]


def _labels(one: Asked) -> list[str]:
    elements = one.comparisons[0][1].comparison.elements
    by_column = len({element.key.column for element in elements}) > 1
    by_segment = any(element.key.part.segment is not None for element in elements)
    return [name for name, is_so in (("column", by_column), ("value", by_segment)) if is_so]


def _alarms(model: str, one: Asked) -> Iterator[Line]:
    """Where the check fails; of several columns or segments, from the tightest to the widest."""
    for at, assertion in one.comparisons:
        side = _SIDES[assertion.comparison.direction]
        worst = "min" if side == "above" else "max"
        limit = f"{worst}({_series(plan.LIMIT, model, one, at)})"
        yield Line(limit, f"alarms {side}", _ALARM)


def _description(one: Asked) -> str:
    """The fear, the assertion as it is written, how to read the picture."""
    written = dict.fromkeys(f"`{shown(each.source)}`" for _, each in one.comparisons)
    parts = [
        f"**{shown(fear_of(one.check))}**",
        f"Check `{one.check.name}` over {one.check.window}: {', '.join(written)}.",
    ]
    if one.is_single:
        parts.append(
            "The shaded band is how sure the value is: the check fails when the whole band is beyond the red line. "
            "Several versions share one band, from the lowest to the highest."
        )
    else:
        parts.append("Each line is judged with its own band, so one may cross the red line by chance alone.")
    if one.check.action:
        parts.append(f"What to do: {shown(one.check.action)}")
    return "\n\n".join(parts)
