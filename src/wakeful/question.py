"""What a check is called with: live traffic, of which signals are asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from wakeful import signals
from wakeful.budget import duration
from wakeful.counts import IDS, Slice
from wakeful.errors import DataError, SignalError, UnknownName
from wakeful.expression import Bound, Expression, Leaf
from wakeful.model import Model
from wakeful.signals import Of, Signal

__all__ = ["Live"]

_NO_COLUMNS_HELD_OUT = "the holdout is counted for outcomes only. Ask live, not live.holdout, for columns."


@dataclass(frozen=True, eq=False)
class Live:
    """What a check is called with: live traffic, parts of it, and the signals of each.

    ``live.precision()`` asks for a signal of the outcomes, ``live.score.d1()`` of the score,
    ``live["income"].missing()`` of a column, ``live.features.missing()`` of every feature at once.
    ``live.holdout``, ``live.by("platform")``, ``live.reference`` and ``live.ago("7d")`` narrow what is asked.

    Attributes:
        model: what is monitored.
        slices: slices of every segment, by its name.
        columns: the columns asked of; None for outcomes and rows.
    """

    model: Model
    slices: dict[str, tuple[Slice, ...]]
    columns: tuple[str, ...] | None = None
    parts: tuple[Slice, ...] = (Slice(None, None),)
    held_out: bool = False
    of_reference: bool = False
    past: str = ""
    compared: str = ""
    bound: Bound | None = None

    def __getitem__(self, names: str | tuple[str, ...]) -> Live:
        wanted = (names,) if isinstance(names, str) else names
        return self._only(tuple(column.name for column in self.model.expand(wanted)))

    @property
    def features(self) -> Live:
        """Every feature."""
        return self._only(tuple(column.name for column in self.model.features))

    @property
    def score(self) -> Live:
        """The model's answer: its score, class or number."""
        return self._only((self.model.score.name,))

    @property
    def holdout(self) -> Live:
        """Outcomes of flagged rows only as far as they were let through at random; of all, where all are drawn from."""
        if self.columns is not None:
            raise SignalError(_NO_COLUMNS_HELD_OUT)
        if self.model.holdout is None:
            raise SignalError(
                "no holdout column was named when the reference was learnt: wakeful init … --holdout COLUMN. "
                "Where every outcome is known, ask live, not live.holdout."
            )
        return replace(self, held_out=True)

    @property
    def reference(self) -> Live:
        """The same asked of the reference."""
        return replace(self, of_reference=True, past="")

    def ago(self, length: str) -> Live:
        """The same asked of the window of equal length that ended so long ago: ``live.ago("7d")``."""
        if self.of_reference:
            raise SignalError("the reference has no past: ask live.ago(…) or live.reference.")
        return replace(self, past=_length(length, "ago"))

    def against(self, length: str) -> Live:
        """Compared with an earlier window in place of the reference: ``live.against("7d").score.d1()``."""
        if self.of_reference or self.past:
            raise SignalError("only live traffic is compared with an earlier window: ask live.against(…).")
        return replace(self, compared=_length(length, "against"))

    def by(self, segment: str) -> Live:
        """Every value of a segment apart."""
        if segment not in self.slices:
            raise UnknownName("segment", segment, self.slices)
        if len(self.parts) > 1:
            raise SignalError("segments are counted one by one, not crossed: ask live.by(…) once.")
        return replace(self, parts=self.slices[segment])

    def _only(self, columns: tuple[str, ...]) -> Live:
        if self.held_out:
            raise SignalError(_NO_COLUMNS_HELD_OUT)
        if not columns:
            raise SignalError("no column is asked of: the model has no features, or live[…] names none.")
        return replace(self, columns=columns)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self.columns is None and any(name in (column.name, column.source) for column in self.model.columns):
            raise SignalError(f"{name} is a column: ask live[{name!r}] for its signals.")
        found = signals.find(name, *self._of, parts=_PARTS if self.columns is None else ())
        return _Question(self, found)

    def __repr__(self) -> str:
        parts = [
            "live",
            "reference" if self.of_reference else "",
            self.past and f"{self.past} ago",
            "holdout" if self.held_out else "",
        ]
        return f"<{' '.join(word for word in (*parts, ', '.join(self.columns or ())) if word)}>"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *signals.names(*self._of)})

    @property
    def _of(self) -> tuple[Of, ...]:
        return (self.model.task, "rows", "labels") if self.columns is None else ("column",)

    def measure(self, signal: Signal, arguments: dict[str, Any]) -> Expression:
        """The value of a signal, as an expression."""
        arguments = _named(signal, (), arguments)
        if signal.of not in self._of:
            raise SignalError(f"{signal.name} is a signal of {signal.of}; it was asked of {' or '.join(self._of)}.")
        if signal.column == IDS and self.model.id is None:
            raise SignalError(
                f"{signal.name} needs ids, but no id column was named when the reference was learnt: "
                "wakeful init … --id COLUMN."
            )
        if signal.of == "labels":
            self._must_be_everything(signal)
        if self.held_out and (signal.of == "rows" or signal.name == "flagged_share"):
            raise SignalError(
                f"{signal.name} is counted for all traffic, not for the holdout: ask live.{signal.name}()."
            )
        if self.held_out and signal in signals.WITHOUT_OUTCOMES:
            raise SignalError(
                f"{signal.name} needs no outcomes, and a holdout is there to show some: ask live.{signal.name}(), or "
                f"live.holdout.{signal.name.removeprefix('expected_')}() for what they show."
            )
        if self.compared and not signal.wants_reference:
            raise SignalError(
                f"{signal.name} compares with nothing. Ask it of live and of live.ago(…), or ask a distance such as d1."
            )
        columns = self.columns
        if columns is not None and signal.kinds:
            columns = tuple(name for name in columns if self.model.column(name).kind in signal.kinds)
            if not columns:
                kinds = ", ".join(sorted({self.model.column(name).kind for name in self.columns or ()}))
                raise SignalError(
                    f"{signal.name} is defined on {' and '.join(signal.kinds)} columns, but "
                    f"{', '.join(self.columns or ())} is {kinds}."
                )
        try:
            hash(tuple(arguments.values()))
        except TypeError as error:
            raise SignalError(f"{signal.name} takes plain values: {error}.") from error
        leaf = Leaf(
            signal,
            tuple(sorted(arguments.items())),
            columns,
            self.parts,
            self.held_out,
            self.of_reference,
            self.past,
            self.compared,
        )
        return Expression(leaf, self.bound)

    def _must_be_everything(self, signal: Signal) -> None:
        """SignalError where it is narrowed down: a join is one for all rows, and the reference has none."""
        if self.model.label is None:
            raise SignalError(
                f"{signal.name} is a signal of outcomes, but no label was named when the reference was learnt: "
                "wakeful init … --label COLUMN."
            )
        if self.held_out or self.of_reference or self.compared or self.parts[0].segment is not None:
            raise SignalError(f"{signal.name} is known of all traffic at once: ask live.{signal.name}().")


