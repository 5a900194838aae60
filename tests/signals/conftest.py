"""What the tests of signals share: asking one signal of some rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wakeful
from wakeful.evidence import Estimate
from wakeful.signals import Signal, find
from wakeful.views import column_counts, outcomes


def estimate(
    reference: wakeful.Reference,
    data: Any,
    name: str | Signal,
    column: str | None = None,
    *,
    part: tuple[str | None, str | None] = (None, None),
    held_out: bool = False,
    alpha: float = 0.05,
    **arguments: Any,
) -> Estimate:
    """A signal of a column, or of the outcomes, with its interval; of the reference where ``data`` is None."""
    model = reference.model
    counts = reference.counts if data is None else wakeful.Monitor(reference).count(data)
    at = reference.layout.find_slice(*part)
    of = ("column",) if column else (model.task, "rows")
    found = name if isinstance(name, Signal) else find(name, *of)
    if column or found.of == "rows":
        asked = column or found.column or model.score.name
        expected = column_counts(reference.counts, asked, at)
        live = expected if data is None else column_counts(counts, asked, at)
        return found.estimate(live, expected, arguments, alpha)
    return found.estimate(outcomes(counts, at, held_out), outcomes(reference.counts, at, held_out), arguments, alpha)


@pytest.fixture(scope="session", name="estimate")
def _estimate() -> Callable[..., Estimate]:
    return estimate


@pytest.fixture(scope="session")
def value() -> Callable[..., float]:
    """The same, without the interval."""
    return lambda *positional, **named: estimate(*positional, **named).value
