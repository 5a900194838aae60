"""`wakeful replay`: what the checks would have told a team, and when; and what it says when it cannot."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

import wakeful
from wakeful import timeline
from wakeful.alarms import Tally
from wakeful.cli import app
from wakeful.errors import DataError, WakefulError
from wakeful.replay import Replay, Step, replay

History = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def history(traffic: Any) -> History:
    """Applications with the time at which they came: so many days, so many a day, in order."""

    def make(days: int = 30, a_day: int = 200, seed: int = 7, start: str = "2024-02-01") -> pd.DataFrame:
        rows = days * a_day
        frame = pd.DataFrame(traffic(rows, seed)).drop(columns="held")
        seconds = np.sort(np.random.default_rng(seed).integers(0, days * 86_400, rows))
        return frame.assign(at=pd.Timestamp(start) + pd.to_timedelta(seconds, unit="s"))

    return make


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, history: History) -> Path:
    """A folder with what `wakeful init` writes."""
    folder = tmp_path_factory.mktemp("learnt")
    history(40, 200, seed=0, start="2023-11-01").to_parquet(folder / "train.parquet", index=False)
    options = ["--score", "score", "--label", "rejected", "--threshold", "0.5", "--time", "at", "--name", "loans"]
    done = CliRunner().invoke(app, ["init", str(folder / "train.parquet"), *options, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def reference(history: History) -> wakeful.Reference:
    return wakeful.learn(
        history(20, 200, seed=0), score="score", label="rejected", threshold=0.5, segments=["platform"], time="at"
    )


@pytest.fixture
def monitor(reference: wakeful.Reference) -> wakeful.Monitor:
    """Checks over 6 hours (two of them), a day and a week."""
    made = wakeful.Monitor(reference)

    @made.check(window="6h", ticket="ml", fear="Broken data")
    def incomes_are_real(live):
        assert live["income"].out_of_range() <= 0.01

    @made.check(window="6h", page="credit")
    def answers_come(live):
        assert live.score.missing() <= 0.01

    @made.check(window="24h", page="credit")
    def share_is_usual(live):
        assert 0.3 <= live.flagged_share() <= 0.7

    @made.check(window="7d")
    def shapes_stay(live):
        assert live.features.d1() <= 0.2

    return made


def cents(frame: pd.DataFrame, since: str, until: str) -> pd.DataFrame:
    """Incomes a hundred times as large for a while."""
    wrong = (frame["at"] >= since) & (frame["at"] < until)
    return frame.assign(income=frame["income"].where(~wrong, 100 * frame["income"]))


class Told:
    """What a command printed."""

    def __init__(self, result: Any) -> None:
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        self.out, self.err, self.code = result.stdout, result.stderr, result.exit_code


def command(learnt: Path, data: Any, *options: str) -> Told:
    arguments = ["replay", str(learnt / "monitor_loans.py"), str(data), *options]
    return Told(CliRunner().invoke(app, arguments))


def refused(learnt: Path, data: Any, *options: str) -> str:
    """The error of a replay that ends with exit code 2."""
    told = command(learnt, data, *options)
    assert told.code == 2, told.out
    line = told.err[told.err.index("error ") :].strip()
    assert "Traceback" not in line
    return line.removeprefix("error ")


# ---------------------------------------------------------------- the story


@pytest.mark.usefixtures("folder")
def test_a_month_with_an_incident_of_two_days(learnt: Path, history: History):
    cents(history(), "2024-02-13", "2024-02-15").to_parquet("month.parquet", index=False)

    told = command(learnt, "month.parquet", "--every", "6h", "--json", "month.jsonl")

    assert (told.code, told.err) == (1, "")
    assert "1 alarm in 120 windows, 6,000 rows, 4.29 weeks" in told.out
    alarms = told.out.split("Alarms:\n")[1].splitlines()
    assert alarms[0].strip() == (
        "2024-02-13 – 2024-02-14 18:00  8 windows  inputs_are_whole  ticket ml-team  The model decides on broken data"
    )
    assert alarms[1].strip().startswith("income: out_of_range 1 (")
    [first] = [line for line in alarms if line.strip().startswith("1 fault ")]
    assert "income: 100% above the range seen in training" in first
    rates = {line.split()[0]: line.split()[1:] for line in alarms if line.startswith("  ") and len(line.split()) == 4}
    assert rates["inputs_are_whole"] == ["1", "8", "0.23"]
    assert rates["flagged_are_right"] == ["0", "0", "0"]
    [marks] = [line for line in told.out.splitlines() if line.startswith("inputs_are_whole")]
    assert marks.split()[2].replace("?", "·").count("✗") == 4  # two windows a mark
    assert "a mark is the worst of 2 windows" in told.out

    lines = [json.loads(line) for line in Path("month.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [set(one) for one in lines] == 120 * [{"window", "n", "alarm", "verdicts", "explanation"}]
    windows = [one["window"] for one in lines]
    assert windows[:5] == [f"2024-02-0{1 + at // 4}T{at % 4 * 6:02}:00:00+00:00" for at in range(5)]
    assert sum(one["n"] for one in lines) == 6_000
    assert [one["window"][:13] for one in lines if one["alarm"]] == [
        f"2024-02-{13 + at // 4}T{at % 4 * 6:02}" for at in range(8)
    ]
    for one in lines:
        loud = [each for each in one["verdicts"] if each["verdict"] == "fail" and each["severity"] != "explain"]
        assert one["alarm"] == bool(loud)
        assert bool(one["explanation"]) == any(each["verdict"] == "fail" for each in one["verdicts"])
        if one["alarm"]:
            assert one["explanation"][0]["column"] == "income"
    quiet = [one for one in lines if not one["alarm"] and one["explanation"]]
    assert quiet, "shifts explain after the incident, and raise no alarm"


@pytest.mark.usefixtures("folder")
def test_a_healthy_history_is_silent(learnt: Path, history: History):
    history().to_parquet("month.parquet", index=False)

    told = command(learnt, "month.parquet", "--every", "6h")

    assert (told.code, told.err) == (0, "")
    assert "no alarm in 120 windows, 6,000 rows, 4.29 weeks" in told.out
    assert "✗" not in told.out.replace("✗ fails", "")
    assert "Alarms:" not in told.out


# ---------------------------------------------------------------- windows


def judged(
    monitor: wakeful.Monitor, frame: pd.DataFrame, end: pd.Timestamp, hours: dict[str, pd.Timedelta]
) -> list[Any]:
    """The verdicts of every check on the rows of its own window, counted by themselves."""
    found = []
    for check in monitor.checks:
        rows = frame[(frame["at"] >= end - hours[check.window]) & (frame["at"] < end)]
        found += [one.as_dict() for one in monitor.judge(check, monitor.count(rows))]
    return found


LENGTHS = {"6h": pd.Timedelta(hours=6), "24h": pd.Timedelta(days=1), "7d": pd.Timedelta(days=7)}


@pytest.mark.parametrize("every", ["2h", "6h"])
def test_each_check_is_judged_on_its_own_trailing_window(every: str, monitor: wakeful.Monitor, history: History):
    frame = cents(history(10, 150), "2024-02-04", "2024-02-05")

    steps = list(replay(monitor, frame, every=every, time="at"))

    assert len(steps) == 10 * pd.Timedelta(days=1) // pd.Timedelta(every)
    for step in steps:
        end = pd.Timestamp(step.window).tz_localize(None) + pd.Timedelta(every)
        verdicts = [one.as_dict() for one in step.verdicts]
        assert json.dumps(verdicts) == json.dumps(judged(monitor, frame, end, LENGTHS)), step.window
        inside = (frame["at"] >= end - pd.Timedelta(every)) & (frame["at"] < end)
        assert step.n == inside.sum()
    assert {one.verdict for step in steps for one in step.verdicts} == {"pass", "unsure", "fail"}


def test_a_tile_longer_than_a_checks_window_is_judged_whole_and_told(monitor: wakeful.Monitor, history: History):
    frame = history(5, 150)

    found = replay(monitor, frame, every="1d", time="at")

    assert found.notes == [
        "judged over a whole tile, which is longer than their window: incomes_are_real, answers_come"
    ]
    lengths = LENGTHS | {"6h": pd.Timedelta(days=1)}
    for step in found:
        end = pd.Timestamp(step.window).tz_localize(None) + pd.Timedelta(days=1)
        assert json.dumps([one.as_dict() for one in step.verdicts]) == json.dumps(judged(monitor, frame, end, lengths))


def test_days_and_weeks_are_those_of_the_zone_also_when_clocks_change(monitor: wakeful.Monitor, history: History):
    frame = history(14, 150, start="2024-03-24").assign(
        at=lambda rows: rows["at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    )

    steps = list(replay(monitor, frame, every="1d", time="at", timezone="Europe/Berlin"))

    assert [step.window for step in steps][6:9] == [
        "2024-03-30T00:00:00+01:00", "2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00",
    ]  # fmt: skip
    days = frame["at"].dt.date
    for at, step in enumerate(steps):
        assert step.n == (days == pd.Timestamp(step.window).date()).sum()
        week = frame[days.isin([pd.Timestamp(one.window).date() for one in steps[max(0, at - 6) : at + 1]])]
        [check] = [one for one in monitor.checks if one.window == "7d"]
        wanted = [one.as_dict() for one in monitor.judge(check, monitor.count(week))]
        assert json.dumps([one.as_dict() for one in step.verdicts if one.check == check.name]) == json.dumps(wanted)


def test_windows_without_rows_are_judged_too(monitor: wakeful.Monitor, history: History):
    frame = history(6, 150)
    frame = frame[(frame["at"] < "2024-02-03") | (frame["at"] >= "2024-02-04T12:00")]

    steps = list(replay(monitor, frame, every="6h", time="at"))

    assert len(steps) == 24
    silent = steps[8:14]
    assert [step.n for step in silent] == 6 * [0]
    assert not any(step.alarm for step in silent)
    assert {one.verdict for step in silent for one in step.verdicts if one.check == "answers_come"} == {"unsure"}
    assert json.loads(json.dumps(silent[0].as_dict(), allow_nan=False))["n"] == 0


@pytest.mark.parametrize("since", ["2024-02-05", "2024-02-05T03:00", "2024-02-05T00:00+02:00"])
def test_since_and_until_choose_windows_that_know_what_was_before(
    since: str, monitor: wakeful.Monitor, history: History
):
    frame = cents(history(12, 150), "2024-02-04", "2024-02-05")
    every = list(replay(monitor, frame, every="6h", time="at"))

    chosen = list(replay(monitor, frame, every="6h", time="at", since=since, until="2024-02-08T09:00"))

    first, last = pd.Timestamp(since), pd.Timestamp("2024-02-08T09:00Z")
    first = first.tz_localize("UTC") if first.tzinfo is None else first
    wanted = [step for step in every if first <= pd.Timestamp(step.window) < last]
    assert len(chosen) == len(wanted) > 10
    assert [json.dumps(step.as_dict()) for step in chosen] == [json.dumps(step.as_dict()) for step in wanted]
    assert chosen[-1].window.startswith("2024-02-08T06:00")  # whole, although it ends after --until


def test_a_column_may_name_the_windows(monitor: wakeful.Monitor, history: History):
    frame = cents(history(6, 400), "2024-02-03", "2024-02-04").assign(batch=lambda rows: rows["at"].dt.strftime("b%d"))

    steps = list(replay(monitor, frame.sample(frac=1, random_state=1), window_column="batch"))

    assert [(step.window, step.n) for step in steps] == [*frame["batch"].value_counts().sort_index().items()]
    assert [step.window for step in steps if step.alarm] == ["b03"]
    for step in steps:
        rows = monitor.count(frame[frame["batch"] == step.window])
        wanted = [one.as_dict() for check in monitor.checks for one in monitor.judge(check, rows)]
        assert json.dumps([one.as_dict() for one in step.verdicts]) == json.dumps(wanted)


@pytest.mark.usefixtures("folder")
def test_a_window_column_from_the_command_line(learnt: Path, history: History):
    frame = cents(history(6, 400), "2024-02-03", "2024-02-04").assign(batch=lambda rows: rows["at"].dt.strftime("b%d"))
    frame.to_csv("batches.csv", index=False)

    told = command(learnt, "batches.csv", "--window-column", "batch")

    assert told.code == 1
    assert "  b03  1 window  inputs_are_whole  ticket ml-team" in told.out
    assert "1 alarm in 6 windows, 2,400 rows\n" in told.out
    assert "alarms per week" not in told.out


# ---------------------------------------------------------------- alarms


def tally(monitor: wakeful.Monitor, frame: pd.DataFrame, **options: Any) -> Tally:
    found = replay(monitor, frame, time="at", **options)
    made = Tally(found)
    for step in found:
        made.add(step)
    return made


def test_failures_closer_than_the_window_is_long_are_one_alarm(monitor: wakeful.Monitor, history: History):
    frame = history(10, 400)
    for since, until in (("2024-02-02T00:00", "2024-02-02T02:00"), ("2024-02-02T10:00", "2024-02-02T12:00"),
                         ("2024-02-06T00:00", "2024-02-06T02:00")):  # fmt: skip
        frame = cents(frame, since, until)

    found = tally(monitor, frame, every="2h")

    # a window of 6 hours holds the broken rows until 4 hours after them
    assert [(one.first[5:16], one.last[5:16], one.windows) for one in found.alarms] == [
        ("02-02T00:00", "02-02T14:00", 6), ("02-06T00:00", "02-06T04:00", 3),
    ]  # fmt: skip
    assert {one.check.name for one in found.alarms} == {"incomes_are_real"}
    assert [one.explanation[0].column for one in found.alarms] == ["income", "income"]
    numbers = {check.name: (alarms, windows) for check, alarms, windows in found.numbers()}
    assert numbers["incomes_are_real"] == (2, 9)
    assert numbers["answers_come"] == (0, 0)
    assert found.weeks == pytest.approx(10 / 7)


def test_failures_a_windows_length_apart_are_two_alarms(monitor: wakeful.Monitor, history: History):
    frame = cents(history(4, 400), "2024-02-02T00:00", "2024-02-02T06:00")
    frame = cents(frame, "2024-02-02T12:00", "2024-02-02T18:00")

    found = tally(monitor, frame, every="6h")

    assert [(one.first[5:16], one.last[5:16]) for one in found.alarms] == [
        ("02-02T00:00", "02-02T00:00"), ("02-02T12:00", "02-02T12:00"),
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 200])
def test_the_timeline_fits_the_terminal(width: int, monitor: wakeful.Monitor, history: History):
    found = tally(monitor, cents(history(40, 100), "2024-02-20", "2024-02-22"), every="3h")
    paper = io.StringIO()

    timeline.render(found, Console(file=paper, width=width, highlight=False))

    lines = paper.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    names = [check.name for check in monitor.checks]
    rows = {name: line for name in names for line in lines[:6] if line.startswith(name)}
    assert set(rows) == set(names), "one line per check"
    marks = {name: line.split()[2] for name, line in rows.items()}
    assert len({len(one) for one in marks.values()}) == 1
    step = -(-320 // len(marks["answers_come"]))
    assert f"a mark is the worst of {step} windows" in paper.getvalue()
    start = lines[1].index(marks[names[0]])
    assert lines[0].startswith(" " * start + "2024-02-01 ")
    assert lines[0].endswith(" 2024-03-11 21:00")
    failing = [at for at, mark in enumerate(marks["incomes_are_real"]) if mark == "✗"]
    assert failing[0] == 19 * 8 // step  # 20 February
    assert failing[-1] == (21 * 8) // step  # one window of 6 hours longer than the incident


def test_a_single_window_has_a_timeline(monitor: wakeful.Monitor, history: History):
    found = tally(monitor, history(1, 300), every="1d")
    paper = io.StringIO()

    timeline.render(found, Console(file=paper, width=80, highlight=False))

    assert paper.getvalue().splitlines()[0].strip() == "2024-02-01"
    assert "no alarm in 1 window, 300 rows" in paper.getvalue()


# ---------------------------------------------------------------- what goes wrong on the way


def files(frame: pd.DataFrame, number: int) -> None:
    """The rows in equal files in the folder rows."""
    Path("rows").mkdir()
    size = len(frame) // number
    for at in range(number):
        frame[at * size : (at + 1) * size].to_parquet(f"rows/{at}.parquet", index=False, compression=None)


def spoil(path: str, column: str) -> None:
    """Overwrite the values of a column; the file's table of contents stays whole."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    [chunk] = [one for one in map(group.column, range(group.num_columns)) if one.path_in_schema == column]
    content = bytearray(Path(path).read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    Path(path).write_bytes(content)


@pytest.mark.usefixtures("folder")
def test_a_file_that_breaks_in_the_middle_keeps_what_was_computed(learnt: Path, history: History):
    files(cents(history(30, 12_000), "2024-02-02", "2024-02-03"), 12)
    spoil("rows/11.parquet", "city")

    told = command(learnt, "rows", "--every", "1d", "--json", "rows.jsonl")

    assert told.code == 2
    assert "\nerror cannot read rows/11.parquet: " in told.err
    lines = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 27  # the file begins at noon of the 28th day
    assert [one["window"][:10] for one in lines if one["alarm"]] == ["2024-02-02"]
    assert f"1 alarm in {len(lines)} windows" in told.out


@pytest.mark.usefixtures("folder")
def test_times_that_cannot_be_read_are_told_with_their_file(learnt: Path, history: History):
    files(history(), 3)
    spoil("rows/1.parquet", "at")

    told = command(learnt, "rows", "--every", "1d")

    assert told.code == 2
    assert "\nerror cannot read rows/1.parquet: " in told.err
    assert "no alarm in 10 windows" in told.out


@pytest.mark.usefixtures("folder")
def test_a_first_file_without_end_is_named_before_anything_is_judged(learnt: Path, history: History):
    files(history(), 3)
    Path("rows/0.parquet").write_bytes(Path("rows/0.parquet").read_bytes()[:5_000])
    Path("kept.jsonl").write_text("of last week\n", encoding="utf-8")

    told = refused(learnt, "rows", "--every", "1d", "--json", "kept.jsonl")

    assert told.startswith("cannot read rows/0.parquet: ")
    assert told.endswith("The file is broken, or no Parquet. Restore it, or move it away.")
    assert Path("kept.jsonl").read_text(encoding="utf-8") == "of last week\n"


@pytest.mark.usefixtures("folder")
def test_a_file_without_end_in_the_middle_keeps_what_comes_before_it(learnt: Path, history: History):
    files(history(), 3)
    whole = command(learnt, "rows", "--every", "1d", "--json", "whole.jsonl")
    Path("rows/1.parquet").write_bytes(Path("rows/1.parquet").read_bytes()[:5_000])

    told = command(learnt, "rows", "--every", "1d", "--json", "kept.jsonl")

    assert (whole.code, told.code) == (0, 2)
    assert "\nerror cannot read rows/1.parquet: " in told.err
    assert "What comes from 2024-02-11 00:28:" in told.err
    lines = Path("kept.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == Path("whole.jsonl").read_text(encoding="utf-8").splitlines()[:10]


@pytest.mark.usefixtures("folder")
def test_a_column_that_is_text_in_one_file_is_invalid_in_its_windows_only(learnt: Path, history: History):
    frame = history()
    files(frame, 3)
    pd.read_parquet("rows/1.parquet").astype({"rent": str}).to_parquet("rows/1.parquet", index=False)

    told = command(learnt, "rows", "--every", "1d", "--json", "rows.jsonl")

    assert told.code == 1
    assert (
        told.err.splitlines()[0]
        == "note: rent holds text in 1.parquet, numbers in the other files: it changed its type there"
    )
    lines = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["window"][:10] for one in lines if one["alarm"]] == [
        str(day) for day in frame["at"][2_000:4_000].dt.date.unique()
    ]
    assert all(one["explanation"][0]["column"] == "rent" for one in lines if one["alarm"])


@pytest.mark.usefixtures("folder")
def test_a_column_that_is_missing_is_told_and_judged_as_missing(learnt: Path, history: History):
    history(5, 400).drop(columns="rent").to_parquet("rows.parquet", index=False)

    told = command(learnt, "rows.parquet", "--every", "1d")

    assert told.code == 1
    assert told.err.splitlines()[0] == "note: not in the data, so missing in every row: rent"
    assert "rent: missing 1 (" in told.out


@pytest.mark.usefixtures("folder")
def test_rows_without_a_time_are_told(learnt: Path, history: History):
    frame = history(5, 400)
    frame.assign(at=frame["at"].where(np.arange(2_000) >= 50)).to_parquet("rows.parquet", index=False)

    told = command(learnt, "rows.parquet", "--every", "1d")

    assert (told.code, told.err.splitlines()[0]) == (0, "note: 50 of 2,000 rows have no at and are left out")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("wrong", "kept", "told"),
    [
        ("1970-01-01", 1, "no rows from 1970-01-02T00:00:00+00:00 to 2024-02-01T00:00:00+00:00, so one of "),
        ("2204-02-01", 5, "no rows from 2024-02-06T00:00:00+00:00 to 2204-02-01T00:00:00+00:00, so one of "),
        ("9999-12-31", 0, "a time lies outside the years 2 to 9998 (9999-12-31T00:00:00). Leave such rows out, "),
    ],
)
def test_a_date_that_is_far_off_is_told_rather_than_filled_with_silence(
    wrong: str, kept: int, told: str, learnt: Path, history: History
):
    frame = history(5, 400).astype({"at": "datetime64[us]"})
    frame.loc[7, "at"] = pd.Timestamp(wrong).as_unit("us")
    frame.to_parquet("rows.parquet", index=False)

    assert refused(learnt, "rows.parquet", "--every", "1d", "--json", "rows.jsonl").startswith(told)
    assert len(Path("rows.jsonl").read_text(encoding="utf-8").splitlines()) == kept
    limits = ["--since", "2024-01-01", "--until", "2025-01-01"]
    assert command(learnt, "rows.parquet", "--every", "1d", *limits).code == 0


