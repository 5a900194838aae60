"""What Prometheus gets to see: all that signals need, from 0 on, never less, and no more series than agreed."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import re
import resource
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from rebuilding import rebuilt

import wakeful
from wakeful.bins import CategoryBins
from wakeful.counts import Counts
from wakeful.errors import DataError, SignalError
from wakeful.live.export import exporter as exporter_module
from wakeful.live.export import series as series_module
from wakeful.live.export.cardinality import OUTCOMES, parts
from wakeful.live.export.exporter import Exporter, register, unregister
from wakeful.live.export.exposition import asgi_app, render, wsgi_app
from wakeful.live.export.series import bin_labels
from wakeful.signals import find, names
from wakeful.views import column_counts, outcomes

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "prometheus.md"

Series = dict[frozenset[tuple[str, str]], float]


def scraped(text: str) -> Series:
    """Every series of an exposition by its labels, the metric's name among them."""
    found = [
        (frozenset({**sample.labels, "__name__": sample.name}.items()), sample.value)
        for metric in parse(text)
        for sample in metric.samples
    ]
    assert not [one for one, times in Counter(labels for labels, _ in found).items() if times > 1]
    return dict(found)


def collected(exporter: Exporter) -> Series:
    return scraped(render(exporter.collect()).decode())


def only(series: Series, name: str, **labels: str) -> dict[str, float]:
    """Values of the series with these labels, by the rest of them."""
    wanted = {("__name__", name), *labels.items()}
    common = {"__name__", "model", "version", "reference", *labels}
    return {
        ",".join(value for key, value in sorted(one) if key not in common): number
        for one, number in series.items()
        if wanted <= one
    }


def of_all(series: Series) -> Series:
    return {one: value for one, value in series.items() if "segment" not in dict(one)}


@pytest.fixture
def counted(tmp_path: Path, reference: wakeful.Reference, traffic: Any, share: Any) -> tuple[Exporter, Counts]:
    """Two workers of the loan model."""
    data = [traffic(700, seed=5), traffic(900, seed=6, city=["Wien"] * 900, held=np.ones(900))]
    for rows in data:
        share(tmp_path, reference, rows, seen=len(rows["rent"]) + 10, counted=len(rows["rent"]), dropped_full=10)
    monitor = wakeful.Monitor(reference)
    return Exporter(reference, tmp_path), monitor.count(data[0]) + monitor.count(data[1])


def test_a_column_is_told_bin_by_bin_under_names_that_people_know(counted: tuple[Exporter, Counts]):
    exporter, counts = counted
    series = of_all(collected(exporter))

    found = only(series, "wakeful_bin_total", column="city")
    assert list(found) == ["Berlin", "Hamburg", "Köln", "(other)", "(unseen)", "(missing)", "(invalid)"]
    assert found["(unseen)"] == 900
    assert only(series, "wakeful_rows_total") == {"": 1600}
    shares = only(series, "wakeful_reference_share", column="city")
    assert sum(shares.values()) == pytest.approx(1)
    [berlin] = only(series, "wakeful_reference_share", column="city", bin="Berlin").values()
    assert berlin == pytest.approx(0.5, abs=0.02)
    assert only(series, "wakeful_reference_share", column="city", bin="(unseen)").keys() == {"04,04,new"}
    debts = only(series, "wakeful_bin_total", column="debt")
    assert list(debts) == sorted(debts, key=lambda name: (name.startswith("("), name.startswith("(inv"), name))
    assert debts["(missing)"] == column_counts(counts, "debt").missing


def test_every_series_is_there_from_the_start_and_0(tmp_path: Path, reference: wakeful.Reference, traffic: Any, share):
    exporter = Exporter(reference, tmp_path / "counts", version="7")
    before = collected(exporter)
    share(tmp_path / "counts", reference, traffic(500), version="7")
    after = collected(exporter)

    new = {dict(labels)["__name__"] for labels in after.keys() - before.keys()}
    assert new == {"wakeful_buffer_rows", "wakeful_buffer_capacity_rows", "wakeful_last_flush_timestamp_seconds"}
    assert before.keys() <= after.keys()
    assert {value for labels, value in before.items() if dict(labels)["__name__"].endswith("_total")} == {0.0}


