"""`pytest MONITOR.py --live DATA`: every check a test, and nothing for those who do not use it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import wakeful

# Runs inside a run drop what they have imported, so all that they need is imported before.
import wakeful.learning
import wakeful.loading

pytest_plugins = ["pytester"]

MONITOR = """
import wakeful

loans = wakeful.Monitor("reference.json")


@loans.check(page="credit-risk", fear="We turn away good applicants")
def rejections_are_right(live):
    assert live.precision() >= 0.6


@loans.check(ticket="ml")
def incomes_are_whole(live):
    assert live["income"].out_of_range() <= 0.01, "ask the website team"
    assert live["income"].missing() <= 0.01
    assert live["income"].d1() <= 0.4
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, reference: wakeful.Reference, traffic: Any) -> pytest.Pytester:
    """A folder with a monitor file, healthy rows, rows whose incomes come in cents, and only a few rows."""
    reference.save(pytester.path / "reference.json")
    (pytester.path / "monitor_loans.py").write_text(MONITOR, encoding="utf-8")
    pq.write_table(pa.table(traffic()), "live.parquet")
    pq.write_table(pa.table(traffic(income=lambda data: 100 * data["income"])), "cents.parquet")
    pq.write_table(pa.table(traffic(30)), "few.parquet")
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def text(result: pytest.RunResult) -> str:
    return result.stdout.str() + result.stderr.str()


# ---------------------------------------------------------------- checks as tests


def test_every_check_is_a_test(suite: pytest.Pytester):
    result = run(suite, "monitor_loans.py", "--live", "live.parquet", "-v")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["monitor_loans.py::rejections_are_right PASSED*", "monitor_loans.py::incomes_are_whole PASSED*"]
    )


def test_a_failure_is_the_verdicts_and_the_explanation_and_no_traceback(suite: pytest.Pytester):
    result = run(suite, "monitor_loans.py", "--live", "cents.parquet")

    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    told = text(result).split("FAILURES")[1].split("short test summary")[0]
    assert re.search(r"check incomes_are_whole", told)
    shown = [line for line in told.splitlines() if line and not line.strip().startswith(("=", "_"))]
    assert shown[0].startswith("fail: income: out_of_range 1 (1.00–1, n=2,000) > 0.01, reference 0")
    assert shown[0].endswith("  ask the website team")
    assert shown[1].startswith("fail: income: d1 ")
    assert shown[2] == "What departs from the reference, most telling first:"
    assert shown[3].startswith("  fault: income: 100% above the range seen in training (")
    assert len(shown) == 4
    assert "wakeful/" not in told
    assert "Error" not in told


def test_strict_wants_the_rows_to_support_every_assert(suite: pytest.Pytester):
    run(suite, "monitor_loans.py", "--live", "few.parquet").assert_outcomes(passed=2)

    strict = run(suite, "monitor_loans.py", "--live", "few.parquet", "--strict")

    assert strict.parseoutcomes()["failed"] >= 1
    assert "unsure: " in text(strict)
    assert "is not clearly" in text(strict)


def test_a_monitor_may_be_imported_by_its_name(suite: pytest.Pytester):
    by_name = MONITOR.replace("import wakeful", "from wakeful import Monitor").replace("wakeful.Monitor(", "Monitor(")
    suite.path.joinpath("monitor_loans.py").write_text(by_name)

    run(suite, "monitor_loans.py", "--live", "live.parquet").assert_outcomes(passed=2)


def test_a_check_with_the_name_of_a_test_is_one_test(suite: pytest.Pytester):
    suite.path.joinpath("monitor_loans.py").write_text(MONITOR.replace("def rejections_are_right", "def test_right"))

    result = run(suite, "monitor_loans.py", "--live", "live.parquet", "-v")

    result.assert_outcomes(passed=2)
    assert text(result).count("test_right PASSED") == 1


def test_single_checks_can_be_chosen(suite: pytest.Pytester):
    run(suite, "monitor_loans.py::rejections_are_right", "--live", "cents.parquet").assert_outcomes(passed=1)
    run(suite, "monitor_loans.py", "-k", "whole", "--live", "cents.parquet").assert_outcomes(failed=1, deselected=1)


def test_checks_run_on_several_workers(suite: pytest.Pytester):
    result = run(suite, "monitor_loans.py", "--live", "cents.parquet", "-n", "2")

    result.assert_outcomes(passed=1, failed=1)
    assert "fault: income: 100% above the range" in text(result)


def test_without_rows_a_check_says_how_to_name_them(suite: pytest.Pytester):
    result = run(suite, "monitor_loans.py")

    result.assert_outcomes(failed=2)
    assert "checks judge rows: name them with --live DATA (a Parquet or CSV file)" in text(result)
    assert "Traceback" not in text(result)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("nothing.parquet", "no data at nothing.parquet: the file does not exist."),
        ("monitor_loans.py", "cannot tell what monitor_loans.py holds: its name must end in .parquet or .csv."),
    ],
)
def test_rows_that_cannot_be_read_are_told_without_a_traceback(suite: pytest.Pytester, data: str, told: str):
    result = run(suite, "monitor_loans.py", "--live", data)

    result.assert_outcomes(failed=2)
    assert told in text(result)
    assert "wakeful/" not in text(result)


