"""Worlds in true time order, without an incident: how often would a tool have told somebody, and what?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from judging import Adapter, Case, judge
from results import History
from traffic import Scenario, serve
from worlds import World


def history(adapter: Adapter, world: World, seed: int) -> History:
    """A tool's judgements of the live part, one window of calendar time after the other."""
    assert world.time is not None
    found = list(weeks(world, seed))
    judged = list(judge(adapter, world, int(np.median([case.rows for case in found])), found))
    times = world.live[world.time]
    return History(len(judged), (times.max() - times.min()).days / 365.25, [one for one in judged if one.alarm])


def weeks(world: World, seed: int) -> Iterator[Case]:
    """The windows, named after the day on which they start; they are weeks, months or quarters."""
    rng = np.random.default_rng(seed)
    grouper = pd.Grouper(key=world.time, freq=world.every, label="left", closed="left")
    for number, (start, rows) in enumerate(world.live.groupby(grouper)):
        if len(rows):
            scenario = Scenario(f"{start:%Y-%m-%d}", "history")
            window = serve(world, rows.reset_index(drop=True), scenario, rng)
            yield Case(scenario, len(rows), 0, number + 1, window)