def test_what_recorders_tell_of_themselves(counted: tuple[Exporter, Counts]):
    series = collected(counted[0])

    seen, done = (only(series, f"wakeful_observations_{name}_total")[""] for name in ("seen", "counted"))
    dropped = only(series, "wakeful_observations_dropped_total")
    assert (seen, done, dropped) == (1620, 1600, {"buffer_full": 20, "error": 0, "invalid": 0})
    assert only(series, "wakeful_buffer_rows") == {"": 6}
    assert only(series, "wakeful_buffer_capacity_rows") == {"": 200}
    assert only(series, "wakeful_last_flush_timestamp_seconds") == {"": 1_700_000_000}
    assert only(series, "wakeful_workers") == {"": 2}
    (built,) = [dict(one) for one in series if dict(one)["__name__"] == "wakeful_build_info"]
    assert built["release"] == wakeful.__version__
    (info,) = [dict(one) for one in series if dict(one)["__name__"] == "wakeful_reference_info"]
    assert (info["model"], info["task"], info["score"]) == ("loans", "binary", "score")


# Enough for every signal.


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "quantile": {"level": 0.9}, "value": {"true_positive": 5.0, "false_negative": -1.0},
    "confusion": {"true": "spam", "predicted": "news"},
}  # fmt: skip
_ROUGH = {"bias", "brier_score", "log_loss"}  # exact, but how far rows stray inside a bin of scores is not told
_NEED_MORE = {"spike", "fault"}  # than bins: fingerprints


def answers(reference: wakeful.Reference, counts: Counts) -> dict[tuple[Any, ...], float]:
    """Every signal of every column and slice, and of outcomes, that bins suffice for."""
    layout, task = reference.layout, reference.model.task
    found = {}
    for at in range(len(layout.slices)):
        views = [("column", layout.kinds[name], name, column_counts(counts, name, at)) for name in layout.cells]
        if np.prod(layout.outcome_shape):
            views += [(task, "", str(held), outcomes(counts, at, held)) for held in (False, True)]
        for of, kind, what, live in views:
            base = (
                column_counts(reference.counts, what, at)
                if of == "column"
                else outcomes(reference.counts, at, what == "True")
            )
            for name in names(of):
                one = find(name, of)
                if name in _NEED_MORE or name == "share" or (one.kinds and of == "column" and kind not in one.kinds):
                    continue
                try:
                    evidence = one.evidence(live, base, _ARGUMENTS.get(name, {}))
                except SignalError:  # without a label, or without a decision
                    continue
                with np.errstate(all="ignore"):
                    found[at, what, name] = evidence.estimate(0.05)
    return found


def test_what_is_exported_suffices_for_every_signal_of_a_binary_model(counted: tuple[Exporter, Counts]):
    assert_same_answers(*counted, least=400)


@pytest.mark.parametrize("label", [None, "rejected"])
@pytest.mark.parametrize("roles", [{}, {"threshold": 0.5}, {"threshold": 0.5, "decision": "rejected_by_us"}])
def test_whatever_decides_and_whether_or_not_outcomes_are_known(
    tmp_path: Path, traffic: Any, share: Any, roles: dict[str, Any], label: str | None
):
    rng = np.random.default_rng(4)
    rows = {**traffic(3_000, seed=8), "rejected_by_us": rng.integers(0, 2, 3_000)}
    reference = wakeful.learn(rows, score="score", label=label, name="loans", **roles)
    live = {**traffic(800, seed=9), "rejected_by_us": rng.integers(0, 2, 800)}
    live["score"][:30], live["score"][30:40] = np.nan, np.inf
    live["rejected"] = np.where(rng.random(800) < 0.3, np.nan, live["rejected"].astype(float))
    live["rejected"][50:60] = 7
    share(tmp_path, reference, live)
    counts = wakeful.Monitor(reference).count(live)
    exporter = Exporter(reference, tmp_path)

    assert_same_answers(exporter, counts, least=40)
    series = collected(exporter)
    assert sum(only(series, "wakeful_answer_total").values()) == 800
    assert sum(only(series, "wakeful_outcome_total").values()) == (
        np.isin(live["rejected"], (0, 1)).sum() if label else 0
    )
    assert sum(only(series, "wakeful_outcome_invalid_total").values()) == (10 if label else 0)


