"""The alerts of a check: they fire where a recorded verdict is a failure, and say what a person wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import Any, NamedTuple
from urllib.parse import quote

from wakeful.checks import Check
from wakeful.compile.about import board_of, fear_of, owner_of, told_by
from wakeful.compile.plan import BURN, ESTIMATE, GOING_ON, HIGH, LIMIT, LOW, REFERENCE, ROWS, VERDICT, Burning
from wakeful.compile.promql import quoted
from wakeful.compile.quoting import in_template, selector, valid
from wakeful.errors import DataError

__all__ = [
    "BURNS",
    "CHECK_FAILS",
    "CULPRIT",
    "ELEMENT",
    "Links",
    "burn_alert",
    "check_alert",
    "culprits",
]

CHECK_FAILS = "WakefulCheckFails"
BURNS = "WakefulObjectiveBurns"
CULPRIT = "wakeful:model:culprit"  # how far a failing column is beyond its limit, in widths of its interval
_MOST_CULPRITS = 5

ELEMENT = ("model", "version", "check", "at", "column", "segment", "value")  # what tells one verdict from another


class Links(NamedTuple):
    """Where an alert sends its reader.

    ``{model}``, ``{check}``, ``{owner}``, ``{severity}`` and ``{board}``, the model's dashboard, are filled in.

    Attributes:
        runbook: what to do about it.
        dashboard: what it looks like.
    """

    runbook: str = ""
    dashboard: str = ""

    def annotations(self, *, model: str, check: str, owner: str, severity: str) -> dict[str, str]:
        """Those that are given, for one alert."""
        names = {"model": model, "check": check, "owner": owner, "severity": severity, "board": board_of(model)}
        links = {"runbook_url": self.runbook, "dashboard_url": self.dashboard}
        return {name: in_template(filled(link, **names)) for name, link in links.items() if link}


def filled(link: str, **names: str) -> str:
    """A link with names in place of what stands in braces; DataError on braces that hold anything else."""
    try:
        wanted = {name for _, name, _, _ in Formatter().parse(link) if name is not None}
    except ValueError:
        wanted = {link}
    if wanted - names.keys():
        known = ", ".join(f"{{{name}}}" for name in names)
        raise DataError(f"{link!r} is no link that can be filled in. In braces it may hold {known}.")
    return link.format(**{name: quote(valid(value), safe="") for name, value in names.items()})


def check_alert(model: str, check: Check, links: Links, bridged: str) -> dict[str, Any]:
    """The alerting rule of one check.

    It has no ``for``: a verdict has taken noise in, and a replay waits for nothing. Where a scrape fails, the last
    verdict counts for as long as ``bridged``.
    """
    of_check = {"model": model, "check": check.name}
    estimate, verdict = (_last(name, bridged, of_check) for name in (ESTIMATE, VERDICT))
    what, value = "{{ $labels.assertion }}", _value(bridged, ELEMENT, LOW, HIGH, ROWS, LIMIT, REFERENCE)
    return _rule(CHECK_FAILS, f"{estimate}\nand {verdict} == 2", model, check, links, what=what, value=value)


def burn_alert(model: str, burning: Burning, links: Links, bridged: str) -> dict[str, Any]:
    """The alerting rule of a check's objectives over a shorter window.

    It ends where the last word of the shortest window, which has none where there are few outcomes, is that the limit
    holds again.
    """
    of_window = {"model": model, "check": burning.check.name, "window": burning.window}
    estimate, verdict = (_last(BURN[name], bridged, of_window) for name in (ESTIMATE, VERDICT))
    ended = f"{_last(GOING_ON, burning.window, of_window)} == -1"
    value = _value(bridged, (*ELEMENT, "burn", "window"), *(BURN[name] for name in (LOW, HIGH, ROWS, LIMIT)))
    expr = f"{estimate}\nand {verdict} == 2\nunless {ended}"
    rule = _rule(BURNS, expr, model, burning.check, links, what=_BURNS, value=value)
    rule["labels"]["window"] = burning.window  # as the series have it: promtool tells rules apart by what is written
    return rule


_BURNS = (
    "{{ $labels.assertion }}: over {{ $labels.window }}, wrong answers come more than {{ $labels.burn }} times "
    "as fast as it allows"
)


def _last(name: str, bridged: str, labels: dict[str, str]) -> str:
    return f"last_over_time({selector(name, **labels)}[{bridged}])"


def _rule(alert: str, expr: str, model: str, check: Check, links: Links, *, what: str, value: str) -> dict[str, Any]:
    owner = owner_of(check)
    names = {"model": in_template(model), "check": in_template(check.name)}
    labels = names | {name: in_template(value) for name, value in told_by(check).items()}
    annotations = {
        "summary": in_template(fear_of(check)),
        "action": in_template(check.action),
        "what": what,
        "value": value,
        "culprit": _CULPRIT,
        **links.annotations(model=model, check=check.name, owner=owner, severity=check.severity),
    }
    return {
        "alert": alert,
        "expr": expr,
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
    }


def culprits(model: str, score: str) -> dict[str, Any]:
    """The recording rule that ranks failing columns; the score comes only where no other column fails.

    By how many widths of its interval a column is beyond the limit: a share, a distance and a mean compare by it.
    """

    def beyond(*others: str) -> str:
        estimate, limit, high, low, verdict = (
            f"{name}{{{','.join((f'model={quoted(model)}', *others))}}}"
            for name in (ESTIMATE, LIMIT, HIGH, LOW, VERDICT)
        )
        worst = "topk by (model, version, column, segment, value) (1,"
        return f"{worst} abs({estimate} - {limit}) / ({high} - {low}) and {verdict} == 2)"

    features = beyond('column!=""', f"column!={quoted(score)}")
    answers = beyond(f"column={quoted(score)}")
    expr = f"{features}\nor ({answers}\n  unless on (model, version) {features})"
    return {"record": CULPRIT, "expr": expr, "labels": {"model": valid(model)}}


def _value(bridged: str, labels: Sequence[str], low: str, high: str, rows: str, limit: str, *reference: str) -> str:
    """``0.71 (0.64–0.77, n=182), limit 0.95, reference 0.97``, from recorded series."""
    selected = ",".join(f"{name}=%q" for name in labels)
    values = " ".join(f"$labels.{name}" for name in labels)

    def told(series: str, text: str) -> str:
        return f'{{{{ range query (printf "last_over_time({series}%s)" $of) }}}}{text}{{{{ end -}}}}'

    number = '{{ template "number" .Value }}'
    return "\n".join((
        '{{ define "number" }}{{ if or (ge . 1000.0) (le . -1000.0) }}{{ printf "%.0f" . }}',
        '{{- else }}{{ printf "%.3g" . }}{{ end }}{{ end -}}',
        f'{{{{ $of := printf "{{{selected}}}[{bridged}]" {values} -}}}}',
        '{{ template "number" $value -}}',
        told(low, f" ({number}"),
        told(high, f"–{number}"),
        told(rows, ', n={{ printf "%.0f" .Value }})'),
        told(limit, f", limit {number}"),
        *(told(one, f", reference {number}") for one in reference),
    ))  # fmt: skip


# ``income: live.features.out_of_range() <= 0.01; rent [city=Köln]: …``, worst first.
_CULPRIT = "\n".join((
    f'{{{{ range $place, $one := query (printf "sort_desc(topk({_MOST_CULPRITS}, {CULPRIT}{{model=%q,version=%q}}))"',
    "  $labels.model $labels.version) }}{{ if $place }}; {{ end }}{{ $one.Labels.column -}}",
    "{{ if $one.Labels.segment }} [{{ $one.Labels.segment }}={{ $one.Labels.value }}]{{ end -}}",
    ": {{ $one.Labels.assertion }}{{ else }}no column stands out{{ end }}",
))  # fmt: skip
