"""From a world and a scenario to the windows that a monitor sees in production."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from worlds import DECISION, HELD_OUT, HOLDOUT, ID, SCORE, Floats, World, score

Rng = np.random.Generator
Kind = Literal["clean", "benign", "incident", "history"]


@dataclass(frozen=True)
class Scenario:
    """What happens to live traffic, step by step; a step left out leaves things as they are.

    Attributes:
        name: with its parameters.
        kind: clean or benign (a monitor must stay silent), incident (it must not), or history (time as it went).
        what: the row of the catalogue that it belongs to.
        culprit: columns, any of which is the right one to name; empty where there is none.
        weights: of live rows, shape (rows,), ≥ 0: which of them come.
        features: what the service makes of the rows' features, before the model sees them.
        old: an earlier model answers.
        score: what becomes of the scores, shape (rows,).
        threshold: at which rows are flagged, if it is not the world's.
        label: what the outcomes are taken for, from features and label of the rows.
        served: what becomes of the rows once all of it is known.
    """

    name: str
    kind: Kind = "incident"
    what: str = ""
    culprit: frozenset[str] = frozenset()
    weights: Callable[[pd.DataFrame], Floats] | None = None
    features: Callable[[pd.DataFrame, Rng], pd.DataFrame] | None = None
    old: bool = False
    score: Callable[[Floats, Rng], Floats] | None = None
    threshold: float | None = None
    label: Callable[[pd.DataFrame, Rng], Floats] | None = None
    served: Callable[[pd.DataFrame, Rng], pd.DataFrame] | None = None


CLEAN = Scenario("clean", "clean")


class TooFewRows(Exception):
    """The live part has fewer rows of the wanted kind than a window takes."""


def windows(world: World, scenario: Scenario, rows: int, number: int, seed: int, draw: int) -> list[pd.DataFrame]:
    """Consecutive windows of one draw of a scenario: the same for every tool.

    No row comes twice within a draw, unless the live part has too few rows for that; within a window never.

    Args:
        world: an iid one.
        scenario: what happens.
        rows: of a window.
        number: of windows.
        seed: of the run.
        draw: which of several.

    Raises:
        TooFewRows: not even one window can be filled.
    """
    rng = np.random.default_rng([seed, draw, rows, *(zlib.crc32(one.encode()) for one in (world.name, scenario.name))])
    chosen = choose(world.live, scenario.weights, rng)
    if len(chosen) < rows:
        raise TooFewRows(f"{world.name}: {scenario.name}: {rows} rows wanted, {len(chosen)} there")
    made = []
    for at in range(number):
        start = at * rows
        picked = chosen[start : start + rows] if start + rows <= len(chosen) else rng.permutation(chosen)[:rows]
        made.append(serve(world, world.live.iloc[picked].reset_index(drop=True), scenario, rng))
    return made


def choose(live: pd.DataFrame, weights: Callable[[pd.DataFrame], Floats] | None, rng: Rng) -> NDArray[np.intp]:
    """Positions of live rows in random order, each kept with a chance proportional to its weight."""
    order = rng.permutation(len(live))
    if weights is None:
        return order
    wanted = weights(live)
    return order[rng.random(len(live)) < (wanted / wanted.max())[order]]


def serve(world: World, rows: pd.DataFrame, scenario: Scenario, rng: Rng) -> pd.DataFrame:
    """What the log of the service holds of some rows; a flagged row has an outcome only where it was held out."""
    features = rows[world.features]
    if scenario.features is not None:
        features = scenario.features(features.copy(), rng)
    scores = score(world.old if scenario.old else world.model, features[world.features])
    if scenario.score is not None:
        scores = scenario.score(scores, rng)
    flagged = scores >= (world.threshold if scenario.threshold is None else scenario.threshold)
    held_out = flagged & (rng.random(len(rows)) < HELD_OUT)
    label = rows[world.label].to_numpy() if scenario.label is None else scenario.label(rows, rng)
    served = features.assign(
        **{ID: rng.permutation(10 * len(rows))[: len(rows)] + 10**6, SCORE: scores, DECISION: flagged},
        **{HOLDOUT: held_out, world.label: np.where(flagged & ~held_out, np.nan, label)},
    )
    if world.time is not None:
        served[world.time] = rows[world.time].to_numpy()
    return served if scenario.served is None else scenario.served(served, rng)
