"""A history of whatever kind: which engine reads it."""

from __future__ import annotations

from wakeful.engines.history import History

__all__ = ["open_history"]


def open_history(data: object) -> History:
    """A history of whatever kind: files, buckets, queries, PostgreSQL, DuckDB relations, Arrow streams, frames.

    Raises:
        DataError: the data cannot be read; the message names what and why.
    """
    if isinstance(data, History):
        return data
    if isinstance(data, str) and data.startswith(("postgresql://", "postgres://")):
        from wakeful.engines import postgresql  # an extra of its own

        return postgresql.open_history(data)
    from wakeful.engines import duckdb

    return duckdb.open_history(data)
