"""wakeful, exactly as `wakeful init` writes it: no check and no limit is touched."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
from tool import Judgement
from tool import Roles as Given

from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor


class Tool:
    def prepare(self, reference: pd.DataFrame, roles: Given) -> None:
        names = {
            name: roles[name] for name in ("name", "score", "label", "threshold", "decision", "holdout", "id", "time")
        }
        segments = () if roles["segment"] is None else (roles["segment"],)
        self.folder = tempfile.TemporaryDirectory(prefix="incidents-")  # the source of checks is read when they run
        written = start(reference, Roles(**names, segments=segments), Path(self.folder.name), roles["holdout_share"])
        self.monitor = load_monitor(written.monitor)

    def judge(self, window: pd.DataFrame) -> Judgement:
        report = self.monitor.test(window)
        alarms = [one.judgement.message for one in report.failed if one.severity != "explain"]
        columns = dict.fromkeys(cause.column for cause in report.explanation)
        return Judgement(report.alarm, list(columns), alarms + [cause.text for cause in report.explanation])
