"""`make demo`: applications, a model, a monitor; all checks pass, then incomes come in cents; then the same, live."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

import wakeful
from wakeful.loading import load_monitor

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "loans" / "demo.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the demo fills, and what it prints."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, str(DEMO), str(folder)],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(line.startswith("note: ") for line in done.stderr.splitlines()), done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def train(scripts: Any) -> Iterator[ModuleType]:
    with scripts(DEMO.parent) as load:
        yield load("train")


def test_the_story_is_told_in_order(ran: tuple[Path, str]):
    _, told = ran

    steps = [
        "1. Train a model",
        "ROC AUC 0.",
        "2. Learn a reference, write a monitor",
        "$ wakeful init reference.parquet --score score --label rejected",
        "wrote monitor_loans.py",
        "3. Validate the model before its release",
        "$ wakeful test monitor_loans.py validation.parquet",
        "all 10 checks pass",
        "663 rows against 663 of the reference",
        "(exit code 0)",
        "4. A new version of the website sends incomes in cents",
        "$ wakeful test monitor_loans.py cents.parquet",
        "✗ answers_keep_their_shape  page on-call",
        "What departs from the reference, most telling first:",
        "   1 fault income: 100% above the range seen in training (",
        "checks fail",
        "(exit code 1)",
        "5. Would it have told us",
        "2 alarms in 70 windows",
        "6. Put it into a service",
        "Two workers answer on http://127.0.0.1:",
        "7. Healthy traffic",
        "8. The website sends incomes in cents, and this time it is live",
        "✗ inputs_are_whole  ticket ml-team",
        "   1 fault income: ",
        "9. That is mended. Now the model cannot be reached",
        "✗ answers_are_real  page on-call",
        "   1 fault score: ",
        "10. Stop the service",
    ]
    at = 0
    for step in steps:
        assert step in told[at:], f"{step!r} is missing after:\n{told[:at]}"
        at = told.index(step, at) + len(step)


def test_every_application_that_was_answered_is_counted(ran: tuple[Path, str]):
    _, told = ran

    answered, counted = re.findall(r"([\d,]+) applications answered, ([\d,]+) counted", told)[0]

    assert answered == counted == "1,320"


def test_the_culprit_is_named_first_and_alone_among_the_features(ran: tuple[Path, str]):
    folder, _ = ran

    report: dict[str, Any] = json.loads((folder / "cents.json").read_text(encoding="utf-8"))

    first, *others = report["explanation"]
    assert (first["column"], first["kind"]) == ("income", "fault")
    assert first["excess"] > 0.9
    assert {cause["column"] for cause in others} <= {"score"}
    broken = {one["column"] for one in report["verdicts"] if one["verdict"] == "fail"}
    assert broken == {"income", "score"}
    assert {one["severity"] for one in report["verdicts"] if one["verdict"] == "fail"} == {"page", "ticket", "explain"}


def test_the_data_it_leaves_can_be_tested_again(ran: tuple[Path, str]):
    folder, _ = ran
    monitor = load_monitor(folder / "monitor_loans.py")

    assert monitor.test(folder / "validation.parquet").failed == []
    assert not monitor.test(folder / "cents.parquet").ok
    assert monitor.test(folder / "reference.parquet").explanation == []
    assert wakeful.Reference.load(folder / "reference.json").rows == 663


def test_a_single_broken_branch_is_enough_to_name_it(ran: tuple[Path, str]):
    folder, _ = ran
    rows = pd.read_parquet(folder / "validation.parquet")
    rows.loc[rows["property"] == "condominium", "income"] *= 100

    [cause] = load_monitor(folder / "monitor_loans.py").test(rows).explanation

    assert cause.text.startswith("income in property=condominium: 100% above the range seen in training (")


def test_the_applications_are_the_published_ones(train: ModuleType):
    applications = train.applications()

    assert len(applications) == 1_989
    assert int(applications["rejected"].sum()) == 244
    assert applications.select_dtypes("number").max().max() < 1e9
    assert not (applications.select_dtypes("number") == train.UNKNOWN).any().any()


def test_no_application_is_in_two_parts(train: ModuleType):
    parts = train.split(train.applications(), parts=3)

    assert [len(part) for part in parts] == [663, 663, 663]
    assert len(set().union(*(part.index for part in parts))) == 1_989
