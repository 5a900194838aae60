"""Bias and coverage of quality from a holdout: the table of docs/statistics.md. Run: python bench/holdout.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import wakeful
from wakeful import signals
from wakeful.monitor import Monitor
from wakeful.release import EVEN, Release, released
from wakeful.views import outcomes

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
ALPHA = 0.025  # claimed on each side
THRESHOLD = 0.5
SIGNALS: dict[str, dict[str, float]] = {
    "precision": {},
    "recall": {},
    "false_positive_rate": {},
    "value": {"true_positive": 12.0, "false_positive": -100.0, "false_negative": -5.0},
}
SCORES = {"20% flagged": (1.2, 2.5), "1% flagged": (0.25, 4.0)}  # of a calibrated model, by their beta distribution


def smooth(score: Any) -> Any:
    """A fifth at the threshold, one in a hundred of sure cases."""
    return 0.01 + 0.19 * np.exp(-8.0 * np.maximum(score - THRESHOLD, 0.0))


def steps(score: Any) -> Any:
    """A fifth of the doubtful, one in fifty of the others."""
    return np.where(np.asarray(score) < 0.7, 0.2, 0.02)[()]


class Design(NamedTuple):
    """How a holdout is drawn, and what is told of it.

    Attributes:
        name: in words.
        share: let through, as declared.
        source: "flagged" or "all", as declared.
        hides: four in five unflagged negatives have no known outcome outside the holdout.
        inside: the function itself draws, not ``decide``: shares differ inside a bin of scores.
        told: the monitor is told of it.
    """

    name: str
    share: Any
    source: Any = "flagged"
    hides: bool = False
    inside: bool = False
    told: bool = True


DESIGNS = (
    Design("0.01 of flagged", 0.01),
    Design("0.05 of flagged", 0.05),
    Design("0.2 of flagged", 0.2),
    Design("0.05 of all, the rest reveals its outcome", 0.05, "all"),
    Design("0.05 of all, the rest hides four in five negatives", 0.05, "all", hides=True),
    Design("by score, two steps", steps),
    Design("by score, smooth", smooth),
    Design("by score, smooth, not drawn by `decide`", smooth, inside=True),
    Design("by score, smooth, monitor not told", smooth, told=False),
)


def scored(rng: np.random.Generator, n: int, kind: str) -> dict[str, Any]:
    """Scores and outcomes."""
    score = rng.beta(*SCORES[kind], n)
    return {"score": score, "label": (rng.random(n) < score).astype(float)}


def drawn(rng: np.random.Generator, rows: dict[str, Any], design: Design, chance: Any) -> dict[str, Any]:
    """The same with a holdout, and only the outcomes that it leaves to be seen."""
    flagged = rows["score"] >= THRESHOLD
    held = (rng.random(len(flagged)) < chance) & (flagged | (design.source == "all"))
    seen = held | ~flagged
    if design.hides:
        seen &= held | (rows["label"] == 1) | (rng.random(len(flagged)) < 0.2)
    return rows | {"held": held.astype(float), "label": np.where(seen, rows["label"], np.nan)}


def simulate(design: Design, kind: str, n: int) -> Iterator[str]:
    """Cells of one line: rows held out, then for each signal its bias and how often the truth lies outside."""
    rng = np.random.default_rng(n)
    monitor = Monitor(wakeful.learn(scored(rng, 10_000, kind), score="score", label="label", threshold=THRESHOLD,
                                    holdout="held"))  # fmt: skip
    layout = monitor.reference.layout
    release: Release = released(design.share, design.source, layout)
    chance: Callable[[Any], Any] = lambda score: release.shares[layout.bins["score"].cells(score)]  # noqa: E731
    whole = outcomes(monitor.count(scored(rng, 4_000_000, kind)))
    found: dict[str, list[Any]] = {name: [] for name in SIGNALS}
    held = 0.0
    for _ in range(TRIALS):
        rows = scored(rng, n, kind)
        counts = monitor.count(drawn(rng, rows, design, (design.share if design.inside else chance)(rows["score"])))
        live = outcomes(counts, 0, True, release if design.told else EVEN)
        held += live.matrix[1].sum() / TRIALS  # type: ignore[attr-defined]
        for name, arguments in SIGNALS.items():
            found[name].append(signals.find(name, "binary").estimate(live, live, arguments, ALPHA)[:3])
    yield f"{held:,.0f}"
    for name, arguments in SIGNALS.items():
        truth = signals.find(name, "binary").estimate(whole, whole, arguments, ALPHA).value
        value, low, high = np.array(found[name]).T
        bias, errors = np.nanmean(value) - truth, ((low > truth).mean(), (high < truth).mean())
        yield f"{bias:+.3f} of {truth:.3f}; {errors[0]:.1%}, {errors[1]:.1%}"


def main() -> None:
    print("| drawn | scores | rows | held out |", " | ".join(SIGNALS), "|")
    print("|" + "---|" * (4 + len(SIGNALS)))
    for design in DESIGNS:
        for kind, n in (("20% flagged", 1_000), ("20% flagged", 20_000), ("1% flagged", 20_000)):
            print("|", " | ".join([design.name, kind, f"{n:,}", *simulate(design, kind, n)]), "|", flush=True)


if __name__ == "__main__":
    main()
