"""A monitor, and the tools that read what it compiles to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wakeful


@pytest.fixture(scope="session")
def loans(reference: wakeful.Reference) -> wakeful.Monitor:
    """Somebody is woken, somebody gets tickets, and a check explains."""
    monitor = wakeful.Monitor(reference)

    @monitor.check(window="1h", page="credit-risk", fear="We turn away good customers", action="Stop acting on it")
    def answers_keep_their_shape(live: Any) -> None:
        assert live.score.d1() <= 0.3

    @monitor.check(window="7d", ticket="ml-team", fear="The model decides on broken data")
    def inputs_are_whole(live: Any) -> None:
        assert live.features.missing() <= 0.3
        assert live["city"].unseen() <= 0.01

    @monitor.check(window="2h")
    def fewer_are_missing_than_yesterday(live: Any) -> None:
        assert live["debt"].missing() <= live.ago("1d")["debt"].missing() + 0.3

    return monitor


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
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
        )  # fmt: skip
        assert done.returncode == code, done.stdout[:8000]
        assert "duplicate rule" not in done.stdout, done.stdout[:8000]  # of which promtool only warns
        return done.stdout

    return run
