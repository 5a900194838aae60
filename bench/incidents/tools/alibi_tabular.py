"""Alibi Detect's TabularDrift (Kolmogorov–Smirnov, chi-square, Bonferroni at 5%) on features and score.

It takes neither text nor missing values. So text is encoded by its place in the reference, unseen text as -1,
and gaps are filled as people do: with the reference's median, or a category of their own.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from alibi_detect.cd import TabularDrift
from numpy.typing import NDArray
from tool import Judgement, Roles


class Tool:
    def prepare(self, reference: pd.DataFrame, roles: Roles) -> None:
        warnings.simplefilter("ignore")
        self.numeric = [*roles["numeric"], roles["score"]]
        self.medians = reference[self.numeric].median()
        self.known = {name: pd.Index(reference[name].fillna("missing").unique()) for name in roles["categorical"]}
        self.columns = [*self.numeric, *self.known]
        kinds = {self.columns.index(name): None for name in self.known}
        self.detector = TabularDrift(self._matrix(reference), categories_per_feature=kinds or None)

    def judge(self, window: pd.DataFrame) -> Judgement:
        found = self.detector.predict(self._matrix(window))["data"]
        order = np.argsort(found["p_val"])
        far = [self.columns[at] for at in order if found["p_val"][at] < found["threshold"]]
        p_values = dict(zip(self.columns, found["p_val"], strict=True))
        return Judgement(bool(found["is_drift"]), far, [f"{name}: p = {p_values[name]:.2g}" for name in far])

    def _matrix(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        numbers = rows[self.numeric].fillna(self.medians).to_numpy(dtype="float64")
        codes = [known.get_indexer(rows[name].fillna("missing")) for name, known in self.known.items()]
        return np.column_stack([numbers, *codes])
