"""How often the truth lies outside an interval: the figures of docs/statistics.md. Run: python bench/coverage.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import wakeful
from wakeful import signals
from wakeful.monitor import Monitor
from wakeful.signals.signal import View
from wakeful.views import column_counts, outcomes

TRIALS = 1_000
ALPHA = 0.025  # claimed on each side
ROWS = 1_000  # live; the reference has ten times as many

Rows = dict[str, Any]


def loans(rng: np.random.Generator, n: int) -> Rows:
    """Calibrated scores with their outcomes, and a feature."""
    score = rng.beta(1.2, 2.5, n)
    return {"x": rng.lognormal(0, 0.5, n), "score": score, "label": (rng.random(n) < score).astype(float)}


def held_out(rng: np.random.Generator, n: int) -> Rows:
    """The same, where the outcome of flagged rows is known for a holdout of 30% only."""
    rows = loans(rng, n)
    flagged = rows["score"] >= 0.5
    rows["held"] = flagged & (rng.random(n) < 0.3)
    rows["label"] = np.where(flagged & ~rows["held"], np.nan, rows["label"])
    return rows


def prices(rng: np.random.Generator, n: int) -> Rows:
    """Predicted and true prices."""
    label = rng.normal(100, 20, n)
    return {"p": label + rng.normal(1, 8, n), "y": label}


COLUMN = ("d1", "total_variation", "linf", "ks", "wasserstein", "psi", "jensen_shannon", "mean", "std", "missing")
QUALITY = (
    "flagged_share",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "average_precision",
    "brier_score",
    "log_loss",
    "bias",
)
ERRORS = ("mean_absolute_error", "root_mean_squared_error", "bias", "r2")
SIZES = (200, 1_000, 10_000)  # live rows whose outcomes are expected before they are known
REFERENCES = 100  # learnt anew, since what is expected errs by what they know, too


def main() -> None:
    rng = np.random.default_rng(0)
    table = Table("signal", "truth below the interval", "truth above it", title=f"claimed: {ALPHA:.1%} at most, each")
    binary = Monitor(wakeful.learn(loans(rng, 10 * ROWS), score="score", label="label", threshold=0.5, holdout="held"))
    regression = Monitor(wakeful.learn(prices(rng, 10 * ROWS), score="p", label="y", task="regression"))
    for title, lines in (
        ("column x", _misses(binary, loans, rng, COLUMN, "column", lambda counts: column_counts(counts, "x"))),
        ("all outcomes known", _misses(binary, loans, rng, QUALITY, "binary", outcomes)),
        ("a holdout of 30%", _misses(binary, held_out, rng, QUALITY[1:], "binary", lambda one: outcomes(one, 0, True))),
        ("regression", _misses(regression, prices, rng, ERRORS, "regression", outcomes)),
        ("expected, against what outcomes show", _surprises(rng)),
    ):
        table.add_section()
        table.add_row(f"[bold]{title}[/bold]")
        for line in lines:
            table.add_row(*line)
    Console(width=100, highlight=False).print(table)


def _misses(
    monitor: Monitor,
    draw: Callable[[np.random.Generator, int], Rows],
    rng: np.random.Generator,
    names: tuple[str, ...],
    of: signals.Of,
    view: Callable[[Any], View],
) -> Iterator[tuple[str, str, str]]:
    """Share of windows whose interval misses the truth, which is that of a million rows."""
    full = loans if draw is held_out else draw
    reference, truth = view(monitor.reference.counts), view(monitor.count(full(rng, 1_000_000)))
    found = {name: signals.find(name, of) for name in names}
    known = {name: one.estimate(truth, reference, {}, ALPHA).value for name, one in found.items()}
    missed = {name: [0, 0] for name in names}
    for _ in range(TRIALS):
        live = view(monitor.count(draw(rng, ROWS)))
        for name, one in found.items():
            estimate = one.estimate(live, reference, {}, ALPHA)
            missed[name][0] += estimate.low > known[name] + 1e-9
            missed[name][1] += estimate.high < known[name] - 1e-9
    for name, (below, above) in missed.items():
        yield name, f"{below / TRIALS:.1%}", f"{above / TRIALS:.1%}"


def _surprises(rng: np.random.Generator) -> Iterator[tuple[str, str, str]]:
    """Share of windows whose outcomes show another quality than was expected; references of 10,000 rows."""
    binary, regression = {"score": "score", "label": "label", "threshold": 0.5}, {"score": "p", "label": "y"}
    for draw, roles, names in (
        (loans, binary, ("precision", "recall", "accuracy", "roc_auc")),
        (prices, regression | {"task": "regression"}, ERRORS[:2]),
    ):
        missed = {(name, n): [0, 0] for name in names for n in SIZES}
        for _ in range(REFERENCES):
            monitor = Monitor(wakeful.learn(draw(rng, 10 * ROWS), **roles))
            known, task = outcomes(monitor.reference.counts), monitor.reference.model.task
            for n in SIZES * (TRIALS // REFERENCES):
                live = outcomes(monitor.count(draw(rng, n)))
                for name in names:
                    shown = signals.find(name, task).estimate(live, known, {}, ALPHA).value
                    found = signals.find(f"expected_{name}", task).estimate(live, known, {}, ALPHA)
                    missed[name, n][0] += found.low > shown + 1e-9
                    missed[name, n][1] += found.high < shown - 1e-9
        for (name, n), (below, above) in missed.items():
            yield f"expected_{name}, {n:,} rows", f"{below / TRIALS:.1%}", f"{above / TRIALS:.1%}"


if __name__ == "__main__":
    main()
