"""A real Prometheus scrapes two replicas of the example's service: what it records is what the checks say of it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
import urllib.parse
from collections import Counter, deque
from collections.abc import Iterator, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pandas as pd
import pytest
from rebuilding import rebuilt

import wakeful
from wakeful.budget import duration
from wakeful.compile.plan import ESTIMATE, HIGH, LIMIT, LOW, NOISE, REFERENCE, ROWS, VERDICT, Plan
from wakeful.compile.recorded import numbers
from wakeful.compile.tracing import plan_of
from wakeful.live.export.exporter import slice_labels
from wakeful.loading import load_monitor

PROGRAMS = Path(__file__).parent / "programs"
TOLERANCE = 1e-6
WHOLE, SHORT, EARLIER = "5m", "12s", "8s"  # a window of all that is sent, one of its end, and how long before another
DONE = "wakeful:test:done"
SERVICE = "uvicorn known:app --port {port}"
RESULTS = (ESTIMATE, LOW, HIGH, ROWS, LIMIT, NOISE, REFERENCE, VERDICT)
MORE = f'''

@loans.check(window="{SHORT}", ticket="ml-team")
def much_else(live):
    assert live.score.d1() <= 0.15
    assert live.score.missing() <= 0.01
    assert live.features.psi() <= 0.2
    assert live.features.jensen_shannon() <= 0.05
    assert live.features.linf() <= 0.1
    assert live.features.total_variation() < 0.1
    assert live.features.missing() <= live.reference.features.missing() + 0.02
    assert live.features.out_of_range() <= 0.01
    assert live["income"].mean() <= 60_000
    assert live["property"].share("condominium") >= 0.2
    assert live["income"].off_grid() <= 0.01
    assert abs(live["price"].mean() - live["loan_amount"].mean()) <= 50_000
    assert live.by("property").score.d1() <= 0.3
    assert live.by("property")["income"].mean() <= 90_000


@loans.check(window="{WHOLE}", ticket="ml-team", min_n=10)
def decisions_are_right(live):
    assert live.accuracy() >= 0.8
    assert live.precision() >= 0.3
    assert live.recall() >= 0.3
    assert live.specificity() >= 0.8
    assert live.f1() >= 0.3
    assert live.traffic() >= 100
    assert live.value(true_positive=10, false_positive=-3) >= 0


@loans.check(window="{SHORT}", ticket="ml-team")
def as_a_moment_ago(live):
    assert live.score.missing() <= live.ago("{EARLIER}").score.missing() + 0.01
    assert live.features.d1() <= live.ago("{EARLIER}").features.d1() + 0.1
    assert live["income"].mean() <= 1.2 * live.ago("{EARLIER}")["income"].mean()
    assert live.flagged_share() <= 2 * live.ago("{EARLIER}").flagged_share()
    assert live.precision() >= live.ago("{EARLIER}").precision() - 0.1
'''


@pytest.fixture(scope="module")
def monitor(trained: Path) -> wakeful.Monitor:
    """The example's checks, of windows that end before patience does, and some more."""
    path = trained / "monitor_loans.py"
    path.write_text(re.sub(r'window="\w+"', f'window="{WHOLE}"', path.read_text()) + MORE)
    return load_monitor(path)


class Applicants:
    """Whoever applies to replicas in turn; outcomes are told later, to the last of them, whichever had decided.

    Attributes:
        applied, known: how many applications, and outcomes, a replica has been told since it started.
    """

    def __init__(self, folder: Path) -> None:
        table = pd.read_parquet(folder / "validation.parquet").drop(columns="score")
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        self._rows = itertools.cycle([rows[at] for at in np.random.default_rng(0).permutation(len(rows))])
        self._ids = itertools.count()
        self._waiting: deque[dict[str, Any]] = deque()
        self.applied: Counter[int] = Counter()
        self.known: Counter[int] = Counter()

    def send(self, number: int, *ports: int) -> None:
        with httpx2.Client(timeout=60) as client:

            def post(port: int, path: str, body: dict[str, Any]) -> httpx2.Response:
                return client.post(f"http://127.0.0.1:{port}{path}", json=body).raise_for_status()

            for port, row in zip(itertools.cycle(ports), itertools.islice(self._rows, number), strict=False):
                whole = row | {"application_id": f"A{next(self._ids)}"}
                application = {name: value for name, value in whole.items() if name != "rejected"}
                answer = post(port, "/applications", application).json()
                self.applied[port] += 1
                if answer["next"] == "credit bureau":
                    self._waiting.append(whole)
                if len(self._waiting) > 20:
                    post(ports[-1], "/known", self._waiting.popleft())
                    self.known[ports[-1]] += 1


Labels = frozenset[tuple[str, str]]


class Recorded(NamedTuple):
    """What Prometheus has recorded.

    Attributes:
        at: time of one evaluation of the rules.
        samples: of every series, by its labels, the name among them: their times and values.
        prolonged: by how much an increase may be more than what was scraped, at most.
        counter: sum of all rows that replicas tell at last.
        applied, known: how many applications, and outcomes, they were told.
    """

    at: float
    samples: dict[Labels, list[tuple[float, float]]]
    prolonged: float
    counter: float
    applied: int
    known: int

    def increases(self, counter: str, window: str, ago: float = 0.0) -> dict[Labels, float]:
        """The increases, over a window, of counters whose name matches, as rules of this evaluation read them."""
        wanted = re.compile(rf"wakeful:({counter}):increase{window}:[0-9a-f]+")
        last = self.at - ago + 1e-4
        found = {}
        for labels, samples in self.samples.items():
            told = dict(labels)
            name, values = wanted.fullmatch(told.pop("__name__")), [value for at, value in samples if at < last]
            if name and values:
                found[frozenset({**told, "__name__": f"wakeful_{name[1]}_total"}.items())] = values[-1]
        return found


