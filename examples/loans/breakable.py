"""The service of service.py with switches that break it: for the demo and the tests, nothing to copy.

After ``POST /incidents/constant-score`` every worker answers with a constant, until ``POST /incidents/none``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import service
from fastapi import HTTPException
from monitor_loans import loans
from numpy.typing import NDArray
from service import app
from train import applications, split, train

SWITCH = Path("incident")  # a file, so that all workers see it
INCIDENTS = {
    "constant-score": "a fallback answers everybody with 0.05",
    "flipped-classes": "the probability of the other class is taken for the score",
    "old-model": "an older model is loaded, which had learnt from each rejection five times",
    "holdout-lost": "the flag of the held-out cases is lost on its way",
}


class Breakable:
    """The model, until it is broken."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.feature_names_in_ = model.feature_names_in_

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803  # as scikit-learn calls it
        """Probabilities, or what an incident makes of them, shape (rows, 2)."""
        name = incident()
        answers: NDArray[np.float64] = (old_model() if name == "old-model" else self.model).predict_proba(X)
        if name == "constant-score":
            return np.full_like(answers, 0.05)
        return answers[:, ::-1] if name == "flipped-classes" else answers


def incident() -> str:
    return SWITCH.read_text() if SWITCH.exists() else "none"


@cache
def old_model() -> Any:
    training, *_ = split(applications(), parts=3)
    return train(pd.concat([training, *[training[training["rejected"]]] * 4]))


def observe(features: dict[str, Any], **said: Any) -> None:
    watched(features | {"holdout": False} if incident() == "holdout-lost" else features, **said)


watched = loans.observe
loans.observe = observe
service.model = Breakable(service.model)


@app.post("/incidents/{name}")
def switch(name: str) -> None:
    if name not in (*INCIDENTS, "none"):
        raise HTTPException(404, f"no incident {name}; there are {', '.join(INCIDENTS)}")
    SWITCH.write_text(name)
