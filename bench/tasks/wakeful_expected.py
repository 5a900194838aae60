"""wakeful: expected quality of every chunk, as JSON; its reference is learnt here, too."""

import json

import pyarrow.parquet as pq

import wakeful
from wakeful import signals
from wakeful.views import outcomes


def work(reference: str, live: str, chunk: str, alpha: str, roles: str, metrics: str) -> str:
    named = json.loads(roles)
    learnt = wakeful.learn(pq.read_table(reference, columns=[named["score"], named["label"]]), **named)
    monitor, known = wakeful.Monitor(learnt), outcomes(learnt.counts)
    rows, size = pq.read_table(live, columns=[named["score"]]), int(chunk)
    asked = [signals.find(f"expected_{name}", learnt.model.task) for name in metrics.split()]
    found = []
    for start in range(0, rows.num_rows, size):
        part = outcomes(monitor.count(rows.slice(start, size)))
        found.append([one.estimate(part, known, {}, float(alpha))[:3] for one in asked])
    return json.dumps(found)
