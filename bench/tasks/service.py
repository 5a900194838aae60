"""A small ASGI service that answers with a score for 30 features: service.py PORT WORKERS.

wakeful watches it where REFERENCE names one.
"""

import json
import math
import os
import random
import socket
import sys

import uvicorn
from paced import NUMBERS, features

_ROWS = [json.dumps(features(random.Random(at))) for at in range(100)]
_HEADERS = [(b"content-type", b"application/json")]


def _observe():
    if not os.environ.get("REFERENCE"):
        return None
    import wakeful

    monitor = wakeful.Monitor(os.environ["REFERENCE"])
    monitor.start(series=100_000)
    return monitor.observe


observe = _observe()
number = 0


async def app(scope, receive, send):
    """Answer; what would be in the body of a request is parsed, as wrk sends none."""
    global number
    if scope["type"] != "http":
        return
    await receive()
    number += 1
    row = json.loads(_ROWS[number % 100])
    score = 1 / (1 + math.exp(-sum(row[name] for name in NUMBERS) / 100))
    if observe is not None:
        observe(row, score=score, id=number)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": json.dumps({"score": score}).encode()})


def main(port: int, workers: int) -> None:
    """Serve in processes that are forked once everything is loaded."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only where this is said
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(1024)
    for _ in range(workers - 1):
        if not os.fork():
            break
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
