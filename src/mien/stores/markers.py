"""The markers in an SQL database: added, read, dropped, and erased with their source.

Everything here happens in the transaction of whoever calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mien.stores import rows
from mien.stores.base import Marker
from mien.stores.rollups import insert
from mien.stores.tables import markers

__all__ = ["add", "between", "drop", "erase", "find"]

COUNT = sa.select(sa.func.count()).select_from(markers)


def add(connection: sa.Connection, given: Sequence[Marker]) -> int:
    """Add the markers whose ids are not there yet, and return how many that were."""
    before = connection.scalar(COUNT) or 0
    if given:
        connection.execute(insert(connection, markers).on_conflict_do_nothing(), [_row(marker) for marker in given])
    return (connection.scalar(COUNT) or 0) - before


def between(
    connection: sa.Connection, start: datetime, end: datetime, sources: Sequence[str] | None, limit: int
) -> list[Marker]:
    """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""
    query = sa.select(markers).where(
        markers.c.time >= rows.to_microseconds(start), markers.c.time < rows.to_microseconds(end)
    )
    if sources is not None:
        query = query.where(sa.or_(markers.c.source.is_(None), markers.c.source.in_(list(sources))))
    rows_read = connection.execute(query.order_by(markers.c.time.desc(), markers.c.id.desc()).limit(limit)).all()
    return [_marker(row) for row in reversed(rows_read)]


def find(connection: sa.Connection, key: str) -> Marker | None:
    """Return the marker with this id."""
    row = connection.execute(sa.select(markers).where(markers.c.id == key)).one_or_none()
    return _marker(row) if row else None


def drop(connection: sa.Connection, key: str) -> bool:
    """Delete the marker with this id, and return whether there was one."""
    return connection.execute(sa.delete(markers).where(markers.c.id == key)).rowcount > 0


def erase(connection: sa.Connection, source: str, start: int, end: int) -> None:
    """Delete the markers of a source in [start, end), microseconds since 1970."""
    within = (markers.c.time >= start, markers.c.time < end)
    connection.execute(sa.delete(markers).where(markers.c.source == source, *within))


def _marker(row: sa.Row[Any]) -> Marker:
    return Marker(row.id, rows.to_time(row.time), row.label, row.source, row.created_by)


def _row(marker: Marker) -> dict[str, str | int | None]:
    return {
        "id": marker.id,
        "time": rows.to_microseconds(marker.time),
        "label": rows.plain(marker.label),
        "source": marker.source,
        "created_by": rows.plain(marker.created_by),
    }
