"""Quality that is expected before any outcome is known, beside NannyML's, on real data in their order of time.

A model is trained on the first part of the rows, its reference is the next, and all later rows are judged in
chunks, without their outcomes, by wakeful and by NannyML (CBPE and DLE by their defaults; intervals of three
standard errors, so ours are asked for the same). Then the outcomes tell which was right. "Agree": one estimate lies
in the other's interval; "off": mean distance from what outcomes showed, ours / theirs.

Each tool reads the columns that it needs, and learns, in an environment and a fresh process of its own:
`bench/incidents/environments.sh nannyml` makes NannyML's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from measure import Whole, alone
from rich.console import Console
from rich.table import Table
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

BENCH = Path(__file__).resolve().parent
NANNYML = BENCH.parent / "build" / "incidents" / "environments" / "nannyml" / "bin" / "python"
THREE_SIGMA = 0.00135  # error rate on each side
QUALITIES = ("precision", "recall", "accuracy", "roc_auc")
ERRORS = ("mean_absolute_error", "root_mean_squared_error")


class World(NamedTuple):
    """Rows in order of time, with their outcome in ``label``, and how many of the first train and make a reference."""

    name: str
    rows: pd.DataFrame
    trained: int
    known: int
    threshold: float | None


class Chunks(NamedTuple):
    """Value, lower and upper bound per chunk and metric, shape (chunks, metrics, 3); and every run."""

    found: Any
    runs: list[Whole]


def main() -> None:
    options = _options()
    console = Console(highlight=False, width=140)
    for make in WORLDS:
        world = make(options.data)
        with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
            _compare(console, world, Path(name), options)


def _compare(console: Console, world: World, folder: Path, options: argparse.Namespace) -> None:
    chunk = options.chunk
    known, live = _scored(world)
    live = pd.concat([live] * options.repeat, ignore_index=True)
    live = live.iloc[: len(live) // chunk * chunk]  # the last one is whole
    known.to_parquet(folder / "reference.parquet")
    live.to_parquet(folder / "live.parquet")
    names = ERRORS if world.threshold is None else QUALITIES
    roles = {"score": "score", "label": "label", "task": "regression" if world.threshold is None else "binary"}
    if world.threshold is not None:
        roles["threshold"] = world.threshold  # type: ignore[assignment]
    files = folder / "reference.parquet", folder / "live.parquet", chunk
    asked = json.dumps(roles), " ".join(names)
    tasks: dict[str, Callable[[], Whole]] = {
        "wakeful": lambda: alone(BENCH / "tasks" / "wakeful_expected.py", *files, THREE_SIGMA, *asked),
        "NannyML": lambda: alone(BENCH / "tasks" / "nannyml_expected.py", *files, *asked, python=NANNYML),
    }
    for run in tasks.values():
        run()  # unmeasured
    runs: dict[str, list[Whole]] = {name: [] for name in tasks}
    for _ in range(options.rounds):
        for name, run in tasks.items():
            runs[name].append(run())
    found = {name: Chunks(np.array(json.loads(every[0].said)), every) for name, every in runs.items()}
    parts = [live.iloc[start : start + chunk] for start in range(0, len(live), chunk)]
    shown = np.array([[_realised(part, name, world.threshold) for name in names] for part in parts])
    title = f"{world.name}: {len(parts):,} chunks of {chunk:,}, reference of {len(known):,}"
    console.print(_table(title, names, found, shown))
    for name, one in found.items():
        work, start = ([getattr(run, part).cpu for run in one.runs] for part in ("work", "around"))
        console.print(
            f"{name}: {statistics.median(work):.2f} CPU s for {len(live):,} rows, and "
            f"{statistics.median(start):.2f} to start; {max(run.peak for run in one.runs):.0f} MB"
        )
    console.print()


def _table(title: str, names: tuple[str, ...], found: dict[str, Chunks], shown: Any) -> Table:
    table = Table(title=title)
    for head in ("metric", "realised", "wakeful", "NannyML", "apart", "agree", "realised in ours", "in theirs", "off"):
        table.add_column(head, justify="left" if head == "metric" else "right")
    ours, theirs = found["wakeful"].found, found["NannyML"].found
    for at, name in enumerate(names):
        a, b, truth = ours[:, at], theirs[:, at], shown[:, at]
        agree = _inside(a[:, 0], b) | _inside(b[:, 0], a)
        off = (f"{np.abs(one[:, 0] - truth).mean():.3g}" for one in (a, b))
        table.add_row(
            name, _range(truth), _range(a[:, 0]), _range(b[:, 0]), f"{np.abs(a[:, 0] - b[:, 0]).mean():.3g}",
            f"{agree.sum()}/{len(a)}", f"{_inside(truth, a).sum()}/{len(a)}", f"{_inside(truth, b).sum()}/{len(a)}",
            " / ".join(off),
        )  # fmt: skip
    return table


def _inside(values: Any, intervals: Any) -> Any:
    return (values >= intervals[:, 1]) & (values <= intervals[:, 2])


def _range(values: Any) -> str:
    return f"{np.median(values):.3g} ({values.min():.3g}–{values.max():.3g})"


def _realised(part: pd.DataFrame, name: str, threshold: float | None) -> float:
    if threshold is None:
        error = part.score - part.label
        return float(error.abs().mean() if name == "mean_absolute_error" else np.sqrt((error**2).mean()))
    if name == "roc_auc":
        return float(metrics.roc_auc_score(part.label, part.score))
    return float(getattr(metrics, f"{name}_score")(part.label, part.score >= threshold))


def _scored(world: World) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference and the live rows with their scores."""
    model = HistGradientBoostingRegressor if world.threshold is None else HistGradientBoostingClassifier
    features = world.rows.drop(columns="label").astype(float)
    trained = slice(0, world.trained)
    with threadpool_limits(1):
        fitted = model(max_iter=40, max_depth=3, random_state=0).fit(features[trained], world.rows.label[trained])
        score = fitted.predict(features) if world.threshold is None else fitted.predict_proba(features)[:, 1]
    rows = features.assign(score=score, label=world.rows.label)
    end = world.trained + world.known
    return rows[world.trained : end], rows[end:]


