"""The README and the manual, executed: every example runs, and every output shown is the output it gave.

    python tests/test_docs.py --update      writes outputs that have changed into the documents

How a document is read, block by block, in a folder that holds what the demo makes:

- ``python`` runs; all blocks of a document share their names. Functions called ``test_…`` are called, and
  every monitor judges the demo's rows. Where a ``text`` block follows, it is what was printed.
- ``python file=NAME`` is written to a file of that name.
- ``console`` holds commands behind ``$`` and what they print. A line ``…`` stands for any number of lines.
- ``sh`` holds commands that no test can run, such as ``git clone``; what follows ``make`` is a target.
- ``promql`` is asked of a real Prometheus in ``tests/live/test_exporter.py``.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import wakeful
from wakeful import cli, pytest_plugin, signals

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "loans"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, scripts: Any) -> Path:
    with scripts(DEMO) as load:
        return made_demo(tmp_path_factory.mktemp("demo"), load("demo"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_example_gives_what_is_shown(document: Path, demo: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(demo, tmp_path / "demo")
    changes = [run for run in executed(document, folder) if not matches(run.shown, run.given)]
    assert not changes, "\n\n".join(
        f"{document.name}:{one.line}: {one.what}\n--- shown\n{one.shown}\n--- given\n{one.given}" for one in changes
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]*)", document.read_text(encoding="utf-8")):
        assert not target or (document.parent / target).exists(), f"{document.name} links to {target}"


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert changelog[0] == project["version"] == wakeful.__version__


def test_every_command_and_option_is_documented_and_exists() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = every_command(typer.main.get_command(cli.app))
    written = sections(text)
    assert {name.removeprefix("wakeful ") for name in written if name.startswith("wakeful ")} == set(commands)
    for name, command in commands.items():
        known = {word for one in command.params for word in one.opts if word.startswith("-")} - {"--help"}
        assert options_in(written[f"wakeful {name}"]) == known, f"options of wakeful {name}"
    parser = pytest.Parser(_ispytest=True)
    pytest_plugin.pytest_addoption(parser)
    added = {word for group in parser._groups for one in group.options for word in one.names()}
    assert options_in(written["pytest"]) == added | {"--strict"}, "options of pytest"


@pytest.mark.parametrize("of", ["column", "binary", "multiclass", "regression", "rows", "labels"])
def test_every_signal_is_documented_and_exists(of: signals.Of) -> None:
    text = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
    titles = {
        "column": "Columns",
        "binary": "Binary classification",
        "multiclass": "Several classes",
        "regression": "Regression",
        "rows": "Rows",
        "labels": "How outcomes arrive",
    }
    rows = re.findall(r"^\| `(\w+)\((.*?)\)` \|", sections(text)[titles[of]], re.M)
    assert sorted(name for name, _ in rows) == signals.names(of)
    for name, written in rows:
        formula = signals.find(name, of).formula
        code = formula.__code__
        taken = [one for one in code.co_varnames[: code.co_argcount] if one not in ("live", "reference")]
        assert re.findall(r"\w+", re.sub(r"=\S+", "", written)) == taken, f"arguments of {name}"


def test_the_layout_holds_every_module_in_an_order_that_imports_keep() -> None:
    text = sections((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))["The layout"]
    rows = [re.findall(r"`(\w+)/?`", cell) for cell in re.findall(r"^\| (`.*?) \|", text, re.M)]
    floor = {name: at for at, names in enumerate(rows) for name in names}
    modules = modules_of(ROOT / "src" / "wakeful")
    assert set(floor) == set(modules)
    for name, files in modules.items():
        for imported in imports_of(files):
            assert floor[imported] <= floor[name], f"{name} imports {imported}, which stands below it"


def test_the_benchmark_runs() -> None:
    command = [sys.executable, ROOT / "bench" / "run.py", "--rows", "2000", "--profile"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    assert re.findall(r"^(?:numbers|mixed), by (?:DuckDB|PyArrow)$", shown, re.M) == [
        "numbers, by DuckDB", "numbers, by PyArrow", "mixed, by DuckDB", "mixed, by PyArrow"
    ]  # fmt: skip
    assert "panel.py" in shown


# What runs them.


@dataclass(frozen=True)
class Block:
    """A fenced block: where its text starts (line from 1), what stands behind the fence, its text."""

    line: int
    info: str
    text: str

    @property
    def language(self) -> str:
        return self.info.split()[0] if self.info else ""


@dataclass(frozen=True)
class Run:
    """A command or a printing example: what the document shows, and what it gave."""

    line: int
    what: str
    shown: str
    given: str
    block: Block


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks of a document, in order."""
    found = []
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        found.append(Block(text[: match.start(2)].count("\n") + 1, match[1].strip(), match[2]))
    return found


def sections(text: str) -> dict[str, str]:
    """Text under each heading of the second level, by the heading without code marks."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return {title.replace("`", "").strip(): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def modules_of(folder: Path) -> dict[str, list[Path]]:
    """Files of every module and package, by its name."""
    packages = {path.parent.name: sorted(path.parent.glob("*.py")) for path in folder.glob("*/__init__.py")}
    return packages | {path.stem: [path] for path in folder.glob("[!_]*.py")}


def imports_of(files: list[Path]) -> set[str]:
    """Names of wakeful's modules that files import."""
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "wakeful":
                inner = (node.module or "").partition(".")[2]
                found |= {inner.partition(".")[0]} if inner else {one.name for one in node.names}
    return found


def every_command(group: Any) -> dict[str, Any]:
    """Every command by its full name: those of groups included."""
    found = {}
    for name, command in group.commands.items():
        inner = every_command(command) if hasattr(command, "commands") else {"": command}
        found |= {f"{name} {rest}".strip(): one for rest, one in inner.items()}
    return found


