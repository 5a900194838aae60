"""Panels: what every kind of picture looks like on these boards, with the models of grafana-foundation-sdk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wakeful.compile.grafana.sdk import (
    barchart,
    bargauge,
    common,
    dashboard,
    prometheus,
    statetimeline,
    table,
    text,
    timeseries,
    units,
)

__all__ = [
    "BEFORE",
    "BLUE",
    "GREEN",
    "GREY",
    "RED",
    "SOURCE",
    "STATE",
    "WHOLE",
    "YELLOW",
    "Column",
    "Line",
    "Tile",
    "bars",
    "colored",
    "lines",
    "note",
    "ranking",
    "rows",
    "states",
    "steps",
]

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, GREY, BLUE = "green", "yellow", "red", "#8e8e8e", "blue"
_LEAST_STEP = "1m"  # no rule is evaluated more often
_SMALLEST = 0.01  # top of an axis of shares that are all 0: Grafana would take 10,000%
_NARROWEST, _LETTER, _MARGIN = 70, 8, 24  # pixels of a column of values, of a letter of its title, and around it
_NARROW = {  # pixels
    "It is a": 80, "Over": 70, "Version": 80, "Segment": 100, "Value": 100, "For": 140, "Reference": 140,
}  # fmt: skip
_WRAPPED = ("Assertion", "Worst fear")  # columns of labels whose text takes several lines: one in a table
_NOTHING = "–"  # in cells of tables; else they would say what the whole table says where it has no row

Unit = str


def colored(color: str, **more: Any) -> dict[str, Any]:
    """The look of a line of one colour; ``more`` are properties of its drawing, by their names in Grafana."""
    return {"color": {"mode": "fixed", "fixedColor": color}} | {f"custom.{name}": one for name, one in more.items()}


WHOLE: Mapping[str, Any] = {"unit": units.LocaleFormat, "decimals": 0}  # the look of a number of rows: 1,040, not 1 K
BEFORE = colored(GREY, lineStyle={"fill": "dot", "dash": [2, 6]})  # what training had


class Tile(NamedTuple):
    """A panel and how much room it takes, of 24 in a line."""

    panel: dashboard.Panel
    width: int
    height: int


class Line(NamedTuple):
    """A query whose series are drawn.

    Attributes:
        expr: PromQL.
        legend: with labels as ``{{label}}``.
        look: what sets it off from other lines: properties of Grafana's fields.
    """

    expr: str
    legend: str
    look: Mapping[str, Any] = {}


class Column(NamedTuple):
    """A query that fills a column of a table.

    Attributes:
        expr: PromQL.
        title: of the column; empty where only its labels are wanted.
        unit: of Grafana.
        look: further properties of the field.
    """

    expr: str
    title: str
    unit: Unit = units.Short
    look: Mapping[str, Any] = {}


def _ref(at: int) -> str:
    return chr(ord("A") + at)


def _query(expr: str, at: int, legend: str = "", *, as_table: bool = False, now: bool = False) -> prometheus.Dataquery:
    return prometheus.Dataquery(
        datasource=SOURCE,
        editor_mode=prometheus.QueryEditorMode.CODE,
        expr=expr,
        format_val=prometheus.PromQueryFormat.TABLE if as_table else prometheus.PromQueryFormat.TIME_SERIES,
        instant=now or as_table,
        range_val=not (now or as_table),
        legend_format=legend or None,
        ref_id=_ref(at),
    )


def _override(matcher: str, options: str, look: Mapping[str, Any]) -> dashboard.DashboardFieldConfigSourceOverrides:
    return dashboard.DashboardFieldConfigSourceOverrides(
        matcher=dashboard.MatcherConfig(matcher, options),
        properties=[dashboard.DynamicConfigValue(name, value) for name, value in look.items()],
    )


def steps(limits: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    """Colours from these values on; the first is None, for all below the second."""
    steps = [dashboard.Threshold(value, color) for value, color in limits]
    return dashboard.ThresholdsConfig(dashboard.ThresholdsMode.ABSOLUTE, steps)


_UNCOLOURED = steps([(None, GREEN)])


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[prometheus.Dataquery],
    options: object,
    defaults: dashboard.FieldConfig,
    overrides: Sequence[dashboard.DashboardFieldConfigSourceOverrides] = (),
    transformations: Sequence[tuple[str, object]] = (),
) -> dashboard.Panel:
    return dashboard.Panel(
        type_val=kind,
        title=title,
        description=description,
        datasource=SOURCE,
        targets=list(queries),
        options=options,
        field_config=dashboard.FieldConfigSource(defaults, list(overrides)),
        transformations=[dashboard.DataTransformerConfig(name, options=one) for name, one in transformations] or None,
        interval=_LEAST_STEP,
    )


def lines(
    title: str,
    description: str,
    drawn: Sequence[Line],
    *,
    unit: Unit = units.Short,
    least: float | None = 0.0,
    size: tuple[int, int] = (12, 8),
) -> Tile:
    """Values over time."""
    custom = timeseries.FieldConfig(
        line_width=1, fill_opacity=0, show_points=common.VisibilityMode.AUTO,
        axis_soft_max=_SMALLEST if unit == units.PercentUnit else None,
    )  # fmt: skip
    defaults = dashboard.FieldConfig(unit=unit, min_val=least, custom=custom, thresholds=_UNCOLOURED)
    options = timeseries.Options(legend=_legend(), tooltip=_tooltip())
    queries = [_query(one.expr, at, one.legend) for at, one in enumerate(drawn)]
    overrides = [_override("byFrameRefID", _ref(at), one.look) for at, one in enumerate(drawn) if one.look]
    return Tile(_panel("timeseries", title, description, queries, options, defaults, overrides), *size)


def _legend() -> common.VizLegendOptions:
    return common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING)


_STATES = {
    "-1": ("not judged", GREY),
    "0": ("holds", GREEN),
    "1": ("not sure", YELLOW),
    "2": ("fails", RED),
}


_WORDS: list[dashboard.ValueMapping] = [
    dashboard.ValueMap(
        {
            value: dashboard.ValueMappingResult(text=word, color=color, index=at)
            for at, (value, (word, color)) in enumerate(_STATES.items())
        }
    )
]
STATE: Mapping[str, Any] = {  # the look of a column of verdicts
    "mappings": _WORDS,
    "custom.cellOptions": common.TableColoredBackgroundCellOptions(mode=common.TableCellBackgroundDisplayMode.BASIC),
    "custom.align": common.FieldTextAlignment.CENTER,
}


def states(
    title: str, description: str, drawn: Sequence[Line], names: Mapping[str, str], *, size: tuple[int, int]
) -> Tile:
    """Verdicts over time, a row for each series; ``names`` are shown in place of legends."""
    defaults = dashboard.FieldConfig(
        custom=statetimeline.FieldConfig(line_width=0, fill_opacity=80),
        mappings=_WORDS,
        color=dashboard.FieldColor(dashboard.FieldColorModeId.THRESHOLDS),
        thresholds=steps([(None, GREY), (0, GREEN), (1, YELLOW), (2, RED)]),
    )
    options = statetimeline.Options(
        show_value=common.VisibilityMode.NEVER,
        row_height=0.85,
        merge_values=True,
        align_value=common.TimelineValueAlignment.LEFT,
        legend=_legend(),
        tooltip=_tooltip(),
    )
    queries = [_query(one.expr, at, one.legend) for at, one in enumerate(drawn)]
    overrides = [_override("byName", name, {"displayName": shown}) for name, shown in names.items()]
    return Tile(_panel("state-timeline", title, description, queries, options, defaults, overrides), *size)


def bars(title: str, description: str, drawn: Sequence[Column], *, by: str, size: tuple[int, int] = (12, 9)) -> Tile:
    """Shares now, side by side, for each value of the label ``by``."""
    defaults = dashboard.FieldConfig(
        unit=units.PercentUnit,
        min_val=0.0,
        custom=barchart.FieldConfig(line_width=0, fill_opacity=70),
        thresholds=_UNCOLOURED,
    )
    options = barchart.Options(
        x_field=by,
        orientation=common.VizOrientation.AUTO,
        x_tick_label_rotation=-45,
        x_tick_label_max_length=24,
        stacking=common.StackingMode.NONE,
        show_value=common.VisibilityMode.NEVER,
        bar_width=0.9,
        legend=_legend(),
        tooltip=_tooltip(),
    )
    queries = [_query(one.expr, at, as_table=True) for at, one in enumerate(drawn)]
    arranged = _arranged(drawn, hidden=(), order=(by,), titles={})
    sort = ("sortBy", {"sort": [{"field": by}]})
    overrides = [_override("byName", one.title, one.look) for one in drawn if one.look]
    panel = _panel("barchart", title, description, queries, options, defaults, overrides, [*arranged, sort])
    return Tile(panel, *size)


def rows(
    title: str,
    description: str,
    filled: Sequence[Column],
    *,
    labels: Mapping[str, str],
    hidden: Sequence[str] = (),
    looks: Mapping[str, Mapping[str, Any]] | None = None,
    sort: str = "",
    empty: str = "",
    size: tuple[int, int],
) -> Tile:
    """A table of values now, a row for every set of labels.

    Args:
        title: of the panel.
        description: how to read it.
        filled: its columns of values.
        labels: its columns of labels, by label, with their titles; they come first.
        hidden: labels that are not shown.
        looks: properties of columns of labels, by title.
        sort: title of the column with the largest values first.
        empty: what is said where there is no row.
        size: width and height.
    """
    defaults = dashboard.FieldConfig(
        custom=table.FieldConfig(
            align=common.FieldTextAlignment.AUTO, cell_options=common.TableAutoCellOptions(), inspect=False
        ),
        no_value=empty or None,
        thresholds=_UNCOLOURED,
    )
    order = [common.TableSortByFieldState(sort, desc=True)] if sort else None
    options = table.Options(cell_height=common.TableCellHeight.SM, sort_by=order)
    queries = [_query(one.expr, at, as_table=True) for at, one in enumerate(filled)]
    given = {one.title: {"unit": one.unit, "custom.width": _width(one.title)} for one in filled if one.title}
    given |= {name: look for name in labels.values() if (look := _of_labels(name))}
    for name, more in (*((one.title, one.look) for one in filled if one.title), *(looks or {}).items()):
        given[name] = given.get(name, {}) | dict(more)
    overrides = [_override("byRegexp", "/.*/", {"noValue": _NOTHING})]
    overrides += [_override("byName", name, look) for name, look in given.items()]
    arranged = _arranged(filled, hidden=hidden, order=tuple(labels), titles=labels)
    return Tile(_panel("table", title, description, queries, options, defaults, overrides, arranged), *size)


def _width(title: str) -> int:
    """Pixels of a column of values: so narrow that texts have the rest."""
    return max(_NARROWEST, _LETTER * len(title) + _MARGIN)


def _of_labels(title: str) -> dict[str, Any]:
    """How a column of labels looks."""
    if title in _NARROW:
        return {"custom.width": _NARROW[title]}
    return {"custom.cellOptions": common.TableAutoCellOptions(wrap_text=True)} if title in _WRAPPED else {}


def _arranged(
    columns: Sequence[Column], *, hidden: Sequence[str], order: Sequence[str], titles: Mapping[str, str]
) -> list[tuple[str, object]]:
    """Queries side by side in one table, its columns in order and under their titles."""
    value = "Value" if len(columns) == 1 else "Value #{}"  # as Grafana calls the values of one query, and of several
    names = {value.format(_ref(at)): one.title for at, one in enumerate(columns)}
    left_out = dict.fromkeys(("Time", *hidden, *(name for name, title in names.items() if not title)), True)
    called = dict(titles) | {name: title for name, title in names.items() if title}
    places = {name: at for at, name in enumerate((*order, *names))}
    organised = {"excludeByName": left_out, "indexByName": places, "renameByName": called}
    return [("merge", {}), ("organize", organised)]


def ranking(
    title: str,
    description: str,
    line: Line,
    *,
    unit: Unit,
    limits: Sequence[tuple[float | None, str]],
    most: float | None = None,
    empty: str = "",
    size: tuple[int, int] = (12, 10),
) -> Tile:
    """Values now as bars, in the order of the query; ``most`` fills a bar, ``empty`` is said where there are none."""
    defaults = dashboard.FieldConfig(
        unit=unit, min_val=0.0, max_val=most, no_value=empty or None, thresholds=steps(limits),
        color=dashboard.FieldColor(dashboard.FieldColorModeId.THRESHOLDS),
    )  # fmt: skip
    options = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        value_mode=common.BarGaugeValueMode.COLOR,
        orientation=common.VizOrientation.HORIZONTAL,
        text=common.VizTextDisplayOptions(title_size=14, value_size=18),
        reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields=""),
    )
    queries = [_query(line.expr, 0, line.legend, now=True)]
    return Tile(_panel("bargauge", title, description, queries, options, defaults), *size)


def note(title: str, words: str, *, size: tuple[int, int] = (24, 3)) -> Tile:
    """A text."""
    options = text.Options(mode=text.TextMode.MARKDOWN, content=words)
    return Tile(dashboard.Panel(type_val="text", title=title, options=options), *size)