def lending_club(data: Path) -> World:
    """Loans of 2007 to 2009 in random order, half of them to train, then 2010 and 2011."""
    loans = pd.read_parquet(data / "lending_club.parquet").sort_values("issue_d", kind="stable")
    early = loans.issue_d.dt.year <= 2009
    loans = pd.concat([loans[early].sample(frac=1, random_state=0), loans[~early]])
    loans["earliest_cr_line"] = loans.issue_d.dt.year - loans.earliest_cr_line.dt.year
    rows = loans.drop(columns=["id", "issue_d", "outcome_known_date", "int_rate", "grade"])
    for name in rows.select_dtypes(["category", "object"]).columns:
        rows[name] = pd.factorize(rows[name], sort=True)[0]
    rows = rows.rename(columns={"defaulted": "label"}).reset_index(drop=True)
    return World("lending_club", rows, int(early.sum()) // 2, int(early.sum()) - int(early.sum()) // 2, 0.2)


def noaa_weather(data: Path) -> World:
    """Days from 1949 on: some eleven years to train, eleven to know, the others live."""
    days = pd.read_parquet(data / "noaa_weather.parquet").drop(columns="day_index").rename(columns={"rain": "label"})
    return World("noaa_weather", days, 4_000, 4_000, 0.5)


def bike_sharing(data: Path) -> World:
    """Hours of 2011 in random order, half of them to train, then 2012, when twice as many people rent."""
    hours = pd.read_parquet(data / "bike_sharing_hourly.parquet").sort_values("timestamp")
    early = hours.yr == 0
    hours = pd.concat([hours[early].sample(frac=1, random_state=0), hours[~early]])
    rows = hours.drop(columns=["timestamp", "yr", "casual", "registered"]).rename(columns={"cnt": "label"})
    return World("bike_sharing_hourly", rows.reset_index(drop=True), early.sum() // 2, early.sum() // 2, None)


WORLDS = (lending_club, noaa_weather, bike_sharing)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BENCH.parent.parent / "shared" / "data", help="real data sets")
    parser.add_argument("--chunk", type=int, default=1_000, help="rows (1000)")
    parser.add_argument("--repeat", type=int, default=1, help="all live rows so many times over, for the time (1)")
    parser.add_argument("--rounds", type=int, default=3, help="of both tools in turns, after an unmeasured one (3)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
