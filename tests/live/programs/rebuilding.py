"""Counts that stand for series: those that a service exports, or what Prometheus makes of them."""

from __future__ import annotations

from collections.abc import Mapping

import wakeful
from wakeful.bins import REACH
from wakeful.counting import FAR
from wakeful.counts import SUM_UNIT, Counts
from wakeful.live.export.series import bin_labels, unique

Series = Mapping[frozenset[tuple[str, str]], float]  # by labels, the metric's name among them


def rebuilt(reference: wakeful.Reference, series: Series) -> Counts:
    """Counts that stand for what was scraped: what was added up before lies in one of its cells."""
    counts = Counts.zero(reference.layout)
    layout, task = reference.layout, reference.model.task
    segments = unique_slices(reference)
    for labels, value in series.items():
        named = dict(labels)
        name, at = named["__name__"], segments.get((named.get("segment"), named.get("value")))
        if at is None or named.get("reference") != layout.fingerprint:
            continue
        table = counts.outcome(at)
        if name == "wakeful_rows_total":
            counts.table[at, 0] = value
        elif name == "wakeful_bin_total":
            place = layout.cells[named["column"]]
            counts.table[at, place.start + bin_labels(layout.bins[named["column"]]).index(named["bin"])] = value
        elif name == "wakeful_column_sum_total":
            stop = layout.cells[named["column"]].stop
            place = stop - (2 if named["statistic"] == "squared_steps" else 4)
            counts.table[at, place] += value * (-REACH if named["statistic"] == "rows" else 1)
        elif name == "wakeful_off_grid_total":
            counts.table[at, layout.cells[named["column"]].stop - 1] = value
        elif name.startswith(("wakeful_answer_", "wakeful_outcome_")) and name != "wakeful_outcome_invalid_total":
            _OUTCOME[task](layout, table, named, value)
    return counts


def unique_slices(reference: wakeful.Reference) -> dict[tuple[str | None, str | None], int]:
    found: dict[tuple[str | None, str | None], int] = {(None, None): 0}
    for segment in reference.model.segments:
        values = reference.layout.segment_values(segment)
        found |= {(segment, value): len(found) + at for at, value in enumerate(unique(values[:-4], values[-4:]))}
    return found


def _binary(layout, table, named: dict[str, str], value: float) -> None:
    cohort = {"any": 0, "unsaid": 0, "rest": 1, "holdout": 2}[named["cohort"]]
    group = table[cohort, int(named["flagged"] == "true")]
    at = bin_labels(layout.bins[layout.model.score.name]).index(named["bin"]) if "bin" in named else 0
    if named["__name__"] == "wakeful_answer_total":
        group[at, 2, 0] += value
    elif named["__name__"] == "wakeful_answer_score_total":
        group[at, 2, 1] += value * SUM_UNIT
    elif "truth" in named:
        group[at, ("negative", "positive").index(named["truth"]), 0] = value
        group[at, 2, 0] -= value
    elif named["statistic"] == "score":
        group[at, 0, 1] += value * SUM_UNIT
        group[at, 2, 1] -= value * SUM_UNIT
    elif named["statistic"] == "score_of_positives":
        group[0, 1, 1] += value * SUM_UNIT
        group[0, 0, 1] -= value * SUM_UNIT
    else:
        group[0, 0, {"squared_score": 2, "log_loss": 3}[named["statistic"]]] = value * SUM_UNIT


def _regression(layout, table, named: dict[str, str], value: float) -> None:
    statistics = ("error", "absolute_error", "squared_error", "error_to_the_fourth",
                  "label", "squared_label", "label_to_the_fourth", "squared_error_by_squared_label")  # fmt: skip
    if "bin" in named:
        at = bin_labels(layout.bins[layout.model.score.name]).index(named["bin"])
        table[0, 0, at, 0, 0] += value if "truth" in named else 0
        table[0, 0, at, 1, 0] += -value if "truth" in named else value
    elif named["statistic"] == "rows":
        table[0, 0, 0, 0, [1, 5]] -= FAR * SUM_UNIT * value
    else:
        table[0, 0, 0, 0, 1 + statistics.index(named["statistic"])] += value * SUM_UNIT


def _multiclass(layout, table, named: dict[str, str], value: float) -> None:
    labels = bin_labels(layout.bins[layout.model.score.name])[:-2]
    answer = table[0, 0, labels.index(named["bin"]), :, 0]
    answer[len(labels)] += -value if "truth" in named else value
    if "truth" in named:
        answer[labels.index(named["truth"])] = value


_OUTCOME = {"binary": _binary, "regression": _regression, "multiclass": _multiclass}