def test_numbers_and_verdicts_of_two_replicas_of_which_one_restarts(
    example: Any, trained: Path, monitor: wakeful.Monitor, prometheus: Any, tmp_path: Path
) -> None:
    plan = plan_of(monitor)
    found = seen_by_prometheus(plan, example("server").Server, trained, prometheus, tmp_path)

    left_out = {(one.check.name, str(monitor.assertions(one.check).index(one.assertion))) for one in plan.refusals}
    expected = {key: value for key, value in judged(monitor, found) if key[:2] not in left_out}
    given = results(found, expected.keys())
    assert len(expected) > 2_000
    assert given.keys() == expected.keys()
    wrong = {key: (given[key], value) for key, value in expected.items() if not is_near(given[key], value)}
    assert not wrong

    assert found.counter < found.applied  # one has forgotten what it had counted
    for counter, told in (("rows", found.applied), ("outcome", found.known)):
        whole = {key: one for key, one in found.increases(counter, WHOLE).items() if "segment" not in dict(key)}
        assert told * (1 - TOLERANCE) <= sum(whole.values()) <= told * found.prolonged


def seen_by_prometheus(plan: Plan, server: Any, trained: Path, prometheus: Any, folder: Path) -> Recorded:
    """Two replicas are told of applications; one restarts midway, and has counted nothing then."""
    rules = [one._asdict() for one in (*plan.shared, *itertools.chain(*plan.checks.values()))]
    rules.append({"record": DONE, "expr": "vector(1)"})
    paths = [str(PROGRAMS), os.environ.get("PYTHONPATH", "")]
    folders = [shutil.copytree(trained, folder / name) for name in ("first", "second")]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        replicas = [server(SERVICE, one) for one in folders]  # both start at the same time
        for one in replicas:
            stack.enter_context(one)
        ports = [one.port for one in replicas]
        watching = prometheus(*(f"127.0.0.1:{port}" for port in ports), rules=rules)
        applicants = Applicants(trained)
        settle(watching, applicants, ports)
        applicants.send(120, *ports)
        settle(watching, applicants, ports)

        before = applicants.applied.pop(ports[1]), applicants.known.pop(ports[1])
        replicas[1].stop()
        shutil.rmtree(replicas[1].counts)
        applicants.send(30, ports[0])
        stack.enter_context(server(SERVICE, folders[1], ports[1]))
        settle(watching, applicants, ports)
        applicants.send(170, *ports)
        settle(watching, applicants, ports)
        [(_, at)] = watching.query(f"timestamp({DONE}) > {time.time()}")
        every = 'wakeful_rows_total{segment=""}'
        scrapes = watching.query(f"min(count_over_time({every}[{WHOLE}]))", at=at)[0][1]
        counter = watching.query(f"sum({every})", at=at)[0][1]
        asked = urllib.parse.urlencode({"query": '{__name__=~"wakeful:.+"}[30s]', "time": at})
        series = watching.get(f"/api/v1/query?{asked}")["data"]["result"]
    samples = {
        frozenset(one["metric"].items()): [(when, float(value)) for when, value in one["values"]] for one in series
    }
    # at each end by at most 1.1 times the usual time between two scrapes, and none begins below 0
    prolonged = 1 + 1.1 / (scrapes - 1)
    applied, known = (sum(told.values()) for told in (applicants.applied, applicants.known))
    return Recorded(at, samples, prolonged, counter, applied + before[0], known + before[1])


def settle(watching: Any, applicants: Applicants, ports: list[int]) -> None:
    """Wait until Prometheus has scraped all that was told."""
    for metric, told in (("rows", applicants.applied), ("outcome", applicants.known)):
        wanted = {f"127.0.0.1:{port}": float(told[port]) for port in ports}

        def is_there(found: Any, wanted: dict[str, float] = wanted) -> bool:
            return {one["metric"]["instance"]: float(one["value"][1]) for one in found} == wanted

        watching.query(f'sum by (instance) (wakeful_{metric}_total{{segment=""}})', is_there)


Key = tuple[str, str, str, str, str]  # check, number of the comparison, series, column and value of the segment


def results(found: Recorded, expected: Set[Key]) -> dict[Key, float]:
    """What checks were recorded as; a limit that nothing is held against does no harm."""
    given = {}
    for labels, samples in found.samples.items():
        told, (at, value) = dict(labels), samples[-1]
        if told["__name__"] in RESULTS and at > found.at - 1e-4:
            key = (told["check"], told["at"], told["__name__"], told.get("column", ""), told.get("value", ""))
            if key in expected or told["__name__"] != LIMIT:
                given[key] = value
    return given


def judged(monitor: wakeful.Monitor, found: Recorded) -> Iterator[tuple[Key, float]]:
    """What checks say of the increases that were recorded."""
    layout = monitor.reference.layout
    counts = {
        (window, ago): rebuilt(
            monitor.reference,
            {
                key | {("reference", layout.fingerprint)}: value
                for key, value in found.increases(r"\w+", window, ago).items()
            },
        )
        for window in (WHOLE, SHORT)
        for ago in (0.0, duration(EARLIER))
    }
    for check in monitor.checks:
        past = {EARLIER: counts[check.window, duration(EARLIER)]}
        for one in monitor.judge(check, counts[check.window, 0.0], past=past):
            judgement = one.judgement
            value = slice_labels(layout)[layout.find_slice(*judgement.part)].get("value", "")
            for record, number in numbers(judgement).items():
                yield (check.name, str(one.at), record, judgement.column or "", value), number


def is_near(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= TOLERANCE * max(1.0, abs(other))
