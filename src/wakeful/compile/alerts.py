"""The alert of a check: it fires where the recorded verdict is a failure, and says what a person wants to know."""

from __future__ import annotations

from string import Formatter
from typing import Any, NamedTuple
from urllib.parse import quote

from wakeful.checks import Check
from wakeful.compile.about import board_of, fear_of
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, REFERENCE, ROWS, VERDICT
from wakeful.compile.promql import quoted
from wakeful.compile.quoting import in_template, selector, valid
from wakeful.errors import DataError

__all__ = ["CHECK_FAILS", "CULPRIT", "Links", "check_alert", "culprits", "owner_of", "told_by"]

CHECK_FAILS = "WakefulCheckFails"
CULPRIT = "wakeful:model:culprit"  # how far a failing column is beyond its limit, in widths of its interval
_MOST_CULPRITS = 5

_ELEMENT = ("model", "version", "check", "at", "column", "segment", "value")  # what tells one verdict from another


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


def owner_of(check: Check) -> str:
    """Whom it wakes, or whose ticket it becomes."""
    return check.page or check.ticket or ""


def told_by(check: Check) -> dict[str, str]:
    """What an alert of a check says beside what it is about; an empty label is none."""
    return {"severity": check.severity, "owner": owner_of(check)}


def check_alert(model: str, check: Check, links: Links, bridged: str) -> dict[str, Any]:
    """The alerting rule of one check.

    It has no ``for``: a verdict has taken noise in, and a replay waits for nothing. Where a scrape fails, the last
    verdict counts for as long as ``bridged``.
    """
    of_check = {"model": model, "check": check.name}
    estimate, verdict = (f"last_over_time({selector(name, **of_check)}[{bridged}])" for name in (ESTIMATE, VERDICT))
    owner = owner_of(check)
    names = {"model": in_template(model), "check": in_template(check.name)}
    labels = names | {name: in_template(value) for name, value in told_by(check).items()}
    annotations = {
        "summary": in_template(fear_of(check)),
        "action": in_template(check.action),
        "what": "{{ $labels.assertion }}",
        "value": _value(bridged),
        "culprit": _CULPRIT,
        **links.annotations(model=model, check=check.name, owner=owner, severity=check.severity),
    }
    return {
        "alert": CHECK_FAILS,
        "expr": f"{estimate}\nand {verdict} == 2",
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


def _value(bridged: str) -> str:
    """``0.71 (0.64–0.77, n=182), limit 0.95, reference 0.97``."""
    selected = ",".join(f"{name}=%q" for name in _ELEMENT)
    values = " ".join(f"$labels.{name}" for name in _ELEMENT)

    def told(series: str, text: str) -> str:
        return f'{{{{ range query (printf "last_over_time({series}%s)" $of) }}}}{text}{{{{ end -}}}}'

    number = '{{ template "number" .Value }}'
    return "\n".join((
        '{{ define "number" }}{{ if or (ge . 1000.0) (le . -1000.0) }}{{ printf "%.0f" . }}',
        '{{- else }}{{ printf "%.3g" . }}{{ end }}{{ end -}}',
        f'{{{{ $of := printf "{{{selected}}}[{bridged}]" {values} -}}}}',
        '{{ template "number" $value -}}',
        told(LOW, f" ({number}"),
        told(HIGH, f"–{number}"),
        told(ROWS, ', n={{ printf "%.0f" .Value }})'),
        told(LIMIT, f", limit {number}"),
        told(REFERENCE, f", reference {number}"),
    ))  # fmt: skip


# ``income: live.features.out_of_range() <= 0.01; rent [city=Köln]: …``, worst first.
_CULPRIT = "\n".join((
    f'{{{{ range $place, $one := query (printf "sort_desc(topk({_MOST_CULPRITS}, {CULPRIT}{{model=%q,version=%q}}))"',
    "  $labels.model $labels.version) }}{{ if $place }}; {{ end }}{{ $one.Labels.column -}}",
    "{{ if $one.Labels.segment }} [{{ $one.Labels.segment }}={{ $one.Labels.value }}]{{ end -}}",
    ": {{ $one.Labels.assertion }}{{ else }}no column stands out{{ end }}",
))  # fmt: skip
