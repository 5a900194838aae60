"""A service that wakeful watches."""

import tempfile

from paced import pace

import wakeful


def work(rate, seconds, reference, log=""):
    monitor = wakeful.Monitor(reference)
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as folder:
        monitor.start(counts=folder, log=log, series=100_000)
        observe = monitor.observe
        took = pace(
            lambda features, number: observe(features, score=0.3, id=number), float(rate), float(seconds), monitor.stop
        )
    return took
