"""PostgreSQL reads, filters and sorts a history, and sends it as Arrow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from wakeful.engines.history import History, quoted
from wakeful.errors import DataError, MissingExtra

try:
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi
except ImportError as error:
    raise MissingExtra("adbc-driver-postgresql", "postgresql", "reading PostgreSQL") from error

__all__ = ["open_history"]

_WRAPPING = re.compile(r"([A-Z_]+: )?(\[libpq\] )?(Failed to [a-z ]+: |Execution error \[\w+\]: )?((ERROR|FATAL): +)?")


def open_history(address: str) -> History:
    """A history in a PostgreSQL database.

    Args:
        address: ``postgresql://user@host/database#TABLE``, or a query in place of the table.

    Raises:
        DataError: no table is named, or the server does not answer.
    """
    server, _, wanted = address.partition("#")
    wanted = wanted.strip().rstrip(";")
    if not wanted:
        raise DataError(
            f"{_safe(server)} names no table. Write postgresql://…/DATABASE#TABLE, or a query behind the #."
        )
    is_query = wanted.split(None, 1)[0].lower() in ("select", "with")
    source = f"({wanted}\n) AS history" if is_query else ".".join(quoted(part) for part in wanted.split("."))
    name = f"{_safe(server)}#{'the query' if is_query else wanted}"

    def run(sql: str) -> Any:
        return _reader(server, name, sql)

    found = History(name, source, run)
    numeric = [one.name for one in found.schema if (one.metadata or {}).get(b"ADBC:postgresql:typname") == b"numeric"]
    # the driver hands numerics over as text
    return History(name, source, run, instead={one: f"CAST({quoted(one)} AS double precision)" for one in numeric})


@contextlib.contextmanager
def _reader(server: str, name: str, sql: str) -> Iterator[Any]:
    """The answer to one query over a connection of its own."""
    try:
        with dbapi.connect(server) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            yield cursor.fetch_record_batch()
    except dbapi.Error as error:
        raise DataError(f"cannot read {name}: {_told(error)}") from error
    except pa.ArrowException as error:
        raise DataError(f"cannot read on in {name}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """What the server says, without how the driver passes it on and the query that nobody wrote."""
    said = _WRAPPING.sub("", str(error).partition("Query was: ")[0].strip(), count=1)
    return " ".join(re.sub(r"\nLINE \d+: .*\n *\^", "", said).split())


def _safe(server: str) -> str:
    """An address without password and options."""
    scheme, _, rest = server.partition("?")[0].partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}://{who.partition(':')[0]}{at}{where}"
