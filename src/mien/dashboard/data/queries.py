"""What the page and the REST API ask: the store's figures and the listener's, put together and shared by all viewers.

Sources and a window go in; timelines, states of sources and faces in view come out. The store is asked from one
thread, and an answer is reused for as long as its window's resolution allows, so fifty viewers of one view cost as
much as one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time as clock
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TypeVar

import numpy as np

from mien.dashboard.data.listener import Listener, LiveSource, Picture
from mien.dashboard.data.periods import FINEST_S, Window
from mien.dashboard.data.second_sums import KEPT, Ring, blank, numbers
from mien.dashboard.data.timelines import HOURS_S, Hours, Timeline, hours_of, nothing, read_rings, read_timeline
from mien.errors import StoreError
from mien.mqtt.messages import RemoteState, Stats
from mien.observation import Observation
from mien.stores.base import Arrivals, Bucket, DeadLetter, Marker, SourceInfo, Store, Summary, open_store, utc
from mien.words import by_number

__all__ = ["Queries", "SourceState", "Timeline", "nothing"]

log = logging.getLogger(__name__)

ONLINE_S = 15.0
"""Without a broker, a source whose newest observation is not older counts as online."""

PICTURE_FRESH_S = 5.0
"""So long a preview is shown after it came: less long than it is kept, so that who is told of one also gets it."""

FRESH_S = 0.3
"""So long all viewers share the states of the sources."""

RESCAN_S = 30.0
"""So often the seconds are read again as a whole, for what reached the store late."""

MAX_RAW = 20_000
"""At most so many of the newest raw observations are read at once: those of 15 seconds, or since the last time."""

SIZE_S = 30.0
"""So long the store's size is taken for what it is."""

ARRIVALS_S = 30.0
"""So long the counts of what came late or was refused are taken for what they are."""

MAX_ANSWERS = 256
MAX_LETTERS = 20

Answer = TypeVar("Answer")


class SourceState(NamedTuple):
    """A source as it stands now.

    Attributes:
        source: Its name.
        online: Whether it is there.
        since: Since when, UTC; None where nobody saw the change.
        first: The time of its first observation in the store.
        last: The time of its newest observation known.
        frames: How many observations the store has of it.
        stats: Its own statistics, where it sends some.
        newest: Its newest observation, while it is fresh enough to be "now".
        stored: The time of its newest observation in the store.
        picture: Its newest preview, while it is fresh; `newest` is then what that shows, if it is known.
        remote: How it is set, and what may be asked of it.
    """

    source: str
    online: bool
    since: datetime | None
    first: datetime | None
    last: datetime | None
    frames: int
    stats: Stats | None
    newest: Observation | None
    stored: datetime | None = None
    picture: Picture | None = None
    remote: RemoteState | None = None


