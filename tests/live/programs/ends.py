"""A service that ends: ends.py REFERENCE FOLDER HOW OBSERVATIONS; flushes only at its end, or all the time
where it forks while it is busy.

It prints the number of the process that observed. Where HOW ends in "+term", it waits to be told to end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import wakeful


def main(reference: str, folder: str, how: str, observations: int) -> None:
    how, _, term = how.partition("+")
    monitor = wakeful.Monitor(reference)
    monitor.start(counts=folder, registry=None, flush=0.01 if how == "busy-fork" else 3600)

    def work() -> None:
        for number in range(observations):
            monitor.observe({"worker0": "w00"}, score=0.3, id=number)
        print(os.getpid(), flush=True)
        if term:
            time.sleep(60)

    if how == "abrupt":  # a server's own handler, which leaves without Python's own exit
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
        how = "plain"
    if how == "plain":
        work()
    elif how == "uncaught":
        work()
        raise RuntimeError("the service fails")
    elif how == "threads":
        with ThreadPoolExecutor(4) as pool:
            for number in range(observations):
                pool.submit(monitor.observe, {"worker0": "w00"}, score=0.3, id=number)
        print(os.getpid(), flush=True)
        if term:
            time.sleep(60)
    elif how == "thread":  # the main thread never observes
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    elif how == "fork":
        if os.fork():
            os.wait()
        else:
            work()
    elif how == "busy-fork":  # the parent's thread is at work when it forks
        for number in range(observations):
            monitor.observe({"worker0": "w01"}, score=0.3, id=number)
            time.sleep(0.001)
            if number % 10 == 9 and not os.fork():
                for again in range(10):
                    monitor.observe({"worker0": "w00"}, score=0.3, id=again)
                return
        for _ in range(observations // 10):
            os.wait()
    else:
        process = multiprocessing.get_context(how).Process(target=_child, args=(reference, folder, observations, term))
        process.start()
        process.join()


def _child(reference: str, folder: str, observations: int, term: str) -> None:
    main(reference, folder, f"plain+{term}" if term else "plain", observations)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
