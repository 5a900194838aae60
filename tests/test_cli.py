"""`wakeful init` and `wakeful test`: what a newcomer types, what they read, and what a pipeline gets back."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import wakeful
from wakeful.cli import app
from wakeful.loading import load_monitor

BIN = Path(sys.executable).parent


@pytest.fixture
def folder(tmp_path: Path, traffic: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with training data, healthy rows, and rows whose incomes come in cents."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    save("train.parquet", traffic(5_000, seed=0))
    save("live.parquet", traffic())
    save("cents.parquet", traffic(income=lambda data: 100 * data["income"]))
    return tmp_path


def save(name: str, data: Any) -> None:
    frame = pd.DataFrame(data)
    if name.endswith(".csv"):
        frame.to_csv(name, index=False)
    else:
        frame.to_parquet(name, index=False)


def run(*arguments: str, expect: int = 0) -> str:
    """What a command prints, errors included."""
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == expect, result.output
    return result.output


def flat(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def init(*options: str, data: str = "train.parquet") -> str:
    return run("init", data, "--score", "score", "--label", "rejected", "--threshold", "0.5", *options)


def report(data: str, monitor: str = "monitor_model.py", *options: str, expect: int = 0) -> dict[str, Any]:
    """The JSON that a test writes."""
    run("test", monitor, data, "--json", "report.json", *options, expect=expect)
    found: dict[str, Any] = json.loads(Path("report.json").read_text(encoding="utf-8"))
    return found


# ---------------------------------------------------------------- the story


@pytest.mark.usefixtures("folder")
def test_from_training_data_to_a_failing_check_that_names_the_culprit():
    told = init("--name", "loans", "--segment", "platform")
    assert told.splitlines() == [
        "loans: binary model, 5,000 rows, 7 features (3 numeric, 2 categorical, 2 boolean)",
        "  flagged: score ≥ 0.5",
        "wrote reference.json",
        "wrote monitor_loans.py",
        "",
        "next: read monitor_loans.py, put your fears into it, then run",
        "  wakeful test monitor_loans.py DATA",
    ]

    healthy = run("test", "monitor_loans.py", "live.parquet")
    assert "✓ flagged_are_right  page on-call" in healthy
    assert "all 10 checks pass: 2,000 rows against 5,000 of the reference" in healthy
    assert "departs from the reference" not in healthy

    broken = run("test", "monitor_loans.py", "cents.parquet", expect=1)
    assert "✗ inputs_are_whole  ticket ml-team  The model decides on broken data" in broken
    assert "✗  income: out_of_range 1 (0.99–1, n=2,000) > 0.01, reference 0" in broken
    explanation = broken.split("What departs from the reference, most telling first:\n")[1]
    assert explanation.startswith("   1 fault income: 100% above the range seen in training (5,")
    assert " of 11 checks fail: " in broken


def executable(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "wakeful", *arguments], capture_output=True, encoding="utf-8", check=False)


@pytest.mark.usefixtures("folder")
def test_a_pipeline_gets_0_1_or_2():
    made = executable("init", "train.parquet", "--score", "score", "--label", "rejected", "--threshold", "0.5")
    assert (made.returncode, made.stderr) == (0, "")

    healthy = executable("test", "monitor_model.py", "live.parquet")
    assert (healthy.returncode, healthy.stderr) == (0, "")

    broken = executable("test", "monitor_model.py", "cents.parquet")
    assert (broken.returncode, broken.stderr) == (1, "")

    unreadable = executable("test", "monitor_model.py", "nothing.parquet")
    assert unreadable.returncode == 2
    assert unreadable.stdout == ""
    assert unreadable.stderr == "error no data at nothing.parquet: the file does not exist.\n"


@pytest.mark.usefixtures("folder")
def test_a_terminal_without_check_marks_still_gets_the_verdicts():
    init()

    done = subprocess.run(
        [BIN / "wakeful", "test", "monitor_model.py", "cents.parquet"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, b"")
    assert b"?  income: out_of_range 1 (0.99?1, n=2,000) > 0.01, reference 0" in done.stdout
    assert b" checks fail: 2,000 rows" in done.stdout


def test_help_names_both_commands_and_their_options():
    assert {"init", "test"} <= set(run("--help").split())
    for option in ("score", "label", "decision", "threshold", "holdout", "time", "id", "segment", "name", "out"):
        assert f"--{option}" in run("init", "--help")
    assert "Exit code 0" in run("test", "--help")


# ---------------------------------------------------------------- what test prints and writes


@pytest.mark.usefixtures("folder")
def test_the_table_puts_what_holds_into_one_line_and_what_fails_into_one_each():
    init("--segment", "platform")

    lines = run("test", "monitor_model.py", "cents.parquet", expect=1).splitlines()

    [held] = [line for line in lines if "live.features.out_of_range()" in line]
    told = "✓  live.features.out_of_range() <= live.reference.features.out_of_range() + 0.01  2 of 3, nearest "
    assert held.strip().startswith(told)
    assert [line.strip() for line in lines if "income: out_of_range" in line and "[" not in line] == [
        "✗  income: out_of_range 1 (0.99–1, n=2,000) > 0.01, reference 0"
    ]
    assert any(line.strip().startswith("✗  [platform=app] income: out_of_range 1") for line in lines)
    assert any("precision" in line and "≥" in line and "reference 0." in line for line in lines)


@pytest.mark.usefixtures("folder")
def test_the_table_tells_fear_action_and_note_of_what_fails():
    init()
    Path("monitor_loans.py").write_text(
        "import wakeful\n\nloans = wakeful.Monitor('reference.json')\n\n\n"
        "@loans.check(page='credit', fear='We turn away [good] applicants', action='Switch the model off')\n"
        "def right(live):\n"
        "    assert live.precision() >= 0.99, 'see the runbook'\n"
        "    assert live.recall() >= 0.1\n",
        encoding="utf-8",
    )

    told = run("test", "monitor_loans.py", "live.parquet", expect=1)

    assert "✗ right  page credit  We turn away [good] applicants" in told
    assert "< 0.99, reference 0." in told
    assert "see the runbook" in told
    assert "Switch the model off" in told
    assert "✓  recall 0." in told


@pytest.mark.usefixtures("folder")
def test_many_failing_columns_do_not_flood_the_terminal_but_all_are_in_the_json(traffic: Any):
    noise = {f"extra_{at}": np.random.default_rng(at).normal(size=1_000) for at in range(40)}
    save("wide.parquet", traffic(1_000) | noise)
    save("broken.parquet", traffic(1_000) | {name: values + 100 for name, values in noise.items()})
    run("init", "wide.parquet", "--score", "score")

    told = run("test", "monitor_model.py", "broken.parquet", expect=1)
    written = report("broken.parquet", expect=1)

    assert told.count("✗  extra_") < 60
    assert "… and 28 more" in told
    assert "… and 32 more (all of them with --json)" in told
    assert len(written["explanation"]) == 40
    assert len({one["column"] for one in written["verdicts"] if one["verdict"] == "fail"}) == 40


@pytest.mark.usefixtures("folder")
def test_the_json_is_what_is_promised(traffic: Any):
    init("--segment", "platform")
    save("nolabels.parquet", traffic(income=lambda data: 100 * data["income"]) | {"rejected": [None] * 2_000})

    for data, code in (("live.parquet", 0), ("nolabels.parquet", 1)):
        written = report(data, expect=code)

        assert list(written) == ["verdicts", "explanation"]
        for one in written["verdicts"]:
            assert list(one) == [
                "check", "assertion", "severity", "verdict", "column", "segment",
                "estimate", "low", "high", "n", "limit", "reference",
            ]  # fmt: skip
            assert one["severity"] in ("page", "ticket", "explain")
            assert one["verdict"] in ("pass", "fail", "unsure", "maturing")
            assert one["assertion"].startswith("assert live.") or " <= live." in one["assertion"]
            assert one["segment"] in (None, "platform=web", "platform=app")
            for number in ("estimate", "low", "high", "n", "limit", "reference"):
                assert one[number] is None or math.isfinite(one[number])
        for cause in written["explanation"]:
            assert list(cause) == ["column", "segment", "kind", "excess", "text"]
            assert cause["kind"] in ("fault", "shift")
            assert 0 < cause["excess"] <= 1

    unknown = [one for one in written["verdicts"] if one["check"] == "flagged_are_right"]
    told = [[one[key] for key in ("verdict", "estimate", "low", "high")] for one in unknown]
    assert told == [["unsure", None, None, None]]
    assert written["explanation"][0]["column"] == "income"
    severities = {one["check"]: one["severity"] for one in written["verdicts"]}
    assert severities["answers_are_real"] == "page"
    assert severities["inputs_are_whole"] == "ticket"
    assert severities["inputs_look_as_in_training"] == "explain"


@pytest.mark.usefixtures("folder")
def test_strict_fails_on_what_the_rows_do_not_support(traffic: Any):
    init()
    save("few.parquet", traffic(60))

    assert "unsure: 60 rows" in run("test", "monitor_model.py", "few.parquet")
    strict = run("test", "monitor_model.py", "few.parquet", "--strict", expect=1)

    assert "(strict: the data must support every assert with 95% confidence)" in flat(strict)


@pytest.mark.usefixtures("folder")
def test_csv_and_parquet_say_the_same(traffic: Any):
    save("train.csv", traffic(5_000, seed=0))
    save("live.csv", traffic())
    init("--out", "parquet")
    init("--out", "csv", data="train.csv")

    from_parquet = report("live.parquet", "parquet/monitor_model.py")
    from_csv = report("live.csv", "csv/monitor_model.py")

    assert from_csv == from_parquet


# ---------------------------------------------------------------- what init can be told


def learnt(name: str = "reference.json") -> wakeful.Reference:
    return wakeful.Reference.load(name)


@pytest.mark.usefixtures("folder")
def test_init_takes_the_answer_alone():
    told = run("init", "train.parquet", "--score", "score")

    model = learnt().model
    assert (model.task, model.label, model.threshold, model.name) == ("binary", None, None, "model")
    assert "flagged" not in told
    assert "No label was given" in Path("monitor_model.py").read_text(encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_init_finds_the_threshold_that_decisions_follow(traffic: Any):
    save("decided.parquet", traffic(flagged=lambda data: data["score"] >= 0.4))

    told = run("init", "decided.parquet", "--score", "score", "--label", "rejected", "--decision", "flagged")

    model = learnt().model
    scores = traffic()["score"]
    assert model.decision == "flagged"
    assert model.threshold == scores[scores >= 0.4].min()
    assert "flagged: score ≥ 0.4" in told
    assert "flagged" not in [column.name for column in model.features]


@pytest.mark.usefixtures("folder")
def test_init_takes_decisions_that_no_threshold_explains(traffic: Any):
    save("decided.parquet", traffic(flagged=lambda data: data["held"]))

    run("init", "decided.parquet", "--score", "score", "--label", "rejected", "--decision", "flagged")

    assert learnt().model.threshold is None
    assert "live.flagged_share()" in Path("monitor_model.py").read_text(encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_holdout_and_id_may_be_columns_that_only_live_data_have():
    init("--holdout", "let_through", "--id", "application_id")

    model = learnt().model
    assert (model.holdout, model.id) == ("let_through", "application_id")
    assert "live.holdout.precision()" in Path("monitor_model.py").read_text(encoding="utf-8")
    run("test", "monitor_model.py", "live.parquet")


@pytest.mark.usefixtures("folder")
def test_an_id_is_not_counted(traffic: Any):
    save("ids.parquet", traffic() | {"application_id": np.arange(2_000)})

    init("--id", "application_id", data="ids.parquet")

    assert "application_id" not in [column.name for column in learnt().model.columns]


@pytest.mark.usefixtures("folder")
def test_what_looks_like_an_identifier_is_left_out_and_said_so(traffic: Any):
    save("ids.parquet", traffic() | {"customer_id": np.arange(2_000), "comment": [f"text {at}" for at in range(2_000)]})

    told = init(data="ids.parquet")

    assert "note: customer_id: every row has another whole number, so it is left out as an identifier" in told
    assert "note: comment: nearly every row has another text, so it is left out" in told


@pytest.mark.usefixtures("folder")
def test_time_teaches_how_much_windows_vary(traffic: Any):
    days = pd.date_range("2024-01-01", periods=5_000, freq="20min")
    save("timed.parquet", traffic(5_000, seed=0) | {"applied_at": days})

    told = init("--time", "applied_at", data="timed.parquet")

    assert "time: 10 windows, one a week, tell how much windows vary" in told
    assert learnt().windows == ("week", 10)
    assert "in 10 windows (one a week)" in Path("monitor_model.py").read_text(encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_segments_may_be_several():
    init("--segment", "platform", "--segment", "city")

    assert learnt().model.segments == ("platform", "city")
    monitor = Path("monitor_model.py").read_text(encoding="utf-8")
    assert "def inputs_are_whole_by_platform(live):" in monitor
    assert 'live.by("city").features.missing()' in monitor


@pytest.mark.usefixtures("folder")
def test_out_and_name_say_where_and_what():
    told = init("--name", "Credit risk 2024", "--out", "deep/down")

    assert Path("deep/down/monitor_credit_risk_2024.py").is_file()
    assert learnt("deep/down/reference.json").model.name == "Credit risk 2024"
    assert f"wrote {Path('deep/down/monitor_credit_risk_2024.py')}" in told
    run("test", "deep/down/monitor_credit_risk_2024.py", "live.parquet")


@pytest.mark.usefixtures("folder")
def test_task_and_kinds_overrule_what_the_data_look_like(traffic: Any):
    save("codes.parquet", traffic(2_000, branch=lambda data: np.arange(2_000) % 7))

    run("init", "codes.parquet", "--score", "score", "--task", "regression", "--kind", "branch=categorical",
        "--kind", "city=ignore")  # fmt: skip

    model = learnt().model
    assert model.task == "regression"
    assert model.column("branch").kind == "categorical"
    assert "city" not in [column.name for column in model.columns]


@pytest.mark.usefixtures("folder")
def test_a_monitor_file_that_exists_is_kept():
    init()
    mine = "# my own words\n" + Path("monitor_model.py").read_text(encoding="utf-8")
    Path("monitor_model.py").write_text(mine, encoding="utf-8")

    told = init("--segment", "platform")

    assert "kept  monitor_model.py, which exists; delete it to have it written anew" in told
    assert Path("monitor_model.py").read_text(encoding="utf-8") == mine
    assert learnt().model.segments == ("platform",)


@pytest.mark.usefixtures("folder")
def test_a_monitor_that_derives_columns_is_learnt_again_with_them(traffic: Any):
    init("--segment", "platform", "--holdout", "held", "--kind", "owner=categorical")
    added = """

