"""What is used of grafana-foundation-sdk: its models of Grafana's JSON."""

from __future__ import annotations

import warnings

from wakeful.errors import MissingExtra

with warnings.catch_warnings():
    # It would rather have the resources of Grafana 12 and later; classic boards are read by those and by older ones.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    try:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.models import (
            barchart,
            bargauge,
            common,
            dashboard,
            prometheus,
            statetimeline,
            table,
            text,
            timeseries,
            units,
        )
    except ImportError as error:
        raise MissingExtra("grafana-foundation-sdk", "grafana", "writing dashboards") from error

__all__ = [
    "JSONEncoder",
    "barchart",
    "bargauge",
    "common",
    "dashboard",
    "prometheus",
    "statetimeline",
    "table",
    "text",
    "timeseries",
    "units",
]
