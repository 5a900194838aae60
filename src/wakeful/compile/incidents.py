"""Counts under which a check fails, made from those of the reference: what its compiled alerts are tested with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from wakeful.bins import HALF, REACH, Floats, NumericBins
from wakeful.budget import duration
from wakeful.checks import Assertion, Check
from wakeful.compile.plan import Burning
from wakeful.counts import SUM_UNIT, Counts, Layout
from wakeful.expression import Leaf
from wakeful.monitor import Monitor, agos
from wakeful.verdicts import Verdict

__all__ = ["Incident", "Trial", "healthy", "incident"]

_SCALES = (1.0, 10.0, 100.0, 1000.0)  # so many times the reference's rows: small ones may refute nothing
_MOST_COLUMNS = 8  # that are tried; of a vector, one that fails is enough

Move: TypeAlias = Callable[[Layout, Floats], None]


class Incident(NamedTuple):
    """An incident after healthy traffic.

    Attributes:
        before: counts of a window that ended before it.
        now: counts of the window that is judged.
        failed: verdicts that fail.
    """

    before: Counts
    now: Counts
    failed: list[Verdict]


class Trial(NamedTuple):
    """What is to fail in an incident, and not to fail in healthy traffic.

    Attributes:
        monitor: whose traffic it is.
        assertions: what is asked of it.
        window: its length in seconds.
        judge: the verdicts on its counts, given those of earlier windows by how long ago each ended.
    """

    monitor: Monitor
    assertions: list[Assertion]
    window: float
    judge: Callable[[Counts, dict[str, Counts]], list[Verdict]]

    @classmethod
    def of_check(cls, monitor: Monitor, check: Check, asserted: Collection[int]) -> Trial:
        """A check with assertions that are compiled; the others do not count."""
        assertions = [one for at, one in enumerate(monitor.assertions(check)) if at in asserted]

        def judge(counts: Counts, pasts: dict[str, Counts]) -> list[Verdict]:
            return [one for one in monitor.judge(check, counts, past=pasts) if one.at in asserted]

        return cls(monitor, assertions, duration(check.window), judge)

    @classmethod
    def of_burns(cls, monitor: Monitor, burning: Burning) -> Trial:
        """The objectives of a check over a shorter window."""

        def judge(counts: Counts, pasts: dict[str, Counts]) -> list[Verdict]:
            return [one for burn in burning.burns for one in burn.judge(monitor, counts)]

        return cls(monitor, [burn.assertion for burn in burning.burns], duration(burning.window), judge)

    def failed(self, counts: Counts, pasts: dict[str, Counts]) -> list[Verdict]:
        """The verdicts that fail."""
        with np.errstate(all="ignore"):  # sums that no rows could have
            return [one for one in self.judge(counts, pasts) if one.verdict == "fail"]

    def pasts(self, counts: Counts) -> dict[str, Counts]:
        """The same counts for every earlier window that is asked of."""
        return dict.fromkeys(agos(self.assertions), counts)

    @property
    def leaves(self) -> list[Leaf]:
        """What is asked of the window that is judged."""
        return [leaf for one in self.assertions for leaf in one.comparison.leaves if leaf.is_live]


def healthy(trial: Trial) -> Counts | None:
    """Counts of a window in which nothing fails: the reference's, or some multiple of them."""
    for scale in _SCALES:
        counts = _scaled(trial.monitor, scale)
        if not trial.failed(counts, trial.pasts(counts)):
            return counts
    return None


def incident(trial: Trial) -> Incident | None:
    """The first of the known ways to break a model that makes something fail; None where none does."""
    share = min((trial.window, *map(duration, agos(trial.assertions)))) / trial.window  # an earlier one is whole
    for scale in _SCALES:
        before = _scaled(trial.monitor, scale)
        pasts = trial.pasts(before)
        for move in _moves(before.layout, trial.leaves):
            after = Counts(before.layout, before.vector.copy())
            move(after.layout, after.table)
            now = Counts(before.layout, (1 - share) * before.vector + share * after.vector)
            failed = trial.failed(now, pasts)
            if failed:
                return Incident(before, now, failed)
    return None


def _scaled(monitor: Monitor, scale: float) -> Counts:
    counts = monitor.reference.counts
    return Counts(counts.layout, scale * counts.vector)


def _moves(layout: Layout, leaves: list[Leaf]) -> Iterator[Move]:
    """Ways to break what is asked, the plainest first. They keep the number of rows, but for the last."""
    for leaf in leaves:
        if leaf.signal.of == "column":
            for name in (leaf.columns or ())[:_MOST_COLUMNS]:
                yield from _of_column(layout, name)
        elif leaf.signal.of != "rows":
            yield from _OF_OUTCOMES[layout.model.task](layout)
    yield _as_many(0.0)
    yield _as_many(100.0)


def _as_many(factor: float) -> Move:
    def move(layout: Layout, table: Floats) -> None:
        table *= factor

    return move


# Columns: every value becomes something else.


