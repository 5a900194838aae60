"""Series at many moments as OpenMetrics: what was told is what a parser reads, whatever it is called."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Sequence
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Sample

from wakeful.live.export import openmetrics
from wakeful.live.export.exposition import Labels
from wakeful.live.export.openmetrics import Growth, Spool

KINDS = {"counter": "_total", "gauge": "", "info": "_info"}

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # quotes, line ends, other alphabets
counts = st.floats(0, 1e300) | st.integers(0, 2**53).map(float)
families = st.lists(
    st.tuples(st.sampled_from(list(KINDS)), st.lists(st.tuples(names, names), unique=True, min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)
moments = st.lists(st.integers(0, 4_000_000_000), unique=True, min_size=1, max_size=5).map(sorted)


def metrics(shape: Sequence[tuple[str, Sequence[tuple[str, str]]]], values: Sequence[float]) -> list[Metric]:
    left = iter(values)
    found = []
    for at, (kind, series) in enumerate(shape):
        metric = Metric(f"wakeful_{at}", "What it is.", kind)
        for column, one in series:
            value = 1.0 if kind == "info" else next(left)
            metric.samples.append(Sample(metric.name + KINDS[kind], Labels(column=column, bin=one, a="always"), value))
        found.append(metric)
    return found


def text(told: Sequence[tuple[int, list[Metric]]], held: Sequence[str] = ()) -> str:
    file = io.BytesIO()
    with Spool(held) as spool:
        for at, some in told:
            spool.add(at, some)
        spool.write(file)
    return file.getvalue().decode()


@given(families, moments, st.data())
def test_a_parser_reads_what_was_told(shape, moments, data):
    size = sum(len(series) for _, series in shape)
    told = [(at, metrics(shape, data.draw(st.lists(counts, min_size=size, max_size=size)))) for at in moments]

    found = list(parse(text(told)))

    assert [(one.name, one.type) for one in found] == [(one.name, one.type) for one in told[0][1]]
    given = {
        (sample.name, *sorted(sample.labels.items()), float(sample.timestamp)): sample.value
        for one in found
        for sample in one.samples
    }
    assert given == {
        (sample.name, *sorted(sample.labels.items()), float(at)): sample.value
        for at, some in told
        for metric in some
        for sample in metric.samples
    }
    assert len(given) == size * len(moments)


def test_each_series_stands_together_in_order_of_time():
    shape = [("counter", [("city", "Köln"), ("city", 'a "b"\\\n')]), ("info", [("", "")])]

    assert text([(60, metrics(shape, [0, 0])), (120, metrics(shape, [2, 0.5]))]) == (
        "# TYPE wakeful_0 counter\n# HELP wakeful_0 What it is.\n"
        'wakeful_0_total{a="always",bin="Köln",column="city"} 0.0 60\n'
        'wakeful_0_total{a="always",bin="Köln",column="city"} 2.0 120\n'
        r'wakeful_0_total{a="always",bin="a \"b\"\\\n",column="city"} 0.0 60' + "\n"
        r'wakeful_0_total{a="always",bin="a \"b\"\\\n",column="city"} 0.5 120' + "\n"
        "# TYPE wakeful_1 info\n# HELP wakeful_1 What it is.\n"
        'wakeful_1_info{a="always"} 1.0 60\nwakeful_1_info{a="always"} 1.0 120\n'
        "# EOF\n"
    )


def test_what_is_not_known_is_left_out_and_what_holds_is_known_until_the_next_moment():
    """Prometheus takes a sample for the present for 300 seconds; none of a step is looked back to from the next."""
    shape = [("gauge", [("x", ""), ("y", "")]), ("gauge", [("z", "")])]
    told = [(0, [1, 5, 1]), (900, [nan, 6, nan]), (1100, [3, 7, 3]), (2001, [nan, nan, 4])]

    found = text([(at, metrics(shape, values)) for at, values in told], held=["wakeful_1"])

    samples = [line.split(" ") for line in found.splitlines() if not line.startswith("#")]
    series = {name: [] for name, _, _ in samples}
    for name, value, at in samples:
        series[name].append((int(at), float(value)))
    first, second, held = series.values()
    assert first == [(0, 1), (1100, 3)]
    assert second == [(0, 5), (900, 6), (1100, 7)]
    assert held == [(at, 1) for at in (0, 300, 599)] + [(at, 3) for at in (1100, 1400, 1700)] + [(2001, 4)]


def test_growth_is_told_as_far_back_as_it_is_read_and_even_between_two_moments():
    shape = [("gauge", [("a", "")]), ("counter", [("x", "1"), ("y", "1"), ("x", "2")])]
    growth = Growth("wakeful:grown", "wakeful_1_total", frozenset("x"), frozenset({""}), 600, 300, 900)
    told = [(0, [9.0, 0.0, 0.0, 0.0]), (3600, [9.0, 36.0, 9.0, 0.0]), (5400, [9.0, 36.0, 9.0, 18.0])]
    file = io.BytesIO()
    with Spool() as spool:
        for at, values in told:
            spool.add(at, metrics(shape, values))
        spool.write(file, [growth])
        series = spool.series

    lines = [line for line in file.getvalue().decode().splitlines() if line.startswith("wakeful:grown")]

    assert series == 6
    expected = {"1": {4500: 0.0, 4800: 0.0, 5100: 0.0, 5400: 0.0}, "2": {4500: 6.0, 4800: 6.0, 5100: 6.0, 5400: 6.0}}
    assert lines == [
        f'wakeful:grown{{a="always",bin="{name}",column="x"}} {value} {at}'
        for name, values in expected.items()
        for at, value in values.items()
    ]


@pytest.mark.parametrize("block", [1, 7, 20, 100])
def test_however_many_series_are_turned_round_at_once_the_text_is_the_same(monkeypatch: pytest.MonkeyPatch, block: int):
    shape = [("counter", [("x", str(at)) for at in range(5)]), ("gauge", [("y", str(at)) for at in range(6)])]
    told = [(at, metrics(shape, [at * 100.0 + one for one in range(11)])) for at in range(6)]
    whole = text(told)

    monkeypatch.setattr(openmetrics, "_BLOCK", block)

    assert text(told) == whole


def test_memory_does_not_grow_with_the_history(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(openmetrics, "_BLOCK", 10_000)
    series, moments = 100, 5_000
    told = metrics([("counter", [("x", str(at)) for at in range(series)])], range(series))

    tracemalloc.start()
    try:
        with Spool() as spool, (tmp_path / "history.om").open("wb") as file:
            for at in range(moments):
                spool.add(at, told)
            spool.write(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * series * moments / 2
