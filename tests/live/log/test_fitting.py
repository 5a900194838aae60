"""Whatever a service sends becomes a row: typed where it fits, readable text where not, and nothing raises."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import json
import math
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import wakeful
from wakeful.encoding import encode_numbers
from wakeful.live.log.fitting import LONGEST_TEXT, FitKind, fit
from wakeful.live.log.plain import LONGEST_VALUE, as_json, canonical
from wakeful.live.log.schema import Hidden, predictions
from wakeful.live.observations import Row

KINDS: list[FitKind] = ["number", "whole", "truth", "text", "clock", "id"]


class Hostile:
    """An object whose every method raises."""

    def _raise(self, *arguments: Any) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __float__ = __int__ = __index__ = __bool__ = __len__ = __iter__ = __hash__ = _raise
    __eq__ = __ne__ = __lt__ = __getattr__ = __getitem__ = __array__ = __bytes__ = _raise  # type: ignore[assignment]


class HostileType(type):
    """The type of a type that cannot be hashed or named."""

    def __hash__(cls) -> int:
        raise RuntimeError("hostile")

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("hostile")


class HostileText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("hostile")

    def encode(self, *arguments: Any) -> bytes:
        raise RuntimeError("hostile")

    def __len__(self) -> int:
        raise RuntimeError("hostile")


class HostileMapping(dict):  # type: ignore[type-arg]
    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("hostile")

    get = items = keys = __iter__ = __len__ = __getitem__  # type: ignore[assignment]


LOOP: list[Any] = []
LOOP.append(LOOP)
VALUES: list[Any] = [
    None, math.nan, math.inf, -math.inf, True, 0, -1, 2**53 + 1, 2**63, 10**400, -(10**5_000), 1.5, 5e-324,
    "", "Köln", "\ud800", "\0", "x" * 10_000_000, b"\xff" * 10_000, "12", [], [1, [2]], LOOP, {"a": {1: "b"}}, {1, 2},
    range(10**9), np.float32(1.5), np.float64("nan"), np.int64(7), np.bool_(True), np.str_("x"), np.bytes_(b"x"),
    np.datetime64("NaT", "s"), np.datetime64("2026-01-01T01"), np.zeros((1_000, 1_000)), np.complex128(1j), pd.NA,
    pd.NaT,
    pd.Timestamp("2026-01-01", tz="Europe/Berlin"), pd.Timedelta("1s"), dt.date(2026, 1, 1), dt.datetime(1, 1, 1),
    dt.datetime.max.replace(tzinfo=dt.UTC), dt.time(1), decimal.Decimal("1.5"), decimal.Decimal("sNaN"),
    fractions.Fraction(1, 3), 1j, uuid.UUID(int=1), object(), Hostile(), HostileType("H", (), {})(), HostileText("x"),
    HostileMapping(a=1), Hostile, lambda: None, ValueError("no"), ...,
]  # fmt: skip


def words(value: Any) -> str:
    try:
        return f"{type(value).__name__}-{str(value)[:12]}"
    except Exception:
        return "hostile"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", VALUES, ids=words)
def test_any_value_becomes_a_column_and_leaves_its_neighbours_alone(value: Any, kind: FitKind):
    good = {"number": 1.5, "whole": 3, "truth": True, "text": "a", "clock": dt.datetime(2026, 1, 1), "id": "b"}[kind]

    array, misfits = fit(kind, [good, value, None])

    array.validate(full=True)
    assert len(array) == 3
    assert array[0].as_py() == good
    assert array[2].as_py() is None
    assert list(misfits) in ([], [1])
    if misfits:
        assert array[1].as_py() == (math.inf if kind == "number" else None)


@pytest.mark.parametrize("value", VALUES, ids=words)
def test_any_value_becomes_text_of_bounded_length(value: Any):
    text = as_json({"column": value}, Hidden().veil)

    assert list(json.loads(text)) == ["column"]
    assert text.isascii()
    assert len(text) <= 2 * LONGEST_VALUE + 20  # where what is cut needs escapes
    assert canonical(value) is None or len(canonical(value)) <= 2 * LONGEST_VALUE  # type: ignore[arg-type]


def anything(draw: random.Random, depth: int = 2) -> Any:
    """Any value, or a list or mapping of some; hypothesis would show them, which some of them forbid."""
    kind = draw.randrange(8)
    if depth and kind == 0:
        return [anything(draw, depth - 1) for _ in range(draw.randrange(4))]
    if depth and kind == 1:
        return {name(draw): anything(draw, depth - 1) for _ in range(draw.randrange(4))}
    if kind == 2:
        return name(draw)
    return draw.choice(VALUES)


def name(draw: random.Random) -> str:
    known = ["income", "city", "owner", "rent", "version", "other", "new", "é\ud800", ""]
    return draw.choice([*known, "".join(map(chr, draw.sample(range(0x11000), 5)))])


def test_any_rows_become_a_batch(reference: wakeful.Reference):
    table = predictions(reference.layout, "v\ud800", Hidden(excluded={"rent"}, hashed={"city"}, salt="s"))
    draw = random.Random(1)
    for _ in range(1_000):
        rows = [
            Row({name(draw): anything(draw) for _ in range(draw.randrange(6))}, *(anything(draw) for _ in range(5)))
            for _ in range(draw.randrange(1, 6))
        ]

        batch = table.batch(rows)

        batch.validate(full=True)
        assert batch.num_rows == len(rows)
        assert all(text is None or json.loads(text) for text in batch.column("other").to_pylist())


@pytest.mark.parametrize("features", [HostileMapping(income=1.0), Hostile(), None, 7, [("income", 1.0)]], ids=words)
def test_features_that_are_no_mapping_spoil_no_other_row(features: Any, reference: wakeful.Reference):
    table = predictions(reference.layout, "", Hidden())

    batch = table.batch([Row({"income": 2.0}, 0.5, 1e9, "a"), Row(features, 0.5, 1e9, "b")])

    assert batch.column("income").to_pylist() == [2.0, None]
    assert batch.column("id").to_pylist() == ["a", "b"]


def test_a_number_is_logged_as_it_is_counted():
    values = [value for value in VALUES if not isinstance(value, np.ndarray)]

    array, misfits = fit("number", values)

    counted = encode_numbers(values)
    for at, (logged, number) in enumerate(zip(array.to_pylist(), counted, strict=True)):
        if at in misfits:
            assert (logged, number) == (math.inf, math.inf)
        else:
            assert (math.nan if logged is None else logged) == pytest.approx(number, rel=0, nan_ok=True)


def test_what_fits_no_column_stands_in_other(reference: wakeful.Reference):
    table = predictions(reference.layout, "", Hidden())
    sent = {"income": "12,000 €", "debt": 3, "city": 7, "owner": 1, "platform": "web", "purpose": {"car": [1, None]}}

    (row,) = table.batch([Row(sent, "high", 1e9, "a")]).to_pylist()

    assert (row["income"], row["debt"], row["city"], row["owner"], row["rent"]) == (math.inf, 3.0, None, True, None)
    assert json.loads(row["other"]) == {
        "score": "high", "income": "12,000 €", "city": 7, "purpose": {"car": [1, None]}
    }  # fmt: skip


def test_texts_are_cut(reference: wakeful.Reference):
    table = predictions(reference.layout, "", Hidden())

    (row,) = table.batch([Row({"city": "ö" * 10_000, "new": "y" * 10_000}, 0.5, 1e9, "i" * 10_000)]).to_pylist()

    assert row["city"] == "ö" * LONGEST_TEXT
    assert row["id"] == "i" * LONGEST_TEXT
    assert json.loads(row["other"]) == {"new": "y" * LONGEST_VALUE}


def test_a_row_with_a_million_names_is_cut(reference: wakeful.Reference):
    table = predictions(reference.layout, "", Hidden())

    (row,) = table.batch([Row({f"n{at}": at for at in range(1_000_000)}, 0.5, 1e9, "a")]).to_pylist()

    assert len(json.loads(row["other"])) == 32


def test_what_was_sent_all_at_once_is_what_comes_one_by_one():
    """The fast way and the slow way of a column agree."""
    rng = np.random.default_rng(4)
    columns: dict[FitKind, list[Any]] = {
        "number": [1, 2.5, True, math.nan, None, np.float32(0.5), np.int64(3)],
        "whole": [1, -5, 2**62],
        "truth": [True, False],
        "text": ["", "a", "Köln", None, "x" * 3_000],
        "id": ["a", None, "ü"],
    }
    for kind, known in columns.items():
        values = [known[at] for at in rng.integers(0, len(known), 200)]
        slow = [fit(kind, [value, object()]).array[0].as_py() for value in values]
        assert fit(kind, values).array.to_pylist() == slow


def test_logging_imports_no_pandas(reference: wakeful.Reference, tmp_path: Path):
    """It is there, and would cost half a second in the middle of a service."""
    reference.save(tmp_path / "reference.json")
    code = """
import sys, wakeful
from wakeful.live.log.writer import Log, LogWriter
from wakeful.live.observations import Outcome, Row

writer = LogWriter(Log("log", keep="30d"), wakeful.Reference.load("reference.json").layout)
writer.write([Row({"income": at, "city": "x", "owner": True, "new": None}, 0.5, 1e9 + 9e4 * at) for at in range(3)])
writer.write_outcomes([Outcome("a", 1, 1e9)])
writer.close(60)
assert (writer.rows, writer.lost) == (4, 0), (writer.rows, writer.lost)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_what_to_log_can_be_said_without_pyarrow_and_logging_names_what_is_missing(
    reference: wakeful.Reference, tmp_path: Path
):
    reference.save(tmp_path / "reference.json")
    code = """
import sys
sys.modules["pyarrow"] = None
import wakeful
from wakeful.live.log.writer import LogWriter

log = wakeful.Log("log")
assert "numpy" not in sys.modules
LogWriter(log, wakeful.Reference.load("reference.json").layout)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "needs pyarrow, which is not installed. Run: pip install 'wakeful[history]'" in done.stderr
    assert pa is not None
