"""What each column is, and what the model does: inferred from the data, overruled by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, cast, get_args

import numpy as np
import pyarrow as pa

from wakeful.errors import DataError, UnknownName
from wakeful.learning.profile import Profile, is_number, is_text
from wakeful.model import Column, Kind, Model, Task

__all__ = ["Roles", "infer_model"]

_MOST_CLASSES = 200


@dataclass(frozen=True)
class Roles:
    """What the caller says about the data; the names are those of ``wakeful init``.

    Attributes:
        score: column with the model's answer.
        label: column with the outcome.
        threshold: a score at or above it is flagged.
        decision: column that says whether the row was flagged.
        holdout, id, time: columns of that role; holdout and id may exist in live data only.
        segments: columns for which everything is counted apart.
        name: of the model.
        task: overrules what score and label look like.
        kinds: overrules the kind of columns; ``ignore`` leaves a column out.
    """

    score: str
    label: str | None = None
    threshold: float | None = None
    decision: str | None = None
    holdout: str | None = None
    id: str | None = None
    time: str | None = None
    segments: tuple[str, ...] = ()
    name: str = "model"
    task: Task | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)

    def check(self, schema: Any) -> None:
        """Raise UnknownName or DataError where the data cannot play these roles."""
        for role in ("score", "label", "decision", "time"):
            name = getattr(self, role)
            if name is not None and name not in schema.names:
                raise UnknownName(f"{role} column", name, schema.names)
        for name in (*self.segments, *self.kinds):
            if name not in schema.names:
                raise UnknownName("column", name, schema.names)
        for name, kind in self.kinds.items():
            if kind not in (*get_args(Kind)[:3], "datetime", "ignore"):
                raise DataError(
                    f"kind {kind!r} of column {name!r} is unknown. "
                    "Use numeric, categorical, boolean, datetime or ignore."
                )
        if self.task is not None and self.task not in get_args(Task):
            raise DataError(f"task {self.task!r} is unknown. Use {', '.join(get_args(Task))}.")
        if len(set(self.segments)) < len(self.segments):
            raise DataError(f"a segment is named twice: {', '.join(self.segments)}. Name each once.")
        if self.score == self.label:
            raise DataError(f"score and label are both {self.score!r}. Name the column with the true outcome as label.")
        if self.threshold is not None and not (isinstance(self.threshold, Real) and np.isfinite(self.threshold)):
            raise DataError(f"threshold must be a finite number, not {self.threshold!r}.")


def infer_model(roles: Roles, profile: Profile) -> tuple[Model, list[str]]:
    """The model, and notes on columns that were left out.

    Raises:
        DataError: the columns cannot play their roles.
    """
    task = roles.task or _task(roles, profile)
    notes: list[str] = []
    taken = {roles.score, roles.label, roles.decision, roles.holdout, roles.id, roles.time}
    features: list[Column] = []
    for name, wanted in roles.kinds.items():
        _check_kind(name, wanted, profile)
    for name in profile.schema.names:
        if name in taken and name not in roles.segments:
            continue
        kind = roles.kinds.get(name) or ("categorical" if name in roles.segments else _kind(name, profile, notes))
        if kind == "datetime":
            features += [Column(f"{name}.hour", "hour", name), Column(f"{name}.weekday", "weekday", name)]
        elif kind != "ignore":
            features.append(Column(name, cast(Kind, kind), name))
    if roles.label is not None:
        _check_label(roles.label, roles.score, task, profile)
    score = Column(roles.score, "categorical" if task == "multiclass" else "numeric", roles.score)
    _check_score(score, task, profile)
    model = Model(
        name=roles.name,
        task=task,
        features=tuple(features),
        score=score,
        threshold=_threshold(roles, task, profile),
        decision=roles.decision,
        label=roles.label,
        holdout=roles.holdout,
        id=roles.id,
        time=roles.time,
        segments=tuple(roles.segments),
    )
    return model, notes


def _kind(name: str, profile: Profile, notes: list[str]) -> str:
    """The kind of a column by its type; identifiers and free text are left out, with a note."""
    kind = profile.kind(name)
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "datetime"
    if is_number(kind):
        looks_like_id = name.lower().endswith(("id", "uuid", "key")) and pa.types.is_integer(kind)
        if looks_like_id and profile.rows >= 50 and profile.distinct(name) == profile.sample.num_rows:
            notes.append(f"{name}: every row has another whole number, so it is left out as an identifier")
            return "ignore"
        return "numeric"
    if pa.types.is_null(kind):
        return "numeric"
    if is_text(kind):
        if profile.rows >= 50 and profile.distinct(name) > 0.95 * profile.sample.num_rows:
            notes.append(f"{name}: nearly every row has another text, so it is left out as an identifier or free text")
            return "ignore"
        return "categorical"
    hint = " (is the file in UTF-8?)" if pa.types.is_binary(kind) else ""
    notes.append(f"{name}: values of type {kind} cannot be counted{hint}, so it is left out")
    return "ignore"


def _check_kind(name: str, kind: str, profile: Profile) -> None:
    """Raise DataError where no value of a column can be of the kind it is said to be."""
    found = profile.kind(name)
    fits = {
        "numeric": is_number(found) or pa.types.is_boolean(found),
        "datetime": pa.types.is_timestamp(found) or pa.types.is_date(found),
        "ignore": True,
    }
    is_name = is_text(found) or pa.types.is_boolean(found) or pa.types.is_integer(found)
    if pa.types.is_floating(found):  # whole numbers with gaps, as from pandas
        numbers = profile.numbers(name)
        is_name = bool(np.all(numbers[np.isfinite(numbers)] % 1 == 0))
    if not (fits.get(kind, is_name) or pa.types.is_null(found)):
        raise DataError(
            f"column {name!r} cannot be {kind}: its values are of type {found}. Convert it, or name another kind."
        )


def _task(roles: Roles, profile: Profile) -> Task:
    """Binary where a score meets two outcomes or a decision; classes where it is text or repeats the labels."""
    if is_text(profile.kind(roles.score)):
        return "multiclass"
    known = profile.columns[roles.score]
    is_share = known.low >= 0.0 and known.high <= 1.0
    if roles.threshold is not None or roles.decision is not None:
        return "binary"
    if roles.label is None:
        return "binary" if is_share else "regression"
    if is_text(profile.kind(roles.label)):
        return "binary"  # whose labels are then refused with a clear error
    labels = profile.numbers(roles.label)
    values = np.unique(labels[np.isfinite(labels)])
    if len(values) <= 2 and set(values) <= {0.0, 1.0}:
        return "binary"
    scores = np.unique(profile.numbers(roles.score))
    whole = all(np.all(one[np.isfinite(one)] == np.floor(one[np.isfinite(one)])) for one in (scores, values))
    answers, outcomes = set(scores[np.isfinite(scores)]), set(values)
    if whole and len(answers | outcomes) <= 20 and (answers <= outcomes or outcomes <= answers):
        return "multiclass"
    if is_share and len(values) <= 2:
        return "binary"
    return "regression"


def _check_label(name: str, score: str, task: Task, profile: Profile) -> None:
    known = profile.columns[name]
    if profile.sample.column(name).null_count == profile.sample.num_rows:
        raise DataError(f"label {name!r} is missing in every row. Leave it out, or give rows with outcomes.")
    if task == "multiclass" and is_text(profile.kind(name)) != is_text(profile.kind(score)):
        raise DataError(
            f"score {score!r} holds {profile.kind(score)} and label {name!r} {profile.kind(name)}: no class would "
            "ever be right. Make both text, or both numbers."
        )
    if task == "binary":
        if is_text(profile.kind(name)):
            shown = ", ".join(repr(value) for value in list(known.categories)[:5])
            raise DataError(f"label {name!r} must be 0 or 1 for a binary score, but holds {shown}. Make it 0 and 1.")
        labels = profile.numbers(name)
        values = np.unique(labels[np.isfinite(labels)])
        outside = [
            value for value in (*values, known.low, known.high) if np.isfinite(value) and value not in (0.0, 1.0)
        ]
        if outside:
            raise DataError(
                f"label {name!r} must be 0 or 1 for a binary score, but holds {outside[0]:g}. "
                "Make it 0 and 1, or name another task: multiclass or regression."
            )
        if not len(values):
            raise DataError(f"label {name!r} is missing in every row. Leave it out, or give rows with outcomes.")
        if len(values) == 1:
            raise DataError(
                f"label {name!r} is {values[0]:g} in every row: no quality can be learnt from one class. "
                "Give data with both outcomes."
            )
    elif task == "regression" and is_text(profile.kind(name)):
        raise DataError(f"label {name!r} holds text, but the task is regression. Give numbers, or another task.")


def _check_score(score: Column, task: Task, profile: Profile) -> None:
    known = profile.columns[score.name]
    if task == "multiclass":
        if len(known.categories) > _MOST_CLASSES:
            raise DataError(
                f"score {score.name!r} has {len(known.categories):,} different classes, at most {_MOST_CLASSES} "
                "can be counted. Is it the predicted class?"
            )
        return
    if is_text(profile.kind(score.name)):
        raise DataError(f"score {score.name!r} holds text, but the task is {task}. Give numbers.")
    numbers = profile.numbers(score.name)
    if not np.isfinite(numbers).any():
        raise DataError(f"score {score.name!r} holds no finite number in any row. Give rows that the model scored.")


def _threshold(roles: Roles, task: Task, profile: Profile) -> float | None:
    """The threshold given, or the one that the decisions follow without exception."""
    if task != "binary":
        if roles.threshold is not None or roles.decision is not None:
            raise DataError(f"a {task} model has no threshold or decision. Leave --threshold and --decision out.")
        return None
    scores = profile.numbers(roles.score)
    if roles.threshold is not None:
        low, high = profile.columns[roles.score].low, profile.columns[roles.score].high
        if not low <= roles.threshold <= high:
            raise DataError(
                f"threshold {roles.threshold:g} flags {'everything' if roles.threshold < low else 'nothing'}: "
                f"scores lie between {low:g} and {high:g}."
            )
        return float(roles.threshold)
    if roles.decision is None:
        return None
    flagged = profile.numbers(roles.decision) == 1.0
    usable = np.isfinite(scores)
    if not (flagged & usable).any() or (flagged | ~usable).all():
        raise DataError(
            f"decision {roles.decision!r} is the same in every row. It must be 1 (or true) where the row was flagged."
        )
    lowest, highest = float(scores[flagged & usable].min()), float(scores[~flagged & usable].max())
    return lowest if highest < lowest else None
