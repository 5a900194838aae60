"""What `wakeful backfill` fills in is what Prometheus would have recorded: boards, alerts and live rules go on."""

from __future__ import annotations

import dataclasses
import json
import math
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from boards import chosen, faults_of_answers, interpolated, panels_of

import wakeful
from wakeful.backfill import Backfill, backfill, write
from wakeful.compile.files import compile_monitors
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, NOISE, REFERENCE, ROWS, VERDICT
from wakeful.live.export.exporter import slice_labels
from wakeful.replay import replay

START = pd.Timestamp("2026-03-01", tz="UTC")
HOURS = 54
HOUR = 3600
STATES = {"pass": 0.0, "unsure": 1.0, "fail": 2.0}
NOTHING_TO_TELL = (
    "Lost on the way C", "Lost on the way D",  # rows of a log, and reported outcomes: there were none
    "Models G", "Label maturity", "Predictions and what became",  # what wakeful join tells
)  # fmt: skip
ODD = 1_300  # seconds: hits most hours between their ends

Filled = Callable[..., Any]


def rows(traffic: Any, start: pd.Timestamp, hours: float, broken: tuple[float, float], number: int) -> pd.DataFrame:
    """Applications; between two hours rents are gone on the web, incomes are in cents, and scores are chance."""
    frame = pd.DataFrame(traffic(number, seed=4))
    random = np.random.default_rng(4)
    past = np.sort(random.random(number)) * hours
    frame["at"] = start + pd.to_timedelta(past * HOUR, unit="s")
    hit = (past >= broken[0]) & (past < broken[1])
    frame["income"] = frame["income"].where(~hit, frame["income"] * 100)
    frame["rent"] = frame["rent"].where(~hit | (frame["platform"] == "app"))
    frame["score"] = frame["score"].where(~hit, random.random(number) ** 6)
    return frame


def monitor_of(reference: wakeful.Reference, window: str) -> wakeful.Monitor:
    monitor = wakeful.Monitor(reference)

    @monitor.check(window=window, page='credit "risk"', fear="We turn away good customers {{ $labels.x }}")
    def answers_keep_their_shape(live: Any) -> None:
        assert live.score.d1() <= 0.3
        assert 0.1 <= live.flagged_share() <= 0.7

    @monitor.check(window=window, ticket="ml-team")
    def inputs_are_whole(live: Any) -> None:
        assert live.features.missing() <= live.reference.features.missing() + 0.05
        assert live["income"].spike() <= 0.01, "no rule can say this"
        assert live.by("platform")["rent"].missing() <= 0.1

    @monitor.check(window=window)
    def inputs_look_as_in_training(live: Any) -> None:
        assert live.features.d1() <= 0.3

    @monitor.check(window=window, page="credit-risk")
    def decisions_are_right(live: Any) -> None:
        assert live.precision() >= 0.4
        assert live.by("platform").accuracy() >= 0.3

    return monitor


@pytest.fixture
def filled(tmp_path: Path, promtool: Any, prometheus: Any) -> Filled:
    """A real Prometheus with a history in it, that evaluates the compiled rules."""

    def fill(monitor: wakeful.Monitor, filling: Backfill) -> Any:
        compile_monitors([monitor]).write(tmp_path / "deploy")
        write(filling, tmp_path / "history.om")
        options = ["create-blocks-from", "openmetrics", "--max-block-duration=744h"]
        promtool("tsdb", *options, "history.om", "blocks", cwd=tmp_path)
        [group] = yaml.safe_load((tmp_path / "deploy" / "rules.yml").read_text(encoding="utf-8"))["groups"]
        server = prometheus(data=tmp_path / "blocks", rules=group["rules"])
        server.wait("/api/v1/status/runtimeinfo", lambda answer: answer["status"] == "success")
        return server

    return fill


