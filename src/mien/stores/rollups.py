"""The sums per minute, hour and day, and the sources' totals: how they grow with new rows, and shrink with erased ones.

Minutes are the truth: hours and days are always the sums of their minutes, and where something is taken out they are
made anew from them, so that figures of any length agree. Everything here happens in the transaction of whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mien.observation import EMOTIONS, UNTOLD_SPAN_S, Observation
from mien.stores import rows
from mien.stores.base import BUCKETS, SUM_COLUMNS, Bucket, Summary, Sums
from mien.stores.tables import erased, faces, frames, rollups, sources
from mien.system.clock import EARLIEST_CLOCK

__all__ = [
    "MINUTE",
    "add_minutes",
    "erase",
    "grow",
    "insert",
    "minute_of",
    "of_seconds",
    "prune",
    "summary",
    "totals",
    "within",
]

SECOND = 1_000_000
MINUTE = 60 * SECOND
EARLIEST_CLOCK_US = rows.to_microseconds(EARLIEST_CLOCK)
KEYS = ("seconds", "start", "source")


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """Return the database's own INSERT, which can say what to do on a conflict."""
    made: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](table)
    return made


def minute_of(time: int) -> int:
    """Return the beginning of the minute of a time, both in microseconds since 1970."""
    return time - time % MINUTE


def grow(connection: sa.Connection, new: Sequence[tuple[int, Observation]], present: int) -> None:
    """Add observations, each with its time in microseconds, to the sums and totals.

    A source was never seen last after the present, microseconds since 1970, whatever its clock says.
    """
    seen: dict[str, list[int]] = {}
    minutes: dict[tuple[int, str], Sums] = {}
    for time, observation in new:
        seen.setdefault(observation.source, []).append(time)
        key = minute_of(time), observation.source
        if key not in minutes:
            minutes[key] = Sums()
        minutes[key].count(observation)
    _add(connection, minutes)
    totals = [(source, min(times), max(times), len(times)) for source, times in sorted(seen.items())]
    if present >= EARLIEST_CLOCK_US:
        totals = [(source, min(first, present), min(last, present), n) for source, first, last, n in totals]
    _add_totals(connection, totals)


def add_minutes(connection: sa.Connection, source: str, minutes: Sequence[Bucket]) -> int:
    """Add the figures of minutes of which there are none here, nor erased; return how many minutes that were."""
    starts = {rows.to_microseconds(minute.start): minute.sums for minute in minutes}
    here = sa.select(rollups.c.start).where(
        rollups.c.seconds == 60, rollups.c.source == source, rollups.c.start.in_(list(starts))
    )
    for start in connection.scalars(here).all():
        del starts[start]
    for gone in connection.execute(sa.select(erased).where(erased.c.source == source)):
        starts = {at: sums for at, sums in starts.items() if not gone.start < at + MINUTE or not at < gone.until}
    if starts:
        _add(connection, {(start, source): sums for start, sums in starts.items()})
        total = sum(sums.frames for sums in starts.values())
        first, last = min(starts), min(max(starts) + MINUTE - 1, rows.present())
        _add_totals(connection, [(source, min(first, last), last, total)])
    return len(starts)


def erase(connection: sa.Connection, source: str, start: int, end: int) -> None:
    """Take [start, end) out of a source's figures; its raw rows have been deleted.

    Of a minute that is erased in part the rows that are left count; what of it was pruned goes with what is erased.

    Args:
        connection: In a transaction that writes.
        source: Its name.
        start: Microseconds since 1970.
        end: Microseconds since 1970.
    """
    mine = (rollups.c.source == source, rollups.c.seconds == 60)
    first = minute_of(start)
    gone = (*mine, rollups.c.start >= first, rollups.c.start < end)
    before = connection.scalar(sa.select(sa.func.sum(rollups.c.frames)).where(*gone)) or 0
    connection.execute(sa.delete(rollups).where(*gone))
    for minute in sorted({first, minute_of(end)}):
        if minute < end:
            _count_again(connection, source, minute)
    after = connection.scalar(sa.select(sa.func.sum(rollups.c.frames)).where(*gone)) or 0

    for seconds in sorted(set(BUCKETS.values()) - {60}):
        length = seconds * 1_000_000
        _sum_again(connection, source, seconds, start - start % length, end + -end % length)
    _narrow(connection, source, start, end, int(before - after))


def prune(connection: sa.Connection, before: int) -> int:
    """Delete the figures of whole days that ended before a time, and return of how many minutes those were."""
    day = BUCKETS["day"] * SECOND
    old = rollups.c.start < before - before % day
    minutes = connection.scalar(sa.select(sa.func.count()).where(rollups.c.seconds == 60, old)) or 0
    connection.execute(sa.delete(rollups).where(old))
    return minutes


