"""What a recorder counts of itself: the cells that stand behind the counts in every slot."""

from __future__ import annotations

__all__ = ["COUNTERS", "GAUGES"]

# Name of a cell, and what it counts. These only grow; seen = counted + dropped_full + dropped_error + pending rows.
COUNTERS = {
    "seen": "Observations handed to observe() and observe_batch().",
    "counted": "Observations that were counted.",
    "dropped_full": "Observations dropped since the buffer was full.",
    "dropped_error": "Observations dropped since they could not be counted.",
    "invalid": "Observations that were no mapping, or no table, at all; they are dropped, too.",
    "unexpected": "Observations with a column that the reference does not know.",
    "outcomes": "Outcomes reported.",
    "log_rows": "Rows written to the log.",
    "log_lost": "Rows that were to be logged and could not be.",
    "flushes": "Flushes of the buffer.",
    "flush_failures": "Flushes whose counts could not be shared; they are tried again with the next.",
    "flush_seconds": "Time spent in flushes.",
}

# These are overwritten with every flush, which happens whether or not there is something to count.
GAUGES = {
    "buffer_rows": "Observations waiting to be counted, of all living workers.",
    "buffer_capacity": "Observations that the buffers of all living workers hold.",
    "last_flush": "When the living worker that is most behind last flushed, in seconds since 1970.",
}
