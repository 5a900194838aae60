"""Files that cannot be read to their end: which, why, and which rows are certain all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wakeful.engines.history import Loss, Run, first_line, quoted
from wakeful.engines.schemas import misfits
from wakeful.errors import DataError

__all__ = ["Files", "lost"]

_STEP = 2_048  # rows; how near the first row that cannot be read is found
_BROKEN = "cannot read {}: {}. The file is broken. Restore it, or move it away."


class Files(NamedTuple):
    """The files of a history.

    Attributes:
        paths: all of them, in their order.
        schemas: of those that could be opened, by path.
        broken: what is wrong with the others, by path.
        are_text: CSV, which is read as a whole.
        reading: what stands behind FROM for some of them.
        run: executes a query.
    """

    paths: Sequence[str]
    schemas: Mapping[str, Any]
    broken: Mapping[str, str]
    are_text: bool
    reading: Callable[[Sequence[str]], str]
    run: Run


class _Bounds(NamedTuple):
    """Least and greatest value of the ordering column in a file."""

    least: Any
    greatest: Any


class _Damage(NamedTuple):
    """A file that cannot be read, or not from some row on.

    Attributes:
        path: of the file.
        why: sentences.
        start: no lost row comes before it; None where that is not known.
        in_part: the rows before it can be read.
    """

    path: str
    why: str
    start: Any
    in_part: bool = False


def lost(files: Files, by: str, columns: Sequence[str] | None, thorough: bool) -> Loss | None:
    """The rows of files that cannot be read.

    Args:
        files: of the history.
        by: the ordering column.
        columns: that are to be read; None for all.
        thorough: look into files that could be opened, too: after reading failed.

    Returns:
        What is lost. Where files are seen to follow one another in the order of ``by``, all rows of the files before
        are certain; else those before the least value that a lost row can have.
    """
    odd = {**files.broken, **misfits(files.schemas, by, columns)}
    if not odd and not thorough:
        return None
    bounds = _bounds(files, by)
    pairs = list(pairwise(bounds.values()))
    in_order = bool(pairs) and all(one.greatest <= other.least for one, other in pairs)
    damages: list[_Damage] = []
    for at, path in enumerate(files.paths):
        damage = None
        if path in odd:
            damage = _Damage(path, odd[path], None)
        elif thorough:
            damage = _look_into_text(files, path) if files.are_text else _look(path, by, columns)
        if damage is None:
            continue
        if damage.start is None and path in bounds:
            damage = damage._replace(start=bounds[path].least)
        if in_order:
            before = [bounds[one].greatest for one in files.paths[:at] if one in bounds]
            start = damage.start if damage.start is not None or not before else before[-1]
            certain = files.paths[: at + 1] if damage.in_part else files.paths[:at]
            return Loss(damage.why, start, files.reading(certain or [path]))
        damages.append(damage)
    return _of_any_order(files, damages)


def _of_any_order(files: Files, damages: Sequence[_Damage]) -> Loss | None:
    if not damages:
        return None
    unknown = next((one for one in damages if one.start is None), None)
    first = unknown or min(damages, key=lambda one: one.start)
    gone = {one.path for one in damages if not one.in_part}
    return Loss(first.why, first.start, files.reading([one for one in files.paths if one not in gone] or [first.path]))


def _bounds(files: Files, by: str) -> dict[str, _Bounds]:
    """Of all files of which they can be known, by path, in the order of the files."""
    known, key = {}, quoted(by)
    otherwise = misfits(files.schemas, by, ())
    for path in (one for one in files.schemas if one not in otherwise):
        with contextlib.suppress(DataError, pa.ArrowException, OSError), files.run(
            f"SELECT min({key}), max({key}) FROM {files.reading([path])}"
        ) as reader:  # fmt: skip
            bounds = _Bounds(*(column[0].as_py() for column in reader.read_all().columns))
            if bounds.least is not None:
                known[path] = bounds
    return known


def _look_into_text(files: Files, path: str) -> _Damage | None:
    """What is wrong with a CSV file that could be opened; None where it can be read to its end."""
    try:
        with files.run(f"FROM {files.reading([path])}") as reader:
            for _ in reader:
                pass
    except (DataError, pa.ArrowException, OSError) as error:
        return _Damage(path, _BROKEN.format(path, first_line(error)), None)
    return None


def _look(path: str, by: str, columns: Sequence[str] | None) -> _Damage | None:
    """What is wrong with a file that could be opened; None where it can be read to its end."""
    rows = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            try:
                for batch in _batches(file, columns and [by, *columns]):
                    rows += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                start = _least(file, by, rows)
                return _Damage(path, _BROKEN.format(path, first_line(error)), start, start is not None)
    except (pa.ArrowException, OSError) as error:
        return _Damage(path, _BROKEN.format(path, first_line(error)), None)
    return None


def _batches(file: Any, columns: Sequence[str] | None, since: int = 0) -> Iterator[Any]:
    """Record batches in small steps, a row group at a time; those before row ``since`` are left out."""
    names = [one for one in file.schema_arrow.names if columns is None or one in columns]
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_STEP, row_groups=[group], columns=names):
            yield batch.slice(min(since, batch.num_rows))
            since = max(0, since - batch.num_rows)


def _least(file: Any, by: str, since: int) -> Any:
    """The least value of a column from a row on, as far as the file tells; None where it does not."""
    if by not in file.schema_arrow.names:
        return None
    try:
        least = (pc.min(batch.column(0)).as_py() for batch in _batches(file, [by], since))
        return min((one for one in least if one is not None), default=None)
    except (pa.ArrowException, OSError):
        return _least_by_statistics(file, by, since)


def _least_by_statistics(file: Any, by: str, since: int) -> Any:
    """The same, from what the writer noted of row groups: their own values cannot be read."""
    least = []
    for group in map(file.metadata.row_group, range(file.num_row_groups)):
        since -= group.num_rows
        if since < 0:
            [noted] = [
                one.statistics for one in map(group.column, range(group.num_columns)) if one.path_in_schema == by
            ]
            if noted is None or not noted.has_min_max:
                return None
            least.append(noted.min)
    return min(least, default=None)
