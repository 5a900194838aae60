"""wakeful: learns the reference first, as the peers do who look at its rows anew each time."""

import tempfile
from pathlib import Path

from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor


def work(data: str, training: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        monitor = start(training, Roles("score", label="label", threshold=0.3), Path(folder)).monitor
        report = load_monitor(monitor).test(data)
    return f"{len(report.verdicts)} verdicts, {len(report.failed)} fail"
