"""With which probability a case is let through so that its outcome is seen: from which cases, and by which scores.

The probability is one number per bin of the score, fixed like the bins themselves. So all rows of a bin that are
known count the same, and weights on counts are those on rows, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from wakeful.bins import Floats, Ints, NumericBins
from wakeful.caching import cached_property
from wakeful.counts import Layout
from wakeful.errors import DataError

__all__ = ["EVEN", "From", "Release", "ShareOfScore", "released"]

From: TypeAlias = Literal["flagged", "all"]
ShareOfScore: TypeAlias = "float | Callable[[float], float]"


@dataclass(frozen=True, eq=False)
class Release:
    """How a holdout is drawn.

    Attributes:
        shares: of the cases in each cell of the score that are let through, shape (answers,), or (1,) for all alike.
        from_all: unflagged cases are drawn, too: their outcomes are hidden where they are not held out.
    """

    shares: Floats
    from_all: bool = False

    @cached_property
    def strata(self) -> Ints:
        """Number of the group of cells with the same share, shape of ``shares``."""
        return np.unique(self.shares, return_inverse=True)[1].reshape(self.shares.shape)

    @cached_property
    def odds(self) -> Floats:
        """Cases let through for each that is not, up to a constant, shape of ``shares``."""
        return self.shares / (1 - self.shares) if np.ptp(self.shares) else np.ones_like(self.shares)


EVEN = Release(np.zeros(1))  # who draws the holdout says nothing of how: all flagged cases alike


def released(share: ShareOfScore, drawn_from: From, layout: Layout) -> Release:
    """How a holdout is drawn from cases of a model.

    Args:
        share: of cases that are let through, at least 0 and below 1; or a function from a score to it, which is
            called for each bin of scores that may be drawn from, with the middle of the bin.
        drawn_from: "flagged" cases, or "all".
        layout: with the bins of the score.

    Raises:
        DataError: a share is no such number, or a function gives none to some scores: nothing would be known there.
    """
    if drawn_from not in ("flagged", "all"):
        raise DataError(f"holdout_from must be 'flagged' or 'all', not {drawn_from!r}.")
    model = layout.model
    bins = layout.bins[model.score.name]
    if not callable(share):
        if not _is_share(share):
            raise DataError(f"holdout_share must be at least 0 and below 1, not {share!r}: of 100 flagged, 2 are 0.02.")
        return Release(np.full(bins.size + 2, float(share)), drawn_from == "all")
    if not isinstance(bins, NumericBins):
        raise DataError(f"holdout_share is a function of the score, but {model.score.name!r} is no number. Give one.")
    drawn = np.ones(bins.size, dtype=bool)
    if drawn_from == "flagged" and model.threshold is not None and model.decision is None:
        drawn = bins.middles >= model.threshold  # which is a border of bins
    shares = np.full(bins.size + 2, np.nan)
    shares[np.flatnonzero(drawn)] = [_share_at(share, score) for score in bins.middles[drawn].tolist()]
    return Release(np.nan_to_num(shares, nan=float(np.nanmin(shares))), drawn_from == "all")


def _share_at(function: Callable[[float], float], score: float) -> float:
    """The share of a score; DataError where it is none that lets somebody through."""
    try:
        share = function(score)
    except Exception as error:
        raise DataError(f"holdout_share({score:g}) raised {type(error).__name__}: {error}.") from error
    if not (_is_share(share) and share > 0):
        raise DataError(
            f"holdout_share({score:g}) is {share!r}: it must lie above 0 and below 1. Of scores from which nobody is "
            "let through, no outcome would be known."
        )
    return float(share)


def _is_share(share: object) -> bool:
    return isinstance(share, int | float | np.floating) and bool(0 <= share < 1)
