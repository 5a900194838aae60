"""Metrics as text, and applications that serve it.

``prometheus_client`` writes every label of every series anew with each scrape, which takes tens of milliseconds
for thousands of series. Here labels are written once, and kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from prometheus_client.core import Metric

from wakeful.caching import cached_property

__all__ = ["CONTENT_TYPE", "Labels", "asgi_app", "render", "wsgi_app"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Labels(dict[str, str]):
    """Labels of a series, which do not change any more; empty ones, which say nothing to Prometheus, are left out."""

    def __init__(self, *known: dict[str, str], **labels: str) -> None:
        given = (pair for some in (*known, labels) for pair in some.items())
        super().__init__((name, value) for name, value in given if value)

    @cached_property
    def text(self) -> str:
        """As they stand behind the name of a metric."""
        return "{" + ",".join(f'{name}="{_escaped(self[name])}"' for name in sorted(self)) + "}" if self else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def render(metrics: Iterable[Metric]) -> bytes:
    """Metrics in the text format of Prometheus; their labels are ``Labels``."""
    lines: list[str] = []
    for metric in metrics:
        kind = "gauge" if metric.type == "info" else metric.type
        name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        lines += [f"# HELP {name} {metric.documentation}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels.text} {value!r}" for _, labels, value, *_ in metric.samples]  # type: ignore[attr-defined]
    return "\n".join([*lines, ""]).encode()


def asgi_app(collect: Callable[[], Iterable[Metric]]) -> Callable[..., Awaitable[None]]:
    """An ASGI application that serves these metrics, to be mounted at ``/metrics``."""

    async def app(scope: dict[str, Any], receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        assert scope["type"] == "http"
        body = render(collect())
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def wsgi_app(collect: Callable[[], Iterable[Metric]]) -> Callable[..., list[bytes]]:
    """A WSGI application that serves these metrics, whatever the path."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = render(collect())
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))])
        return [body]

    return app
