"""Outcomes that are reported with what was answered: counted at once, as if they had been known from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from watched import Watched

import wakeful
from wakeful.counts import Counts
from wakeful.outcomes import Join
from wakeful.signals import find, names
from wakeful.views import outcomes

Rows = list[dict[str, Any]]


def rows_of(data: dict[str, Any]) -> Rows:
    columns = [np.asarray(data[name]).tolist() for name in data]
    return [dict(zip(data, row, strict=True)) for row in zip(*columns, strict=True)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Services that are watched, each with counts of its own."""
    made: list[Watched] = []

    def serve(model: wakeful.Reference | wakeful.Monitor, folder: str = "", **options: Any) -> Watched:
        monitor = model if isinstance(model, wakeful.Monitor) else wakeful.Monitor(model)
        made.append(Watched(monitor, tmp_path / (folder or f"counts{len(made)}"), **options))
        return made[-1]

    yield serve
    for one in made:
        one.monitor.stop()


def counted(service: Watched) -> Counts:
    service.recorder.flush()
    layout = service.recorder.layout
    return Counts(layout, service.counters[: layout.size])


@pytest.fixture(scope="module")
def loans(traffic: Any) -> wakeful.Reference:
    """A model with everything that tells where an outcome counts."""
    return wakeful.learn(
        {**traffic(3_000), "case": range(3_000)}, score="score", label="rejected", threshold=0.5, holdout="held",
        segments=["platform"], id="case", name="loans",
    )  # fmt: skip


@pytest.fixture(scope="module")
def cases(traffic: Any) -> Rows:
    """Applications with outcomes: some unknown, some of no valid kind."""
    data = {**traffic(400, seed=3), "case": np.arange(400)}
    del data["held"]
    rows = rows_of(data)
    for row, odd in zip(rows[:60:10], (None, float("nan"), 7, "yes", -1, []), strict=True):
        row["rejected"] = odd
    rows[100]["score"], rows[110]["score"], rows[120]["platform"] = None, "high", "tv"
    return rows


def told(service: Watched, rows: Rows, *, label: str, score: str = "score", features: bool = True) -> None:
    """Answers without their outcomes, then outcomes with their answers."""
    for number, row in enumerate(rows):
        asked = {name: value for name, value in row.items() if name not in (label, score)}
        service.monitor.observe(asked, score=row[score], id=row.get("case", number))
    for number, row in enumerate(rows):
        said = {"features": row} if features else {}
        service.monitor.outcome(row.get("case", number), row[label], score=row[score], **said)


def test_outcomes_with_their_answers_count_as_if_known_from_the_start(
    served: Any, loans: wakeful.Reference, cases: Rows
) -> None:
    at_once, later = (served(wakeful.Monitor(loans, holdout_share=0.3)) for _ in range(2))
    for row in cases:
        at_once.monitor.observe(row, id=row["case"])

    told(later, cases, label="rejected")

    assert counted(later) == counted(at_once)
    assert counted(later).outcome(0)[2, 1, ..., :2, 0].sum() > 0, "some are held out"
    meters = later.meters
    assert (meters["outcomes"], meters["outcomes_counted"]) == (400, 398)  # two are not known yet
    assert (meters["seen"], meters["counted"]) == (400, 400)


def test_they_count_as_labelled_rows_of_a_file_do(served: Any, reference: wakeful.Reference, traffic: Any) -> None:
    data = traffic(300)
    service = served(reference)

    told(service, rows_of(data), label="rejected")

    assert counted(service) == service.monitor.count(data)


