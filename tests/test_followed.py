"""`wakeful replay … --outcomes`: predictions and outcomes in two tables, and a monitor file that does not change."""

from __future__ import annotations

import datetime as dt
import gc
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.errors import DataError, UnknownName, WakefulError
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Outcome, Row
from wakeful.replay import Step, replay

START = pd.Timestamp("2024-02-01")
DAYS, A_DAY = 60, 200
MATURE = {"horizon": "20d", "every": "1d"}
PREDICTION_CHECKS = ("share_is_usual", "incomes_are_real")


def history(traffic: Any, days: int = DAYS, seed: int = 7) -> pd.DataFrame:
    rows = days * A_DAY
    seconds = np.sort(np.random.default_rng(seed).integers(0, days * 86_400, rows))
    frame = pd.DataFrame(traffic(rows, seed)).drop(columns="held")
    return frame.assign(at=START + pd.to_timedelta(seconds, unit="s"), id=[f"a{one}" for one in range(rows)])


@pytest.fixture(scope="module")
def asked(traffic: Any) -> pd.DataFrame:
    """Two months of predictions."""
    return history(traffic).drop(columns="rejected")


@pytest.fixture(scope="module")
def told(traffic: Any) -> pd.DataFrame:
    """What became of them: rejections are known within days, the others within two weeks."""
    frame, rng = history(traffic), np.random.default_rng(1)
    days = np.where(frame["rejected"] == 1, rng.uniform(0, 4, len(frame)), rng.uniform(2, 14, len(frame)))
    return frame[["id", "rejected"]].assign(at=frame["at"] + pd.to_timedelta(days, unit="D"))


@pytest.fixture(scope="module")
def monitor(traffic: Any) -> wakeful.Monitor:
    made = wakeful.Monitor(
        wakeful.learn(history(traffic, 30, seed=0), score="score", label="rejected", threshold=0.5, time="at", id="id")
    )

    @made.check(window="7d", page="credit")
    def flagged_are_right(live):
        assert live.precision() >= 0.6

    @made.check(window="7d", page="credit")
    def share_is_usual(live):
        assert 0.3 <= live.flagged_share() <= 0.7

    @made.check(window="24h", ticket="ml")
    def incomes_are_real(live):
        assert live["income"].out_of_range() <= 0.01

    @made.check(window="7d", ticket="ml")
    def outcomes_arrive(live):
        assert live.outcomes_arrived() >= 0.9
        assert live.outcomes_late() <= 0.05
        assert live.outcomes_contradicted() <= 0.01

    return made


def of(step: Step, check: str) -> Any:
    return next(one for one in step.verdicts if one.check == check)


def states(steps: list[Step], check: str) -> list[str]:
    """The worst verdict of a check in every window, runs of the same told once."""
    marks = [max(one.verdict for one in step.verdicts if one.check == check) for step in steps]
    return [one for at, one in enumerate(marks) if at == 0 or marks[at - 1] != one]


def failing(steps: list[Step]) -> set[str]:
    return {one.check for step in steps for one in step.verdicts if one.verdict == "fail"}


# The story.


