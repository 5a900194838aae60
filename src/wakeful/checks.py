"""Checks: plain functions whose asserts are read once and then judged on any counts."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from wakeful.budget import duration
from wakeful.errors import CheckError, DataError, SignalError, WakefulError
from wakeful.expression import Comparison, Expression, compare
from wakeful.question import Live

__all__ = ["Assertion", "Check", "CheckFunction", "read"]

CheckFunction: TypeAlias = Callable[[Any], None]
Severity = Literal["page", "ticket", "explain"]


class Assertion(NamedTuple):
    """One comparison of an assert.

    Attributes:
        comparison: what must hold.
        source: the assert as it is written.
        line: where it stands.
        note: the message behind the assert's comma.
    """

    comparison: Comparison
    source: str
    line: int
    note: str = ""


@dataclass(frozen=True)
class Check:
    """A registered check.

    Attributes:
        function: its asserts say what must hold.
        window: length of the traffic it is judged on, such as ``24h``.
        page: whom to wake when it fails.
        ticket: whose ticket it becomes; with neither, it explains other alarms.
        fear: what it would mean, in the words of whom it hurts.
        action: what to do about it.
        min_n: with fewer rows behind an estimate it never fails.
    """

    function: CheckFunction
    window: str = "24h"
    page: str | None = None
    ticket: str | None = None
    fear: str = ""
    action: str = ""
    min_n: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.min_n, int) or self.min_n < 0:
            raise CheckError(f"{self.where}: in {self.name}: min_n must be a whole number of rows, not {self.min_n!r}.")
        for role in ("page", "ticket"):
            if not isinstance(getattr(self, role), str | None):
                raise CheckError(
                    f"{self.where}: in {self.name}: {role} must name somebody, not {getattr(self, role)!r}."
                )
        _must_be_plain(self.function)
        try:
            duration(self.window)
        except DataError as error:
            raise CheckError(f"{self.where}: in {self.name}: window {error}") from error

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @property
    def severity(self) -> Severity:
        """Whether a failure pages, files a ticket, or only explains."""
        return "page" if self.page else "ticket" if self.ticket else "explain"

    @property
    def file(self) -> str:
        """Name of its file, without folders."""
        return Path(self.place[0]).name

    @property
    def where(self) -> str:
        """File and line in short: ``monitor_loans.py:12``."""
        return f"{self.file}:{self.place[1]}"

    @property
    def place(self) -> tuple[str, int]:
        """File and line of the function."""
        code = self.function.__code__
        return code.co_filename, code.co_firstlineno


def _must_be_plain(function: Any) -> None:
    """Refuse what has no asserts of its own to be read: methods, partials, wrappers, lambdas."""
    if not inspect.isfunction(function):
        raise CheckError(f"a check must be a plain function (def), not {function!r}. Write one that takes live.")
    where = f"{Path(function.__code__.co_filename).name}:{function.__code__.co_firstlineno}"
    if hasattr(function, "__wrapped__"):
        raise CheckError(
            f"{where}: {function.__name__} is wrapped by another decorator, through which its asserts cannot be read. "
            "Put @….check() right above def."
        )
    if function.__name__ == "<lambda>" or inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise CheckError(f"{where}: a check must be a plain function (def), not a lambda or async def.")


def read(check: Check, live: Live) -> list[Assertion]:
    """Call a check once with live expressions and collect what it asserts.

    Raises:
        CheckError: the check branches on a live value, asserts nothing, names an unknown column …; the
            message starts with file and line.
    """
    file, line = check.place
    where = check.where
    if sys.flags.optimize:
        raise CheckError(
            f"{where}: Python runs with -O, which strips the asserts that {check.name} is made of. "
            "Run it without -O and with PYTHONOPTIMIZE unset."
        )
    found: list[Assertion] = []
    recorder = _Recorder(Path(file).name, found)
    function = _rewritten(check.function, recorder, where)
    try:
        function(live)
    except CheckError:
        raise
    except Exception as error:  # the check is the user's code: whatever it raises is told with its line
        told = str(error) if isinstance(error, WakefulError) else f"{type(error).__name__}: {error}"
        raise CheckError(f"{Path(file).name}:{_line_of(error, file, line)}: in {check.name}: {told}") from error
    if not found:
        raise CheckError(f"{where}: {check.name} asserts nothing. Write: assert live.score.d1() <= 0.2")
    return found


def _line_of(error: BaseException, file: str, default: int) -> int:
    """The last line of the user's file that led to an error."""
    trace, line = error.__traceback__, default
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


