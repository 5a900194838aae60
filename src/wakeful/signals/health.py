"""Whether outcomes can be trusted: the holdout, and outcomes against what scores promised."""

from __future__ import annotations

import numpy as np

from wakeful.evidence import Distance, Share
from wakeful.signals.signal import signal
from wakeful.views import BinaryOutcomes

__all__ = ["holdout_d1", "holdout_share", "observed_to_expected"]


@signal(of="binary", dispersion="none")
def holdout_share(live: BinaryOutcomes) -> Share:
    """Share of flagged rows that were held out, of those of which the data say whether they were."""
    rest, held_out = _flagged(live)
    return Share(float(held_out.sum()), float(held_out.sum() + rest.sum()))


@signal(of="binary", dispersion="none")
def holdout_d1(live: BinaryOutcomes) -> Distance:
    """d1 between the scores of flagged rows that were held out and those that were not, in [0, 2].

    A holdout drawn at random has the same scores as the rest; ``noise`` says how far chance alone moves it.
    """
    rest, held_out = _flagged(live)
    n, m = float(held_out.sum()), float(rest.sum())
    p = (rest + held_out) / max(n + m, 1.0)
    spread = float(np.sqrt(2 * p * (1 - p) / np.pi).sum())
    distance = np.abs(held_out / max(n, 1.0) - rest / max(m, 1.0)).sum()
    return Distance(float(distance), spread, 2.0, n, m)


def _flagged(live: BinaryOutcomes) -> np.ndarray:
    """Flagged rows by whether they were held out and by answer, shape (2, answers)."""
    live.decisions  # noqa: B018  # raises where there are none
    rows = live.table[..., 0].sum(axis=3)
    return rows[1:, 1] if len(rows) == 3 else np.zeros((2, rows.shape[2]))


@signal(of="binary")
def observed_to_expected(live: BinaryOutcomes, reference: BinaryOutcomes) -> float:
    """Positives, over those that the reference had at the same scores: 1 while scores keep their promise.

    O/E of calibration-in-the-large (Debray et al. 2017, BMJ 356:i6460), against the reference's rate in every
    bin of the score instead of the score itself, so that a score need not be a probability.
    """
    rows, positive = live.weighted[..., 0].sum(axis=1), live.positive
    known, usual = reference.weighted[..., 0].sum(axis=1), reference.positive
    average = usual.sum() / known.sum()
    rate = (usual + average) / (known + 1.0)
    expected = float((rows * rate).sum())
    return float(positive.sum()) / expected if expected > 0 else np.nan
