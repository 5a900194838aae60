"""Names and words of users inside PromQL, Go templates and matchers: they mean themselves, whatever they hold."""

from __future__ import annotations

import re

from wakeful.compile.promql import quoted

__all__ = ["in_template", "matcher", "selector", "slug", "valid"]


def valid(text: str) -> str:
    """The text as UTF-8 can hold it, as the exporter tells it: half a surrogate pair becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def selector(name: str, **labels: str) -> str:
    """The series of a name with these labels."""
    return f"{name}{{{','.join(f'{label}={quoted(value)}' for label, value in labels.items())}}}"


def matcher(label: str, value: str) -> str:
    """A matcher of Alertmanager, which knows three escapes and takes every other character as it is."""
    escaped = valid(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{label}="{escaped}"'


def in_template(text: str) -> str:
    """Plain text inside a Go template: no brace of it begins an action, whatever stands beside it."""
    return valid(text).replace("{", '{{"{"}}')


def slug(text: str) -> str:
    """A name that Kubernetes takes as a part of one: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