@model.column
def rent_to_income(rent, income):
    return 12 * rent / income


@model.column
def is_in_debt(row):
    return "yes" if row["debt"] is not None and row["debt"] > 100 else "no"


@model.check(ticket="ml")
def ratios_are_known(live):
    assert live["rent_to_income"].mean() <= 10
    assert live["is_in_debt"].share("yes") >= 0.1
    assert live["rent_to_income"].out_of_range() <= 0.01
"""
    monitor = Path("monitor_model.py")
    monitor.write_text(monitor.read_text(encoding="utf-8") + added, encoding="utf-8")
    before = learnt().model

    unknown = run("test", "monitor_model.py", "live.parquet", expect=2)
    assert "derived column 'is_in_debt' is not in the reference. Learn it again: wakeful init DATA --monitor" in unknown

    told = run("init", "train.parquet", "--monitor", "monitor_model.py")
    assert "kept  monitor_model.py" in told

    after = learnt().model
    assert [(column.name, column.kind) for column in after.features if column.derived] == [
        ("rent_to_income", "numeric"),
        ("is_in_debt", "categorical"),
    ]
    for role in ("name", "task", "threshold", "label", "holdout", "segments", "score"):
        assert getattr(after, role) == getattr(before, role)
    assert after.features[:-2] == before.features
    run("test", "monitor_model.py", "live.parquet")

    save("yearly.parquet", traffic(rent=lambda data: 12 * data["rent"]))
    written = report("yearly.parquet", expect=1)
    assert {one["column"] for one in written["explanation"]} == {"rent", "rent_to_income"}
    assert "ratios_are_known" in {one["check"] for one in written["verdicts"] if one["verdict"] == "fail"}


@pytest.mark.usefixtures("folder")
def test_learning_again_leaves_out_what_was_left_out_before(traffic: Any):
    init("--kind", "city=ignore")
    before = learnt().model
    save("more.parquet", traffic() | {"new": np.arange(2_000)})

    told = run("init", "more.parquet", "--monitor", "monitor_model.py")

    assert learnt().model == before
    assert learnt().rows == 2_000
    assert "note: city: no feature before, so it is left out" in told
    assert "note: new: no feature before, so it is left out" in told


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "function",
    [
        "def ratio(rent):\n    raise RuntimeError",
        "def ratio(row):\n    return row['rnt']",
        "def ratio(rent):\n    return [1]",
        "def ratio(row):\n    return [row['rent']]",
        "def ratio(row):\n    return None",
    ],
)
def test_a_derived_column_that_comes_to_nothing_is_refused(function: str):
    init()
    monitor = Path("monitor_model.py")
    monitor.write_text(f"{monitor.read_text(encoding='utf-8')}\n\n@model.column\n{function}\n", encoding="utf-8")

    told = error("init", "train.parquet", "--monitor", "monitor_model.py")

    assert flat(told) == (
        "derived column 'ratio' has no number, text or truth value in any row: does its function fail? "
        "Call it on one row."
    )


@pytest.mark.usefixtures("folder")
def test_roles_are_not_named_anew_when_a_monitor_is_learnt_again():
    init()

    told = run("init", "train.parquet", "--monitor", "monitor_model.py", "--segment", "city", expect=2)

    assert "--monitor learns its own reference again" in told
    told = run("init", "train.parquet", "--monitor", "monitor_model.py", "--out", "elsewhere", expect=2)
    assert "give no other option" in told


@pytest.mark.usefixtures("folder")
def test_a_derived_column_of_a_misspelt_column_names_the_right_one():
    init()
    monitor = Path("monitor_model.py")
    monitor.write_text(
        f"{monitor.read_text(encoding='utf-8')}\n\n@model.column\ndef ratio(rnt):\n    return 2 * rnt\n",
        encoding="utf-8",
    )

    told = error("init", "train.parquet", "--monitor", "monitor_model.py")

    assert flat(told) == "unknown column of the derived column 'ratio' 'rnt'. Did you mean 'rent'?"


# ---------------------------------------------------------------- the file that init writes


def classes(rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(["cat", "dog", "owl"], rows, p=[0.5, 0.3, 0.2])
    answer = np.where(rng.random(rows) < 0.85, truth, rng.choice(["cat", "dog", "owl"], rows))
    return {
        "weight": rng.gamma(3, 2, rows),
        "legs": rng.choice(["two", "four"], rows),
        "answer": answer,
        "truth": truth,
    }


def prices(rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    area = rng.gamma(5, 20, rows)
    price = 3_000 * area + rng.normal(0, 20_000, rows)
    return {
        "area": area,
        "street": rng.choice(["A", "B"], rows),
        "predicted": price + rng.normal(0, 15_000, rows),
        "paid": price,
    }


def timed(make: Callable[[int, int], dict[str, Any]]) -> Callable[[int, int], dict[str, Any]]:
    return lambda rows, seed: make(rows, seed) | {"at": pd.date_range("2024-01-01", periods=rows, freq="10min")}


BINARY = "--score score --label rejected --threshold 0.5"
KINDS: dict[str, tuple[str, str]] = {
    "binary": ("loans", BINARY),
    "binary with a holdout": ("loans", f"{BINARY} --holdout held"),
    "binary without threshold": ("loans", "--score score --label rejected"),
    "without label": ("loans", "--score score --threshold 0.5"),
    "with time": ("timed loans", f"{BINARY} --time at"),
    "with segments": ("loans", f"{BINARY} --segment platform --segment city"),
    "multi-class": ("classes", "--score answer --label truth"),
    "multi-class without label": ("classes", "--score answer"),
    "regression": ("prices", "--score predicted --label paid"),
    "regression with time and segments": ("timed prices", "--score predicted --label paid --time at --segment street"),
    "regression without label": ("prices", "--score predicted"),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_monitor_file_is_good_python_and_passes_on_fresh_data(kind: str, traffic: Any):
    source, options = KINDS[kind]
    make = {"loans": traffic, "classes": classes, "prices": prices}[source.split()[-1]]
    if source.startswith("timed"):
        make = timed(make)
    save("data.parquet", make(5_000, 0))

    run("init", "data.parquet", *options.split())

    written = Path("monitor_model.py").read_text(encoding="utf-8")
    ast.parse(written)
    for command in ("check --extend-select E,W,N,B,UP,I,SIM", "format --check"):
        arguments = [*command.split(), "--isolated", "--line-length", "120", "--no-cache", "monitor_model.py"]
        ruff = subprocess.run([BIN / "ruff", *arguments], capture_output=True, text=True, check=False)
        assert ruff.returncode == 0, ruff.stdout + ruff.stderr
    monitor = load_monitor("monitor_model.py")
    fears = [check.fear for check in monitor.checks if check.page]
    assert all(fears)
    assert len(fears) >= 3 if "label" in options else len(fears) >= 2
    for rows, seed in ((3_000, 1), (400, 2), (20_000, 3), (50, 4)):
        judged = monitor.test(make(rows, seed))
        assert judged.failed == [], [one.judgement.message for one in judged.failed]
        assert judged.explanation == []


@pytest.mark.usefixtures("folder")
def test_checks_stand_in_the_order_of_what_matters():
    init("--segment", "platform")

    written = Path("monitor_model.py").read_text(encoding="utf-8")

    titles = [line for line in written.splitlines() if line.startswith("# ") and line[2].isdigit()]
    assert [title.split(":")[0] for title in titles] == ["# 1. Outcomes", "# 2. Answers", "# 3. Faults", "# 4. Shifts"]
    severities = [check.severity for check in load_monitor("monitor_model.py").checks]
    assert severities == sorted(severities, key=["page", "ticket", "explain"].index)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["Kredit-Größe", "収入", "2024", "class", 'say "no"', "it's", '"""', "a\\b", "²", ""])
