"""The catalogue of incidents: what goes wrong in production, for any table by rule from its columns.

Columns are taken in the order of their importance for the score. A rule that finds no fitting column in a
world yields nothing there. A culprit is given only where the column's own values can show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import changes as to
import numpy as np
import pandas as pd
from benign import more
from traffic import Rng, Scenario
from worlds import DECISION, HOLDOUT, SCORE, Floats, World

MOST_COLUMNS = 3  # that one rule is applied to


class Columns(NamedTuple):
    """Columns of a world by what can happen to them, the most important first.

    Attributes:
        numeric, categorical: by type; the segment column is among the latter.
        continuous: numbers with at least 30 values, none of which holds half of the rows.
        nullable: missing in 2% to 95% of the rows.
        hours: hours of the day.
    """

    numeric: list[str]
    categorical: list[str]
    continuous: list[str]
    nullable: list[str]
    hours: list[str]


def columns_of(world: World) -> Columns:
    """The columns that rules choose from."""
    rows = world.reference
    numeric = [name for name in world.importance if name in world.numeric]
    return Columns(
        numeric,
        [name for name in world.importance if name in world.categorical],
        [name for name in numeric if rows[name].nunique() >= 30 and _most_common(rows[name]) < 0.5],
        [name for name in world.importance if 0.02 < rows[name].isna().mean() < 0.95],
        [name for name in numeric if rows[name].max() == 23 and rows[name].min() >= 0 and rows[name].nunique() >= 12],
    )


def incidents(world: World) -> list[Scenario]:
    """All incidents that can happen in a world."""
    columns = columns_of(world)
    rules = (units, gaps, codes, frozen, precision, texts, mixed_up, own_bugs, mixes, answers, decisions, outcomes)
    return list(chain.from_iterable(rule(world, columns) for rule in rules))


def units(world: World, columns: Columns) -> Iterator[Scenario]:
    what = "unit change"
    for name in columns.continuous[:MOST_COLUMNS]:
        yield _of(name, f"{name} x 100", what, to.everywhere(name, to.times(100)))
        yield _of(name, f"{name} x 100 in 5%", what, to.somewhere(name, to.times(100), 0.05))
        yield _of(name, f"{name} / 100 in 10%", what, to.somewhere(name, to.times(0.01), 0.1))
    if world.segment is not None and columns.continuous:
        name, value = columns.continuous[0], _value(world, world.segment, 1)
        change = to.in_segment(name, to.times(100), world.segment, value)
        yield _of(name, f"{name} x 100 where {world.segment}={value}", what, change)


def gaps(world: World, columns: Columns) -> Iterator[Scenario]:
    important = list(world.importance)[:MOST_COLUMNS]
    for name in important:
        yield _of(name, f"{name} lost in 10%", "field lost", to.somewhere(name, to.lost, 0.1))
    name = important[0]
    yield _of(name, f"{name} lost", "field lost", to.everywhere(name, to.lost))
    yield Scenario(
        f"{name} not in the data", what="field lost", culprit=frozenset({name}), features=to.everywhere(name, to.lost),
        served=to.without(name),
    )  # fmt: skip
    if world.segment is not None:
        name, value = columns.numeric[0], _value(world, world.segment, 1)
        change = to.in_segment(name, to.lost, world.segment, value)
        yield _of(name, f"{name} lost where {world.segment}={value}", "field lost", change)
    for name in columns.nullable[:MOST_COLUMNS]:
        change = to.somewhere(name, to.lost, 0.75)
        yield _of(name, f"{name} filled a quarter as often", "optional field lost", change)
        if name in columns.numeric:
            mean = float(world.reference[name].mean())
            yield _of(name, f"{name} null -> 0", "null replaced", to.everywhere(name, to.filled(0)))
            yield _of(name, f"{name} null -> mean", "null replaced", to.everywhere(name, to.filled(mean)))
    for name in columns.continuous[:MOST_COLUMNS]:
        at_mean = to.constant(float(world.reference[name].mean()))
        yield _of(name, f"{name} at its mean in 10%", "null replaced", to.somewhere(name, at_mean, 0.1))


def codes(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.numeric[:MOST_COLUMNS]:
        code = -1.0 if world.reference[name].min() >= 0 else -999.0
        yield _of(name, f"{name} = {code:g} in 5%", "error code", to.somewhere(name, to.constant(code), 0.05))


def frozen(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.continuous[:MOST_COLUMNS]:
        past = world.reference[name].dropna().to_numpy()
        yield _of(name, f"{name} frozen", "frozen feature", to.everywhere(name, to.constant(float(past[7]))))
        cached = to.from_cache(name, np.asarray(past[:20]))
        yield _of(name, f"{name} from 20 stale values", "stale feature", cached)


def precision(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.continuous[:MOST_COLUMNS]:
        unit = float(10 ** np.round(np.log10(world.reference[name].std())))
        for what, change in (("rounding", to.rounded(unit)), ("truncation", to.truncated(unit))):
            if _changes(world, name, change):
                done = "rounded" if what == "rounding" else "truncated"
                yield _of(name, f"{name} {done} to {unit:g}", what, to.everywhere(name, change))


def texts(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.categorical[: MOST_COLUMNS + 1]:
        value = _value(world, name, 1)
        change = to.everywhere(name, to.renamed(value, f"{value.upper()}_X"))
        yield _of(name, f"{name}: {value} renamed", "category renamed", change)
        half = max(1, int(world.reference[name].str.len().median()) // 2)
        if _changes(world, name, to.shortened(half)):
            yield _of(name, f"{name} cut to {half} letters", "truncation", to.everywhere(name, to.shortened(half)))


def mixed_up(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.hours:
        change = to.everywhere(name, to.in_zone(5))
        hours = np.bincount(world.reference[name].dropna().astype(int), minlength=24) / len(world.reference)
        shows = np.abs(np.roll(hours, 5) - hours).sum() > 0.1
        yield Scenario(
            f"{name} + 5 hours", what="time zone", culprit=frozenset({name} if shows else ()), features=change
        )
    pair = _unlike(world, columns.continuous)
    if pair is not None:
        yield Scenario(
            f"{pair[0]} and {pair[1]} swapped", what="columns swapped", culprit=frozenset(pair),
            features=to.swapped(*pair),
        )  # fmt: skip
    important = list(world.importance)[:4]
    yield Scenario("features of another row", what="join broken", features=to.of_another_row(important))


def own_bugs(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.continuous[:1]:
        values = world.reference[name]
        yield _of(name, f"{name} counts another thing", "own bug in a feature", to.counted_wrongly(name, 3))
        recalibrated = to.everywhere(name, to.towards(float(values.mean()), 0.5))
        yield _of(name, f"{name} halved about its mean", "upstream model changed", recalibrated)
        crept = to.everywhere(name, to.plus(float(values.std())))
        yield _of(name, f"{name} crept up by a standard deviation", "slow drift", crept)


def mixes(world: World, columns: Columns) -> Iterator[Scenario]:
    for name in columns.categorical[:MOST_COLUMNS]:
        value = _value(world, name, 0)
        yield Scenario(
            f"{name}={value} vanished", what="platform vanished", culprit=frozenset({name}),
            weights=more(name, value, 0),
        )  # fmt: skip
    yield Scenario("a third of the rows twice", what="retries", served=to.sent_again(1 / 3))
    if world.segment is None or not columns.continuous:
        return
    segment, name = world.segment, columns.continuous[0]
    edge = float(world.reference[name].quantile(0.9))

    def through_client(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        return rows.assign(**{segment: rows[segment].where(~(rows[name] > edge), "NEW_CLIENT")})

    yield Scenario(
        f"30% high {name} through a new client", what="new population", culprit=frozenset({segment}),
        weights=lambda rows: np.where(rows[name] > edge, 0.3 / 0.1, 0.7 / 0.9), features=through_client,
    )  # fmt: skip


def answers(world: World, columns: Columns) -> Iterator[Scenario]:
    culprit = frozenset({SCORE})
    usual = float(f"{world.reference[world.label].mean():.2g}")
    for value, share, what in (
        (0.3, 1.0, "constant score"), (np.nan, 0.05, "NaN score"), (usual, 0.05, "fallback score"),
        (np.nan, 0.2, "a filter empties answers"),
    ):  # fmt: skip
        name = f"score = {value:g} in {share:.0%}"
        yield Scenario(name, what=what, culprit=culprit, score=to.scores_at(value, share))
    yield Scenario("1 - score", what="class order flipped", culprit=culprit, score=lambda scores, rng: 1 - scores)
    yield Scenario("an old model answers", what="old model", culprit=culprit, old=True)
    yield Scenario(
        "scores of other requests", what="answer to the wrong request", score=lambda s, rng: rng.permutation(s)
    )


def decisions(world: World, columns: Columns) -> Iterator[Scenario]:
    for share in (0.4, 0.08):
        threshold = float(world.reference[SCORE].quantile(1 - share))
        yield Scenario(f"threshold flags {share:.0%}", what="threshold changed", threshold=threshold)

    def by_score(rows: pd.DataFrame, rng: Rng) -> pd.DataFrame:
        """The lowest flagged scores are held out, as many as chance had held out; outcomes follow."""
        flagged = rows[DECISION].to_numpy()
        lowest = rows[SCORE].where(flagged).rank(method="first").to_numpy() <= rows[HOLDOUT].sum()
        known = rng.permutation(rows.loc[rows[HOLDOUT], world.label].to_numpy())
        label = rows[world.label].mask(flagged)
        label[lowest] = known
        return rows.assign(**{HOLDOUT: lowest, world.label: label})

    yield Scenario("holdout flag lost", what="holdout", served=lambda rows, rng: rows.assign(**{HOLDOUT: False}))
    yield Scenario("holdout of the lowest scores", what="holdout", served=by_score)


def outcomes(world: World, columns: Columns) -> Iterator[Scenario]:
    label, name = world.label, columns.numeric[0]
    middle = float(world.reference[name].median())

    def drifted(rows: pd.DataFrame, rng: Rng) -> Floats:
        turned = (rows[name] > middle).to_numpy() & (rng.random(len(rows)) < 0.4)
        return np.where(turned, 1 - rows[label], rows[label])

    def pending(rows: pd.DataFrame, rng: Rng) -> Floats:
        return np.where(rng.random(len(rows)) < 0.6, 0.0, rows[label])

    yield Scenario(
        "outcomes of other rows", what="label join broken", label=lambda rows, rng: _shuffled(rows[label], rng)
    )
    yield Scenario("60% of positives come late", what="late labels counted negative", label=pending)
    yield Scenario(f"outcome turns in 40% where {name} > {middle:g}", what="concept drift", label=drifted)


def _of(column: str, name: str, what: str, change: to.Change) -> Scenario:
    return Scenario(name, what=what, culprit=frozenset({column}), features=change)


def _changes(world: World, column: str, change: to.Values) -> bool:
    """Whether a change alters most values: what leaves them as they are is no incident."""
    values = world.reference[column].dropna()
    return bool((change(values) != values).mean() > 0.5)


def _value(world: World, column: str, rank: int) -> str:
    """The value of a column that is so many places from the most frequent."""
    counts = world.reference[column].value_counts()
    return str(counts.index[min(rank, len(counts) - 1)])


def _most_common(values: pd.Series) -> float:
    return float(values.value_counts(normalize=True).iloc[0])


def _shuffled(values: pd.Series, rng: Rng) -> Floats:
    return rng.permutation(values.to_numpy())


def _unlike(world: World, names: list[str]) -> tuple[str, str] | None:
    """The most important pair of columns that lie apart by more than half of their usual spread."""
    middle = world.reference[names].quantile([0.25, 0.5, 0.75])
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            spread = (middle.loc[0.75] - middle.loc[0.25])[[first, second]].max()
            if abs(middle.loc[0.5, first] - middle.loc[0.5, second]) > spread / 2:
                return first, second
    return None