def summary(connection: sa.Connection, start: int, end: int, sources: Sequence[str] | None) -> Summary:
    """Return the sum of [start, end), of minutes that have lost raw rows whole; days and hours are read where they fit.

    Args:
        connection: In a transaction, so that all parts are of one moment.
        start: Microseconds since 1970.
        end: Microseconds since 1970, not included.
        sources: Those that count; None: all.
    """
    end = max(start, end)
    if start % MINUTE and start < end and not _has_its_rows(connection, minute_of(start), sources):
        start = minute_of(start)
    if end % MINUTE and start < end and not _has_its_rows(connection, minute_of(end), sources):
        end = minute_of(end) + MINUTE
    total = Summary(start=rows.to_time(start), end=rows.to_time(end))
    first, last = start + -start % MINUTE, minute_of(end)  # the whole minutes, if there are any
    for since, until in [(start, first), (last, end)] if first <= last else [(start, end)]:
        if since < until:
            total += _of_rows(connection, [*_of_frames(sources), frames.c.time >= since, frames.c.time < until])
    for seconds, since, until in _pieces(first, last):
        query = sa.select(*totals()).where(*within(seconds, since, until, sources))
        total += Sums.of_row(connection.execute(query).mappings().one())
    return total


def totals() -> list[Any]:
    """Return the sum of each of SUM_COLUMNS over rows of `rollups`."""
    return [sa.func.sum(rollups.c[name]).label(name) for name in SUM_COLUMNS]


def within(seconds: int, start: int, end: int, sources: Sequence[str] | None) -> list[Any]:
    """Return what the rollups of a length that begin in [start, end) have in common; sources None: of all."""
    of = [rollups.c.seconds == seconds, rollups.c.start >= start, rollups.c.start < end]
    return of if sources is None else [*of, rollups.c.source.in_(list(sources))]


def of_seconds(
    connection: sa.Connection, start: int, end: int, sources: Sequence[str] | None
) -> list[tuple[int, Sums]]:
    """Return the seconds that begin in [start, end) and hold raw rows, each with its sums, oldest first."""
    second = (frames.c.time - frames.c.time % SECOND).label("second")
    of = [*_of_frames(sources), frames.c.time >= start + -start % SECOND, frames.c.time < end + -end % SECOND]
    counted = sa.select(second, sa.func.count()).where(*of).group_by(sa.text("second"))
    seconds = {at: Sums(frames=total) for at, total in connection.execute(counted)}
    query = sa.select(second, *_of_faces()).join_from(frames, faces, faces.c.frame == frames.c.id).where(*of)
    for row in connection.execute(query.group_by(sa.text("second"))).mappings():
        seconds[row["second"]] += Sums.of_row({**row, "frames": 0})
    return sorted(seconds.items(), key=lambda item: item[0])


def _of_frames(sources: Sequence[str] | None) -> list[Any]:
    return [] if sources is None else [frames.c.source.in_(list(sources))]


def _has_its_rows(connection: sa.Connection, minute: int, sources: Sequence[str] | None) -> bool:
    """Say whether every frame that a minute's sums count has its raw row."""
    here = [*_of_frames(sources), frames.c.time >= minute, frames.c.time < minute + MINUTE]
    counted = connection.scalar(
        sa.select(sa.func.sum(rollups.c.frames)).where(*within(60, minute, minute + 1, sources))
    )
    return connection.scalar(sa.select(sa.func.count()).select_from(frames).where(*here)) == (counted or 0)


def _of_rows(connection: sa.Connection, where: Sequence[Any]) -> Sums:
    """Return the sums of raw rows."""
    total = connection.scalar(sa.select(sa.func.count()).select_from(frames).where(*where))
    query = sa.select(*_of_faces()).select_from(faces).join(frames, frames.c.id == faces.c.frame).where(*where)
    return Sums.of_row({**connection.execute(query).mappings().one(), "frames": total})


def _pieces(start: int, end: int, lengths: tuple[int, ...] = (86400, 3600, 60)) -> Iterator[tuple[int, int, int]]:
    """Yield (seconds, start, end) that together are the minutes begun in [start, end), the longest rollups inside."""
    seconds, *finer = lengths
    length = seconds * SECOND
    first, last = start + -start % length, end - end % length
    if not finer:
        yield seconds, start, end
    elif first >= last:
        yield from _pieces(start, end, tuple(finer))
    else:
        yield from _pieces(start, first, tuple(finer))
        yield seconds, first, last
        yield from _pieces(last, end, tuple(finer))