def test_young_windows_wait_and_what_is_known_stands_for_the_rest(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    final = list(replay(monitor, asked, outcomes=told, as_of="2024-05-01", **MATURE))
    young = list(replay(monitor, asked, outcomes=told, as_of="2024-04-01", **MATURE))

    assert states(final, "flagged_are_right") == ["pass"]
    assert states(young, "flagged_are_right") == ["pass"], "a week is never too young to be reweighted here"
    days = list(replay(monitor, asked, outcomes=told, as_of="2024-04-01", **MATURE | {"every": "1d"}))
    shares = [step.maturity for step in days]
    assert shares[0] == 1.0 and shares[-1] < 0.1
    truth = [of(step, "flagged_are_right").judgement for step in final]
    for step, all_known in zip(young, truth, strict=True):
        one = of(step, "flagged_are_right").judgement
        assert one.low <= all_known.estimate <= one.high, step.window
        assert one.n <= all_known.n
    known = told[told["at"] <= "2024-04-01"].merge(asked[["id", "score", "at"]], on="id", suffixes=("_told", ""))
    last = known[(known["at"] >= "2024-03-25") & (known["score"] >= 0.5)]
    assert last["rejected"].mean() > truth[-1].estimate + 0.1, "known outcomes alone promise too much"
    assert abs(of(young[-1], "flagged_are_right").judgement.estimate - truth[-1].estimate) < 0.06


def test_a_window_that_is_too_young_is_shown_as_maturing_with_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    monkeypatch.chdir(tmp_path)
    monitor.reference.save("reference.json")
    Path("monitor_loans.py").write_text(
        'import wakeful\n\nloans = wakeful.Monitor("reference.json")\n\n\n@loans.check(window="24h", page="credit")\n'
        "def flagged_are_right(live):\n    assert live.precision() >= 0.5\n\n\n"
        '@loans.check(window="24h", page="credit")\ndef share_is_usual(live):\n'
        "    assert 0.2 <= live.flagged_share() <= 0.8\n",
        encoding="utf-8",
    )
    asked.to_parquet("asked.parquet")
    told.to_csv("told.csv", index=False)

    done = CliRunner().invoke(
        app,
        ["replay", "monitor_loans.py", "asked.parquet", "--outcomes", "told.csv", "--horizon", "20d", "--every", "1d",
         "--as-of", "2024-04-01", "--json", "days.jsonl"],
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    [marks] = [line for line in done.stdout.splitlines() if line.startswith("flagged_are_right")]
    assert marks.endswith("·………")
    assert "· passes  … maturing  ? unsure  ✗ fails" in done.stdout
    [waits] = [line for line in done.stdout.splitlines() if "windows," in line and "known" in line]
    assert waits.split()[:4] == ["flagged_are_right", "2024-03-29", "–", "2024-03-31"]
    assert waits.endswith("3 windows, 0% to 5% known")
    steps = [json.loads(line) for line in Path("days.jsonl").read_text(encoding="utf-8").splitlines()]
    [precision, *shares] = steps[-1]["verdicts"]
    assert (precision["verdict"], precision["estimate"], precision["low"]) == ("maturing", None, None)
    assert precision["maturity"] == steps[-1]["maturity"] < 0.02
    assert {one["verdict"] for one in shares} == {"pass"} and "maturity" not in shares[0]
    assert not steps[-1]["alarm"]
    assert steps[0]["verdicts"][0]["verdict"] == "pass" and steps[0]["maturity"] == 1


def test_checks_on_predictions_do_not_change(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame):
    with_outcomes = replay(monitor, asked, outcomes=told, **MATURE)
    without = replay(monitor, asked, every="1d")

    for one, other in zip(with_outcomes, without, strict=True):
        assert (one.window, one.n) == (other.window, other.n)
        for check in PREDICTION_CHECKS:
            assert [v for v in one.verdicts if v.check == check] == [v for v in other.verdicts if v.check == check]
    assert states(list(without), "outcomes_arrive") == ["maturing"], "nothing is known of a join that there is not"


def test_outcomes_that_are_all_there_give_what_one_table_gives(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    whole = asked.merge(told[["id", "rejected"]], on="id")
    joined = replay(monitor, asked, outcomes=told, as_of="2024-06-01", **MATURE)

    for one, other in zip(joined, replay(monitor, whole, every="1d"), strict=True):
        assert (
            of(one, "flagged_are_right").judgement._replace(maturity=None) == of(other, "flagged_are_right").judgement
        )


def test_the_holdout_tells_precision_where_the_decision_hides_outcomes(
    traffic: Any, asked: pd.DataFrame, told: pd.DataFrame
):
    train = history(traffic, 30, seed=0).assign(held=False)
    learnt = wakeful.learn(train, score="score", label="rejected", threshold=0.5, holdout="held", time="at", id="id")
    made = wakeful.Monitor(learnt)

    @made.check(window="28d", page="credit")
    def flagged_are_right(live):
        assert live.holdout.precision() >= 0.6

    @made.check(window="7d", ticket="ml")
    def outcomes_arrive(live):
        assert live.outcomes_arrived() >= 0.9

    held = np.random.default_rng(2).random(len(asked)) < 0.1
    hidden = (asked["score"] >= 0.5) & ~held
    flags_more = asked.assign(score=asked["score"].where(asked["at"] < "2024-03-10", asked["score"] ** 0.7))

    steps = list(replay(made, asked.assign(held=held), outcomes=told[~hidden], as_of="2024-04-01", **MATURE))
    hidden = (flags_more["score"] >= 0.5) & ~held
    more = list(replay(made, flags_more.assign(held=held), outcomes=told[~hidden], as_of="2024-04-01", **MATURE))

    last = of(steps[-1], "flagged_are_right").judgement
    flagged = asked.merge(told[["id", "rejected"]], on="id").query("score >= 0.5 and at >= '2024-03-04'")
    assert last.low <= flagged["rejected"].mean() <= last.high and last.n < 0.15 * len(flagged)
    assert 0.1 < last.maturity < 0.9
    assert failing(steps) == failing(more) == set(), "more flagged cases mean fewer outcomes, and no broken join"


def test_the_past_has_a_maturity_of_its_own(traffic: Any, asked: pd.DataFrame, told: pd.DataFrame):
    made = wakeful.Monitor(
        wakeful.learn(history(traffic, 20, seed=0), score="score", label="rejected", threshold=0.5, time="at", id="id")
    )

    @made.check(window="7d", page="credit")
    def as_right_as_before(live):
        assert live.precision() >= live.ago("14d").precision() - 0.2

    steps = list(replay(made, asked, outcomes=told, as_of="2024-04-01", **MATURE))

    assert {of(step, "as_right_as_before").verdict for step in steps[21:]} == {"pass"}
    assert of(steps[-1], "as_right_as_before").judgement.maturity < 0.9


def test_a_log_brings_its_outcomes(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame, tmp_path: Path):
    writer = LogWriter(Log(tmp_path / "log"), monitor.reference.layout, "v1")
    some = asked.head(20 * A_DAY)
    features = some[["income", "rent", "debt", "city", "owner", "platform"]].to_dict("records")
    times = (some["at"] - pd.Timestamp(0)).dt.total_seconds()
    rows = zip(features, some["score"], times, some["id"], strict=True)
    writer.write([Row(row, score, time, id=id) for row, score, time, id in rows])
    known = told[told["id"].isin(some["id"])]
    moments = (known["at"] - pd.Timestamp(0)).dt.total_seconds()
    writer.write_outcomes([Outcome(*one) for one in zip(known["id"], known["rejected"], moments, strict=True)])
    writer.close(30)

    by_itself = replay(monitor, tmp_path / "log", every="1d")
    named = replay(monitor, tmp_path / "log", every="1d", outcomes=tmp_path / "log" / "_outcomes", horizon="14d")

    assert by_itself.notes[0] == "outcomes count up to 14d after their prediction, as the longest took (--horizon)"
    assert [step.as_dict() for step in by_itself] == [step.as_dict() for step in named]
    assert states(list(by_itself), "flagged_are_right") == ["pass"]


def test_a_file_that_is_broken_is_named_and_the_others_are_read(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame, tmp_path: Path
):
    (tmp_path / "told").mkdir()
    for part in range(3):
        told.iloc[part::3].to_parquet(tmp_path / "told" / f"{part}.parquet")
    (tmp_path / "told" / "1.parquet").write_bytes(b"PAR1 no more")

    steps = replay(monitor, asked, outcomes=tmp_path / "told", **MATURE)

    assert steps.notes[0].startswith("outcomes that are left out: ") and "1.parquet" in steps.notes[0]
    assert steps.followed is not None
    assert steps.followed.joined.total().joined == len(told) * 2 / 3


def test_numbers_and_classes_wait_too(asked: pd.DataFrame, told: pd.DataFrame, traffic: Any):
    frame = history(traffic, 20, seed=0)
    made = wakeful.Monitor(wakeful.learn(frame, score="score", label="rejected", time="at", id="id", task="regression"))

    @made.check(window="24h", page="credit")
    def close(live):
        assert live.mean_absolute_error() <= 0.9

    steps = list(replay(made, asked, outcomes=told, as_of="2024-04-01", **MATURE))

    assert states(steps, "close") == ["pass", "maturing"]
    assert all(of(step, "close").verdict == "maturing" for step in steps if step.maturity < 0.9), "no reweighting"


# What goes wrong.


def test_outcomes_twice_change_nothing_and_contradicting_ones_are_told(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    once = list(replay(monitor, asked, outcomes=told, as_of="2024-06-01", **MATURE))
    twice = pd.concat([told, told.sample(frac=0.3, random_state=0)])
    clashes = pd.concat([told, told.iloc[6_000:].sample(frac=0.2, random_state=0).assign(rejected=1)])

    again = list(replay(monitor, asked, outcomes=twice, as_of="2024-06-01", **MATURE))
    contradicted = list(replay(monitor, asked, outcomes=clashes, as_of="2024-06-01", **MATURE))

    assert [step.as_dict() for step in again] == [step.as_dict() for step in once]
    assert failing(once) == set()
    assert "outcomes_arrive" in failing(contradicted)
    first = next(step for step in contradicted if failing([step]))
    assert "of the outcomes were told with two values at the same time" in first.explanation[0].text


def test_a_horizon_shorter_than_the_delay_is_told(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame):
    steps = replay(monitor, asked, outcomes=told, horizon="3d", every="1d", as_of="2024-06-01")

    assert any("were told after the horizon, and do not count" in note for note in steps.notes)
    found = list(steps)
    assert "outcomes_arrive" in failing(found)
    causes = [one.text for step in found for one in step.explanation]
    assert any("came after the horizon, and do not count: is it long enough?" in one for one in causes)


def test_without_a_horizon_the_longest_delay_counts_if_later_ones_would_be_known(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    assert replay(monitor, asked, outcomes=told, every="1d").notes[0].startswith("outcomes count up to 14d after")
    early = replay(monitor, asked, outcomes=told, every="1d", as_of="2024-02-15")
    assert early.notes[2] == (
        "outcomes took up to 14d so far, and predictions are 14d old at most, so later ones may be to come: they count "
        "up to 28d after their prediction. Say how long with --horizon"
    )
    sure = replay(monitor, asked, outcomes=told, as_of="2024-02-15", **MATURE)
    for step, one in zip(early, sure, strict=True):
        assert step.maturity <= one.maturity, "what may still come counts as missing"


def test_what_lies_in_the_future_is_not_known_yet(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame):
    year = dt.datetime.now(dt.UTC).year + 3
    wrong = told.assign(at=told["at"].where(told.index % 10 > 0, pd.Timestamp(year, 1, 1)))

    steps = replay(monitor, asked, outcomes=wrong, **MATURE)

    assert f"{len(told) // 10:,} outcomes are of a time later than" in steps.notes[0]
    assert "flagged_are_right" not in failing(list(steps))


def test_outcomes_told_before_their_prediction_are_told(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    berlin = told.assign(at=asked["at"].dt.tz_localize("UTC") + pd.Timedelta(minutes=5))
    naive = berlin.assign(at=berlin["at"].dt.tz_localize(None) - pd.Timedelta(hours=1))

    right = replay(monitor, asked, outcomes=berlin, **MATURE)
    mixed = replay(monitor, asked, outcomes=naive, **MATURE)

    assert right.notes == []
    assert mixed.notes[0].startswith("12,000 of 12,000 outcomes were told before their prediction: do clocks and time")
    assert failing(list(mixed)) == set()


def test_days_begin_on_the_clock_that_is_asked_for(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame):
    aware = asked.assign(at=asked["at"].dt.tz_localize("UTC").dt.tz_convert("America/New_York"))
    steps = list(replay(monitor, aware, outcomes=told, timezone="Europe/Berlin", as_of="2024-04-02", **MATURE))

    assert steps[0].window == "2024-02-01T00:00:00+01:00" and steps[-1].window == "2024-04-01T00:00:00+02:00"
    assert sum(step.n for step in steps) == len(asked)
    assert steps[0].maturity == 1 and steps[-1].maturity < 0.1


@pytest.mark.parametrize(
    ("change", "told_as"),
    [
        (lambda frame: frame.assign(rejected=frame["rejected"].astype(str)), "holds text. Make it numbers"),
        (lambda frame: frame.drop(columns="rejected"), "rejected"),
        (lambda frame: frame.drop(columns="at"), "'at'"),
        (lambda frame: frame.assign(at=frame["at"].astype(str)), "not timestamps"),
        (lambda frame: frame.rename(columns={"id": "case"}), "'id'"),
    ],
)
def test_a_table_that_is_none_is_refused(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame, change: Any, told_as: str
):
    with pytest.raises((DataError, UnknownName), match=told_as):
        replay(monitor, asked, outcomes=change(told), **MATURE)


def test_labels_that_are_none_count_as_unknown_and_are_named(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame
):
    wrong = told.assign(rejected=told["rejected"].where(told.index < 6_000, 7))

    steps = list(replay(monitor, asked, outcomes=wrong, as_of="2024-06-01", **MATURE))

    assert "outcomes_arrive" in failing(steps)
    first = next(step for step in steps if failing([step]))
    assert first.explanation[0].text.endswith("of the outcomes are neither 0 nor 1, and count as unknown")


def test_ids_that_never_meet_are_shown(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame):
    strangers = told.assign(id="LC-" + told["id"])

    steps = replay(monitor, asked, outcomes=strangers, **MATURE)

    assert steps.notes[0] == (
        "no outcome belongs to a prediction by then: are the ids alike? The first in order is 'a0' of the "
        "predictions, and 'LC-a0' of the outcomes."
    )
    assert "fail" not in states(list(steps), "flagged_are_right")
    assert "are the ids alike" in replay(monitor, asked, outcomes=strangers, every="1d").notes[1]


def test_what_cannot_be_joined_is_said(monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame, traffic: Any):
    with pytest.raises(DataError, match="outcomes are joined by time"):
        replay(monitor, asked, window_column="city", outcomes=told)
    with pytest.raises(DataError, match="none are given"):
        replay(monitor, asked, every="1d", horizon="3d")
    blind = wakeful.Monitor(wakeful.learn(history(traffic, 5).drop(columns="rejected"), score="score", time="at"))
    blind.check(window="24h")(_counts)
    with pytest.raises(DataError, match="without a label"):
        replay(blind, asked, outcomes=told, **MATURE)
    assert issubclass(DataError, WakefulError)


def _counts(live):
    assert live.traffic() >= 1


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path


def test_the_join_leaves_nothing_behind(
    monitor: wakeful.Monitor, asked: pd.DataFrame, told: pd.DataFrame, temporary: Path
):
    steps = replay(monitor, asked, outcomes=told, **MATURE)
    assert len(list(steps)) == len(list(steps)) == DAYS, "it can be iterated again"
    assert list(temporary.iterdir())
    del steps
    gc.collect()
    assert not list(temporary.iterdir())

    with pytest.raises(UnknownName):
        replay(monitor, asked, outcomes=told.drop(columns="at"), **MATURE)
    assert not list(temporary.iterdir())


MANY = """
    import re, sys
    import wakeful
    from wakeful.replay import replay
    monitor = wakeful.Monitor(sys.argv[1])
    @monitor.check(window="24h", page="credit")
    def flagged_are_right(live):
        assert live.precision() >= 0.5
    steps = list(replay(monitor, "asked.parquet", every="1h", outcomes="told.parquet", horizon="90d"))
    print(sum(one.n for one in steps), len(steps))
    status = open("/proc/self/status").read()  # ru_maxrss would begin with that of the parent process
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


def test_a_million_pending_ids_fit_into_bounded_memory(monitor: wakeful.Monitor, tmp_path: Path):
    monitor.reference.save(tmp_path / "reference.json")
    rng, rows = np.random.default_rng(1), 1_000_000
    ids = pa.array([f"application-{at:012}" for at in rng.permutation(rows).tolist()])
    at = int(START.timestamp()) * 1_000_000 + rng.integers(0, 20 * 86_400_000_000, rows)
    moments = pa.timestamp("us", "UTC")
    asked = pa.table({"id": ids, "at": pa.array(at, moments), "score": rng.random(rows)})
    pq.write_table(asked, tmp_path / "asked.parquet", row_group_size=65_536)
    told = pa.table({"id": ids, "at": pa.array(at + 3_600_000_000, moments), "rejected": np.ones(rows)})
    pq.write_table(told.slice(0, 100_000), tmp_path / "told.parquet")

    (tmp_path / "many.py").write_text(textwrap.dedent(MANY), encoding="utf-8")
    script = [sys.executable, "many.py", "reference.json"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert done.returncode == 0, done.stderr
    counted, megabytes = done.stdout.splitlines()
    assert counted == f"1000000 {20 * 24}"
    assert int(megabytes) < 1_200