def _of_column(layout: Layout, name: str) -> Iterator[Move]:
    place, bins = layout.cells[name], layout.bins[name]
    values = np.arange(place.start, place.start + place.values)
    missing, invalid = values[-1] + 1, values[-1] + 2
    sums = place.stop - place.sums

    def all_to(target: int) -> Move:
        def move(layout: Layout, table: Floats) -> None:
            n = table[:, values].sum(axis=1)
            table[:, place.start : place.stop] *= np.isin(np.arange(place.start, place.stop), (missing, invalid))
            table[:, target] += n

        return move

    def summed(steps: float) -> Move:
        def move(layout: Layout, table: Floats) -> None:
            n = table[:, values].sum(axis=1)
            table[:, sums] = steps * n
            table[:, sums + 1] = np.ceil(steps**2 / HALF) * n

        return move

    def off_grid(layout: Layout, table: Floats) -> None:
        table[:, sums + 3] = table[:, values].sum(axis=1)

    def never_missing(layout: Layout, table: Floats) -> None:
        table[:, values[0]] += table[:, missing]
        table[:, missing] = 0

    yield all_to(int(missing))
    for target in (values[-1], values[0], invalid, *values[1:-1]):
        yield all_to(int(target))
    if isinstance(bins, NumericBins):
        for steps in (REACH / 2, -REACH / 2, 0.0):
            yield summed(steps)
        yield off_grid
    yield never_missing


# Outcomes: the table of a slice has the shape (cohorts, flagged, answers, truths, statistics).


def _each(change: Callable[[Floats], None]) -> Move:
    def move(layout: Layout, table: Floats) -> None:
        for part in table:
            change(part[layout.outcome_start :].reshape(layout.outcome_shape))

    return move


def _gather(table: Floats, axis: int, onto: int, among: slice = slice(None)) -> None:
    """Everything along an axis becomes one of it."""
    moved = np.moveaxis(table, axis, 0)[among]
    total = moved.sum(axis=0)
    moved[:] = 0
    moved[onto] = total


def _known_as(truth: int, known: int) -> Move:
    return _each(lambda table: _gather(table, 3, truth, slice(0, known)))


def _of_binary(layout: Layout) -> Iterator[Move]:
    def turned(table: Floats) -> None:
        table[..., :2, :] = table[..., 1::-1, :].copy()

    def flagged(onto: int, answer: int) -> Move:
        def change(table: Floats) -> None:
            _gather(table, 1, onto)
            _gather(table, 2, answer)

        return _each(change)

    def held_out(onto: int) -> Move:
        return _each(lambda table: _gather(table[:, 1:], 0, onto))

    def dear(table: Floats) -> None:
        table[..., 3] = 10 * SUM_UNIT * table[..., 0]

    def random_scores(table: Floats) -> None:
        rows = table[..., :2, :].sum(axis=3, keepdims=True)
        table[..., :2, :] = rows / 2

    def wrong(table: Floats) -> None:
        for flagged, truth in ((1, 0), (0, 1)):
            _gather(table[:, flagged], 2, truth, slice(0, 2))

    yield _each(turned)
    yield _known_as(0, 2)
    yield _known_as(1, 2)
    yield _each(random_scores)
    yield _each(wrong)
    top = layout.bins[layout.model.score.name].size - 2
    yield flagged(1, top)
    yield flagged(0, 1)
    if layout.model.holdout is not None:
        yield held_out(1)
        yield held_out(2)
    yield _each(dear)
    yield _each(lambda table: _gather(table, 3, 2))


def _of_regression(layout: Layout) -> Iterator[Move]:
    def errors(factor: float) -> Move:
        def change(table: Floats) -> None:
            table[..., 1] = factor * table[..., 2]  # all to one side
            table[..., 1:5] *= np.abs(factor) ** np.array([0, 1, 2, 4])
            table[..., 8] *= factor**2

        return _each(change)

    for factor in (4.0, -4.0, 1.0, -1.0, 0.0):
        yield errors(factor)
    yield _each(lambda table: _gather(table, 2, layout.bins[layout.model.score.name].size - 2))
    yield _each(lambda table: _gather(table, 2, 1))
    yield _each(lambda table: _gather(table, 3, 1))


def _of_classes(layout: Layout) -> Iterator[Move]:
    answers = layout.bins[layout.model.score.name].size

    def shifted(table: Floats) -> None:
        table[:, :, :answers, :answers] = np.roll(table[:, :, :answers, :answers], 1, axis=2)

    yield _each(shifted)
    for answer in range(min(answers, _MOST_COLUMNS)):
        yield _each(lambda table, answer=answer: _gather(table, 2, answer))  # type: ignore[misc]
    for truth in range(min(answers, _MOST_COLUMNS)):
        yield _known_as(truth, answers)
    yield _each(lambda table: _gather(table, 3, answers))


_OF_OUTCOMES: dict[str, Callable[[Layout], Iterator[Move]]] = {
    "binary": _of_binary,
    "multiclass": _of_classes,
    "regression": _of_regression,
}
