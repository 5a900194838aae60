"""The figures as a picture: caught incidents against alarms that nobody needed, a point per tool and world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
from judging import Judged
from results import figures

SIZES = {"all worlds": 220, "one world": 40}


def draw(judged: list[Judged], path: Path) -> None:
    """Write the picture; the suffix, .svg or .png, says how."""
    points = pd.DataFrame(list(_points(judged)))
    panels = [_panel(points, "clean"), _panel(points, "benign")]
    alt.hconcat(*panels).configure_view(stroke=None).save(path, scale_factor=2)


def _points(judged: list[Judged]) -> Any:
    keys = dict.fromkeys((one.tool, one.rows) for one in judged)
    for tool, rows in keys:
        mine = [one for one in judged if (one.tool, one.rows) == (tool, rows)]
        for world in (None, *dict.fromkeys(one.world for one in mine)):
            found = figures([one for one in mine if world in (None, one.world)])
            shares = {
                name: 100 * share.part / max(1, share.whole)
                for name, share in (("clean", found.clean), ("benign", found.benign), ("caught", found.caught))
            }
            scope = "all worlds" if world is None else "one world"
            yield {"tool": tool, "rows": f"{rows:,} rows", "world": world or "all", "scope": scope, **shares}


def _panel(points: pd.DataFrame, wrong: str) -> Any:
    """Caught incident windows over alarmed clean, or benign, windows."""
    axis = alt.X(f"{wrong}:Q", title=f"{wrong} windows with an alarm (%)", scale=alt.Scale(domain=[0, 100]))
    size = alt.Scale(domain=list(SIZES), range=list(SIZES.values()))
    return (
        alt.Chart(points)
        .mark_point(filled=True, opacity=0.75)
        .encode(
            x=axis,
            y=alt.Y("caught:Q", title="incident windows caught (%)", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("tool:N", title=None, sort=None),
            size=alt.Size("scope:N", title=None, scale=size),
            shape=alt.Shape("rows:N", title=None),
        )
        .properties(width=320, height=320)
    )
