"""A monitor, what Prometheus records of it, and the tools that read what is compiled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wakeful
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, REFERENCE, ROWS, VERDICT, Plan, Recording
from wakeful.compile.quoting import quoted
from wakeful.expression import leaves_of


@pytest.fixture(scope="session")
def loans(reference: wakeful.Reference) -> wakeful.Monitor:
    """Somebody is woken, somebody gets tickets, and a check explains."""
    return make_loans(reference)


def make_loans(reference: wakeful.Reference) -> wakeful.Monitor:
    monitor = wakeful.Monitor(reference)

    @monitor.check(
        window="1h", page="credit-risk", fear="We turn away good customers", action="Stop acting on the score"
    )
    def flagged_are_right(live: Any) -> None:
        assert live.holdout.precision() >= 0.6

    @monitor.check(window="1h", ticket="ml-team", fear="The model decides on broken data")
    def inputs_are_whole(live: Any) -> None:
        assert live.features.missing() <= 0.3

    @monitor.check(window="2h")
    def fewer_are_missing_than_yesterday(live: Any) -> None:
        assert live["debt"].missing() <= live.ago("1d")["debt"].missing() + 0.3

    return monitor


@pytest.fixture(scope="session")
def plan() -> Callable[[wakeful.Monitor], Plan]:
    """What is recorded of such a monitor."""
    return plan_of


_COUNTERS = {"bin": "column, bin", "outcome": "bin, truth, flagged, cohort"}


def plan_of(monitor: wakeful.Monitor) -> Plan:
    """By hand: normal intervals in place of wakeful's, and assertions such as those above only."""
    model = quoted(monitor.reference.model.name)
    windows = {check.window for check in monitor.checks}
    shared = tuple(
        Recording(
            f"wakeful:{name}:increase{window}",
            f"sum by (model, version, {labels}) (increase(wakeful_{name}_total{{model={model}}}[{window}]))",
            {},
        )
        for name, labels in _COUNTERS.items()
        for window in sorted(windows)
    )
    checks: dict[str, tuple[Recording, ...]] = {}
    for check in monitor.checks:
        (one,) = monitor.assertions(check)

        def summed(by: str, more: str, name: str = "bin", offset: str = "", window: str = check.window) -> str:
            return f"sum by (model, version{by}) (wakeful:{name}:increase{window}{{model={model}{more}}}{offset})"

        if "missing" in one.source:
            names = next(leaves_of(one.comparison.left)).columns or ()
            columns = f",column={quoted(names[0])}" if len(names) == 1 else f',column=~"{"|".join(names)}"'
            missing = columns + ',bin="(missing)"'
            parts, rows = summed(", column", missing), summed(", column", columns)
            limit = "0.3"
            if "ago" in one.source:
                before = [summed(", column", more, offset=" offset 1d") for more in (missing, columns)]
                limit = f"({' / '.join(before)} + 0.3)"
        else:
            held = ',cohort="holdout",truth'
            parts = summed("", f'{held}="positive"', "outcome")
            rows = summed("", f'{held}=~"positive|negative"', "outcome")
            limit = "0.6"
        checks[check.name] = tuple(_recordings(check.name, one.source, parts, rows, limit))
    return Plan(monitor.reference.model.name, shared, checks, ())


def _recordings(check: str, source: str, parts: str, rows: str, limit: str) -> Iterator[Recording]:
    labels = {"check": check, "assertion": source, "at": "0"}
    own = f"{{check={quoted(check)}}}"
    width = f"4 * sqrt(0.25 / {ROWS}{own})"
    yield Recording(ESTIMATE, f"{parts} / {rows}", labels)
    yield Recording(ROWS, rows, labels)
    yield Recording(LOW, f"{ESTIMATE}{own} - {width}", labels)
    yield Recording(HIGH, f"{ESTIMATE}{own} + {width}", labels)
    earlier = "on (model, version) group_left () " if "offset" in limit else ""
    yield Recording(LIMIT, f"0 * {ESTIMATE}{own} + {earlier}{limit}", labels)
    yield Recording(REFERENCE, f"0 * {ESTIMATE}{own} + 0.2", labels)
    refuted = f"{HIGH}{own} < bool {LIMIT}{own}" if ">=" in source else f"{LOW}{own} > bool {LIMIT}{own}"
    yield Recording(VERDICT, f"2 * ({refuted})", labels)


Tool = Callable[..., str]


@pytest.fixture(scope="session")
def promtool(real_component: Any) -> Tool:
    """Runs promtool; its output, once it has found nothing wrong."""
    return _tool(real_component, "promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool(real_component: Any) -> Tool:
    """Runs amtool; its output, once it has found nothing wrong."""
    return _tool(real_component, "amtool", "prometheus-alertmanager")


def _tool(real_component: Any, name: str, package: str) -> Tool:
    path = shutil.which(name)
    real_component(path is not None, name, f"apt-get install --no-install-recommends {package}")

    def run(*arguments: str | Path, cwd: Path | None = None, code: int = 0) -> str:
        done = subprocess.run(
            [str(path), *map(str, arguments)], cwd=cwd, text=True, encoding="utf-8", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    return run