# ---------------------------------------------------------------- what cannot be replayed


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "say how the history is cut: every='1h' with a time column, or window_column='batch'."),
        ("--every 1d --window-column city", "say how the history is cut: "),
        ("--every 1d --time att", "unknown time column 'att'. Did you mean 'at'?"),
        ("--window-column ctiy", "unknown window column 'ctiy'. Did you mean 'city'?"),
        ("--every 1d --time city", "time column 'city' holds string, not timestamps. Give a query that casts it: "),
        ("--every 1d --time rejected", "time column 'rejected' holds int64, not timestamps."),
        ("--every 1x", "'1x' is no length of time. Write a whole number and a unit: 15m, 6h, 1d, 1w, 1mo."),
        ("--every 7m", "'7m' does not divide a day."),
        ("--every 1d --timezone Berlin", "unknown time zone 'Berlin'. Write one such as Europe/Berlin."),
        ("--every 1d --since monday", "'monday' is no time. Write 2024-03-01 or 2024-03-01T14:00."),
        ("--every 1d --since 0001-01-01", "'0001-01-01' lies outside the years 2 to 9998."),
        ("--every 1d --since 2025-01-01", "no window lies between --since and --until, so nothing was judged."),
        ("--every 1d --since 2024-02-03 --until 2024-02-03", "no window lies between --since and --until"),
        ("--window-column city --since 2024-02-03", "windows named by a column have no times: leave out"),
    ],
)
def test_what_cannot_be_done_is_told(options: str, told: str, learnt: Path, history: History):
    history(5, 50).to_parquet("rows.parquet", index=False)

    assert refused(learnt, "rows.parquet", *options.split()).startswith(told)


