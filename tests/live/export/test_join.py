"""`wakeful join`: label maturity and what became of predictions, told to Prometheus."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from typer.testing import CliRunner, Result

import wakeful
from wakeful.cli import app
from wakeful.live.export import batch
from wakeful.outcomes import Join
from wakeful.outcomes.export import metrics

START = pd.Timestamp("2026-01-01", tz="UTC")
DOCUMENT = Path(__file__).parents[3] / "docs" / "prometheus.md"
HOSTILE = 'lo"ans\\\n$model'
CASES = 4_000
DELAYS = {0: 10.0, 1: 3.0}  # mean days until an outcome of a class is told
LATE, LOST = 30.0, 0.2  # days of the horizon; share of the outcomes that are never told


class Cases:
    """Predictions over 70 days, the ids of some of which bring an outcome."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        asked = START + pd.to_timedelta(rng.uniform(0, 70, CASES), unit="D")
        label = (rng.random(CASES) < 0.3).astype(int)
        came = asked + pd.to_timedelta(rng.exponential(np.where(label, DELAYS[1], DELAYS[0])), unit="D")
        ids = np.arange(CASES)
        self.predictions = pd.DataFrame({"id": ids, "asked": asked, "score": rng.random(CASES)})
        told = pd.DataFrame({"id": ids, "label": label, "at": came})[rng.random(CASES) >= LOST]
        nobody = pd.DataFrame({"id": ids[:7] + 10 * CASES, "label": 1, "at": START})
        self.outcomes = pd.concat([told, nobody])


@pytest.fixture(scope="module")
def cases() -> Cases:
    return Cases()


