"""`wakeful replay MONITOR.py DATA --every EVERY`, as a call into the library."""

from pathlib import Path

from wakeful.alarms import Tally
from wakeful.loading import load_monitor
from wakeful.replay import replay


def work(monitor: str, data: str, every: str) -> str:
    history = replay(load_monitor(Path(monitor)), data, every=every)
    tally = Tally(history)
    for step in history:
        tally.add(step)
    return f"{len(tally.windows)} windows, {len(tally.alarms)} alarms"
