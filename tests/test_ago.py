"""`live.ago("7d")`: this window beside an earlier one of equal length."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.errors import CheckError
from wakeful.replay import Step, replay
from wakeful.views import column_counts

A_DAY = 100


@pytest.fixture(scope="module")
def history(traffic: Any) -> Callable[..., pd.DataFrame]:
    """So many days, a hundred applications each at even times."""

    def make(days: int = 21, start: str = "2024-02-01", zone: str | None = None) -> pd.DataFrame:
        rows = days * A_DAY
        at = pd.date_range(start, periods=rows, freq=pd.Timedelta("1D") / A_DAY, tz="UTC").as_unit("us")
        frame = pd.DataFrame(traffic(rows, 3)).drop(columns="held")
        return frame.assign(at=at.tz_convert(zone) if zone else at.tz_localize(None))

    return make


Checked = Callable[[Any], None]


def watched(reference: wakeful.Reference, check: Checked, **options: Any) -> wakeful.Monitor:
    monitor = wakeful.Monitor(reference)
    monitor.check(**{"window": "24h", "ticket": "ml"} | options)(check)
    return monitor


def days(steps: list[Step], verdict: str = "fail") -> list[str]:
    return [step.window[:10] for step in steps if any(one.verdict == verdict for one in step.verdicts)]


def traffic_keeps_up(live: Any) -> None:
    assert live.traffic() >= 0.5 * live.ago("7d").traffic()


def score_is_as_yesterday(live: Any) -> None:
    assert live.score.mean() <= live.ago("1d").score.mean() + 0.05


# ---------------------------------------------------------------- stories


def test_a_day_of_silence_beside_the_same_day_a_week_ago(reference: wakeful.Reference, history: Any):
    frame = history()
    frame = frame[frame["at"].dt.date.astype(str) != "2024-02-12"]
    monitor = watched(reference, traffic_keeps_up)
    steps = list(replay(monitor, frame, every="1d", time="at"))

    assert days(steps) == ["2024-02-12"]
    by_day = {step.window[:10]: step.verdicts[0].judgement for step in steps}
    assert by_day["2024-02-12"].estimate == 0
    assert by_day["2024-02-12"].limit == 0.5 * A_DAY
    assert by_day["2024-02-13"].limit == 0.5 * A_DAY
    assert by_day["2024-02-19"].limit == 0, "a week later, silence is what this day is compared with"
    assert by_day["2024-02-01"].verdict == "unsure", "nothing is known of what was before the history began"
    assert "7d ago" not in by_day["2024-02-12"].message or "traffic" in by_day["2024-02-12"].message


def test_a_score_that_rises_overnight(reference: wakeful.Reference, history: Any):
    frame = history(6)
    late = frame["at"] >= "2024-02-04"
    frame["score"] = frame["score"].where(~late, np.minimum(1.0, frame["score"] + 0.4))
    frame = pd.concat([frame] * 8, ignore_index=True)  # enough rows to be sure
    steps = list(replay(watched(reference, score_is_as_yesterday), frame, every="1d", time="at"))

    assert days(steps) == ["2024-02-04"], "the day after, yesterday is as high"
    judged = {step.window[:10]: step.verdicts[0] for step in steps}
    assert judged["2024-02-01"].verdict == "unsure", "there is no day before the first"


@pytest.mark.parametrize("every", ["1d", "6h"])
def test_values_and_intervals_are_those_of_windows_made_by_hand(reference: wakeful.Reference, history: Any, every: str):
    frame = history(5)
    monitor = watched(reference, score_is_as_yesterday)
    [check] = monitor.checks
    alpha = monitor.alpha(check, monitor.assertions(check)[0])
    day = pd.Timedelta(days=1)
    compared = 0
    for step in replay(monitor, frame, every=every, time="at"):
        end = pd.Timestamp(step.window).tz_localize(None) + pd.Timedelta(every.upper().replace("H", "h"))
        now = frame[(frame["at"] >= end - day) & (frame["at"] < end)]
        before = frame[(frame["at"] >= end - 2 * day) & (frame["at"] < end - day)]
        one = step.verdicts[0].judgement
        assert one.estimate == pytest.approx(now["score"].mean(), abs=1e-4)
        if not len(before):
            assert np.isnan(one.limit)
            continue
        assert one.limit == pytest.approx(before["score"].mean() + 0.05, abs=1e-4)
        if len(before) < A_DAY:
            continue  # of so few rows, n and n - 1 differ
        compared += 1
        # Both means err by themselves: the gap's interval is the root of the sum of squares.
        reach = [
            wakeful.Average(part["score"].mean(), part["score"].var(), len(part)).estimate(alpha)
            for part in (now, before)
        ]
        below = np.hypot(*(each.value - each.low for each in reach))
        assert one.excess == pytest.approx(one.estimate - one.limit - below, rel=0.01)
    assert compared >= 4


def test_segments_are_compared_with_their_own_past(reference: wakeful.Reference, history: Any):
    frame = history(10)
    gone = (frame["platform"] == "app") & (frame["at"] >= "2024-02-08") & (frame["at"] < "2024-02-09")

    def platforms_keep_up(live: Any) -> None:
        assert live.by("platform").traffic() >= 0.2 * live.by("platform").ago("7d").traffic()

    frame = frame[~gone]
    steps = list(replay(watched(reference, platforms_keep_up), frame, every="1d", time="at"))
    verdicts = [(step.window[:10], one) for step in steps for one in step.verdicts]
    failing = [(day, str(one.judgement.part)) for day, one in verdicts if one.verdict == "fail"]
    assert failing == [("2024-02-08", "platform=app")]
    [judged] = [
        one.judgement
        for step in steps
        for one in step.verdicts
        if step.window[:10] == "2024-02-08" and str(one.judgement.part) == "platform=app"
    ]
    first = frame[(frame["at"] < "2024-02-02") & (frame["platform"] == "app")]
    assert judged.limit == pytest.approx(0.2 * len(first))


def test_min_n_counts_this_window_s_rows(reference: wakeful.Reference, history: Any):
    frame = history(3)
    frame["score"] = frame["score"].where(frame["at"] < "2024-02-02", 0.999)
    loud = list(replay(watched(reference, score_is_as_yesterday), frame, every="1d", time="at"))
    quiet = list(replay(watched(reference, score_is_as_yesterday, min_n=A_DAY + 1), frame, every="1d", time="at"))
    assert days(loud) == ["2024-02-02"]
    assert days(quiet) == []
    assert days(quiet, "unsure") == ["2024-02-01", "2024-02-02"]


@pytest.mark.parametrize(("start", "changed"), [("2024-03-29T00:00", "2024-03-31"), ("2024-10-25T00:00", "2024-10-27")])
def test_a_day_ago_is_24_hours_when_clocks_change(reference: wakeful.Reference, history: Any, start: str, changed: str):
    """Windows slide by the hour across the change; each holds 24 hours, and so does the one before it."""
    first = pd.Timestamp(start, tz="Europe/Berlin").tz_convert("UTC").tz_localize(None)
    frame = history(5, first.isoformat(), "Europe/Berlin")
    monitor = watched(reference, score_is_as_yesterday)
    steps = list(replay(monitor, frame, every="1h", time="at", timezone="Europe/Berlin"))
    times = frame["at"].dt.tz_convert("UTC")
    day, seen = pd.Timedelta(days=1), 0
    for step in steps:
        end = pd.Timestamp(step.window).tz_convert("UTC") + pd.Timedelta(hours=1)
        before = frame[(times >= end - 2 * day) & (times < end - day)]
        if len(before) < A_DAY:
            continue
        one = step.verdicts[0].judgement
        assert one.limit == pytest.approx(before["score"].mean() + 0.05, abs=1e-4), step.window
        seen += step.window.startswith(changed)
    assert seen in (23, 25)


# ---------------------------------------------------------------- where there is no past


def test_rows_of_no_time_have_no_past(
    reference: wakeful.Reference, history: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    reference.save("reference.json")
    Path("monitor.py").write_text(
        "import wakeful\n\nloans = wakeful.Monitor('reference.json')\n\n\n@loans.check(page='ml')\n"
        "def traffic_keeps_up(live):\n    assert live.traffic() >= 0.5 * live.ago('7d').traffic()\n"
        "    assert live.score.mean() <= live.ago('1d').score.mean() + 0.05\n",
        encoding="utf-8",
    )
    history(1).to_parquet("live.parquet")
    done = CliRunner().invoke(app, ["test", "monitor.py", "live.parquet"])
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "nothing is known of 7d ago; wakeful replay looks back" in told
    assert "nothing is known of 1d ago" in told
    options = ["--every", "1d", "--time", "at", "--json", "out"]
    done = CliRunner().invoke(app, ["replay", "monitor.py", "live.parquet", *options])
    assert done.exit_code == 0, done.output
    [line] = Path("out").read_text(encoding="utf-8").splitlines()
    assert "nothing is known" not in line
    assert json.loads(line)["verdicts"][0]["verdict"] == "unsure", "the history has no week before it"


def test_a_release_gate_does_not_pass_what_it_cannot_know(reference: wakeful.Reference, history: Any):
    monitor = watched(reference, traffic_keeps_up)
    for strict in (False, True):
        report = monitor.test(history(1), strict=strict)
        [one] = report.verdicts
        assert one.verdict == "unsure"
        assert report.ok is not strict


@pytest.mark.parametrize("length", ["", "7", "d", "0d", "-1d", "1.5h", "7 days", "soon"])
def test_a_wrong_length_is_told_with_the_line(reference: wakeful.Reference, length: str):
    def wrong(live: Any) -> None:
        assert live.traffic() >= live.ago(length).traffic()

    monitor = watched(reference, wrong)
    with pytest.raises(CheckError, match=r"test_ago\.py:\d+: in wrong: ago: .* is no duration"):
        monitor.assertions(monitor.checks[0])


@pytest.mark.parametrize("length", [7, None, 1.5])
def test_a_length_that_is_no_text_is_told(reference: wakeful.Reference, length: Any):
    def wrong(live: Any) -> None:
        assert live.traffic() >= live.ago(length).traffic()

    monitor = watched(reference, wrong)
    with pytest.raises(CheckError, match="is no duration"):
        monitor.assertions(monitor.checks[0])


def test_the_reference_has_no_past(reference: wakeful.Reference):
    def wrong(live: Any) -> None:
        assert live.score.mean() <= live.reference.ago("7d").score.mean()

    monitor = watched(reference, wrong)
    with pytest.raises(CheckError, match=r"test_ago\.py:\d+: in wrong: the reference has no past"):
        monitor.assertions(monitor.checks[0])


def test_what_is_asked_shows(reference: wakeful.Reference):
    live = wakeful.Monitor(reference).live
    assert repr(live.ago("7d").score) == "<live 7d ago score>"
    assert repr(live.ago("7d").reference) == "<live reference>"


def test_a_past_within_the_same_step_is_refused(reference: wakeful.Reference, history: Any):
    """With steps of a day, the window an hour ago would be the same one."""
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", ticket="ml")
    def as_an_hour_ago(live):
        assert live.traffic() >= 0.5 * live.ago("1h").traffic()

    with pytest.raises(wakeful.DataError, match=r'live\.ago\("1h"\) is shorter than a step of 1d'):
        replay(monitor, history(3), every="1d", time="at")
    assert list(replay(monitor, history(3), every="1h", time="at"))


def test_the_distance_between_two_windows(reference: wakeful.Reference, history: Any):
    """Traffic that is far from training, but steady: only the day on which it changes is far from the day before."""
    frame = pd.concat([history(6)] * 8, ignore_index=True).sort_values("at", kind="stable")
    frame["income"] = frame["income"].where(frame["at"] >= "2024-02-04", frame["income"].median())
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", ticket="ml")
    def incomes_are_as_yesterday(live):
        assert live.against("1d")["income"].d1() <= 0.3

    @monitor.check(window="24h")
    def incomes_are_as_in_training(live):
        assert live["income"].d1() <= 0.3

    steps = list(replay(monitor, frame, every="1d", time="at"))
    failed = {one.check: [] for one in steps[0].verdicts}
    for step in steps:
        for one in step.verdicts:
            failed[one.check] += [step.window[:10]] if one.verdict == "fail" else []
    assert failed["incomes_are_as_yesterday"] == ["2024-02-04"]
    assert failed["incomes_are_as_in_training"] == ["2024-02-01", "2024-02-02", "2024-02-03"]
    first = steps[0].verdicts[0].judgement
    assert first.verdict == "unsure"
    assert "nothing is known of 1d ago" in first.message
    assert "d1 against 1d ago" in steps[3].verdicts[0].judgement.message


def test_equal_windows_have_no_distance_and_healthy_ones_pass(reference: wakeful.Reference, history: Any):
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="24h", ticket="ml")
    def steady(live):
        assert live.against("1d").features.d1() <= 0.05

    day = history(1)
    twice = pd.concat([day, day.assign(at=day["at"] + pd.Timedelta(days=1))], ignore_index=True)
    _, second = replay(monitor, twice, every="1d", time="at")
    assert [one.judgement.estimate for one in second.verdicts] == [0.0] * len(second.verdicts)
    assert not any(step.alarm for step in replay(monitor, history(10), every="1d", time="at"))


def test_earlier_windows_do_not_say_how_bins_are_grouped_nor_what_is_new():
    rng = np.random.default_rng(1)

    def some(kinds: Any, middle: float, width: float) -> dict[str, Any]:
        rows = len(kinds)
        return {"kind": kinds, "size": rng.normal(middle, width, rows), "score": rng.random(rows)}

    trained = wakeful.learn(some(rng.choice([1.0, 2.0, 5.0, 9.0], 3_000), 0, 1), score="score", name="kinds")
    monitor = wakeful.Monitor(trained)

    @monitor.check(window="24h")
    def as_yesterday(live):
        assert live.against("1d")["size"].d1() <= 0.1
        assert live.against("1d")["kind"].unseen() <= 0.1

    past = monitor.count(some(np.repeat(2.0, 200), 2, 0.2))
    now = monitor.count(some(np.repeat([5.0, 7.0], 100), 0, 1))
    [check] = monitor.checks
    sizes, kinds = (one.judgement for one in monitor.judge(check, now, past={"1d": past}))
    assert kinds.estimate == 0.5, "5 is new since yesterday, 7 since training"
    groups = column_counts(trained.counts, "size").groups(5)
    assert groups.tolist() != column_counts(past, "size").groups(5).tolist()
    q, p = (np.bincount(groups, column_counts(one, "size").share) for one in (now, past))
    assert sizes.estimate == pytest.approx(np.abs(q - p).sum())


def test_values_of_a_segment_that_training_did_not_show_are_grouped_as_all_traffic():
    rng = np.random.default_rng(2)

    def some(platforms: list[str], rows: int, middle: float) -> dict[str, Any]:
        return {
            "x": rng.normal(middle, 1, rows),
            "platform": rng.choice(platforms, rows),
            "score": rng.random(rows),
        }

    trained = wakeful.learn(some(["web", "app"], 2_000, 0), score="score", segments=["platform"], name="new")
    monitor = wakeful.Monitor(trained)

    @monitor.check(window="24h")
    def as_yesterday(live):
        assert live.by("platform").against("1d")["x"].d1() <= 0.1

    past, now = monitor.count(some(["tv"], 200, 0)), monitor.count(some(["tv"], 300, 2))
    [check] = monitor.checks
    [of_tv] = (one.judgement for one in monitor.judge(check, now, past={"1d": past}) if one.judgement.n)
    assert of_tv.part == ("platform", "(unseen)")
    groups = column_counts(trained.counts, "x").groups(5)
    q, p = (np.bincount(groups, column_counts(one, "x").share) for one in (now, past))
    assert of_tv.estimate == pytest.approx(np.abs(q - p).sum())
    assert of_tv.verdict == "fail"


def test_what_compares_with_nothing_is_not_asked_against(reference: wakeful.Reference):
    live = wakeful.Monitor(reference).live
    with pytest.raises(wakeful.SignalError, match="mean compares with nothing"):
        live.against("7d").score.mean()
    with pytest.raises(wakeful.SignalError, match="only live traffic is compared"):
        live.reference.against("7d")
    with pytest.raises(wakeful.SignalError, match="against: 'soon' is no duration"):
        live.against("soon")