def test_a_model_may_have_any_name(name: str, traffic: Any):
    rename = {"platform": 'plat"form', "city": "it's\nhere", "owner": "größe.収入"}
    data = {rename.get(column, column): values for column, values in traffic().items()}
    save("odd.parquet", data)

    init("--name", name, *(f"--segment={one}" for one in rename.values()), "--out", "odd", data="odd.parquet")

    [monitor] = Path("odd").glob("monitor_*.py")
    assert load_monitor(monitor).reference.model.name == name
    run("test", str(monitor), "odd.parquet")


# ---------------------------------------------------------------- labels that decisions hide


@pytest.mark.usefixtures("folder")
def test_rows_that_a_decision_hides_are_weighed_not_dropped(traffic: Any):
    data = traffic(40_000, seed=5)
    flagged = data["score"] >= 0.5
    hidden = flagged & ~data["held"]
    data["truth"] = data["rejected"]
    data["rejected"] = np.where(hidden, np.nan, data["rejected"])
    save("traffic.parquet", {name: values for name, values in data.items() if name != "truth"})
    init("--holdout", "held")
    assert np.isnan(data["rejected"][flagged]).mean() > 0.7

    verdicts = {one["assertion"].split(" ")[1]: one for one in report("traffic.parquet")["verdicts"]}

    truth = data["truth"]
    for signal, exact in {
        "precision": truth[flagged].mean(),
        "recall": truth[flagged].sum() / truth.sum(),
    }.items():
        one = verdicts[f"live.holdout.{signal}()"]
        assert one["low"] < exact < one["high"]
        assert one["estimate"] == pytest.approx(exact, abs=0.02)
        assert one["verdict"] == "pass"
    assert round(verdicts["live.holdout.precision()"]["n"]) == (flagged & data["held"]).sum()
    naive_recall = np.nansum(data["rejected"][flagged]) / np.nansum(data["rejected"])
    assert abs(naive_recall - verdicts["live.holdout.recall()"]["estimate"]) > 0.3
    [share] = [one for name, one in verdicts.items() if name == "0.42" or "flagged_share" in one["assertion"]][:1]
    assert share["n"] == 40_000
    assert share["estimate"] == flagged.mean()