def test_of_regressions_and_of_several_classes_too(
    served: Any, regression: wakeful.Reference, multiclass: wakeful.Reference
) -> None:
    rng = np.random.default_rng(5)
    houses = [
        {"rooms": 3, "price": price, "paid": paid}
        for price, paid in zip(rng.normal(2e5, 1e6, 200).tolist(), rng.normal(2e5, 1e6, 200).tolist(), strict=True)
    ]
    houses[0]["paid"], houses[1]["price"] = None, float("nan")
    houses[2]["paid"], houses[3]["paid"] = "much", np.inf
    mails = [
        {"length": 5.0, "guess": guess, "kind": kind}
        for guess, kind in zip(rng.choice(["spam", "work", "odd"], 200).tolist(),
                               rng.choice(["spam", "news", "new"], 200).tolist(), strict=True)
    ]  # fmt: skip
    mails[0]["kind"], mails[1]["kind"] = None, 3.5
    for model, rows, score, label in (regression, houses, "price", "paid"), (multiclass, mails, "guess", "kind"):
        service = served(model)

        told(service, rows, score=score, label=label, features=False)

        assert counted(service) == service.monitor.count(rows)


@pytest.mark.parametrize("said", [{"decision": 1}, {"features": {"by_us": 1}}])
def test_a_decision_beside_the_score_is_said_again(served: Any, traffic: Any, said: dict[str, Any]) -> None:
    learnt = wakeful.learn(
        {**traffic(2_000), "by_us": np.arange(2_000) % 2}, score="score", label="rejected", decision="by_us",
        threshold=0.5,
    )  # fmt: skip
    service = served(learnt)
    service.monitor.observe({"by_us": 1}, score=0.1)

    service.monitor.outcome(None, 1, score=0.1, **said)

    assert counted(service) == service.monitor.count([{"by_us": 1, "score": 0.1, "rejected": 1}])


def test_without_features_an_outcome_counts_for_all_traffic_and_for_no_segment(
    served: Any, reference: wakeful.Reference
) -> None:
    service = served(reference)
    service.monitor.observe({"platform": "app"}, score=0.9)
    before = counted(service)

    service.monitor.outcome("A", 1, score=0.9)

    after = counted(service)
    assert np.array_equal(after.table[1:], before.table[1:])
    assert after.outcome(0)[0, 1, :, :, 0].sum(axis=0).tolist() == [0, 1, 0, 0]


def test_an_outcome_that_is_known_with_the_answer_may_be_said_with_it(
    served: Any, reference: wakeful.Reference
) -> None:
    beside, inside, mixed = (served(reference) for _ in range(3))
    labels = [1, 0, None, 1, 9]
    for number, label in enumerate(labels):
        beside.monitor.observe({"platform": "web"}, score=0.7, label=label)
        inside.monitor.observe({"platform": "web", "rejected": label}, score=0.7)
        if number % 2:
            mixed.monitor.observe({"platform": "web"}, score=0.7, label=label)
        else:
            mixed.monitor.observe({"platform": "web", "rejected": label}, score=0.7)

    found = [counted(one) for one in (beside, inside, mixed)]

    assert found[0] == found[1] == found[2]
    assert found[0].outcome(0)[0, 1, :, :, 0].sum(axis=0).tolist() == [1, 2, 1, 1]
    assert [one.meters["unexpected"] for one in (beside, inside, mixed)] == [0, 0, 0]


def test_a_worker_may_report_what_another_one_answered(served: Any, reference: wakeful.Reference) -> None:
    answers, clicks = (served(reference, "both") for _ in range(2))
    row = {"platform": "web", "score": 0.7, "rejected": 1}
    clicks.monitor.outcome("A", 1, score=0.7, features=row)  # even before it
    early = counted(clicks)
    answers.monitor.observe({"platform": "web"}, score=0.7)

    found = counted(answers)

    assert early.rows == 0
    assert early.outcome(0)[0, 1, :, :, 0].sum(axis=0).tolist() == [0, 1, -1, 0]
    assert found == answers.monitor.count([row])


