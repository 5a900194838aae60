"""Where workers share their counts if nobody says: one folder per process group."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

__all__ = ["default_folder"]

MEMORY = Path("/dev/shm")


def default_folder() -> Path:
    """The folder that ``WAKEFUL_COUNTS`` names, else one that the processes of this process group share.

    The workers of one service (gunicorn, uvicorn, Celery) are one process group. Their folder is in memory where
    there is such a place (``/dev/shm``), else in the temporary folder, and nobody else may look into it. Those of
    process groups that are gone are removed.

    Raises:
        OSError: it cannot be made, or it belongs to somebody else.
    """
    named = os.environ.get("WAKEFUL_COUNTS")
    if named:
        return Path(named)
    base = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    # containers that share /dev/shm do not share the numbers of their processes
    prefix = f"wakeful-{os.geteuid()}-{_namespace()}-"
    folder = base / f"{prefix}{os.getpgrp()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _must_be_ours(folder)
    _remove_leftovers(base, prefix)
    return folder


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _must_be_ours(folder: Path) -> None:
    told = folder.lstat()
    if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.geteuid() or stat.S_IMODE(told.st_mode) & 0o077:
        raise PermissionError(
            f"{folder} is no folder that only this user may use, so counts are not shared there. "
            "Remove it, or name another: WAKEFUL_COUNTS=FOLDER"
        )


def _remove_leftovers(base: Path, prefix: str) -> None:
    """Remove folders of process groups that are gone; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in base.iterdir():
            found = re.fullmatch(re.escape(prefix) + r"(\d+)", path.name)
            if found and _is_gone(int(found[1])) and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def _is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