def test_what_is_exported_suffices_for_every_signal_of_a_regression(
    tmp_path: Path, regression: wakeful.Reference, share: Any
):
    rng = np.random.default_rng(5)
    live = {"rooms": rng.integers(1, 9, 500), "price": rng.normal(2e5, 1e6, 500), "paid": rng.normal(1e5, 3e5, 500)}
    live["paid"][:100] = np.nan
    live["price"][90:120] = np.nan
    share(tmp_path, regression, live)
    counts = wakeful.Monitor(regression).count(live)
    exporter = Exporter(regression, tmp_path)

    assert_same_answers(exporter, counts, least=15)
    series = collected(exporter)
    assert sum(only(series, "wakeful_answer_total").values()) == 500
    assert sum(only(series, "wakeful_outcome_total", truth="known").values()) == 380


def test_what_is_exported_suffices_for_every_signal_of_several_classes(
    tmp_path: Path, multiclass: wakeful.Reference, share: Any
):
    rng = np.random.default_rng(6)
    live = {
        "length": rng.gamma(3, 300, 500),
        "guess": rng.choice(["spam", "work", "news", "odd"], 500),
        "kind": [None if one == "late" else str(one) for one in rng.choice(["spam", "work", "(missing)", "late"], 500)],
    }
    share(tmp_path, multiclass, live)

    assert_same_answers(Exporter(multiclass, tmp_path), wakeful.Monitor(multiclass).count(live), least=15)


def assert_same_answers(exporter: Exporter, counts: Counts, least: int) -> None:
    reference = exporter.reference
    expected = answers(reference, counts)
    given = answers(reference, rebuilt(reference, collected(exporter)))

    assert len(expected) >= least
    assert expected.keys() == given.keys()
    for key, value in expected.items():
        if reference.model.task == "binary" and key[-1] in _ROUGH:
            assert (given[key].value, given[key].n) == pytest.approx((value.value, value.n), rel=1e-6, nan_ok=True), key
            continue
        np.testing.assert_allclose(
            np.array(given[key], dtype=float), np.array(value, dtype=float), rtol=1e-6, atol=1e-9, err_msg=str(key)
        )


def test_no_series_ever_falls_whatever_is_counted(
    tmp_path: Path, reference: wakeful.Reference, regression: wakeful.Reference, traffic: Any, share: Any
):
    absurd = {"income": -1e300, "rent": 1e300, "debt": 0.0, "score": 0.0, "rejected": 1}
    low = {"rooms": 1, "price": -1e12, "paid": -1e12}
    for model, rows in (reference, [absurd, {"score": 1.0, "income": -5.0}]), (regression, [low, {"price": 1e12}]):
        folder = tmp_path / model.model.name
        exporter = Exporter(model, folder)
        seen = [collected(exporter)]
        for row in rows * 2:
            slot = share(folder, model, [{**row}])
            seen.append(collected(exporter))
            slot.close()
            seen.append(collected(exporter))
        for before, after in itertools.pairwise(seen):
            fell = [
                labels
                for labels, value in before.items()
                if dict(labels)["__name__"].endswith("_total") and after[labels] < value
            ]
            assert fell == []
        assert only(seen[-1], "wakeful_rows_total")[""] == 4


# How many series.


def many_states(traffic: Any) -> wakeful.Reference:
    rng = np.random.default_rng(7)
    rows = traffic(4_000, seed=3, platform=rng.choice([f"S{at:02d}" for at in range(48)], 4_000))
    return wakeful.learn(rows, score="score", label="rejected", threshold=0.5, segments=["platform"], name="loans")