class Past:
    """Asked as Grafana asks: at some moment that is no end of a step, and all the time before."""

    def __init__(self, server: Any, first: float, last: float) -> None:
        self.server, self.first, self.last = server, first, last

    def ask(self, path: str, **parameters: object) -> Any:
        answer = self.server.get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return answer["data"]["result"]

    def now(self, expr: str) -> list[tuple[dict[str, str], list[float]]]:
        return [(one["metric"], [float(one["value"][1])]) for one in self.ask("query", query=expr, time=self.last)]

    def samples(self, expr: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        found = self.ask("query_range", query=expr, start=self.first, end=self.last, step=ODD)
        return [(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in found]

    def over_time(self, expr: str) -> list[tuple[dict[str, str], list[float]]]:
        return [(labels, [value for _, value in values]) for labels, values in self.samples(expr)]


@pytest.fixture
def history(traffic: Any) -> pd.DataFrame:
    return rows(traffic, START, HOURS, (24, 34), 9_000)


@pytest.fixture
def monitor(reference: wakeful.Reference) -> wakeful.Monitor:
    monitor = monitor_of(reference, "6h")

    @monitor.check(window="2h", ticket="ml-team")
    def as_many_are_missing_as_a_day_ago(live: Any) -> None:
        assert live.features.missing() <= live.ago("1d").features.missing() + 0.1
        assert live.against("1d")["city"].d1() <= 0.5

    return monitor


def test_every_panel_shows_the_past_at_any_time(monitor: wakeful.Monitor, history: Any, filled: Filled, tmp_path: Path):
    server = filled(monitor, backfill(monitor, history, time="at", version="7"))
    begun = START.timestamp()
    past = Past(server, begun + 25 * HOUR, begun + 33.62 * HOUR)  # a day ago there was traffic, and now it fails

    for path in sorted((tmp_path / "deploy" / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        values = chosen(board) | {"__rate_interval": "1m15s", "version": "7" if "loans" in path.name else ""}
        for window in ("1h", "1d"):
            faults = faults_of_answers(board, past, values | {"window": window})
            assert [one for one in faults if not one.startswith(NOTHING_TO_TELL)] == []
        for one in panels_of(board):
            for target in one["targets"]:
                if not target.get("instant") and not f"{one['title']} {target['refId']}".startswith(NOTHING_TO_TELL):
                    found = past.samples(interpolated(target["expr"], values))
                    times = {at for _, samples in found for at, _ in samples}
                    assert times == set(np.arange(past.first, past.last, ODD)), (one["title"], target["expr"])


NUMBERS = {
    ESTIMATE: "estimate", LOW: "low", HIGH: "high", ROWS: "n", LIMIT: "limit", NOISE: "noise", REFERENCE: "reference",
}  # fmt: skip
FIRING = 'ALERTS{alertname="WakefulCheckFails",alertstate="firing"}'
WORST = "max by (check) (last_over_time(wakeful:check:worst[3599s]) and on (model) wakeful:backfill:step)"

Element = tuple[str, str, str, str]  # check, place of the assertion in it, column, value of the segment


def element(labels: dict[str, str]) -> Element:
    return labels["check"], labels["at"], labels.get("column", ""), labels.get("value", "")


def judged(monitor: wakeful.Monitor, history: Any) -> Iterator[tuple[float, dict[Element, Any]]]:
    """What a replay says at the end of every hour, but for what no rule can say."""
    layout = monitor.reference.layout
    for step in replay(monitor, history, every="1h", time="at"):
        found = {}
        for one in step.verdicts:
            value = slice_labels(layout)[layout.find_slice(*one.judgement.part)].get("value", "")
            if "spike" not in one.assertion:
                found[one.check, str(one.at), one.judgement.column or "", value] = one.judgement
        yield pd.Timestamp(step.window).timestamp() + HOUR, found


def test_numbers_and_alerts_are_those_of_a_replay(monitor: wakeful.Monitor, history: Any, filled: Filled):
    server = filled(monitor, backfill(monitor, history, time="at"))

    failed, told = [], 0
    for end, expected in judged(monitor, history):
        recorded: dict[str, dict[Element, float]] = {}
        for labels, [value] in Past(server, 0, end).now('{__name__=~"wakeful:check:.+",at!=""}'):
            recorded.setdefault(labels["__name__"], {})[element(labels)] = value
        known = {key: one for key, one in expected.items() if not math.isnan(one.estimate)}
        for name, field in NUMBERS.items():
            wanted = {key: getattr(one, field) for key, one in known.items() if not math.isnan(getattr(one, field))}
            assert recorded[name] == pytest.approx(wanted, rel=1e-12, abs=1e-12), (name, end)
        verdicts = {key: STATES[one.verdict] for key, one in known.items() if not math.isnan(one.limit)}
        assert recorded[VERDICT] == verdicts, end
        told += len(verdicts)

        worst: dict[str, float] = {}
        for (check, *_), state in verdicts.items():
            worst[check] = max(state, worst.get(check, 0.0))
        wrong = {key for key, one in expected.items() if one.verdict == "fail"}
        failed.append(len(wrong))
        for later in (0, 1, 299, 1_801, 3_598) if end < START.timestamp() + HOURS * HOUR else (0,):
            past = Past(server, 0, end + later)
            assert {element(labels) for labels, _ in past.now(FIRING)} == wrong, (end, later)
            assert {labels["check"]: value for labels, [value] in past.now(WORST)} == worst, (end, later)
    assert told > 54 * 15
    assert max(failed[:24]) == 0
    assert min(failed[30:34]) >= 4
    assert max(failed[41:]) == 0


def test_the_live_rules_go_on_with_the_same_series(reference: Any, traffic: Any, filled: Filled):
    """The incident lasts; Prometheus judges by its rules where the history ends, a few seconds ago.

    Windows of six hours are sums of increases over five minutes, which nobody but the history tells.
    """
    now = math.floor(time.time() / 180) * 180
    start = pd.Timestamp(now - 9 * HOUR, unit="s", tz="UTC")
    monitor = monitor_of(reference, "6h")

    @monitor.check(window="1h", ticket="ml-team")
    def as_many_are_missing_as_before(live: Any) -> None:
        assert live.features.missing() <= live.ago("2h").features.missing() + 0.1
        assert live.against("2h").score.d1() <= 0.5

    filling = backfill(monitor, rows(traffic, start, 9, (7.5, 9), 9_000), time="at", every="3m", version="7+a")
    server = filled(monitor, dataclasses.replace(filling, until=pd.Timestamp(now, unit="s", tz="UTC").to_pydatetime()))
    names = ('{__name__=~"wakeful:check:.+|wakeful:model:.+"}', 'ALERTS{alertname="WakefulCheckFails"}')

    then = {frozenset(labels.items()): value for one in names for labels, [value] in Past(server, 0, now).now(one)}
    server.query('count_over_time(ALERTS{alertname="WakefulWatchdog"}[5s])')  # the last of the rules has been evaluated
    asked = [Past(server, 0, 0).ask("query", query=f"{one}[5s]", time=time.time()) for one in names]
    live = {frozenset(one["metric"].items()): float(one["values"][-1][1]) for found in asked for one in found}

    assert live.keys() == then.keys()
    firing = [one for one in then if ("__name__", "ALERTS") in one]
    assert {dict(one)["check"] for one in firing} >= {"inputs_are_whole", "as_many_are_missing_as_before"}
    whole = [one for one in then if {("__name__", ROWS), ("check", "answers_keep_their_shape")} <= one]
    assert {one: live[one] for one in whole} == pytest.approx({one: then[one] for one in whole}, rel=0.02)