def options_in(text: str) -> set[str]:
    """Options that start a row of a table."""
    return set(re.findall(r"^\| `(--[\w-]+)", text, re.M))


def executed(document: Path, folder: Path) -> Iterator[Run]:
    """Run a document from top to bottom."""
    text = document.read_text(encoding="utf-8")
    blocks = blocks_of(text)
    python = Python(document, blocks, folder)
    for place, block in enumerate(blocks):
        if block.language == "python" and "file=" in block.info:
            (folder / block.info.partition("file=")[2]).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            printed = python.run(block)
            after = blocks[place + 1] if place + 1 < len(blocks) else None
            if after is not None and after.language == "text":
                yield Run(after.line, "what the example before prints", after.text, printed, after)
            else:
                assert not printed, f"{document.name}:{block.line} prints, but no `text` block follows: {printed}"
        elif block.language == "console":
            for command, line, shown in commands_of(block):
                yield Run(line, f"$ {command}", shown, in_shell(command, folder), block)
        elif block.language == "sh":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            for target in re.findall(r"^make (\w+)", block.text, re.M):
                assert re.search(rf"^{target}:", makefile, re.M), f"{document.name}:{block.line}: make {target}"
        else:
            assert block.language in ("text", "promql", "sql"), (  # the latter two run in tests of their own
                f"{document.name}:{block.line}: what is a {block.info!r} block?"
            )


class Python:
    """The Python blocks of a document, which share one module; lines are those of the document."""

    def __init__(self, document: Path, blocks: list[Block], folder: Path) -> None:
        self._file = folder / f"{document.stem}_example.py"
        self._module = types.ModuleType(self._file.stem)
        self._module.__file__ = str(self._file)
        self._folder = folder
        lines = [""] * document.read_text(encoding="utf-8").count("\n")
        for block in blocks:
            if block.info == "python":
                rows = block.text.splitlines()
                lines[block.line - 1 : block.line - 1 + len(rows)] = rows
        self._file.write_text("\n".join(lines), encoding="utf-8")  # checks are read from their source

    def run(self, block: Block) -> str:
        """Run one block and whatever tests and monitors it defines; return what it prints."""
        names = vars(self._module)
        known = dict(names)
        code = compile("\n" * (block.line - 1) + block.text, str(self._file), "exec")
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
            for name, value in list(names.items()):
                if name.startswith("test_") and known.get(name) is not value:
                    value()
                elif isinstance(value, wakeful.Monitor) and value.checks:
                    value.test("validation.parquet")
        return printed.getvalue()


def commands_of(block: Block) -> Iterator[tuple[str, int, str]]:
    """Each command of a console block, its line, and the output shown."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.M)
    line = block.line
    for command, shown in zip(parts[1::2], parts[2::2], strict=True):
        yield command, line, shown
        line += 1 + shown.count("\n")


def in_shell(command: str, folder: Path) -> str:
    """What a command prints, on both channels, for somebody who has activated this environment."""
    # where CI is set, pytest is wordier
    changes_output = ("PYTEST", "COV_", "RICH", "CI", "BUILD_NUMBER", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(changes_output)}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": tools, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=kept | settings, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return tidy(done.stdout.replace(str(folder), "/your/folder"))


def tidy(text: str) -> str:
    """Without what must vary: how long tests took, and spaces that fill a terminal's line."""
    text = re.sub(r" in \d+\.\d\ds\b", " in 0.50s", text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def matches(shown: str, given: str) -> bool:
    """Whether an output is the one shown, where a line ``…`` stands for any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line) + "\n" for line in tidy(shown).splitlines()
    )
    return re.fullmatch(pattern, tidy(given)) is not None


def shortened(given: str, shown: str) -> str:
    """An output cut where the one shown was cut; the whole of it where that no longer fits."""
    lines, kept, at = given.splitlines(), [], 0
    for line in shown.splitlines():
        found = ["…"] if line == "…" else difflib.get_close_matches(line, lines[at:], n=1)
        kept += found
        at = lines.index(found[0], at) + 1 if found and line != "…" else at
    text = "".join(f"{line}\n" for line in kept)
    return text if "…" in kept and matches(text, given) else given


def made_demo(folder: Path, story: Any) -> Path:
    """The files that the demo makes, and the reference that it learns; ``story`` is its module."""
    training, reference, validation = story.split(story.applications(), parts=3)
    model = story.train(training)
    cents = validation.assign(income=100 * validation["income"])
    tables = {"reference": reference, "validation": validation, "cents": cents}
    scored = {name: story.scored(table, model) for name, table in tables.items()}
    scored["history"] = story.broken_days(scored["validation"], scored["cents"])
    for name, table in scored.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    wakeful.learn(
        folder / "reference.parquet", score="score", label="rejected", threshold=story.THRESHOLD,
        segments=["property"], name="loans",
    ).save(folder / "reference.json")  # fmt: skip
    return folder


def update(document: Path, demo: Path) -> None:
    """Write outputs that have changed into a document."""
    with tempfile.TemporaryDirectory() as name:
        runs = list(executed(document, shutil.copytree(demo, Path(name) / "demo")))
    lines = document.read_text(encoding="utf-8").splitlines(keepends=True)
    for run in reversed(runs):
        if not matches(run.shown, run.given):
            first = run.line - 1 + run.what.startswith("$")
            lines[first : first + run.shown.count("\n")] = [shortened(tidy(run.given), run.shown)]
            print(f"{document.name}:{run.line}: {run.what}")
    document.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        sys.path.insert(0, str(DEMO))  # where the demo's parts import each other
        demo = made_demo(Path(name), importlib.import_module("demo"))
        for document in DOCUMENTS:
            update(document, demo)


if __name__ == "__main__":
    main()
