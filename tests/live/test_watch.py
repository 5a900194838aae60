"""A scikit-learn model whose answers are observed: the same answers, and every one of them counted."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

import wakeful

NUMBERS = ["income", "rent"]
FEATURES = [*NUMBERS, "city"]


@pytest.fixture(scope="module")
def rows(traffic: Any) -> pd.DataFrame:
    return pd.DataFrame(traffic(400))[[*FEATURES, "rejected"]]


@pytest.fixture(scope="module")
def pipeline(rows: pd.DataFrame) -> Any:
    columns = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), ["city"]))
    return make_pipeline(columns, LogisticRegression()).fit(rows[FEATURES], rows["rejected"])


def monitor_of(data: pd.DataFrame, folder: Path, **roles: Any) -> wakeful.Monitor:
    made = wakeful.Monitor(wakeful.learn(data, score="score", name="watched", **roles))
    made.start(counts=folder, registry=None)
    return made


@pytest.fixture
def monitor(rows: pd.DataFrame, pipeline: Any, tmp_path: Path) -> Iterator[wakeful.Monitor]:
    scored = rows.assign(score=pipeline.predict_proba(rows[FEATURES])[:, 1])
    made = monitor_of(scored, tmp_path, label="rejected", threshold=0.5)
    yield made
    made.stop()


def test_a_pipeline_answers_as_before_and_every_answer_is_counted(
    monitor: wakeful.Monitor, pipeline: Any, rows: pd.DataFrame
):
    watched = monitor.watch(pipeline)

    answers = [watched.predict_proba(rows[FEATURES][:150]), watched.predict_proba(X=rows[FEATURES][150:])]

    assert np.array_equal(np.concatenate(answers), pipeline.predict_proba(rows[FEATURES]))
    monitor.stop()
    scored = rows[FEATURES].assign(score=pipeline.predict_proba(rows[FEATURES])[:, 1])
    assert monitor.counts() == monitor.count(scored)
    assert monitor.counts().rows == 400


def test_an_array_holds_the_columns_in_order(rows: pd.DataFrame, tmp_path: Path):
    data = rows[NUMBERS].to_numpy()
    model = LogisticRegression().fit(data, rows["rejected"])
    scored = rows[NUMBERS].assign(score=model.predict_proba(data)[:, 1])
    monitor = monitor_of(scored, tmp_path, threshold=0.5)

    answers = monitor.watch(model).predict_proba(data)
    monitor.stop()

    assert np.array_equal(answers, model.predict_proba(data))
    assert monitor.counts() == monitor.count(scored)


def test_a_regression_is_observed_where_it_predicts(rows: pd.DataFrame, tmp_path: Path):
    model = LinearRegression().fit(rows[["income"]], rows["rent"])
    scored = rows[["income"]].assign(score=model.predict(rows[["income"]]))
    monitor = monitor_of(scored, tmp_path, task="regression")

    answers = monitor.watch(model).predict(rows[["income"]])
    monitor.stop()

    assert np.array_equal(answers, scored["score"])
    assert monitor.counts() == monitor.count(scored)


def test_classes_are_observed_where_they_are_predicted(rows: pd.DataFrame, tmp_path: Path):
    model = LogisticRegression().fit(rows[NUMBERS] / rows[NUMBERS].mean(), rows["city"])
    inputs = rows[NUMBERS] / rows[NUMBERS].mean()
    scored = inputs.assign(score=np.where(rows.index % 2, "Berlin", "Hamburg"))
    monitor = monitor_of(scored, tmp_path, task="multiclass")

    answers = monitor.watch(model).predict(inputs)
    monitor.stop()

    assert monitor.counts() == monitor.count(inputs.assign(score=answers))


def test_only_the_one_method_is_observed(monitor: wakeful.Monitor, pipeline: Any, rows: pd.DataFrame):
    watched = monitor.watch(pipeline)

    assert np.array_equal(watched.predict(rows[FEATURES]), pipeline.predict(rows[FEATURES]))
    assert watched.score(rows[FEATURES], rows["rejected"]) == pipeline.score(rows[FEATURES], rows["rejected"])
    monitor.stop()

    assert monitor.counts().rows == 0


def test_all_else_is_the_models(monitor: wakeful.Monitor, pipeline: Any):
    watched = monitor.watch(copy.deepcopy(pipeline))

    assert watched.named_steps.keys() == pipeline.named_steps.keys()
    assert type(watched[-1]) is LogisticRegression
    assert list(watched.classes_) == list(pipeline.classes_)
    assert set(dir(watched)) == set(dir(pipeline))
    watched.set_params(logisticregression__C=2.0)
    watched.note = "mine"
    assert (watched.note, watched[-1].C) == ("mine", 2.0)
    del watched.note
    check_is_fitted(watched)
    with pytest.raises(AttributeError, match="has no attribute 'transformed'"):
        watched.transformed  # noqa: B018
    assert not hasattr(monitor.watch(LinearRegression()), "predict_proba")


def test_the_models_own_errors_are_raised(monitor: wakeful.Monitor, pipeline: Any, rows: pd.DataFrame):
    with pytest.raises(ValueError, match="columns are missing"):
        monitor.watch(pipeline).predict_proba(rows[["income"]])
    monitor.stop()

    assert monitor.counts().rows == 0


@pytest.mark.parametrize(
    "answers", [None, "0.5", 0.5, [], [[0.1, 0.2, 0.7]], [[0.1], [0.2, 0.3]], np.zeros((2, 2, 2)), object()]
)
def test_answers_that_cannot_be_read_are_the_services_all_the_same(monitor: wakeful.Monitor, answers: Any):
    class Odd:
        def predict_proba(self, X: Any) -> Any:  # noqa: N803
            return answers

    assert monitor.watch(Odd()).predict_proba({"income": [1.0], "rent": [2.0], "city": ["Berlin"]}) is answers


@pytest.mark.parametrize("inputs", [None, "text", 7, [[1.0, 2.0]], np.zeros((2, 9)), object()])
def test_inputs_that_cannot_be_read_raise_nothing(monitor: wakeful.Monitor, inputs: Any):
    class Odd:
        def predict_proba(self, X: Any) -> Any:  # noqa: N803
            return np.array([[0.4, 0.6]])

    assert monitor.watch(Odd()).predict_proba(inputs).tolist() == [[0.4, 0.6]]


def test_pickles_copies_and_clones_are_of_the_model(monitor: wakeful.Monitor, pipeline: Any, rows: pd.DataFrame):
    watched = monitor.watch(pipeline)

    for one in pickle.loads(pickle.dumps(watched)), copy.deepcopy(watched), copy.copy(watched):
        assert type(one) is type(pipeline)
        assert np.array_equal(one.predict_proba(rows[FEATURES]), pipeline.predict_proba(rows[FEATURES]))
    assert type(clone(watched)) is type(pipeline)
    assert len(cross_val_score(watched, rows[FEATURES], rows["rejected"], cv=2)) == 2
    monitor.stop()

    assert monitor.counts().rows == 0  # of copies, none is watched
