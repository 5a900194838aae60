"""What burn rates cost and gain: false alarms where an objective is only just kept, and how soon a collapse is told.

    python bench/burns.py --years 10 --runs 200

Outcomes come one by one at random, and rules look at them every minute. An alarm counts where the longer of a burn
rate's windows refutes its limit; the shorter one, which ends it, is left out. Rows are independent, or hours differ:
by as much as the reference has learnt, or although it has learnt nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

import wakeful
from wakeful.budget import duration
from wakeful.compile.burns import burns_of
from wakeful.evidence import Share
from wakeful.expression import Number

WEEK, YEAR = 7 * 24 * 60, 365 * 24 * 60  # minutes
Minutes = NDArray[np.int64]  # numbers of outcomes, shape (minutes,)


class Look(NamedTuple):
    """A window that is held against a limit.

    Attributes:
        name: how it is told.
        minutes: its length.
        limit: of the share of right answers.
        alpha: error rate of one comparison.
        rho: learnt dispersion of windows of its length.
    """

    name: str
    minutes: int
    limit: float
    alpha: float
    rho: float = 0.0

    def least(self, n: int) -> int:
        """The least number of wrong answers among n that refutes the limit; n + 1 where none does."""
        few, many = 0, n + 1
        while few < many:
            wrong = (few + many) // 2
            refuted = Share(float(n - wrong), float(n)).estimate(self.alpha, self.rho).high < self.limit
            few, many = (few, wrong) if refuted else (wrong + 1, many)
        return few

    def fails(self, known: Minutes, wrong: Minutes) -> NDArray[np.bool_]:
        """Whether the limit is refuted, at the end of every minute from the first whole window on."""
        n, bad = (_sliding(some, self.minutes) for some in (known, wrong))
        numbers, place = np.unique(n, return_inverse=True)
        least = np.array([self.least(int(one)) for one in numbers])
        return (bad >= least[place]) & (n > 0)

    def alarms(self, known: Minutes, wrong: Minutes) -> int:
        """How often it alarms; less than a length apart is once."""
        at = np.flatnonzero(self.fails(known, wrong))
        return int((np.diff(at) > self.minutes).sum()) + 1 if len(at) else 0

    def chance(self, truth: float, rate: float) -> float:
        """The probability that one look refutes the limit, exactly; so many outcomes come a minute on average."""
        mean = rate * self.minutes
        n = np.arange(1, int(stats.poisson.isf(1e-15, mean)) + 2)
        least = np.array([self.least(int(one)) for one in n])
        return float((stats.poisson.pmf(n, mean) * stats.binom.sf(least - 1, n, 1 - truth)).sum())


def _sliding(some: Minutes, minutes: int) -> Minutes:
    total = np.cumsum(np.append(0, some))
    found: Minutes = total[minutes:] - total[:-minutes]
    return found


def monitor_of(limit: float, window: str, budget: str) -> wakeful.Monitor:
    """One check, which asserts a precision."""
    data = {"score": np.tile([0.2, 0.8], 500), "label": np.tile([0, 1], 500)}
    reference = wakeful.learn(data, score="score", label="label", threshold=0.5, name="loans")
    monitor = wakeful.Monitor(reference, alarm_budget=budget)

    @monitor.check(window=window, page="on-call")
    def objective(live: Any) -> None:
        assert live.precision() >= limit

    return monitor


def looks_of(limit: float, window: str = "7d", budget: str = "1/90d", learnt: float = 0.0) -> tuple[Look, list[Look]]:
    """The check's own look, and those of its burn rates; ``learnt`` is the dispersion of hours."""
    monitor = monitor_of(limit, window, budget)
    (check,) = monitor.checks
    (assertion,) = monitor.assertions(check)
    minutes = int(duration(window)) // 60
    own = Look(window, minutes, limit, monitor.alpha(check, assertion), learnt / (minutes / 60))
    found = []
    for burn in burns_of(monitor, check, 0, assertion):
        assert isinstance(burn.comparison.right, Number)
        minutes, beyond = int(duration(burn.window)) // 60, burn.comparison.right.value
        found.append(Look(f"{burn.rate}x over {burn.window}", minutes, beyond, burn.alpha, learnt))
    return own, found


