"""Outcomes in PostgreSQL, joined with predictions in Parquet."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import wakeful
from wakeful.counts import Counts
from wakeful.outcomes import Join

START = pd.Timestamp("2026-03-01", tz="UTC")


def test_outcomes_in_a_table_are_read_from_a_horizon_before_the_newest(server: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"id": [f"a{at}" for at in range(100)], "score": rng.random(100)})
    rows["asked_at"] = START + pd.to_timedelta(np.arange(100), unit="h")
    rows["defaulted"] = np.arange(100) % 2
    reference = wakeful.learn(
        rows, score="score", label="defaulted", threshold=0.5, id="id", time="asked_at", name="loans"
    )
    rows.drop(columns="defaulted").to_parquet(tmp_path / "predictions.parquet")
    server.run(
        "CREATE TABLE told (id text, at timestamptz, defaulted numeric)",
        "INSERT INTO told SELECT 'a' || i, '2026-03-01T00:30:00Z'::timestamptz + i * interval '1 hour', i % 2 "
        "FROM generate_series(0, 79) AS i",
    )
    with Join(tmp_path / "state", reference.model, horizon="3d") as join:
        join.add_predictions(tmp_path / "predictions.parquet")
        assert join.add_outcomes(f"{server.url}#told")[1:3] == (80, 80)
        server.run(
            "INSERT INTO told VALUES ('a90', '2026-03-04T22:00:00Z', 0), ('a91', '2026-03-04T22:00:00Z', NULL), "
            "('a0', '2026-03-02T22:00:00Z', 1)",
        )
        read = join.add_outcomes(f"{server.url}#told")
        assert (read.rows, read.new, read.left_out) == (76, 2, {"without a label": 1})
        assert join.add_outcomes(f"{server.url}#SELECT * FROM told").new == 0, "the same rows under another name"
        joined = join.as_of(dt.datetime(2026, 6, 1))
        tiles = [tile.counts for tile in joined.counts(reference.layout, "1d")]
        [health] = joined.health("1mo")
    rows["defaulted"] = rows["defaulted"].where((rows.index < 80) | (rows.index == 90))
    rows.loc[0, "defaulted"] = 1
    assert sum(tiles, Counts.zero(reference.layout)) == wakeful.Monitor(reference).count(rows)
    assert (health.joined, health.corrections) == (81, 1)
    server.run("DROP TABLE told")
