"""What Prometheus is told of a join: at which age the truth about a case is known, and whether outcomes still come."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.core import Metric

from wakeful.bins import Floats
from wakeful.maturity import FLOOR, by_age
from wakeful.outcomes.health import AGES
from wakeful.outcomes.joined import Joined

__all__ = ["JOB", "metrics"]

JOB = "wakeful_join"  # of a Pushgateway, where the counts of a batch job have one of their own
_LEAST = 0.01  # of the horizon: nothing is told of younger cases
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def metrics(joined: Joined, model: str) -> list[Metric]:
    """The metrics of one join.

    Maturity is that of ``maturity.by_age``, at the ages of ``AGES`` from a hundredth of the horizon up to it; ages
    that too few cases have reached are left out.

    Args:
        joined: what is known.
        model: its name.
    """
    known = joined.total()
    what_became = {
        "joined": known.joined,
        "pending": known.pending,
        "late": known.late,
        "missing": known.missing - known.late,
    }
    predictions = Metric("wakeful_join_predictions", "Predictions that a join knows, by what became of them.", "gauge")
    for outcome, number in what_became.items():
        predictions.add_sample(predictions.name, {"model": model, "outcome": outcome}, number)
    found = [
        predictions,
        _gauge("wakeful_join_unknown_outcomes", "Ids of outcomes that no prediction has.", model, known.unknown),
        _gauge("wakeful_last_join_timestamp_seconds", "As of when outcomes were joined.", model, joined.now / 1e6),
    ]
    return [*found, *_maturity(joined, model)] if known.predictions else found


def _maturity(joined: Joined, model: str) -> Iterator[Metric]:
    _, delays = joined.delays("1mo")
    shares = by_age(delays, by_class=joined.is_binary)
    horizon = joined.horizon / 1e6
    ratio = Metric(
        "wakeful_outcome_maturity_ratio", "Of the outcomes still to be expected, those known at an age.", "gauge"
    )
    length = Metric("wakeful_outcome_age_seconds", "How long such an age is.", "gauge")
    for age in AGES:
        share = _at(shares, age / horizon) if _LEAST * horizon <= age <= horizon else math.nan
        if not math.isnan(share):
            labels = {"model": model, "age": _text(age)}
            ratio.add_sample(ratio.name, labels, share)
            length.add_sample(length.name, labels, age)
    yield from (one for one in (ratio, length) if one.samples)
    enough = (shares >= FLOOR).nonzero()[0]
    if len(enough):
        told = f"Age from which on {FLOOR:.0%} of the outcomes still to be expected are known."
        yield _gauge("wakeful_outcome_mature_age_seconds", told, model, enough[0] / (len(shares) - 1) * horizon)


def _at(shares: Floats, part: float) -> float:
    """The share at a part of the horizon, what comes at that very age included: where the bin that holds it ends."""
    return float(shares[min(int(part * (len(shares) - 1) + 1e-6) + 1, len(shares) - 1)])


def _text(age: float) -> str:
    size, unit = next(one for one in _UNITS if age >= one[0])
    return f"{age / size:.0f}{unit}"


def _gauge(name: str, told: str, model: str, value: float) -> Metric:
    metric = Metric(name, told, "gauge")
    metric.add_sample(name, {"model": model}, float(value))
    return metric
