"""popmon: metrics and traffic lights by week against the reference, without drawing its report."""

import logging

import popmon  # noqa: F401  # gives frames their methods
from frames import read


def work(data: str, training: str) -> str:
    logging.disable(logging.INFO)
    known = read(training).pm_make_histograms(time_axis="at", time_width="1w")
    live = read(data)
    found = live.pm_stability_metrics(time_axis="at", reference_type="external", reference=known)
    return f"traffic lights of {len(found['traffic_lights'])} columns"
