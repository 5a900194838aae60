"""Boards are what the types say that Grafana ships: the TypeScript compiler reads them, every option of every panel."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from boards import Board

import wakeful
from wakeful.compile.grafana import dashboards
from wakeful.compile.stack import compose

FRONTEND = Path(__file__).parent / "frontend"
COMPILER = {
    "strict": True, "noEmit": True, "skipLibCheck": True, "preserveSymlinks": True, "types": [],
    "target": "es2022", "module": "esnext", "moduleResolution": "bundler",
}  # fmt: skip

Compiler = Callable[[Mapping[str, Board]], dict[str, str]]


@pytest.fixture(scope="session")
def compiled(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    """What the compiler says of boards, by their names; nothing of those that are right."""

    def run(boards: Mapping[str, Board]) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("types")
        (folder / "node_modules").symlink_to(modules)
        shutil.copy(FRONTEND / "board.ts", folder)
        for name, board in boards.items():
            text = f'import type {{ Board }} from "./board";\nexport const board: Board = {json.dumps(board)};\n'
            (folder / f"{name}.ts").write_text(text)
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "include": ["*.ts"]}))
        command = ["node", modules / "typescript" / "bin" / "tsc", "--project", ".", "--pretty", "false"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        told = re.findall(r"^(\S+)\.ts\(\d+,\d+\): (error .*(?:\n .*)*)", done.stdout, re.MULTILINE)
        assert bool(told) == bool(done.returncode), done.stdout + done.stderr
        return {name: "\n".join(text for of, text in told if of == name) for name in (*boards, "board")}

    return run


def test_every_board_is_what_grafana_reads(boards: dict[str, Board], loans: Any, plans: Any, compiled: Compiler):
    bare = wakeful.Monitor(loans.monitor.reference)  # its board has a text in place of a ranking
    every = {Path(name).stem: board for name, board in boards.items()}
    every["bare"] = json.loads(dashboards([(bare, plans(bare))])["loans.json"])

    assert {name: told for name, told in compiled(every).items() if told} == {}
    kinds = {one["type"] for board in every.values() for one in board["panels"]}
    assert kinds == set(re.findall(r'Drawn<"(.*?)"', (FRONTEND / "board.ts").read_text())) | {"row", "text"}


def test_types_are_those_of_the_grafana_that_comes_up(boards: dict[str, Board], modules: Path):
    image = compose("rules.yml")["services"]["grafana"]["image"]
    for package in "schema", "data":
        about = json.loads((modules / "@grafana" / package / "package.json").read_text())
        assert about["version"] == image.removeprefix("grafana/grafana:")

    script = "import(process.argv[1]).then(types => console.log(types.defaultDashboard.schemaVersion))"
    types = modules / "@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.mjs"
    done = subprocess.run(["node", "-e", script, types], capture_output=True, text=True, timeout=60, check=True)
    assert {board["schemaVersion"] for board in boards.values()} == {int(done.stdout)}


# What the compiler would let through if the types were wide: where, what stands there, a word of the complaint.

LACKING = object()
SPOILT: dict[str, tuple[object, str]] = {
    "schemaVersion": (LACKING, "schemaVersion"),
    "refreshes": ("1m", "refreshes"),
    "graphTooltip": (3, "3"),
    "time/until": ("now", "until"),
    "panels/timeseries/type": ("timeserie", "timeserie"),
    "panels/table/titles": ("x", "titles"),
    "panels/table/gridPos/h": ("8", "number"),
    "panels/timeseries/options/legend/showLegends": (True, "showLegends"),
    "panels/table/options/barWidth": (0.9, "barWidth"),
    "panels/barchart/options/stacking": (LACKING, "stacking"),
    "panels/timeseries/options/tooltip/mode": ("many", "many"),
    "panels/bargauge/options/reduceOptions/calcs/0": ("newest", "newest"),
    "panels/timeseries/fieldConfig/defaults/units": ("s", "units"),
    "panels/table/fieldConfig/defaults/custom/lineWidth": (1, "lineWidth"),
    "panels/timeseries/fieldConfig/defaults/custom/showPoints": ("yes", "yes"),
    "panels/state-timeline/fieldConfig/defaults/color": ("red", "string"),
    "panels/bargauge/fieldConfig/defaults/thresholds/steps/1/value": ("2", "string"),
    "panels/state-timeline/fieldConfig/defaults/mappings/0/type": ("range", "range"),
    "panels/table/fieldConfig/overrides/Behind/matcher/id": ("byTitle", "byTitle"),
    "panels/table/fieldConfig/overrides/Behind/properties/unit/id": ("units", "units"),
    "panels/table/fieldConfig/overrides/Behind/properties/unit/value": (1, "number"),
    "panels/table/fieldConfig/overrides/Behind/properties/custom.cellOptions/id": ("custom.cellOption", "cellOption"),
    "panels/table/fieldConfig/overrides/Behind/properties/custom.cellOptions/value/type": ("colour", "colour"),
    "panels/timeseries/targets/0/legend": ("x", "legend"),
    "panels/table/targets/0/format": ("rows", "rows"),
    "panels/table/targets/0/refId": (LACKING, "refId"),
    "panels/barchart/transformations/merge/id": ("merged", "merged"),
    "panels/table/transformations/organize/options/renames": ({}, "renames"),
    "templating/list/window/type": ("list", "list"),
    "templating/list/window/auto": (False, "auto"),  # of an interval
    "templating/list/version/sort": (9, "9"),
    "annotations/list/Pages/colour": ("red", "colour"),
    "annotations/list/Pages/target": (LACKING, "target"),
    "links/All models/type": ("board", "board"),
    "links/All models/placement": ("inControlsMenu", "placement"),  # of later versions
}


def spoil(board: Board, place: str, value: object) -> Board:
    """The board with another value in one place; members of lists are found by what they are called, or by number."""
    spoilt: Any = copy.deepcopy(board)
    *path, last = place.split("/")
    inner = spoilt
    for name in path:
        inner = member(inner, name) if isinstance(inner, list) else inner[name]
    if value is LACKING:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return dict(spoilt)


def member(some: list[Any], name: str) -> Any:
    if name.isdigit():
        return some[int(name)]
    names = ("type", "name", "title", "id")
    return next(one for one in some if name in (*map(one.get, names), one.get("matcher", {}).get("options")))


@pytest.fixture(scope="session")
def complaints(boards: dict[str, Board], compiled: Compiler) -> dict[str, str]:
    """Of every spoilt board, by its number; one run of the compiler reads them all."""
    board = boards["loans.json"]
    return compiled({str(at): spoil(board, place, value) for at, (place, (value, _)) in enumerate(SPOILT.items())})


@pytest.mark.parametrize("place", SPOILT)
def test_a_board_that_grafana_would_misread_is_noticed(place: str, complaints: dict[str, str]):
    assert SPOILT[place][1] in complaints[str(list(SPOILT).index(place))]