@pytest.mark.usefixtures("folder")
def test_without_a_holdout_what_a_decision_hides_is_not_known_rather_than_zero(traffic: Any):
    init()
    hidden = traffic(rejected=lambda data: np.where(data["score"] >= 0.5, np.nan, data["rejected"]))
    save("hidden.parquet", hidden)

    verdicts = {one["check"]: one for one in report("hidden.parquet")["verdicts"]}

    for check in ("flagged_are_right", "cases_are_found", "scores_rank_cases"):
        assert (verdicts[check]["verdict"], verdicts[check]["estimate"]) == ("unsure", None)


@pytest.mark.usefixtures("folder")
def test_labels_that_come_late_leave_the_other_checks_at_work(traffic: Any):
    init()
    late = traffic(income=lambda data: 100 * data["income"])
    del late["rejected"]
    save("late.parquet", late)

    written = report("late.parquet", expect=1)

    verdicts = {(one["check"], one["column"], one["verdict"]) for one in written["verdicts"]}
    assert ("flagged_are_right", None, "unsure") in verdicts
    assert ("inputs_are_whole", "income", "fail") in verdicts


# ---------------------------------------------------------------- bad input


def error(*arguments: str) -> str:
    told = run(*arguments, expect=2)
    assert told.startswith("error ")
    assert "Traceback" not in told
    return told.removeprefix("error ").strip()


