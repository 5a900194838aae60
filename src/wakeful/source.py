"""The limits that are written into a monitor file: found, and replaced."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from wakeful.errors import CheckError

__all__ = ["Literal", "literals", "patched", "unified"]


class Literal(NamedTuple):
    """A number that limits one comparison of an assert.

    Attributes:
        line: of the comparison.
        symbol: as it stands between the live side and the limit: ``<=`` where the limit is above.
        value: what the file says, its sign included.
        start, end: place in the file: line (from 1) and column in bytes, of the number without its sign.
        factor: -1 where the limit falls as the number grows, as in ``live.reference.missing() - 0.02``.
    """

    line: int
    symbol: str
    value: float
    start: tuple[int, int]
    end: tuple[int, int]
    factor: int


_SYMBOLS: dict[type[ast.cmpop], str] = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">"}
_TURNED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<"}


def literals(text: str) -> list[Literal]:
    """Every number in an assert of the file that limits a live value, in order."""
    found: list[Literal] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert):
            for test in ast.walk(node.test):
                if isinstance(test, ast.Compare):
                    found += _in_comparison(test)
    return sorted(found, key=lambda one: one.start)


def _in_comparison(test: ast.Compare) -> Iterator[Literal]:
    sides = [test.left, *test.comparators]
    for left, operator, right in zip(sides, test.ops, sides[1:], strict=False):
        symbol = _SYMBOLS.get(type(operator))
        if symbol is None:
            continue
        on_right, on_left = _number_in(right), _number_in(left)
        if on_right is not None:
            yield _literal(test.lineno, symbol, *on_right)
        elif on_left is not None:
            yield _literal(test.lineno, _TURNED[symbol], *on_left)


def _literal(line: int, symbol: str, number: ast.Constant, factor: int) -> Literal:
    assert number.end_lineno is not None
    assert number.end_col_offset is not None
    start, end = (number.lineno, number.col_offset), (number.end_lineno, number.end_col_offset)
    return Literal(line, symbol, float(number.value), start, end, factor)  # type: ignore[arg-type]  # a number


def _number_in(side: ast.expr) -> tuple[ast.Constant, int] | None:
    """The number of ``0.9``, ``-0.9``, ``x + 0.9`` or ``x - 0.9``, and its sign."""
    if isinstance(side, ast.Constant) and isinstance(side.value, int | float) and not isinstance(side.value, bool):
        return side, 1
    if isinstance(side, ast.UnaryOp) and isinstance(side.op, ast.USub):
        inner = _number_in(side.operand)
        return None if inner is None else (inner[0], -inner[1])
    if isinstance(side, ast.BinOp) and isinstance(side.op, ast.Add | ast.Sub):
        last = _number_in(side.right) if isinstance(side.right, ast.Constant) else None
        if last is not None:
            return last[0], -1 if isinstance(side.op, ast.Sub) else 1
        first = _number_in(side.left) if isinstance(side.left, ast.Constant) else None
        return first if isinstance(side.op, ast.Add) else None
    return None


def patched(text: str, changes: Mapping[Literal, float]) -> str:
    """The file with other numbers; everything else stays as it is."""
    lines = text.splitlines(keepends=True)
    for literal in sorted(changes, key=lambda one: one.start, reverse=True):
        at = literal.start[0] - 1
        line = lines[at].encode()
        number = f"{abs(changes[literal]):g}".encode()
        lines[at] = (line[: literal.start[1]] + number + line[literal.end[1] :]).decode()
    return "".join(lines)


def unified(path: Path, before: str, after: str) -> str:
    """The difference as a patch."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), path.name, path.name, n=1
    )
    return "".join(lines)


def read(path: Path) -> str:
    """The text of a monitor file; CheckError where it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(f"cannot read {path}: {error}") from error
