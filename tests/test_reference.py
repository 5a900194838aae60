"""Reference files: what was learnt comes back, the same bytes each time, and damage is told, not guessed at."""

from __future__ import annotations

import copy
import hashlib
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wakeful
from wakeful.bins import CategoryBins, NumericBins
from wakeful.counts import Counts, Layout
from wakeful.model import Column, Model
from wakeful.reference import SCHEMA, Dispersion, Reference, Stray, Windows

TASKS = ("binary", "multiclass", "regression")


@cache
def learnt(task: str) -> Reference:
    rng = np.random.default_rng(4)
    n = 4000
    data: dict[str, Any] = {
        "income": np.where(rng.random(n) < 0.1, 0, np.round(rng.lognormal(10, 1, n), 2)),
        "größe in cm": np.where(rng.random(n) < 0.2, np.nan, rng.normal(170, 10, n)),
        'a "quoted", name': rng.choice(["A", "B", 'C "x"', "ÄÖ\n収"], n),
        "zip": rng.choice([10115, 20095, 80331], n),
        "owner": rng.random(n) < 0.4,
        "at": pd.date_range("2024-01-01", periods=n, freq="20min"),
        "score": np.round(rng.random(n), 4),
        "answer": rng.choice(["yes", "no"], n),
        "price": rng.normal(100, 10, n),
    }
    data["label"] = (rng.random(n) < data["score"]).astype(int)
    roles: dict[str, dict[str, Any]] = {
        "binary": {"score": "score", "label": "label", "threshold": 0.4, "time": "at", "holdout": "held"},
        "multiclass": {"score": "answer", "label": "truth"},
        "regression": {"score": "score", "label": "price", "task": "regression", "segments": ["owner"]},
    }
    data["truth"] = rng.choice(["yes", "no", "maybe"], n)
    return wakeful.learn(data, name=task, kinds={"zip": "categorical"}, **roles[task])


# ---------------------------------------------------------------- stories


@pytest.mark.parametrize("task", TASKS)
def test_what_was_saved_comes_back(task: str, tmp_path: Path):
    reference = learnt(task)
    reference.save(tmp_path / "reference.json")
    loaded = Reference.load(tmp_path / "reference.json")
    assert loaded.model == reference.model
    assert loaded.counts == reference.counts
    assert loaded.rows == reference.rows == 4000
    assert loaded.layout.bins == reference.layout.bins
    assert loaded.layout.fingerprint == reference.layout.fingerprint
    assert loaded.windows == reference.windows
    assert loaded.outcome_dispersion == reference.outcome_dispersion
    assert loaded.strays.keys() == reference.strays.keys()
    for column in reference.model.features:
        assert loaded.importance[column.name] == reference.importance[column.name]
        assert loaded.dispersion.get(column.name, Dispersion()) == reference.dispersion.get(column.name, Dispersion())
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "reference.json").read_bytes()


