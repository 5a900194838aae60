"""A task in a process of its own: python alone.py TASK.py ARGUMENT ... prints a line of JSON.

The task is a file with a function ``work`` that takes the arguments as text. Importing the file belongs to the
start-up, which whoever started this measures. It runs in the environments of other tools, so it needs nothing.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
import time
from pathlib import Path


def main(task: str, *arguments: str) -> None:
    sys.path.append(str(Path(task).parent))
    specification = importlib.util.spec_from_file_location("task", task)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    wall, cpu = time.perf_counter(), time.process_time()
    said = module.work(*arguments)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print("\n" + json.dumps({"wall": wall, "cpu": cpu, "peak": peak(), "said": str(said)}))


def peak() -> float:
    """Most memory that this process held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux starts getrusage's figure with that of the parent
        [line] = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(*sys.argv[1:])
