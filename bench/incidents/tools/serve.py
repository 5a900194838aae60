"""Run an adapter in its own environment: python serve.py ADAPTER.py FOLDER prints a JSON line per window."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path

import pandas as pd


def main(adapter: Path, folder: Path) -> None:
    sys.path.append(str(adapter.parent))
    specification = importlib.util.spec_from_file_location("adapter", adapter)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    tool = module.Tool()
    tool.prepare(pd.read_parquet(folder / "reference.parquet"), json.loads((folder / "roles.json").read_text()))
    for path in sorted(folder.glob("[0-9]*.parquet")):
        window = pd.read_parquet(path)
        start = time.perf_counter()
        try:
            said = tool.judge(window)._asdict()
        except Exception as error:  # a run that breaks is noticed too, though it names no column
            said = {"alarm": True, "ranking": [], "messages": [f"raised {type(error).__name__}: {error}"[:300]]}
        said["seconds"] = time.perf_counter() - start
        print(json.dumps({"window": int(path.stem), **said}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
