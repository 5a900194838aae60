"""The rules that teams write by hand: a distance of every column's shares, against a fixed number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tool import Judgement, Roles

Floats = NDArray[np.float64]


class Rule:
    """Alarm where any column's distance from the reference exceeds a limit.

    Numbers fall into the reference's deciles, text into its values; null has a bin of its own.
    """

    def __init__(self, distance: Callable[[Floats, Floats], float], limit: float, name: str) -> None:
        self.distance, self.limit, self.name = distance, limit, name

    def prepare(self, reference: pd.DataFrame, roles: Roles) -> None:
        self.edges = {
            name: np.unique(reference[name].quantile(np.arange(0.1, 0.95, 0.1)).to_numpy())
            for name in [*roles["numeric"], roles["score"]]
        }
        self.known = {name: pd.Index(reference[name].dropna().unique()) for name in roles["categorical"]}
        self.shares = {name: self._shares(reference, name) for name in (*self.edges, *self.known)}

    def judge(self, window: pd.DataFrame) -> Judgement:
        far = {}
        for name, expected in self.shares.items():
            found = self.distance(self._shares(window, name), expected) if name in window else np.inf
            if found > self.limit:
                far[name] = found
        ranking = sorted(far, key=lambda name: -far[name])
        return Judgement(bool(far), ranking, [f"{name}: {self.name} = {far[name]:.3g}" for name in ranking])

    def _shares(self, rows: pd.DataFrame, name: str) -> Floats:
        values = rows[name]
        if name in self.known:
            size = len(self.known[name]) + 1
            place = self.known[name].get_indexer(values)  # -1 where unseen
            place = np.where(place < 0, size - 1, place)
        else:
            size = len(self.edges[name]) + 1
            place = np.searchsorted(self.edges[name], values.to_numpy(), side="right")
        place = np.where(values.isna(), size, place)
        return np.bincount(place, minlength=size + 1) / len(rows)


def d1(live: Floats, expected: Floats) -> float:
    return float(np.abs(live - expected).sum())


def psi(live: Floats, expected: Floats) -> float:
    live, expected = np.maximum(live, 1e-4), np.maximum(expected, 1e-4)
    return float(((live - expected) * np.log(live / expected)).sum())
