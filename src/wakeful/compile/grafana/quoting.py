r"""Names as they may stand in queries, in choices and in titles, whatever they are called.

Grafana reads a query before Prometheus does: ``$name``, ``${name}`` and ``[[name]]`` become the value of a variable.
In a query, what either of them would read is therefore written as ``\x24``, which Prometheus alone understands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["alternatives", "choice", "option", "quoted", "select", "shown"]

_PLAIN = re.compile(r"[^\w /;.()%+*=<>!?@#'-]|[\x00-\x1f\x7f]")
_WORD_JOINER = "\u2060"  # of no width, so that nobody sees it
_VARIABLE = re.compile(r"\$(?=[\w{])|\[(?=\[)")


def quoted(text: str) -> str:
    """A string literal of PromQL."""
    return '"' + _PLAIN.sub(_escaped, text) + '"'


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x80 else found[0]


def select(metric: str, *matchers: str, **labels: str) -> str:
    """A selector: matchers as they are, and labels that are equal."""
    given = [*(one for one in matchers if one), *(f"{name}={quoted(value)}" for name, value in labels.items())]
    return f"{metric}{{{','.join(given)}}}"


def alternatives(names: Iterable[str]) -> str:
    """A string literal of PromQL that holds a regular expression: one of these names."""
    return '"' + "|".join(_in_expression(name) for name in names) + '"'


def _in_expression(name: str) -> str:
    """A name inside a regular expression inside a string literal."""
    return re.sub(r"[^\w ]", lambda found: f"\\\\x{{{ord(found[0]):x}}}", name)


def option(name: str) -> str:
    """A name as the value of a choice that stands in a regular expression, joined with others."""
    return _in_expression(name)


def choice(text: str, value: str) -> str:
    """An entry in the list of a variable; ``value`` is a matcher or an ``option``.

    Grafana parts entries at commas, and the text from the value at the last colon between blanks.
    """
    name = " ".join(shown(text).split()) or "(empty)"
    return f"{name} : {value}".replace(",", r"\,")


def shown(text: str) -> str:
    """A text that Grafana shows as it is: nothing in it names a variable."""
    return _VARIABLE.sub(lambda found: found[0] + _WORD_JOINER, text)
