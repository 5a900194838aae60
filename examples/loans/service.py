"""The model behind HTTP, watched: FastAPI. The lines that name ``loans`` are all that wakeful needs.

    cd FOLDER   # that train.py has filled
    gunicorn service:app --pythonpath DIRECTORY_OF_THIS_FILE --workers 2 --worker-class uvicorn_worker.UvicornWorker

``PYTHONPATH=. uvicorn service:app --app-dir DIRECTORY_OF_THIS_FILE --workers 2`` will do as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import joblib
from fastapi import FastAPI, Response
from monitor_loans import loans
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from train import score

model = joblib.load("model.joblib")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    loans.start(version="1")
    yield
    loans.stop()  # here: uvicorn lets SIGTERM end the process before Python could


app = FastAPI(lifespan=lifespan)


@app.post("/applications")
def apply(application: dict[str, Any]) -> dict[str, Any]:
    number, probability = application["application_id"], score(model, application)
    decision = loans.decide(number, probability)
    loans.observe(application, score=probability, id=number)
    return {"application_id": number, "next": "second look" if decision.act else "credit bureau"}


@app.post("/outcomes")
def outcome(outcome: dict[str, Any]) -> None:
    loans.outcome(outcome["application_id"], outcome["rejected"])


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)  # of all workers, whichever is asked