def test_a_join_of_the_log_finds_them_and_counts_each_once(served: Any, traffic: Any, tmp_path: Path) -> None:
    learnt = wakeful.learn(
        {**traffic(2_000), "case": [f"a{at}" for at in range(2_000)]}, score="score", label="rejected",
        threshold=0.5, id="case", name="loans",
    )  # fmt: skip
    service = served(learnt, log=str(tmp_path / "log"))
    rows = rows_of(traffic(100, seed=2))
    for number, row in enumerate(rows):
        asked = {name: value for name, value in row.items() if name not in ("rejected", "score")}
        said = {"label": row["rejected"]} if number % 2 else {}
        service.monitor.observe(asked, score=row["score"], id=f"c{number}", **said)
    for number in range(0, 100, 2):
        service.monitor.outcome(f"c{number}", rows[number]["rejected"], score=rows[number]["score"])
    live = counted(service)
    service.monitor.stop()

    with Join(tmp_path / "state", learnt.model, horizon="1d") as join:
        join.add_predictions(str(tmp_path / "log"))
        join.add_outcomes(str(tmp_path / "log" / "_outcomes"))
        tiles = list(join.as_of().counts(learnt.layout, "1d"))

    table = sum(tile.counts.outcome(0) for tile in tiles)
    assert np.array_equal(table, live.outcome(0))
    assert table[..., :2, 0].sum() == 100


# Windows: an outcome may come long after its answer.


@pytest.fixture(scope="module")
def window(traffic: Any) -> Callable[..., Counts]:
    """A window of so many answers, of which some have outcomes, and so many outcomes of earlier answers."""
    learnt = wakeful.learn(traffic(5_000), score="score", label="rejected", threshold=0.5, name="loans")
    monitor = wakeful.Monitor(learnt)

    def make(seed: int, answers: int, known: int, late: int) -> Counts:
        here, earlier = traffic(answers, seed=seed), traffic(late, seed=seed + 10**6)
        here["rejected"] = np.where(np.arange(answers) < known, here["rejected"], np.nan)
        came = monitor.count(earlier) - monitor.count({**earlier, "rejected": np.full(late, np.nan)})
        return monitor.count(here) + came

    return make


def estimates(counts: Counts, base: Counts) -> dict[str, Any]:
    """Every signal of a binary model that needs nothing else."""
    live, expected = outcomes(counts), outcomes(base)
    found = {name: find(name, "binary") for name in names("binary")}
    said = {"value": {"true_positive": 5.0, "false_positive": -1.0}}
    return {name: one.evidence(live, expected, said.get(name, {})).estimate(0.05) for name, one in found.items()}


def test_outcomes_of_earlier_answers_leave_what_is_said_of_answers_as_it_is(window: Any) -> None:
    answers, came = window(1, 500, 0, 0), window(1, 500, 0, 2_000)
    base = window(2, 3_000, 3_000, 0)
    assert came.outcome(0)[..., 2, 0].min() < 0
    assert came.rows == answers.rows == 500

    without, found = estimates(answers, base), estimates(came, base)

    same = ["flagged_share", *(name for name in found if name.startswith("expected_"))]
    assert len(same) == 5
    for name in same:
        np.testing.assert_allclose(found[name], without[name], err_msg=name)
    assert found["precision"].n == outcomes(came).matrix[1].sum()  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [(400, 200, 300), (400, 0, 400), (60, 20, 400), (1, 0, 400)])
def test_intervals_hold_where_outcomes_come_of_earlier_answers(window: Any, shape: tuple[int, int, int]) -> None:
    """At an error rate of 5% on each side, 120 windows miss at most 14 times with probability 0.998."""
    base = window(99, 100_000, 100_000, 0)
    truth = estimates(base, base)
    asked = ("precision", "recall", "accuracy", "f1", "value", "roc_auc", "brier_score", "flagged_share")
    low, high = (dict.fromkeys(asked, 0) for _ in range(2))
    for seed in range(120):
        found = estimates(window(1_000 + seed, *shape), base)
        for name in asked:
            low[name] += truth[name].value < found[name].low
            high[name] += truth[name].value > found[name].high
    assert max(*low.values(), *high.values()) <= 14, (low, high)


def test_an_invalid_outcome_of_an_earlier_answer_is_told_as_a_fault_not_as_a_share_above_one(
    served: Any, reference: wakeful.Reference
) -> None:
    service = served(reference)
    for _ in range(50):
        service.monitor.observe({"platform": "web"}, score=0.7)
    for number in range(90):
        service.monitor.outcome(number, "yes", score=0.7)

    (cause,) = [one for one in service.monitor.explain(counted(service)) if one.column == "rejected"]

    assert cause.text == "rejected: 100% of the outcomes are neither 0 nor 1, and count as unknown"


