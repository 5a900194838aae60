"""Evidently's DataDriftPreset with its tests, on features and score; an alarm is any column that drifted.

The preset's own verdict on a data set ("half of the columns drifted") is among the messages: it asks for far
more than one broken column, so it is not what is counted.
"""

from __future__ import annotations

import warnings

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from tool import Judgement, Roles


class Tool:
    def prepare(self, reference: pd.DataFrame, roles: Roles) -> None:
        warnings.simplefilter("ignore")
        numeric = [*roles["numeric"], roles["score"]]
        self.columns = [*numeric, *roles["categorical"]]
        self.definition = DataDefinition(numerical_columns=numeric, categorical_columns=roles["categorical"])
        self.reference = Dataset.from_pandas(reference[self.columns], self.definition)

    def judge(self, window: pd.DataFrame) -> Judgement:
        live = Dataset.from_pandas(window[self.columns], self.definition)
        found = Report([DataDriftPreset()], include_tests=True).run(live, self.reference).dict()
        messages, drifted = [], {}
        failed = {one["metric_config"]["metric_id"]: one for one in found["tests"] if one["status"] == "FAIL"}
        for one in found["metrics"]:
            column = one["config"].get("column")
            if one["id"] not in failed:
                continue
            messages.append(f"{column or 'data set'}: {failed[one['id']]['description']}")
            if column is not None:
                drifted[column] = _excess(one["value"], one["config"])
        return Judgement(bool(drifted), sorted(drifted, key=lambda name: -drifted[name]), messages)


def _excess(value: float, config: dict[str, object]) -> float:
    """A distance over its threshold; a p-value under it."""
    threshold = float(str(config.get("threshold") or 0.1))
    is_p_value = "p_value" in str(config.get("method"))
    return threshold / max(value, 1e-300) if is_p_value else value / threshold
