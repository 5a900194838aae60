"""Dashboards are right where it can be known without Grafana: their JSON, and what their queries give."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import (
    VARIABLE,
    Board,
    choices,
    chosen,
    faults_of_answers,
    faults_of_form,
    faults_of_marks,
    interpolated,
    panel,
    panels_of,
    renamed,
    rows_of,
)
from hypothesis import given
from hypothesis import strategies as st

import wakeful
from wakeful.compile.alerts import BURNS, Links
from wakeful.compile.grafana import dashboards
from wakeful.compile.grafana.quoting import choice, quoted, shown
from wakeful.compile.grafana.sdk import JSONEncoder, dashboard
from wakeful.compile.plan import BURN, VERDICT
from wakeful.compile.rules import Compiled, group
from wakeful.compile.tracing import plan_of
from wakeful.errors import DataError
from wakeful.live.export.series import bin_labels
from wakeful.views import column_counts

START = 1_767_268_800  # as in conftest.py
GOLDEN = Path(__file__).parent / "golden"
NASTY = 'prix "m²"\n$version [[segment]] {{check}} .*|\\, x : y'
INJECTION = 'a", value=~".*"} or vector(7) #'


# A reader's story.


def test_there_is_a_board_of_all_models_and_one_of_each(boards: dict[str, Board]):
    assert list(boards)[:2] == ["fleet.json", "loans.json"]
    assert [re.fullmatch(r"wakeful-[0-9a-f]{16}\.json", name) is not None for name in boards] == [False, False, True]
    assert boards["loans.json"]["title"] == "wakeful: loans"


def titles_of_row(board: Board, row: str) -> list[str]:
    found: dict[str, list[str]] = {}
    for one in board["panels"]:
        found.setdefault(one["title"], []) if one["type"] == "row" else list(found.values())[-1].append(one["title"])
    return found[row]


def test_a_board_is_read_from_what_hurts_to_what_explains_it(boards: dict[str, Board]):
    board = boards["loans.json"]
    rows = [one["title"] for one in board["panels"] if one["type"] == "row"]
    assert rows == ["Service and versions", "Fears", "Outcomes", "Answers", "Inputs"]
    assert titles_of_row(board, "Outcomes")[:2] == [
        "Flagged cases that were right – precision",
        "Answers that were right – accuracy",
    ]
    assert titles_of_row(board, "Answers") == [
        "Answers: how far values moved since training (0: not at all, 2: all) – d1",
        "Cases that are flagged – flagged_share",
        "Answers, live and in training",
        "Heuristic heuristic, live and in training",
    ]
    assert titles_of_row(board, "Inputs") == [
        "Inputs that stray most",
        "Inputs that are missing most",
        "Inputs and what is asserted of them",
        "${column:text}, live and in training",
        "${column:text}: no usable value",
    ]


def test_every_panel_shows_what_a_real_prometheus_holds(boards: dict[str, Board], server: Any):
    found = [one for board in boards.values() for one in faults_of_answers(board, server, chosen(board))]
    assert not found, "\n".join(found)


def test_marks_and_lists_show_what_a_real_prometheus_holds(boards: dict[str, Board], server: Any):
    assert list(faults_of_marks(boards["loans.json"], server, chosen(boards["loans.json"]))) == []


def test_the_form_is_right(boards: dict[str, Board]):
    found = [one for board in boards.values() for one in faults_of_form(board)]
    assert not found, "\n".join(found)


def test_the_fleet_names_the_worst_fear_of_each_model(boards: dict[str, Board], server: Any):
    fleet = boards["fleet.json"]
    table = panel(fleet, "Models")
    states, fears, worst = (
        {one["model"]: (value, one) for one, value in rows_of(table, ref, fleet, server)} for ref in "BCD"
    )

    assert states["loans"][0] == 2
    assert fears["loans"][0] == 3  # two page, one is a ticket; what only explains is no fear
    assert worst["loans"][1]["check"] in ("rejections_are_right", "answers_keep_their_shape")  # which page
    assert worst["loans"][1]["owner"] == "credit-risk"
    assert (worst["loans"][0], worst[NASTY][0]) == (8, 4)  # a page that fails, a ticket that fails
    assert worst[NASTY][1]["fear"] == worst[NASTY][1]["owner"] == NASTY


def test_checks_are_shown_in_their_worst_state_and_unjudged_ones_too(boards: dict[str, Board], server: Any, loans: Any):
    board = boards["loans.json"]
    found = {
        (one["check"], one.get("assertion")): (value, one)
        for one, value in rows_of(panel(board, "Checks now"), "A", board, server)
    }

    assert found["nobody_can_say", None][0] == -1
    assert found["answers_keep_their_shape", "live.score.d1() <= 0.2"][0] == 2
    assert found["answers_keep_their_shape", "0.1 <= live.flagged_share() <= 0.6"][0] == 0
    whole = found["inputs_are_whole", "live.by('platform')['rent'].missing() <= 0.02"]
    assert whole[0] == 2
    assert (whole[1]["severity"], whole[1]["owner"], whole[1]["fear"]) == (
        "ticket", "ml-platform", "Not so: inputs are whole"
    )  # fmt: skip
    assert found["rejections_are_right", "live.precision() >= 0.6"][1]["fear"].startswith('We turn away "good"')
    assert {check for check, _ in found} == {check.name for check in loans.monitor.checks}


def test_the_culprit_leads_the_inputs(boards: dict[str, Board], server: Any):
    board = boards["loans.json"]
    ranked = rows_of(panel(board, "Inputs that stray most"), "A", board, server)
    missing = rows_of(panel(board, "Inputs that are missing most"), "A", board, server)

    assert [labels["column"] for labels, _ in ranked[:3]] == ["rent", "heuristic", "income"]
    assert [value for _, value in ranked] == sorted((value for _, value in ranked), reverse=True)
    assert missing[0][0]["column"] == "rent"


def test_maturity_is_shown_from_young_to_old(boards: dict[str, Board], server: Any):
    board = boards["loans.json"]
    bars = panel(board, "Label maturity")
    shown = rows_of(bars, "A", board, server)

    assert [labels["age"] for labels, _ in shown] == ["1d", "2d", "3d", "5d", "7d", "10d", "14d", "21d", "30d"]
    known = [share for _, share in shown]
    assert known == pytest.approx([*sorted(known[:4]), 1, 1, 1, 1, 1], abs=1e-9)  # those of one share stand in order
    assert known[0] == pytest.approx(0.18, abs=0.05)  # an exponential delay with a mean of five days
    assert known[3] == pytest.approx(0.63, abs=0.05)
    steps = bars["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(one["value"], one["color"]) for one in steps] == [(None, "red"), (0.1, "yellow"), (0.9, "green")]


def test_what_became_of_predictions_is_shown_with_the_age_of_the_join(boards: dict[str, Board], server: Any):
    board = boards["loans.json"]
    table = panel(board, "Predictions and what became of them")
    titles = [renamed(table)[f"Value #{letter}"] for letter in "ABCDEFG"]
    numbers = [rows_of(table, letter, board, server) for letter in "ABCDEFG"]
    found = {title: value for title, [(_, value)] in zip(titles, numbers, strict=True)}

    assert found["Joined ago"] == server.end - START
    assert found["Mature after"] / 86_400 == pytest.approx(6, abs=0.1)
    assert [found[one] for one in ("Late", "Unknown ids")] == [0, 0]
    became = [found[one] for one in ("Joined", "Pending", "Late", "Missing")]
    assert became[0] > became[1] > became[3] > 30
    assert 1_700 < sum(became) < 1_900  # nine tenths of those that are ever asked
    fleet = boards["fleet.json"]
    ages = rows_of(panel(fleet, "Models"), "G", fleet, server)
    assert {labels["model"]: value for labels, value in ages} == dict.fromkeys(("loans", NASTY), found["Mature after"])


def test_where_no_join_tells_anything_panels_say_so(boards: dict[str, Board], server: Any):
    board = boards["loans.json"]
    for title in ("Label maturity", "Predictions and what became of them"):
        one = panel(board, title)
        for target in one["targets"]:
            assert server.now(target["expr"].replace('model="loans"', 'model="joined by nobody"')) == []
        assert one["fieldConfig"]["defaults"]["noValue"] == "wakeful join tells nothing"
        assert "--textfile or --pushgateway" in one["description"]
    overrides = panel(boards["fleet.json"], "Models")["fieldConfig"]["overrides"]
    (mature,) = [one["properties"] for one in overrides if one["matcher"]["options"] == "Labels mature after"]
    assert {"id": "noValue", "value": "not known"} in mature


def shares(board: Board, title: str, values: dict[str, str], server: Any) -> list[dict[str, float]]:
    asked = [interpolated(one["expr"], values) for one in panel(board, title)["targets"]]
    return [{labels["bin"]: numbers[0] for labels, numbers in server.now(one)} for one in asked]


@pytest.mark.parametrize("part", [("", ""), ("platform", "app"), (NASTY, INJECTION), (NASTY, "b\\")])
def test_shapes_are_those_of_the_rows_that_are_chosen(boards: dict[str, Board], server: Any, loans: Any, part: Any):
    """And of no others, whatever they are called."""
    board, (segment, value) = boards["loans.json"], part
    variable = next(one for one in board["templating"]["list"] if one["name"] == "segment")
    entries = [one.replace("\\,", ",").rpartition(" : ") for one in re.findall(r"(?:\\,|[^,])+", variable["query"])]
    text = f"{' '.join(segment.split())}: {value}" if segment else "All traffic"
    (matcher,) = [matcher for name, _, matcher in entries if name.replace("\u2060", "").strip() == text]

    live, usual = shares(board, "Answers, live", chosen(board) | {"segment": matcher, "version": "2\\\\+a"}, server)

    layout = loans.monitor.reference.layout
    at = layout.find_slice(segment or None, value or None)
    for found, counts in ((live, loans.monitor.count(loans.since)), (usual, loans.monitor.reference.counts)):
        rows = column_counts(counts, "score", at).values
        expected = dict(zip(bin_labels(layout.bins["score"]), rows / rows.sum(), strict=False))
        assert found == pytest.approx(expected)


def test_every_choice_gives_series(boards: dict[str, Board], server: Any, loans: Any):
    board = boards["loans.json"]
    variables = {one["name"]: one for one in board["templating"]["list"]}
    for name in ("segment", "column", "window"):
        for value in choices(variables[name]):
            for one in panels_of(board):
                for target in one["targets"]:
                    expr = interpolated(target["expr"], chosen(board) | {name: value})
                    is_asked = expr != interpolated(target["expr"], chosen(board))
                    is_empty = re.search(r'value="\(\w+\)', expr)  # (other), (unseen): of no row
                    ask = server.now if target.get("instant") else server.over_time
                    assert not is_asked or is_empty or ask(expr), expr


@pytest.mark.parametrize("name", ["loans", "houses"])
def test_boards_show_what_a_real_prometheus_records_of_a_real_plan(
    name: str, request: pytest.FixtureRequest, recording: Any
):
    past = request.getfixturevalue(name)
    planned = plan_of(past.monitor)
    boards = [json.loads(text) for text in dashboards([(past.monitor, planned)]).values()]
    server = recording(past, planned)
    server.over_time = server.now  # recording has begun just now

    faults = [one for board in boards for one in faults_of_answers(board, server, chosen(board))]
    assert not faults, "\n".join(faults)
    table = rows_of(panel(boards[1], "Checks now"), "A", boards[1], server)
    states = {(one["check"], one.get("assertion")): value for one, value in table}
    expected = {
        "loans": {
            ("inputs_look_as_in_training", "live.features.d1() <= 0.2"): 2,
            ("inputs_look_as_in_training", "live.traffic() >= 1"): 0,
            ("nobody_can_say", None): -1,
        },
        "houses": {
            ("predictions_are_close", "live.mean_absolute_error() <= 30000"): 0,
            ("predictions_are_close", "live.features.d1() <= 0.02"): 2,
        },
    }[name]
    assert {key: states.get(key) for key in expected} == expected


# Names.


def test_names_are_shown_as_they_are(boards: dict[str, Board]):
    """Grafana looks for variables in titles too; but for the input that is chosen, it finds none."""
    for board in boards.values():
        texts = [
            board["title"],
            *(one[key] for one in board["panels"] for key in ("title", "description") if key in one),
        ]
        texts += strings_in(board["panels"], "displayName")
        assert {found[0] for text in texts for found in VARIABLE.finditer(text)} <= {"${column:text}"}
    shown = [text.replace("\u2060", "") for text in strings_in(boards["loans.json"]["panels"], "displayName")]
    assert 'We turn away "good" applicants\nfor $version [[x]] (rejections_are_right)' in shown


def strings_in(node: Any, name: str) -> Iterator[str]:
    """Values of all overrides of a property."""
    if isinstance(node, dict):
        if node.get("id") == name:
            yield node["value"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from strings_in(one, name)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_is_one_string_of_promql_that_grafana_leaves_alone(name: str):
    literal = quoted(name)
    assert not VARIABLE.search(literal)
    assert re.fullmatch(r'"(?:[^"\\\n]|\\x[0-7][0-9a-f])*"', literal)
    assert re.sub(r"\\x(..)", lambda found: chr(int(found[1], 16)), literal[1:-1]) == name
    assert not VARIABLE.search(shown(name))
    assert shown(name).replace("\u2060", "") == name.replace("\u2060", "")
    assert choices({"type": "custom", "query": choice(name, f"a={literal}") + ", " + choice("b", "c")}) == [
        f"a={literal}",
        "c",
    ]


# What nobody should have to find out in Grafana.


def break_query(board: Board) -> None:
    panel(board, "Answers per second")["targets"][0]["expr"] += ")"


def break_label(board: Board) -> None:
    target = panel(board, "What we fear")["targets"][0]
    target["expr"] = target["expr"].replace("by (check)", "by (assertion)")


def break_metric(board: Board) -> None:
    target = panel(board, "Answers, live")["targets"][1]
    target["expr"] = target["expr"].replace("reference_share", "reference_shares")


def break_variable(board: Board) -> None:
    (variable,) = [one for one in board["templating"]["list"] if one["name"] == "segment"]
    variable["name"] = "part"


def break_choice(board: Board) -> None:
    (variable,) = [one for one in board["templating"]["list"] if one["name"] == "segment"]
    variable["query"] = variable["query"].replace('segment=""', 'segment="all"')


def break_unit(board: Board) -> None:
    panel(board, "Answers per second")["fieldConfig"]["defaults"]["unit"] = "perSecond"


def break_scale(board: Board) -> None:
    target = panel(board, "Lost on the way")["targets"][0]
    target["expr"] = "1000 * " + target["expr"]


def break_words(board: Board) -> None:
    panel(board, "What we fear")["fieldConfig"]["defaults"]["mappings"][0]["options"].pop("2")


def break_source(board: Board) -> None:
    panel(board, "Answers, live")["targets"][0]["datasource"]["uid"] = "prometheus"


def break_source_of_list(board: Board) -> None:
    (variable,) = [one for one in board["templating"]["list"] if one["name"] == "version"]
    variable["datasource"]["uid"] = "P1"


def break_id(board: Board) -> None:
    board["panels"][3]["id"] = board["panels"][4]["id"]


def break_reference(board: Board) -> None:
    panel(board, "Lost on the way")["targets"][1]["refId"] = "A"


def break_place(board: Board) -> None:
    panel(board, "Lost on the way")["gridPos"]["x"] -= 1


def break_band(board: Board) -> None:
    panel(board, "Flagged cases")["targets"][1]["legendFormat"] = "low"


def break_colours(board: Board) -> None:
    panel(board, "Inputs that stray")["fieldConfig"]["defaults"]["thresholds"]["steps"].reverse()


def break_empty_cells(board: Board) -> None:
    panel(board, "What fails")["fieldConfig"]["overrides"].pop(0)


def break_axis(board: Board) -> None:
    del panel(board, "Lost on the way")["fieldConfig"]["defaults"]["custom"]["axisSoftMax"]


def break_title(board: Board) -> None:
    organised = panel(board, "Checks now")["transformations"][1]["options"]
    organised["renameByName"]["Value #A"] = "Verdict"


def break_description(board: Board) -> None:
    panel(board, "Lost on the way")["description"] = ""


def break_mark(board: Board) -> None:
    board["annotations"]["list"][0]["titleFormat"] = "{{release}}"


BREAKS = [one for name, one in sorted(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda one: one.__name__)
def test_a_spoilt_board_is_noticed(boards: dict[str, Board], server: Any, spoil: Callable[[Board], None]):
    board = copy.deepcopy(boards["loans.json"])
    spoil(board)
    assert board != boards["loans.json"]
    values = chosen(board)
    assert [*faults_of_form(board), *faults_of_answers(board, server, values), *faults_of_marks(board, server, values)]


def test_the_sdk_reads_every_board_as_it_is_written(boards: dict[str, Board]):
    from grafana_foundation_sdk.cog import plugins

    plugins.register_default_plugins()
    for board in boards.values():
        again = json.loads(json.dumps(dashboard.Dashboard.from_json(copy.deepcopy(board)), cls=JSONEncoder))
        assert list(lost(board, again)) == []


def lost(written: Any, read: Any, place: str = "board") -> Iterator[str]:
    """What is not read as it was written; what later versions of Grafana have beside it does not count."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, one in written.items():
            yield from lost(one, read.get(name), f"{place}.{name}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, one in enumerate(written):
            yield from lost(one, read[at], f"{place}[{at}]")
    elif written != read:
        yield f"{place}: {written!r} is read as {read!r}"


def test_links_lead_to_boards(boards: dict[str, Board], server: Any):
    uids = {board["uid"] for board in boards.values()}
    assert len(uids) == len(boards)
    for board in boards.values():
        for link in board["links"]:
            assert link.get("tags") == ["wakeful"] or link["url"].removeprefix("/d/") in uids
        assert board["tags"] == ["wakeful"]
    table = panel(boards["fleet.json"], "Models")
    assert "/d/${__data.fields.board}?" in json.dumps(table)
    assert {labels["board"] for labels, _ in rows_of(table, "A", boards["fleet.json"], server)} == uids - {
        "wakeful-fleet"
    }


# Monitors at the edge.


def test_a_monitor_without_checks_has_a_board(loans: Any, plans: Any, server: Any):
    monitor = wakeful.Monitor(loans.monitor.reference)
    board = json.loads(dashboards([(monitor, plans(monitor))])["loans.json"])

    assert [*faults_of_form(board), *faults_of_answers(board, server, chosen(board))] == []
    assert panel(board, "Cases that are flagged")["fieldConfig"]["defaults"]["unit"] == "percentunit"
    (told,) = [one for one in board["panels"] if one["type"] == "text"]
    assert "assert live.features.d1() <= 0.2" in told["options"]["content"]
    assert not any(one["title"] == "Fears" for one in board["panels"])


def test_objectives_that_burn_are_marked(loans: Any, server: Any):
    monitor = wakeful.Monitor(loans.monitor.reference)

    @monitor.check(window="24h", page="credit-risk")
    def rejections_are_right(live: Any) -> None:
        assert live.precision() >= 0.9

    planned = plan_of(monitor)
    board = json.loads(dashboards([(monitor, planned)])["loans.json"])
    (mark,) = [one for one in board["annotations"]["list"] if one["name"] == "Objectives"]
    assert server.now(interpolated(mark["target"]["expr"], chosen(board))) == []  # which nobody has recorded here

    rules = group(Compiled(monitor, planned), Links())["rules"]
    [alert, *_] = [one for one in rules if one.get("alert") == BURNS]
    [recorded, *_] = [one for one in rules if one.get("record") == BURN[VERDICT]]
    known = {*alert["labels"], *recorded["labels"]}
    assert set(re.findall(r"\{\{(\w+)\}\}", mark["titleFormat"] + mark["textFormat"])) <= known


def test_two_monitors_of_one_name_are_refused(houses: Any, plans: Any):
    pair = (houses.monitor, plans(houses.monitor))
    with pytest.raises(DataError, match="2 monitors watch a model called"):
        dashboards([pair, pair])
    with pytest.raises(DataError, match="at least one"):
        dashboards([])


def test_without_the_sdk_the_command_that_installs_it_is_told():
    code = "import sys; sys.modules['grafana_foundation_sdk'] = None; import wakeful.compile.grafana"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'wakeful[grafana]'" in done.stderr


# Same bytes.


def test_same_monitors_same_bytes(files: dict[str, str], loans: Any, houses: Any, plans: Any):
    assert dashboards([(one.monitor, plans(one.monitor)) for one in (loans, houses)]) == files


def test_boards_are_as_they_were(files: dict[str, str]):
    """With ``WAKEFUL_GOLDEN=1`` a change is accepted; read the difference before you commit it."""
    if os.environ.get("WAKEFUL_GOLDEN"):
        for name, text in files.items():
            (GOLDEN / name).write_text(text, encoding="utf-8")
    assert {path.name: path.read_text(encoding="utf-8") for path in GOLDEN.iterdir()} == files
