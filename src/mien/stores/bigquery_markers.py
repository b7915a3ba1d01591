"""The markers of a store in BigQuery: appended, read without doubles, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mien.stores import rows
from mien.stores.base import Marker
from mien.stores.bigquery_client import Dataset

__all__ = ["Markers"]


class Markers:
    """The markers of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._table = dataset, dataset.table("markers")

    def add(self, markers: Sequence[Marker]) -> int:
        """Add the markers whose ids are not there yet, and return how many that were."""
        given = {marker.id: marker for marker in markers}
        for (key,) in self._dataset.read(f"SELECT id FROM {self._table} WHERE id IN UNNEST(@ids)", ids=list(given)):
            given.pop(key, None)
        made = [
            {**marker._asdict(), "time": rows.to_microseconds(marker.time), "label": rows.plain(marker.label)}
            for marker in given.values()
        ]
        self._dataset.append("markers", made)
        return len(made)

    def between(self, start: datetime, end: datetime, sources: Sequence[str] | None, limit: int) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""
        where = "m.time >= @start AND m.time < @until"
        values: dict[str, Any] = {"start": start, "until": end}
        if sources is not None:
            where += " AND (m.source IS NULL OR m.source IN UNNEST(@sources))"
            values["sources"] = list(sources)
        query = f"{self._unique(where)} ORDER BY time DESC, id DESC LIMIT {int(limit)}"
        return [_marker(row) for row in self._dataset.read(query, **values)][::-1]

    def find(self, key: str) -> Marker | None:
        """Return the marker with this id."""
        return next((_marker(row) for row in list(self._dataset.read(self._unique("m.id = @key"), key=key))), None)

    def drop(self, key: str) -> bool:
        """Delete the marker with this id, and return whether there was one."""
        return self._dataset.write(f"DELETE FROM {self._table} WHERE id = @key", key=key) > 0

    def _unique(self, where: str) -> str:
        return f"SELECT m.* FROM {self._table} AS m WHERE {where} QUALIFY ROW_NUMBER() OVER (PARTITION BY m.id) = 1"


def _marker(row: Any) -> Marker:
    return Marker(row.id, row.time, row.label, row.source, row.created_by)
