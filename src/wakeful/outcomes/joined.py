"""What can be asked of predictions with their outcomes: a history that checks can be run over, and its health."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence

from wakeful.counting import Derivation
from wakeful.counts import Layout
from wakeful.delays import Delays
from wakeful.engines.tiles import Question, Tile, tiles_of_time
from wakeful.every import Every
from wakeful.outcomes.ageing import ageing
from wakeful.outcomes.folder import write
from wakeful.outcomes.health import Ahead, Health, Known, health, known_by_age, total
from wakeful.outcomes.resolved import Resolved

__all__ = ["Joined"]


class Joined(Resolved):
    """Predictions with what was told of them until a moment, counted and looked at."""

    def counts(
        self, layout: Layout, every: str, *, columns: Sequence[str] | None = None, timezone: str = "UTC",
        derived: Mapping[str, Derivation] | None = None, since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Iterator[Tile]:  # fmt: skip
        """Counts per window of prediction time, in its order; windows without predictions are left out.

        They are those of the joined table, counted anew: a correction moves its row from one cell to another. A
        row whose outcome is not known counts as one without.

        Args:
            layout: of the reference.
            every: length of a window, such as ``1d``.
            columns: that derived columns need; all without them.
            timezone: on whose clock windows begin.
            derived: functions of the derived columns.
            since: a moment with a time zone; rows before it are left out.
            until: another; rows from it on are left out.
        """
        span = self.history.span(self.time)
        question = Question(layout, columns, derived or {})
        yield from tiles_of_time(self.history, question, self.time, Every.parse(every, timezone), span, since, until)

    def health(self, every: str, timezone: str = "UTC") -> list[Health]:
        """Label health per window of prediction time."""
        return health(self, every, timezone)

    def total(self) -> Health:
        """Label health of all predictions."""
        return total(health(self, "1mo"))

    def delays(self, every: str, timezone: str = "UTC", bins: int = 1_000) -> tuple[list[int], Delays]:
        """Counts by window, class and age, for ``maturity.windows`` and ``curves``.

        An outcome has the age of the first that was told of its prediction, and the class of the last; one that was
        told before its prediction has none. Predictions whose outcome is neither 0 nor 1 are left out. Where the
        model is not binary, all outcomes are of one class, the positive one.

        Args:
            every: length of a window of prediction time.
            timezone: on whose clock windows begin.
            bins: of age up to the horizon; fewer, down to 50, where there are thousands of windows.

        Returns:
            Starts of the windows, microseconds since 1970, and the counts.

        Raises:
            DataError: there is no prediction.
        """
        return ageing(self, every, timezone, bins)

    def ahead(self) -> Ahead:
        """How much was told of what had not happened yet."""
        of = f"count(*) FROM predictions WHERE t > {self.now}", f"count(*) FROM outcomes WHERE told > {self.now}"
        return Ahead(*(self.rows(f"SELECT {one}")[0][0] for one in of))

    def known_by_age(self) -> list[Known]:
        """How many outcomes are known at which age."""
        return known_by_age(self)

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write Parquet, a file per day of prediction time in UTC; only days that have changed. Names of the files."""
        return write(self, folder)
