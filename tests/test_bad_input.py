"""Bad input: a clear error that says what is wrong, what came and what to do, or a result that makes sense."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import wakeful
from wakeful.bins import CategoryBins, NumericBins
from wakeful.initialise import roles_of, start
from wakeful.learning import Learnt, Roles, learn_all
from wakeful.loading import load_monitor
from wakeful.monitor import Report

ROLES: dict[str, Any] = {"score": "score", "label": "rejected", "threshold": 0.5}


def learn(data: object, **roles: Any) -> wakeful.Reference:
    return wakeful.learn(data, **(ROLES | roles))


def notes(data: object, **roles: Any) -> Learnt:
    return learn_all(data, Roles(**(ROLES | roles)))


@pytest.fixture(scope="session")
def monitor(traffic: Any, tmp_path_factory: pytest.TempPathFactory) -> wakeful.Monitor:
    """The monitor that `wakeful init` writes, checks included."""
    written = start(traffic(5_000, seed=0), roles_of(kinds=[], **ROLES), tmp_path_factory.mktemp("monitor"))
    return load_monitor(written.monitor)


def failed(report: Report) -> set[tuple[str, str | None]]:
    """Checks that fail, and the columns for which they do."""
    return {(one.check, one.judgement.column) for one in report.failed}


def texts(report: Report) -> list[str]:
    return [cause.text for cause in report.explanation]


# ---------------------------------------------------------------- too little


EMPTY: dict[str, Callable[[dict[str, Any]], object]] = {
    "mapping": lambda data: {name: values[:0] for name, values in data.items()},
    "pandas": lambda data: pd.DataFrame(data).head(0),
    "polars": lambda data: pl.DataFrame(data).head(0),
    "arrow": lambda data: pa.table(data).slice(0, 0),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_table_without_rows_is_nothing_to_learn_from_or_to_judge(kind: str, traffic: Any, monitor: wakeful.Monitor):
    empty = EMPTY[kind](traffic(5))

    with pytest.raises(wakeful.DataError, match=r"at least 20 rows, but the data have 0\. Give more"):
        learn(empty)
    with pytest.raises(wakeful.DataError, match=r"the data have no rows, so there is nothing to judge\. Give"):
        monitor.test(empty)


@pytest.mark.parametrize("nothing", [{}, pd.DataFrame(), pa.table({})], ids=["mapping", "pandas", "arrow"])
def test_a_table_without_columns_is_no_data(nothing: object, monitor: wakeful.Monitor):
    for use in (learn, monitor.test):
        with pytest.raises(wakeful.DataError, match=r"the data have no columns\. Give a table with"):
            use(nothing)


def test_no_rows_at_all_are_nothing_to_judge(monitor: wakeful.Monitor):
    with pytest.raises(wakeful.DataError, match="the data have no rows"):
        monitor.test([])


@pytest.mark.parametrize("rows", [1, 2, 19])
def test_a_handful_of_rows_is_too_little_to_learn_from(traffic: Any, rows: int):
    with pytest.raises(wakeful.DataError, match=f"a reference needs at least 20 rows, but the data have {rows}"):
        learn(traffic(rows))


def test_twenty_rows_can_be_learnt_and_prove_little(traffic: Any):
    monitor = wakeful.Monitor(learn(traffic(20)))

    @monitor.check()
    def stays(live):
        assert live.features.d1() <= 0.1

    assert monitor.test(traffic(2_000)).ok


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
def test_a_handful_of_rows_fails_no_check(monitor: wakeful.Monitor, traffic: Any, rows: int):
    report = monitor.test(traffic(rows))

    assert report.ok
    assert report.rows == rows
    assert report.explanation == []
    assert {"unsure"} <= {one.verdict for one in report.verdicts}


# ---------------------------------------------------------------- nothing in it, or always the same


@pytest.mark.parametrize("nothing", [None, float("nan"), pd.NaT], ids=["None", "NaN", "NaT"])
def test_a_column_that_is_always_missing_is_learnt_as_that_and_noted(traffic: Any, nothing: object):
    empty = [nothing] * 1_000

    learnt = notes(traffic(1_000) | {"rent": empty})

    assert learnt.notes == ["rent: missing in every row"]
    monitor = wakeful.Monitor(learnt.reference)

    @monitor.check()
    def as_before(live):
        assert live.features.missing() <= live.reference.features.missing() + 0.02
        assert live.features.vanished() <= 0.02

    assert monitor.test(traffic(1_000) | {"rent": empty}).ok
    assert failed(monitor.test(traffic(1_000))) == {("as_before", "rent")}


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("score", "score 'score' holds no finite number in any row. Give rows that the model scored."),
        ("rejected", "label 'rejected' is missing in every row. Leave it out, or give rows with outcomes."),
    ],
)
def test_a_score_or_label_that_is_always_missing_is_refused(traffic: Any, column: str, told: str):
    with pytest.raises(wakeful.DataError) as caught:
        learn(traffic() | {column: [None] * 2_000})

    assert str(caught.value) == told


def test_live_rows_in_which_all_is_missing_fail_and_say_so(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test({name: [None] * 500 for name in traffic(1)})

    features = {"income", "rent", "debt", "city", "owner", "platform", "held"}
    assert {("answers_are_real", "score")} | {("inputs_are_whole", name) for name in features} <= failed(report)
    assert sorted(texts(report))[:2] == ["city: 100% missing (0% in training)", "debt: 100% missing (20% in training)"]
    assert texts(report)[-1] == "score: 100% missing (0% in training)"


def test_live_rows_without_any_outcome_leave_quality_open(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test(traffic(rejected=None) | {"rejected": [None] * 2_000})

    verdicts = {one.check: one for one in report.verdicts}
    assert report.ok
    assert verdicts["flagged_are_right"].verdict == "unsure"
    assert verdicts["flagged_are_right"].judgement.message == "precision: no live values to estimate it from"
    assert not monitor.test(traffic() | {"rejected": [None] * 2_000}, strict=True).ok


@pytest.mark.parametrize(("column", "value"), [("income", 3.0), ("city", "Berlin"), ("owner", True), ("score", 0.5)])
def test_a_constant_column_is_learnt_and_its_change_is_a_fault(traffic: Any, column: str, value: Any):
    monitor = wakeful.Monitor(learn(traffic() | {column: [value] * 2_000}))

    @monitor.check()
    def as_before(live):
        assert live[column].spike() <= 0.01
        assert live[column].d1() <= 0.2
        assert live[column].missing() <= 0.01

    assert monitor.test(traffic(500) | {column: [value] * 500}).ok
    assert failed(monitor.test(traffic(500))) == {("as_before", column)}


@pytest.mark.parametrize("column", ["income", "city", "owner", "score"])
def test_a_column_that_freezes_fails_and_is_named(monitor: wakeful.Monitor, traffic: Any, column: str):
    data = traffic()
    data[column] = np.full(2_000, data[column][7])

    report = monitor.test(data)

    check = "answers_are_real" if column == "score" else "inputs_are_whole"
    assert (check, column) in failed(report)
    assert report.explanation[0].column == column


# ---------------------------------------------------------------- of another type than it should be


@pytest.mark.parametrize("frame", [dict, pd.DataFrame], ids=["mapping", "pandas"])
def test_a_column_of_mixed_types_counts_what_does_not_fit_as_invalid(traffic: Any, frame: Any):
    mixed = [1.5, 2, "n/a", None, 4.0] * 400

    reference = learn(frame(traffic() | {"rent": mixed}))

    assert reference.model.column("rent").kind == "numeric"
    live = wakeful.Monitor(reference).live
    assert "invalid" in dir(live["rent"])
    monitor = wakeful.Monitor(reference)

    @monitor.check()
    def shares(live):
        assert live["rent"].invalid() <= 1
        assert live["rent"].missing() <= 1

    invalid, missing = monitor.test(frame(traffic() | {"rent": mixed})).verdicts
    assert (invalid.judgement.estimate, missing.judgement.estimate) == (0.2, 0.2)


NOT_NUMBERS: dict[str, Any] = {
    "text": ["many"] * 500,
    "lists": [[1.0, 2.0]] * 500,
    "structs": [{"amount": 1.0}] * 500,
    "bytes": [b"1"] * 500,
    "dates": [dt.datetime(2024, 1, 1)] * 500,
    "time spans": [dt.timedelta(1)] * 500,
    "infinite": [float("inf")] * 500,
}


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_live_values_that_are_no_numbers_are_invalid(monitor: wakeful.Monitor, traffic: Any, kind: str):
    report = monitor.test(traffic(500) | {"income": NOT_NUMBERS[kind]})

    assert ("inputs_are_whole", "income") in failed(report)
    assert texts(report) == ["income: 100% invalid: of the wrong type, or infinite"]


@pytest.mark.parametrize("value", [7, 0.5, True, dt.datetime(2024, 1, 1)], ids=str)
def test_live_values_that_are_no_text_are_invalid(monitor: wakeful.Monitor, traffic: Any, value: object):
    report = monitor.test(traffic(500) | {"city": [value] * 500})

    assert ("inputs_are_whole", "city") in failed(report)
    assert texts(report) == ["city: 100% invalid: of the wrong type, or infinite"]


class Hostile:
    """A value that answers every question with an exception."""

    def __float__(self) -> float:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


def test_the_strangest_values_are_counted_all_the_same(monitor: wakeful.Monitor, traffic: Any):
    strange: list[Any] = [
        Hostile(),
        object(),
        [1],
        {"a": 1},
        b"x",
        1j,
        10**400,
        Decimal("NaN"),
        "",
        float("-inf"),
        None,
    ]
    good = pd.DataFrame(traffic(400)).to_dict("records")
    rows = [row | {"income": value, "city": value} for row, value in zip(good, strange * 40, strict=False)]

    counts = monitor.count(rows)

    assert counts.rows == 400
    assert {cause.column for cause in monitor.test(counts).explanation} == {"income", "city"}


def test_decimals_and_whole_numbers_are_numbers(monitor: wakeful.Monitor, traffic: Any):
    data = traffic()
    decimals = data | {"income": [Decimal(f"{value:.2f}") for value in data["income"]]}

    assert monitor.count(decimals) == monitor.count(data)
    assert learn(decimals).counts.rows == 2_000
    assert monitor.test(data | {"rent": data["rent"].astype(int)}).ok


@pytest.mark.parametrize("huge", [10**30, 2**63 - 1, -(10**30), 1e308])
def test_huge_numbers_are_out_of_range_not_out_of_mind(monitor: wakeful.Monitor, traffic: Any, huge: Any):
    report = monitor.test(traffic(500) | {"income": [huge] * 500})

    word = "below" if huge < 0 else "above"
    assert texts(report)[0].startswith(f"income: 100% {word} the range seen in training (")


def test_huge_numbers_can_be_learnt(traffic: Any):
    data = traffic() | {"big": [10**30, 1] * 1_000, "long": np.full(2_000, 2**64 - 1, dtype=np.uint64)}

    reference = learn(data)

    bins = reference.layout.bins["big"]
    assert isinstance(bins, NumericBins)
    assert (bins.low, bins.high) == (1.0, 1e30)
    assert wakeful.Monitor(reference).count(data) == reference.counts


def test_nested_columns_are_left_out_and_said_so(traffic: Any):
    nested = {"items": [[1, 2]] * 2_000, "address": [{"zip": "10115"}] * 2_000, "raw": [b"x"] * 2_000}

    learnt = notes(traffic() | nested)

    assert not nested.keys() & {column.name for column in learnt.reference.model.columns}
    assert [note.split(":")[0] for note in learnt.notes] == list(nested)
    assert all("cannot be counted" in note and note.endswith("so it is left out") for note in learnt.notes)


@pytest.mark.parametrize(
    ("kind", "column"),
    [("numeric", "city"), ("boolean", "income"), ("datetime", "city"), ("datetime", "income"), ("categorical", "rent")],
)
def test_a_kind_that_a_column_cannot_be_is_refused(traffic: Any, kind: str, column: str):
    with pytest.raises(
        wakeful.DataError, match=rf"column '{column}' cannot be {kind}: its values are of type .*Convert it"
    ):
        learn(traffic(), kinds={column: kind})


# ---------------------------------------------------------------- scores


def with_odd_scores(data: dict[str, Any]) -> Any:
    at = np.arange(len(data["score"]))
    return np.select([at % 20 == 0, at % 20 == 1, at % 20 == 2], [np.inf, -np.inf, np.nan], data["score"])


def test_infinite_and_missing_scores_are_learnt_as_what_they_are(traffic: Any):
    data = traffic(score=with_odd_scores)
    monitor = wakeful.Monitor(learn(data))

    @monitor.check()
    def shares(live):
        assert live.score.invalid() <= live.reference.score.invalid() + 0.005
        assert live.score.missing() <= live.reference.score.missing() + 0.005
        assert live.precision() >= 0.5
        assert live.brier_score() <= 0.3

    report = monitor.test(data)

    assert report.ok
    invalid, missing, precision, _ = (one.judgement for one in report.verdicts)
    assert (invalid.estimate, missing.estimate) == (0.1, 0.05)
    flagged = np.isfinite(data["score"]) & (data["score"] >= 0.5)
    assert precision.estimate == pytest.approx(data["rejected"][flagged].mean())
    assert precision.n == flagged.sum()


def test_infinite_and_missing_scores_where_there_were_none_fail(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test(traffic(score=with_odd_scores))

    assert {"score: missing", "score: invalid"} <= {
        " ".join(one.judgement.message.split()[:2]) for one in report.failed if one.check == "answers_are_real"
    }
    assert texts(report) == ["score: 10% invalid: of the wrong type, or infinite"]


def test_scores_need_not_be_probabilities(traffic: Any):
    odds = traffic(score=lambda data: np.log(data["score"] / (1 - data["score"])))

    monitor = wakeful.Monitor(learn(odds, threshold=0.0))

    @monitor.check()
    def ranks(live):
        assert live.roc_auc() >= 0.6
        assert live.precision() >= 0.5

    assert monitor.test(odds).ok
    with pytest.raises(wakeful.SignalError, match="the score is no probability"):
        bool(monitor.on(odds).log_loss() <= 1)


def test_scores_beyond_a_probability_fail_where_training_had_none(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test(traffic(score=lambda data: 100 * data["score"]))

    assert ("answers_are_real", "score") in failed(report)
    assert texts(report)[0].endswith("above the range seen in training (0–1)")


def test_a_score_of_text_is_refused_or_fails(monitor: wakeful.Monitor, traffic: Any):
    words = traffic(score=lambda data: np.where(data["score"] > 0.5, "high", "low"))

    with pytest.raises(wakeful.DataError, match=r"score 'score' holds text, but the task is binary\. Give numbers"):
        learn(words, task="binary", threshold=None)
    assert texts(monitor.test(words))[0] == "score: 100% invalid: of the wrong type, or infinite"


def test_a_score_that_is_the_label_is_refused(traffic: Any):
    with pytest.raises(
        wakeful.DataError, match=r"score and label are both 'score'\. Name the column with the true outcome"
    ):
        learn(traffic(), label="score")


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            [0, 1, 2],
            "label 'rejected' must be 0 or 1 for a binary score, but holds 2. Make it 0 and 1, or name another",
        ),
        ([1, 2], "label 'rejected' must be 0 or 1 for a binary score, but holds 2."),
        ([-1, 1], "label 'rejected' must be 0 or 1 for a binary score, but holds -1."),
        ([0.0, 0.5], "label 'rejected' must be 0 or 1 for a binary score, but holds 0.5."),
        (["yes", "no"], "label 'rejected' must be 0 or 1 for a binary score, but holds 'yes', 'no'. Make it 0 and 1."),
        ([1], "label 'rejected' is 1 in every row: no quality can be learnt from one class."),
        ([0], "label 'rejected' is 0 in every row: no quality can be learnt from one class."),
    ],
)
def test_labels_that_are_not_binary_are_refused(traffic: Any, labels: list[Any], told: str):
    with pytest.raises(wakeful.DataError) as caught:
        learn(traffic(600) | {"rejected": labels * (600 // len(labels))})

    assert str(caught.value).startswith(told)


def test_one_odd_label_among_a_million_is_found(traffic: Any):
    labels = np.arange(300_000) % 2
    labels[123_456] = 7

    with pytest.raises(wakeful.DataError, match="must be 0 or 1 for a binary score, but holds 7"):
        learn({"score": np.linspace(0, 1, 300_000), "rejected": labels})


@pytest.mark.parametrize("labels", [[True, False], [1.0, 0.0], [1, 0, None], [True, False, None], [1.0, 0.0, np.nan]])
def test_labels_may_be_truth_values_and_have_gaps(traffic: Any, labels: list[Any]):
    assert learn(traffic(600) | {"rejected": labels * (600 // len(labels))}).model.task == "binary"


def test_live_labels_of_text_are_refused(monitor: wakeful.Monitor, traffic: Any):
    with pytest.raises(wakeful.DataError, match=r"label 'rejected' holds text\. Make it 1 and 0, or true and false"):
        monitor.test(traffic(rejected=lambda data: np.where(data["rejected"] == 1, "yes", "no")))


def test_live_labels_that_are_neither_0_nor_1_count_for_nothing(monitor: wakeful.Monitor, traffic: Any):
    data = traffic(rejected=lambda data: np.where(np.arange(2_000) % 4 == 0, 7, data["rejected"]))

    precision = next(one.judgement for one in monitor.test(data).verdicts if one.check == "flagged_are_right")

    known = (data["score"] >= 0.5) & (data["rejected"] != 7)
    assert round(precision.n) == known.sum()
    assert precision.estimate == pytest.approx(data["rejected"][known].mean())


@pytest.mark.parametrize("role", ["decision", "holdout"])
def test_decisions_and_holdouts_of_text_are_refused(traffic: Any, role: str):
    data = traffic() | {"act": ["yes", "no"] * 1_000}

    with pytest.raises(wakeful.DataError, match=rf"{role} 'act' holds text\. Make it 1 and 0, or true and false"):
        learn(data, **{role: "act"})
    monitor = wakeful.Monitor(learn(traffic() | {"act": [True, False] * 1_000}, **{role: "act"}))
    with pytest.raises(wakeful.DataError, match=rf"{role} 'act' holds text"):
        monitor.count(data)


def test_a_decision_that_is_always_the_same_is_refused(traffic: Any):
    with pytest.raises(wakeful.DataError, match=r"decision 'act' is the same in every row\. It must be 1"):
        learn(traffic() | {"act": [1] * 2_000}, decision="act", threshold=None)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "0.5"])
def test_a_threshold_is_a_number(traffic: Any, threshold: Any):
    with pytest.raises(wakeful.DataError, match=r"threshold must be a finite number, not "):
        learn(traffic(), threshold=threshold)


# ---------------------------------------------------------------- too much


def test_five_thousand_columns(traffic: Any, tmp_path: Path):
    names = [f"c{at}" for at in range(5_000)]

    def wide(seed: int) -> dict[str, Any]:
        numbers = np.random.default_rng(seed).normal(size=(5_000, 200))
        return traffic(200, seed) | dict(zip(names, numbers, strict=True))

    pq.write_table(pa.table(wide(0)), tmp_path / "wide.parquet")
    written = start(tmp_path / "wide.parquet", roles_of(kinds=[], **ROLES), tmp_path)
    broken = wide(1)
    broken["c4321"] = np.full(200, -999.0)
    pq.write_table(pa.table(broken), tmp_path / "broken.parquet")

    report = load_monitor(written.monitor).test(tmp_path / "broken.parquet")

    assert len(report.verdicts) > 7 * 5_000
    assert {column for _, column in failed(report)} == {"c4321"}
    assert report.explanation[0].column == "c4321"


@pytest.fixture(scope="module")
def million() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "merchant": pa.array(np.char.add("m", np.arange(1_000_000).astype(str))),
        "score": rng.random(1_000_000),
        "rejected": rng.integers(0, 2, 1_000_000),
    }


def test_a_column_with_a_million_categories_is_left_out_and_said_so(million: dict[str, Any]):
    learnt = notes(million)

    assert [column.name for column in learnt.reference.model.columns] == ["score"]
    assert learnt.notes == [
        "merchant: nearly every row has another text, so it is left out as an identifier or free text"
    ]


def test_a_million_categories_that_have_to_be_counted_take_no_room_and_raise_no_alarm(
    million: dict[str, Any], tmp_path: Path
):
    reference = learn(million, kinds={"merchant": "categorical"})

    bins = reference.layout.bins["merchant"]
    assert isinstance(bins, CategoryBins)
    assert bins.open
    reference.save(tmp_path / "reference.json")
    assert (tmp_path / "reference.json").stat().st_size < 20_000
    monitor = wakeful.Monitor(reference)

    @monitor.check()
    def merchants_are_known(live):
        assert live["merchant"].unseen() <= 0.01
        assert live["merchant"].d1() <= 0.1

    new = {name: values[:1_000] for name, values in million.items()} | {"merchant": [f"new{at}" for at in range(1_000)]}
    assert monitor.test(new).ok


def test_a_segment_with_too_many_values_is_refused(traffic: Any):
    with pytest.raises(
        wakeful.DataError, match=r"segment 'street' has 100 different values, at most 50 can be counted apart"
    ):
        learn(traffic() | {"street": [f"s{at % 100}" for at in range(2_000)]}, segments=["street"])


def test_a_hundred_thousand_new_categories_are_one_fault(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test(traffic(100_000) | {"city": [f"c{at}" for at in range(100_000)]})

    assert texts(report)[0].startswith("city: 100% unseen in training; no longer seen: Berlin (")


# ---------------------------------------------------------------- names

ODD = ["two words", "a.b", 'double "quotes"', "it's", "größe", "収入", "new\nline", "tab\there", "{curly}", "[square]",
       "%s", "live", "d1", "class", "__class__", " ", "é", "é"]  # fmt: skip


def test_columns_may_have_any_name(traffic: Any, tmp_path: Path):
    rng = np.random.default_rng(0)
    odd = {name: rng.normal(size=2_000) for name in ODD}
    written = start(traffic() | odd, roles_of(kinds=[], **ROLES), tmp_path)
    monitor = load_monitor(written.monitor)

    @monitor.check()
    def named(live):
        for name in ODD:
            assert live[name].mean() <= 0.5

    assert monitor.test(traffic() | odd).ok
    for name in ODD:
        report = monitor.test(traffic() | odd | {name: odd[name] + 1_000})
        assert {column for _, column in failed(report)} == {name}
        assert texts(report) == [f"{name}: 100% above the range seen in training ({texts(report)[0].split('(')[1]}"]


def test_an_empty_name_is_a_name_in_a_mapping(traffic: Any):
    with pytest.raises(wakeful.UnknownName, match="unknown score column ''"):
        learn(traffic(), score="")


def test_roles_may_have_any_name(traffic: Any, tmp_path: Path):
    rename = {"score": "größe der\nGefahr", "rejected": 'say "no"', "platform": "it's. a platform"}
    data = {rename.get(name, name): values for name, values in traffic().items()}
    roles = roles_of(
        kinds=[], score=rename["score"], label=rename["rejected"], threshold=0.5, segments=(rename["platform"],),
        name="x",
    )  # fmt: skip

    report = load_monitor(start(data, roles, tmp_path).monitor).test(data)

    assert report.ok
    assert {one.judgement.column for one in report.verdicts} > {rename["score"], "income"}


DUPLICATES: dict[str, Callable[[], object]] = {
    "pandas": lambda: pd.DataFrame([[0.1, 1, 2]] * 50, columns=["score", "age", "age"]),
    "arrow": lambda: pa.table([[0.1] * 50, [1] * 50, [2] * 50], names=["score", "age", "age"]),
    "mapping": lambda: {"score": [0.1] * 50, "1": [1] * 50, 1: [2] * 50},
}


@pytest.mark.parametrize("kind", DUPLICATES)
def test_two_columns_of_one_name_are_refused(kind: str, monitor: wakeful.Monitor):
    for use in (monitor.test, lambda data: wakeful.learn(data, score="score")):
        with pytest.raises(wakeful.DataError, match=r"column '(age|1)' stands twice in the data\. Rename one of them"):
            use(DUPLICATES[kind]())


def test_two_columns_of_one_name_in_a_csv_are_refused(tmp_path: Path, monitor: wakeful.Monitor):
    (tmp_path / "rows.csv").write_text("score,age,age\n" + "0.5,1,2\n" * 30)

    for use in (monitor.test, lambda data: wakeful.learn(data, score="score")):
        with pytest.raises(wakeful.DataError, match=r"column 'age' stands twice in the data\. Rename one of them"):
            use(tmp_path / "rows.csv")


def test_a_part_of_a_datetime_and_a_column_of_the_same_name_are_refused(traffic: Any):
    days = pd.date_range("2024-01-01", periods=2_000, freq="h")

    with pytest.raises(
        wakeful.DataError, match=r"column names must be unique, but 'at.hour' stands 2 times\. Rename one"
    ):
        learn(traffic() | {"at": days, "at.hour": np.arange(2_000)})


def test_columns_that_training_did_not_have_change_nothing(monitor: wakeful.Monitor, traffic: Any):
    assert monitor.count(traffic() | {"new": np.arange(2_000), "newer": ["x"] * 2_000}) == monitor.count(traffic())


# ---------------------------------------------------------------- text, time


def test_empty_text_is_a_category_of_its_own(traffic: Any):
    data = traffic(city=lambda data: np.where(np.arange(2_000) % 4 == 0, "", data["city"]))
    monitor = wakeful.Monitor(learn(data))

    @monitor.check()
    def shares(live):
        assert live["city"].share("") <= 0.26
        assert live["city"].missing() <= 0.01

    empty, missing = monitor.test(data).verdicts
    assert (empty.judgement.estimate, missing.judgement.estimate) == (0.25, 0.0)


def test_empty_text_where_there_was_none_is_unseen(monitor: wakeful.Monitor, traffic: Any):
    report = monitor.test(traffic() | {"city": [""] * 2_000})

    assert texts(report)[0].startswith("city: 100% unseen in training; no longer seen: Berlin (")


def test_an_hour_is_that_of_the_columns_own_time_zone(traffic: Any):
    def hours(zone: str | None) -> Any:
        utc = pd.date_range("2024-06-01", periods=2_000, freq="D", tz="UTC") + pd.Timedelta(hours=12)
        return utc.tz_convert(zone) if zone else utc.tz_localize(None)

    monitor = wakeful.Monitor(learn(traffic() | {"at": hours("Europe/Berlin")}, kinds={"at": "datetime"}))

    @monitor.check()
    def at_noon(live):
        assert live["at.hour"].share(14) >= 0.5
        assert live["at.hour"].spike() <= 0.01

    assert monitor.test(traffic() | {"at": hours("Europe/Berlin")}).ok
    shifted = monitor.test(traffic() | {"at": hours("UTC")})
    assert failed(shifted) == {("at_noon", "at.hour")}
    assert texts(shifted)[0].startswith("at.hour: 100% at 12 (")


def test_a_time_column_of_text_is_refused(traffic: Any):
    with pytest.raises(
        wakeful.DataError, match=r"time column 'at' must hold dates or timestamps, not .*Convert it first"
    ):
        learn(traffic() | {"at": ["2024-01-01"] * 2_000}, time="at")


def test_a_time_column_without_times_is_refused(traffic: Any):
    missing = pa.nulls(2_000, pa.timestamp("s"))

    with pytest.raises(wakeful.DataError, match=r"time column 'at' is missing in every row\. Leave it out, or fill it"):
        learn(traffic() | {"at": missing}, time="at")


# ---------------------------------------------------------------- not a table


NO_TABLES: dict[str, tuple[object, str]] = {
    "None": (None, "cannot read a table from NoneType. Give a path to a Parquet or CSV file, a data frame"),
    "a number": (3, "cannot read a table from int."),
    "a list": ([1, 2, 3], "cannot read a table from list."),
    "an array": (np.zeros((30, 3)), "cannot read a table from ndarray."),
    "columns of different lengths": ({"score": [0.1] * 30, "a": [1] * 29}, "columns differ in length: {'score': 30, "),
    "a column that is a number": ({"score": [0.1] * 30, "a": 3}, "column 'a' is 3. Give a list or array of values."),
    "a column of two dimensions": ({"score": [0.1] * 30, "a": np.zeros((30, 2))}, "column 'a' is "),
    "no file": ("no/such/rows.parquet", "no data at no/such/rows.parquet: the file does not exist."),
    "a name without ending": ("pyproject", "no data at pyproject: the file does not exist."),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table_is_refused(kind: str, monitor: wakeful.Monitor):
    data, told = NO_TABLES[kind]
    for use in (learn, monitor.test):
        with pytest.raises(wakeful.DataError) as caught:
            use(data)
        assert str(caught.value).startswith(told)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, monitor: wakeful.Monitor):
    folder = tmp_path / "rows.parquet"
    folder.mkdir()

    for use in (learn, monitor.test):
        with pytest.raises(wakeful.DataError, match=r"rows.parquet is a folder\. Name one Parquet or CSV file in it\."):
            use(folder)


LINE = b"0.500000000000000,1\n"
BROKEN: dict[str, tuple[str, bytes]] = {
    "no Parquet": ("rows.parquet", b"score,rejected\n0.5,1\n" * 50),
    "an empty Parquet": ("rows.parquet", b""),
    "an empty CSV": ("rows.csv", b""),
    "ragged lines": ("rows.csv", b"score,rejected,a\n" + b"0.5,1,2\n" * 30 + b"0.5,1\n"),
    "a number that turns into text far down": (
        "rows.csv",
        b"score,rejected\n" + b"0.500000000000000,1\n" * 1_500_000 + b"high,1\n",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(kind: str, tmp_path: Path, monitor: wakeful.Monitor):
    name, content = BROKEN[kind]
    (tmp_path / name).write_bytes(content)

    for use in (learn, monitor.test):
        with pytest.raises(wakeful.DataError, match=rf"cannot read .*{name}: .+"):
            use(tmp_path / name)


def test_a_parquet_file_cut_in_the_middle_is_refused(traffic: Any, tmp_path: Path, monitor: wakeful.Monitor):
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table(traffic(20_000)), file)
    content = bytearray(file.read_bytes())
    content[100:-3_000] = bytes(len(content) - 3_100)
    file.write_bytes(content)

    with pytest.raises(wakeful.DataError, match=r"cannot read .*rows.parquet: "):
        monitor.test(file)


def test_a_csv_that_is_not_in_utf8_tells_which_column_it_lost(traffic: Any, tmp_path: Path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"score,stadt\n" + "0.5,Köln\n0.4,Bonn\n".encode("latin-1") * 30)

    learnt = learn_all(file, Roles(score="score"))

    assert learnt.notes == ["stadt: values of type binary cannot be counted (is the file in UTF-8?), so it is left out"]


def test_a_csv_file_with_a_header_alone_has_no_rows(tmp_path: Path, monitor: wakeful.Monitor):
    (tmp_path / "rows.csv").write_text("score,rejected,income\n")

    with pytest.raises(wakeful.DataError, match="the data have no rows"):
        monitor.test(tmp_path / "rows.csv")


def test_rows_without_the_score_are_refused_with_what_is_there(monitor: wakeful.Monitor, traffic: Any):
    renamed = {("scores" if name == "score" else name): values for name, values in traffic().items()}

    for data in (renamed, pd.DataFrame(renamed), pd.DataFrame(renamed).to_dict("records")):
        with pytest.raises(wakeful.UnknownName, match=r"unknown score column 'score'\. Did you mean 'scores'\?"):
            monitor.test(data)
