"""What a fresh process pays: for an import, for the pytest plugin, for `wakeful test` as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from counting import monitor_of, summing
from data import File
from measure import Seconds, in_turns, process, statement

PYTHON = sys.executable
WAKEFUL = str(Path(PYTHON).with_name("wakeful"))
DEMO = Path(__file__).parent.parent / "examples" / "loans" / "train.py"


def imports(rounds: int) -> dict[str, list[Seconds]]:
    """What one import takes in a process that has imported nothing yet."""
    runs = {
        "import numpy": statement("import numpy"),
        "import wakeful": statement("import wakeful"),
        "from wakeful import Monitor": statement("from wakeful import Monitor"),  # what the first use loads
        "the pytest plugin": statement("import wakeful.pytest_plugin", after="import pytest"),
    }
    return in_turns(runs, rounds)


def pytest_runs(folder: Path, rounds: int) -> dict[str, list[Seconds]]:
    """pytest on one test that does not use wakeful, without the installed plugin and with it."""
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    test = str(folder / "test_nothing.py")
    pytest = (PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder))
    runs = {
        "pytest, one test, without the plugin": process(*pytest, "-p", "no:wakeful", test),
        "pytest, one test, with the plugin": process(*pytest, test),
    }
    return in_turns(runs, rounds)


def commands(folder: Path, files: list[File], rounds: int) -> dict[str, list[Seconds]]:
    """`wakeful test` from start to exit, on the demo's 663 rows and on each file."""
    demo = folder / "demo"
    subprocess.run([PYTHON, DEMO, demo], check=True, stdout=subprocess.DEVNULL)
    runs = {
        "wakeful test, demo": process(WAKEFUL, "test", str(demo / "monitor_loans.py"), str(demo / "validation.parquet"))
    }
    for file in files:
        line = f"import duckdb; duckdb.sql({summing(file.path)!r}).fetchall()"
        runs[f"DuckDB sums, {file.name}"] = process(PYTHON, "-c", line)
        runs[f"wakeful test, {file.name}"] = process(WAKEFUL, "test", str(monitor_of(file)), str(file.path))
    return in_turns(runs, rounds)
