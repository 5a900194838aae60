"""The same service in Flask.

    cd FOLDER   # that train.py has filled
    gunicorn flask_service:app --pythonpath DIRECTORY_OF_THIS_FILE --workers 2 --threads 4

Nothing has to be stopped: gunicorn's own workers leave as Python does, and then what waits is counted.
"""

from __future__ import annotations

from typing import Any

import joblib
from flask import Flask, Response, request
from monitor_loans import loans
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from train import score

model = joblib.load("model.joblib")
loans.start(version="1")
app = Flask(__name__)


@app.post("/applications")
def apply() -> dict[str, Any]:
    application = request.get_json()
    number, probability = application["application_id"], score(model, application)
    decision = loans.decide(number, probability)
    loans.observe(application, score=probability, id=number)
    return {"application_id": number, "next": "second look" if decision.act else "credit bureau"}


@app.post("/outcomes")
def outcome() -> dict[str, Any]:
    told = request.get_json()
    loans.outcome(told["application_id"], told["rejected"])
    return {}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)  # of all workers, whichever is asked
