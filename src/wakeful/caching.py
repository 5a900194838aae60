"""Values that are worked out once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

__all__ = ["cached_property"]

_Value = TypeVar("_Value")

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(Generic[_Value]):  # noqa: N801  # it is functools', as of Python 3.12
        """As in ``functools``, without the lock that Python 3.11 has there.

        It is one lock for all objects of a class. A process that forks while one of its threads holds it leaves its
        child with a lock that nobody will ever give back.
        """

        def __init__(self, function: Callable[[Any], _Value]) -> None:
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            value = self._function(instance)
            instance.__dict__[self._name] = value  # from now on found there, before this
            return value