@pytest.mark.usefixtures("folder")
def test_a_name_that_is_not_there_is_answered_with_those_that_are_near():
    assert error("init", "train.parquet", "--score", "scor") == "unknown score column 'scor'. Did you mean 'score'?"
    assert error("init", "train.parquet", "--score", "score", "--label", "rejectd") == (
        "unknown label column 'rejectd'. Did you mean 'rejected'?"
    )
    assert error("init", "train.parquet", "--score", "score", "--segment", "plattform") == (
        "unknown column 'plattform'. Did you mean 'platform'?"
    )
    assert error("init", "train.parquet", "--score", "score", "--time", "when") == (
        "unknown time column 'when'. Known: income, rent, debt, city, owner, platform, score, rejected, held."
    )
    assert error("init", "train.parquet", "--score", "score", "--kind", "ctiy=ignore").startswith(
        "unknown column 'ctiy'"
    )


@pytest.mark.usefixtures("folder")
def test_paths_that_lead_nowhere_are_told(folder: Path):
    init()
    broken = Path("broken.parquet")
    broken.write_bytes(b"PAR1 and then nothing")
    Path("rows.xlsx").write_bytes(b"")
    Path("data").mkdir()

    assert error("init", "no.parquet", "--score", "score") == "no data at no.parquet: the file does not exist."
    assert error("init", "data", "--score", "score") == "data is a folder. Name one Parquet or CSV file in it."
    assert "its name must end in .parquet or .csv" in error("init", "rows.xlsx", "--score", "score")
    assert error("test", "monitor_model.py", "broken.parquet").startswith("cannot read broken.parquet: ")
    assert error("test", "no.py", "live.parquet").startswith(
        "no monitor file at no.py. Write one with: wakeful init DATA"
    )
    assert error("test", "data", "live.parquet").startswith("no monitor file at data.")
    Path("reference.json").unlink()
    assert error("test", "monitor_model.py", "live.parquet").startswith("no reference at ")
    Path("reference.json").write_text("{", encoding="utf-8")
    assert "is damaged" in error("test", "monitor_model.py", "live.parquet")


