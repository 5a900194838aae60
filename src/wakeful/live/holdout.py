"""Which cases are let through at random, so that their outcomes are seen.

A case is held out where a keyed hash of its id falls below the share: the same answer in every process, on
every machine, in every version of Python and in every replay. An id counts as its text, so 7, 7.0 and "7" are
one case. The hash is BLAKE2b (RFC 7693) of 8 bytes, keyed with the SHA-256 of the salt. Where the share depends
on the score, it is that of the score's bin in the reference, so scores of one bin are let through alike.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, NamedTuple

from wakeful.bins import Bins, NumericBins
from wakeful.ids import text_of
from wakeful.release import Release

__all__ = ["Decision", "Holdout"]

_WORD = 2**64


class Decision(NamedTuple):
    """What to do with a case.

    Attributes:
        flagged: the score reaches the threshold.
        holdout: let through at random: act as if it were not flagged, and wait for its outcome. Only flagged cases
            are, unless the holdout is drawn from all.
        act: flagged and not held out.
    """

    flagged: bool
    holdout: bool
    act: bool


class Holdout:
    """A random part of the flagged cases, or of all.

    Args:
        release: with which share of which cases.
        bins: of the score, which the shares of ``release`` belong to.
        salt: another salt draws other cases; keep it while outcomes are awaited.
    """

    def __init__(self, release: Release, bins: Bins, salt: str) -> None:
        self.release = release
        self.share = float(release.shares.max())
        self.salt = salt
        below = [int(share * _WORD) for share in release.shares.tolist()]
        self._edges = bins.edges.tolist() if isinstance(bins, NumericBins) and len(set(below)) > 1 else []
        self._below, self._without_score = below, min(below)
        self._key = hashlib.sha256(salt.encode("utf-8", "surrogatepass")).digest()

    def decide(self, id: Any, score: Any, threshold: float | None) -> Decision:
        """Flagged by its score, held out by its id; what is no number is not flagged. Never raises."""
        try:
            flagged = threshold is not None and bool(score >= threshold) and math.isfinite(score)
        except Exception:
            flagged = False
        except BaseException:  # such as SystemExit: of a hostile score, or of a signal that comes just now
            if type(score) in (float, int):
                raise
            flagged = False
        holdout = (flagged or self.release.from_all) and self.draws(id, score)
        return Decision(flagged, holdout, flagged and not holdout)

    def drawn(self, flagged: Iterable[Any], ids: Iterable[Any], scores: Iterable[Any]) -> list[bool]:
        """Whether each case is held out, by whether it is flagged, its id and its score."""
        every = self.release.from_all
        return [
            (every or bool(flag)) and self.draws(id, score)
            for flag, id, score in zip(flagged, ids, scores, strict=True)
        ]

    def draws(self, id: Any, score: Any = None) -> bool:
        """Whether a case that may be held out is; never where its id is missing or no id at all."""
        below = self._below_of(score) if self._edges else self._below[0]
        if not below:
            return False
        text = text_of(id)
        if text is None:
            return False
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") < below

    def _below_of(self, score: Any) -> int:
        """Below which hash a score is let through; without a score, that of the least likely ones."""
        try:
            if math.isfinite(score):
                return self._below[bisect_right(self._edges, score)]
        except Exception:
            return self._without_score
        except BaseException:  # as above
            if type(score) in (float, int):
                raise
        return self._without_score