# Bad input.


def test_the_same_outcome_twice_counts_twice_as_nobody_remembers_it(served: Any, reference: wakeful.Reference) -> None:
    service = served(reference)
    service.monitor.observe({}, score=0.7, id="A")
    for label in 1, 0:  # a correction is another outcome, too
        service.monitor.outcome("A", label, score=0.7)

    table = counted(service).outcome(0)

    assert table[0, 1, :, :, 0].sum(axis=0).tolist() == [1, 1, -1, 0]
    assert service.meters["outcomes_counted"] == 2


@pytest.mark.parametrize("roles", [{"score": "score", "threshold": 0.5}, {"score": "income"}, {"score": "city"}])
def test_without_a_label_in_the_reference_outcomes_are_logged_alone_and_it_is_said_once(
    served: Any, traffic: Any, caplog: pytest.LogCaptureFixture, roles: dict[str, Any]
) -> None:
    learnt = wakeful.learn(traffic(1_000), **roles, name="loans")
    service = served(learnt)
    for number in range(3):
        service.monitor.observe({}, score=0.7, label=1)
        service.monitor.outcome(number, 1, score=0.7)
        found = counted(service)

    assert found == service.monitor.count([{roles["score"]: 0.7}] * 3)
    assert (service.meters["outcomes"], service.meters["outcomes_counted"]) == (3, 0)
    assert caplog.text.count("outcomes are not counted: SignalError: the reference was learnt without a label") == 1


@pytest.mark.parametrize("features", ["web", 7, [1]])
def test_features_that_are_no_mapping_are_refused_and_counted(
    served: Any, reference: wakeful.Reference, features: Any
) -> None:
    service = served(reference)

    service.monitor.outcome("A", 1, score=0.7, features=features)

    assert not counted(service).vector.any()
    meters = service.meters
    assert (meters["outcomes"], meters["outcomes_invalid"], meters["seen"]) == (0, 1, 0)


def test_answers_and_outcomes_of_any_type_change_nothing_but_their_own_cells(
    served: Any, reference: wakeful.Reference
) -> None:
    service = served(reference)
    odd = [*hostile._VALUES, *(one() for one in hostile._CLASSES)]
    for number, value in enumerate(odd):
        service.monitor.outcome(number, 1, score=value, features={"platform": value})
        service.monitor.outcome(number, value, score=0.7, decision=value, features={"platform": "web", "held": value})
        if not number % 10:
            service.recorder.flush()

    table = counted(service).table
    meters = service.meters

    assert meters["outcomes"] + meters["outcomes_dropped"] == 2 * len(odd)
    assert meters["outcomes"] > 1.9 * len(odd)
    assert meters["outcomes_counted"] >= len(odd)
    start = service.recorder.layout.outcome_start
    assert not table[:, :start].any()
    rows = table[:, start:].reshape(len(table), *service.recorder.layout.outcome_shape)[..., 0]
    assert not rows.sum(axis=-1).any(), "what is taken from the unknown is added to a truth"


def test_only_so_many_outcomes_wait_as_memory_has_room(served: Any, traffic: Any) -> None:
    cities = np.resize(["Berlin", "Ulm"], 1_000)
    learnt = wakeful.learn({**traffic(1_000), "city": cities}, score="score", label="rejected", segments=["city"])
    service = served(learnt, flush=3600)
    for number in range(500):
        service.monitor.outcome(number, 1, score=0.7, features={"city": f"{number:100000}", "income": "x" * 10**7})
    for number in range(500):
        service.monitor.outcome(number, 1, score=0.7, features={"city": "Ulm", "income": "x" * 10**7})

    assert counted(service).outcome(0)[..., 1, 0].sum() == 516  # large features that do not matter do not count
    assert service.meters["outcomes_dropped"] == 484
