"""The limits that are written into a monitor file: found, and replaced."""

from __future__ import annotations

import ast
import difflib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from wakeful.errors import CheckError

__all__ = ["Literal", "literals", "patched", "read", "unified", "write"]


class Literal(NamedTuple):
    """A number that limits one comparison of an assert.

    Attributes:
        line: of the comparison.
        source: the assert, as a check tells it.
        symbol: as it stands between the live side and the limit: ``<=`` where the limit is above.
        value: what the file says, its sign included.
        start, end: place in the file: line (from 1) and column in bytes, of the number and its sign.
        factor: -1 where the limit falls as the number grows, as in ``live.reference.missing() - 0.02``.
    """

    line: int
    source: str
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
    for node in ast.walk(ast.parse(text.removeprefix("\ufeff"))):
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
            yield _literal(test, symbol, *on_right)
        elif on_left is not None:
            yield _literal(test, _TURNED[symbol], *on_left)


def _literal(test: ast.Compare, symbol: str, number: ast.expr, factor: int) -> Literal:
    assert number.end_lineno is not None
    assert number.end_col_offset is not None
    start, end = (number.lineno, number.col_offset), (number.end_lineno, number.end_col_offset)
    source = f"assert {ast.unparse(test)}"
    return Literal(test.lineno, source, symbol, float(ast.literal_eval(number)), start, end, factor)


def _is_number(side: ast.expr) -> bool:
    if isinstance(side, ast.UnaryOp) and isinstance(side.op, ast.USub):
        side = side.operand
    return isinstance(side, ast.Constant) and type(side.value) in (int, float)


def _number_in(side: ast.expr) -> tuple[ast.expr, int] | None:
    """The number of ``0.9``, ``-0.9``, ``x + 0.9`` or ``x - 0.9``, and what turns it into what is added."""
    if _is_number(side):
        return side, 1
    if isinstance(side, ast.UnaryOp) and isinstance(side.op, ast.USub):
        inner = _number_in(side.operand)
        return None if inner is None else (inner[0], -inner[1])
    if isinstance(side, ast.BinOp) and isinstance(side.op, ast.Add | ast.Sub):
        if _is_number(side.right):
            return side.right, -1 if isinstance(side.op, ast.Sub) else 1
        if _is_number(side.left) and isinstance(side.op, ast.Add):
            return side.left, 1
    return None


def patched(text: str, changes: Mapping[Literal, float]) -> str:
    """The file with other numbers; everything else stays as it is."""
    lines = _lines(text)
    for literal in sorted(changes, key=lambda one: one.start, reverse=True):
        at = literal.start[0] - 1
        line = lines[at].encode()
        number = f"{changes[literal]:g}".encode()
        lines[at] = (line[: literal.start[1]] + number + line[literal.end[1] :]).decode()
    return "".join(lines)


def _lines(text: str) -> list[str]:
    """Lines as Python counts them: a form feed ends none."""
    return list(io.StringIO(text, newline=""))


def unified(path: Path, before: str, after: str) -> str:
    """The difference as a patch."""
    lines = difflib.unified_diff(_lines(before), _lines(after), path.name, path.name, n=1)
    return "".join(lines)


def read(path: Path) -> str:
    """The text of a monitor file; CheckError where it is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:  # line ends stay what they are
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(f"cannot read {path}: {error}") from error


def write(path: Path, text: str) -> None:
    """Write a monitor file, line ends as they are; CheckError where that fails."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise CheckError(f"cannot write {path}: {error}") from error
