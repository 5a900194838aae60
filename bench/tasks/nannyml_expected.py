"""NannyML: CBPE of a classifier, or DLE of a regression, for every chunk, as JSON; fitting is included."""

import json
import os
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd

SHORT = {"mean_absolute_error": "mae", "root_mean_squared_error": "rmse"}


def work(reference: str, live: str, chunk: str, roles: str, metrics: str) -> str:
    warnings.simplefilter("ignore")
    named = json.loads(roles)
    read = [named["score"], named["label"]] if named["task"] == "binary" else None  # DLE needs the features
    known, rows = (pd.read_parquet(path, columns=read) for path in (reference, live))
    names = [SHORT.get(name, name) for name in metrics.split()]
    both = {"y_true": named["label"], "metrics": names, "chunk_size": int(chunk)}
    if named["task"] == "binary":
        for one in (known, rows):
            one["flagged"] = (one[named["score"]] >= named["threshold"]).astype(int)
        estimator = nannyml.CBPE(
            y_pred_proba=named["score"], y_pred="flagged", problem_type="classification_binary", **both
        )
    else:
        features = list(known.columns.drop([named["label"], named["score"]]))
        estimator = nannyml.DLE(feature_column_names=features, y_pred=named["score"], **both)
    found = estimator.fit(known).estimate(rows.drop(columns=named["label"])).filter(period="analysis").to_df()
    ends = ("value", "lower_confidence_boundary", "upper_confidence_boundary")
    return json.dumps([[[float(row[name, end]) for end in ends] for name in names] for _, row in found.iterrows()])
