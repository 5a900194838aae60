"""What importing costs: a service imports numpy when it counts, and nothing more than it needs before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wakeful

HEAVY = ["duckdb", "numpy", "pandas", "polars", "prometheus_client", "pyarrow", "pytest", "rich", "sklearn", "typer"]


def loaded_by(code: str, names: list[str], cwd: Path | None = None) -> list[str]:
    """Which of some modules are there after ``code`` has run in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    return done.stdout.splitlines()[-1].split()


def test_import_wakeful_imports_nothing_heavy():
    assert loaded_by("import wakeful", [*HEAVY, "wakeful.monitor", "wakeful.errors"]) == []


def test_errors_can_be_caught_without_numpy():
    assert loaded_by("from wakeful import DataError, WakefulError", HEAVY) == []


def test_a_service_that_watches_needs_numpy_but_no_tables():
    code = "import wakeful\nwakeful.Monitor, wakeful.Reference, wakeful.Counts, wakeful.signal"

    assert loaded_by(code, HEAVY) == ["numpy"]


def test_a_service_counts_rows_without_pyarrow(reference: wakeful.Reference, tmp_path: Path):
    reference.save(tmp_path / "reference.json")
    code = (
        "import wakeful\nmonitor = wakeful.Monitor('reference.json')\n"
        "assert monitor.count([{'income': 1000.0, 'score': 0.7}] * 3).rows == 3"
    )

    assert loaded_by(code, HEAVY, cwd=tmp_path) == ["numpy"]


def test_the_command_line_shows_its_help_before_it_loads_tables():
    assert loaded_by("import wakeful.cli", ["pyarrow", "duckdb", "numpy"]) == []


def test_every_public_name_is_there_and_documented():
    assert wakeful.__all__ == sorted(wakeful.__all__)
    assert dir(wakeful) == wakeful.__all__
    for name in wakeful.__all__:
        assert getattr(wakeful, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'wakeful' has no attribute 'Moniter'"):
        wakeful.Moniter  # noqa: B018


def test_every_error_is_a_wakeful_error_and_the_fitting_built_in():
    built_in = {
        "CheckError": ValueError,
        "ControlFlowError": TypeError,
        "DataError": ValueError,
        "MissingExtra": ImportError,
        "ReferenceFileError": ValueError,
        "SignalError": TypeError,
        "UnknownName": LookupError,
    }
    for name, base in built_in.items():
        error = getattr(wakeful, name)
        assert issubclass(error, wakeful.WakefulError)
        assert issubclass(error, base)


@pytest.mark.parametrize(
    ("missing", "code", "told"),
    [
        ("pyarrow", "wakeful.learn({'score': [0.1] * 30}, score='score')", "needs pyarrow"),
        ("typer", "import wakeful.cli", "needs typer"),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(missing: str, code: str, told: str):
    script = f"import sys\nsys.modules[{missing!r}] = None\nimport wakeful\n{code}"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == (2 if "wakeful.cli" in code else 1)  # a command's exit code 1 says that a check fails
    last = done.stderr.strip().splitlines()[-1]
    assert told in last
    assert "pip install 'wakeful[" in last
