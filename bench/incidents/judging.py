"""Tools judge windows: in this process, or in the environment that has the tool."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from datasets import PROJECT
from traffic import CLEAN, Scenario, TooFewRows, windows
from worlds import World

TOOLS = Path(__file__).resolve().parent / "tools"
ENVIRONMENTS = PROJECT / "build" / "incidents" / "environments"


class Adapter(NamedTuple):
    """Where a tool's adapter is, and the environment that it needs, if not this one."""

    name: str
    path: Path
    environment: str | None = None

    @property
    def python(self) -> Path | None:
        return None if self.environment is None else ENVIRONMENTS / self.environment / "bin" / "python"


ADAPTERS = {
    one.name: one
    for one in (
        Adapter("wakeful", TOOLS / "wakeful_init.py"),
        Adapter("d1-rule", TOOLS / "d1_rule.py"),
        Adapter("psi-rule", TOOLS / "psi_rule.py"),
        Adapter("evidently", TOOLS / "evidently_preset.py", "evidently"),
        Adapter("nannyml", TOOLS / "nannyml_defaults.py", "nannyml"),
        Adapter("alibi-detect", TOOLS / "alibi_tabular.py", "alibi_detect"),
    )
}


class Case(NamedTuple):
    """A window of a draw of a scenario; ``at`` counts the windows of the draw from 1."""

    scenario: Scenario
    rows: int
    draw: int
    at: int
    window: pd.DataFrame


@dataclass(frozen=True)
class Judged:
    """What a tool said of a window, and what was true."""

    tool: str
    world: str
    rows: int
    kind: str
    what: str
    scenario: str
    draw: int
    at: int
    alarm: bool
    ranking: list[str]
    messages: list[str]
    culprit: list[str]
    seconds: float

    def line(self) -> str:
        return json.dumps(asdict(self))


def cases(
    world: World, scenarios: Iterable[Scenario], rows: int, *, seed: int, draws: int, clean: int, skipped: list[str]
) -> Iterator[Case]:
    """Clean windows, and the draws of every scenario; what cannot be drawn is added to ``skipped``."""
    for scenario in (CLEAN, *scenarios):
        number = 2 if scenario.kind == "incident" else 1
        for draw in range(clean if scenario is CLEAN else draws):
            try:
                made = windows(world, scenario, rows, number, seed, draw)
            except TooFewRows as error:
                skipped.append(str(error))
                break
            for at, window in enumerate(made, 1):
                yield Case(scenario, rows, draw, at, window)


def judge(adapter: Adapter, world: World, rows: int, found: Iterable[Case]) -> Iterator[Judged]:
    """Every case, judged; in the tool's own environment where it needs one.

    Args:
        adapter: of the tool.
        world: whose reference the tool learns from.
        rows: of a window, typically.
        found: what it judges.
    """
    if adapter.python is None:
        tool = load(adapter.path)
        tool.prepare(world.reference, world.roles(rows))
        earlier: list[pd.DataFrame] = []
        for case in found:
            if case.at == 1:
                earlier.clear()
            start = time.perf_counter()
            said = tool.judge(case.window, earlier) if hasattr(tool, "looks_back") else tool.judge(case.window)
            earlier.append(case.window)
            yield _judged(adapter, world, case, said._asdict(), time.perf_counter() - start)
    else:
        yield from _judge_apart(adapter, world, rows, found)


def load(path: Path) -> Any:
    """A new Tool of an adapter's module."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    specification = importlib.util.spec_from_file_location(f"adapter_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise FileNotFoundError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.Tool()


def _judge_apart(adapter: Adapter, world: World, rows: int, found: Iterable[Case]) -> Iterator[Judged]:
    """Windows as Parquet in a folder, judgements as JSON lines: all that two environments need to share."""
    with tempfile.TemporaryDirectory(prefix="incidents-") as name:
        folder = Path(name)
        world.reference.to_parquet(folder / "reference.parquet")
        (folder / "roles.json").write_text(json.dumps(world.roles(rows)), encoding="utf-8")
        kept = []
        for number, case in enumerate(found):
            case.window.to_parquet(folder / f"{number:06d}.parquet")
            kept.append(case._replace(window=case.window.head(0)))
        command = [str(adapter.python), str(TOOLS / "serve.py"), str(adapter.path), str(folder)]
        log = folder / "stderr"
        with (
            log.open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as run,
        ):
            assert run.stdout is not None
            for line in run.stdout:
                if line.startswith("{"):  # tools print things of their own
                    said = json.loads(line)
                    yield _judged(adapter, world, kept[said.pop("window")], said, said.pop("seconds"))
        if run.returncode:
            raise RuntimeError(f"{adapter.name} failed:\n{log.read_text()[-2000:]}")


def _judged(adapter: Adapter, world: World, case: Case, said: dict[str, Any], seconds: float) -> Judged:
    scenario = case.scenario
    return Judged(
        adapter.name, world.name, case.rows, scenario.kind, scenario.what, scenario.name, case.draw, case.at,
        bool(said["alarm"]), list(said["ranking"]), list(said["messages"]), sorted(scenario.culprit), seconds,
    )  # fmt: skip
