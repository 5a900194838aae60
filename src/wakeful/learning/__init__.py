"""Learning a reference: profile the data, infer what is what, choose bins, count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wakeful.errors import MissingExtra

try:
    import pyarrow  # noqa: F401  # learning reads tables throughout
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "learning a reference") from error

from wakeful.learning.build import Learnt, learn_all
from wakeful.learning.infer import Roles
from wakeful.model import Task
from wakeful.reference import Reference

__all__ = ["Learnt", "Roles", "learn", "learn_all"]


def learn(
    data: object,
    *,
    score: str,
    label: str | None = None,
    threshold: float | None = None,
    decision: str | None = None,
    holdout: str | None = None,
    id: str | None = None,
    time: str | None = None,
    segments: Sequence[str] = (),
    name: str = "model",
    task: Task | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Reference:
    """Learn a reference from training or validation data.

    Args:
        data: a path to a Parquet or CSV file, a data frame (pandas, Polars, PyArrow, DuckDB), an Arrow
            stream, or a dict from column name to values.
        score: column with the model's answer: a score, a predicted class or a predicted number.
        label: column with the outcome.
        threshold: binary models: a score at or above it is flagged.
        decision: binary models: column that is 1 where the row was flagged.
        holdout: column that is 1 where a flagged row was let through at random; may exist in live data only.
        id: identifier column, which is not counted; may exist in live data only.
        time: event-time column, from whose windows dispersion is learnt.
        segments: columns for which everything is counted apart.
        name: of the model.
        task: binary, multiclass or regression, if the data look like another.
        kinds: overrules columns: numeric, categorical, boolean, datetime or ignore.

    Raises:
        DataError: the data are empty, or cannot play these roles; the message says why.
        UnknownName: a named column is not there; near misses are listed.
    """
    roles = Roles(
        score, label, threshold, decision, holdout, id, time, tuple(segments), name, task, dict(kinds or {})
    )  # fmt: skip
    return learn_all(data, roles).reference