def test_too_many_series_are_refused_with_what_costs_most_and_what_to_do(tmp_path: Path, traffic: Any):
    reference = many_states(traffic)
    values = len(reference.layout.segment_values("platform"))

    with pytest.raises(DataError) as raised:
        Exporter(reference, tmp_path)

    told = str(raised.value)
    found = [one for one in parts(reference) if one.segment == "platform"]
    each, cost = sum(len(one.series) for one in found if 1 in one.slices), sum(one.cost for one in found)
    assert 40 * each < cost < values * each  # nothing is told of the reference where training had no rows
    assert f"segment 'platform': {values} values × up to {each:,} series = {cost:,}" in told
    assert "its budget is 10,000" in told
    assert "without --segment platform" in told
    needed = int(told.split("--series ")[1].split(" ")[0])
    Exporter(reference, tmp_path, series=needed)
    with pytest.raises(DataError, match=f"would have {needed:,} series"):
        Exporter(reference, tmp_path, series=needed - 1)


def test_the_budget_is_what_a_scrape_has(counted: tuple[Exporter, Counts]):
    exporter = counted[0]
    number = len(collected(exporter))

    Exporter(exporter.reference, exporter.folder, series=number)
    with pytest.raises(DataError):
        Exporter(exporter.reference, exporter.folder, series=number - 1)


def test_of_segments_only_what_is_asked_may_be_exported(tmp_path: Path, traffic: Any):
    reference = many_states(traffic)

    exporter = Exporter(reference, tmp_path, by_segment={"platform": {"score"}})

    series = collected(exporter)
    names = [dict(one)["__name__"] for one in series if dict(one).get("value") == "S07"]
    assert Counter(names)["wakeful_bin_total"] == len(bin_labels(reference.layout.bins["score"]))
    assert {"wakeful_rows_total", "wakeful_reference_rows"} < set(names)
    assert "wakeful_outcome_total" not in names
    assert only(of_all(series), "wakeful_outcome_total")
    with pytest.raises(DataError, match="would have"):
        Exporter(reference, tmp_path, by_segment={"platform": {"score", "income", "rent", "debt", OUTCOMES}})


# Names that anybody may choose.


def test_labels_are_unique_and_stand_whatever_categories_are_called(tmp_path: Path, share: Any):
    names = ["(missing)", "(other)", 'a "b"\\\n', "1", 1, True, "\ud800", "x" * 300, "x" * 299, "-"]
    bins = CategoryBins(tuple(names))
    labels = bin_labels(bins)

    assert len(labels) == len(set(labels)) == bins.size + 2
    assert labels[-4:] == ["(other)", "(unseen)", "(missing)", "(invalid)"]
    assert labels[:5] == ["00 (missing)", "01 (other)", 'a "b"\\\n', "1", "04 1"]
    assert max(map(len, labels)) < 110
    texts = [name for name in names if isinstance(name, str) and name.isprintable()] * 40
    reference = wakeful.learn({"kind": texts, "score": np.arange(len(texts)) % 7}, score="score", name="kinds")
    share(tmp_path, reference, {"kind": texts[:1], "score": [0.0]})
    found = only(collected(Exporter(reference, tmp_path)), "wakeful_bin_total", column="kind")
    assert [name for name, rows in found.items() if rows] == ["00 (missing)"]


# Where it is served.


def test_two_versions_are_shown_side_by_side_and_a_dead_one_is_forgotten_in_an_hour(
    tmp_path: Path, reference: wakeful.Reference, traffic: Any, share: Any, monkeypatch: pytest.MonkeyPatch
):
    old = share(tmp_path, reference, traffic(100), version="1")
    share(tmp_path, reference, traffic(200), version="2")
    exporter = Exporter(reference, tmp_path, version="2")

    def rows() -> dict[str, float]:
        found = of_all(collected(exporter))
        return {
            dict(one)["version"]: value for one, value in found.items() if ("__name__", "wakeful_rows_total") in one
        }

    old.path.touch()
    assert rows() == {"1": 100, "2": 200}
    old.close()
    assert rows() == {"1": 100, "2": 200}
    os.utime(old.path, (0, 0))
    assert rows() == {"2": 200}


def test_the_text_is_that_of_prometheus_client(counted: tuple[Exporter, Counts]):
    registry = CollectorRegistry()
    register(counted[0], registry)

    theirs = generate_latest(registry).decode()

    assert scraped(theirs) == collected(counted[0])
    lines = [line for line in render(counted[0].collect()).decode().splitlines() if line.startswith("#")]
    assert lines == [line for line in theirs.splitlines() if line.startswith("#")]
    openmetrics = list(parse_openmetrics(generate_openmetrics(registry).decode()))
    assert {one.name for one in openmetrics} >= {"wakeful_bin", "wakeful_reference", "wakeful_build"}


