"""`wakeful init`: from training data to a reference and a monitor file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from wakeful.default_checks import identifier, monitor_file
from wakeful.errors import DataError
from wakeful.learning import Learnt, Roles, learn_all
from wakeful.loading import load_monitor
from wakeful.tables import Table

__all__ = ["Written", "learn_again", "roles_of", "start"]


class Written(NamedTuple):
    """What was learnt and written.

    Attributes:
        learnt: the reference and notes.
        reference: its file.
        monitor: the monitor file.
        kept: the monitor file existed and was left as it was.
    """

    learnt: Learnt
    reference: Path
    monitor: Path
    kept: bool

    def lines(self) -> Iterator[str]:
        """What a person wants to know of it."""
        reference = self.learnt.reference
        model = reference.model
        kinds = [column.kind for column in model.features]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no features"
        yield f"{model.name}: {model.task} model, {reference.rows:,} rows, {len(kinds)} features ({counted})"
        if model.threshold is not None:
            yield f"  flagged: {model.score.name} ≥ {model.threshold:g}"
        if reference.windows:
            unit, number = reference.windows
            yield f"  time: {number} windows, one a {unit}, tell how much windows vary"
        for note in self.learnt.notes:
            yield f"  note: {note}"
        here = Path.cwd()
        shown = self.reference.relative_to(here) if self.reference.is_relative_to(here) else self.reference
        yield f"wrote {shown}"
        yield (
            f"kept  {self.monitor}, which exists; delete it to have it written anew"
            if self.kept
            else f"wrote {self.monitor}"
        )
        yield ""
        yield f"next: read {self.monitor.name}, put your fears into it, then run"
        yield f"  wakeful test {self.monitor} DATA"


def roles_of(*, kinds: Sequence[str], **others: Any) -> Roles:
    """Roles from the words of the command line; ``kinds`` as COL=KIND."""
    pairs = {}
    for one in kinds:
        column, sign, kind = one.rpartition("=")
        if not sign:
            raise DataError(f"--kind {one!r} must be COL=KIND, such as zip=categorical.")
        pairs[column] = kind
    return Roles(kinds=pairs, **others)


def start(data: object, roles: Roles, out: Path, holdout_share: float | None = None) -> Written:
    """Learn a reference, write it and a monitor file; a monitor file that exists is left alone."""
    if holdout_share is not None and not 0 < holdout_share < 1:
        raise DataError(
            f"the holdout share must lie between 0 and 1, not {holdout_share:g}: of 100 flagged rows, 5 are 0.05."
        )
    if holdout_share is not None and roles.holdout is None:
        roles = replace(roles, holdout="holdout")  # which the service writes from now on
    learnt = learn_all(data, roles)
    out.mkdir(parents=True, exist_ok=True)
    reference, monitor = out / "reference.json", out / f"monitor_{identifier(roles.name)}.py"
    learnt.reference.save(reference)
    kept = monitor.exists()
    if not kept:
        source = Path(str(data)).name if isinstance(data, str | Path) else type(data).__name__
        monitor.write_text(monitor_file(learnt.reference, learnt.windows, source, holdout_share), encoding="utf-8")
    return Written(learnt, reference, monitor, kept)


def learn_again(monitor: Path, data: object) -> Written:
    """Learn the reference of an existing monitor file again, with the columns that it derives."""
    loaded = load_monitor(monitor)
    if loaded.path is None:
        raise DataError(f"{monitor} does not read its reference from a file, so there is none to write.")
    model = loaded.reference.model
    counted = {column.source: column.kind for column in model.features if not column.derived}
    kinds = {name: "datetime" if kind in ("hour", "weekday") else kind for name, kind in counted.items()}
    table = Table(data)
    known = {model.score.source, model.label, model.decision, model.holdout, model.id, model.time, *kinds}
    new = {name: "ignore" for name in table.schema.names if name not in known}
    roles = Roles(
        score=model.score.source, label=model.label, threshold=model.threshold, decision=model.decision,
        holdout=model.holdout, id=model.id, time=model.time, segments=model.segments, name=model.name,
        task=model.task, kinds=kinds | new,
    )  # fmt: skip
    learnt = learn_all(table, roles, loaded.derived)
    learnt.notes.extend(f"{name}: no feature before, so it is left out" for name in new)
    learnt.reference.save(loaded.path)
    return Written(learnt, loaded.path, monitor, kept=True)
