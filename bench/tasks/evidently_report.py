"""Evidently: its data drift preset, with its tests."""

import warnings

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from frames import columns, read


def work(data: str, training: str) -> str:
    warnings.simplefilter("ignore")
    reference = read(training)
    numeric, categorical = columns(reference)
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    known = Dataset.from_pandas(reference[numeric + categorical], definition)
    live = Dataset.from_pandas(read(data)[numeric + categorical], definition)
    tests = Report([DataDriftPreset()], include_tests=True).run(live, known).dict()["tests"]
    return f"{len(tests)} tests, {sum(one['status'] == 'FAIL' for one in tests)} fail"
