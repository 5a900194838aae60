"""NannyML: univariate drift of features and score, and the estimated ROC AUC (CBPE); any alert is an alarm.

Chunks are as long as windows, as its quick start has it; all else is the default. Usage logging, which is on by
default, is turned off.
"""

from __future__ import annotations

import os
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd
from tool import Judgement, Roles


class Tool:
    def prepare(self, reference: pd.DataFrame, roles: Roles) -> None:
        warnings.simplefilter("ignore")
        rows = roles["rows"]
        columns = [*roles["numeric"], roles["score"], *roles["categorical"]]
        self.drift = nannyml.UnivariateDriftCalculator(
            column_names=columns, treat_as_categorical=roles["categorical"], chunk_size=rows
        ).fit(reference)
        self.quality = nannyml.CBPE(
            metrics=["roc_auc"], y_pred_proba=roles["score"], y_true=roles["label"],
            problem_type="classification_binary", chunk_size=rows,
        ).fit(reference)  # fmt: skip

    def judge(self, window: pd.DataFrame) -> Judgement:
        drift = self.drift.calculate(window).filter(period="analysis").to_df()
        quality = self.quality.estimate(window).filter(period="analysis").to_df()
        far = {}
        for column, method in dict.fromkeys(key[:2] for key in drift.columns if key[0] != "chunk"):
            found = drift[column, method].iloc[0]
            if found["alert"]:
                far[column] = found["value"] / max(found["upper_threshold"], 1e-9)
        messages = [f"{name}: {far[name]:.2f} x its threshold" for name in far]
        if quality["roc_auc"]["alert"].iloc[0]:
            messages.append(f"estimated ROC AUC {quality['roc_auc']['value'].iloc[0]:.3f}")
        return Judgement(bool(messages), sorted(far, key=lambda name: -far[name]), messages)
