"""`wakeful backfill`: what Prometheus would have known, had it been there last quarter."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
from typer.testing import CliRunner

import wakeful
from wakeful.backfill import Backfill, backfill, write
from wakeful.cli import app
from wakeful.errors import DataError
from wakeful.live.export.batch import count
from wakeful.loading import load_monitor
from wakeful.signals import find
from wakeful.views import column_counts

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "prometheus.md"
START = pd.Timestamp("2024-03-01", tz="UTC")
MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(window="6h", page="risk")
def quality(live):
    assert live.by("platform")["city"].unseen() <= 0.01
    assert live.score.d1() <= 0.2
"""

Rows = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def rows(traffic: Any) -> Rows:
    """Three days of applications, in no order; none in silent hours; from noon of the second on, new cities."""

    def make(start: pd.Timestamp = START, a_day: int = 2_000, silent: Sequence[int] = (20, 21, 22)) -> pd.DataFrame:
        frame = pd.DataFrame(traffic(3 * a_day, seed=12))
        frame["at"] = start + pd.to_timedelta(np.random.default_rng(12).integers(0, 3 * 86_400, len(frame)), unit="s")
        frame.loc[frame["at"] >= start + pd.Timedelta("36h"), "city"] = 'Bad "Aibling"\n'
        return frame[~frame["at"].dt.hour.isin(silent)]

    return make