class Queries:
    """The questions of the dashboard.

    Args:
        url: The store's URL.
        listener: Knows what the broker says.

    Attributes:
        listener: As given.
        url: As given.
    """

    def __init__(self, url: str, listener: Listener) -> None:
        self.listener, self.url = listener, url
        self._store: Store | None = None
        self._failed: tuple[float, StoreError] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dashboard-store")
        self._answers: OrderedDict[tuple[Any, ...], tuple[float, asyncio.Future[Any]]] = OrderedDict()
        self._views: dict[tuple[Window, tuple[str, ...]], tuple[float, Timeline]] = {}
        self._states: tuple[float, list[SourceState]] = (-1.0, [])
        self._hours: list[Hours] = []
        self._rings: dict[str, Ring] = {}
        self._newest: dict[str, Observation] = {}
        self._read_until = 0.0
        self._scanned = 0.0

    async def timeline(self, window: Window, sources: Sequence[str] = ()) -> Timeline:
        """Return what the window showed, over the sources named or all.

        Raises:
            StoreError: The store is not there or fails, and the window is too long for what the broker says.
        """
        chosen = tuple(sorted(sources))
        if window.width < 60 and clock.time() - window.start.timestamp() <= KEPT - 60:
            await self._catch_up()
            return self._view(window, chosen)
        lifetime = min(max(window.width / 60, 1.0), 30.0)
        key = ("timeline", window, chosen)
        return await self._shared(key, lifetime, lambda store: read_timeline(store, window, chosen, self._hours))

    async def last_minute(self) -> dict[str, np.ndarray]:
        """Return the sums of the last 60 whole seconds per source, oldest first, shape (60,), dtype ROW."""
        with contextlib.suppress(StoreError):
            await self._catch_up()
        return self._by_source((), int(clock.time()) - 60, 60)

    async def hours(self, window: Window, sources: Sequence[str] = ()) -> list[Bucket]:
        """Return the hours of a window, of a long one the newest of five weeks, that hold a frame.

        Raises:
            StoreError: The store is not there or fails.
        """
        chosen = tuple(sorted(sources))
        start, end = max(window.start, window.end - timedelta(seconds=HOURS_S)), window.end
        start = start.replace(minute=0, second=0, microsecond=0)
        key = ("hours", start, end.replace(second=0), chosen)
        return await self._shared(key, 30.0, lambda store: hours_of(store, start, end, chosen, self._hours))

    async def markers(self, start: datetime, end: datetime, sources: Sequence[str], limit: int) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all.

        Raises:
            StoreError: The store is not there or fails.
        """
        chosen = tuple(sorted(sources))
        key = ("markers", start, end, chosen, limit)
        return await self._shared(key, 0.5, lambda store: store.markers(start, end, chosen or None, limit))

    async def dead_letters(self) -> list[DeadLetter]:
        """Return the newest dead letters, newest first.

        Raises:
            StoreError: The store is not there or fails.
        """
        return await self._shared(("letters",), 5.0, lambda store: store.dead_letters(MAX_LETTERS))

    async def arrivals(self) -> list[Arrivals]:
        """Return what came late or was refused, by source.

        Raises:
            StoreError: The store is not there or fails.
        """
        return await self._shared(("arrivals",), ARRIVALS_S, lambda store: store.arrivals())

    async def size(self) -> int | None:
        """Return how many bytes the store takes up; None where it does not say."""
        try:
            return await self._shared(("size",), SIZE_S, lambda store: store.size())
        except StoreError:
            return None

    async def summary(self, start: datetime, end: datetime, sources: Sequence[str] = ()) -> Summary:
        """Return the sum of what was seen in [start, end); of minutes without raw rows whole, as its borders say.

        Raises:
            StoreError: The store is not there or fails.
        """
        chosen = tuple(sorted(sources))
        key = ("summary", start, end, chosen)
        return await self._shared(key, 1.0, lambda store: store.summary(start, end, chosen or None))

    async def recent(self, start: datetime, sources: Sequence[str], limit: int) -> list[Observation]:
        """Return the newest raw observations since `start`, oldest first.

        Raises:
            StoreError: The store is not there or fails.
        """
        chosen = tuple(sorted(sources))
        key = ("recent", start, chosen, limit)
        return await self._shared(key, 0.5, lambda store: store.recent(start, chosen or None, limit))

    async def sources(self) -> list[SourceState]:
        """Return every source that the store or the broker knows, by name; what the store fails to say is left out."""
        if clock.monotonic() - self._states[0] < FRESH_S:
            return self._states[1]
        stored: dict[str, SourceInfo] = {}
        try:
            stored = {info.source: info for info in await self._shared(("sources",), 2.0, lambda s: s.sources())}
            if not self.listener.connected:
                await self._shared(("seconds",), 0.4, self._read_seconds)
        except StoreError:
            pass
        now = datetime.now(timezone.utc)
        live = self.listener.sources()
        seen = stored.keys() | {name for name, state in live.items() if state.last or state.online}
        names = sorted(seen, key=by_number)
        states = [self._state(name, stored.get(name), live.get(name), now) for name in names]
        self._states = clock.monotonic(), states
        return states

    async def store_error(self) -> StoreError | None:
        """Return why the store cannot be asked, None if it can."""
        try:
            await self._shared(("sources",), 2.0, lambda store: store.sources())
        except StoreError as error:
            return error
        return None

    def close(self) -> None:
        """Give the store back."""
        self._thread.shutdown(wait=True, cancel_futures=True)  # would cancel a drop that waits there too
        self._drop()

    def _state(self, name: str, info: SourceInfo | None, live: LiveSource | None, now: datetime) -> SourceState:
        newest = live.last if live else None
        kept = self._newest.get(name)
        if kept and (newest is None or _time(kept) > _time(newest)):
            newest = kept
        last = max((time for time in (info and info.last, newest and newest.time) if time), default=None)
        fresh = last is not None and (now - last).total_seconds() <= ONLINE_S
        known = self.listener.connected and live is not None and live.online is not None
        online = bool(live.online) if known and live else fresh
        since = live.since if known and live else None
        picture = self.listener.picture(name) if known and online else None
        picture = picture if picture and picture.age_s <= PICTURE_FRESH_S else None
        newest = picture.seen if picture and picture.seen else newest  # picture and figures tell of the same moment
        now_seen = newest if newest and online and (now - _time(newest)).total_seconds() <= ONLINE_S else None
        return SourceState(
            name, online, since or (None if online else last), info.first if info else None, last,
            info.frames if info else 0, live.stats if live else None, now_seen, info.last if info else None, picture,
            live.state if live else None,
        )  # fmt: skip

    async def _catch_up(self) -> None:
        """Read what the store has of the last seconds; without it do with what the broker says, if it is there."""
        try:
            await self._shared(("seconds",), 0.4, self._read_seconds)
        except StoreError:
            if not self.listener.connected:
                raise

    def _view(self, window: Window, chosen: tuple[str, ...]) -> Timeline:
        made, timeline = self._views.get((window, chosen), (0.0, None))
        if timeline is None or clock.monotonic() - made > 0.9:
            timeline = self._seconds(window, chosen)
            self._views = {key: view for key, view in self._views.items() if clock.monotonic() - view[0] < 2}
            self._views[window, chosen] = clock.monotonic(), timeline
        return timeline

    def _seconds(self, window: Window, chosen: tuple[str, ...]) -> Timeline:
        first, count = int(window.start.timestamp()), window.points * window.width
        rows = blank(window.points)
        for seconds in self._by_source(chosen, first, count).values():
            numbers(rows)[:] += numbers(seconds.reshape(window.points, window.width)).sum(axis=1)
        return Timeline(window, rows)

    def _by_source(self, chosen: tuple[str, ...], first: int, count: int) -> dict[str, np.ndarray]:
        live = self.listener.rows(chosen, first, count)
        none = blank(count)
        by_source = {}
        for name in set(live) | {name for name in self._rings if not chosen or name in chosen}:
            heard = live.get(name, none)
            stored = self._rings[name].rows(first, count) if name in self._rings else none
            # Both tell of the same frames, each perhaps in part: the one that has more of a second is right.
            by_source[name] = np.where(heard["frames"] >= stored["frames"], heard, stored)
        return by_source

    def _read_seconds(self, store: Store) -> None:
        now = clock.time()
        again = now - self._scanned > RESCAN_S
        first = int(now - ONLINE_S if again else max(self._read_until - 3, now - FINEST_S))
        seen = store.recent(utc(first), None, MAX_RAW)
        if len(seen) == MAX_RAW and seen[0].time:
            first = int(seen[0].time.timestamp()) + 1
        rings = {name: ring.before(first) for name, ring in self._rings.items()}
        if again:
            self._scanned, rings = now, read_rings(store, int(now - FINEST_S), first)
        for observation in seen:
            if observation.time and first <= observation.time.timestamp() < now + 60:
                rings.setdefault(observation.source, Ring()).add(observation)
                self._newest[observation.source] = observation
        self._rings = rings
        self._read_until = max((_time(observation).timestamp() for observation in seen), default=self._read_until)
        self._read_until = min(self._read_until, now)

    async def _shared(self, key: tuple[Any, ...], lifetime: float, ask: Callable[[Store], Answer]) -> Answer:
        """Return the answer to a question, asked once for all who put it within its lifetime in seconds."""
        expires, answer = self._answers.get(key, (0.0, None))
        if answer is None or (answer.done() and clock.monotonic() >= expires):
            loop = asyncio.get_running_loop()
            answer = asyncio.ensure_future(loop.run_in_executor(self._thread, self._ask, ask))
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._answers[key] = (clock.monotonic() + lifetime, answer)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        self._answers.move_to_end(key)
        result: Answer = await asyncio.shield(answer)
        return result

    def _ask(self, ask: Callable[[Store], Answer]) -> Answer:
        if self._failed and clock.monotonic() - self._failed[0] < 1.0:
            raise self._failed[1]
        try:
            if self._store is None:
                self._store = open_store(self.url, read_only=True)
            answer = ask(self._store)
        except StoreError as error:
            if self._failed is None or str(self._failed[1]) != str(error):
                log.warning("%s", error)
            self._failed = (clock.monotonic(), error)
            self._drop()
            raise
        self._failed = None
        return answer

    def _drop(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None


def _time(observation: Observation) -> datetime:
    return observation.time or datetime.min.replace(tzinfo=timezone.utc)
