"""The store in an SQL database: observations in, figures out.

SQLite is what Mien brings (WAL, synced at every commit; others read while it writes). The statements are SQLAlchemy's
and the same in PostgreSQL. One transaction adds the raw rows, the rollups and the sources' totals of exactly those
observations that were not there yet. Writers of one source take turns, so two of them cannot both add one; in a
SQLite file all writers do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from mien.errors import StoreError
from mien.masking import without_password, without_secrets
from mien.observation import Face, Observation
from mien.stores import arrivals as coming
from mien.stores import dead_letters as dead
from mien.stores import markers as marks
from mien.stores import partitions, rows, staging
from mien.stores import rollups as sums
from mien.stores.base import BUCKETS, Arrivals, Bucket, DeadLetter, Marker, SourceInfo, Summary, Sums
from mien.stores.engine import advice_for, bytes_of, cause_of, end_log, file_of, log_bytes, open_engine
from mien.stores.migrations import migrate
from mien.stores.tables import (
    SCHEMA,
    erased,
    faces,
    frames,
    metadata,
    rollups,
    sources,
    state,
)

__all__ = ["SqlStore"]

CHUNK = 1000
VACUUM = {
    "sqlite": ("VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": ("SET statement_timeout = 0", "VACUUM ANALYZE", "RESET statement_timeout"),
}


class SqlStore:
    """A store in SQLite or PostgreSQL.

    Args:
        url: SQLAlchemy's; the driver may be left out.
        read_only: Never write; the store must be there.

    Raises:
        StoreError: The database cannot be opened, or is of a later version.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._weeks: set[int] = set()
        self._url, self._name, self._read_only = url, without_password(url), read_only
        self._open()

    def add(self, observations: Sequence[Observation], *, arrived: datetime | None = None) -> int:
        """Commit what the store never had and return how many were new."""
        if not observations:
            return 0
        came = {"arrived": rows.present() if arrived is None else rows.to_microseconds(arrived)}
        given = {
            row["id"]: (row | came, observation)
            for observation in observations
            for row in [rows.frame_row(observation)]
        }
        face_rows = [
            rows.face_row(key, n, face)
            for key, (_, observation) in given.items()
            for n, face in enumerate(observation.faces)
        ]
        if self._is_postgresql:
            self._make_partitions(list(given))
        with self._transaction() as connection:
            add = staging.add if self._is_postgresql else self._insert
            known, refused, mark = add(connection, [row for row, _ in given.values()], face_rows)
            out = [given[key][0] for key in refused]
            new = [(row, observation) for key, (row, observation) in given.items() if key not in known | refused]
            late = [row["source"] for row, _ in new if row["time"] < mark]
            coming.keep(connection, [(row["session"], row["seq"], row["seq"]) for row in out])
            coming.count(connection, late, [row["source"] for row in out])
            if new:
                with staging.at_once(connection) if self._is_postgresql else nullcontext():
                    sums.grow(connection, [(row["time"], observation) for row, observation in new], came["arrived"])
        return len(new)

    def arrivals(self) -> list[Arrivals]:
        """Return what came late, or was refused, by source."""
        with self._read() as connection:
            return coming.totals(connection)

    def add_dead_letters(self, letters: Sequence[tuple[str, str, bytes]]) -> None:
        """Keep messages (topic, reason, payload) that are no valid observations; the newest 10,000 stay."""
        if not letters:
            return
        now = rows.to_microseconds(datetime.now(timezone.utc))
        with self._write() as connection:
            dead.add(connection, now, letters)

    def take_dead_letters(self, letters: Sequence[DeadLetter]) -> int:
        """Keep another store's dead letters that are not here yet, and return how many those were."""
        with self._write() as connection:
            return dead.take(connection, letters)

    def dead_letters(self, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        """Return the newest dead letters, newest first; with `before` those with a lower number."""
        with self._read() as connection:
            return dead.newest(connection, limit, before)

    def dropped_dead_letters(self) -> int:
        """Return how many dead letters made room for newer ones so far."""
        with self._read() as connection:
            return dead.dropped(connection)

    def drop_dead_letters(self, numbers: Sequence[int]) -> None:
        """Delete dead letters by number."""
        with self._write() as connection:
            dead.drop(connection, numbers)

    def sources(self) -> list[SourceInfo]:
        """Return every source by name."""
        with self._read() as connection:
            rows_read = connection.execute(sa.select(sources).order_by(sources.c.source)).all()
        return [
            SourceInfo(row.source, rows.to_time(row.first), rows.to_time(row.last), row.frames) for row in rows_read
        ]

    def timeline(
        self, start: datetime, end: datetime, bucket: str, sources: Sequence[str] | None = None
    ) -> list[Bucket]:
        """Return the non-empty buckets that begin in [start, end), oldest first."""
        first, last = rows.to_microseconds(start), rows.to_microseconds(end)
        if bucket == "second":
            with self._read() as connection:
                seconds = sums.of_seconds(connection, first, last, sources)
            return [Bucket(rows.to_time(at), total) for at, total in seconds]
        if bucket not in BUCKETS:
            raise ValueError(f"no bucket '{bucket}': expected one of second, {', '.join(BUCKETS)}")
        query = (
            sa.select(rollups.c.start, *sums.totals())
            .where(*sums.within(BUCKETS[bucket], first, last, sources))
            .group_by(rollups.c.start)
            .order_by(rollups.c.start)
        )
        with self._read() as connection:
            rows_read = connection.execute(query).mappings().all()
        return [Bucket(rows.to_time(row["start"]), Sums.of_row(row)) for row in rows_read]

    def summary(self, start: datetime, end: datetime, sources: Sequence[str] | None = None) -> Summary:
        """Return the sum of what was seen in [start, end), or in whole minutes where the raw rows are gone."""
        with self._read() as connection:
            return sums.summary(connection, rows.to_microseconds(start), rows.to_microseconds(end), sources)

    def recent(self, start: datetime, sources: Sequence[str] | None = None, limit: int = 1000) -> list[Observation]:
        """Return the newest raw observations since `start`, oldest first."""
        query = (
            sa.select(frames)
            .where(frames.c.time >= rows.to_microseconds(start), *_of(frames, sources))
            .order_by(frames.c.time.desc(), frames.c.id.desc())
            .limit(limit)
        )
        return self._whole(query)[::-1]

    def observations(
        self,
        batch: int = 1000,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        sources: Sequence[str] | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Iterator[list[Observation]]:
        """Yield the raw observations of [start, end) in batches, by time and id, each read as it is asked for."""
        query = sa.select(frames).where(*_of(frames, sources)).order_by(frames.c.time, frames.c.id).limit(batch)
        if start is not None:
            query = query.where(frames.c.time >= rows.to_microseconds(start))
        if end is not None:
            query = query.where(frames.c.time < rows.to_microseconds(end))
        observations = self._whole(query if after is None else query.where(_behind(*after)))
        while observations:
            yield observations
            observations = self._whole(
                query.where(_behind(rows.to_time(rows.taken_at(observations[-1])), observations[-1].id))
            )

    def pruned_before(self) -> datetime | None:
        """Return the time before which there are sums alone; None: nothing was pruned."""
        with self._read() as connection:
            mark = _mark(connection)
        return rows.to_time(mark) if mark else None

    def add_minutes(self, source: str, minutes: Sequence[Bucket]) -> int:
        """Commit the sums of minutes of which there are none here, and return how many minutes that were."""
        with self._write(source) as connection:
            return sums.add_minutes(connection, source, minutes)

    def erase(self, source: str, start: datetime, end: datetime) -> int:
        """Delete what was seen in [start, end) with its sums, refuse it from now on, and return how many rows went."""
        first, until = rows.to_microseconds(start), rows.to_microseconds(end)
        where = (frames.c.source == source, frames.c.time >= first, frames.c.time < until)
        with self._write(source) as connection:
            coming.keep_rows(connection, where)
            ids = sa.select(frames.c.id).where(*where)
            connection.execute(sa.delete(faces).where(faces.c.frame.in_(ids)))
            gone = connection.execute(sa.delete(frames).where(*where)).rowcount
            sums.erase(connection, source, first, until)
            period = {"source": source, "start": first, "until": until}
            connection.execute(sums.insert(connection, erased).values(period).on_conflict_do_nothing())
            dead.erase(connection, source, first, until)
            marks.erase(connection, source, first, until)
        if self._engine.dialect.name == "sqlite":  # so that nothing of it is left in the log beside the file either
            with self._explained("write"), self._engine.connect() as connection:
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def prune(self, before: datetime) -> int:
        """Delete raw rows that arrived before `before`, and return how many went; they stay known."""
        until = rows.to_microseconds(before)
        mark = {"name": "prune_mark", "value": sums.minute_of(until)}
        with self._write() as connection:
            upsert = sums.insert(connection, state).values(mark)
            connection.execute(
                upsert.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"value": upsert.excluded.value},
                    where=state.c.value < upsert.excluded.value,
                )
            )
        pruned = 0
        if self._is_postgresql:
            with self._write() as connection:
                pruned += partitions.drop_old(
                    connection, until, lambda part: coming.keep_rows(connection, (sa.true(),), part)
                )
        for old in (  # two statements, since each has its index
            sa.select(frames.c.id).where(frames.c.arrived < until).order_by(frames.c.arrived),
            sa.select(frames.c.id).where(frames.c.arrived.is_(None), frames.c.time < until).order_by(frames.c.time),
        ):
            ids: Sequence[bytes] = [b""] * CHUNK
            while len(ids) == CHUNK:  # in pieces, so that whoever adds needs not wait long
                with self._write() as connection:
                    ids = connection.scalars(old.limit(CHUNK)).all()
                    coming.keep_rows(connection, (frames.c.id.in_(ids),))
                    connection.execute(sa.delete(faces).where(faces.c.frame.in_(ids)))
                    connection.execute(sa.delete(frames).where(frames.c.id.in_(ids)))
                pruned += len(ids)
        return pruned

    def prune_rollups(self, before: datetime) -> int:
        """Delete the rollups of days that ended before `before`, and return of how many minutes those were."""
        with self._write() as connection:
            return sums.prune(connection, min(rows.to_microseconds(before), _mark(connection)))

    def add_markers(self, markers: Sequence[Marker]) -> int:
        """Commit the markers whose ids the store does not have, and return how many that were."""
        with self._write() as connection:
            return marks.add(connection, markers)

    def markers(
        self, start: datetime, end: datetime, sources: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""
        with self._read() as connection:
            return marks.between(connection, start, end, sources, limit)

    def marker(self, key: str) -> Marker | None:
        """Return the marker with this id."""
        with self._read() as connection:
            return marks.find(connection, key)

    def drop_marker(self, key: str) -> bool:
        """Delete the marker with this id, and return whether there was one."""
        with self._write() as connection:
            return marks.drop(connection, key)

    def size(self) -> int:
        """Return how many bytes the store takes up on the disk, indexes and SQLite's log with it."""
        with self._read() as connection:
            return bytes_of(connection, list(metadata.tables))

    def vacuum(self) -> None:
        """Give the room of deleted rows back to the disk, and let the database count what there is."""
        with (
            self._explained("write"),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            raw = connection.connection.cursor()  # outside of any transaction, as VACUUM has to be
            for statement in VACUUM[self._engine.dialect.name]:
                raw.execute(statement)
            raw.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _open(self) -> None:
        self._engine = open_engine(self._url, self._read_only)
        self._file = file_of(self._engine)
        try:
            self._check_schema() if self._read_only else self._migrate()
        except BaseException:
            self._engine.dispose()
            raise

    def _follow_file(self) -> None:
        """Open the file that lies where the store's did, if that is another one now; make it if there is none."""
        if file_of(self._engine) == self._file:
            return
        if self._read_only and log_bytes(self._engine):
            return  # the other file's log lies beside this one; whoever writes takes it away
        if not self._read_only:
            end_log(self._engine)
        self._engine.dispose()
        self._open()

    def _check_file(self) -> None:
        """Refuse to have written to a file that lies there no more: nobody would find it again.

        Raises:
            StoreError: The file was deleted or replaced.
        """
        if file_of(self._engine) != self._file:
            raise StoreError(
                f"the store '{self._name}' was deleted, or replaced by another file, while it was open: what was about "
                "to be written goes to the one that is there next; `mien store restore` replaces a store in use"
            )

    def _make_partitions(self, ids: Sequence[bytes]) -> None:
        """Make the weeks' partitions that are missing, on their own: nobody else may be at the tables meanwhile."""
        weeks = partitions.weeks_of(ids) - self._weeks
        if not weeks:
            return
        with self._read() as connection:
            missing = partitions.missing(connection, weeks)
        if missing:
            with self._write() as connection:
                partitions.make(connection, missing)
        self._weeks |= weeks

    def _insert(
        self, connection: sa.Connection, frame_rows: list[dict[str, Any]], face_rows: list[dict[str, Any]]
    ) -> staging.Staged:
        """Add what is not known nor refused to a SQLite file."""
        known = self._known(connection, frame_rows)
        refused = self._refused(connection, [row for row in frame_rows if row["id"] not in known])
        left_out = known | refused
        self._insert_rows(connection, frames, [row for row in frame_rows if row["id"] not in left_out])
        self._insert_rows(connection, faces, [row for row in face_rows if row["frame"] not in left_out])
        return staging.Staged(known, refused, _mark(connection))

    def _insert_rows(self, connection: sa.Connection, table: sa.Table, values: list[dict[str, Any]]) -> None:
        if values:  # the statement as text: SQLAlchemy's handling of each row would take twice the database's time
            connection.exec_driver_sql(str(sa.insert(table).compile(dialect=self._engine.dialect)), values)

    def _whole(self, query: sa.Select[Any]) -> list[Observation]:
        """Return the observations of these rows of `frames`, with their faces."""
        in_frame: dict[bytes, list[Face]] = {}
        with self._read() as connection:
            frames_read = connection.execute(query).all()
            for ids in _chunks([row.id for row in frames_read]):
                for face in connection.execute(sa.select(faces).where(faces.c.frame.in_(ids)).order_by(faces.c.n)):
                    in_frame.setdefault(bytes(face.frame), []).append(rows.face(face))
        return [rows.observation(row, in_frame.get(bytes(row.id), [])) for row in frames_read]

    def _refused(self, connection: sa.Connection, given: list[dict[str, Any]]) -> set[bytes]:
        """Return the ids of what is of a time that was erased."""
        gone = connection.execute(
            sa.select(erased).where(erased.c.source.in_(sorted({row["source"] for row in given})))
        ).all()
        return {
            row["id"]
            for row in given
            if any(erasure.source == row["source"] and erasure.start <= row["time"] < erasure.until for erasure in gone)
        }

    def _known(self, connection: sa.Connection, given: list[dict[str, Any]]) -> set[bytes]:
        """Return the ids of what is here, or was and has gone."""
        known: set[bytes] = set()
        for some in _chunks([row["id"] for row in given]):
            known.update(bytes(key) for key in connection.scalars(sa.select(frames.c.id).where(frames.c.id.in_(some))))
        gone = coming.known(connection, [(row["session"], row["seq"]) for row in given if row["id"] not in known])
        return known | {row["id"] for row in given if (row["session"], row["seq"]) in gone}

    def _migrate(self) -> None:
        with self._write() as connection:
            metadata.create_all(connection, tables=[state])
            version = connection.scalar(sa.select(state.c.value).where(state.c.name == "schema"))
            if version is None:
                metadata.create_all(connection)
                if self._is_postgresql:
                    partitions.prepare(connection)
                connection.execute(sa.insert(state).values(name="schema", value=SCHEMA))
            elif version < SCHEMA:
                migrate(connection, version, SCHEMA)
                connection.execute(sa.update(state).where(state.c.name == "schema").values(value=SCHEMA))
        self._check_schema()

    def _check_schema(self) -> None:
        with self._read() as connection:
            if not sa.inspect(connection).has_table("state"):
                raise StoreError(
                    f"the store '{self._name}' is empty: start `mien forward` (or `mien up`), which fills it"
                )
            version = connection.scalar(sa.select(state.c.value).where(state.c.name == "schema"))
        if version != SCHEMA:
            version_words = f"version {version}" if version else "no version"
            todo = "upgrade Mien" if version and version > SCHEMA else "start `mien forward`, which upgrades it"
            raise StoreError(
                f"the store '{self._name}' has {version_words} of the tables, this Mien reads {SCHEMA}: {todo}"
            )

    @property
    def _is_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def _write(self, source: str | None = None) -> Iterator[sa.Connection]:
        """Begin to write what belongs to one source; without one, to keep all other writers out."""
        with self._transaction() as connection:
            if self._is_postgresql:
                staging.lock(connection, source)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """Begin to write: in a SQLite file as the only one, in PostgreSQL with no lock yet."""
        self._follow_file()
        with (
            self._explained("write"),
            self._engine.connect().execution_options(mien_write=True) as connection,
            connection.begin(),
        ):
            yield connection
            self._check_file()
        self._check_file()  # while it was committed

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        self._follow_file()
        with self._explained("read"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        driver: Any = self._engine.dialect.dbapi  # whose own errors come where its cursors are used
        try:
            yield
        except (exc.IntegrityError, exc.DataError, driver.IntegrityError, driver.DataError) as error:
            cause = without_secrets(cause_of(error), self._url)
            raise ValueError(f"the database refuses the row: {cause}") from error
        except (exc.SQLAlchemyError, driver.Error) as error:
            cause = without_secrets(cause_of(error), self._url)
            raise StoreError(f"cannot {verb} the store '{self._name}': {cause}{advice_for(cause)}") from error


def _mark(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(state.c.value).where(state.c.name == "prune_mark")) or 0


def _chunks(ids: list[bytes]) -> Iterator[list[bytes]]:
    return (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))


def _of(table: sa.Table, names: Sequence[str] | None) -> tuple[Any, ...]:
    return () if names is None else (table.c.source.in_(list(names)),)


def _behind(time: datetime, key: str) -> sa.ColumnElement[bool]:
    last = sa.tuple_(sa.literal(rows.to_microseconds(time)), sa.literal(rows.to_bytes(key)))
    return sa.tuple_(frames.c.time, frames.c.id) > last
