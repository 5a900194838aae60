"""What is known of the outcomes of some predictions: how much of the truth has arrived, and what became of the join.

Everything is a sum over predictions, so a longer window is the sum of shorter ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from wakeful.bins import Floats
from wakeful.bounds import student, z_of
from wakeful.counts import Counts
from wakeful.evidence import Estimate, Ratio
from wakeful.maturity import FLOOR, FORESEEN, LEAST
from wakeful.views import BinaryOutcomes, Outcomes

__all__ = ["HEALTH", "Known", "Status", "Told", "Usual", "arrived", "reweighted"]

Status = Literal["mature", "reweighted", "maturing"]

HEALTH = (
    "predictions", "joined", "pending", "missing", "late", "early", "repeats", "duplicates", "corrections",
    "contradictions", "unknown",
)  # fmt: skip  # those fields of ``outcomes.Health`` that add up
_ROWS, _NEGATIVE, _POSITIVE, _VARIANCE, _DOUBT = range(5)
_CLASSES = (_NEGATIVE, _POSITIVE)
_ENOUGH = 30.0  # earlier predictions of a decision from which on it is known how many of its outcomes come
_TO_COMPARE = 10.0  # outcomes that a tile must lead to expect, to tell how much tiles differ
_WORST = 0.8  # a tile that surely lacks a fifth of its outcomes is no example for later ones
_Z = 3.0


class Told(NamedTuple):
    """Sums over predictions.

    Attributes:
        parts: of the part of their outcomes that is known at their ages, by class: estimate, lower and upper
            bound; (3, 2).
        health: in the order of ``HEALTH``; (11,).
        arrived: by cohort and decision, of tiles that are old enough: predictions, negative and positive outcomes
            over the part that is known, the variance of their sum, and its deviation by the delay curve; (groups, 5).
    """

    parts: Floats
    health: Floats
    arrived: Floats

    def plus(self, other: Told, times: float = 1.0) -> Told:
        """The sums of both; with -1, what is left without the other."""
        return Told(*(mine + times * theirs for mine, theirs in zip(self, other, strict=True)))

    def of(self, name: str) -> float:
        """One of the sums of ``HEALTH``."""
        return float(self.health[HEALTH.index(name)])


class Usual:
    """How many outcomes came of earlier predictions, by cohort and decision; tiles that lost theirs are left out."""

    def __init__(self) -> None:
        self.sums: Floats | None = None
        self._squares, self._compared = 0.0, 0
        self._last: tuple[float, float] | None = None

    def add(self, arrived: Floats) -> None:
        """Take in a tile."""
        one = self.expect(arrived)
        if one.bottom >= _TO_COMPARE:
            varies = one.fixed + one.growing + one.own
            if one.top - _WORST * one.bottom < -_Z * math.sqrt(varies):
                return
            ratio, variance = one.top / one.bottom, varies / self.dispersion / one.bottom**2
            if self._last is not None:
                self._squares += (ratio - self._last[0]) ** 2 / (variance + self._last[1])
                self._compared += 1
            self._last = ratio, variance
        self.sums = arrived if self.sums is None else self.sums + arrived

    @property
    def dispersion(self) -> float:
        """Variance between neighbouring tiles over that of independent outcomes, at least 1.

        Differences of neighbours know nothing of a slow decline, which is to be told (von Neumann 1941, Annals of
        Mathematical Statistics 12:367). What exceeds 1 grows as in ``maturity.dispersion``.
        """
        if self._compared < 2:
            return 1.0
        excess = max(0.0, self._squares / self._compared - 1.0)
        return 1.0 + excess * (student(0.025, max(2, self._compared - 1)) / z_of(0.025)) ** 2

    def expect(self, arrived: Floats, classes: Sequence[int] = (0, 1)) -> Ratio:
        """Outcomes of some classes over those that as many predictions of the same decisions had before."""
        if self.sums is None:
            return Ratio(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        of = [_CLASSES[one] for one in classes]
        known = self.sums[:, _ROWS] >= _ENOUGH
        before, now = self.sums[known], arrived[known]
        rows, known_rows = now[:, _ROWS], before[:, _ROWS] + 1.0
        rate = (before[:, of].sum(axis=1) + 0.5) / known_rows
        varies = self.dispersion * rate * np.maximum(1.0 - rate, 1.0 / known_rows)
        return Ratio(
            top=float(now[:, of].sum()),
            bottom=float(rows @ rate),
            fixed=float(now[:, _VARIANCE].sum() + now[:, _DOUBT].sum() ** 2),
            growing=float(rows @ varies),
            own=float(rows**2 @ (varies / known_rows)),
            n=float(rows.sum()),
        )


class Known(NamedTuple):
    """What is known of the outcomes of one window; what signals of labels see.

    Attributes:
        told: the sums.
        usual: what came of earlier predictions.
        tails: the least part of each class's outcomes that comes at ages which enough cases were followed to; (2,).
        by_class: the model is binary, so that each class has a delay curve of its own.
    """

    told: Told
    usual: Usual
    tails: Floats
    by_class: bool

    @property
    def n(self) -> float:
        """Predictions."""
        return self.told.of("predictions")

    @property
    def freedom(self) -> float:
        """Degrees of freedom of an estimate's error, at most."""
        return self.n - 1.0

    def nudged(self, share: float) -> Iterator[tuple[float, Known]]:
        """Every sum, and the same grown by ``share``; for formulas that return a plain number."""
        for at in np.flatnonzero(self.told.health):
            health = self.told.health.copy()
            health[at] *= 1 + share
            yield float(self.told.health[at]), self._replace(told=self.told._replace(health=health))

    @property
    def maturity(self) -> float:
        """Share of the outcomes still to be expected that is known, of the class that is further behind."""
        return float((self.told.parts[0] * self.tails).min() / self.n) if self.n else math.nan

    @property
    def status(self) -> Status:
        """Whether outcomes count as they are, reweighted, or not yet; a window without predictions counts."""
        if self.n and self.tails.min() < FORESEEN:
            return "maturing"
        if not self.n or self.maturity >= FLOOR:
            return "mature"
        return "reweighted" if self.by_class and self.maturity >= LEAST else "maturing"

    def arrival(self, classes: Sequence[int] = (0, 1)) -> Ratio:
        """Outcomes of some classes (0 negative, 1 positive) over those that earlier predictions lead to expect."""
        return self.usual.expect(self.told.arrived, classes)

    def estimate(self, live: Outcomes, ask: Callable[[Outcomes], Estimate]) -> Estimate:
        """A signal of outcomes as all of them would give it.

        What is known of each class stands for what is still to come of it. The delay curves are moved to their
        bounds, against each other, and what that does adds to the interval as an independent error.
        """
        if not (self.by_class and self.n and isinstance(live, BinaryOutcomes)):
            return ask(live)
        part, low, high = self.told.parts / self.n
        if low.min() > 1 - 1e-9:
            return ask(live)
        found = ask(reweighted(live, part))
        ends = [ask(reweighted(live, np.array(one))).value for one in ((low[0], high[1]), (high[0], low[1]))]
        below, above = (max(0.0, *(sign * (found.value - end) for end in ends)) for sign in (1, -1))
        return found._replace(
            low=found.value - math.hypot(found.value - found.low, below),
            high=found.value + math.hypot(found.high - found.value, above),
        )


