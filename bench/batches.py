"""What `observe_batch` costs its caller: 100,000 rows of 30 features as services hold them.

    python bench/batches.py [--rounds 15]

Processor time of the calling thread, the least of some rounds: what else the machine does falls away. Counting comes
later, on the recorder's thread, and is not in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import wakeful

ROWS, FEATURES, TEXTS = 100_000, 30, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    array, score = rng.normal(size=(ROWS, FEATURES)), rng.random(ROWS)
    frame = pd.DataFrame(array, columns=[f"feature{at}" for at in range(FEATURES)])
    texts = frame.assign(**{name: rng.choice(["web", "app", "shop"], ROWS) for name in frame.columns[:TEXTS]})
    made: dict[str, tuple[Any, Any]] = {
        "numpy": (array, score),
        "dict of numpy columns": ({name: array[:, at] for at, name in enumerate(frame)}, score),
        "pandas": (frame, score),
        f"pandas, {TEXTS} columns of text": (texts, score),
        "PyArrow": (pa.table(frame), score),
        f"PyArrow, {TEXTS} columns of text": (pa.table(texts), score),
        "Polars": (pl.DataFrame(frame), score),
    }
    print(f"{ROWS:,} rows of {FEATURES} features, {array.nbytes / 1e6:.0f} MB as numbers")
    for name, (data, said) in made.items():
        kind = texts if "text" in name else frame
        monitor = wakeful.Monitor(wakeful.learn(kind.assign(score=score)[:5_000], score="score", threshold=0.5))
        with tempfile.TemporaryDirectory() as folder:
            monitor.start(counts=folder, registry=None, flush=3600, buffer=10 * ROWS)
            taken = [_taken(monitor, data, said) for _ in range(rounds)]
            assert monitor.counts().rows == rounds * ROWS
        print(f"{name:32} {1e3 * min(taken):7.1f} ms")


def _taken(monitor: wakeful.Monitor, data: Any, score: Any) -> float:
    """Seconds of the caller's thread for one table; it is counted before the next."""
    began = time.thread_time()
    monitor.observe_batch(data, score=score)
    taken = time.thread_time() - began
    monitor.stop()
    return taken


if __name__ == "__main__":
    main()
