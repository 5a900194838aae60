"""Which files a merged one replaces: it says so in its metadata, and appears before they are deleted.

No object store puts one object in the place of several in one step. So a reader may find a merged file beside some
that it replaces, for moments, or, if a compaction died, until the next one. Who knows of it leaves them out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wakeful.errors import MissingExtra

try:
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "the log") from error

__all__ = ["MERGED", "SOURCES", "sources_in", "without_replaced"]

MERGED = "merged-"  # begins the names of files that compaction made
SOURCES = b"wakeful.sources"  # stems of the files that a merged one replaces


def sources_in(file: Any) -> set[str]:
    """Stems of the files that a merged one replaces; ``file`` is open, or a path."""
    metadata: Mapping[bytes, bytes] = pq.read_metadata(file).metadata or {}
    return set(json.loads(metadata.get(SOURCES, b"[]")))


def without_replaced(files: Sequence[str], sources_of: Callable[[str], set[str]]) -> list[str]:
    """Paths of files without those whose rows stand in a merged file of the same folder.

    Args:
        files: paths, ``…/NAME.parquet``; of other files, none is left out.
        sources_of: what the merged file at a path replaces; asked only where others lie beside it.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for one in files:
        folders[one.rpartition("/")[0]].append(one)
    replaced = {
        f"{folder}/{stem}.parquet"
        for folder, inside in folders.items()
        if len(inside) > 1
        for one in inside
        if one.rpartition("/")[2].startswith(MERGED)
        for stem in sources_of(one)
    }
    return [one for one in files if one not in replaced]
