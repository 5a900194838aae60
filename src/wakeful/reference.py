"""What a model looked like when it was trained: bins, counts, how far windows stray, importance."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wakeful.bins import Bins, CategoryBins, NumericBins
from wakeful.counts import Counts, Layout
from wakeful.errors import ReferenceFileError
from wakeful.model import Column, Model

__all__ = ["SCHEMA", "Dispersion", "Reference", "Windows"]

SCHEMA = 1


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
    """The time windows from which dispersion was learnt: their calendar unit and how many there were."""

    unit: str
    number: int


@dataclass(frozen=True, eq=False)
class Reference:
    """Everything a monitor knows of healthy traffic.

    Attributes:
        layout: model, bins and the meaning of every count.
        counts: the counts of the training data.
        importance: per feature, how much of the score's variation its bins explain, 0 … 1 (correlation
            ratio, adjusted for the number of bins).
        dispersion: per column.
        outcome_dispersion: the same for outcomes at a given score.
        windows: what dispersion was learnt from; None where the data carry no time.
    """

    layout: Layout
    counts: Counts
    importance: Mapping[str, float] = field(default_factory=dict)
    dispersion: Mapping[str, Dispersion] = field(default_factory=dict)
    outcome_dispersion: float = 0.0
    windows: Windows | None = None

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
    for column in model.columns:
        place = layout.cells[column.name]
        columns[column.name] = {
            "kind": column.kind,
            "source": column.source,
            "derived": column.derived,
            "importance": reference.importance.get(column.name, 0.0),
            "dispersion": list(reference.dispersion.get(column.name, Dispersion())),
            "bins": _bins_to_json(layout.bins[column.name]),
            "counts": [_whole(row[place.start : place.stop]) for row in table],
        }
    outcomes = table[:, layout.outcome_start :]
    return {
        "wakeful": "reference",
        "schema": SCHEMA,
        "layout": layout.fingerprint,
        "model": roles | {"segments": list(model.segments), "score": model.score.name},
        "slices": [str(part) for part in layout.slices],
        "rows": _whole(table[:, 0]),
        "windows": reference.windows._asdict() if reference.windows else None,
        "columns": columns,
        "outcomes": {
            "scales": [layout.error_scale, layout.label_center, layout.label_scale],
            "dispersion": reference.outcome_dispersion,
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
    features = tuple(column for name, column in found.items() if name != score)
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
        {name: Dispersion(*content["columns"][name]["dispersion"]) for name in found},
        outcomes["dispersion"],
        Windows(**content["windows"]) if content["windows"] else None,
    )


def _bins_to_json(bins: Bins) -> dict[str, Any]:
    return asdict(bins)


def _bins_from_json(entry: dict[str, Any]) -> Bins:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return NumericBins(**fields) if "cuts" in fields else CategoryBins(**fields)