def _length(text: str, name: str) -> str:
    """A length of time, as it was given; SignalError where it is none."""
    try:
        duration(text)
    except DataError as error:
        raise SignalError(f"{name}: {error}") from error
    return text


@dataclass(frozen=True, eq=False)
class _Question:
    """A signal of what is asked; called with its arguments it becomes a live value."""

    live: Live
    signal: Signal

    def __call__(self, *values: Any, **arguments: Any) -> Expression:
        return self.live.measure(self.signal, _named(self.signal, values, arguments))

    def __repr__(self) -> str:
        return f"<signal {self.signal.name}>"


_PARTS = ("features", "score", "holdout", "reference", "ago", "against", "by")


def _named(signal: Signal, values: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """All arguments under the names that the formula gives them; SignalError where they do not fit."""
    known = signal.parameters
    if len(values) > len(known):
        raise SignalError(
            f"{signal.name} takes {len(known)} arguments ({', '.join(known) or 'none'}), not {len(values)}."
        )
    arguments = dict(zip(known, values, strict=False)) | named
    for name in arguments:
        if name not in known:
            raise UnknownName(f"argument of {signal.name}", name, known)
    for name, is_needed in known.items():
        if is_needed and name not in arguments:
            raise SignalError(f"{signal.name} needs {name}: {signal.name}({name}=…)")
    return arguments
