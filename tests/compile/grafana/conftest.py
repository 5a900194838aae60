"""Monitors whose names need care, and a real Prometheus that holds the past of their services."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import math
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from prometheus_client.core import Metric

import wakeful
from wakeful.compile.about import WORST, recordings
from wakeful.compile.grafana import dashboards
from wakeful.compile.plan import Plan
from wakeful.compile.recorded import ALERTS, Records
from wakeful.compile.rules import Compiled
from wakeful.compile.tracing import plan_of
from wakeful.counts import Counts
from wakeful.derived import Derived
from wakeful.learning.build import learn_all
from wakeful.learning.infer import Roles
from wakeful.live.export import batch
from wakeful.live.export.exporter import Exporter
from wakeful.live.export.exposition import render
from wakeful.live.shared.meters import COUNTERS, identity
from wakeful.live.shared.slots import Reading
from wakeful.outcomes import Join
from wakeful.outcomes.export import metrics

START, STEP, SCRAPES = 1_767_268_800, 180, 40  # from 2026-01-01 12:00 UTC on, every three minutes
DAY = 86_400
NASTY = 'prix "m²"\n$version [[segment]] {{check}} .*|\\, x : y'


class Past(NamedTuple):
    """A monitor, and what its service saw between two scrapes, before and since the incident, each by its version."""

    monitor: wakeful.Monitor
    versions: tuple[str, str]
    before: Any
    since: Any


@pytest.fixture(scope="session")
def loans(traffic: Any) -> Past:
    """A model whose new version flags at random, sees incomes in cents, and loses rents on the web."""

    def heuristic(rent: Any, income: Any) -> Any:
        return np.asarray(rent) * 40 > np.asarray(income)

    roles = Roles(
        score="score", label="rejected", threshold=0.5, holdout="held", segments=("platform", NASTY), name="loans"
    )

    def rows(number: int, seed: int, **changes: Any) -> dict[str, Any]:
        data = traffic(number, seed, **changes)
        data[NASTY] = np.where(data["owner"], 'a", value=~".*"} or vector(7) #', "b\\")
        return data

    monitor = wakeful.Monitor(learn_all(rows(5_000, 0), roles, {"heuristic": Derived(heuristic)}).reference)
    monitor.column(heuristic)

    @monitor.check(window="1h", page="credit-risk", fear='We turn away "good" applicants\nfor $version [[x]]')
    def rejections_are_right(live: Any) -> None:
        assert live.precision() >= 0.6

    @monitor.check(window="1h", page="credit-risk", fear="We reject too many", action="Ask $credit-risk")
    def answers_keep_their_shape(live: Any) -> None:
        assert live.score.d1() <= 0.2
        assert 0.1 <= live.flagged_share() <= 0.6

    @monitor.check(window="1h", ticket="ml-platform")
    def inputs_are_whole(live: Any) -> None:
        assert live.features.missing() <= live.reference.features.missing() + 0.02
        assert live.by("platform")["rent"].missing() <= 0.02

    @monitor.check(window="1h", page="credit-risk", fear="One platform is treated worse")
    def both_platforms_are_right(live: Any) -> None:
        assert live.by("platform").accuracy() >= 0.5

    @monitor.check(window="1h")
    def inputs_look_as_in_training(live: Any) -> None:
        assert live.features.d1() <= 0.2
        assert live.traffic() >= 1

    @monitor.check(window="1h", ticket="ml-platform", fear="Nobody could say")
    def nobody_can_say(live: Any) -> None:
        assert live.score.ks() <= 0.5

    since = rows(
        200, 2,
        income=lambda data: data["income"] * 100,
        score=lambda data: np.random.default_rng(3).random(len(data["rent"])) ** 2,
        rent=lambda data: np.where(data["platform"] == "web", np.nan, data["rent"]),
    )  # fmt: skip
    return Past(monitor, ("1", "2+a"), rows(200, 1), since)


@pytest.fixture(scope="session")
def houses() -> Past:
    """A regression whose every name is a trap, without segments, all well."""
    rng = np.random.default_rng(2)

    def rows(number: int) -> dict[str, Any]:
        rooms = rng.integers(1, 7, number)
        price = rooms * 50_000 + rng.normal(0, 20_000, number)
        return {NASTY: rooms, "größe": price / 100, "price": price + rng.normal(0, 9_000, number), "paid": price}

    monitor = wakeful.Monitor(
        wakeful.learn(rows(3_000), score="price", label="paid", kinds={NASTY: "categorical"}, name=NASTY)
    )

    @monitor.check(window="1h", ticket=NASTY, fear=NASTY)
    def predictions_are_close(live: Any) -> None:
        assert live.mean_absolute_error() <= 30_000, NASTY
        assert live.features.d1() <= 0.02

    some = rows(200)
    return Past(monitor, ("", ""), some, some)


planned = functools.cache(plan_of)


@pytest.fixture(scope="session")
def plans() -> Callable[[wakeful.Monitor], Plan]:
    return planned


@pytest.fixture(scope="session")
def files(loans: Past, houses: Past) -> dict[str, str]:
    return dashboards([(one.monitor, planned(one.monitor)) for one in (loans, houses)])


@pytest.fixture(scope="session")
def boards(files: dict[str, str]) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in files.items()}


# What Prometheus would have recorded.

METERS = {"seen": 210.0, "counted": 200.0, "log_rows": 199.0, "outcomes": 100.0}  # between two scrapes; any other: 1


def seen(past: Past, start: float) -> Iterator[tuple[float, str]]:
    """Every scrape of a service, from 0 on."""
    monitor = past.monitor
    before, since = monitor.count(past.before), monitor.count(past.since)
    exporters = {one: Exporter(monitor.reference, Path("/nowhere"), version=one) for one in past.versions}
    for number in range(SCRAPES + 1):
        at, late = start + STEP * number, number - SCRAPES // 2
        version = past.versions[late > 0]
        counted = number * before.vector
        if late > 0 and past.versions[0] != past.versions[1]:
            counted = late * since.vector
        yield at, exposed(exporters[version], version, counted, number, at)


def recorded(past: Past, start: float) -> Iterator[tuple[float, str]]:
    """What is recorded of it at these times, from the numbers of numpy over an hour."""
    monitor = past.monitor
    compiled = Compiled(monitor, planned(monitor))
    numbers = []
    for version, some in zip(past.versions, past[2:], strict=True):
        counts = Counts(monitor.reference.layout, 3600 / STEP * monitor.count(some).vector)
        told = Records(compiled, version).metrics(
            one for check in monitor.checks for one in monitor.judge(check, counts)
        )
        numbers.append("\n".join(one for metric in told if metric.name != ALERTS for one in lines_of(metric)))
    for number in range(SCRAPES + 1):
        yield start + STEP * number, numbers[number > SCRAPES // 2]


def lines_of(metric: Metric) -> Iterator[str]:
    """What is known of a metric."""
    for one in metric.samples:
        if not math.isnan(one.value):
            yield f"{one.name}{one.labels.text} {one.value!r}".replace(" inf", " +Inf")


def joined(past: Past, start: float) -> Iterator[tuple[float, str]]:
    """What a real join of late outcomes tells, as of the start: each comes within six days, or never."""
    model, rng, number = past.monitor.reference.model, np.random.default_rng(4), 2_000
    asked = START + rng.uniform(-45 * DAY, 5 * DAY, number)
    came = asked + np.minimum(rng.exponential(5 * DAY, number), 6 * DAY)
    ids = np.arange(number)
    predictions = pd.DataFrame({"id": ids, "asked": pd.to_datetime(asked, unit="s", utc=True)})
    outcomes = pd.DataFrame({"id": ids, "label": ids % 2, "at": pd.to_datetime(came, unit="s", utc=True)})
    with tempfile.TemporaryDirectory() as folder:
        with Join(folder, model, horizon="30d", id="id", time="asked", label="label") as join:
            join.add_predictions(predictions)
            join.add_outcomes(outcomes[ids % 10 > 0])
            moment = dt.datetime.fromtimestamp(START, dt.UTC)
            batch.write(metrics(join.as_of(moment), model.name), Path(folder, "join.prom"))
        text = Path(folder, "join.prom").read_text(encoding="utf-8")
    yield from ((start + STEP * number, text) for number in range(SCRAPES + 1))


def exposed(exporter: Exporter, version: str, vector: Any, number: int, at: float) -> str:
    meters = dict.fromkeys(COUNTERS, 1.0 * number)
    meters |= {name: each * number for name, each in METERS.items()}
    counters = np.concatenate([vector, list(meters.values())])
    gauges = np.array([[3.0, 100.0, at - 1.0]])
    assert len(counters) == identity(exporter.reference.layout).counters
    return render(exporter.metrics([Reading(version, counters, gauges, at)])).decode()


# A real Prometheus.


class Server:
    """Asked as Grafana asks: at the end of the time that is looked at, or all through it."""

    def __init__(self, url: str, end: float | None = None) -> None:
        self.url = url
        self.end = end  # now, without it

    def ask(self, path: str, **parameters: object) -> Any:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{json.load(error)['error']}: {parameters}") from error

    def instant(self, expr: str) -> list[dict[str, Any]]:
        return list(self.ask("query", query=expr, **({"time": self.end} if self.end else {}))["result"])

    def ranged(self, expr: str) -> list[dict[str, Any]]:
        return list(self.ask("query_range", query=expr, start=START, end=self.end, step=STEP)["result"])

    def now(self, expr: str) -> list[tuple[dict[str, str], list[float]]]:
        return [(one["metric"], [float(one["value"][1])]) for one in self.instant(expr)]

    def over_time(self, expr: str) -> list[tuple[dict[str, str], list[float]]]:
        return [(one["metric"], [float(value) for _, value in one["values"]]) for one in self.ranged(expr)]

    def wait_for(self, expr: str, log: Path) -> None:
        """Until an expression gives something."""
        for _ in range(300):
            with contextlib.suppress(OSError, ValueError):
                if self.now(expr):
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{expr} gives nothing: {log.read_text()[-3000:]}")


@contextlib.contextmanager
def prometheus_of(
    folder: Path, samples: Iterable[tuple[float, str]], config: dict[str, Any], end: float | None = None
) -> Iterator[Server]:
    """A real Prometheus with these samples in it, asked at the end of them, or now."""
    with (folder / "past").open("w", encoding="utf-8") as file:
        for at, text in samples:
            file.writelines(f"{one} {at}\n" for one in text.splitlines() if not one.startswith("#"))
        file.write("# EOF\n")
    command = [shutil.which("promtool"), "tsdb", "create-blocks-from", "openmetrics", "past", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        shutil.which("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            found = Server(f"http://127.0.0.1:{port}", end)
            found.wait_for("count(count_over_time(wakeful_rows_total[1d]))", folder / "log")
            yield found
        finally:
            process.terminate()


FRONTEND = Path(__file__).parent / "frontend"
MODULES = Path(__file__).resolve().parents[3] / ".venv" / "node_modules"


@pytest.fixture(scope="session")
def modules(real_component: Any) -> Path:
    """Grafana's own packages, in the versions that are asked for."""
    wanted = dict(line.rsplit("@", 1) for line in (FRONTEND / "packages.txt").read_text().split())
    files = {name: MODULES / name / "package.json" for name in wanted}
    found = {name: json.loads(file.read_text())["version"] for name, file in files.items() if file.is_file()}
    there = shutil.which("node") is not None and found == wanted
    real_component(there, "node, or a package of Grafana's", "make .venv/node_modules, which asks npm")
    return MODULES