def outcomes(
    rng: np.random.Generator, minutes: int, an_hour: float, truth: float, rho: float = 0.0
) -> tuple[Minutes, Minutes]:
    """How many outcomes come each minute, and how many of them are wrong; hours differ by as much as ``rho`` says."""
    known = rng.poisson(an_hour / 60, minutes)
    if rho == 0:
        return known, rng.binomial(known, 1 - truth)
    rows = (1 - rho) / rho  # of the beta distribution whose intraclass correlation is rho
    by_hour = rng.beta((1 - truth) * rows, truth * rows, minutes // 60 + 1)
    return known, rng.binomial(known, np.repeat(by_hour, 60)[:minutes])


def false_alarms(
    looks: list[Look], truth: float, an_hour: float, years: float, rho: float = 0.0, seed: int = 1
) -> list[int]:
    """Of each look, over so many years."""
    rng = np.random.default_rng(seed)
    found = np.zeros(len(looks), dtype=int)
    left = round(years * YEAR)
    while left > 0:
        known, wrong = outcomes(rng, min(left, YEAR), an_hour, truth, rho)
        found += [one.alarms(known, wrong) for one in looks]
        left -= YEAR
    return [int(one) for one in found]


def delays(limit: float, an_hour: float, truth: float, runs: int, seed: int = 2) -> tuple[float, float]:
    """Median minutes from a collapse until the check itself fails, and until a burn rate tells.

    Before it, the model is wrong half as often as the objective allows; then it is right in a share ``truth``.
    """
    own, burns = looks_of(limit)
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    for _ in range(runs):
        before, after = (outcomes(rng, own.minutes, an_hour, one) for one in ((1 + limit) / 2, truth))
        known, wrong = (np.concatenate(some) for some in zip(before, after, strict=True))
        found.append((_first(own, known, wrong), min(_first(one, known, wrong) for one in burns)))
    first, second = np.median(np.array(found), axis=0)
    return float(first), float(second)


def _first(look: Look, known: Minutes, wrong: Minutes) -> float:
    """Minutes after the middle."""
    at = np.flatnonzero(look.fails(known, wrong)) + look.minutes - len(known) // 2
    at = at[at > 0]
    return float(at[0]) if len(at) else np.inf


_HOURS = ((0.0, 0.0), (0.01, 0.0), (0.05, 0.0), (0.05, 0.05))  # how much hours differ, and what of it is learnt


def costs(years: float) -> Iterator[tuple[str, ...]]:
    """A line for each objective and number of outcomes: alarms of the check, and of its burn rates."""
    for limit in (0.99, 0.95, 0.8, 0.3):
        for an_hour in (6.0, 60.0, 600.0):
            cells = []
            for rho, learnt in _HOURS:
                own, burns = looks_of(limit, learnt=learnt)
                of_own, *of_burns = false_alarms([own, *burns], limit, an_hour, years, rho)
                cells.append(f"{of_own}, {sum(of_burns)}")
            yield f"{limit:g}", f"{an_hour:g}", *cells


def gains(runs: int) -> Iterator[tuple[str, ...]]:
    """A line for each collapse."""
    for limit in (0.99, 0.95, 0.3):
        for an_hour in (6.0, 60.0, 600.0):
            for truth in (limit / 3, 0.0):
                own, burns = delays(limit, an_hour, truth, runs)
                yield f"{limit:g}", f"{an_hour:g}", f"{truth:g}", _time(own), _time(burns)


def _time(minutes: float) -> str:
    if not np.isfinite(minutes):
        return "not within 7 d"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=float, default=10, help="of each number of false alarms")
    parser.add_argument("--runs", type=int, default=200, help="of each collapse")
    options = parser.parse_args()
    console = Console(width=150)
    allowed = options.years * 365 / 90
    table = Table(title=f"alarms of the check and of its burn rates in {options.years:g} years at the limit over 7d; "
                        f"{allowed:.0f} are allowed")  # fmt: skip
    for name in ("limit", "outcomes an hour"):
        table.add_column(name, justify="right")
    for rho, learnt in _HOURS:
        table.add_column(f"rho {rho:g}, {'that' if learnt else 'nothing'} learnt", justify="right")
    for row in costs(options.years):
        table.add_row(*row)
    console.print(table)
    table = Table(title="median time from a collapse until it is told")
    for name in ("limit", "outcomes an hour", "right from then on", "by the check", "by a burn rate"):
        table.add_column(name, justify="right")
    for row in gains(options.runs):
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
