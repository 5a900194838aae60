"""wakeful: what `wakeful test` says of the file by the default checks; its reference was learnt before."""

from pathlib import Path

from wakeful.loading import load_monitor


def work(data: str, monitor: str) -> str:
    report = load_monitor(Path(monitor)).test(data)
    return f"{len(report.verdicts)} verdicts, {len(report.failed)} fail"