@pytest.mark.usefixtures("folder")
def test_data_that_cannot_be_read_are_told(learnt: Path, history: History):
    frame = history(5, 50)
    frame.to_parquet("rows.parquet", index=False)
    frame[:0].to_parquet("empty.parquet", index=False)
    frame.drop(columns="score").to_parquet("noscore.parquet", index=False)
    frame.assign(rejected=frame["rejected"].map({0: "no", 1: "yes"})).to_parquet("text.parquet", index=False)
    every = ("--every", "1d")

    assert refused(learnt, "no.parquet", *every) == "no data at no.parquet: the file does not exist."
    assert refused(learnt, "SELECT * FROM 'no.parquet'", *every).startswith("cannot read the query: ")
    assert refused(learnt, "SELECT * FORM rows", *every).startswith("cannot read the query: Parser Error: ")
    assert refused(learnt, "empty.parquet", *every) == (
        "no row of empty.parquet has a value in 'at', so there is nothing to read."
    )
    assert refused(learnt, "noscore.parquet", *every).startswith("unknown score column 'score'. Known: income, ")
    assert refused(learnt, "text.parquet", *every) == (
        "label 'rejected' holds text. Make it 1 and 0, or true and false."
    )
    assert refused(learnt / "nothing", "rows.parquet", *every).startswith("no monitor file at ")


