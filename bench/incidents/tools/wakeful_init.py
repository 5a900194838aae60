"""wakeful, exactly as `wakeful init` writes it: no check and no limit is touched.

A window is as long as the checks of answers and inputs look back. Checks of outcomes, which look back for a week,
are given the draw's earlier windows, too, as `wakeful replay` would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tool import Judgement
from tool import Roles as Given

from wakeful.budget import duration
from wakeful.initialise import start
from wakeful.learning import Roles
from wakeful.loading import load_monitor


class Tool:
    looks_back = True

    def prepare(self, reference: pd.DataFrame, roles: Given) -> None:
        names = {
            name: roles[name] for name in ("name", "score", "label", "threshold", "decision", "holdout", "id", "time")
        }
        segments = () if roles["segment"] is None else (roles["segment"],)
        self.folder = tempfile.TemporaryDirectory(prefix="incidents-")  # the source of checks is read when they run
        written = start(reference, Roles(**names, segments=segments), Path(self.folder.name), roles["holdout_share"])
        self.monitor = load_monitor(written.monitor)

    def judge(self, window: pd.DataFrame, earlier: Sequence[pd.DataFrame] = ()) -> Judgement:
        counts = self.monitor.count_some(window)
        whole = counts
        for one in earlier:
            whole = whole + self.monitor.count(one)
        failed = []
        for check in self.monitor.checks:
            seen = whole if duration(check.window) > 86_400 else counts
            bad = [one for one in self.monitor.judge(check, seen) if one.verdict == "fail"]
            failed += bad if check.severity != "explain" else []
        causes = self.monitor.explain(counts)
        columns = dict.fromkeys(cause.column for cause in causes)
        told = [one.judgement.message for one in failed]
        return Judgement(bool(failed), list(columns), told + [cause.text for cause in causes])
