"""Quality of a classifier of several classes, under scikit-learn's names.

Every share is exact. Without a ``label`` a metric is the mean over all classes (``macro``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import UnknownName
from wakeful.evidence import Evidence, Share
from wakeful.signals.signal import signal
from wakeful.views import ClassOutcomes

__all__ = ["accuracy", "confusion", "f1", "precision", "recall"]


def _class(live: ClassOutcomes, label: Any) -> int:
    if str(label) not in live.classes:
        raise UnknownName("class", label, live.classes)
    return live.classes.index(str(label))


def _macro(live: ClassOutcomes, hits: Floats, rows: Floats) -> float:
    """Mean over the classes that occur; a class without rows to judge counts 0, as in scikit-learn."""
    occurs = (live.matrix.sum(axis=0) + live.matrix.sum(axis=1)) > 0
    return float(np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)[occurs].mean())


@signal(of="multiclass")
def accuracy(live: ClassOutcomes) -> Share:
    """Share of rows whose predicted class is the true one."""
    return Share(np.trace(live.matrix), live.matrix.sum())


@signal(of="multiclass", bounded=True)
def precision(live: ClassOutcomes, label: Any = None) -> Evidence | float:
    """Of the rows predicted as a class, the share that belong to it; the mean over classes without ``label``."""
    hits, rows = np.diag(live.matrix), live.matrix.sum(axis=0)
    if label is None:
        return _macro(live, hits, rows)
    at = _class(live, label)
    return Share(hits[at], rows[at])


@signal(of="multiclass", bounded=True)
def recall(live: ClassOutcomes, label: Any = None) -> Evidence | float:
    """Of the rows of a class, the share predicted as such; the mean over classes without ``label``."""
    hits, rows = np.diag(live.matrix), live.matrix.sum(axis=1)
    if label is None:
        return _macro(live, hits, rows)
    at = _class(live, label)
    return Share(hits[at], rows[at])


@signal(of="multiclass", bounded=True)
def f1(live: ClassOutcomes, label: Any = None) -> float:
    """Harmonic mean of precision and recall of a class; the mean over classes without ``label``."""
    hits, rows = 2 * np.diag(live.matrix), live.matrix.sum(axis=0) + live.matrix.sum(axis=1)
    if label is None:
        return _macro(live, hits, rows)
    at = _class(live, label)
    return float(hits[at] / rows[at])


@signal(of="multiclass")
def confusion(live: ClassOutcomes, true: Any, predicted: Any) -> Share:
    """Of the rows of class ``true``, the share predicted as ``predicted``."""
    row = live.matrix[_class(live, true)]
    return Share(row[_class(live, predicted)], row.sum())