@pytest.mark.usefixtures("folder")
def test_a_report_that_cannot_be_written_is_told(folder: Path):
    init()

    told = run("test", "monitor_model.py", "live.parquet", "--json", "no/such/folder.json", expect=2)

    assert "error [Errno 2] No such file or directory: 'no/such/folder.json'" in told


@pytest.mark.usefixtures("folder")
def test_no_rows_are_nothing_to_learn_from_or_to_judge(traffic: Any):
    init()
    save("empty.parquet", {name: values[:0] for name, values in traffic(10).items()})

    assert error("init", "empty.parquet", "--score", "score").startswith(
        "a reference needs at least 20 rows, but the data have 0."
    )
    assert error("test", "monitor_model.py", "empty.parquet").startswith("the data have no rows")


@pytest.mark.usefixtures("folder")
def test_data_without_the_score_are_told(traffic: Any):
    init()
    save("noscore.parquet", {name: values for name, values in traffic().items() if name != "score"})

    assert error("test", "monitor_model.py", "noscore.parquet").startswith(
        "unknown score column 'score'. Known: income, "
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--score score --threshold 7", "threshold 7 flags nothing: scores lie between "),
        ("--score score --threshold -1", "threshold -1 flags everything: scores lie between "),
        ("--score score --threshold nan", "threshold must be a finite number, not nan."),
        ("--score score --label score", "score and label are both 'score'."),
        ("--score score --label city", "label 'city' must be 0 or 1 for a binary score, but holds '"),
        ("--score score --decision city", "decision 'city' holds text. Make it 1 and 0, or true and false."),
        ("--score score --kind city", "--kind 'city' must be COL=KIND, such as zip=categorical."),
        ("--score score --kind city=word", "kind 'word' of column 'city' is unknown. Use numeric, categorical"),
        ("--score score --kind city=numeric", "column 'city' cannot be numeric: its values are of type"),
        ("--score score --task classify", "task 'classify' is unknown. Use binary, multiclass, regression."),
        ("--score city --task regression", "score 'city' holds text, but the task is regression. Give numbers."),
        ("--score score --time city", "time column 'city' must hold dates or timestamps, not"),
    ],
)
def test_what_init_cannot_do_it_says(options: str, told: str):
    assert error("init", "train.parquet", *options.split()).startswith(told)
    assert not Path("reference.json").exists()


