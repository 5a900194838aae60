"""Worlds: real rows, a model trained on the first part, a reference, and live traffic.

In an iid world the rows are shuffled, so every window of the live part is clean: what differs is noise.
In a world in time order they stay as they happened, and the live part is what came after the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from datasets import DataSet
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

SCORE, DECISION, HOLDOUT, ID = "score", "flagged", "holdout", "request_id"
TRAINING, REFERENCE = 0.3, 0.3  # parts of the rows; the rest is live traffic
FLAGGED = 0.2  # the threshold is the score that a fifth of the reference reaches
HELD_OUT = 0.3  # share of flagged rows that are let through, so that their outcome is seen
MOST_SHUFFLED = 60_000  # rows of an iid world: more make it slower, not harder

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """One model in production, with what happened before and after it went live.

    Attributes:
        name: of the world.
        features, label, segment, time: columns; time is None in an iid world.
        reference: rows with features, score, decision and label, as a team has them at release.
        live: rows with features and label (and time) that the model has yet to see.
        threshold: a score at or above it is flagged.
        model: the classifier in production.
        old: an earlier, cruder version of it.
        every: length of a window in time order.
        left_out: columns of the data that no model can use.
    """

    name: str
    features: list[str]
    label: str
    segment: str | None
    time: str | None
    reference: pd.DataFrame
    live: pd.DataFrame
    threshold: float
    model: Pipeline = field(repr=False)
    old: Pipeline = field(repr=False)
    every: str
    left_out: list[str]

    @property
    def numeric(self) -> list[str]:
        return [name for name in self.features if pd.api.types.is_numeric_dtype(self.reference[name])]

    @property
    def categorical(self) -> list[str]:
        return [name for name in self.features if name not in self.numeric]

    @cached_property
    def importance(self) -> dict[str, float]:
        """How far the scores of 2,000 reference rows move when a column is shuffled, greatest first."""
        rng = np.random.default_rng(0)
        rows = self.reference[self.features].head(2000)
        scores = score(self.model, rows)
        moved = {}
        for name in self.features:
            shuffled = rows.assign(**{name: rows[name].to_numpy()[rng.permutation(len(rows))]})
            moved[name] = float(np.abs(score(self.model, shuffled) - scores).mean())
        return dict(sorted(moved.items(), key=lambda item: -item[1]))

    def roles(self, rows: int) -> dict[str, object]:
        """What a team tells a tool about its columns, and how many rows a window will have."""
        return {
            "name": self.name.replace("-", "_"), "score": SCORE, "decision": DECISION, "threshold": self.threshold,
            "label": self.label, "holdout": HOLDOUT, "holdout_share": HELD_OUT, "id": ID, "time": self.time,
            "segment": self.segment,
            "rows": rows, "numeric": self.numeric, "categorical": self.categorical,
        }  # fmt: skip


def build(data: DataSet, rows: pd.DataFrame, *, in_time: bool = False, seed: int = 0) -> World:
    """A world of a data set's rows; ``in_time`` leaves them in order, else they are shuffled by ``seed``."""
    rows = plain(rows, data.label, data.time)
    if in_time:
        rows = rows.drop(columns=list(data.calendar))
    else:
        rows = rows.sample(frac=1, random_state=seed).head(MOST_SHUFFLED)
        rows = rows.drop(columns=data.time or []).reset_index(drop=True)
    unusable = [name for name in rows.columns if name not in (data.label, data.time) and not is_usable(rows[name])]
    rows = rows.drop(columns=unusable)
    features = [name for name in rows.columns if name not in (data.label, data.time)]
    cuts = [int(len(rows) * share) for share in (TRAINING, TRAINING + REFERENCE)]
    training, reference, live = rows[: cuts[0]], rows[cuts[0] : cuts[1]].copy(), rows[cuts[1] :]
    model = classifier(training, features, data.label, max_iter=80)
    old = classifier(training.head(800), features, data.label, max_iter=20, max_depth=2)
    reference[SCORE] = score(model, reference[features])
    threshold = float(np.quantile(reference[SCORE], 1 - FLAGGED))
    reference[DECISION] = reference[SCORE] >= threshold
    return World(
        data.name + ("-in-time" if in_time else ""), features, data.label, data.segment,
        data.time if in_time else None, reference.reset_index(drop=True), live.reset_index(drop=True),
        threshold, model, old, data.every, unusable,
    )  # fmt: skip


def plain(rows: pd.DataFrame, label: str, time: str | None) -> pd.DataFrame:
    """Numbers as floats, all else as text, so that a gap can be made in any column."""
    apart = [name for name in (label, time) if name is not None]
    features = rows.drop(columns=apart)
    numbers = features.select_dtypes(["number", "bool"]).astype("float64")
    texts = features.drop(columns=numbers.columns)
    texts = texts.apply(lambda column: column.map(str, na_action="ignore").astype("object"))
    texts = texts.where(texts.notna(), None)
    return pd.concat([numbers, texts, rows[apart].astype({label: "float64"})], axis=1)


def is_usable(values: pd.Series) -> bool:
    """No constant, and no text that is another in most rows, as are identifiers, free text and times."""
    most = len(values) if pd.api.types.is_numeric_dtype(values) else len(values) / 10
    return 1 < values.nunique() <= most


def classifier(rows: pd.DataFrame, features: list[str], label: str, **options: int) -> Pipeline:
    """Gradient boosting; text by its place in the alphabet, unknown text as missing."""
    texts = [name for name in features if not pd.api.types.is_numeric_dtype(rows[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    trees = HistGradientBoostingClassifier(random_state=0, **options)
    return make_pipeline(_Encoder(texts, encoder), trees).fit(rows[features], rows[label])


class _Encoder:
    """Text columns through an encoder, numbers as they are."""

    def __init__(self, texts: list[str], encoder: OrdinalEncoder) -> None:
        self.texts, self.encoder = texts, encoder

    def fit(self, rows: pd.DataFrame, label: object = None) -> _Encoder:
        if self.texts:
            self.encoder.fit(rows[self.texts])
        return self

    def transform(self, rows: pd.DataFrame) -> Floats:
        rows = rows.copy()
        if self.texts:
            rows[self.texts] = self.encoder.transform(rows[self.texts])
        return rows.to_numpy(dtype="float64")


def score(model: Pipeline, features: pd.DataFrame) -> Floats:
    """Probability of the outcome, shape (rows,)."""
    return np.asarray(model.predict_proba(features)[:, 1])