def test_models_of_one_registry_share_the_names_of_metrics(
    counted: tuple[Exporter, Counts], tmp_path: Path, regression: wakeful.Reference
):
    registry = CollectorRegistry()
    exporters = counted[0], Exporter(regression, tmp_path)
    for one in exporters:
        register(one, registry)

    text = generate_latest(registry).decode()
    helps = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(helps) == len(set(helps))
    assert scraped(text) == collected(exporters[0]) | collected(exporters[1])

    for one in exporters:
        unregister(one, registry)
        unregister(one, registry)
    assert generate_latest(registry) == b""


def test_while_counts_cannot_be_read_none_are_told_rather_than_fewer(
    counted: tuple[Exporter, Counts], monkeypatch: pytest.MonkeyPatch
):
    exporter, _ = counted
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        metrics = list(exporter.collect())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    series = scraped(render(metrics).decode())
    assert only(series, "wakeful_counts_readable") == {"": 0}
    assert not any(name.endswith("_total") for labels in series for key, name in labels if key == "__name__")
    assert only(collected(exporter), "wakeful_counts_readable") == {"": 1}


def test_it_is_mounted_as_asgi_and_wsgi(counted: tuple[Exporter, Counts], served: Any):
    exporter = counted[0]
    with urllib.request.urlopen(f"http://{served(wsgi_app(exporter.collect))}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert scraped(answer.read().decode()) == collected(exporter)

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(asgi_app(exporter.collect)({"type": "http", "method": "GET", "path": "/"}, None, send))
    assert sent[0]["status"] == 200
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    assert scraped(sent[1]["body"].decode()) == collected(exporter)


def test_a_real_prometheus_reads_it_and_agrees(counted: tuple[Exporter, Counts], served: Any, prometheus: Any):
    exporter, _ = counted
    expected = collected(exporter)
    server = prometheus(served(wsgi_app(exporter.collect)))

    found = server.query('{__name__=~"wakeful_.+"}')

    given = {
        frozenset((key, value) for key, value in labels.items() if key not in ("instance", "job")): value
        for labels, value in found
    }
    assert given == expected


def test_the_documented_expressions_say_what_the_library_says(
    counted: tuple[Exporter, Counts], served: Any, prometheus: Any
):
    exporter, counts = counted
    precision, distance = documented()
    server = prometheus(served(wsgi_app(exporter.collect)))

    found = server.query(distance)

    d1, layout = find("d1", "column"), exporter.reference.layout
    expected = {
        name: d1.evidence(column_counts(counts, name), column_counts(exporter.reference.counts, name), {}).estimate(
            0.05
        )
        for name in (column.name for column in layout.model.columns)
    }
    assert {labels["column"]: value for labels, value in found} == pytest.approx(
        {name: one.value for name, one in expected.items()}, rel=1e-9
    )
    ((_, value),) = server.query(precision)
    assert value == pytest.approx(find("precision", "binary").evidence(outcomes(counts), None, {}).estimate(0.05).value)


def documented() -> list[str]:
    """The expressions of the manual, over all time: an hour is long for a test."""
    expressions = re.findall(r"```promql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    return [re.sub(r"increase\((.*?)\[1h\]\)", r"(\1)", one) for one in expressions]


def test_every_metric_is_documented_and_exists(
    counted: tuple[Exporter, Counts], tmp_path: Path, regression: wakeful.Reference
):
    told = {
        dict(one)["__name__"]
        for exporter in (counted[0], Exporter(regression, tmp_path))
        for one in collected(exporter)
    }
    hourly = {name for name in series_module.HELP if name.startswith("wakeful_usual_")} | {series_module.TIMED}
    text = re.sub(r"^## Label maturity$.*?(?=^## )", "", DOCUMENT.read_text(encoding="utf-8"), flags=re.M | re.S)
    rows = re.findall(r"^\| (`wakeful_.*?) \|", text, re.M)  # a join is no service: see test_join.py
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == told | hourly  # see test_hours.py


def test_promtool_finds_nothing_to_object_to(
    counted: tuple[Exporter, Counts], tmp_path: Path, regression: wakeful.Reference, promtool: str
):
    for exporter in counted[0], Exporter(regression, tmp_path):
        command = [promtool, "check", "metrics"]
        done = subprocess.run(command, input=render(exporter.collect()), capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_registry_that_is_gone_takes_its_collector_with_it(counted: tuple[Exporter, Counts]):
    registry = CollectorRegistry()
    register(counted[0], registry)
    known = len(exporter_module._COLLECTORS)
    del registry
    gc.collect()
    assert len(exporter_module._COLLECTORS) == known - 1


# Outcomes that become known after their answers.


@pytest.fixture
def clicks(tmp_path: Path, reference: wakeful.Reference) -> Any:
    """A service that is told outcomes with what it answered, and its registry."""
    registry = CollectorRegistry()
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=tmp_path / "clicks", registry=registry, flush=3600)
    yield monitor, registry
    monitor.stop()


def told(monitor: wakeful.Monitor, registry: CollectorRegistry) -> Series:
    monitor._recorder.flush()  # type: ignore[union-attr]
    return scraped(generate_latest(registry).decode())


def test_precision_and_recall_are_live_as_soon_as_outcomes_are_told(clicks: Any, traffic: Any):
    monitor, registry = clicks
    data = traffic(600, seed=12)
    rows = [
        dict(zip(data, values, strict=True)) for values in zip(*(data[name].tolist() for name in data), strict=True)
    ]
    for number, row in enumerate(rows):
        features = {name: value for name, value in row.items() if name not in ("score", "rejected")}
        monitor.observe(features, score=row["score"], id=number)
    before = told(monitor, registry)

    for number, row in enumerate(rows[:500]):
        monitor.outcome(number, row["rejected"], score=row["score"], features=row)
    after = told(monitor, registry)

    flagged, positive = data["score"][:500] >= 0.5, data["rejected"][:500] == 1
    hits = sum(only(of_all(after), "wakeful_outcome_total", flagged="true", truth="positive").values())
    assert hits == (flagged & positive).sum()
    assert sum(only(of_all(after), "wakeful_outcome_total", flagged="true").values()) == flagged.sum()
    assert sum(only(of_all(after), "wakeful_outcome_total", truth="positive").values()) == positive.sum()
    assert only(of_all(before), "wakeful_answer_total") == only(of_all(after), "wakeful_answer_total")
    assert sum(only(of_all(before), "wakeful_outcome_total").values()) == 0
    exporter = Exporter(monitor.reference, monitor._recorder.settings.folder)
    assert_same_answers(exporter, monitor.count(rows[:500]) + monitor.count(unlabelled(rows[500:])), least=400)


def unlabelled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "rejected": None} for row in rows]