@pytest.mark.usefixtures("folder")
def test_what_is_typed_wrongly_is_told_with_the_usage():
    assert "name the column with the model's answer: --score" in run("init", "train.parquet", expect=2)
    assert "Missing argument 'DATA'" in run("test", "monitor.py", expect=2)
    assert "No such option" in run("init", "train.parquet", "--scroe", "score", expect=2)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import wakeful", "monitor.py defines no monitors; it must define one."),
        (
            "import wakeful\na = wakeful.Monitor('reference.json')\nb = wakeful.Monitor('reference.json')",
            "monitor.py defines 2 monitors; it must define one.",
        ),
        ("import wakeful\nm = wakeful.Monitor('reference.json')", "the monitor has no checks. Register one with"),
        ("import wakeful\nm = wakeful.Monitor('reference.json'", "monitor.py:2: '(' was never closed"),
        ("import wakeful\n\n1 / 0", "monitor.py:3: ZeroDivisionError: division by zero"),
        ("import nothing_like_this", "monitor.py:1: ModuleNotFoundError: No module named 'nothing_like_this'"),
        (
            "import wakeful\n\nm = wakeful.Monitor('reference.json', alarm_budget='one')",
            "monitor.py:3: 'one' is no alarm budget. Write pages per period: 1/90d is one false page in 90 days.",
        ),
        (
            "import wakeful\nm = wakeful.Monitor('reference.json')\n@m.check(window='24')\ndef c(live):\n    pass",
            "monitor.py:3: in c: window '24' is no duration. Write a whole number and a unit: 30m, 24h, 7d, 2w.",
        ),
        (
            "import wakeful\nm = wakeful.Monitor('reference.json')\n@m.check()\ndef c(live):\n"
            "    if live.score.d1() > 0.2:\n        assert live.recall() >= 0.1",
            "monitor.py:5: a comparison of a live value was used as a truth.",
        ),
        (
            "import wakeful\nm = wakeful.Monitor('reference.json')\n@m.check()\ndef c(live):\n"
            "    assert live['incme'].d1() <= 0.2",
            "monitor.py:5: in c: unknown column 'incme'. Did you mean 'income'?",
        ),
        (
            "import wakeful\nm = wakeful.Monitor('elsewhere.json')",
            "no reference at ",
        ),
    ],
)  # fmt: skip
def test_a_monitor_file_that_cannot_be_used_is_told_with_its_line(body: str, told: str):
    init()
    Path("monitor.py").write_text(body + "\n", encoding="utf-8")

    assert error("test", "monitor.py", "live.parquet").startswith(told)


