"""What is wrong is told in words, the culprit first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.explain import Cause, explain


@pytest.fixture
def explained(reference: wakeful.Reference) -> Callable[[object], list[Cause]]:
    monitor = wakeful.Monitor(reference)
    return lambda data: explain(reference, monitor.count(data))


def every(step: int, value: Any, name: str) -> Callable[[dict[str, Any]], Any]:
    """A change that puts ``value`` into every so manieth row of a column."""
    return lambda data: np.where(np.arange(len(data[name])) % step == 0, value, data[name])


# ---------------------------------------------------------------- faults, in words

INCIDENTS: dict[str, tuple[str, Any, str]] = {
    "incomes in cents": ("income", lambda data: 100 * data["income"], "100% above the range seen in training (5,"),
    "incomes in thousands": (
        "income",
        lambda data: data["income"] / 1_000,
        "100% below the range seen in training (5,",
    ),
    "an error code in a tenth of the rows": ("rent", every(10, -1.0, "rent"), "10% below the range seen in training ("),
    "an error code that is a category": ("city", every(10, "ERROR", "city"), "10% unseen in training"),
    "a category renamed": (
        "city",
        lambda data: np.where(data["city"] == "Köln", "Cologne", data["city"]),
        "18% unseen in training; no longer seen: Köln (20%) of training",
    ),
    "another spelling of every category": (
        "city",
        lambda data: np.char.upper(data["city"]),
        "100% unseen in training; no longer seen: Berlin (49%), Hamburg (32%), Köln (20%) of training",
    ),
    "null becomes 0": (
        "debt",
        lambda data: np.nan_to_num(data["debt"], nan=0.0),
        "21% below the range seen in training (1.32–1,213); no longer seen: missing (20%) of training",
    ),
    "null becomes the mean": (
        "debt",
        lambda data: np.where(np.isnan(data["debt"]), 200.03, data["debt"]),
        "on one single value near ",
    ),
    "the column is missing": ("rent", lambda data: np.full(len(data["rent"]), np.nan), "100% missing (0% in training)"),
    "a tenth is missing": ("rent", every(10, np.nan, "rent"), "10% missing (0% in training)"),
    "missing more than it used to be": ("debt", every(2, np.nan, "debt"), "60% missing (20% in training)"),
    "a frozen number": ("rent", lambda data: np.full(len(data["rent"]), 777.5), "on one single value near "),
    "a number frozen for half of the rows": ("rent", every(2, 777.5, "rent"), "on one single value near "),
    "a frozen category": (
        "city",
        lambda data: np.full(len(data["city"]), "Berlin"),
        "100% at Berlin (49% in training); no longer seen: Hamburg (32%), Köln (20%) of training",
    ),
    "text in place of numbers": (
        "income",
        lambda data: [f"{value:.2f} EUR" for value in data["income"]],
        "100% invalid: of the wrong type, or infinite",
    ),
    "infinite numbers": ("income", every(10, np.inf, "income"), "10% invalid: of the wrong type, or infinite"),
    "numbers in place of text": ("city", lambda data: np.zeros(len(data["city"])), "100% invalid: of the wrong type"),
    "another currency": ("rent", lambda data: data["rent"] * 1.0837, "100% have more decimals than in training (2)"),
    "another currency for a tenth": (
        "income",
        lambda data: np.where(np.arange(len(data["income"])) % 10 == 0, data["income"] * 0.9271, data["income"]),
        "10% have more decimals than in training (2)",
    ),
    "truth values frozen": (
        "owner",
        lambda data: np.ones(len(data["owner"]), dtype=bool),
        "100% at True (41% in training); no longer seen: False (59%)",
    ),
}


@pytest.mark.parametrize("incident", INCIDENTS)
def test_a_fault_is_told_in_words(explained: Any, traffic: Any, incident: str):
    culprit, change, words = INCIDENTS[incident]

    [cause] = explained(traffic(**{culprit: change}))

    assert (cause.column, cause.kind, cause.part.segment) == (culprit, "fault", None)
    assert cause.text.startswith(f"{culprit}: ")
    assert words in cause.text


def test_a_constant_that_took_the_place_of_what_was_missing_is_told_as_that(explained: Any, traffic: Any):
    [cause] = explained(traffic(debt=lambda data: np.where(np.isnan(data["debt"]), 200.03, data["debt"])))

    assert "about 21% on one single value near 187–206" in cause.text
    assert cause.text.endswith("; no longer seen: missing (20%) of training")


def test_two_columns_swapped_are_both_named(explained: Any, traffic: Any):
    causes = explained(traffic(income=lambda data: data["rent"]) | {"rent": traffic()["income"]})

    assert {cause.column: cause.text.split(" the range")[0] for cause in causes} == {
        "income": "income: 100% below",
        "rent": "rent: 100% above",
    }


def test_a_column_that_does_not_come_at_all_is_said_to_be_absent_not_missing(explained: Any, traffic: Any):
    data = traffic(city=every(10, "ERROR", "city"))
    del data["rent"]

    first, second = explained(data)

    assert (first.column, first.excess, first.text) == ("rent", 1.0, "rent: the column is not in the data")
    assert second.column == "city"


def test_a_column_that_training_did_not_fill_is_told_when_it_arrives(traffic: Any):
    monitor = wakeful.Monitor(wakeful.learn(traffic(rent=np.full(2_000, np.nan)), score="score"))

    [cause] = explain(monitor.reference, monitor.count(traffic()))

    assert cause.text == "rent: 100% hold a value (none in training); no longer seen: missing (100%) of training"


def test_a_constant_that_changes_is_told_with_what_it_was(traffic: Any):
    monitor = wakeful.Monitor(wakeful.learn(traffic(rent=np.full(2_000, 3.0)), score="score"))

    [cause] = explain(monitor.reference, monitor.count(traffic(rent=np.full(2_000, 4.0))))

    assert cause.text == "rent: 100% above 3, the only value seen in training; no longer seen: 3 (100%) of training"


@pytest.mark.parametrize(("odd", "all_were"), [(0, "all were"), (3, "nearly all were")])
def test_whole_numbers_that_become_others_are_told_with_what_they_were(traffic: Any, odd: int, all_were: str):
    def ages(data: dict[str, Any]) -> Any:
        return np.random.default_rng(len(data["income"])).integers(18, 80, len(data["income"])).astype(float)

    learnt = traffic(5_000, age=ages)
    learnt["age"][:odd] += 0.5
    monitor = wakeful.Monitor(wakeful.learn(learnt, score="score"))

    [cause] = explain(monitor.reference, monitor.count(traffic(age=lambda data: np.clip(ages(data) * 1.014, 18, 79))))

    assert cause.text.startswith("age: ")
    assert f"% are no whole numbers, as {all_were} in training" in cause.text
    assert not explain(monitor.reference, monitor.count(traffic(age=ages)))


# ---------------------------------------------------------------- one part of the traffic


def test_a_fault_of_one_segment_names_the_segment(explained: Any, traffic: Any):
    data = traffic(income=lambda data: np.where(data["platform"] == "app", 100, 1) * data["income"])

    [cause] = explained(data)

    assert str(cause.part) == "platform=app"
    assert cause.text.startswith("income in platform=app: 100% above the range seen in training (")
    assert cause.as_dict()["segment"] == "platform=app"


def test_a_fault_too_small_for_the_whole_is_found_where_it_is(traffic: Any):
    def platforms(data: dict[str, Any]) -> Any:
        return np.where(np.arange(len(data["rent"])) % 100 == 0, "kiosk", "web")

    reference = wakeful.learn(traffic(5_000, seed=0, platform=platforms), score="score", segments=["platform"])
    data = traffic(platform=platforms)
    data["debt"] = np.where(data["platform"] == "kiosk", np.nan, data["debt"])

    [cause] = explain(reference, wakeful.Monitor(reference).count(data))

    assert cause.text == "debt in platform=kiosk: 100% missing (20% in training)"


def test_a_fault_of_all_traffic_names_no_segment(explained: Any, traffic: Any):
    [cause] = explained(traffic(income=lambda data: 100 * data["income"]))

    assert cause.part.segment is None


def test_a_segment_that_vanishes_is_told_of_the_column_it_is(explained: Any, traffic: Any):
    [cause] = explained(traffic(platform=lambda data: np.full(len(data["platform"]), "web")))

    assert cause.text == "platform: 100% at web (69% in training); no longer seen: app (31%) of training"


# ---------------------------------------------------------------- which comes first


def test_the_culprit_comes_before_the_score_that_it_shifts(explained: Any, traffic: Any):
    def score_of(income: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda data: 1 / (1 + np.exp(-np.maximum(data["rent"] / 300 - income(data) / 15_000, -50)))

    cents = traffic(score=score_of(lambda data: 100 * data["income"]), income=lambda data: 100 * data["income"])

    causes = explained(cents)

    assert [cause.column for cause in causes] == ["income", "score"]


def test_a_broken_feature_comes_before_a_broken_score(explained: Any, traffic: Any):
    data = traffic(rent=every(10, -1.0, "rent"), score=lambda data: np.full(len(data["score"]), 0.5))

    assert [cause.column for cause in explained(data)] == ["rent", "score"]


def test_shifts_are_told_after_faults_however_large(explained: Any, traffic: Any):
    def higher(data: Any) -> Any:
        """Half of the rows have a rent from the upper half, so every rent still occurs."""
        rents, rows = data["rent"], np.arange(len(data["rent"]))
        upper = np.sort(rents)[len(rents) // 2 :]
        return np.where(rows % 2 == 0, upper[rows % len(upper)], rents)

    data = traffic(rent=higher, city=every(20, "ERROR", "city"))

    small_fault, large_shift = explained(data)

    assert (small_fault.column, small_fault.kind) == ("city", "fault")
    assert (large_shift.column, large_shift.kind) == ("rent", "shift")
    assert large_shift.excess > small_fault.excess


def test_a_shift_says_how_many_rows_moved_and_where_to(explained: Any, traffic: Any):
    data = traffic(city=lambda data: np.where(np.arange(len(data["city"])) % 3 == 0, "Köln", data["city"]))

    [cause] = explained(data)

    assert cause.kind == "shift"
    assert cause.text.startswith("city: 26% of the rows moved: Köln from 20% to 46%, Berlin from 49% to 3")


def test_the_column_that_hits_more_rows_comes_first(explained: Any, traffic: Any):
    data = traffic(debt=lambda data: np.where(np.arange(2_000) % 4 == 0, -1, data["debt"]), city=every(20, "?", "city"))

    assert [cause.column for cause in explained(data)] == ["debt", "city"]


def test_of_two_faults_of_like_size_the_column_that_matters_for_the_score_comes_first(
    explained: Any, reference: wakeful.Reference, traffic: Any
):
    data = traffic(debt=every(4, -1.0, "debt"), rent=every(5, -1.0, "rent"))

    rent, debt = explained(data)

    assert (rent.column, debt.column) == ("rent", "debt")
    assert rent.excess < debt.excess
    assert reference.importance["rent"] > 5 * reference.importance["debt"]


# ---------------------------------------------------------------- silence


@pytest.mark.parametrize("rows", [1, 10, 100, 1_000, 20_000])
def test_healthy_traffic_needs_no_explanation(explained: Any, traffic: Any, rows: int):
    assert explained(traffic(rows, seed=2)) == []


def test_noise_is_hardly_ever_listed(explained: Any, traffic: Any):
    listed = sum(bool(explained(traffic(300, seed=seed))) for seed in range(100, 200))

    assert listed <= 1  # one of a thousand windows, says the module


def test_a_few_odd_rows_are_no_fault(explained: Any, traffic: Any):
    assert explained(traffic(income=every(1_000, -1.0, "income"))) == []


# ---------------------------------------------------------------- as data


def test_causes_go_into_json(explained: Any, traffic: Any):
    [cause] = explained(traffic(income=lambda data: 100 * data["income"]))

    told = json.loads(json.dumps(cause.as_dict(), allow_nan=False))

    assert list(told) == ["column", "segment", "kind", "excess", "text"]
    assert told["segment"] is None
    assert 0.9 < told["excess"] <= 1


@pytest.mark.parametrize("step", [2, 4, 10])
def test_excess_is_a_share_of_rows_that_noise_does_not_explain(explained: Any, traffic: Any, step: int):
    [cause] = explained(traffic(20_000, rent=every(step, -1.0, "rent")))

    assert 0.8 / step < cause.excess < 1 / step
