"""Where the published files of a log lie: a directory or a bucket."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

from wakeful.caching import cached_property
from wakeful.errors import DataError, MissingExtra

try:
    import pyarrow as pa
    import pyarrow.fs
except ImportError as error:
    raise MissingExtra("pyarrow", "history", "the log") from error

__all__ = ["OPEN", "TABLES", "Place", "Stored", "date_of", "folder_of"]

OPEN = "_open"  # beside the dates of a directory; engines pass over names that begin with _
_BUCKETS = ("s3", "gs", "gcs", "abfs", "abfss")
_CHUNK = 1 << 22
TABLES = ("predictions", "outcomes")
_FOLDERS = {"predictions": "", "outcomes": "_outcomes"}  # a replay of the log must not take outcomes for predictions


def folder_of(kind: str, day: str = "") -> str:
    """Where files of a table and a day, such as ``date=2026-03-01``, lie below the log's address."""
    return "/".join(part for part in (_FOLDERS.get(kind, kind), day) if part)


def date_of(day: str) -> str:
    """The date in a folder's name: ``2026-03-01``."""
    return day.rpartition("=")[2]


def _is_day(name: str) -> bool:
    key, _, date = name.partition("=")
    try:
        return key in ("date", "log_date") and dt.date.fromisoformat(date).isoformat() == date
    except ValueError:
        return False


class Stored(NamedTuple):
    """A published file: its name below the log's address, its size in bytes."""

    name: str
    size: int

    @property
    def stem(self) -> str:
        """Its name without folder and ending."""
        return self.name.rpartition("/")[2].removesuffix(".parquet")


class Place:
    """A directory, or a bucket's folder.

    Args:
        url: a path, or file://, s3://, gs:// or abfs:// and what stands behind it.

    Raises:
        DataError: it is neither.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = os.fspath(url)
        scheme, separator, _ = self.url.partition("://")
        self.local: Path | None = None
        if not separator:
            self.local = Path(self.url).absolute()
        elif scheme == "file":
            self.local = Path(unquote(urlparse(self.url).path))
        elif scheme not in _BUCKETS:
            raise DataError(
                f"cannot log to {scheme}://…: give a directory, or the URL of a bucket: s3://, gs:// or abfs://."
            )
        if not self.url:
            raise DataError("the log has no address: give a directory or the URL of a bucket.")

    @property
    def spool(self) -> Path:
        """Where segments lie until they are published: here, or in the temporary folder for a bucket."""
        if self.local is not None:
            return self.local / OPEN
        name = hashlib.sha256(self.url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"wakeful-log-{os.getuid()}-{name}"

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The pyarrow file system and the path on it; may ask the network."""
        if self.local is not None:
            return pa.fs.LocalFileSystem(), str(self.local)
        filesystem, path = pa.fs.FileSystem.from_uri(self.url)
        return filesystem, path.rstrip("/")

    @property
    def filesystem(self) -> Any:
        """Of pyarrow."""
        return self._opened[0]

    def path(self, name: str) -> str:
        """Of a file, on the file system."""
        return f"{self._opened[1]}/{name}" if name else self._opened[1]

    def put(self, file: Path, name: str) -> None:
        """Publish a finished file under a name: nobody sees half of it. OSError where that fails."""
        if self.local is not None:
            target = self.local / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
            return
        with file.open("rb") as source, self.filesystem.open_output_stream(self.path(name)) as sink:
            while chunk := source.read(_CHUNK):
                sink.write(chunk)
        file.unlink()

    def files(self, kind: str, day: str) -> list[Stored]:
        """The Parquet files of a day."""
        folder = folder_of(kind, day)
        selector = pa.fs.FileSelector(self.path(folder), allow_not_found=True)
        return sorted(
            Stored(f"{folder}/{one.base_name}", one.size)
            for one in self.filesystem.get_file_info(selector)
            if one.is_file and one.base_name.endswith(".parquet") and not one.base_name.startswith((".", "_"))
        )

    def days(self, kind: str) -> list[str]:
        """Names of the days' folders, oldest first."""
        selector = pa.fs.FileSelector(self.path(folder_of(kind)), allow_not_found=True)
        names = [one.base_name for one in self.filesystem.get_file_info(selector) if not one.is_file]
        return sorted((name for name in names if _is_day(name)), key=date_of)

    def open(self, name: str) -> Any:
        """A file for reading."""
        return self.filesystem.open_input_file(self.path(name))

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path(name))

    def delete_day(self, kind: str, day: str) -> None:
        """Delete all of a day."""
        self.filesystem.delete_dir(self.path(folder_of(kind, day)))
