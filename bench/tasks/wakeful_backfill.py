"""`wakeful backfill MONITOR.py DATA --every EVERY --out OUT`, as a call into the library."""

from pathlib import Path

from wakeful.backfill import backfill, write
from wakeful.loading import load_monitor


def work(monitor: str, data: str, every: str, out: str) -> str:
    written = write(backfill(load_monitor(Path(monitor)), data, every=every), Path(out))
    return f"{written.series:,} series at {written.times:,} times, {written.size / 1e6:,.0f} MB"
