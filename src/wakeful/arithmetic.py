"""Functions of numbers that take symbols of numbers, too: what is calculated here can also be written down.

A formula on plain numbers is worked out by ``math``. The same formula, called with objects that record what is done
to them (see ``compile/``), becomes an expression for another engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["choose", "exp", "expm1", "hypot", "log", "maximum", "minimum", "number", "sqrt"]


_PLAIN = (float, int)


def sqrt(x: float) -> float:
    """Square root."""
    return math.sqrt(x) if isinstance(x, _PLAIN) else np.sqrt(x)


def log(x: float) -> float:
    """Natural logarithm."""
    return math.log(x) if isinstance(x, _PLAIN) else np.log(x)


def exp(x: float) -> float:
    """Exponential."""
    return math.exp(x) if isinstance(x, _PLAIN) else np.exp(x)


def expm1(x: float) -> float:
    """Exponential less 1."""
    return math.expm1(x) if isinstance(x, _PLAIN) else np.expm1(x)


def number(x: Any) -> float:
    """A number of numpy's as a plain one; anything else as it is."""
    return float(x) if isinstance(x, (*_PLAIN, np.generic)) else x


def hypot(*lengths: float) -> float:
    """Root of the sum of squares of lengths, none of which is below 0."""
    if all(isinstance(one, _PLAIN) for one in lengths):
        return math.hypot(*lengths)
    some = [one for one in lengths if not (isinstance(one, _PLAIN) and one == 0)]
    return some[0] if len(some) == 1 else np.sqrt(sum(one * one for one in some))


def minimum(a: float, b: float) -> float:
    """The lesser of two values; the first where they do not compare."""
    if isinstance(a, _PLAIN) and isinstance(b, _PLAIN):
        return b if b < a else a
    return np.minimum(a, b)


def maximum(a: float, b: float) -> float:
    """The larger of two values, likewise."""
    if isinstance(a, _PLAIN) and isinstance(b, _PLAIN):
        return b if b > a else a
    return np.maximum(a, b)


def choose(condition: bool, then: Callable[[], float], otherwise: Callable[[], float]) -> float:
    """One of two values. Of plain conditions only the one that is chosen is worked out."""
    if condition is True or condition is False:
        return then() if condition else otherwise()
    if isinstance(condition, np.bool_):
        return then() if condition else otherwise()
    return np.where(condition, then(), otherwise())
