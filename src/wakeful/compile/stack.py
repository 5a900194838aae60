"""Prometheus, Alertmanager and Grafana, set up with what was compiled: configurations and a Compose file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wakeful.errors import DataError

__all__ = [
    "ALERTMANAGER",
    "DASHBOARDS",
    "LOCAL_HOST",
    "LOCAL_TARGET",
    "MOUNTED",
    "PROMETHEUS_URL",
    "compose",
    "datasources",
    "prometheus",
    "providers",
    "reached",
    "scraping",
]

LOCAL_HOST = "host.docker.internal"  # the machine that runs the containers
LOCAL_TARGET = f"{LOCAL_HOST}:8000"
ALERTMANAGER = "alertmanager:9093"
PROMETHEUS_URL = "http://prometheus:9090"
MOUNTED = "/dashboards"
DASHBOARDS = "grafana/dashboards"  # folder of the JSON files
_SCRAPED = 15  # seconds

# Pinned, so that what came up yesterday comes up tomorrow.
_IMAGES = {
    "prometheus": "prom/prometheus:v3.5.0",
    "alertmanager": "prom/alertmanager:v0.28.1",
    "grafana": "grafana/grafana:12.0.2",
}


_HOST_AND_PORT = re.compile(r"(?P<host>[^\s/:@\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")


def reached(target: str) -> str:
    """Host and port of a service, as the containers reach it: their own localhost is not this machine's.

    Raises:
        DataError: it is something else, such as an URL.
    """
    found = _HOST_AND_PORT.fullmatch(target)
    if found is None or not 0 < int(found["port"]) < 65_536:
        raise DataError(
            f"{target!r} is no HOST:PORT, such as loans:8000, which is asked for http://loans:8000/metrics. For https, "
            "or another path, scrape the service with a Prometheus of your own."
        )
    is_here = found["host"] in ("localhost", "127.0.0.1", "[::1]")
    return f"{LOCAL_HOST}:{found['port']}" if is_here else target


def scraping(evaluated: int) -> str:
    """How often services are scraped: at least as often as rules are evaluated."""
    return f"{min(_SCRAPED, evaluated)}s"


def prometheus(targets: Sequence[str], rules: str, scraped: str) -> dict[str, Any]:
    """The configuration of Prometheus.

    Args:
        targets: host and port of every service.
        rules: name of the file with the rules.
        scraped: how often.
    """
    return {
        "global": {"scrape_interval": scraped, "evaluation_interval": "1m"},
        "rule_files": [rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [ALERTMANAGER]}]}]},
        "scrape_configs": [{"job_name": "wakeful", "static_configs": [{"targets": list(targets)}]}],
    }


def datasources() -> dict[str, Any]:
    """Where Grafana asks."""
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": PROMETHEUS_URL,
        "isDefault": True,
    }
    return {"apiVersion": 1, "datasources": [source]}


def providers() -> dict[str, Any]:
    """Where Grafana finds its dashboards."""
    provider = {"name": "wakeful", "folder": "wakeful", "type": "file", "options": {"path": MOUNTED}}
    return {"apiVersion": 1, "providers": [provider]}


def compose(rules: str) -> dict[str, Any]:
    """The Compose file; everything is on this machine's loopback, and Grafana lets everybody read."""
    return {
        "services": {
            "prometheus": {
                "image": _IMAGES["prometheus"],
                "command": [
                    "--config.file=/etc/prometheus/prometheus.yml",
                    "--storage.tsdb.path=/prometheus",
                    "--storage.tsdb.retention.time=400d",
                ],
                "ports": ["127.0.0.1:9090:9090"],
                "extra_hosts": ["host.docker.internal:host-gateway"],
                "volumes": [
                    "./prometheus.yml:/etc/prometheus/prometheus.yml:ro",
                    f"./{rules}:/etc/prometheus/{rules}:ro",
                    "prometheus:/prometheus",
                ],
                "restart": "unless-stopped",
            },
            "alertmanager": {
                "image": _IMAGES["alertmanager"],
                "command": ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"],
                "ports": ["127.0.0.1:9093:9093"],
                "extra_hosts": ["host.docker.internal:host-gateway"],
                "volumes": [
                    "./alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro",
                    "alertmanager:/alertmanager",
                ],
                "restart": "unless-stopped",
            },
            "grafana": {
                "image": _IMAGES["grafana"],
                "environment": {"GF_AUTH_ANONYMOUS_ENABLED": "true", "GF_ANALYTICS_REPORTING_ENABLED": "false"},
                "ports": ["127.0.0.1:3000:3000"],
                "volumes": [
                    "./grafana/provisioning:/etc/grafana/provisioning:ro",
                    f"./{DASHBOARDS}:{MOUNTED}:ro",
                    "grafana:/var/lib/grafana",
                ],
                "restart": "unless-stopped",
            },
        },
        "volumes": {"prometheus": {}, "alertmanager": {}, "grafana": {}},
    }