@pytest.fixture
def folder(tmp_path: Path, reference: wakeful.Reference, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a monitor and its history."""
    reference.save(tmp_path / "reference.json")
    (tmp_path / "monitor_loans.py").write_text(MONITOR, encoding="utf-8")
    rows().to_parquet(tmp_path / "history.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["backfill", "monitor_loans.py", *arguments])


def labelled(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in labels.items() if name not in ("__name__", "release"))


def samples(path: Path | str) -> dict[tuple[str, frozenset[tuple[str, str]]], list[tuple[float, float]]]:
    """Time and value of every sample of a file, by series."""
    found: dict[Any, list[tuple[float, float]]] = {}
    for metric in parse(Path(path).read_text(encoding="utf-8")):
        for one in metric.samples:
            found.setdefault((one.name, labelled(one.labels)), []).append((float(one.timestamp), one.value))
    return found


def is_exported(name: str) -> bool:
    """Whether a service tells it; what rules record has colons in its name, and alerts are shouted."""
    return name.startswith("wakeful_")


@pytest.fixture
def filled(folder: Path, rows: Rows, promtool: str, prometheus: Any) -> Any:
    """A real Prometheus with the history in it, by the command that was told."""
    done = run("history.parquet", "--out", "history.om", "--time", "at", "--version", "7")
    assert done.exit_code == 0, done.output
    (command,) = re.findall(r"^  (promtool .*) DATA_FOLDER$", done.output, re.M)
    subprocess.run([promtool, *shlex.split(command)[1:], "blocks"], check=True, capture_output=True)
    server = prometheus(data=folder / "blocks")
    server.wait("/api/v1/status/runtimeinfo", lambda answer: answer["status"] == "success")
    return server


# Windows are a millisecond longer, as those of Prometheus 3 leave out the sample at their start.
@pytest.mark.parametrize(("hour", "length"), [(1, 1), (40, 6), (48, 24), (72, 72), (23, 3)])
def test_increase_is_what_was_counted_in_the_rows_of_a_window(filled: Any, rows: Rows, hour: int, length: int):
    end = START + pd.Timedelta(hours=hour)
    frame = rows()
    inside = frame[(frame["at"] >= end - pd.Timedelta(hours=length)) & (frame["at"] < end)]
    monitor = load_monitor("monitor_loans.py")
    expected = count(monitor.reference, monitor.count(inside), monitor.comparisons(), version="7")

    told = 0
    for metric in expected:
        for name in {one.name for one in metric.samples}:
            asked = f"increase({name}[{length}h1ms])" if metric.type == "counter" else name
            found = {labelled(labels): value for labels, value in filled.query(asked, at=end.timestamp())}
            wanted = {labelled(one.labels): one.value for one in metric.samples}
            wanted |= {one: float(length) for one in wanted if name == "wakeful_flushes_total"}
            wanted |= {one: end.timestamp() for one in wanted if name == "wakeful_last_flush_timestamp_seconds"}
            assert found == pytest.approx(wanted, rel=1e-6), name
            told += len(found)
    assert told > 300


def test_the_documented_distance_is_that_of_the_rows(filled: Any, reference: wakeful.Reference, rows: Rows):
    expression = re.search(r"```promql\n([^`]*wakeful_reference_share[^`]*)```", DOCUMENT.read_text(encoding="utf-8"))
    assert expression is not None
    frame, d1 = rows(), find("d1", "column")

    for end in START + pd.Timedelta("24h"), START + pd.Timedelta("60h"):
        found = filled.query(expression[1].replace("[1h]", "[24h1ms]"), at=end.timestamp())
        live = wakeful.Monitor(reference).count(frame[(frame["at"] >= end - pd.Timedelta("24h")) & (frame["at"] < end)])
        expected = {
            one.name: d1.evidence(column_counts(live, one.name), column_counts(reference.counts, one.name), {})
            .estimate(0.05)
            .value
            for one in reference.model.columns
        }
        assert {labels["column"]: value for labels, value in found} == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert (expected["city"] > 1) == (end > START + pd.Timedelta("36h"))


def test_every_counter_is_born_at_0_goes_on_through_silence_and_never_falls(folder: Path, rows: Rows):
    done = run("history.parquet", "--out", "history.om", "--time", "at")

    assert (done.exit_code, done.stderr) == (0, "")
    found = samples("history.om")
    hours = [START.timestamp() + 3600.0 * at for at in range(73)]
    counters = {one: values for one, values in found.items() if one[0].endswith("_total")}
    assert all([at for at, _ in values] == hours for (name, _), values in found.items() if is_exported(name))
    assert {values[0][1] for values in counters.values()} == {0.0}
    assert all(np.all(np.diff([value for _, value in values]) >= 0) for values in counters.values())
    of_all = found["wakeful_rows_total", frozenset({("model", "loans"), ("reference", fingerprint(found))})]
    assert of_all[-1][1] == len(rows())
    assert of_all[20][1] == of_all[23][1] > 0
    size = (folder / "history.om").stat().st_size
    assert done.stdout.startswith(
        f"wrote history.om: {len(found):,} series at 73 times, 2024-03-01T00:00Z to 2024-03-04T00:00Z, "
        f"{size / 1e6:,.1f} MB\n"
    )
    assert (folder / "history.om").read_bytes().endswith(b"\n# EOF\n")
    assert not list(folder.glob(".*"))


def fingerprint(found: Any) -> str:
    return next(dict(labels)["layout"] for name, labels in found if name == "wakeful_reference_info")


def test_series_are_those_of_a_service_and_of_segments_what_checks_ask(folder: Path, until: Any):
    options = ["--time", "at", "--version", "7", "--every", "1d"]
    assert run("history.parquet", "--out", "history.om", *options).exit_code == 0

    monitor = load_monitor("monitor_loans.py")
    registry = CollectorRegistry()
    monitor.start(counts=folder / "counts", version="7", registry=registry, flush=0.01)
    try:
        monitor.observe({"city": "Berlin", "platform": "web"}, score=0.5)
        until(lambda: monitor.counts().rows == 1)
        service = list(registry.collect())
    finally:
        monitor.stop()
    assert {one for one in samples("history.om") if is_exported(one[0])} == {
        (sample.name, labelled(sample.labels)) for metric in service for sample in metric.samples
    }


def test_outcomes_count_when_their_row_was_predicted(folder: Path, rows: Rows):
    frame = rows()
    frame["rejected"] = np.where(frame["at"] < START + pd.Timedelta("24h"), frame["rejected"], np.nan)
    frame.to_parquet("joined.parquet")

    assert run("joined.parquet", "--out", "history.om", "--time", "at", "--every", "1d").exit_code == 0

    known, answered = np.zeros(4), np.zeros(4)
    told = {"wakeful_outcome_total": known, "wakeful_answer_total": answered}
    for (name, labels), values in samples("history.om").items():
        if name in told and "segment" not in dict(labels):
            told[name] += [value for _, value in values]
    a_day = frame["at"].dt.day.value_counts().sort_index().to_list()
    assert np.diff(known).tolist() == [a_day[0], 0, 0]
    assert np.diff(answered).tolist() == a_day


def test_part_of_a_history_begins_at_0(folder: Path, rows: Rows):
    options = ["--time", "at", "--every", "6h", "--since", "2024-03-02", "--until", "2024-03-03T07:00"]
    assert run("history.parquet", "--out", "history.om", *options).exit_code == 0

    found = samples("history.om")
    of_all = found["wakeful_rows_total", frozenset({("model", "loans"), ("reference", fingerprint(found))})]
    at = rows()["at"]
    assert [one for one, _ in of_all] == [START.timestamp() + 3600.0 * hour for hour in range(24, 55, 6)]
    assert of_all[0][1] == 0
    assert of_all[-1][1] == ((at >= START + pd.Timedelta("24h")) & (at < START + pd.Timedelta("54h"))).sum()


def test_windows_reach_back_before_the_first_step(folder: Path):
    """As those of a replay do: what is judged does not depend on where the file begins."""

    def verdicts(*options: str) -> dict[Any, Any]:
        done = run("history.parquet", "--out", "history.om", "--time", "at", *options)
        assert done.exit_code == 0, done.output
        return {one: dict(values) for one, values in samples("history.om").items() if one[0] == "wakeful:check:rows"}

    since = (START + pd.Timedelta("30h")).timestamp()
    whole, part = verdicts(), verdicts("--since", "2024-03-02T06:00")

    assert len(part) >= 2
    assert part == {
        one: {at: value for at, value in values.items() if at > since} for one, values in whole.items() if one in part
    }


def test_what_no_rule_can_say_is_left_out(folder: Path, traffic: Any, rows: Rows):
    """Where the reference has no outcomes, precision is not asked, as in rules; what else the check asks is."""
    unlabelled = wakeful.learn(traffic(2_000, seed=0), score="score", threshold=0.5, name="loans")
    monitor = wakeful.Monitor(unlabelled)

    @monitor.check(window="6h", page="risk")
    def quality(live: Any) -> None:
        assert live.score.ks() <= 0.5
        assert live.precision() >= 0.5
        assert live.score.d1() <= 0.2

    write(backfill(monitor, rows(), time="at"), folder / "history.om")

    found = {dict(labels)["assertion"] for name, labels in samples("history.om") if name == "wakeful:check:verdict"}
    assert found == {"live.score.d1() <= 0.2"}


def test_steps_that_dashboards_do_not_bridge_are_told(folder: Path):
    done = run("history.parquet", "--out", "history.om", "--time", "at", "--every", "1d")
    assert "dashboards bridge steps of an hour; of those of 1d they show no more than the ends" in done.stderr


def test_an_earlier_window_is_no_shorter_ago_than_a_step(folder: Path):
    text = MONITOR.replace("live.score.d1() <= 0.2", 'live.score.d1() <= live.ago("2h").score.d1() + 0.2')
    (folder / "monitor_loans.py").write_text(text, encoding="utf-8")
    done = run("history.parquet", "--out", "history.om", "--time", "at", "--every", "6h")
    assert (done.exit_code, "is shorter than a step of 6h" in " ".join(done.stderr.split())) == (2, True)


def test_hours_that_prometheus_still_writes_are_left_out(folder: Path, reference: wakeful.Reference, rows: Rows):
    now = pd.Timestamp.now("UTC").floor("s")
    monitor = wakeful.Monitor(reference)

    def last(filling: Backfill) -> float:
        return write(filling, folder / "recent.om").last

    recent = rows(now - pd.Timedelta("71h"), silent=())  # until an hour from now
    filling = backfill(monitor, recent, time="at")
    assert 3 * 3600 <= now.timestamp() + 60 - last(filling) <= 4 * 3600 + 120
    assert "Prometheus still writes the last hours itself" in filling.notes[-1]
    earlier = backfill(monitor, recent, time="at", until=(now - pd.Timedelta("10h")).isoformat())
    assert 10 * 3600 <= now.timestamp() - last(earlier) <= 11 * 3600
    assert earlier.notes == []
    assert backfill(monitor, rows(), time="at").notes == []


def test_a_file_that_is_there_already_is_replaced_only_by_a_whole_one(folder: Path, rows: Rows):
    assert run("history.parquet", "--out", "history.om", "--time", "at", "--every", "6h").exit_code == 0
    before = Path("history.om").read_bytes()
    (folder / "log").mkdir()
    rows().sort_values("at").iloc[:1_000].to_parquet("log/1.parquet")
    rows().sort_values("at").iloc[1_000:].to_parquet("log/2.parquet")
    damaged = Path("log/2.parquet").read_bytes()
    Path("log/2.parquet").write_bytes(damaged[:20_000] + b"\xff" * 20_000 + damaged[40_000:])

    done = run("log", "--out", "history.om", "--time", "at")

    assert done.exit_code == 2
    assert "2.parquet" in done.stderr
    assert Path("history.om").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty.parquet", "--time", "at"], "no row of empty.parquet has a value in 'at', so there is nothing to read"),
        (["missing.parquet", "--time", "at"], "missing.parquet"),
        (["history.parquet"], "name the column with the time"),
        (["history.parquet", "--time", "ta"], "unknown time column 'ta'. Known: income"),
        (["history.parquet", "--time", "city"], "not timestamps"),
        (["history.parquet", "--time", "at", "--every", "7m"], "does not divide a day"),
        (
            ["history.parquet", "--time", "at", "--since", "2025-01-01"],
            "no row lies in a whole step between --since",
        ),
        (["history.parquet", "--time", "at", "--series", "100"], " of a command."),
        (["history.parquet", "--time", "at", "--out", "missing/a.om"], "cannot write missing/a.om: No such file"),
        (["history.parquet", "--time", "at", "--out", "."], "is a folder. Name a file"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_what_to_do(
    folder: Path, rows: Rows, arguments: list[str], words: str
):
    rows().iloc[:0].to_parquet("empty.parquet")

    done = run("--out", "a.om", *arguments)

    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert not Path("a.om").exists()
    assert not list(folder.glob(".*"))


def test_a_history_may_be_empty_only_where_it_is_said(reference: wakeful.Reference, rows: Rows, tmp_path: Path):
    monitor = wakeful.Monitor(reference)
    early = backfill(monitor, rows(), time="at", until="2023-01-01")
    with pytest.raises(DataError, match="nothing to tell"):
        write(early, tmp_path / "a.om")
    assert list(tmp_path.iterdir()) == []
