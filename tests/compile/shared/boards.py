"""Boards as Grafana reads them: what it asks Prometheus, and what must hold of a board and of the answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from wakeful.compile.grafana.sdk import units

Board = dict[str, Any]


def panels_of(board: Board) -> list[Board]:
    return [one for one in board["panels"] if one["type"] not in ("row", "text")]


def panel(board: Board, title: str) -> Board:
    (found,) = [one for one in panels_of(board) if one["title"].startswith(title)]
    return found


# What Grafana does with a board before it asks.

VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)|\[\[(\w+)\]\]")
_BUILT_IN = {"__rate_interval": "12m", "__range": "2h"}


def choices(variable: Board) -> list[str]:
    """The values of a list that may be chosen, read as Grafana reads it."""
    if variable["type"] != "custom":
        return [variable.get("allValue", "")]
    found = []
    for entry in re.findall(r"(?:\\,|[^,])+", variable["query"]):
        text = entry.replace("\\,", ",")
        parted = re.fullmatch(r"\s*(.+)\s:\s(.+)", text)
        assert parted is not None, text
        found.append(parted[2].strip())
    return [*found, variable["allValue"]] if variable.get("includeAll") else found


def interpolated(text: str, values: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[3] or found[4]
        if name not in values:
            raise LookupError(f"no variable is called {name}: {text}")
        return values[name]

    return VARIABLE.sub(value, text)


def chosen(board: Board) -> dict[str, str]:
    """What is chosen as a board opens: all versions and models, all traffic, and the last input of the list."""
    found = {one["name"]: choices(one) for one in board["templating"]["list"]}
    values = {name: some[0] for name, some in found.items()}
    values |= {name: some[-1] for name, some in found.items() if name in ("model", "column")}
    return values | _BUILT_IN


# What must hold.


def labels_in(legend: str) -> list[str]:
    return re.findall(r"\{\{(\w+)\}\}", legend)


def faults_of_form(board: Board) -> Iterator[str]:
    """What is wrong with a board that no query tells."""
    every = board["panels"]
    ids = [one["id"] for one in every]
    if len(set(ids)) < len(ids):
        yield f"ids repeat: {ids}"
    for one, other in combinations(every, 2):
        a, b = one["gridPos"], other["gridPos"]
        if (
            a["x"] < b["x"] + b["w"]
            and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"]
            and b["y"] < a["y"] + a["h"]
        ):
            yield f"{one['title']} lies on {other['title']}"
    for one in every:
        place = one["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > 24 or not one.get("title"):
            yield f"{one.get('title')} stands at {place}"
    if not re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"]):
        yield f"uid {board['uid']}"
    for name in re.findall(r'"uid": "(.*?)"', json.dumps([every, board["templating"], board["annotations"]])):
        if name != "${datasource}":
            yield f"a data source is {name}"
    known_units = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    for one in panels_of(board):
        yield from faults_of_panel(one, known_units)


def faults_of_panel(one: Board, known_units: set[str]) -> Iterator[str]:
    title, defaults = one["title"], one["fieldConfig"]["defaults"]
    if not one.get("description"):
        yield f"{title} is not described"
    references = [target["refId"] for target in one["targets"]]
    if references != [chr(ord("A") + at) for at in range(len(references))]:
        yield f"{title}: queries are called {references}"
    if one["datasource"]["type"] != "prometheus" or any("datasource" not in target for target in one["targets"]):
        yield f"{title} has no data source"
    looks = [
        (over["matcher"], {each["id"]: each["value"] for each in over["properties"]})
        for over in one["fieldConfig"]["overrides"]
    ]
    given = [defaults.get("unit"), *(look.get("unit") for _, look in looks)]
    for unit in filter(None, given):
        if unit not in known_units and not unit.startswith("suffix:"):
            yield f"{title}: Grafana knows no unit {unit}"
    for limits in filter(None, [defaults.get("thresholds"), *(look.get("thresholds") for _, look in looks)]):
        steps = [step["value"] for step in limits["steps"]]
        if steps[0] is not None or steps[1:] != sorted(steps[1:]):
            yield f"{title}: colours from {steps}"
    if one["type"] == "table" and defaults.get("noValue") and not any(look.get("noValue") for _, look in looks):
        yield f"{title}: a cell without a value says {defaults['noValue']}"  # Grafana: so does an empty text
    if one["type"] == "timeseries" and defaults["unit"] == "percentunit" and not defaults["custom"].get("axisSoftMax"):
        yield f"{title}: shares that are all 0 have an axis up to 10,000%"
    legends = [target.get("legendFormat") for target in one["targets"]]
    titles = renamed(one).values()
    for matcher, look in looks:
        if matcher["id"] == "byFrameRefID" and matcher["options"] not in references:
            yield f"{title}: no query {matcher['options']}"
        if one["type"] == "table" and matcher["options"] not in (*titles, "board", "/.*/"):
            yield f"{title}: no column {matcher['options']}"
        if "custom.fillBelowTo" in look and look["custom.fillBelowTo"] not in legends:
            yield f"{title}: nothing to fill to"


def renamed(one: Board) -> dict[str, str]:
    """Titles of a table by the fields that its queries give."""
    organised = [step["options"] for step in one.get("transformations") or () if step["id"] == "organize"]
    return organised[0]["renameByName"] if organised else {}


def faults_of_answers(board: Board, server: Any, values: dict[str, str]) -> Iterator[str]:
    """What is wrong with what its queries give."""
    for one in panels_of(board):
        found = []
        for target in one["targets"]:
            ask = server.now if target.get("instant") else server.over_time
            try:
                answer = ask(interpolated(target["expr"], values))
            except (ValueError, LookupError) as error:
                yield f"{one['title']} {target['refId']}: {error}"
                continue
            found.append(answer)
            if not answer:
                yield f"{one['title']} {target['refId']} shows nothing: {target['expr']}"
            yield from (f"{one['title']} {target['refId']}: {each}" for each in faults_of_series(one, target, answer))
        shown = {name for answer in found for labels, _ in answer for name in labels}
        for name in set(renamed(one)) - shown:
            if name.startswith("Value") or name == "version":  # no label, and one that services need not give
                continue
            yield f"{one['title']}: no label {name}"


def faults_of_marks(board: Board, server: Any, values: dict[str, str]) -> Iterator[str]:
    """What is wrong with its annotations and with the lists that Prometheus fills."""
    for one in board["annotations"]["list"]:
        found = server.over_time(interpolated(one["target"]["expr"], values))
        if not found:
            yield f"nothing is marked: {one['target']['expr']}"
        for labels, _ in found:
            for name in labels_in(one["titleFormat"] + one["textFormat"]):
                if name not in labels and name != "version":
                    yield f"{one['name']}: {labels} has no {name}"
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]).groups()
            if not server.now(f"count by ({label}) ({interpolated(selector, values)})"):
                yield f"{one['name']} lists nothing"


def faults_of_series(one: Board, target: Board, answer: Any) -> Iterator[str]:
    least, unit, words = look_of(one, target["refId"])
    for labels, numbers in answer:
        for name in labels_in(target.get("legendFormat", "")):
            if name not in labels and name != "version":  # which a service need not name
                yield f"{labels} has no {name}"
        if any(number != number or abs(number) == float("inf") for number in numbers):
            yield f"{labels} is not finite: {numbers}"
        if least is not None and min(numbers) < least:
            yield f"{labels} below {least}: {numbers}"
        if unit == "percentunit" and not (min(numbers) >= -1e-9 and max(numbers) <= 1 + 1e-9):
            yield f"{labels} is no share: {numbers}"
        if words is not None and not {str(int(number)) for number in numbers} <= words:
            yield f"{labels} has no words for {numbers}"


def look_of(one: Board, reference: str) -> tuple[float | None, str | None, set[str] | None]:
    """Least value, unit and words of the values of one query."""
    defaults = dict(one["fieldConfig"]["defaults"])
    names = renamed(one)
    title = names.get(f"Value #{reference}", names.get("Value"))
    for over in one["fieldConfig"]["overrides"]:
        if over["matcher"]["options"] == title:
            defaults |= {each["id"]: each["value"] for each in over["properties"]}
    mappings = defaults.get("mappings")
    return defaults.get("min"), defaults.get("unit"), None if mappings is None else set(mappings[0]["options"])


def rows_of(table: Board, reference: str, board: Board, server: Any) -> list[tuple[dict[str, str], float]]:
    (target,) = [one for one in table["targets"] if one["refId"] == reference]
    return [(labels, numbers[0]) for labels, numbers in server.now(interpolated(target["expr"], chosen(board)))]
