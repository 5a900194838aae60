"""What a reader sees: Grafana's own code makes words and numbers of what a real Prometheus answers."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from boards import Board, chosen, interpolated, panels_of

from wakeful.checks import Check
from wakeful.counts import Counts
from wakeful.verdicts import Verdict

PROGRAM = Path(__file__).parent / "frontend" / "shown.cjs"
NOTHING, REFUSED = "–", "nobody_can_say"
PER_HOUR = 3600 / 180  # scrapes
WORDS = {"pass": "holds", "unsure": "not sure", "fail": "fails"}

Frame = list[dict[str, Any]]  # fields: name, and texts from first to last
Shown = dict[str, list[Frame]]  # by the title of the panel


@pytest.fixture(scope="session")
def grafana(modules: Path) -> Callable[[list[Board]], list[list[Frame]]]:
    """Asks Grafana's code what panels show."""

    def run(panels: list[Board]) -> list[list[Frame]]:
        command = ["node", PROGRAM, modules / "@grafana/data"]
        done = subprocess.run(
            command, input=json.dumps(panels), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    return run


@pytest.fixture(scope="session")
def shown(boards: dict[str, Board], server: Any, grafana: Any) -> dict[str, Shown]:
    """What every panel of every board shows, by its title."""

    def drawn(board: Board) -> Shown:
        panels, values = panels_of(board), chosen(board)
        for one in panels:
            asks = [server.instant if target.get("instant") else server.ranged for target in one["targets"]]
            found = [ask(interpolated(each["expr"], values)) for ask, each in zip(asks, one["targets"], strict=True)]
            one["results"] = found
        return dict(zip([one["title"] for one in panels], grafana(panels), strict=True))

    return {name: drawn(board) for name, board in copy.deepcopy(boards).items()}


def lines_of(frames: list[Frame]) -> Iterator[dict[str, str]]:
    """The rows of a table; its queries have become one frame."""
    (frame,) = frames
    for texts in zip(*(one["texts"] for one in frame), strict=True):
        yield dict(zip([one["name"] for one in frame], texts, strict=True))


def number(text: str) -> float:
    """What a text says, by its unit."""
    found = re.fullmatch(r"(-?[\d.]+)( ?(?:K|Mil|%|×))?", text.replace(",", ""))
    assert found is not None, text
    return float(found[1]) * {"K": 1e3, "Mil": 1e6, "%": 0.01}.get((found[2] or "").strip(), 1.0)


@pytest.fixture(scope="session")
def verdicts(loans: Any) -> dict[str, tuple[Check, Sequence[Verdict]]]:
    """What numpy says of the last hour, by check; of what Prometheus cannot express, nothing."""
    some = loans.monitor.count(loans.since)
    counts = Counts(some.layout, PER_HOUR * some.vector)
    checks = {check.name: check for check in loans.monitor.checks}
    return {name: (one, () if name == REFUSED else loans.monitor.judge(one, counts)) for name, one in checks.items()}


def test_nothing_is_shown_by_the_name_of_a_field(shown: dict[str, Shown]):
    for panels in shown.values():
        for title, frames in panels.items():
            assert frames, title
            for field in (field for frame in frames for field in frame):
                assert not re.search(r"Value #|\{\{(version|value|column|reason)", field["name"]), title
                assert field["name"] != "Value" or "Segment" in {one["name"] for one in frames[0]}, title
                assert not {"NaN", "undefined", "null", "Invalid date"} & set(field["texts"]), title


def test_the_fleet_has_a_row_for_each_model(shown: dict[str, Shown], loans: Any, houses: Any):
    rows = list(lines_of(shown["fleet.json"]["Models"]))
    assert sorted(row["Model"] for row in rows) == sorted(one.monitor.reference.model.name for one in (loans, houses))
    [row] = [row for row in rows if row["Model"] == "loans"]
    assert (row["State"], row["Worst fear"], row["Fears come true"]) == ("fails", "We reject too many", "3")
    assert NOTHING not in row.values()


def test_every_assertion_has_a_row_with_its_worst_state(shown: dict[str, Shown], verdicts: Any):
    rows = list(lines_of(shown["loans.json"]["Checks now"]))
    found = {(row["Check"], row["Assertion"]): (row["State"], row["It is a"], row["For"]) for row in rows}
    expected = {}
    for check, some in verdicts.values():
        of_check = check.severity, check.page or check.ticket or NOTHING
        if not some:
            expected[check.name, NOTHING] = ("not judged", *of_check)
        for text in {one.assertion for one in some}:
            worst = max((one.verdict for one in some if one.assertion == text), key=list(WORDS).index)
            expected[check.name, text.removeprefix("assert ")] = (WORDS[worst], *of_check)
    assert len(found) == len(rows)
    assert found == expected


def test_what_fails_stands_there_with_its_numbers(shown: dict[str, Shown], verdicts: Any):
    rows = list(lines_of(shown["loans.json"]["What fails, or may"]))
    found = {(row["Check"], row["Assertion"], row["Column"], row["Value"]): row for row in rows}
    bad = {}
    for name, (_, some) in verdicts.items():
        for one in some:
            place = one.judgement.column or NOTHING, one.judgement.part.value or NOTHING
            if one.verdict != "pass":
                bad[name, one.assertion.removeprefix("assert "), *place] = one
    assert len(found) == len(rows)
    assert set(found) == set(bad)
    for place, one in bad.items():
        row, judgement = found[place], one.judgement
        assert row["State"] == WORDS[one.verdict]
        told = {"Now": judgement.estimate, "Limit": judgement.limit, "As low as": judgement.low, "Rows": judgement.n}
        for title, value in told.items():
            assert number(row[title]) == pytest.approx(value, rel=0.01, abs=1e-3), (place, title)


def test_inputs_are_ranked_by_excess(shown: dict[str, Shown]):
    ranked = shown["loans.json"]["Inputs that stray most"]
    strays = [number(field["texts"][0]) for frame in ranked for field in frame]
    assert strays == sorted(strays, reverse=True)
    assert ranked[0][0]["name"] == "rent"
    [lost, *_] = shown["loans.json"]["Inputs that are missing most"]
    assert [(one["name"], one["texts"]) for one in lost] == [("rent", ["74.5%"])]
