"""The dead letters of a store in BigQuery: appended, read, deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime

from mien.stores import rows
from mien.stores.base import DeadLetter
from mien.stores.bigquery_client import Dataset

__all__ = ["DeadLetters"]

KEPT = 10_000
DROPPED = "dead_letters_dropped"


class DeadLetters:
    """The dead letters of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._table = dataset, dataset.table("dead_letters")
        self._state = dataset.table("state")
        self._lock = threading.Lock()
        self._last = 0

    def add(self, letters: Sequence[tuple[datetime, str, str, bytes]]) -> None:
        """Keep messages (time, topic, reason, payload)."""
        made = []
        with self._lock:
            for at, topic, reason, payload in letters:
                self._last = max(self._last + 1, time.time_ns())
                why, what = rows.cut(rows.plain(reason), payload)
                texts = {"topic": rows.plain(topic), "reason": why}
                made.append({"id": self._last, "time": rows.to_microseconds(at), **texts, "payload": what})
            self._dataset.append("dead_letters", made)

    def take(self, letters: Sequence[DeadLetter]) -> int:
        """Keep another store's letters that are not here yet, and return how many those were."""
        if not letters:
            return 0
        times = sorted({letter.time for letter in letters})
        rows_read = self._dataset.read(f"SELECT * FROM {self._table} WHERE time IN UNNEST(@times)", times=times)
        here = {(row.time, row.topic, row.reason, bytes(row.payload)) for row in rows_read}
        new = list(dict.fromkeys(letter[1:] for letter in letters if letter[1:] not in here))
        self.add(new)
        return len(new)

    def newest(self, limit: int, before: int | None) -> list[DeadLetter]:
        """Return the newest letters, newest first; with `before` those with a lower number."""
        kept = f"SELECT * FROM {self._table} ORDER BY id DESC LIMIT {KEPT}"
        rows_read = self._dataset.read(
            f"SELECT * FROM ({kept}) WHERE id < @before ORDER BY id DESC LIMIT {int(limit)}",
            before=2**63 - 1 if before is None else before,
        )
        return [DeadLetter(row.id, row.time, row.topic, row.reason, bytes(row.payload)) for row in rows_read]

    def drop(self, numbers: Sequence[int]) -> None:
        """Delete letters by number."""
        if numbers:
            self._dataset.write(f"DELETE FROM {self._table} WHERE id IN UNNEST(@ids)", ids=list(numbers))

    def dropped(self) -> int:
        """Return how many letters made room for newer ones so far."""
        counted = f"SELECT IFNULL(SUM(value), 0) FROM {self._state} WHERE name = '{DROPPED}'"
        ((gone, here),) = self._dataset.read(f"SELECT ({counted}), (SELECT COUNT(*) FROM {self._table})")
        return int(gone) + max(0, int(here) - KEPT)

    def trim(self) -> None:
        """Delete all but the newest; they are counted first, so that none goes uncounted."""
        ((here,),) = self._dataset.read(f"SELECT COUNT(*) FROM {self._table}")
        if here <= KEPT:
            return
        self._dataset.write(
            f"INSERT INTO {self._state} (name, value) VALUES ('{DROPPED}', @gone)", gone=int(here) - KEPT
        )
        newest = f"SELECT id FROM {self._table} ORDER BY id DESC LIMIT {KEPT}"
        self._dataset.write(f"DELETE FROM {self._table} WHERE id < (SELECT MIN(id) FROM ({newest}))")
