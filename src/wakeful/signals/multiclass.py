"""Quality of a classifier of several classes, under scikit-learn's names.

Every share is exact; a class that training did not show is always wrong. Without a ``label`` a metric is the
mean over all classes (``macro``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wakeful.bins import Floats
from wakeful.errors import UnknownName
from wakeful.evidence import Combined, Evidence, Exact, Share
from wakeful.signals.signal import signal
from wakeful.views import ClassOutcomes

__all__ = ["accuracy", "confusion", "f1", "precision", "recall"]


def _class(live: ClassOutcomes, label: Any) -> int:
    if str(label) not in live.classes:
        raise UnknownName("class", label, live.classes)
    return live.classes.index(str(label))


def _of_classes(live: ClassOutcomes, label: Any, rows: Floats) -> Share | Combined:
    """The share of hits in the rows of one class, or its mean over the classes that occur.

    A class without rows to judge counts 0, as in scikit-learn.
    """
    hits = live.hits
    if label is not None:
        at = _class(live, label)
        return Share(hits[at], rows[at])
    occurs = np.flatnonzero(live.matrix.sum(axis=0) + live.matrix.sum(axis=1))
    shares = tuple(Share(hits[at], rows[at]) if rows[at] else Exact(0.0, 0.0) for at in occurs)
    return Combined(lambda *values: float(np.mean(values)) if values else np.nan, shares, live.n)


@signal(of="multiclass")
def accuracy(live: ClassOutcomes) -> Share:
    """Share of rows whose predicted class is the true one."""
    return Share(live.hits.sum(), live.matrix.sum())


@signal(of="multiclass")
def precision(live: ClassOutcomes, label: Any = None) -> Evidence:
    """Of the rows predicted as a class, the share that belong to it; the mean over classes without ``label``."""
    return _of_classes(live, label, live.matrix.sum(axis=0))


@signal(of="multiclass")
def recall(live: ClassOutcomes, label: Any = None) -> Evidence:
    """Of the rows of a class, the share predicted as such; the mean over classes without ``label``."""
    return _of_classes(live, label, live.matrix.sum(axis=1))


@signal(of="multiclass", bounded=True)
def f1(live: ClassOutcomes, label: Any = None) -> Evidence | float:
    """Harmonic mean of precision and recall of a class; the mean over classes without ``label``.

    Of one class it is 2 J / (1 + J), where J is the share of hits among the rows that are or are predicted of
    it, and so are its bounds. Classes share their errors, so the mean has the bounds of the delta method.
    """
    hits, either = live.hits, live.matrix.sum(axis=0) + live.matrix.sum(axis=1)
    if label is None:
        return float(np.mean(2 * hits[either > 0] / either[either > 0])) if either.any() else np.nan
    at = _class(live, label)
    return Combined(lambda share: 2 * share / (1 + share), (Share(hits[at], either[at] - hits[at]),), live.n)


@signal(of="multiclass")
def confusion(live: ClassOutcomes, true: Any, predicted: Any) -> Share:
    """Of the rows of class ``true``, the share predicted as ``predicted``."""
    row = live.matrix[_class(live, true)]
    return Share(row[_class(live, predicted)], row.sum())
