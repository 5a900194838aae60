"""What an adapter is: a module with a class named Tool that has these two methods.

A module of a tool that is installed in an environment of its own imports nothing but that tool, pandas and this.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import pandas as pd

Roles = dict[str, Any]


class Judgement(NamedTuple):
    """What a tool says of a window.

    Attributes:
        alarm: whether somebody is told.
        ranking: columns that it blames, the most suspicious first; may be empty.
        messages: in its own words, for people.
    """

    alarm: bool
    ranking: list[str]
    messages: list[str]


class MonitoringTool(Protocol):
    """A tool with the settings that a newcomer meets.

    One that has an attribute ``looks_back`` is given a second argument by ``judge``: the windows of the same
    draw that came before, the oldest first, for what it judges over longer stretches.
    """

    def prepare(self, reference: pd.DataFrame, roles: Roles) -> None:
        """Learn from the reference.

        Args:
            reference: features, score, decision, label (known in all rows) and, in time order, the time.
            roles: names of the columns: score, decision, label, holdout and id (the last two in live data
                only), time and segment or None; threshold; the share of flagged rows that is held out; rows of a
                window (the typical number in time order); the features as lists, numeric and categorical.
        """

    def judge(self, window: pd.DataFrame) -> Judgement:
        """Judge a window, which has the reference's columns, holdout and id.

        The label is missing where nobody can know it: in flagged rows that were not held out.
        """
