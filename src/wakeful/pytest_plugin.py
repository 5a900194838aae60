"""`pytest MONITOR.py --live DATA`: every check a test. Nothing of wakeful is imported until it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wakeful.counts import Counts
    from wakeful.explain import Cause
    from wakeful.monitor import Monitor
    from wakeful.verdicts import Verdict

_MOST_MESSAGES = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --live and --monitor; --strict is pytest's own, and asks the same of checks."""
    group = parser.getgroup("wakeful", "wakeful: checks of machine-learning models as tests")
    group.addoption("--live", metavar="DATA", help="rows that checks judge: a Parquet or CSV file")
    group.addoption("--monitor", metavar="MONITOR.py", help="monitor file of the `live` fixture")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the checks of monitor files that are named on the command line, in place of test functions."""
    if any(module_path.match(pattern) for pattern in parent.config.getini("python_files")):
        return None  # a file of ordinary tests, which may well make a monitor
    return MonitorFile.from_parent(parent, path=module_path) if _makes_a_monitor(module_path) else None


def _makes_a_monitor(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return "wakeful" in text and "Monitor(" in text


class MonitorFile(pytest.File):
    """A monitor file, whose checks are tests."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test per check."""
        try:
            monitor = _load(self.path)
        except pytest.UsageError as error:
            raise self.CollectError(str(error)) from None
        for check in monitor.checks:
            yield CheckItem.from_parent(self, name=check.name, line=check.place[1])


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, line: int, **rest: Any) -> None:
        super().__init__(**rest)
        self._line = line

    def runtest(self) -> None:
        """Judge the rows; all checks share one pass over them."""
        monitor, counts = _counted(self.config, self.path)
        check = next(one for one in monitor.checks if one.name == self.name)
        strict = bool(self.config.getoption("strict"))
        bad = ("fail", "unsure") if strict else ("fail",)
        judged = monitor.judge(check, counts, strict=strict)
        failed = [one for one in judged if one.verdict in bad]
        if failed:
            raise CheckFailed(failed, monitor.explain(counts))
        if judged and all(one.verdict == "maturing" for one in judged):
            pytest.skip(judged[0].judgement.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Verdicts and explanation, instead of a traceback through wakeful."""
        from wakeful.errors import WakefulError

        if isinstance(excinfo.value, CheckFailed | WakefulError | pytest.UsageError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the check stands."""
        return self.path, self._line - 1, f"check {self.name}"


class CheckFailed(AssertionError):
    """A check whose asserts the rows refute (or, strictly, do not support)."""

    def __init__(self, failed: list[Verdict], explanation: list[Cause]) -> None:
        lines = [f"{one.verdict}: {one.judgement.message}{'  ' + one.note if one.note else ''}" for one in failed]
        if len(lines) > _MOST_MESSAGES:
            lines[_MOST_MESSAGES:] = [f"… and {len(lines) - _MOST_MESSAGES} more"]
        if explanation:
            lines += ["", "What departs from the reference, most telling first:"]
            lines += [f"  {cause.kind}: {cause.text}" for cause in explanation[:8]]
        super().__init__("\n".join(lines))


_COUNTED: pytest.StashKey[dict[Path, tuple[Monitor, Counts]]] = pytest.StashKey()


def _counted(config: pytest.Config, path: Path) -> tuple[Monitor, Counts]:
    """A monitor and the counts of --live; read once for all of its checks."""
    known = config.stash.setdefault(_COUNTED, {})
    if path not in known:
        monitor = _load(path)
        known[path] = monitor, monitor.count_some(_live_data(config))
    return known[path]


def _live_data(config: pytest.Config) -> str:
    data = config.getoption("--live")
    if data is None:
        raise pytest.UsageError("checks judge rows: name them with --live DATA (a Parquet or CSV file)")
    return str(data)


def _load(path: Path) -> Monitor:
    from wakeful.errors import WakefulError
    from wakeful.loading import load_monitor

    try:
        return load_monitor(path)
    except WakefulError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Any:
    """Live traffic for ordinary tests: `assert live.score.d1() <= 0.2` judges at once.

    The rows are those of --live; the monitor file is that of --monitor, or the one on the command line.
    """
    path = request.config.getoption("--monitor")
    if path is None:
        named = [Path(one.split("::")[0]) for one in request.config.args]
        files = [one for one in named if one.suffix == ".py" and _makes_a_monitor(one)]
        if len(files) != 1:
            raise pytest.UsageError("the `live` fixture needs a monitor file: --monitor MONITOR.py")
        path = files[0]
    return _load(Path(path)).on(_live_data(request.config), strict=bool(request.config.getoption("strict")))
