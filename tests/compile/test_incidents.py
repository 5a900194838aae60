"""Every kind of check has counts under which it fails, and healthy ones under which it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wakeful
from wakeful.compile.incidents import Trial, healthy, incident

RNG = np.random.default_rng(3)
N = 3_000
X = RNG.normal(size=N)
TASKS: dict[str, dict[str, Any]] = {
    "binary": {
        "data": {"x": X, "held": RNG.random(N) < 0.3, "score": 1 / (1 + np.exp(-X)),
                 "label": (RNG.random(N) < 1 / (1 + np.exp(-X))).astype(int)},
        "roles": {"threshold": 0.5, "holdout": "held"},
    },
    "regression": {"data": {"x": X, "score": X, "label": X + RNG.normal(0, 0.2, N)}, "roles": {"task": "regression"}},
    "multiclass": {
        "data": {"x": X, "score": np.array(["a", "b", "c"])[np.arange(N) % 3],
                 "label": np.array(["a", "b", "c"])[(np.arange(N) + (RNG.random(N) < 0.1)) % 3]},
        "roles": {"task": "multiclass"},
    },
}  # fmt: skip

Asserts = Callable[[Any], object]
CHECKS: list[tuple[str, Asserts]] = [
    ("binary", lambda live: live.holdout.precision() >= 0.5),
    ("binary", lambda live: live.holdout.recall() >= 0.4),
    ("binary", lambda live: live.roc_auc() >= 0.6),
    ("binary", lambda live: live.flagged_share() <= 0.8),
    ("binary", lambda live: live.flagged_share() >= 0.2),
    ("binary", lambda live: live.holdout_share() >= 0.1),
    ("binary", lambda live: live.holdout_share() <= 0.6),
    ("binary", lambda live: live.calibration_slope() >= 0.5),
    ("binary", lambda live: live.observed_to_expected() <= 1.5),
    ("binary", lambda live: live.log_loss() <= 2.0),
    ("binary", lambda live: live.accuracy() >= 0.1),  # where turning all outcomes round leaves too many right
    ("binary", lambda live: live.expected_recall() >= 0.4),
    ("binary", lambda live: live["x"].mean() <= 1.0),
    ("binary", lambda live: live["x"].mean() >= -1.0),
    ("binary", lambda live: live["x"].invalid() <= 0.1),
    ("binary", lambda live: live["x"].out_of_range() <= 0.1),
    ("binary", lambda live: live["x"].quantile(0.5) <= 1.0),
    ("binary", lambda live: live["x"].psi() <= 0.3),
    ("binary", lambda live: live.traffic() >= 1),
    ("binary", lambda live: live.traffic() <= 10_000),
    ("binary", lambda live: live.against("7d")["x"].d1() <= 0.3),
    ("binary", lambda live: live.precision() >= live.ago("1d").precision() - 0.3),
    ("regression", lambda live: live.mean_absolute_error() <= 0.5),
    ("regression", lambda live: live.bias() <= 0.3),
    ("regression", lambda live: live.bias() >= -0.3),
    ("regression", lambda live: live.r2() >= 0.5),
    ("multiclass", lambda live: live.accuracy() >= 0.7),
    ("multiclass", lambda live: live.recall("a") >= 0.5),
    ("multiclass", lambda live: live.precision("b") >= 0.5),
]


@pytest.fixture(scope="module")
def references() -> dict[str, wakeful.Reference]:
    return {
        task: wakeful.learn(one["data"], score="score", label="label", name=task, **one["roles"])
        for task, one in TASKS.items()
    }


@pytest.mark.parametrize("at", range(len(CHECKS)))
def test_every_check_has_an_incident(references: dict[str, wakeful.Reference], at: int):
    task, asserted = CHECKS[at]
    monitor = wakeful.Monitor(references[task])

    @monitor.check(window="24h", page="on-call")
    def check(live: Any) -> None:
        assert asserted(live)

    (registered,) = monitor.checks
    clean = healthy(Trial.of_check(monitor, registered, {0}))
    assert clean is not None
    found = incident(Trial.of_check(monitor, registered, {0}))
    assert found is not None
    assert {one.verdict for one in found.failed} == {"fail"}
    past = dict.fromkeys(("1d", "7d"), found.before)
    assert {one.verdict for one in monitor.judge(registered, found.now, past=past)} == {"fail"}
    assert all(one.verdict != "fail" for one in monitor.judge(registered, found.before, past=past))