def test_a_check_that_cannot_be_understood_is_told_with_its_line(suite: pytest.Pytester):
    suite.path.joinpath("monitor_loans.py").write_text(MONITOR.replace('live["income"].d1()', 'live["incme"].d1()'))

    result = run(suite, "monitor_loans.py", "--live", "live.parquet")

    assert "monitor_loans.py:16: in incomes_are_whole: unknown column 'incme'. Did you mean 'income'?" in text(result)
    assert result.ret == 1
    assert "wakeful/" not in text(result)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (MONITOR + "\n1 / 0\n", "monitor_loans.py:18: ZeroDivisionError: division by zero"),
        (MONITOR.replace("reference.json", "elsewhere.json"), "no reference at "),
        (
            MONITOR.replace("def incomes_are_whole", "def rejections_are_right"),
            "a check named rejections_are_right exists",
        ),
    ],
)
def test_a_monitor_file_that_cannot_be_loaded_is_told_without_a_traceback(
    suite: pytest.Pytester, wrong: str, told: str
):
    suite.path.joinpath("monitor_loans.py").write_text(wrong)

    result = run(suite, "monitor_loans.py", "--live", "live.parquet")

    assert result.ret != 0
    assert told in text(result)
    assert "wakeful/" not in text(result)


def test_a_monitor_file_that_is_not_named_is_not_collected(suite: pytest.Pytester):
    suite.makepyfile(test_other="def test_other():\n    pass")

    result = run(suite)

    result.assert_outcomes(passed=1)


def test_a_file_of_ordinary_tests_may_make_a_monitor(suite: pytest.Pytester):
    suite.makepyfile(
        test_mine="""
        import wakeful

        def test_mine():
            monitor = wakeful.Monitor("reference.json")
            live = monitor.on("live.parquet")
            assert live.precision() >= 0.6
        """
    )

    run(suite, "test_mine.py").assert_outcomes(passed=1)


# ---------------------------------------------------------------- live, in ordinary tests

ORDINARY = """
def test_incomes_stay(live):
    assert live["income"].d1() <= 0.4


def test_precision_stays(live):
    assert 0.6 <= live.precision() <= 1
"""


def test_ordinary_tests_may_ask_for_live(suite: pytest.Pytester):
    suite.makepyfile(test_ordinary=ORDINARY)

    run(suite, "test_ordinary.py", "--live", "live.parquet", "--monitor", "monitor_loans.py").assert_outcomes(passed=2)
    result = run(suite, "test_ordinary.py", "--live", "cents.parquet", "--monitor", "monitor_loans.py")

    result.assert_outcomes(passed=1, failed=1)
    assert re.search(r"assert income: d1 2 \(1\.\d+–2, n=2,000\) <= 0\.4", text(result))
    assert "where income: d1 2" in text(result)
    assert "= <signal d1>()" in text(result)
    assert "where <signal d1> = <live income>.d1" in text(result)


def test_live_is_that_of_the_one_monitor_that_runs_beside_the_tests(suite: pytest.Pytester):
    suite.makepyfile(test_ordinary=ORDINARY)

    run(suite, "monitor_loans.py", "test_ordinary.py", "--live", "live.parquet").assert_outcomes(passed=4)


def test_strict_holds_for_live_too(suite: pytest.Pytester):
    suite.makepyfile(test_ordinary=ORDINARY)
    arguments = ("test_ordinary.py", "--live", "few.parquet", "--monitor", "monitor_loans.py")

    run(suite, *arguments).assert_outcomes(passed=2)
    run(suite, *arguments, "--strict").assert_outcomes(failed=2)


def test_live_says_what_it_needs(suite: pytest.Pytester):
    suite.makepyfile(test_ordinary=ORDINARY)

    without_monitor = run(suite, "test_ordinary.py", "--live", "live.parquet")
    without_rows = run(suite, "test_ordinary.py", "--monitor", "monitor_loans.py")

    without_monitor.assert_outcomes(errors=2)
    assert "the `live` fixture needs a monitor file: --monitor MONITOR.py" in text(without_monitor)
    without_rows.assert_outcomes(errors=2)
    assert "name them with --live DATA" in text(without_rows)


# ---------------------------------------------------------------- nothing for others


def test_a_project_that_does_not_use_it_pays_nothing(tmp_path: Path):
    (tmp_path / "test_trivial.py").write_text(
        "import sys\n\n\ndef test_trivial(request):\n"
        "    assert request.config.pluginmanager.hasplugin('wakeful')\n"
        "    print('LOADED', *[name for name in sys.modules if name.startswith('wakeful')], 'numpy' in sys.modules)\n",
        encoding="utf-8",
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    [loaded] = re.findall(r"LOADED (.*)", done.stdout)
    assert loaded == "wakeful.version wakeful wakeful.pytest_plugin False"


def test_help_tells_of_the_options(pytester: pytest.Pytester):
    result = pytester.runpytest_inprocess("--help")

    told = " ".join(result.stdout.str().split())
    assert "--live=DATA rows that checks judge: a Parquet or CSV file" in told
    assert "--monitor=MONITOR.py monitor file of the `live` fixture" in told
