"""What a model looked like when it was trained: bins, counts, how far windows stray, importance."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wakeful.bins import Bins, CategoryBins, Floats, NumericBins
from wakeful.counts import CLOCK, IDS, Cells, Counts, Layout
from wakeful.errors import ReferenceFileError
from wakeful.model import Column, Model

__all__ = ["SCHEMA", "Dispersion", "Reference", "Windows"]

SCHEMA = 2

_SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000, "quarter": 7_776_000}


class Dispersion(NamedTuple):
    """How much more a column's shares vary from window to window than independent rows would.

    Both are intraclass correlations: the variance of a share p over windows of n rows is
    p(1-p)(1/n + rho) (Dirichlet-multinomial model).

    Attributes:
        shape: of the value bins.
        missing: of the missing share.
    """

    shape: float = 0.0
    missing: float = 0.0


class Windows(NamedTuple):
    """The time windows from which limits were learnt: their calendar unit and how many there were."""

    unit: str
    number: int


class Stray(NamedTuple):
    """How far windows of one length stray from the reference by themselves.

    Attributes:
        number: how many windows it was learnt from.
        outcome: dispersion of outcomes at a given score.
        columns: dispersion of every column.
    """

    number: int
    outcome: float
    columns: Mapping[str, Dispersion]


_STEADY = Stray(0, 0.0, {})


@dataclass(frozen=True, eq=False)
class Reference:
    """Everything a monitor knows of healthy traffic.

    Attributes:
        layout: model, bins and the meaning of every count.
        counts: the counts of the training data.
        importance: per feature, how much of the score's variation its bins explain, 0 … 1 (correlation
            ratio, adjusted for the number of bins).
        windows: what limits were learnt from; None where the data carry no time.
        strays: how far windows stray by themselves, by calendar unit, the shortest first.
        seasons: where hours of the week differ: rows of each, cell by cell, without fingerprints and
            outcomes, shape (168, layout.outcome_start); else None.
        known: what was calculated of it before, for those who judge many windows.
    """

    layout: Layout
    counts: Counts
    importance: Mapping[str, float] = field(default_factory=dict)
    windows: Windows | None = None
    strays: Mapping[str, Stray] = field(default_factory=dict)
    seasons: Floats | None = None
    known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def at_hours_of(self, counts: Counts) -> Reference:
        """This reference, had its rows been drawn from the same hours of the week as live ones.

        Every hour weighs as it does in ``counts``, with one average row added, so that what other hours
        showed has been seen. The rows of the result are those of an unweighted sample that says as much:
        (sum w)² / sum w² (Kish 1965, Survey Sampling, 11.7). Segments and outcomes stay as they are, and so
        does everything where hours do not differ, or the live rows tell no time.
        """
        live = counts.hours
        if self.seasons is None or not live.sum():
            return self
        known = np.where(self.seasons[:, 0] > 0, live, 0.0)
        if 2 * known.sum() < live.sum():
            return self  # hours that training hardly had: nothing to compare with
        rows = self.seasons[:, 0] + 1
        weights = known / rows
        alike = weights @ self.seasons + weights.sum() * self._average
        alike *= known.sum() / (weights**2 @ rows)
        table = self.counts.table.copy()
        for place in self.layout.cells.values():
            prints = slice(place.start + place.values + 2, place.stop - place.sums)
            alike[prints] = table[0, prints] * alike[0] / table[0, 0]
        if IDS in self.layout.cells:  # weights would spoil how evenly whole rows fall
            place = self.layout.cells[IDS]
            alike[place.start : place.stop] = table[0, place.start : place.stop]
        table[0, : self.layout.outcome_start] = alike
        return replace(self, counts=Counts(self.layout, table.ravel()), seasons=None, known={})

    def hourly(self, cells: slice) -> Floats:
        """The terms of ``at_hours_of``: what a live row of each hour adds to some cells, shape (168, cells).

        It is a row in all, and nothing of hours of which training had none.
        """
        assert self.seasons is not None
        rows = self.seasons[:, :1]
        found: Floats = np.where(rows > 0, (self.seasons[:, cells] + self._average[cells]) / (rows + 1), 0.0)
        return found

    @property
    def _average(self) -> Floats:
        """An average row, in cells before the outcomes."""
        found: Floats = self.counts.table[0, : self.layout.outcome_start] / self.counts.rows
        return found

    def stray(self, seconds: float | None = None) -> Stray:
        """How far windows of that length stray: that of the longest unit which is no longer, else the shortest.

        Shorter windows stray more, so this errs to the side of silence. Without a length, it is that of the
        windows from which limits were learnt, else of the longest.
        """
        if seconds is None:
            return self.strays[self.windows.unit] if self.windows else [_STEADY, *self.strays.values()][-1]
        fitting = [stray for unit, stray in self.strays.items() if _SECONDS[unit] <= seconds]
        return fitting[-1] if fitting else next(iter(self.strays.values()), _STEADY)

    @property
    def dispersion(self) -> Mapping[str, Dispersion]:
        """Dispersion of every column between the windows from which limits were learnt."""
        return self.stray().columns

    @property
    def outcome_dispersion(self) -> float:
        """The same for outcomes at a given score."""
        return self.stray().outcome

    @property
    def model(self) -> Model:
        """What is monitored."""
        return self.layout.model

    @property
    def rows(self) -> int:
        """Number of rows it was learnt from."""
        return self.counts.rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one readable JSON file; the same reference always gives the same bytes."""
        content = _to_json(self)
        content["checksum"] = _checksum(content)
        text = json.dumps(content, indent=1, ensure_ascii=False)
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(_join_number_lists(text) + "\n", encoding="utf-8")
        partial.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """Read a reference file.

        Raises:
            ReferenceFileError: the file is missing, damaged, or of an unknown schema version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ReferenceFileError(f"no reference at {path}. Learn one with: wakeful init DATA") from None
        except (ValueError, OSError, RecursionError) as error:
            raise ReferenceFileError(f"{path} is damaged: {error}. Learn it again with: wakeful init") from error
        if not isinstance(content, dict) or "schema" not in content:
            raise ReferenceFileError(f"{path} is no reference file: it has no schema version.")
        if content["schema"] != SCHEMA:
            raise ReferenceFileError(
                f"{path} has schema version {content['schema']!r}, this wakeful reads {SCHEMA}. Learn the "
                "reference again with: wakeful init, or install the wakeful that wrote it."
            )
        if content.pop("checksum", None) != _checksum(content):
            raise ReferenceFileError(
                f"{path} is damaged: its checksum does not match, so it was cut short or edited. "
                "Learn it again with: wakeful init"
            )
        try:
            return _from_json(content)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise ReferenceFileError(f"{path} is damaged: {error!r}. Learn it again: wakeful init") from error


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _join_number_lists(text: str) -> str:
    """Put every list of plain numbers on one line, so that the file can be read."""

    def on_one_line(found: re.Match[str]) -> str:
        return "[" + " ".join(found.group()[1:-1].split()) + "]"

    return re.sub(r"\[[\s\d.,eE+-]+\]", on_one_line, text)


def _whole(values: Any) -> list[int]:
    return [int(value) for value in values]


def _to_json(reference: Reference) -> dict[str, Any]:
    layout, model = reference.layout, reference.model
    table = reference.counts.table
    roles = {key: value for key, value in asdict(model).items() if key not in ("features", "score")}
    columns = {}
    strays = reference.strays.items()
    for column in layout.counted:
        place = layout.cells[column.name]
        columns[column.name] = {
            "kind": column.kind,
            "source": column.source,
            "derived": column.derived,
            "importance": reference.importance.get(column.name, 0.0),
            "dispersion": {unit: list(one.columns.get(column.name, Dispersion())) for unit, one in strays},
            "bins": _bins_to_json(layout.bins[column.name]),
            "counts": [_whole(row[place.start : place.stop]) for row in table],
        }
        if reference.seasons is not None and column in layout.hourly:
            columns[column.name]["by_hour"] = [_whole(row[_kept(place)]) for row in reference.seasons]
    outcomes = table[:, layout.outcome_start :]
    return {
        "wakeful": "reference",
        "schema": SCHEMA,
        "layout": layout.fingerprint,
        "model": roles | {"segments": list(model.segments), "score": model.score.name},
        "slices": [str(part) for part in layout.slices],
        "rows": _whole(table[:, 0]),
        "rows_by_hour": None if reference.seasons is None else _whole(reference.seasons[:, 0]),
        "windows": reference.windows._asdict() if reference.windows else None,
        "strays": {unit: {"number": one.number, "outcome": one.outcome} for unit, one in strays},
        "columns": columns,
        "outcomes": {
            "scales": [layout.error_scale, layout.label_center, layout.label_scale],
            "cells": [_whole(np.flatnonzero(row)) for row in outcomes],
            "counts": [_whole(row[row != 0]) for row in outcomes],
        },
    }


def _from_json(content: dict[str, Any]) -> Reference:
    roles = dict(content["model"])
    score = roles.pop("score")
    found = {
        name: Column(name, entry["kind"], entry["source"], entry["derived"])
        for name, entry in content["columns"].items()
    }
    features = tuple(column for name, column in found.items() if name not in (score, CLOCK, IDS))
    model = Model(**roles | {"features": features, "score": found[score], "segments": tuple(roles["segments"])})
    bins = {name: _bins_from_json(entry["bins"]) for name, entry in content["columns"].items()}
    layout = Layout(model, bins, *content["outcomes"]["scales"])
    counts = Counts.zero(layout)
    table, outcomes = counts.table, content["outcomes"]
    table[:, 0] = content["rows"]
    for name, place in layout.cells.items():
        table[:, place.start : place.stop] = content["columns"][name]["counts"]
    for row, cells, numbers in zip(table, outcomes["cells"], outcomes["counts"], strict=True):
        row[layout.outcome_start + np.array(cells, dtype=int)] = numbers
    if layout.fingerprint != content["layout"]:
        raise ValueError("the layout does not match its fingerprint")
    return Reference(
        layout,
        counts,
        {name: content["columns"][name]["importance"] for name in found},
        Windows(**content["windows"]) if content["windows"] else None,
        {
            unit: Stray(
                **one, columns={name: Dispersion(*content["columns"][name]["dispersion"][unit]) for name in found}
            )
            for unit, one in content["strays"].items()
        },
        _seasons_from_json(layout, content),
    )


def _seasons_from_json(layout: Layout, content: dict[str, Any]) -> Floats | None:
    if content["rows_by_hour"] is None:
        return None
    table = np.zeros((168, layout.outcome_start))
    table[:, 0] = content["rows_by_hour"]
    for column in layout.hourly:
        table[:, _kept(layout.cells[column.name])] = content["columns"][column.name]["by_hour"]
    return table


def _kept(place: Cells) -> Any:
    """Cells of a column that are kept by hour: all but its fingerprints."""
    cells = np.arange(place.start, place.stop)
    after = place.values + 2
    return np.delete(cells, np.arange(after, after + place.fingerprints))


def _bins_to_json(bins: Bins) -> dict[str, Any]:
    return asdict(bins)


def _bins_from_json(entry: dict[str, Any]) -> Bins:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return NumericBins(**fields) if "cuts" in fields else CategoryBins(**fields)
