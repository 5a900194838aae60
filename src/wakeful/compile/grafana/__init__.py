"""Dashboards for Grafana: one of all models, one of each, filled from the monitor files alone."""

from wakeful.compile.grafana.boards import dashboards

__all__ = ["dashboards"]