def _of_faces() -> list[Any]:
    """Return what is counted of faces: all of SUM_COLUMNS but the frames."""
    named = [sa.func.count(sa.case((faces.c.emotion == name, 1))).label(f"count_{name}") for name in EMOTIONS]
    shares = [sa.func.coalesce(sa.func.sum(faces.c[name]), 0.0).label(f"sum_{name}") for name in EMOTIONS]
    span = sa.func.coalesce(frames.c.span_s, UNTOLD_SPAN_S)
    seconds = [sa.func.coalesce(sa.func.sum(faces.c[name] * span), 0.0).label(f"seconds_{name}") for name in EMOTIONS]
    return [
        sa.func.count().label("faces"),
        sa.func.count(sa.case((faces.c.emotion.is_(None), 1))).label("unclear"),
        sa.func.count(sa.case((frames.c.span_s.is_(None), 1))).label("untimed"),
        sa.func.coalesce(sa.func.sum(span), 0.0).label("face_seconds"),
        *(*named, *shares, *seconds),
    ]


def _add(connection: sa.Connection, minutes: dict[tuple[int, str], Sums]) -> None:
    cells: dict[tuple[int, int, str], Sums] = {}
    for seconds in BUCKETS.values():
        for (start, source), sums in minutes.items():
            key = (seconds, start - start % (seconds * 1_000_000), source)
            if key not in cells:
                cells[key] = Sums()
            cells[key] += sums
    upsert = insert(connection, rollups)
    grown = {name: rollups.c[name] + upsert.excluded[name] for name in SUM_COLUMNS}
    values = [dict(zip(KEYS, key, strict=True)) | cells[key].row() for key in sorted(cells)]
    connection.execute(upsert.on_conflict_do_update(index_elements=KEYS, set_=grown), values)


def _add_totals(connection: sa.Connection, totals: Sequence[tuple[str, int, int, int]]) -> None:
    upsert = insert(connection, sources)
    first, last, total = upsert.excluded["first"], upsert.excluded["last"], upsert.excluded["frames"]
    widened = {
        "first": sa.case((first < sources.c.first, first), else_=sources.c.first),
        "last": sa.case((last > sources.c.last, last), else_=sources.c.last),
        "frames": sources.c.frames + total,
    }
    values = [dict(zip(("source", "first", "last", "frames"), row, strict=True)) for row in totals]
    connection.execute(upsert.on_conflict_do_update(index_elements=["source"], set_=widened), values)


def _count_again(connection: sa.Connection, source: str, minute: int) -> None:
    """Make a minute's figures from its raw rows."""
    of = (frames.c.source == source, frames.c.time >= minute, frames.c.time < minute + MINUTE)
    counted = _of_rows(connection, of)
    if counted.frames:
        keys = dict(zip(KEYS, (60, minute, source), strict=True))
        connection.execute(sa.insert(rollups).values(keys | counted.row()))


def _sum_again(connection: sa.Connection, source: str, seconds: int, start: int, end: int) -> None:
    """Make the hours or days that begin in [start, end) from their minutes."""
    within = (rollups.c.source == source, rollups.c.start >= start, rollups.c.start < end)
    connection.execute(sa.delete(rollups).where(rollups.c.seconds == seconds, *within))
    beginning = (rollups.c.start - rollups.c.start % (seconds * 1_000_000)).label("beginning")
    totals = [sa.func.sum(rollups.c[name]) for name in SUM_COLUMNS]
    query = (
        sa.select(sa.literal(seconds), beginning, rollups.c.source, *totals)
        .where(rollups.c.seconds == 60, *within)
        .group_by(sa.text("beginning"), rollups.c.source)
    )
    connection.execute(sa.insert(rollups).from_select([*KEYS, *SUM_COLUMNS], query))


def _narrow(connection: sa.Connection, source: str, start: int, end: int, gone: int) -> None:
    """Take what is gone off a source's total, and find its first and last time if those are gone."""
    mine = (rollups.c.source == source, rollups.c.seconds == 60)
    span = sa.select(sa.func.min(rollups.c.start), sa.func.max(rollups.c.start)).where(*mine)
    earliest, latest = connection.execute(span).one()
    this = sources.c.source == source
    if earliest is None:
        connection.execute(sa.delete(sources).where(this))
        return
    known = connection.execute(sa.select(sources).where(this)).one()
    raw = sa.select(sa.func.min(frames.c.time), sa.func.max(frames.c.time)).where(frames.c.source == source)
    oldest = connection.execute(raw.where(frames.c.time < earliest + MINUTE)).one()[0]
    newest = connection.execute(raw.where(frames.c.time >= latest)).one()[1]
    first, last = known.first, known.last
    if start <= first < end:
        first = earliest if oldest is None else oldest
    if start <= last < end:
        last = latest + MINUTE - 1 if newest is None else newest
    seen = {"first": first, "last": min(last, rows.present()), "frames": sources.c.frames - gone}
    connection.execute(sa.update(sources).where(this).values(seen))
