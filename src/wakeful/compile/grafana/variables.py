"""What a reader may choose on a board, and how queries take it up.

Names that are known when boards are written are listed in them, each with the matcher or the expression that it
becomes, so that Grafana puts nothing into a query that was not quoted here. Versions are only known to Prometheus:
those that Grafana could not quote are not offered.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeful.compile.grafana.panels import SOURCE
from wakeful.compile.grafana.quoting import choice, option, quoted, select, shown
from wakeful.compile.grafana.sdk import dashboard
from wakeful.live.export.series import unique
from wakeful.model import Model
from wakeful.reference import Reference

__all__ = ["COLUMN", "MODELS", "VERSION", "WINDOW", "labels_of_parts", "of_fleet", "of_model", "part_of"]

VERSION = 'version=~"$version"'
WINDOW = "$window"
COLUMN = "${column:raw}"
MODELS = 'model=~"${model:pipe}"'
_PART, _ALL_TRAFFIC = "${segment:raw}", 'segment="",value=""'
_ANYTHING = "(?s:.*)"  # even a name of several lines, or none
_WINDOWS = ("1h", "6h", "1d", "7d")


def part_of(model: Model) -> str:
    """The matcher of the part of the traffic that is looked at."""
    return _PART if model.segments else 'segment=""'


def labels_of_parts(model: Model) -> dict[str, str]:
    """By what a value is told from those of other traffic, with titles."""
    return ({"segment": "Segment", "value": "Value"} if model.segments else {}) | {"version": "Version"}


def _source() -> dashboard.VariableModel:
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.DATASOURCE, name="datasource", label="Prometheus", query="prometheus"
    )


def _listed(
    name: str, label: str, entries: Sequence[tuple[str, str]], chosen: int = 0, description: str = ""
) -> dashboard.VariableModel:
    """One of some entries: text and value."""
    text, value = entries[chosen]
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.CUSTOM,
        name=name,
        label=label,
        description=description or None,
        query=", ".join(choice(*entry) for entry in entries),
        current=dashboard.VariableOption(selected=True, text=shown(text), value=value),
        allow_custom_value=False,
    )


def _every() -> dashboard.VariableOption:
    return dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])


def _versions(model: Model) -> dashboard.VariableModel:
    asked = f"label_values({select('wakeful_rows_total', model=model.name)}, version)"
    return dashboard.VariableModel(
        type_val=dashboard.VariableType.QUERY,
        name="version",
        label="Version",
        datasource=SOURCE,
        query={"qryType": 1, "query": asked, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        definition=asked,
        regex=r'/^[^"\\\n]+$/',
        refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=dashboard.VariableSort.NATURAL_DESC,
        multi=True,
        include_all=True,
        all_value=_ANYTHING,
        current=_every(),
        allow_custom_value=False,
    )


def _parts(reference: Reference) -> dashboard.VariableModel:
    """All traffic, or one value of one segment."""
    entries = [("All traffic", _ALL_TRAFFIC)]
    for segment in reference.model.segments:
        names = reference.layout.segment_values(segment)
        for name in unique(names[:-4], names[-4:]):
            entries.append((f"{segment}: {name}", f"segment={quoted(segment)},value={quoted(name)}"))
    told = "Panels of answers and inputs show this part of the traffic; checks are what they are."
    return _listed("segment", "Part of the traffic", entries, description=told)


def of_model(reference: Reference) -> list[dashboard.VariableModel]:
    """What is chosen on the board of one model."""
    model = reference.model
    columns = [(column.name, f"column={quoted(column.name)}") for column in model.features]
    windows = [(window, window) for window in _WINDOWS]
    told = "How much traffic the panels of shapes show, up to the end of the time that is looked at."
    found = [_source(), _versions(model)]
    if model.segments:
        found.append(_parts(reference))
    found.append(_listed("window", "Shapes over the last", windows, _WINDOWS.index("1d"), told))
    if columns:
        found.append(_listed("column", "Input to look at", columns))
    return found


def of_fleet(models: Sequence[str]) -> list[dashboard.VariableModel]:
    """What is chosen on the board of all models."""
    chosen = dashboard.VariableModel(
        type_val=dashboard.VariableType.CUSTOM,
        name="model",
        label="Model",
        query=", ".join(choice(name, option(name)) for name in models),
        multi=True,
        include_all=True,
        all_value=_ANYTHING,
        current=_every(),
        allow_custom_value=False,
    )
    return [_source(), chosen]