def test_a_monitor_file_imports_its_neighbours_wherever_it_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    init()
    Path("limits_of_loans.py").write_text("PRECISION = 0.5\n", encoding="utf-8")
    Path("monitor_loans.py").write_text(
        "import limits_of_loans\nimport wakeful\n\nm = wakeful.Monitor('reference.json')\n\n\n"
        "@m.check()\ndef precise(live):\n    assert live.precision() >= limits_of_loans.PRECISION\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(folder.parent)

    told = run("test", f"{folder.name}/monitor_loans.py", f"{folder.name}/live.parquet")

    assert "≥ 0.5, reference 0." in told


# ---------------------------------------------------------------- the size of a holdout


def test_a_team_asks_how_many_cases_to_hold_out_and_what_that_costs():
    asked = ["holdout", "--precision", "0.95", "--margin", "0.02", "--traffic", "20000/d", "--flagged", "0.2"]

    told = run(*asked, "--share", "0.05", "--cost", "12")

    assert told.splitlines()[0] == "553 held-out cases with a known outcome (normal approximation: 457)"
    assert "5.00% of flagged cases held out: 200 a day for 2.76 days" in told
    assert "cost: 6,304, 11.40 a case, 2,280 a day" in told
    assert "0.46% of flagged cases held out" in run(*asked, "--within", "30d")
    assert "gain: 1,991" in run(*asked, "--share", "0.05", "--cost", "12", "--saved", "300")


def test_a_holdout_that_cannot_be_is_bad_input():
    told = run("holdout", "--precision", "0.95", "--margin", "0.02", "--detect", "0.9", expect=2)

    assert flat(told).startswith("error give either a margin")
