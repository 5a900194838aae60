"""Changes that must wake nobody: real rows in other proportions, no value touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from traffic import Scenario
from worlds import Floats, World

WEAK, STRONG = 1.5, 0.8  # log of the weight of the highest value over that of the lowest


def benign(world: World) -> Iterator[Scenario]:
    """Seasons, campaigns and mixes of any world, by rule from its columns."""
    numeric = [name for name in reversed(world.importance) if name in world.numeric]
    categorical = [name for name in world.categorical if name != world.segment]
    for column in numeric[: max(1, min(4, len(numeric) - 1))]:
        yield Scenario(f"{column} tilted by {WEAK:g}", "benign", "shift of a weak feature", weights=tilt(column, WEAK))
    if len(numeric) > 1:
        column = numeric[-1]
        yield Scenario(
            f"{column} tilted by {STRONG:g}", "benign", "mild season in a strong feature", weights=tilt(column, STRONG)
        )
    for column in categorical[:3]:
        top = world.reference[column].value_counts().index[0]
        yield Scenario(f"twice as much {column}={top}", "benign", "campaign", weights=more(column, top, 2))
    if world.segment is not None:
        value = world.reference[world.segment].value_counts().index[1]
        yield Scenario(
            f"half as much {world.segment}={value}", "benign", "segment mix", weights=more(world.segment, value, 0.5)
        )


def tilt(column: str, strength: float) -> Callable[[pd.DataFrame], Floats]:
    """Weights that rise exponentially with a row's rank in a column."""

    def weights(rows: pd.DataFrame) -> Floats:
        rank = rows[column].rank(pct=True).fillna(0.5).to_numpy()
        return np.exp(strength * (rank - 0.5))

    return weights


def more(column: str, value: str, factor: float) -> Callable[[pd.DataFrame], Floats]:
    """Weights that multiply the rows of one value."""
    return lambda rows: np.where(rows[column] == value, factor, 1.0)
