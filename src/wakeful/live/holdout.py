"""Which flagged cases are let through at random, so that their outcomes are seen.

A case is held out where a keyed hash of its id falls below the share: the same answer in every process, on
every machine, in every version of Python and in every replay. An id counts as its text, so 7, 7.0 and "7" are
one case. The hash is BLAKE2b (RFC 7693) of 8 bytes, keyed with the SHA-256 of the salt.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

from wakeful.errors import DataError
from wakeful.ids import text_of

__all__ = ["Decision", "Holdout"]

_WORD = 2**64


class Decision(NamedTuple):
    """What to do with a case.

    Attributes:
        flagged: the score reaches the threshold.
        holdout: flagged, but let through at random: act as if it were not flagged, and wait for its outcome.
        act: flagged and not held out.
    """

    flagged: bool
    holdout: bool
    act: bool


class Holdout:
    """A random part of the flagged cases.

    Args:
        share: of flagged cases that are let through, at least 0 and below 1.
        salt: another salt draws other cases; keep it while outcomes are awaited.

    Raises:
        DataError: the share is no such number.
    """

    def __init__(self, share: float, salt: str) -> None:
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise DataError(f"holdout_share must be at least 0 and below 1, not {share!r}: of 100 flagged, 2 are 0.02.")
        self.share = float(share)
        self.salt = salt
        self._below = int(self.share * _WORD)
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
        holdout = flagged and self.draws(id)
        return Decision(flagged, holdout, flagged and not holdout)

    def draws(self, id: Any) -> bool:
        """Whether a flagged case is held out; never where its id is missing or no id at all."""
        if not self._below:
            return False
        text = text_of(id)
        if text is None:
            return False
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") < self._below
