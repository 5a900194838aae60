"""What is feared, and whether it came true: the checks of one model, now and over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wakeful.checks import Check
from wakeful.compile import plan
from wakeful.compile.about import CHECK, WORST, fear_of
from wakeful.compile.grafana.panels import STATE, WHOLE, Column, Line, Tile, rows, states
from wakeful.compile.grafana.past import known
from wakeful.compile.grafana.quoting import alternatives, select, shown
from wakeful.compile.grafana.variables import VERSION, labels_of_parts
from wakeful.model import Model

__all__ = ["fears"]

_SEVERITIES = ("page", "ticket", "explain")


def fears(model: Model, checks: Sequence[Check]) -> Iterator[Tile]:
    """States over time, then every check now, then what of it fails."""
    if checks:
        yield _over_time(model.name, checks)
        yield _now(model.name)
        yield _failing(model)


def _over_time(model: str, checks: Sequence[Check]) -> Tile:
    drawn: list[Line] = []
    names: dict[str, str] = {}
    for severity in _SEVERITIES:
        some = [check for check in checks if check.severity == severity]
        if some:
            these = f"check=~{alternatives(check.name for check in some)}"
            drawn.append(Line(f"max by (check) ({known(select(WORST, these, VERSION, model=model))})", "{{check}}"))
            names |= {check.name: shown(f"{fear_of(check)} ({check.name})") for check in some}
    return states(
        "What we fear, and when it was so",
        "One line for each check: those that page, then tickets, then what only explains. Red: the data refute the "
        "check. Yellow: the value is on the wrong side, and chance alone could have put it there. No colour: nothing "
        "to judge.",
        drawn,
        names,
        size=(24, max(6, 3 + len(checks))),
    )


def _now(model: str) -> Tile:
    verdict = known(select(plan.VERDICT, VERSION, model=model))
    words = f"max by (check, fear, severity, owner, window) ({known(select(CHECK, model=model))})"
    judged = f"max by (check, assertion) ({verdict}) * on (check) group_left (fear, severity, owner, window) {words}"
    silent = f"({words} * 0 - 1) unless on (check) {verdict}"
    number = "count by (check, assertion)"
    return rows(
        "Checks now",
        "Every assertion in its worst state over all columns, segments and versions, and in how many of them it "
        "fails. Not judged: there is nothing to judge it by, or Prometheus cannot express it.",
        [
            Column(f"({judged}) or ({silent})", "State", look=STATE),
            Column(f"{number} ({verdict} == 2) or {number} ({verdict}) * 0", "Fails in"),
            Column(f"{number} ({verdict} == 1) or {number} ({verdict}) * 0", "Not sure in"),
            Column(f"{number} ({verdict})", "Out of"),
        ],
        labels={
            "fear": "What we fear",
            "severity": "It is a",
            "owner": "For",
            "check": "Check",
            "assertion": "Assertion",
            "window": "Over",
        },
        sort="State",
        size=(24, 12),
    )


def _failing(model: Model) -> Tile:
    bad = f"({known(select(plan.VERDICT, VERSION, model=model.name))} > 0)"
    labels = {"check": "Check", "assertion": "Assertion", "column": "Column"} | labels_of_parts(model)
    place = f"max by (at, {', '.join(labels)})"

    def of(name: str) -> str:
        return f"{place} ({known(select(name, VERSION, model=model.name))} and {bad})"

    return rows(
        "What fails, or may",
        "The columns, segments and versions behind every check that does not hold: the value with the band that it "
        "surely lies in, and what it is held against.",
        [
            Column(f"{place} {bad}", "State", look=STATE),
            Column(of(plan.ESTIMATE), "Now"),
            Column(of(plan.LOW), "As low as"),
            Column(of(plan.HIGH), "As high as"),
            Column(of(plan.LIMIT), "Limit"),
            Column(of(plan.REFERENCE), "In training"),
            Column(of(plan.ROWS), "Rows", look=WHOLE),
        ],
        labels=labels,
        hidden=("at",),
        sort="State",
        empty="Every check holds",
        size=(24, 12),
    )
