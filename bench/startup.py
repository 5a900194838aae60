"""What a fresh process pays: for an import, for the pytest plugin, for `wakeful test` as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from counting import monitor_of, summing
from data import File
from measure import Seconds, in_turns, process

PYTHON = sys.executable
WAKEFUL = str(Path(PYTHON).with_name("wakeful"))
DEMO = Path(__file__).parent.parent / "examples" / "loans" / "demo.py"


def imports(rounds: int) -> dict[str, list[Seconds]]:
    """Processes that import one thing; what Python itself takes is `nothing`."""
    lines = {
        "nothing": "pass",
        "numpy": "import numpy",
        "wakeful": "import wakeful",
        "wakeful.Monitor": "from wakeful import Monitor",  # `import wakeful` alone loads nothing yet
        "pytest": "import pytest",
        "pytest and the plugin": "import pytest, wakeful.pytest_plugin",
    }
    return in_turns({name: process(PYTHON, "-c", line) for name, line in lines.items()}, rounds)


def test_runs(folder: Path, rounds: int) -> dict[str, list[Seconds]]:
    """A test run of somebody who does not use wakeful, without and with the plugin installed."""
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    pytest = (PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder))
    runs = {
        "without": process(*pytest, "-p", "no:wakeful", str(folder / "test_nothing.py")),
        "with": process(*pytest, str(folder / "test_nothing.py")),
    }
    return in_turns(runs, rounds)


def commands(folder: Path, files: list[File], rounds: int) -> dict[str, list[Seconds]]:
    """`wakeful test` from start to exit, on the demo's 663 rows and on each file."""
    demo = folder / "demo"
    subprocess.run([PYTHON, DEMO, demo], check=True, stdout=subprocess.DEVNULL)
    runs = {
        "wakeful test, demo": process(
            WAKEFUL, "test", str(demo / "monitor_loans.py"), str(demo / "validation.parquet")
        )
    }
    for file in files:
        line = f"import duckdb; duckdb.sql({summing(file.path)!r}).fetchall()"
        runs[f"DuckDB sums, {file.name}"] = process(PYTHON, "-c", line)
        runs[f"wakeful test, {file.name}"] = process(WAKEFUL, "test", str(monitor_of(file)), str(file.path))
    return in_turns(runs, rounds)
