"""Where workers share their counts if nobody says: one folder per process group."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from wakeful.live.shared.slots import is_used

__all__ = ["counts_folder", "default_folder", "remove_unused"]

MEMORY = Path("/dev/shm")


def counts_folder() -> Path:
    """The folder that ``WAKEFUL_COUNTS`` names, else one that the processes of this process group share.

    It may not be there yet. The workers of one service (gunicorn, uvicorn, Celery) are one process group. Their
    folder is in memory where there is such a place (``/dev/shm``), else in the temporary folder, and nobody else may
    look into it.

    Raises:
        OSError: it belongs to somebody else.
    """
    named = os.environ.get("WAKEFUL_COUNTS")
    if named:
        return Path(named)
    folder = _of_group()
    with contextlib.suppress(FileNotFoundError):
        _must_be_ours(folder)
    return folder


def default_folder() -> Path:
    """The same, made where it is missing; those of process groups that are gone are removed.

    Raises:
        OSError: it cannot be made, or it belongs to somebody else.
    """
    if not os.environ.get("WAKEFUL_COUNTS"):
        folder = _of_group()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _remove_leftovers(folder)
    return counts_folder()


def remove_unused(folder: Path) -> None:
    """Remove a folder of counts, unless a worker that lives counts there; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        if not is_used(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _of_group() -> Path:
    base = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    # containers that share /dev/shm do not share the numbers of their processes
    return base / f"wakeful-{os.geteuid()}-{_namespace()}-{os.getpgrp()}"


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


def _remove_leftovers(ours: Path) -> None:
    """Remove folders of process groups that are gone; what cannot be removed stays."""
    prefix = ours.name.rpartition("-")[0]
    with contextlib.suppress(OSError):
        for path in ours.parent.iterdir():
            found = re.fullmatch(re.escape(prefix) + r"-(\d+)", path.name)
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