@pytest.fixture(scope="session")
def programs(real_component: Any) -> None:
    """What has to be installed."""
    found = all(shutil.which(name) for name in ("prometheus", "promtool"))
    real_component(found, "Prometheus", "apt-get install --no-install-recommends prometheus")


@pytest.fixture(scope="session")
def server(loans: Past, houses: Past, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prometheus with the past of both services in it, and all that was recorded."""
    samples = (one for past in (loans, houses) for some in (seen, recorded, joined) for one in some(past, START))
    with prometheus_of(tmp_path_factory.mktemp("prometheus"), samples, {}, START + STEP * SCRAPES) as found:
        yield found


@pytest.fixture
def recording(programs: None, tmp_path: Path) -> Iterator[Callable[[Past, Plan], Server]]:
    """A real Prometheus that records a plan itself, of a service whose past ends now."""
    with contextlib.ExitStack() as stack:

        def start(past: Past, planned: Plan) -> Server:
            every = (*planned.shared, *(one for some in planned.checks.values() for one in some))
            rules = [one._asdict() for one in (*every, *recordings(past.monitor))]
            groups = [{"name": "loans", "interval": "1s", "rules": rules}]
            (tmp_path / "rules.yml").write_text(json.dumps({"groups": groups}))
            samples = [one for some in (seen, joined) for one in some(past, time.time() - STEP * SCRAPES)]
            found = stack.enter_context(prometheus_of(tmp_path, samples, {"rule_files": ["rules.yml"]}))
            found.wait_for(f"count({WORST})", tmp_path / "log")
            return found

        yield start
