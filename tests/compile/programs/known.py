"""The example's service, which is told outcomes with the application: they are counted at once."""

from __future__ import annotations

from typing import Any

from service import app, loans, model, score

__all__ = ["app"]


@app.post("/known")
def known(application: dict[str, Any]) -> None:
    rejected = application.pop("rejected")
    loans.outcome(application["application_id"], rejected, score=score(model, application), features=application)