def test_the_file_can_be_read_by_people(tmp_path: Path):
    learnt("binary").save(tmp_path / "reference.json")
    text = (tmp_path / "reference.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["schema"] == SCHEMA
    assert {"income", "größe in cm", "owner", "score"} <= content["columns"].keys()
    assert "größe in cm" in text  # not escaped
    assert "A" in content["columns"]['a "quoted", name']["bins"]["categories"]
    assert content["columns"]["score"]["bins"]["cuts"] == sorted(content["columns"]["score"]["bins"]["cuts"])
    assert all(isinstance(one, int) for row in content["columns"]["income"]["counts"] for one in row)
    assert text.count("\n") < 1500  # lists of numbers stand on one line
    assert not list(tmp_path.glob("*.partial"))


def test_a_monitor_loads_the_reference_beside_its_own_file(tmp_path: Path):
    learnt("binary").save(tmp_path / "reference.json")
    assert wakeful.Monitor(tmp_path / "reference.json").reference.counts == learnt("binary").counts
    assert wakeful.Monitor(str(tmp_path / "reference.json")).reference.rows == 4000


# ---------------------------------------------------------------- any reference

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_texts = st.text(max_size=5)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    """Any reference, learnt or not."""
    names = draw(st.lists(_texts, min_size=1, max_size=4, unique=True))
    bins: dict[str, Any] = {}
    columns = []
    for name in names:
        kind = draw(st.sampled_from(["numeric", "categorical"]))
        columns.append(Column(name, kind, name))  # type: ignore[arg-type]
        if kind == "numeric":
            low, high = sorted(draw(st.tuples(_numbers, _numbers)))
            inside = st.floats(low, high)
            singles = tuple(sorted(set(draw(st.lists(inside, max_size=3)))))
            cuts = tuple(sorted({one for one in draw(st.lists(inside, max_size=3)) if one > low}))
            decimals = draw(st.none() | st.integers(0, 4))
            bins[name] = NumericBins(low, high, cuts, singles, draw(inside), decimals)
        else:
            values: Any = draw(st.sampled_from([_texts, st.integers(-(2**63), 2**63), st.booleans()]))
            known = draw(st.lists(values, max_size=5, unique=True))
            bins[name] = CategoryBins(tuple(known[:3]), tuple(known[3:]), draw(st.booleans()), draw(st.floats(0, 1)))
    columns.append(Column("score\0", "numeric", "score\0"))
    bins["score\0"] = NumericBins(0.0, 1.0, (0.5,), (), 0.5)
    model = Model(draw(_texts), "binary", tuple(columns[:-1]), columns[-1], draw(st.none() | _numbers), label="label\0")
    layout = Layout(model, bins)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    counts = Counts(layout, rng.integers(0, 2**53, layout.size) * (rng.random(layout.size) < 0.3) * 1.0)
    shares = st.floats(0, 1)
    number = draw(st.integers(0, 999))
    columns = {column.name: Dispersion(draw(shares), draw(shares)) for column in layout.counted}
    importance = {name: draw(shares) for name in names}
    if draw(st.booleans()):
        return Reference(layout, counts, importance)
    strays = {unit: Stray(number, draw(shares), columns) for unit in ("day", "week")}
    return Reference(layout, counts, importance, Windows("week", number), strays)


@given(reference=references())
def test_any_reference_comes_back_exactly(reference: Reference, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.getbasetemp() / "any-reference.json"
    reference.save(path)
    loaded = Reference.load(path)
    assert loaded.model == reference.model
    assert loaded.layout.fingerprint == reference.layout.fingerprint
    assert loaded.counts == reference.counts
    assert loaded.layout.bins == reference.layout.bins
    for name, importance in reference.importance.items():
        assert loaded.importance[name] == importance
    assert (loaded.strays, loaded.windows) == (reference.strays, reference.windows)


# ---------------------------------------------------------------- damage


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    learnt("binary").save(tmp_path / "reference.json")
    return tmp_path / "reference.json"


def refused(path: Path, *words: str) -> None:
    with pytest.raises(wakeful.ReferenceFileError) as caught:
        Reference.load(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


def test_a_file_that_is_not_there_says_how_to_learn_one(tmp_path: Path):
    refused(tmp_path / "reference.json", "no reference at", "wakeful init")
    with pytest.raises(wakeful.ReferenceFileError, match="wakeful init"):
        wakeful.Monitor(tmp_path / "reference.json")


def test_a_folder_is_no_reference(tmp_path: Path):
    refused(tmp_path)


def test_a_file_that_was_cut_short_is_refused_wherever_it_ends(saved: Path):
    content = saved.read_bytes()
    for length in [0, 1, 2, *range(100, len(content) - 2, len(content) // 40), len(content) - 2]:
        saved.write_bytes(content[:length])
        refused(saved, "wakeful init")


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"\xff\xfe", b"not json", b"PAR1", b"[1, 2", b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused(saved: Path, content: bytes):
    saved.write_bytes(content)
    refused(saved, "damaged", "wakeful init")


@pytest.mark.parametrize("content", ["[]", "{}", "1", "null", '"schema"', '{"wakeful": "reference"}'])
def test_json_that_is_no_reference_is_refused(saved: Path, content: str):
    saved.write_text(content)
    refused(saved, "no schema version")


def test_an_edited_number_is_refused_wherever_it_stands(saved: Path):
    text = saved.read_text(encoding="utf-8")
    digits = [one.start() for one in re.finditer(r"(?<=[ \[])[1-9]", text)]
    start = text.index('"model"')
    for at in random.Random(1).sample([one for one in digits if one > start], 60):
        digit = "1" if text[at] != "1" else "2"
        saved.write_text(text[:at] + digit + text[at + 1 :], encoding="utf-8")
        refused(saved, "checksum", "wakeful init")


def test_a_missing_key_is_refused_wherever_it_stood(saved: Path):
    content = json.loads(saved.read_text(encoding="utf-8"))
    for path in _paths(content):
        if path == ("schema",):
            continue
        changed = copy.deepcopy(content)
        _remove(changed, path)
        saved.write_text(json.dumps(changed), encoding="utf-8")
        refused(saved, "damaged", "wakeful init")


def test_damage_is_told_even_where_someone_mended_the_checksum(saved: Path):
    """Whatever a tool or a hand did to the file: a ReferenceFileError, or a reference that counts can use."""
    content = json.loads(saved.read_text(encoding="utf-8"))
    content.pop("checksum")
    rng = random.Random(2)
    paths = [path for path in _paths(content) if path[0] not in ("schema", "checksum", "wakeful")]
    for path in [*paths, *(path for path in paths for _ in range(2))]:
        changed = copy.deepcopy(content)
        _remove(changed, path, rng.choice([..., None, [], {}, "x", -1, 1e400, [1], {"a": 1}, [[]]]))
        text = json.dumps(changed, sort_keys=True, ensure_ascii=True)
        changed["checksum"] = hashlib.sha256(text.encode()).hexdigest()[:16]
        saved.write_text(json.dumps(changed), encoding="utf-8")
        try:
            loaded = Reference.load(saved)
        except wakeful.ReferenceFileError as error:
            assert "wakeful init" in str(error)
        else:
            assert loaded.layout.fingerprint == content["layout"]


def _paths(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in content.items() if isinstance(content, dict) else ():
        yield (*at, key)
        yield from _paths(value, (*at, key))


def _remove(content: Any, path: tuple[Any, ...], instead: Any = ...) -> None:
    for key in path[:-1]:
        content = content[key]
    if instead is ...:
        del content[path[-1]]
    else:
        content[path[-1]] = instead


@pytest.mark.parametrize("version", [0, 1, 99, -1, "2", None, 1.5, [2]])
def test_an_unknown_schema_version_says_what_to_do(saved: Path, version: Any):
    content = json.loads(saved.read_text(encoding="utf-8"))
    content["schema"] = version
    saved.write_text(json.dumps(content), encoding="utf-8")
    refused(saved, "schema version", repr(version), f"reads {SCHEMA}", "wakeful init", "install")


def test_a_file_that_was_only_laid_out_anew_is_still_good(saved: Path):
    content = json.loads(saved.read_text(encoding="utf-8"))
    saved.write_text(json.dumps(content, indent=4), encoding="utf-8")
    assert Reference.load(saved).counts == learnt("binary").counts
