"""A service of several models that ends while something of it hangs: hangs.py FOLDER WHAT MODELS.

WHAT is "column", a derived column of the first model that never returns, or the address of a bucket that never
answers, in which all models log. It prints how long its end took, in multiples of the patience.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs  # noqa: F401  # its own end is to come after that of this program

import wakeful
from wakeful.derived import Derived
from wakeful.learning.build import Roles, learn_all
from wakeful.live import endings

hangs = threading.Event()
may_hang = False


def slowly(amount: Any) -> Any:
    if may_hang:
        hangs.set()
        time.sleep(3600)
    return amount


def main(folder: Path, what: str, models: int) -> None:
    global may_hang
    endings.PATIENCE = 1.0
    began = [0.0]

    def tell() -> None:  # after the end of all models, and before that of pyarrow, which waits for the bucket, too
        print((time.monotonic() - began[0]) / endings.PATIENCE, flush=True)
        os._exit(0)

    atexit.register(tell)
    data = {"amount": np.arange(1_000.0), "score": np.linspace(0, 1, 1_000)}
    for number in range(models):
        hanging = what == "column" and not number
        derived = {"slowly": Derived(slowly)} if hanging else {}
        monitor = wakeful.Monitor(learn_all(data, Roles(score="score", threshold=0.5), derived).reference)
        if hanging:
            monitor.column(slowly)
            may_hang = True
        log = None if what == "column" else wakeful.Log(what, spool=folder / f"spool{number}")
        monitor.start(counts=folder / f"counts{number}", log=log, registry=None, flush=0.01 if hanging else 3600)
        monitor.observe({"amount": 1.0}, score=0.3)
        if hanging:
            hangs.wait()
    began[0] = time.monotonic()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
