"""How much of the truth about a case is known, by its age, and whether outcomes are still joined.

A service cannot say: whoever reports an outcome does not say when it was predicted. ``wakeful join`` tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from wakeful.compile.grafana.panels import GREEN, RED, WHOLE, YELLOW, Column, Line, Tile, ranking, rows
from wakeful.compile.grafana.quoting import select
from wakeful.compile.grafana.words import SHARE
from wakeful.maturity import FLOOR, LEAST
from wakeful.model import Model

__all__ = ["MATURE_AGE", "maturity"]

MATURE_AGE = "wakeful_outcome_mature_age_seconds"
_UNKNOWN = "wakeful join tells nothing"
_FILLED = "Filled by wakeful join, where it runs with --textfile or --pushgateway."
_TIE = 1e-18  # per second of age: ages of one share stay in order, and no share changes


def maturity(model: Model) -> Iterator[Tile]:
    """Maturity by age, then what became of the predictions."""
    if model.label is not None:
        yield _by_age(model.name)
        yield _join(model.name)


def _by_age(model: str) -> Tile:
    def of(name: str) -> str:
        return f"max by (age) ({select(name, model=model)})"

    return ranking(
        "Label maturity: outcomes known, by the age of a case",
        "Of the outcomes that are still to be expected, the share that is known when a case is so old, of the class "
        f"that is further behind. Green, from {FLOOR:.0%} on: quality over cases that are all so old counts as it is. "
        f"Yellow: what is known stands for the rest. Red, below {LEAST:.0%}: too early to judge. {_FILLED}",
        Line(f"sort({of('wakeful_outcome_maturity_ratio')} + {_TIE} * {of('wakeful_outcome_age_seconds')})", "{{age}}"),
        unit=SHARE,
        limits=[(None, RED), (LEAST, YELLOW), (FLOOR, GREEN)],
        most=1.0,
        empty=_UNKNOWN,
    )


def _join(model: str) -> Tile:
    def of(name: str, **labels: str) -> str:
        return f"max by (model) ({select(name, **labels, model=model)})"

    def that_are(outcome: str) -> str:
        return of("wakeful_join_predictions", outcome=outcome)

    return rows(
        "Predictions and what became of them",
        "As of the last join. Pending: the horizon is not over. Late: told after it. Missing: never told. Unknown ids: "
        "of outcomes that no prediction has; many of them mean a broken join. Mature after: the age of a case at which "
        f"{FLOOR:.0%} of the outcomes to be expected are known. {_FILLED}",
        [
            Column(f"time() - {of('wakeful_last_join_timestamp_seconds')}", "Joined ago", "s"),
            Column(of(MATURE_AGE), "Mature after", "s", {"noValue": "not yet known"}),
            *(Column(that_are(one), one.title(), look=WHOLE) for one in ("joined", "pending", "late", "missing")),
            Column(of("wakeful_join_unknown_outcomes"), "Unknown ids", look=WHOLE),
        ],
        labels={},
        hidden=("model",),
        empty=_UNKNOWN,
        size=(12, 10),
    )
