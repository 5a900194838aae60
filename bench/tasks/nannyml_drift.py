"""NannyML: univariate drift of every column, in its default of ten chunks."""

import os
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
from frames import columns, read


def work(data: str, training: str) -> str:
    warnings.simplefilter("ignore")
    reference = read(training)
    numeric, categorical = columns(reference)
    drift = nannyml.UnivariateDriftCalculator(column_names=numeric + categorical, treat_as_categorical=categorical)
    found = drift.fit(reference).calculate(read(data)).filter(period="analysis").to_df()
    alerts = found.xs("alert", axis=1, level=-1)
    return f"{alerts.size} alerts asked, {int(alerts.to_numpy().sum())} raised"
