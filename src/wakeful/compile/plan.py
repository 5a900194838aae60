"""What Prometheus is to record of a monitor's checks, and what of them it cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wakeful.checks import Assertion, Check
from wakeful.compile.burns import Burn
from wakeful.live.export.openmetrics import Growth

__all__ = [
    "BURN",
    "ESTIMATE",
    "GOING_ON",
    "HIGH",
    "LIMIT",
    "LOW",
    "NOISE",
    "REFERENCE",
    "ROWS",
    "VERDICT",
    "Burning",
    "Plan",
    "Recording",
    "Refusal",
    "labels_of",
]

# Series that every compiled assertion is recorded as. Each carries the labels model, version, check, assertion (as it
# is written) and at (which of the check's comparisons it is, counted from 0); column where it is asked of columns;
# segment and value where it is asked by segment. What is about traffic alone has no version: it is that of all of them.
ESTIMATE = "wakeful:check:estimate"
LOW = "wakeful:check:low"
HIGH = "wakeful:check:high"
ROWS = "wakeful:check:rows"  # behind the estimate
LIMIT = "wakeful:check:limit"
NOISE = "wakeful:check:noise"  # how far the estimate strays from the reference without any change
REFERENCE = "wakeful:check:reference"  # the same, asked of the reference
VERDICT = "wakeful:check:verdict"  # 0 passes, 1 is unsure, 2 fails

# What an objective is recorded as over a shorter window, with the labels burn (the rate) and window more.
BURN = {one: one.replace(":check:", ":burn:") for one in (ESTIMATE, LOW, HIGH, ROWS, LIMIT, VERDICT)}
GOING_ON = "wakeful:burn:going_on"  # 1 while it burns now, -1 once it surely no longer does; else nothing


def labels_of(model: str, check: str, assertion: str, at: int) -> dict[str, str]:
    """The labels that all series of an assertion have, from names and the assertion as it is written."""
    return {"model": model, "check": check, "assertion": assertion.removeprefix("assert "), "at": str(at)}


class Recording(NamedTuple):
    """A recording rule.

    Attributes:
        record: name of the series.
        expr: PromQL.
        labels: that every one of its series gets.
    """

    record: str
    expr: str
    labels: Mapping[str, str]


class Refusal(NamedTuple):
    """An assertion that PromQL cannot express.

    Attributes:
        check: to which it belongs.
        assertion: what it asserts.
        reason: why not.
        instead: the nearest thing that can be expressed; empty where there is none.
    """

    check: Check
    assertion: Assertion
    reason: str
    instead: str


class Burning(NamedTuple):
    """The objectives of a check over one shorter window: what one alert is about.

    Attributes:
        check: whose objectives.
        window: length of the traffic.
        burns: what is asked.
        recordings: what they are recorded as; each may read those before it and those that are shared.
    """

    check: Check
    window: str
    burns: tuple[Burn, ...]
    recordings: tuple[Recording, ...]


class Plan(NamedTuple):
    """What Prometheus is to record of one monitor.

    Attributes:
        model: its name.
        shared: what several assertions need, such as increases of counters over a window.
        checks: per check, in the order of the file, what its assertions are recorded as. Every recording may read
            those before it and those that are shared. The last of every assertion are those named above.
        refusals: what is left out.
        growths: of what is shared, the increases of counters that rules read again later.
        burning: what tells sooner that objectives fail.
    """

    model: str
    shared: tuple[Recording, ...]
    checks: Mapping[str, tuple[Recording, ...]]
    refusals: tuple[Refusal, ...]
    growths: tuple[Growth, ...] = ()
    burning: tuple[Burning, ...] = ()