class _Recorder:
    """Called in place of every assert."""

    def __init__(self, file: str, found: list[Assertion]) -> None:
        self._file = file
        self._found = found

    def __call__(self, values: list[object], symbols: list[str], source: str, line: int, note: object = "") -> None:
        comparisons = self._comparisons(values, symbols, source, line)
        self._found.extend(Assertion(one, source, line, str(note)) for one in comparisons)

    def _comparisons(self, values: list[object], symbols: list[str], source: str, line: int) -> list[Comparison]:
        if not symbols and isinstance(values[0], Comparison):
            return [values[0]]
        if not symbols and isinstance(values[0], Expression):
            raise CheckError(f"{self._file}:{line}: `{source}` compares nothing. Hold the live value against a limit.")
        pairs = list(zip(values, symbols, values[1:], strict=False))
        if not pairs or not all(any(isinstance(one, Expression) for one in pair) for pair in pairs):
            raise CheckError(
                f"{self._file}:{line}: `{source}` has no live value, so it holds always or never. "
                "Assert on live, such as live.score.d1() <= 0.2"
            )
        try:
            return [compare(left, symbol, right) for left, symbol, right in pairs]
        except SignalError as error:
            raise CheckError(f"{self._file}:{line}: `{source}`: {error}") from error


_SYMBOLS: dict[type, str] = {
    ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
_NAME = "__wakeful_record__"


class _Rewriter(ast.NodeTransformer):
    """Turns ``assert a <= b < c, note`` into ``record([a, b, c], ["<=", "<"], source, line, note)``."""

    def __init__(self, file: str) -> None:
        self._file = file

    def visit_Assert(self, node: ast.Assert) -> Any:
        return [ast.copy_location(one, node) for one in self._records(node.test, node.msg)]

    def _records(self, test: ast.expr, note: ast.expr | None) -> list[ast.stmt]:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return [record for part in test.values for record in self._records(part, note)]
        source = f"assert {ast.unparse(test)}"
        if isinstance(test, ast.BoolOp) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            word = "or" if isinstance(test, ast.BoolOp) else "not"
            raise CheckError(
                f"{self._file}:{test.lineno}: `{source}`: an assert with `{word}` says no single thing that could "
                "be refuted. Assert what must hold, one comparison at a time."
            )
        values, symbols = [test], []
        if isinstance(test, ast.Compare):
            values = [test.left, *test.comparators]
            symbols = [_SYMBOLS[type(one)] for one in test.ops]
        call = ast.Call(
            ast.Name(_NAME, ast.Load()),
            [
                ast.List(list(values), ast.Load()),
                ast.List([ast.Constant(one) for one in symbols], ast.Load()),
                ast.Constant(source),
                ast.Constant(test.lineno),
                *([note] if note is not None else []),
            ],
            [],
        )
        return [ast.Expr(call)]


def _rewritten(function: CheckFunction, recorder: _Recorder, where: str) -> CheckFunction:
    """The function compiled anew from its source, with asserts that record."""
    code = function.__code__
    try:
        lines, start = inspect.getsourcelines(function)
        if lines[0][0].isspace():  # defined inside something; dedenting would spoil strings of several lines
            lines, start = ["if True:\n", *lines], start - 1
        tree = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise CheckError(
            f"{where}: the source of {function.__name__} cannot be read ({error}). Define checks in a file."
        ) from error
    ast.increment_lineno(tree, start - 1)
    definition = next(one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))
    definition.decorator_list = []
    definition = _Rewriter(Path(code.co_filename).name).visit(definition)
    outer = ast.parse(f"def outer({', '.join((_NAME, *code.co_freevars))}):\n    pass")
    outer.body[0].body = [definition]  # type: ignore[attr-defined]  # the names of a closure stay free variables
    ast.fix_missing_locations(outer)
    module = compile(outer, code.co_filename, "exec", optimize=0, dont_inherit=True)
    inner = _inner_code(_inner_code(module, "outer"), definition.name)  # which may have got another since
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True)) | {_NAME: types.CellType(recorder)}
    closure = tuple(cells[name] for name in inner.co_freevars)
    rewritten = types.FunctionType(inner, function.__globals__, function.__name__, function.__defaults__, closure)
    rewritten.__kwdefaults__, rewritten.__qualname__ = function.__kwdefaults__, function.__name__
    return rewritten


def _inner_code(code: types.CodeType, name: str) -> types.CodeType:
    return next(one for one in code.co_consts if isinstance(one, types.CodeType) and one.co_name == name)
