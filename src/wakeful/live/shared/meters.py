"""What a recorder counts of itself: the cells that stand behind the counts in every slot."""

from __future__ import annotations

from typing import NamedTuple

from wakeful.counts import Layout
from wakeful.live.shared.slot_file import Identity

__all__ = ["COUNTERS", "GAUGES", "Meter", "identity"]


class Meter(NamedTuple):
    """One cell: the metric that it becomes, what that says, and a label where several cells make one metric."""

    metric: str
    help: str
    reason: str = ""


_DROPPED = "wakeful_observations_dropped_total"
_LOST = "Observations that were not counted."
_LOST_OUTCOMES = "Outcomes that were neither counted nor logged."

# These only grow; seen = counted + dropped_full + dropped_error + invalid.
COUNTERS = {
    "seen": Meter("wakeful_observations_seen_total", "Observations handed over by the service."),
    "counted": Meter("wakeful_observations_counted_total", "Observations that were counted."),
    "dropped_full": Meter(_DROPPED, _LOST, "buffer_full"),
    "dropped_error": Meter(_DROPPED, _LOST, "error"),
    "invalid": Meter(_DROPPED, _LOST, "invalid"),
    "unexpected": Meter(
        "wakeful_observations_unexpected_total", "Observations with a column that the reference does not know."
    ),
    "outcomes": Meter("wakeful_outcomes_reported_total", "Outcomes handed over by the service."),
    "outcomes_counted": Meter(
        "wakeful_outcomes_counted_total", "Outcomes reported with what was answered, and so counted at once."
    ),
    "outcomes_dropped": Meter("wakeful_outcomes_dropped_total", _LOST_OUTCOMES, "buffer_full"),
    "outcomes_invalid": Meter("wakeful_outcomes_dropped_total", _LOST_OUTCOMES, "invalid"),
    "log_rows": Meter("wakeful_log_rows_total", "Rows written to the log."),
    "log_lost": Meter("wakeful_log_lost_rows_total", "Rows that were to be logged and could not be."),
    "flushes": Meter("wakeful_flushes_total", "Times that the buffer was emptied."),
    "flush_failures": Meter("wakeful_flush_failures_total", "Times that counts could not be shared, yet."),
    "flush_seconds": Meter("wakeful_flush_seconds_total", "Time spent on emptying the buffer."),
}

# These are overwritten with every flush, which happens whether or not there is something to count.
GAUGES = {
    "buffer_rows": Meter("wakeful_buffer_rows", "Observations waiting in the buffers of all living workers."),
    "buffer_capacity": Meter("wakeful_buffer_capacity_rows", "Observations that these buffers hold."),
    "last_flush": Meter(
        "wakeful_last_flush_timestamp_seconds", "When the living worker that is most behind last emptied its buffer."
    ),
}


def identity(layout: Layout, version: str = "") -> Identity:
    """Whose counts a recorder with that layout shares; its counters are the vector, then ``COUNTERS``."""
    return Identity(layout.model.name, layout.fingerprint, layout.size + len(COUNTERS), len(GAUGES), version)