@pytest.mark.parametrize(
    ("model", "answers", "labels"),
    [
        ("reference", [0.2, 0.9, None, "high"], [0, 1, None, 7]),
        ("regression", [-1e300, 50_000.0, None, "high"], [1e300, -1e300, None, "odd"]),
        ("multiclass", ["spam", "(missing)", "new", None, 7.5], ["spam", "new", "(missing)", None, 7.5]),
    ],
)
def test_no_series_falls_when_outcomes_come_whatever_they_are(
    tmp_path: Path, request: pytest.FixtureRequest, model: str, answers: list[Any], labels: list[Any]
):
    registry = CollectorRegistry()
    monitor = wakeful.Monitor(request.getfixturevalue(model))
    monitor.start(counts=tmp_path, registry=registry, flush=3600)
    before = told(monitor, registry)
    for answer, label in itertools.product(answers, labels):
        monitor.observe({"platform": "web"}, score=answer)
        for _ in range(3):  # more often than answered
            monitor.outcome("A", label, score=answer, features={"platform": "web"})
        after = told(monitor, registry)
        fell = {dict(labels)["__name__"] for labels, value in before.items() if after[labels] < value}
        assert fell <= {"wakeful_buffer_rows"}
        before = after
    monitor.stop()

    series = of_all(before)
    assert sum(only(series, "wakeful_answer_total").values()) > len(answers)
    assert sum(only(series, "wakeful_outcome_total").values()) > len(answers)
