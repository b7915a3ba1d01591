"""What the API asks of the store for one caller alone: pages of observations, markers, exports; and changes.

It has a thread and a connection of its own for reading and for writing, so that who pages through a year, or waits for
the forwarder to let go of the database, does not keep the live pages waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from typing import TypeVar

from mien.errors import StoreError
from mien.observation import Observation
from mien.stores.base import Marker, Store, open_store

__all__ = ["RecordReader"]

Answer = TypeVar("Answer")


class RecordReader:
    """The rows of a store, one question at a time. Every method raises StoreError when the store fails.

    Args:
        url: The store's URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="dashboard-records")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="dashboard-writer")

    async def page(
        self, start: datetime, end: datetime, sources: Sequence[str], limit: int, after: tuple[datetime, str] | None
    ) -> list[Observation]:
        """Return the first raw observations of [start, end) by time and id, or the first behind `after`."""

        def ask(store: Store) -> list[Observation]:
            return next(store.observations(limit, start=start, end=end, sources=sources or None, after=after), [])

        return await self._read(ask)

    async def markers(self, start: datetime, end: datetime, sources: Sequence[str], limit: int) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""
        return await self._read(lambda store: store.markers(start, end, sources or None, limit))

    async def marker(self, key: str) -> Marker | None:
        """Return the marker with this id."""
        return await self._read(lambda store: store.marker(key))

    async def add_marker(self, marker: Marker) -> None:
        """Keep a marker; where there is no store yet, one is made."""
        await self._write(lambda store: store.add_markers([marker]))

    async def drop_marker(self, key: str) -> bool:
        """Delete the marker with this id, and return whether there was one."""
        return await self._write(lambda store: store.drop_marker(key))

    def batches(self, start: datetime, end: datetime, sources: Sequence[str]) -> Iterator[list[Observation]]:
        """Yield the raw observations of [start, end) by time, over a connection of its own."""
        with closing(open_store(self._url, read_only=True)) as store:
            yield from store.observations(1000, start=start, end=end, sources=sources or None)

    def close(self) -> None:
        """Give the store back."""
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._reader.submit(self._drop)
        self._reader.shutdown(wait=True)

    async def _read(self, ask: Callable[[Store], Answer]) -> Answer:
        def run() -> Answer:
            try:
                if self._store is None:
                    self._store = open_store(self._url, read_only=True)
                return ask(self._store)
            except StoreError:
                self._drop()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)

    async def _write(self, change: Callable[[Store], Answer]) -> Answer:
        def run() -> Answer:
            with closing(open_store(self._url)) as store:
                return change(store)

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    def _drop(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None
