"""Boards as files: what stands on them, what may be chosen, what is marked, and where they lead."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from wakeful.compile.about import CHECK, WORST, board_of
from wakeful.compile.alerts import BURNS
from wakeful.compile.grafana.assertions import asked, tile_of
from wakeful.compile.grafana.fears import fears
from wakeful.compile.grafana.fleet import rows_of_fleet
from wakeful.compile.grafana.inputs import inputs
from wakeful.compile.grafana.layout import Row, placed
from wakeful.compile.grafana.maturity import maturity
from wakeful.compile.grafana.panels import RED, SOURCE
from wakeful.compile.grafana.past import known
from wakeful.compile.grafana.quoting import select, shown
from wakeful.compile.grafana.sdk import JSONEncoder, dashboard, prometheus
from wakeful.compile.grafana.service import arrival, service
from wakeful.compile.grafana.shapes import answers, one_input
from wakeful.compile.grafana.variables import of_fleet, of_model
from wakeful.compile.plan import Plan
from wakeful.compile.recorded import ALERTS
from wakeful.errors import DataError
from wakeful.monitor import Monitor

__all__ = ["FLEET", "dashboards"]

FLEET = "wakeful-fleet"  # uid of the board of all models
_TAG = "wakeful"
_SCHEMA = 41  # of the Grafana that a Compose file brings up: later ones bring boards forward, and none goes back
_NEWER = ("placement", "auto", "auto_min", "auto_count")  # of links, marks and lists: that Grafana has no such thing
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def dashboards(planned: Iterable[tuple[Monitor, Plan]]) -> dict[str, str]:
    """Dashboards as Grafana provisions them, by the names of their files; the same to the byte for the same monitors.

    They read what the plans record, what ``wakeful.compile.about`` records beside them, and what services export.

    Args:
        planned: every monitor with what Prometheus records of it.

    Raises:
        DataError: there is no monitor, or two watch models of one name, whose series would mix.
        CheckError: a check cannot be read.
    """
    some = list(planned)
    names = [monitor.reference.model.name for monitor, _ in some]
    if not names:
        raise DataError("there is no monitor to make dashboards of. Give at least one monitor file.")
    for name, times in Counter(names).items():
        if times > 1:
            raise DataError(
                f"{times} monitors watch a model called {name!r}, so their series would mix. Learn the reference of "
                "one of them under another name: wakeful init … --name NAME"
            )
    found = {"fleet.json": _text(_fleet(sorted(names)))}
    for monitor, recorded in some:
        found[_file_of(monitor.reference.model.name)] = _text(_board(monitor, recorded))
    return found


def _file_of(model: str) -> str:
    """The model's name where a file may have it on every system."""
    return f"{model if _SAFE_NAME.fullmatch(model) and model != 'fleet' else board_of(model)}.json"


def _text(board: dashboard.Dashboard) -> str:
    """As Grafana reads it, without what the SDK fills in for later versions."""
    content = json.loads(json.dumps(board, cls=JSONEncoder))
    for one in (*content["links"], *content["annotations"]["list"], *content["templating"]["list"]):
        for name in _NEWER:
            one.pop(name, None)
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _fleet(models: Sequence[str]) -> dashboard.Dashboard:
    told = "Every model that wakeful watches: what is feared, whether it came true, and whether it answers."
    found = _made(FLEET, "wakeful: all models", told, rows_of_fleet(), of_fleet(models))
    found.links = [_boards()]
    return found


def _board(monitor: Monitor, planned: Plan) -> dashboard.Dashboard:
    name = monitor.reference.model.name
    told = "From what hurts to what explains it: service, fears, outcomes, answers, inputs."
    found = _made(board_of(name), f"wakeful: {shown(name)}", told, _rows(monitor, planned), of_model(monitor.reference))
    found.links = [_to_fleet(), _boards()]
    found.annotations = dashboard.AnnotationContainer(list(_marks(name, planned)))
    return found


def _made(
    uid: str, title: str, description: str, rows: Iterable[Row], variables: list[dashboard.VariableModel]
) -> dashboard.Dashboard:
    return dashboard.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[_TAG],
        editable=True,
        schema_version=_SCHEMA,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime("now-24h", "now"),
        timepicker=dashboard.TimePickerConfig(refresh_intervals=["30s", "1m", "5m", "15m", "1h"]),
        refresh="1m",
        panels=placed(rows),
        templating=dashboard.DashboardDashboardTemplating(variables),
        annotations=dashboard.AnnotationContainer([]),
    )


def _rows(monitor: Monitor, planned: Plan) -> Iterator[Row]:
    """In the order in which a page is read: from what hurts to what explains it."""
    model = monitor.reference.model
    found = list(asked(monitor, planned))
    tiles = {
        section: [tile_of(model, one) for one in found if one.section == section and one.has_tile]
        for section in ("service", "outcomes", "answers", "inputs")
    }
    yield Row("Service and versions", [*service(model), *tiles["service"]])
    yield Row("Fears", list(fears(model, monitor.checks)))
    yield Row("Outcomes", [*tiles["outcomes"], *arrival(model), *maturity(model)])
    is_flagged_asked = any(one.is_of("flagged_share") for one in found)
    yield Row("Answers", [*tiles["answers"], *answers(model, is_flagged_asked=is_flagged_asked)])
    yield Row("Inputs", [*inputs(model, found), *tiles["inputs"], *one_input(model)])


def _boards() -> dashboard.DashboardLink:
    return dashboard.DashboardLink(
        title="Boards", type_val=dashboard.DashboardLinkType.DASHBOARDS, icon="external link",
        tooltip="Every board of wakeful", tags=[_TAG], as_dropdown=True, keep_time=True,
    )  # fmt: skip


def _to_fleet() -> dashboard.DashboardLink:
    return dashboard.DashboardLink(
        title="All models", type_val=dashboard.DashboardLinkType.LINK, icon="dashboard",
        tooltip="The board of all models", url=f"/d/{FLEET}", keep_time=True,
    )  # fmt: skip


def _marks(model: str, planned: Plan) -> Iterator[dashboard.AnnotationQuery]:
    """A version or a reference that was not there before, pages, and objectives that burn."""
    info = select("wakeful_reference_info", model=model)
    before = f"last_over_time({info}[6h] offset 5m)"
    yield _mark(
        "Deployments",
        f"max by (version, layout) ({info}) unless max by (version, layout) ({before})",
        "blue",
        "Version {{version}}",
        "Judged by reference {{layout}}",
    )
    pages = f"max by (model, check, fear) ({known(select(CHECK, model=model, severity='page'))})"
    failing = f"max by (model, check) ({known(select(WORST, model=model))}) == 2"
    yield _mark("Pages", f"({failing}) * on (model, check) group_left (fear) {pages}", RED, "{{fear}}", "{{check}}")
    if planned.burning:
        burning = select(ALERTS, model=model, alertname=BURNS, alertstate="firing")
        yield _mark("Objectives", f"max by (check, window, burn) ({burning})", RED, _BURNS, "{{check}}")


_BURNS = "Over {{window}}, wrong more than {{burn}} times as often as allowed"


def _mark(name: str, expr: str, color: str, title: str, text: str) -> dashboard.AnnotationQuery:
    query = prometheus.Dataquery(expr=expr, ref_id="Anno", interval="60s")
    return dashboard.AnnotationQuery(
        name=name, datasource=SOURCE, enable=True, icon_color=color, target=query,
        title_format=title, text_format=text, use_value_for_time=False,
    )  # fmt: skip
