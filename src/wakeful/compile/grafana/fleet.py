"""The board of all models: a line for each, and where to go on."""

from __future__ import annotations

from wakeful.compile.about import CHECK, MODEL, WORST
from wakeful.compile.grafana.layout import Row
from wakeful.compile.grafana.maturity import MATURE_AGE
from wakeful.compile.grafana.panels import STATE, Column, Line, Tile, lines, rows, states
from wakeful.compile.grafana.past import known, rate
from wakeful.compile.grafana.quoting import select
from wakeful.compile.grafana.variables import MODELS
from wakeful.compile.grafana.words import SHARE
from wakeful.maturity import FLOOR

__all__ = ["rows_of_fleet"]

_ALL_TRAFFIC = 'segment=""'
_ALARMS = 'severity=~"page|ticket"'  # what only explains never makes a model red
_TO_BOARD = [{"title": "Open the board of this model", "url": "/d/${__data.fields.board}?${__url_time_range}"}]


def rows_of_fleet() -> list[Row]:
    """Every row of the board."""
    return [Row("Models", [_models()]), Row("Over time", [_states(), _traffic(), _outcomes(), _losses()])]


def _info(name: str, labels: str, *matchers: str) -> str:
    return f"max by ({labels}) ({known(select(name, MODELS, *matchers))})"


def _verdicts() -> str:
    """The worst state of every check that raises alarms."""
    checks = _info(CHECK, "model, check", _ALARMS)
    return f"max by (model, check) ({known(select(WORST, MODELS))}) * on (model, check) {checks}"


def _worst() -> str:
    """Of each model the check that is worst off, with its fear: what fails before what may, pages before tickets."""
    labels = "model, check, fear, owner"
    pages, tickets = (_info(CHECK, labels, f'severity="{name}"') for name in ("page", "ticket"))
    states = f"(max by (model, check) ({known(select(WORST, MODELS))}) > 0)"
    return f"topk by (model) (1, {states} ^ 2 * on (model, check) group_left (fear, owner) (2 * {pages} or {tickets}))"


def _models() -> Tile:
    models = _info(MODEL, "model")
    per_second = f"sum by (model) ({rate(select('wakeful_rows_total', MODELS, _ALL_TRAFFIC))})"
    answers = f"sum by (model) (increase({select('wakeful_rows_total', MODELS, _ALL_TRAFFIC)}[1d]))"
    outcomes = f"sum by (model) (increase({select('wakeful_outcomes_reported_total', MODELS)}[1d]))"
    mature = f"max by (model) ({select(MATURE_AGE, MODELS)})"
    behind = f"time() - min by (model) ({known(select('wakeful_last_flush_timestamp_seconds', MODELS))})"
    return rows(
        "Models",
        "The state of a model is that of its worst check that pages or files a ticket. Labels are mature at the "
        f"age at which {FLOOR:.0%} of the outcomes still to be expected are known, as wakeful join tells. Click on a "
        "model for its board.",
        [
            Column(_info(MODEL, "model, board"), ""),
            Column(f"max by (model) ({_verdicts()}) or ({models} * 0 - 1)", "State", look=STATE),
            Column(f"count by (model) (({_verdicts()}) == 2) or {models} * 0", "Fears come true"),
            Column(_worst(), ""),
            Column(f"{per_second} or {models} * 0", "Answers per second", "cps"),
            Column(f"{outcomes} / ({answers} > 0)", "Outcomes per answer", SHARE),
            Column(mature, "Labels mature after", "s", {"noValue": "not known"}),
            Column(behind, "Behind", "s"),
        ],
        labels={"model": "Model", "fear": "Worst fear", "check": "Its check", "owner": "For"},
        looks={"Model": {"links": _TO_BOARD}, "board": {"custom.hidden": True}},
        sort="State",
        size=(24, 12),
    )


def _states() -> Tile:
    told = "The worst check of each model that pages or files a ticket. No colour: nothing to judge."
    drawn = [Line(f"max by (model) ({_verdicts()})", "{{model}}")]
    return states("Which model had a fear come true, and when", told, drawn, {}, size=(24, 8))


def _traffic() -> Tile:
    counted = select("wakeful_rows_total", MODELS, _ALL_TRAFFIC)
    drawn = [Line(f"sum by (model) ({rate(counted)})", "{{model}}")]
    return lines("Answers per second", "How often each model answers.", drawn, unit="cps", size=(8, 8))


def _outcomes() -> Tile:
    counted = select("wakeful_outcomes_reported_total", MODELS)
    told = "How often services tell what became of a case. Quality is judged on what arrives here."
    drawn = [Line(f"sum by (model) ({rate(counted)})", "{{model}}")]
    return lines("Outcomes reported per second", told, drawn, unit="cps", size=(8, 8))


def _losses() -> Tile:
    def summed(name: str) -> str:
        return f"sum by (model) ({rate(select(name, MODELS))})"

    share = f"{summed('wakeful_observations_dropped_total')} / ({summed('wakeful_observations_seen_total')} > 0)"
    told = "Share of what services handed over that was not counted. Healthy: 0."
    return lines("Answers that were not counted", told, [Line(share, "{{model}}")], unit=SHARE, size=(8, 8))
