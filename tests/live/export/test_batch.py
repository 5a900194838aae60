"""`wakeful export`: what a batch job counted, told to Prometheus."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

import wakeful
from wakeful.live.export.cardinality import OUTCOMES, asked

MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(page="risk")
def quality(live):
    assert live.by("platform").traffic() >= 1
    assert live.by("platform")["city"].unseen() <= 0.01
    assert live.score.d1() <= 0.2
"""


@pytest.fixture
def job(tmp_path: Path, reference: wakeful.Reference, traffic: Any) -> Path:
    """A folder with a monitor and the rows of two runs."""
    reference.save(tmp_path / "reference.json")
    (tmp_path / "monitor_loans.py").write_text(MONITOR, encoding="utf-8")
    for name, rows in ("monday", 300), ("tuesday", 200):
        pd.DataFrame(traffic(rows, seed=rows)).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def export(job: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wakeful.cli import main; main()", "export", "monitor_loans.py", *arguments]
    return subprocess.run(command, cwd=job, capture_output=True, text=True, encoding="utf-8", check=False)


def told(text: str, name: str, **labels: str) -> list[float]:
    samples = [one for metric in parse(text) for one in metric.samples]
    return [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]


def test_a_run_is_written_for_the_textfile_collector(job: Path):
    done = export(job, "monday.parquet", "--textfile", "loans.prom", "--version", "7")

    assert (done.returncode, done.stderr) == (0, "")
    text = (job / "loans.prom").read_text(encoding="utf-8")
    number = sum(len(metric.samples) for metric in parse(text))
    assert done.stdout == f"wrote {number:,} series to loans.prom\n"
    assert max(told(text, "wakeful_rows_total", version="7")) == 300
    assert sum(told(text, "wakeful_bin_total", column="city", segment="platform", value="web")) > 0
    assert told(text, "wakeful_bin_total", column="income", segment="platform") == []  # no check asks
    assert sorted(path.name for path in job.iterdir() if "prom" in path.name) == ["loans.prom"]


def test_runs_add_up_where_counts_are_kept(job: Path):
    rows = []
    for name in ("monday", "tuesday", "monday"):
        assert export(job, f"{name}.parquet", "--textfile", "loans.prom", "--counts", "counts").returncode == 0
        rows.append(max(told((job / "loans.prom").read_text(encoding="utf-8"), "wakeful_rows_total")))

    assert rows == [300, 500, 800]


def test_a_run_is_pushed_and_the_next_takes_its_place(job: Path, pushgateway: Any):
    for name, rows in ("monday", 300), ("tuesday", 200):
        done = export(job, f"{name}.parquet", "--pushgateway", pushgateway.url)

        assert (done.returncode, done.stderr) == (0, "")
        with urllib.request.urlopen(f"{pushgateway.url}/metrics") as answer:
            text = answer.read().decode()
        assert max(told(text, "wakeful_rows_total", model="loans", job="wakeful")) == rows
    (told_last,) = told(text, "wakeful_last_flush_timestamp_seconds")
    assert told_last > 1.7e9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --textfile"),
        (["--textfile", "a.prom", "--pushgateway", "http://127.0.0.1:1"], "either --textfile"),
        (["--textfile", "a.txt"], "Name it a.prom"),
        (["--textfile", "missing/a.prom"], "cannot write missing/a.prom: No such file or directory. Name a file"),
        (["--pushgateway", "http://127.0.0.1:1"], "nothing at http://127.0.0.1:1 takes the metrics"),
        (["--textfile", "a.prom", "--series", "100"], "its budget is 100"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_what_to_do(job: Path, arguments: list[str], words: str):
    done = export(job, "monday.parquet", *arguments)

    assert done.returncode == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert not (job / "a.prom").exists()


def test_what_checks_ask_by_segment_is_known(reference: wakeful.Reference):
    live = wakeful.Monitor(reference).live
    by = live.by("platform")
    comparisons = [by.traffic() >= 1, live.features.d1() <= 1, by["city"].missing() <= by["rent"].missing() + 0.1]

    assert asked(comparisons) == {"platform": {"city", "rent"}}
    assert asked([by.precision() >= 0.5]) == {"platform": {OUTCOMES}}
    assert asked([by.traffic() >= 1]) == {"platform": frozenset()}
    assert asked([live.precision() >= 0.5]) == {}
