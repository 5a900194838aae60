"""The same rules as objects of the Prometheus operator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from wakeful.compile.quoting import slug, valid
from wakeful.compile.yaml_files import as_yaml

__all__ = ["MOST_BYTES", "objects", "too_large"]

# What the operator makes of a PrometheusRule may be half as large as a ConfigMap; a larger one it skips, and says so in
# its log and in an event (prometheus-operator, pkg/operator/rules.go, ValidateRule). It writes YAML much as it is
# written here.
MOST_BYTES = 512 * 1024

_API = "monitoring.coreos.com/v1"
_SCRAPED = {"wakeful.monitored": "true"}  # label of the services that export counts


def objects(groups: Mapping[str, dict[str, Any]], scrape: str) -> Iterator[dict[str, Any]]:
    """A ``PrometheusRule`` per model, and one ``ServiceMonitor`` for all.

    Args:
        groups: of rules, by the name of their model.
        scrape: how often services are scraped.
    """
    for model, group in groups.items():
        # two names may come to the same letters
        digest = hashlib.sha256(valid(model).encode()).hexdigest()[:8]
        name = "-".join(part for part in ("wakeful", slug(model), digest) if part)
        yield {"apiVersion": _API, "kind": "PrometheusRule", "metadata": {"name": name}, "spec": {"groups": [group]}}
    yield {
        "apiVersion": _API,
        "kind": "ServiceMonitor",
        "metadata": {"name": "wakeful"},
        "spec": {
            "selector": {"matchLabels": _SCRAPED},
            "endpoints": [{"port": "http", "path": "/metrics", "interval": scrape}],
        },
    }


def too_large(groups: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """The bytes of the rules that the operator skips, by the name of their model."""
    sizes = {model: len(as_yaml({"groups": [group]}).encode()) for model, group in groups.items()}
    return {model: size for model, size in sizes.items() if size > MOST_BYTES}
