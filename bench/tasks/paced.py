"""A made-up service: features that come in at a rate, and what one call for each of them costs.

It runs in the environments of other tools, so it needs nothing.
"""

import gc
import itertools
import json
import random
import statistics
import time

NUMBERS = [f"x{at}" for at in range(25)]
CATEGORIES = [f"name{at}" for at in range(5)]
TICK = 0.001  # s; so often some observations come at once
_KNOWN = [[f"{name} {value:02d}" for value in range(3 + 8 * at)] for at, name in enumerate(CATEGORIES)]


def features(random):
    """A fresh dict of fresh values, as a service has it that has just read a request: 25 numbers, 5 categories."""
    made = {name: random.gauss(at, 1 + at) for at, name in enumerate(NUMBERS)}
    made.update(zip(CATEGORIES, map(random.choice, _KNOWN)))  # noqa: B905  # Python 3.8 does not know strict
    return made


def pace(observe, rate, seconds, finish=lambda: None):
    """Call ``observe`` with features and a number at so many a second, or as often as it goes; measures as JSON.

    Calls are measured in groups, by turns the CPU time of the group in this thread and the wall-clock time of each.
    Making the features is not in either; it is in the CPU time of the whole process, for which ``nothing`` is run.
    So is ``finish``, which works off what the calls have left for later.
    """
    source = random.Random(1)
    size = max(1, round(rate * TICK))
    pool = [features(source) for _ in range(1000)]
    numbers = itertools.count()
    for one in pool[:100]:
        observe(dict(one), next(numbers))
    gc.collect()
    caller, called, took, made = 0.0, 0, [], 0
    cpu, began = time.process_time(), time.perf_counter()
    by_cpu = True
    while time.perf_counter() - began < seconds:
        some = [(dict(pool[(made + at) % 1000].items()), next(numbers)) for at in range(size)]  # inserted, not cloned
        if by_cpu:
            before = time.thread_time()
            for one, number in some:
                observe(one, number)
            caller += time.thread_time() - before
            called += size
        else:
            for one, number in some:
                before = time.perf_counter_ns()
                observe(one, number)
                took.append(time.perf_counter_ns() - before)
        by_cpu = not by_cpu
        made += size
        some.clear()
        ahead = began + made / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
    wall = time.perf_counter() - began
    finish()
    cpu = time.process_time() - cpu
    cuts = statistics.quantiles(took, n=1000)
    return json.dumps({
        "rate": made / wall, "p50": cuts[499] / 1e3, "p99": cuts[989] / 1e3, "p999": cuts[998] / 1e3,
        "caller": 1e6 * caller / called, "all": 1e6 * cpu / made,
    })  # fmt: skip
