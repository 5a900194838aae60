"""YAML that people read and that every reader takes alike: same data, same bytes."""

from __future__ import annotations

import re
from typing import Any

from wakeful.errors import MissingExtra

__all__ = ["as_yaml"]

# Go's reader and Python's disagree on what a bare word may mean (1_000, 0o7, 12:30, on); these are words to both.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.:-]*[A-Za-z0-9_/]|[A-Za-z_/]")
_MEANS_MORE = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|[^:]*:")
_LITERAL = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*")


def as_yaml(*documents: object, about: str = "") -> str:
    """Documents of dicts, lists, strings and numbers as one YAML file.

    Args:
        documents: what the file holds.
        about: comment at its top.

    Raises:
        MissingExtra: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("PyYAML", "compile", "wakeful compile") from error

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)  # lists stand inside what they belong to

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        if _PLAIN.fullmatch(data) and not _MEANS_MORE.fullmatch(data):
            style = None
        elif _LITERAL.fullmatch(data) and re.search(r'["\\\n]', data):
            style = "|" if "\n" in data else "'"
        else:
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style)

    Dumper.add_representer(str, text)
    written = yaml.dump_all(
        documents, Dumper=Dumper, allow_unicode=True, sort_keys=False, width=float("inf"),
        explicit_start=len(documents) > 1,
    )  # fmt: skip
    comment = "".join(f"# {line}".rstrip() + "\n" for line in about.splitlines())
    return f"{comment}{written}"
