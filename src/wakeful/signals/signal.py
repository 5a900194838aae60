"""What a signal is: a pure formula on counts, with a name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, overload

import numpy as np

from wakeful.caching import cached_property
from wakeful.errors import SignalError, WakefulError
from wakeful.evidence import Estimate, Evidence, Smooth

__all__ = ["Formula", "Of", "Signal", "View", "signal"]

Of = Literal["column", "binary", "multiclass", "regression", "rows", "labels"]
Formula: TypeAlias = Callable[..., "Evidence | float"]

_NUDGE = 1e-4


class View(Protocol):
    """What a formula is called with: counts that know their rows and can be nudged."""

    @property
    def n(self) -> float:
        """Rows behind an estimate."""

    @property
    def freedom(self) -> float:
        """Degrees of freedom of its error, at most."""

    def nudged(self, share: float) -> Iterator[tuple[float, Any]]:
        """For every non-empty cell: its rows, and the counts with that cell grown by ``share``."""


@dataclass(frozen=True, eq=False)
class Signal:
    """A named formula on counts.

    Attributes:
        name: how checks call it.
        formula: ``formula(live)`` or ``formula(live, reference)``, then keyword arguments. It sees
            ``ColumnCounts`` or ``Outcomes`` and returns evidence (a Share, an Average …) or a plain
            number, whose standard error then comes from the delta method.
        of: what it is a signal of: one column, the outcomes of one task, all rows, or how outcomes were joined.
        kinds: kinds of columns on which it is defined; all if empty.
        dispersion: which learnt dispersion applies: of the column's shape, its missing share, or none.
        bounded: the plain number lies in [0, 1].
        column: of rows only: the counted column whose cells the formula sees; the score's without one.
    """

    name: str
    formula: Formula
    of: Of = "column"
    kinds: tuple[str, ...] = ()
    dispersion: Literal["shape", "missing", "outcome", "none"] = "shape"
    bounded: bool = False
    column: str | None = None

    def __call__(self, selection: Any, **arguments: Any) -> Any:
        """The signal as an expression: ``evening(live["applied_at.hour"])``."""
        measure = getattr(selection, "measure", None)
        if measure is None:
            raise SignalError(
                f"{self.name} is asked of live values inside a check, such as {self.name}(live['column']), "
                f"not of {type(selection).__name__}. On counts, call {self.name}.formula."
            )
        return measure(self, arguments)

    @cached_property
    def wants_reference(self) -> bool:
        """Whether the formula compares with the reference."""
        return "reference" in inspect.signature(self.formula).parameters

    @cached_property
    def parameters(self) -> dict[str, bool]:
        """What a formula takes besides counts, and whether it must be given."""
        after_live = list(inspect.signature(self.formula).parameters.values())[1:]
        return {one.name: one.default is one.empty for one in after_live if one.name != "reference"}

    def evidence(self, live: View, reference: View, arguments: dict[str, Any]) -> Evidence:
        """Call the formula; a plain number becomes Smooth evidence."""

        def call(view: View) -> Evidence | float:
            with np.errstate(divide="ignore", invalid="ignore"):
                if self.wants_reference:
                    return self.formula(view, reference, **arguments)
                return self.formula(view, **arguments)

        try:
            found = call(live)
            if hasattr(found, "estimate"):
                return found
            value = float(found)
            deviation, freedom = _standard_error(value, live, call)
        except WakefulError:
            raise
        except Exception as error:  # a formula may be the user's own: what it raises is told by its name
            raise SignalError(f"{self.name}: {type(error).__name__}: {error}") from error
        return Smooth(value, deviation, live.n, self.bounded, min(freedom, live.freedom))

    def estimate(
        self, live: View, reference: View, arguments: dict[str, Any], alpha: float, rho: float = 0.0
    ) -> Estimate:
        """The value with its interval at error rate ``alpha`` on each side."""
        return self.evidence(live, reference, arguments).estimate(alpha, rho)


def _standard_error(value: float, view: View, formula: Callable[[Any], Any]) -> tuple[float, float]:
    """Delta method for Poisson counts: the root of the sum of rows x (change per row)².

    Its degrees of freedom are Satterthwaite's: 2 sum² / (variance of the sum), few where few rows matter.
    """
    total = fourth = 0.0
    for rows, nudged in view.nudged(_NUDGE):
        slope = (float(formula(nudged)) - value) / (_NUDGE * rows)
        total += rows * slope**2
        fourth += rows * slope**4
    return float(np.sqrt(total)), 2 * total**2 / fourth if fourth > 0 else np.inf


@overload
def signal(formula: Formula, /) -> Signal: ...
@overload
def signal(
    *,
    of: Of = "column",
    kinds: tuple[str, ...] = (),
    dispersion: Literal["shape", "missing", "outcome", "none"] | None = None,
    bounded: bool = False,
    column: str | None = None,
) -> Callable[[Formula], Signal]: ...
def signal(formula: Formula | None = None, /, **options: Any) -> Any:
    """Make a signal of a numpy function on counts.

    >>> @signal
    ... def evening(live):
    ...     return live.values[18:24].sum() / live.n
    """
    if formula is not None:
        return Signal(formula.__name__, formula)
    options = {key: value for key, value in options.items() if value is not None}
    if options.get("of") in ("binary", "multiclass", "regression"):
        options.setdefault("dispersion", "outcome")
    return lambda function: Signal(function.__name__, function, **options)
