"""Rows of one decision, of which some have a known outcome, by how likely it is to be known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wakeful.bins import Floats, Ints
from wakeful.caching import cached_property

__all__ = ["Group", "Strata"]

_FEW = 10  # known outcomes of a group: of fewer, bounds end at 0 and 1 before they tell how far chance reaches


class Group(NamedTuple):
    """Rows of strata that are judged together.

    Attributes:
        rows: labelled or not.
        share: of positives among them; NaN where nothing is known.
        n: number of independent rows that know it as well, or better.
    """

    rows: float
    share: float
    n: float


@dataclass(frozen=True, eq=False)
class Strata:
    """Rows of one decision. Those of one stratum are known with one probability, so each stands for as many.

    Horvitz & Thompson 1952, with the share of known rows as probability: post-stratified (Holt & Smith 1979, J. R.
    Statist. Soc. A 142:33).

    Attributes:
        rows: by cell of the answer, whether or not their outcome is known, shape (cells,).
        labelled: of these, negatives and positives, shape (cells, 2).
        of: number of each cell's stratum, shape (cells,).
    """

    rows: Floats
    labelled: Floats
    of: Ints

    @cached_property
    def _seen(self) -> Floats:
        """Known outcomes of each stratum, shape (strata,)."""
        return np.bincount(self.of, self.labelled.sum(axis=1)).astype(float)

    @cached_property
    def _likely(self) -> Ints:
        """The stratum that each cell is known by: its own, or where nothing is known of it, that of the nearest."""
        told = np.flatnonzero(self._seen[self.of])
        if not 0 < len(told) < len(self.of):
            return self.of
        nearest = told[np.abs(np.arange(len(self.of))[:, None] - told).argmin(axis=1)]
        found: Ints = self.of[nearest]
        return found

    @property
    def each(self) -> Floats:
        """Rows of each stratum that has some for each known outcome, infinite where there is none."""
        rows = np.bincount(self.of, self.rows)
        with np.errstate(divide="ignore"):
            found: Floats = rows[rows > 0] / self._seen[rows > 0]
        return found

    @property
    def unseen(self) -> float:
        """Rows of strata of which nothing is known."""
        return float(self.rows[self._seen[self.of] == 0].sum())

    @cached_property
    def weights(self) -> Floats:
        """Rows that one labelled row stands for, shape (cells,).

        NaN where there are rows, but no outcome of any: nothing is known of them.
        """
        rows, n = np.bincount(self._likely, self.rows, len(self._seen)), self._seen
        nothing = np.where(rows > 0, np.nan, 0.0)
        found: Floats = np.where(n > 0, rows / np.maximum(n, 1.0), nothing)[self._likely]
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """Strata, of which those with few known outcomes are judged together; at least one group.

        A share of unequally weighted rows is known at least as well as from 1 / (share of the heaviest) rows of
        equal weight: ln E exp(w y) is convex in the weight w and 0 at 0, so Chernoff's bound of their sum is no wider
        (Hoeffding 1963, section 4). Rows of strata of which nothing is known weigh on the heaviest.
        """
        seen, size = self._seen, len(self._seen)
        rate = np.bincount(self.of, self.labelled[:, 1]) / np.where(seen > 0, seen, np.nan)
        rows, positive = (
            np.bincount(self.of, one, size).astype(float)
            for one in (self.rows, np.where(self.rows > 0, self.rows * rate[self._likely], 0.0))
        )
        few = np.flatnonzero((rows > 0) & (seen < _FEW))
        found = [few] if len(few) or not rows.any() else []
        found += [np.array([at]) for at in np.flatnonzero((rows > 0) & (seen >= _FEW))]
        return [self._group(rows[some], positive[some], seen[some]) for some in found]

    def _group(self, rows: Floats, positive: Floats, seen: Floats) -> Group:
        """Strata judged together, from their rows, positives among all of them and known outcomes, shape (strata,)."""
        if not self._seen.any():
            return Group(float(rows.sum()), np.nan, 0.0)
        told = seen > 0
        heaviest = (rows[told] / seen[told]).max(initial=0.0) + rows[~told].sum()
        whole = float(rows.sum())
        return Group(whole, float(positive.sum()) / max(whole, 1.0), whole / max(heaviest, 1.0))