def reweighted(live: BinaryOutcomes, part: Floats) -> BinaryOutcomes:
    """Known outcomes as they stand for all: positives weigh 1 / part of the positives that is known, negatives alike.

    In each cohort and decision, P positives and N negatives become P m g0 and N m g1, with g the known parts and
    m = (P / g1 + N / g0) / (P + N) the mean weight. Their share is then that of the weights, and its variance as a
    share of so many rows is what the delta method gives for the share of the weights.

    Args:
        live: what is known.
        part: of the negatives and of the positives; (2,).
    """
    g0, g1 = np.clip(part, 1e-6, 1.0)
    table = live.table.copy()
    n0, n1 = np.moveaxis(table[..., :2, 0].sum(axis=2), -1, 0)
    mean = np.divide(n1 / g1 + n0 / g0, n0 + n1, out=np.ones_like(n0), where=n0 + n1 > 0)
    before = table[..., :2, 0].sum(axis=-1)
    table[..., :2, :] *= np.stack([mean * g1, mean * g0], axis=-1)[:, :, None, :, None]
    unknown = live.truths.index("unknown")
    rest = table[..., unknown, 0] + before - table[..., :2, 0].sum(axis=-1)
    table[..., unknown, 0] = np.maximum(rest, 0.0)
    return replace(live, table=table)


def arrived(counts: Counts, parts: Floats, dispersion: Floats, alpha: float) -> Floats:
    """The rows of ``Told.arrived`` of one tile.

    Args:
        counts: of the tile.
        parts: the part of each class that is known, with bounds at ``alpha``; (3, 2).
        dispersion: of arrivals, by class; (2,).
        alpha: error rate on each side of the bounds.
    """
    by_truth = counts.outcome(0)[..., 0].sum(axis=2)
    rows, known = by_truth.sum(axis=2), by_truth[..., :-2]  # what is invalid is no outcome
    both = known if known.shape[2] == 2 else np.stack([np.zeros_like(rows), known.sum(axis=2)], axis=2)
    part = np.maximum(parts[0], 1e-6)
    doubt = (parts[2] - parts[1]) / (2 * z_of(alpha)) / part
    columns = (
        rows, both[..., 0] / part[0], both[..., 1] / part[1],
        (dispersion * both * (1 - part) / part**2).sum(axis=2), np.hypot(*np.moveaxis(both / part * doubt, -1, 0)),
    )  # fmt: skip
    return np.stack(columns, axis=2).reshape(-1, len(columns))