@pytest.mark.usefixtures("folder")
def test_a_query_that_fails_on_the_way_keeps_what_was_computed(learnt: Path, history: History):
    """The 200,000th row cannot be cast."""
    frame = history(25, 8_000)
    frame["code"] = "1"
    frame.loc[199_999, "code"] = "x"
    frame.to_parquet("rows.parquet", index=False)
    query = "SELECT * REPLACE (income * CAST(code AS INTEGER) AS income) FROM 'rows.parquet'"

    told = command(learnt, query, "--every", "1d", "--json", "rows.jsonl")

    assert told.code == 2
    assert "\nerror cannot read on in the query: " in told.err
    assert "Could not convert string 'x' to INT32" in told.err
    kept = len(Path("rows.jsonl").read_text(encoding="utf-8").splitlines())
    assert kept >= 5
    assert f"no alarm in {kept} windows, " in told.out


def test_a_monitor_without_checks_or_time_has_nothing_to_replay(
    monitor: wakeful.Monitor, reference: wakeful.Reference, history: History
):
    with pytest.raises(DataError, match=r"^the monitor has no checks\. Register one with"):
        replay(wakeful.Monitor(reference), history(1, 10), every="1h")
    untimed = wakeful.Monitor(wakeful.learn(history(1, 200).drop(columns="at"), score="score"))
    untimed.checks = monitor.checks
    with pytest.raises(DataError, match=r"^name the column with the time: time='applied_at' \(--time applied_at\)\.$"):
        replay(untimed, history(1, 10), every="1h")


def test_every_error_is_of_the_family(monitor: wakeful.Monitor):
    """So that one except clause is enough for a pipeline."""
    for data in ("no.parquet", "SELECT 1 FROM nothing", "postgresql://127.0.0.1:1/x#t", 7, {}, {"at": []}):
        with pytest.raises(WakefulError):
            list(replay(monitor, data, every="1h", time="at"))


def test_a_replay_can_be_iterated_again(monitor: wakeful.Monitor, history: History):
    found: Replay = replay(monitor, history(2, 100), every="6h")  # the time column of the reference

    first: list[Step] = list(found)

    assert len(first) == 8
    assert [json.dumps(one.as_dict()) for one in found] == [json.dumps(one.as_dict()) for one in first]
