"""Rows of panels, from left to right and from top to bottom, each with an id of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wakeful.compile.grafana.panels import Tile
from wakeful.compile.grafana.sdk import dashboard

__all__ = ["Row", "placed"]

_WIDTH = 24


class Row(NamedTuple):
    """A title and the panels below it."""

    title: str
    tiles: list[Tile]


def placed(rows: Iterable[Row]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """All panels where they stand; a row without any is left out."""
    found: list[dashboard.Panel | dashboard.RowPanel] = []
    y = 0
    for row in rows:
        if not row.tiles:
            continue
        place = dashboard.GridPos(h=1, w=_WIDTH, x=0, y=y)
        found.append(dashboard.RowPanel(title=row.title, grid_pos=place, id_val=len(found) + 1, panels=[]))
        x, y, height = 0, y + 1, 0
        for tile in row.tiles:
            if x + tile.width > _WIDTH:
                x, y, height = 0, y + height, 0
            tile.panel.grid_pos = dashboard.GridPos(h=tile.height, w=tile.width, x=x, y=y)
            tile.panel.id_val = len(found) + 1
            found.append(tile.panel)
            x, height = x + tile.width, max(height, tile.height)
        y += height
    return found