@pytest.fixture
def folder(cases: Cases, reference: wakeful.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a join runs."""
    reference.save(tmp_path / "reference.json")
    (tmp_path / "monitor_loans.py").write_text('import wakeful\n\nloans = wakeful.Monitor("reference.json")\n')
    cases.predictions.to_parquet(tmp_path / "asked.parquet")
    cases.outcomes.to_parquet(tmp_path / "told.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def join(*arguments: str, until: str = "2026-03-12") -> Result:
    command = ["join", "monitor_loans.py", "asked.parquet", "told.parquet", "--state", "state", "--horizon", "30d"]
    return CliRunner().invoke(app, [*command, "--time", "asked", "--label", "label", "--as-of", until, *arguments])


def values(text: str, name: str, label: str = "model") -> dict[str, float]:
    samples = [one for metric in parse(text) for one in metric.samples]
    return {one.labels[label]: one.value for one in samples if one.name == name}


def known_at(day: float, label: int) -> float:
    """The share of a class's outcomes that is known at an age, of those that come within the horizon."""
    return float(-np.expm1(-day / DELAYS[label]) / -np.expm1(-LATE / DELAYS[label]))


def test_a_join_is_written_for_the_textfile_collector(folder: Path, cases: Cases):
    done = join("--textfile", "joins.prom")

    assert done.exit_code == 0, done.output
    text = (folder / "joins.prom").read_text(encoding="utf-8")
    number = sum(len(metric.samples) for metric in parse(text))
    assert done.stdout.endswith(f"\n\nwrote {number:,} series to joins.prom\n")
    assert number <= 30  # of one model, whatever it is

    became = values(text, "wakeful_join_predictions", "outcome")
    until = pd.Timestamp("2026-03-12", tz="UTC")
    both = cases.predictions.merge(cases.outcomes, how="left", on="id")
    in_time = (both["at"] <= until) & (both["at"] - both["asked"] <= pd.Timedelta(LATE, unit="D"))
    too_late = (both["at"] <= until) & (both["at"] - both["asked"] > pd.Timedelta(LATE, unit="D"))
    over = both["asked"] < until - pd.Timedelta(LATE, unit="D")
    assert became["joined"] == in_time.sum()
    assert became["late"] == too_late.sum() > 0
    assert became["missing"] == (over & ~in_time & ~too_late).sum() > 0
    assert sum(became.values()) == len(cases.predictions)
    assert values(text, "wakeful_join_unknown_outcomes") == {"loans": 7}
    assert values(text, "wakeful_last_join_timestamp_seconds") == {"loans": until.timestamp()}


def test_maturity_is_of_the_outcomes_to_come_of_the_class_that_is_behind(folder: Path):
    join("--textfile", "joins.prom")

    text = (folder / "joins.prom").read_text(encoding="utf-8")
    found = values(text, "wakeful_outcome_maturity_ratio", "age")
    lengths = values(text, "wakeful_outcome_age_seconds", "age")
    assert list(found) == ["1d", "2d", "3d", "5d", "7d", "10d", "14d", "21d", "30d"]
    assert lengths == {age: float(age.removesuffix("d")) * 86_400 for age in found}
    for age, share in found.items():  # though a fifth of the outcomes never comes
        assert share == pytest.approx(known_at(float(age.removesuffix("d")), label=0), abs=0.03)
    (mature,) = values(text, "wakeful_outcome_mature_age_seconds").values()
    assert known_at(mature / 86_400, label=0) == pytest.approx(0.9, abs=0.03)


def test_ages_that_nobody_has_reached_are_left_out_and_the_next_run_knows_more(folder: Path):
    join("--textfile", "joins.prom", until="2026-01-11")
    early = (folder / "joins.prom").read_text(encoding="utf-8")
    join("--textfile", "joins.prom", until="2026-02-20")
    later = (folder / "joins.prom").read_text(encoding="utf-8")

    shares = values(early, "wakeful_outcome_maturity_ratio", "age")
    assert list(shares) == ["1d", "2d", "3d", "5d", "7d"]
    for age, share in shares.items():  # what is pending may still be of either class
        assert share <= known_at(float(age.removesuffix("d")), label=0) + 0.03
    assert values(early, "wakeful_outcome_mature_age_seconds") == {}
    assert len(values(later, "wakeful_outcome_mature_age_seconds")) == 1


def test_without_predictions_or_outcomes_no_maturity_is_made_up(
    cases: Cases, reference: wakeful.Reference, tmp_path: Path
):
    with Join(tmp_path, reference.model, horizon="30d", id="id", time="asked", label="label") as join:
        nothing = {one.name for one in metrics(join.as_of(dt.datetime(2026, 3, 1)), "loans")}
        join.add_predictions(cases.predictions)
        pending = {one.name for one in metrics(join.as_of(dt.datetime(2026, 3, 1)), "loans")}

    expected = {"wakeful_join_predictions", "wakeful_join_unknown_outcomes", "wakeful_last_join_timestamp_seconds"}
    assert nothing == pending == expected


def test_a_regression_has_one_curve(cases: Cases, regression: wakeful.Reference, tmp_path: Path):
    told = cases.outcomes.assign(label=1_000.0 + cases.outcomes["id"])
    with Join(tmp_path, regression.model, horizon="30d", id="id", time="asked", label="label") as join:
        join.add_predictions(cases.predictions)
        join.add_outcomes(told)
        found = {one.name: one for one in metrics(join.as_of(dt.datetime(2026, 3, 12)), "houses")}

    shares = {one.labels["age"]: one.value for one in found["wakeful_outcome_maturity_ratio"].samples}
    mixed = 0.7 * -np.expm1(-7 / DELAYS[0]) + 0.3 * -np.expm1(-7 / DELAYS[1])
    within = 0.7 * -np.expm1(-LATE / DELAYS[0]) + 0.3 * -np.expm1(-LATE / DELAYS[1])
    assert shares["7d"] == pytest.approx(mixed / within, abs=0.03)


def test_every_metric_is_documented_and_exists(folder: Path):
    join("--textfile", "joins.prom")

    (section,) = re.findall(r"^## Label maturity$(.*?)^## ", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    documented = dict(re.findall(r"^\| `(wakeful_\w+)` \| (?:`(\w+)`)? ?\|", section, re.M))
    told = {
        sample.name: "".join(set(sample.labels) - {"model"})
        for metric in parse((folder / "joins.prom").read_text(encoding="utf-8"))
        for sample in metric.samples
    }
    assert documented == told


def test_promtool_finds_nothing_wrong_with_names_and_types(
    promtool: str, cases: Cases, reference: wakeful.Reference, tmp_path: Path
):
    with Join(tmp_path, reference.model, horizon="30d", id="id", time="asked", label="label") as join:
        join.add_predictions(cases.predictions)
        join.add_outcomes(cases.outcomes)
        batch.write(metrics(join.as_of(dt.datetime(2026, 3, 12)), HOSTILE), tmp_path / "joins.prom")

    text = (tmp_path / "joins.prom").read_bytes()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert set(values(text.decode(), "wakeful_last_join_timestamp_seconds")) == {HOSTILE}


def test_a_join_is_pushed_beside_the_counts_of_a_batch_job(folder: Path, pushgateway: Any, traffic: Any):
    pd.DataFrame(traffic(300)).to_parquet("monday.parquet")
    exported = CliRunner().invoke(
        app, ["export", "monitor_loans.py", "monday.parquet", "--pushgateway", pushgateway.url]
    )
    done = [join("--pushgateway", pushgateway.url, until=day) for day in ("2026-03-01", "2026-03-12")]

    assert [exported.exit_code, *(one.exit_code for one in done)] == [0, 0, 0], done[-1].output
    with urllib.request.urlopen(f"{pushgateway.url}/metrics") as answer:
        text = answer.read().decode()
    assert 'wakeful_rows_total{instance="",job="wakeful",model="loans",reference=' in text
    assert values(text, "wakeful_last_join_timestamp_seconds") == {"loans": pd.Timestamp("2026-03-12").timestamp()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--textfile", "a.prom", "--pushgateway", "http://127.0.0.1:1"], "not both"),
        (["--textfile", "a.txt"], "Name it a.prom"),
        (["--pushgateway", "http://127.0.0.1:1"], "nothing at http://127.0.0.1:1 takes the metrics"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_what_to_do(folder: Path, arguments: list[str], words: str):
    done = join(*arguments)

    assert done.exit_code == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (folder / "a.prom").exists()
