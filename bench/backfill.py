"""`wakeful backfill` over a quarter of traffic, and promtool on what it wrote: time, memory, size.

The history (32 mixed columns, or as many numeric ones as ``--columns`` says; 90 days) and all that is made of it lie in
a temporary folder; TMPDIR says where. Its checks are those of ``wakeful init``.
Blocks are made only where promtool is installed (``sudo apt-get install --no-install-recommends prometheus``).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from data import file, wide
from measure import alone, process
from rich.console import Console

from wakeful.initialise import start
from wakeful.learning import Roles

BACKFILL = Path(__file__).parent / "tasks" / "wakeful_backfill.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the history")
    parser.add_argument("--columns", type=int, help="numeric columns, in place of 32 mixed ones")
    parser.add_argument("--every", nargs="+", default=["1h"], help="lengths of a step, such as 1h 15m")
    options = parser.parse_args()
    console = Console(highlight=False, width=120)
    with tempfile.TemporaryDirectory(prefix="wakeful-bench-") as name:
        folder = Path(name)
        if options.columns:
            history = wide(folder, options.rows, options.columns)
        else:
            history = file(folder, options.rows, "mixed", "PyArrow")
        monitor = start(str(history.training), Roles("score", label="label", threshold=0.3, time="at"), folder).monitor
        out, blocks = folder / "history.om", folder / "blocks"
        for every in options.every:
            taken = alone(BACKFILL, monitor, history.path, every, out)
            console.print(
                f"every {every}: {taken.said}; {taken.work.wall:.1f} s, {taken.work.cpu:.1f} CPU s, "
                f"{taken.peak:,.0f} MB of memory"
            )
            promtool = shutil.which("promtool")
            if promtool is not None:
                command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h"]
                begun = time.perf_counter()
                process(*command, str(out), str(blocks))()
                took = time.perf_counter() - begun
                size = sum(one.stat().st_size for one in blocks.rglob("*") if one.is_file())
                console.print(f"  promtool: {took:.1f} s, blocks of {size / 1e6:,.1f} MB")
                shutil.rmtree(blocks)


if __name__ == "__main__":
    main()
