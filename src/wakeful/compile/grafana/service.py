"""Is the service there, in which versions, and does anything get lost on the way?"""

from __future__ import annotations

from collections.abc import Iterator

from wakeful.compile.grafana.panels import GREEN, RED, WHOLE, YELLOW, Column, Line, Tile, lines, rows, steps
from wakeful.compile.grafana.past import known, rate
from wakeful.compile.grafana.quoting import select
from wakeful.compile.grafana.sdk import common, dashboard
from wakeful.compile.grafana.variables import VERSION, part_of
from wakeful.compile.grafana.words import SHARE
from wakeful.model import Model

__all__ = ["arrival", "service"]

_LATE = 60.0  # seconds; a service flushes every second


def service(model: Model) -> Iterator[Tile]:
    """Traffic, versions, and what the recorder tells of itself."""
    traffic = select("wakeful_rows_total", VERSION, part_of(model), model=model.name)
    yield lines(
        "Answers per second",
        "How often the model answers, by its version. A version that appears is marked on every panel.",
        [Line(f"sum by (version) ({rate(traffic)})", "version {{version}}")],
        unit="cps",
        size=(8, 7),
    )
    yield _versions(model)
    yield _losses(model)


def _versions(model: Model) -> Tile:
    def of(name: str, *matchers: str) -> str:
        return select(name, *matchers, model=model.name)

    words = {
        "0": dashboard.ValueMappingResult(text="no", color=RED),
        "1": dashboard.ValueMappingResult(text="yes", color=GREEN),
    }
    as_text = {"custom.cellOptions": common.TableColorTextCellOptions()}
    readable = as_text | {"mappings": [dashboard.ValueMap(words)]}
    late = as_text | {"thresholds": steps([(None, GREEN), (_LATE, YELLOW)])}
    counted = of("wakeful_rows_total", 'segment=""')
    return rows(
        "Versions",
        "What answers, and by which reference it is judged. A worker that is behind counts late; a batch job is "
        "always as far behind as its last run. Readable: whether the counts of all its workers are.",
        [
            Column(f"max by (version, layout) ({known(of('wakeful_reference_info'))})", ""),
            Column(
                f"sum by (version) (increase({counted}[1d]))",
                "Answers a day",
                look=WHOLE,
            ),
            Column(f"sum by (version) ({known(of('wakeful_workers'))})", "Workers"),
            Column(
                f"time() - min by (version) ({known(of('wakeful_last_flush_timestamp_seconds'))})",
                "Behind",
                "s",
                late,
            ),
            Column(f"min by (version) ({known(of('wakeful_counts_readable'))})", "Readable", look=readable),
        ],
        labels={"version": "Version", "layout": "Reference"},
        sort="Answers a day",
        size=(10, 7),
    )


def _losses(model: Model) -> Tile:
    def summed(name: str, by: str = "") -> str:
        return f"sum{by} ({rate(select(name, VERSION, model=model.name))})"

    seen, reported = summed("wakeful_observations_seen_total"), summed("wakeful_outcomes_reported_total")
    dropped = summed("wakeful_observations_dropped_total", " by (reason)")
    lost = summed("wakeful_outcomes_dropped_total", " by (reason)")
    late, written = summed("wakeful_log_lost_rows_total"), summed("wakeful_log_rows_total")
    return lines(
        "Lost on the way",
        "Share of what the service handed over that was not counted, or not logged. Healthy: 0. "
        "`buffer_full`: more came than could be counted; `invalid`: it was no row at all. An unknown column is "
        "counted without that column.",
        [
            Line(f"{dropped} / on () group_left () ({seen} > 0)", "not counted: {{reason}}"),
            Line(f"{summed('wakeful_observations_unexpected_total')} / ({seen} > 0)", "with an unknown column"),
            Line(f"{late} / ({late} + {written} > 0)", "not logged"),
            Line(f"{lost} / on () group_left () ({reported} + on () sum({lost}) > 0)", "outcomes: {{reason}}"),
        ],
        unit=SHARE,
        size=(6, 7),
    )


def arrival(model: Model) -> Iterator[Tile]:
    """Do outcomes come at all? None that are expected looks like none that are bad."""
    if model.label is None:
        return
    reported = select("wakeful_outcomes_reported_total", VERSION, model=model.name)
    yield lines(
        "Outcomes reported per second",
        "How often the service tells what became of a case, whenever the case was. A line that falls to 0 means that "
        "quality is judged on old outcomes, or on none.",
        [
            Line(f"sum by (version) ({rate(reported)})", "version {{version}}"),
        ],
        unit="cps",
        size=(12, 8),
    )
    counted = select("wakeful_outcome_total", VERSION, part_of(model), model=model.name)
    answers = select("wakeful_answer_total", VERSION, part_of(model), model=model.name)
    yield lines(
        "Outcomes counted, per answer",
        "How many outcomes stand behind what is asserted of outcomes, beside how many answers there were. More than "
        "100% while those of earlier answers arrive; outcomes that are only logged do not count here.",
        [
            Line(
                f"sum by (version) ({rate(counted)}) / (sum by (version) ({rate(answers)}) > 0)",
                "version {{version}}",
            )
        ],
        unit=SHARE,
        size=(12, 8),
    )
